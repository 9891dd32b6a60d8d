"""docs/conformance.md says what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.dicom.dictionary import entry_of
from gateway.dicom.query_string import RETURNED, WILDCARD_VRS
from gateway.dicomweb import qido, stow, wado
from gateway.dicomweb.store_response import FAILURE_REASONS, WARNINGS_BY_WEIGHT

PAGE = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text()


@pytest.mark.parametrize("path", [route.path for route in [*stow.routes, *qido.routes, *wado.routes]])
def test_every_path_is_listed(path: str) -> None:
    """A path with /metadata by the path it is the metadata of."""
    assert f"{path.removesuffix('/metadata')}`" in PAGE


@pytest.mark.parametrize("code", [*FAILURE_REASONS.values(), *WARNINGS_BY_WEIGHT])
def test_every_reason_is_listed_in_decimal_and_hex(code: int) -> None:
    """PS3.18 I.2: additional codes may be used if the conformance statement has them."""
    assert f"| {code}, 0x{code:04X} |" in PAGE


@pytest.mark.parametrize("level", RETURNED)
def test_the_attributes_of_results_are_listed(level: str) -> None:
    """In the order of their tags, in italics where they may be missing."""
    entries = [(entry_of(returned.tag), returned.always) for returned in RETURNED[level]]  # type: ignore[index]
    names = [entry.keyword if always else f"*{entry.keyword}*" for entry, always in entries if entry]

    assert f"| {level} | {', '.join(names)} |" in PAGE


def test_the_limits_are_listed() -> None:
    """The most results, and the VRs with wildcards."""
    assert f"{qido.MAX_RESULTS:,} results" in PAGE and f"| {' '.join(sorted(WILDCARD_VRS))};" in PAGE
