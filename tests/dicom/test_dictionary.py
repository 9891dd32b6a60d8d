"""The dictionary, against dcmtk's: version 3.6.7 carries PS3.6 2022b, the edition HealthImaging names metadata by."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydicom.datadict import DicomDictionary

from gateway.dicom.dictionary import (
    AFTER_2022B,
    BINARY_VRS,
    FLOAT_VRS,
    INTEGER_VRS,
    STRING_VRS,
    VRS,
    Entry,
    entry_named,
    entry_of,
    is_group_length,
    is_private,
    is_private_creator,
    is_tag,
    key_of,
    multi_valued,
    naming_of,
    tag_of,
    vrs_of,
)

DCMTK = Path("/usr/share/libdcmtk17/dicom.dic")

# dcmtk's own letters for a choice of VR; it has one for lookup table data of any kind.
DCMTK_VRS = {"px": {"OB", "OW"}, "ox": {"OB", "OW"}, "xs": {"US", "SS"}, "lt": {"US", "SS", "OW"}, "up": {"UL"}}

# In dcmtk's dictionary as examples of repeating groups and elements, which PS3.6 has by pattern (5083 ff. of the file).
REPEATING = frozenset(
    """
    00280410 00280411 00280412 00280413 00280800 00280802 00280803 00280804 00280808
    10000010 10000011 10000012 10000013 10000014 10000015 10100004
    """.split()
)

_LINE = re.compile(r"\(([0-9A-F]{4}),([0-9A-F]{4})\)\t(\w\w)\t(\w+)\t(\S+)\tDICOM")


@pytest.fixture(scope="module")
def dcmtk() -> dict[str, tuple[str, set[str], str]]:
    """Tag -> (keyword, VRs, VM) of every attribute dcmtk names."""
    if not DCMTK.exists():
        pytest.skip(f"{DCMTK}: dcmtk 3.6.7 is not installed")
    matches = filter(None, map(_LINE.match, DCMTK.read_text(encoding="latin-1").splitlines()))
    return {
        match[1] + match[2]: (match[4].removeprefix("RETIRED_"), DCMTK_VRS.get(match[3], {match[3]}), match[5])
        for match in matches
        if match[3] != "na"
    }


def test_every_attribute_of_2022b_is_in_it(dcmtk: dict[str, tuple[str, set[str], str]]) -> None:
    """Tag by tag, the keyword is dcmtk's, and there are as many."""
    theirs = {tag: keyword for tag, (keyword, _, _) in dcmtk.items() if tag not in REPEATING}
    ours = {tag: entry.keyword for tag in theirs if (entry := entry_of(tag))}

    assert ours == theirs
    assert len(theirs) > 4800


def test_nothing_after_2022b_is_in_it(dcmtk: dict[str, tuple[str, set[str], str]]) -> None:
    """What a newer edition added is unknown: neither its tag nor its keyword is in dcmtk's dictionary or in ours."""
    current = {f"{number:08X}" for number in DicomDictionary}

    assert not AFTER_2022B & dcmtk.keys()
    assert {tag for tag in current if entry_of(tag)} <= dcmtk.keys()


def test_vr_and_vm_are_those_of_2022b(dcmtk: dict[str, tuple[str, set[str], str]]) -> None:
    """VRs are dcmtk's; so is whether a value may be one of several, which makes an array in a document."""
    for tag, (_, vrs, vm) in dcmtk.items():
        entry = entry_of(tag)
        if entry:
            assert vrs_of(tag) == vrs or (tag, vrs_of(tag)) == ("00283006", frozenset({"US", "OW"})), tag
            assert multi_valued(entry) == (vm != "1"), tag


@pytest.mark.parametrize(
    ("tag", "entry"),
    [
        ("00100010", Entry("00100010", "PatientName", "PN", "1")),
        ("00080018", Entry("00080018", "SOPInstanceUID", "UI", "1")),
        ("00280106", Entry("00280106", "SmallestImagePixelValue", "US", "1")),
        ("00283006", Entry("00283006", "LUTData", "US", "1-n")),
        ("7FE00010", Entry("7FE00010", "PixelData", "OW", "1")),
        ("00081250", Entry("00081250", "RelatedSeriesSequence", "SQ", "1")),
    ],
)
def test_entries(tag: str, entry: Entry) -> None:
    """A line is found by its tag and by its keyword; of a choice of VR it has the one that goes without saying."""
    assert entry_of(tag) == entry
    assert entry_named(entry.keyword) == entry


@pytest.mark.parametrize("tag", ["00090010", "60003000", "00080400", "00080000", "FFFEE000", "00091001"])
def test_tags_without_an_entry(tag: str) -> None:
    """Private ones, repeating groups, newer ones, group lengths and delimiters are known by their tag alone."""
    assert entry_of(tag) is None
    assert vrs_of(tag) == frozenset()
    assert key_of(tag) == tag
    assert tag_of(tag) == tag


def test_keys_and_tags_are_each_others_inverse() -> None:
    """A document's key is the keyword, and gives the tag back."""
    assert key_of("00100010") == "PatientName"
    assert tag_of("PatientName") == "00100010"
    assert tag_of("patientname") is None
    assert tag_of("0010001g") is None
    assert tag_of("7fe00010") is None


def test_a_tag_has_its_key_vr_and_multiplicity_at_once() -> None:
    """What has no line in PS3.6 has its tag as its key, and no VR."""
    assert naming_of("00100010") == ("PatientName", "PN", False)
    assert naming_of("00080008") == ("ImageType", "CS", True)
    assert naming_of("00280106") == ("SmallestImagePixelValue", "US", False)
    assert naming_of("00091001") == ("00091001", None, False)


def test_each_vr_has_one_kind_of_value() -> None:
    """PS3.5 Table 6.2-1 has 34 VRs; each is in exactly one of the sets, and SQ in none."""
    kinds = (STRING_VRS, INTEGER_VRS, FLOAT_VRS, BINARY_VRS, frozenset({"SQ"}))

    assert len(VRS) == 34 == sum(map(len, kinds))


@pytest.mark.parametrize(
    ("tag", "private", "creator", "length"),
    [
        ("00100010", False, False, False),
        ("00090010", True, True, False),
        ("000900FF", True, True, False),
        ("0009000F", True, False, False),
        ("00091010", True, False, False),
        ("7FE10000", True, False, True),
        ("00080000", False, False, True),
    ],
)
def test_kinds_of_tags(tag: str, private: bool, creator: bool, length: bool) -> None:
    """PS3.5 sections 7.8 and 7.2: odd groups, the elements that reserve a block, group lengths."""
    assert (is_private(tag), is_private_creator(tag), is_group_length(tag)) == (private, creator, length)
    assert is_tag(tag)
