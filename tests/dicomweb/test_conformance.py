"""docs/conformance.md says what the code does."""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path

import pytest

from gateway.dicom.dictionary import entry_of
from gateway.dicom.matching import QueryLevel
from gateway.dicom.query_string import PARAMETERS, RETURNED, WILDCARD_VRS
from gateway.dicomweb import qido
from gateway.dicomweb.capabilities import TRANSACTIONS
from gateway.dicomweb.media_types import WRITTEN
from gateway.dicomweb.negotiation import described
from gateway.dicomweb.problems import STATUS
from gateway.dicomweb.stow import storing as stow
from gateway.dicomweb.stow.response import FAILURE_REASONS, WARNINGS_BY_WEIGHT
from gateway.dicomweb.wado import frames, rendered
from gateway.dicomweb.wado import retrieving as wado
from gateway.dicomweb.wado import uri as wado_uri
from gateway.pixels.transfer_syntaxes import syntaxes_of

PAGE = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text()


SERVED = [route for face in (stow, qido, wado, frames, rendered, wado_uri) for route in face.routes]


def section(heading: str) -> str:
    """Return a section of the page, the sections in it included."""
    level = heading.split(" ")[0]
    return re.split(rf"^{level} ", PAGE.split(f"{heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


@pytest.mark.parametrize("path", [route.path for route in SERVED])
def test_every_path_is_listed(path: str) -> None:
    """A path with /metadata by the path it is the metadata of."""
    assert f"{path.removesuffix('/metadata')}`" in section("## Resources")


def test_every_path_of_the_standard_is_a_transaction_of_the_capabilities() -> None:
    """What the page lists, a client can read as well (PS3.18 section 8.9)."""
    served = {(method, route.path) for route in SERVED for method in (route.methods or set()) - {"HEAD"}}

    assert served <= TRANSACTIONS.keys()


@pytest.mark.parametrize("resource", WRITTEN)
def test_what_a_resource_is_written_in_is_listed(resource: str) -> None:
    """In the order of preference."""
    media_types = ", ".join(f"`{described(offer)}`" for offer in WRITTEN[resource])

    assert f"| {resource} | {media_types} |" in section("## Media types")


ROWS = re.findall(r"^\| (`(?:image|video)/[^|]*) \|.*?(1\.2\.840\.10008[.0-9]*[0-9])", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("names", "uid"), ROWS)
def test_the_media_types_of_pixel_data_are_those_of_the_transfer_syntaxes(names: str, uid: str) -> None:
    """Each name in a row means the same transfer syntaxes, the one in the row among them."""
    for name in re.findall(r"`([^`]+)`", names):
        assert uid in {syntax.uid for syntax in syntaxes_of(name)}, name


def test_there_is_a_row_for_each_media_type_of_pixel_data() -> None:
    """Nine, beside uncompressed pixels."""
    assert len(ROWS) == 9


@pytest.mark.parametrize("code", [*FAILURE_REASONS.values(), *WARNINGS_BY_WEIGHT])
def test_every_reason_is_listed_in_decimal_and_hex(code: int) -> None:
    """PS3.18 I.2: additional codes may be used if the conformance statement has them."""
    assert f"| {code}, 0x{code:04X} |" in PAGE


def test_no_reason_is_listed_that_is_never_given() -> None:
    """The page has as many as the code."""
    listed = {int(number) for number in re.findall(r"^\| (\d{3,5}), 0x[0-9A-F]{4} \|", PAGE, re.MULTILINE)}

    assert listed == {*FAILURE_REASONS.values(), *WARNINGS_BY_WEIGHT}


def test_the_statuses_are_those_of_the_code() -> None:
    """Every status of the page is one of HTTP; those of errors are in the table from error class to status."""
    listed = {
        int(code) for code in re.findall(r"\b([45]\d\d)\b", "\n".join(re.findall(r"^\| \d.*\|", PAGE, re.MULTILINE)))
    }
    in_code = {int(status) for status in STATUS.values()} | {int(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)}

    assert listed - in_code == set()


@pytest.mark.parametrize("level", RETURNED)
def test_the_attributes_of_results_are_listed(level: QueryLevel) -> None:
    """In the order of their tags, in italics where they may be missing."""
    entries = [(entry_of(returned.tag), returned.always) for returned in RETURNED[level]]
    names = [entry.keyword if always else f"*{entry.keyword}*" for entry, always in entries if entry]

    assert f"| {level} | {', '.join(names)} |" in PAGE


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_every_search_parameter_is_listed(parameter: str) -> None:
    """PS3.18 Table 8.3.4-1."""
    assert f"`{parameter}=" in section("## Search")


def test_the_limits_are_listed() -> None:
    """The most results, and the VRs with wildcards."""
    assert f"at most {qido.MAX_RESULTS:,} results in one answer, {qido.MAX_WHOLE_INSTANCES:,} of instances" in PAGE
    assert f"| {' '.join(sorted(WILDCARD_VRS))};" in PAGE
