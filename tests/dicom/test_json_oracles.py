"""The DICOM JSON of real files against two other programs that make it: pydicom and dcmtk's dcm2json."""

from __future__ import annotations

import base64
import io
import json
import shutil
import struct
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings

from gateway.dicom.dataset import Dataset, Element
from gateway.dicom.dictionary import PIXEL_DATA, vrs_of
from gateway.dicom.json_model import Limits, encode_json, parse_dataset, to_json
from gateway.dicom.part10 import EXPLICIT_VR_LITTLE_ENDIAN, read_part10, write_part10
from gateway.errors import InvalidDicomJson
from tests.dcmtk import DCM2JSON, dcm2json, json2dcm, needs_json2dcm, unlike
from tests.dicom.test_part10_laws import utf_8, without_character_set
from tests.samples import SAMPLES, sample, sample_id
from tests.strategies import datasets

# What files hold and an edit may not: a group 0001, and a UID of letters.
NOT_EDITS = {"nested_priv_SQ.dcm": r"^\$\.00010001: ", "bad_sequence.dcm": r"^\$\.00080018\.Value\[0\]: "}
EDITS = [path for path in SAMPLES if path.name not in NOT_EDITS]


def ours(path: Path) -> dict[str, Any]:
    dataset = read_part10(path.read_bytes()).dataset
    document: dict[str, Any] = json.loads(encode_json(to_json(dataset, stored_character_set=True)))
    return document


def as_the_dictionary_says(dataset: Dataset) -> Dataset:
    """Return the attributes whose VR is one that PS3.6 gives them: all that an edit may name."""
    return {
        tag: Element(element.vr, element.values, tuple(map(as_the_dictionary_says, element.items)), element.binary)
        for tag, element in dataset.items()
        if not (tag.startswith("0002") or tag.endswith("0000")) and element.vr in (vrs_of(tag) or {element.vr})
    }


@pytest.mark.parametrize("path", EDITS, ids=sample_id)
def test_a_file_s_json_is_read_as_it_was_written(path: Path) -> None:
    """What the gateway says of a file it takes back as an edit, and says the same of it again."""
    dataset = as_the_dictionary_says(read_part10(path.read_bytes()).dataset)
    body = encode_json(to_json(dataset, stored_character_set=True))

    assert encode_json(to_json(parse_dataset(body), stored_character_set=True)) == body


@pytest.mark.parametrize(("name", "refusal"), NOT_EDITS.items())
def test_what_no_edit_may_hold_is_refused_of_a_file_too(name: str, refusal: str) -> None:
    """A file is stored with its oddities; none of them comes in by an edit."""
    dataset = as_the_dictionary_says(read_part10(sample(name).read_bytes()).dataset)

    with pytest.raises(InvalidDicomJson, match=refusal):
        parse_dataset(encode_json(to_json(dataset)))


# --- Comparing attribute by attribute, in the values that the model leaves no freedom about


def attributes(document: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    """Return tag -> (VR, comparable value), without what the programs leave out."""
    return {
        tag: (form["vr"], comparable(form))
        for tag, form in document.items()
        if not (tag in PIXEL_DATA or tag.startswith("0002") or tag.endswith("0000") or tag == "00080005")
    }


def comparable(form: Mapping[str, Any]) -> Any:
    """Return a value without padding, numbers as numbers, and bulk data as its presence alone."""
    vr, values = form["vr"], form.get("Value", [])
    if vr == "SQ":
        return [attributes(item) for item in values]
    if "BulkDataURI" in form or len(form.get("InlineBinary", "")) > 4096:
        return "bulk data"
    if "InlineBinary" in form:
        return base64.b64decode(form["InlineBinary"]).rstrip(b"\0")
    readers: dict[str, Callable[[Any], Any]] = {
        "DS": number, "IS": number, "FL": single, "FD": double, "SV": int, "UV": int, "PN": name
    }  # fmt: skip
    read: Callable[[Any], Any] = readers.get(vr, text)
    found = [read(value) for value in values]
    return [] if not any(found) and vr == "PN" else found


def single(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def double(value: float) -> str:
    return f"{value:.15g}"  # dcmtk prints 17 digits and pydicom the shortest that read back


def number(value: Any) -> float | str | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return text(value)


def text(value: Any) -> float | str | None:
    return (value.strip() or None) if isinstance(value, str) else value


def name(value: dict[str, str] | None) -> dict[str, str]:
    groups = {group: part.strip(" ^") for group, part in (value or {}).items()}
    return {group: part for group, part in groups.items() if part}


def differences(path: Path, theirs: dict[str, tuple[str, Any]]) -> dict[str, tuple[Any, Any]]:
    mine = attributes(ours(path))
    return {tag: (mine.get(tag), theirs.get(tag)) for tag in mine | theirs if mine.get(tag) != theirs.get(tag)}


# --- pydicom


def by_pydicom(path: Path) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of the values these files were made to have
        dataset: dict[str, Any] = pydicom.dcmread(path).to_json_dict(suppress_invalid_tags=True)
        return dataset


# What pydicom says differently, and why: it leaves out what it finds invalid, and keeps the bytes of big endian words
# where PS3.18 F.2.7 asks for little endian. dcmtk, below, says of the latter what we say.
_PALETTE = {"00281201", "00281202", "00281203"}
_LEADING_ZERO_IN_UID = {"300C0002"}
PYDICOM_DIFFERS = {
    "badVR.dcm": {"00280008"} | _LEADING_ZERO_IN_UID,
    "bad_sequence.dcm": {"00080018", "0020000D", "0020000E", "00200010"},
    **dict.fromkeys(("OBXXXX1A_expb.dcm", "OBXXXX1A_expb_2frame.dcm"), _PALETTE),
    **dict.fromkeys(("rtdose.dcm", "rtdose_expb.dcm", "rtdose_rle.dcm"), _LEADING_ZERO_IN_UID),
    **dict.fromkeys(("rtdose_1frame.dcm", "rtdose_expb_1frame.dcm", "rtdose_rle_1frame.dcm"), _LEADING_ZERO_IN_UID),
}


@pytest.mark.parametrize("path", SAMPLES, ids=sample_id)
def test_pydicom_says_the_same_of_a_file(path: Path) -> None:
    """Same attributes, VRs and values as pydicom's DICOM JSON; it guesses VRs for private elements that have none."""
    theirs = attributes(by_pydicom(path))

    found = {tag for tag, (mine, _) in differences(path, theirs).items() if not (mine and mine[0] == "UN")}

    assert found == PYDICOM_DIFFERS.get(path.name, set())


# --- dcmtk

NO_DCM2JSON = pytest.mark.skipif(shutil.which("dcm2json") is None, reason="dcmtk's dcm2json is not installed")

# Both that Debian has: 3.6.7, and the one that comes with json2dcm.
PROGRAMS = pytest.mark.parametrize(
    "program",
    [
        pytest.param("dcm2json", id="installed", marks=NO_DCM2JSON),
        pytest.param(DCM2JSON, id="newer", marks=needs_json2dcm),
    ],
)

# Pixels stand in the document here, which would be bulk data.
WHOLE = Limits(elements=100_000, string=2**24)


def by_dcmtk(path: Path, program: str) -> bytes | None:
    """Return dcm2json's DICOM JSON; None for what it does not convert, or not to JSON."""
    document = dcm2json(path, program=program)
    try:
        return document if document and json.loads(document) else None
    except ValueError:
        return None


@PROGRAMS
def test_dcmtk_says_the_same_of_every_file_it_converts(program: str) -> None:
    """Same attributes, VRs and values as dcm2json's DICOM JSON."""
    converted = {sample_id(path): (path, by_dcmtk(path, program)) for path in SAMPLES}

    found = {
        case: differences(path, attributes(json.loads(theirs))) for case, (path, theirs) in converted.items() if theirs
    }

    assert len(found) > 100
    assert {case: pairs for case, pairs in found.items() if pairs} == {}


@PROGRAMS
def test_dcmtk_s_json_of_every_file_it_converts_is_read(program: str) -> None:
    """Another writer's documents: read and written again they say what they said."""
    converted = {sample_id(path): by_dcmtk(path, program) for path in EDITS}

    read = {case: parse_dataset(theirs, limits=WHOLE) for case, theirs in converted.items() if theirs}

    assert len(read) > 100
    for case, dataset in read.items():
        again = json.loads(encode_json(to_json(dataset, stored_character_set=True)))
        assert attributes(again) == attributes(json.loads(converted[case] or b"")), case


# What an edit may name and json2dcm 3.7.0 cannot read. Both are its own: "FFFFFFFF" is eight hex digits (PS3.18 Table
# F.2.3-1), and the character set of an item says how the source has it, not how the JSON has (F.2.2, note 3).
def readable(dataset: Dataset) -> bool:
    return all("FFFFFFFF" not in element.values and all(map(readable, element.items)) for element in dataset.values())


@needs_json2dcm
@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=100, deadline=None)
@given(dataset=datasets().map(without_character_set).map(utf_8).filter(readable))
def test_json2dcm_makes_of_any_dataset_the_file_we_write(dataset: Dataset) -> None:
    """Every VR, private ones and those of items too: two writers, one in JSON and one in PS3.10, mean the same."""
    file = write_part10(dataset, EXPLICIT_VR_LITTLE_ENDIAN)

    found = json2dcm(encode_json(to_json(dataset, stored_character_set=True)))

    assert unlike(found, pydicom.dcmread(io.BytesIO(file))) == {}
