"""The XML of real files: read as it was written, and against dcmtk's dcm2xml."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.dicom.json_model import Limits, encode_json, to_json
from gateway.dicom.part10 import read_part10
from gateway.dicom.xml_model import parse_xml
from gateway.dicom.xml_write import to_xml
from gateway.errors import InvalidDicomXml
from tests.dicom.test_json_oracles import EDITS, as_the_dictionary_says, attributes, ours
from tests.samples import SAMPLES, sample, sample_id

# Binary values stand in the document here, which would be bulk data.
WHOLE = Limits(elements=100_000, string=2**24)


@pytest.mark.parametrize("path", EDITS, ids=sample_id)
def test_a_file_s_xml_is_read_as_it_was_written(path: Path) -> None:
    """Every attribute of every file, private blocks, empty values and all."""
    dataset = as_the_dictionary_says(read_part10(path.read_bytes(), 2**31).dataset)

    assert parse_xml(to_xml(dataset, stored_character_set=True), limits=WHOLE) == dataset


@pytest.mark.parametrize("name", ["nested_priv_SQ.dcm", "bad_sequence.dcm"])
def test_what_no_edit_may_hold_is_refused_of_a_file_too(name: str) -> None:
    """As in JSON: a group 0001, and a UID of letters."""
    dataset = as_the_dictionary_says(read_part10(sample(name).read_bytes()).dataset)

    with pytest.raises(InvalidDicomXml):
        parse_xml(to_xml(dataset))


def by_dcmtk(path: Path) -> dict[str, Any] | None:
    """Return dcm2xml's document in DICOM JSON, for comparison; None for what it does not convert."""
    command = ["dcm2xml", "-q", "--native-format", "+Xn", "+U8", "+Eb", "+M", str(path)]
    run = subprocess.run(command, capture_output=True, timeout=30, check=False)
    if run.returncode:
        return None
    dataset = parse_xml(run.stdout, limits=WHOLE)
    document: dict[str, Any] = json.loads(encode_json(to_json(dataset, stored_character_set=True)))
    return document


# What dcmtk writes of odd files and is refused here: VRs the dictionary does not allow, group 0001, a UID of letters.
REFUSED = {"nested_priv_SQ.dcm", "bad_sequence.dcm", "rtdose_rle.dcm", "rtdose_rle_1frame.dcm"}

# What dcmtk says differently: it leaves the block out of the tag though the creator has two of them, or there is none,
# and repeats the ideographic group of a name that has no phonetic one.
DIFFERS = {
    "waveform_ecg.dcm": {"70010031", "70010032", "70010053", "70011131", "70011132", "70011153"},
    "UN_sequence.dcm": {"4453000C", "4453100C"},
    "chrX1.dcm": {"00100010"},
    "chrX2.dcm": {"00100010"},
}


@pytest.mark.skipif(shutil.which("dcm2xml") is None, reason="dcmtk's dcm2xml is not installed")
def test_dcmtk_s_xml_of_every_file_it_converts_is_read() -> None:
    """Another writer's documents say of a file what we say of it: attributes, VRs and values."""
    converted = {path: by_dcmtk(path) for path in SAMPLES if path.name not in REFUSED}

    found = {path.name: differing(ours(path), theirs) for path, theirs in converted.items() if theirs is not None}

    assert len(found) > 100
    assert {name: tags for name, tags in found.items() if tags} == DIFFERS


def differing(mine: dict[str, Any], theirs: dict[str, Any]) -> set[str]:
    left, right = without_byte_order(attributes(mine)), without_byte_order(attributes(theirs))
    return {tag for tag in left | right if left.get(tag) != right.get(tag)}


def without_byte_order(found: Mapping[str, tuple[str, Any]]) -> dict[str, tuple[str, Any]]:
    """Return comparable values, of binary ones the bytes they have: dcm2xml writes words in big endian."""
    return {tag: (vr, which_bytes(value)) for tag, (vr, value) in found.items()}


def which_bytes(value: Any) -> Any:
    if isinstance(value, list):
        return [
            without_byte_order(item) if isinstance(item, dict) and "Alphabetic" not in item else item for item in value
        ]
    return sorted(value.replace(b"\0", b"")) if isinstance(value, bytes) else value


@pytest.mark.skipif(shutil.which("dcm2xml") is None, reason="dcmtk's dcm2xml is not installed")
@pytest.mark.parametrize(
    ("name", "patient"), [("chrFren.dcm", "Buc^Jérôme"), ("chrGerm.dcm", "Äneas^Rüdiger")], ids=["French", "German"]
)
def test_dcmtk_s_xml_in_latin_1_is_read(name: str, patient: str) -> None:
    """It is what dcm2xml writes of a dataset in ISO_IR 100 unless it is told to write UTF-8."""
    document = subprocess.run(["dcm2xml", "-q", "--native-format", "+M", sample(name)], capture_output=True).stdout

    dataset = parse_xml(document, limits=WHOLE)

    assert document.startswith(b'<?xml version="1.0" encoding="ISO-8859-1"?>')
    assert dataset["00100010"].values == (patient,)
