"""Datasets and merge patches to SchemaVersion 1.1 and back (docs/mapping.md)."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicom.dataset import BulkData, Dataset, Element, in_tag_order
from gateway.dicom.dictionary import key_of
from gateway.dicom.json_model import encode_json, parse_dataset, parse_merge_patch, to_json
from gateway.dicom.levels import LEVELS
from gateway.dicom.part10 import read_part10
from gateway.errors import InvalidUpdate, Level
from gateway.metadata.image_set import LevelMetadata, MetadataUpdates
from gateway.metadata.mapping import (
    LevelPatch,
    attribute_of,
    element_of,
    to_dataset,
    to_head,
    to_instance_metadata,
    to_level_metadata,
    to_updates,
    vr_of,
)
from tests.samples import SAMPLES, sample_id
from tests.strategies import datasets

# --- Vectors: the shared ones, written from AWS's pages, and ours, for where they are silent

SHARED = Path(__file__).parents[2].parent / "shared" / "vectors" / "mapping.json"
OURS = Path(__file__).parents[1] / "vectors" / "mapping.json"


def vectors(path: Path) -> dict[str, Any]:
    """Return a file of vectors; one without cases where it is absent."""
    if not path.exists():
        return {"cases": []}
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def named(document: dict[str, Any]) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in document["cases"]]


shared, ours = vectors(SHARED), vectors(OURS)


def is_as_expected(expected: Any, found: Any) -> bool:
    """Whether two JSON values are the same, "*" standing for any."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return expected.keys() == found.keys() and all(is_as_expected(expected[key], found[key]) for key in expected)
    return expected == "*" or (expected == found and type(expected) is type(found))


@pytest.mark.skipif(not SHARED.exists(), reason="the shared vectors are not beside this repository")
@pytest.mark.parametrize("case", named(shared))
def test_shared_vectors(case: dict[str, Any]) -> None:
    """A DICOM JSON merge patch becomes the update that AWS's examples and rules say."""
    patch = parse_merge_patch(json.dumps(case["mergePatch"]).encode())
    series, instance = shared["series"], shared["instance"]

    updates = to_updates([LevelPatch(case["level"], patch, series, instance)])

    assert is_as_expected(case["updatable"], updates.updatable)
    assert is_as_expected(case["removable"], updates.removable)


def at_level(updates: MetadataUpdates, level: Level, series: str, instance: str) -> Any:
    """Return the part of an update document that is one level's."""
    document = updates.updatable or {}
    path = {
        "Patient": ["Patient"],
        "Study": ["Study"],
        "Series": ["Study", "Series", series],
        "Instance": ["Study", "Series", series, "Instances", instance],
    }[level]
    for key in path:
        document = document[key]
    return document


@pytest.mark.parametrize("case", named(ours))
def test_our_vectors(case: dict[str, Any]) -> None:
    """A DICOM JSON merge patch becomes the update written down, and reads back as the same attributes."""
    patch = parse_merge_patch(json.dumps(case["mergePatch"]).encode())

    updates = to_updates([LevelPatch(case["level"], patch, ours["series"], ours["instance"])])

    found: LevelMetadata = at_level(updates, case["level"], ours["series"], ours["instance"])
    assert is_as_expected(case["at"], found)
    assert to_dataset(found) == patch


# --- Updates


def test_one_document_holds_all_levels() -> None:
    """Patches of several levels and instances become one document, and none of it twice."""
    patches = [
        LevelPatch("Instance", {"00200013": Element("IS", ("2",))}, "1.2", "1.2.2"),
        LevelPatch("Instance", {"00200013": Element("IS", ("1",))}, "1.2", "1.2.1"),
        LevelPatch("Series", {"00080060": Element("CS", ("CT",))}, "1.2"),
        LevelPatch("Patient", {"00100020": Element("LO", ("P",))}),
        LevelPatch("Study", {"00200010": Element("SH", ("S",))}),
    ]

    assert to_updates(patches).updatable == {
        "SchemaVersion": 1.1,
        "Patient": {"DICOM": {"PatientID": "P"}},
        "Study": {
            "DICOM": {"StudyID": "S"},
            "Series": {
                "1.2": {
                    "DICOM": {"Modality": "CT"},
                    "Instances": {
                        "1.2.2": {"DICOM": {"InstanceNumber": "2"}},
                        "1.2.1": {"DICOM": {"InstanceNumber": "1"}},
                    },
                }
            },
        },
    }


def test_levels_come_in_their_order() -> None:
    """A level's own attributes stand before those of the levels below, whatever the order of the patches."""
    patches = [
        LevelPatch("Series", {"00080060": Element("CS", ("CT",))}, "1.2"),
        LevelPatch("Study", {"00200010": Element("SH", ("S",))}),
    ]

    assert list((to_updates(patches).updatable or {})["Study"]) == ["DICOM", "Series"]


def test_an_edit_of_nothing_is_no_update() -> None:
    """Empty patches give neither document."""
    assert to_updates([LevelPatch("Study", {}), LevelPatch("Patient", {})]) == MetadataUpdates(None, None)


def test_patches_of_a_level_that_agree_are_one() -> None:
    """The same patch for each of many instances is one edit of the level they share."""
    patch = LevelPatch("Patient", {"00100020": Element("LO", ("P",)), "00100030": None})

    assert to_updates([patch] * 3) == MetadataUpdates(
        {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientID": "P"}}},
        {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientBirthDate": None}}},
    )


@pytest.mark.parametrize("other", [Element("LO", ("Q",)), Element("LO"), None])
def test_patches_of_a_level_that_disagree_are_refused(other: Element | None) -> None:
    """Two instances cannot have two values for what they share, and the error names it without its values."""
    patches = [LevelPatch("Patient", {"00100020": Element("LO", ("P",))}), LevelPatch("Patient", {"00100020": other})]

    with pytest.raises(InvalidUpdate, match=r"^PatientID is given two values at Patient level$"):
        to_updates(patches)


def test_the_character_set_of_the_json_is_not_edited() -> None:
    """ISO_IR 192 says how the DICOM JSON is encoded; another value is an edit like any."""
    utf_8 = LevelPatch("Instance", {"00080005": Element("CS", ("ISO_IR 192",))}, "1.2", "1.2.3")
    latin = LevelPatch("Instance", {"00080005": Element("CS", ("ISO_IR 100",))}, "1.2", "1.2.3")

    assert to_updates([utf_8]) == MetadataUpdates(None, None)
    assert at_level(to_updates([latin]), "Instance", "1.2", "1.2.3") == {
        "DICOM": {"SpecificCharacterSet": ["ISO_IR 100"]}
    }


# --- Documents


def test_heads_are_alphabetical_and_instances_in_tag_order() -> None:
    """Keys come as HealthImaging's documents have them, and DICOMVRs always beside an instance."""
    dataset = {
        "00020010": Element("UI", ("1.2.840.10008.1.2.1",)),
        "00080005": Element("CS", ("ISO_IR 100",)),
        "00080020": Element("DA", ("20240131",)),
        "00080050": Element("SH"),
        "00080060": Element("CS", ("CT",)),
        "00100010": Element("PN", ("A^B",)),
        "00100020": Element("LO", ("P",)),
        "00280120": Element("SS", (-1,)),
    }

    head, instance = to_head(dataset), to_instance_metadata(dataset)

    assert head.patient == {"DICOM": {"PatientID": "P", "PatientName": "A^B"}}
    assert list(head.patient["DICOM"]) == ["PatientID", "PatientName"]
    assert list(head.study["DICOM"]) == ["AccessionNumber", "StudyDate"]
    assert head.series == {
        "DICOM": {"Modality": "CT", "PixelPaddingValue": -1},
        "DICOMVRs": {"PixelPaddingValue": "SS"},
    }
    assert instance == {
        "DICOM": {"TransferSyntaxUID": "1.2.840.10008.1.2.1", "SpecificCharacterSet": ["ISO_IR 100"]},
        "DICOMVRs": {},
    }


def test_a_decimal_string_keeps_its_padding() -> None:
    """DS and IS keep their text, as HealthImaging's documents do."""
    assert attribute_of("00180060", Element("DS", ("120 ",))) == "120 "
    assert attribute_of("00281050", Element("DS", ("0 ",))) == ["0 "]


def test_keys_a_forced_update_added_are_no_attributes() -> None:
    """A key that is neither keyword nor tag stays in the document, and DICOM does not see it."""
    level: LevelMetadata = {"DICOM": {"NotAnAttribute": "x", "PatientID": "P"}}

    assert to_dataset(level) == {"00100020": Element("LO", ("P",))}


def test_a_private_element_without_its_vr_is_refused() -> None:
    """Nothing can be written of a value whose VR nobody knows."""
    with pytest.raises(InvalidUpdate, match=r"^00091010: DICOMVRs has no VR for it$"):
        to_dataset({"DICOM": {"00091010": "x"}})


# What a SchemaVersion 1.1 value of each kind may be; the rest is no value of the VR.
UNREADABLE: list[tuple[str, Any]] = [
    ("LO", 5),
    ("LO", {"Alphabetic": "A"}),
    ("PN", {"Alphabetic": "A"}),
    ("LO", True),
    ("LT", ["a", "b"]),
    ("US", "5"),
    ("US", 1.5),
    ("US", [1, None]),
    ("US", True),
    ("FD", "1.5"),
    ("FD", 10**400),
    ("SV", "x"),
    ("SQ", {"CodeValue": "A"}),
    ("SQ", "A"),
    ("SQ", [None]),
    ("OB", "!!!"),
    ("OB", ["AAE="]),
    ("OB", {"BulkDataURI": 5}),
    ("OB", {"BulkDataURI": "x", "more": 1}),
    ("DS", {}),
]


@pytest.mark.parametrize(("vr", "value"), UNREADABLE, ids=[f"{vr} {str(value)[:20]}" for vr, value in UNREADABLE])
def test_a_value_of_another_json_type_is_refused(vr: str, value: Any) -> None:
    """A JSON value that cannot be one of the VR is refused, naming the key."""
    with pytest.raises(InvalidUpdate, match="^00091010: "):
        element_of("00091010", value, vr)


def test_a_value_in_a_sequence_is_refused_by_its_path() -> None:
    """The error names where in the sequence the value is."""
    with pytest.raises(InvalidUpdate, match=r"^ProcedureCodeSequence\[1\]\.CodeValue: SH is a string$"):
        element_of("ProcedureCodeSequence", [{}, {"CodeValue": 5}], "SQ")


@pytest.mark.parametrize(
    ("vr", "value", "element"),
    [
        ("DS", 70.5, Element("DS", ("70.5",))),
        ("IS", [7], Element("IS", ("7",))),
        ("US", 5.0, Element("US", (5,))),
        ("FD", 5, Element("FD", (5.0,))),
        ("LO", "", Element("LO")),
        ("LO", [], Element("LO")),
        ("LO", [None, "a"], Element("LO", ("", "a"))),
        ("SQ", [], Element("SQ")),
        ("OB", "", Element("OB")),
        ("OB", {"BulkDataURI": "x"}, Element("OB", binary=BulkData("x"))),
    ],
)
def test_other_forms_of_a_value_are_read(vr: str, value: Any, element: Element) -> None:
    """Documents of other writers may have numbers for DS and IS, 5.0 for 5, and empty arrays for null."""
    assert element_of("00091010", value, vr) == element


def test_a_vr_is_looked_up_by_path_then_key_then_dictionary() -> None:
    """The most particular entry wins."""
    vrs = {"00091010[0].LUTDescriptor": "SS", "00091011": "LO"}

    assert vr_of("LUTDescriptor", vrs, "00091010[0].LUTDescriptor") == "SS"
    assert vr_of("LUTDescriptor", vrs, "00091010[1].LUTDescriptor") == "US"
    assert vr_of("00091011", vrs) == "LO"
    assert vr_of("00091012", vrs) is None


PAGE = Path(__file__).parents[2] / "docs" / "mapping.md"


@pytest.mark.parametrize(
    "example", re.findall(r"```json\n(\{\"DICOM\".*?|\{\n  \"DICOM\".*?)```", PAGE.read_text(), re.DOTALL)
)
def test_the_page_s_examples_are_true(example: str) -> None:
    """Every level shown on docs/mapping.md is what its own dataset maps to."""
    level: LevelMetadata = json.loads(example)

    assert to_level_metadata(to_dataset(level)) == level


# --- Laws: nothing is lost, in either direction


@given(datasets(bulk=True, odd_vrs=True))
def test_a_dataset_comes_back_from_its_document(dataset: Dataset) -> None:
    """Dataset to 1.1, through JSON text, to dataset is the identity, whatever VRs a file gave its attributes."""
    document: LevelMetadata = json.loads(encode_json(to_level_metadata(dataset)))

    assert to_dataset(document) == dataset


@given(datasets(bulk=True, odd_vrs=True))
def test_a_dataset_comes_back_from_its_four_levels(dataset: Dataset) -> None:
    """The four levels together are the dataset, and each attribute is in exactly one of them."""
    head, instance = to_head(dataset), to_instance_metadata(dataset)
    levels = [head.patient, head.study, head.series, instance]

    keys = [key for level in levels for key in level["DICOM"]]

    assert to_dataset(*levels) == dataset
    assert sorted(keys) == sorted(key_of(tag) for tag in dataset)


@given(datasets())
def test_dicom_json_comes_back_from_its_document(dataset: Dataset) -> None:
    """DICOM JSON to 1.1 to DICOM JSON is the identity, byte for byte."""
    body = encode_json(to_json(dataset, stored_character_set=True))
    document = to_level_metadata(parse_dataset(body))

    assert encode_json(to_json(to_dataset(document), stored_character_set=True)) == body


@given(datasets(odd_vrs=True))
def test_dicomvrs_holds_what_the_dictionary_does_not_say(dataset: Dataset) -> None:
    """No entry is there that could be left out."""
    document = to_level_metadata(dataset)
    vrs = document.get("DICOMVRs", {})

    for key in vrs:
        without: LevelMetadata = {
            "DICOM": document["DICOM"],
            "DICOMVRs": {other: vr for other, vr in vrs.items() if other != key},
        }
        with suppress(InvalidUpdate):
            assert to_dataset(without) != dataset


@given(st.lists(st.tuples(st.sampled_from(LEVELS), datasets(depth=1)), max_size=4))
def test_an_update_holds_every_patch(drawn: list[tuple[Level, Dataset]]) -> None:
    """What the patches set and remove is what the documents say, level by level."""
    patches = {
        level: {tag: element if position % 2 else None for position, (tag, element) in enumerate(dataset.items())}
        for level, dataset in drawn
    }
    updates = to_updates([LevelPatch(level, patch, "1.2", "1.2.3") for level, patch in patches.items()])

    for level, patch in patches.items():
        kept = {tag: element for tag, element in patch.items() if element is not None}
        if kept:
            assert to_dataset(at_level(updates, level, "1.2", "1.2.3")) == in_tag_order(kept)
        removed = [key_of(tag) for tag, element in patch.items() if element is None]
        if removed:
            assert list(at_level(MetadataUpdates(updates.removable), level, "1.2", "1.2.3")["DICOM"]) == removed


# --- The same laws over real files


def without_lengths(dataset: Dataset) -> Dataset:
    """Return the dataset with references that are a URI alone: the document does not say how long a value is."""
    return {
        tag: Element(
            element.vr,
            element.values,
            tuple(without_lengths(item) for item in element.items),
            BulkData(element.binary.uri) if isinstance(element.binary, BulkData) else element.binary,
        )
        for tag, element in dataset.items()
    }


@pytest.mark.parametrize("path", SAMPLES, ids=sample_id)
def test_a_file_comes_back_from_its_document(path: Path) -> None:
    """PS3.10 to 1.1, through JSON text, gives the same elements, each on exactly one level."""
    dataset = read_part10(path.read_bytes()).dataset
    head, instance = to_head(dataset), to_instance_metadata(dataset)

    levels = json.loads(encode_json([head.patient, head.study, head.series, instance]))

    assert to_dataset(*levels) == without_lengths(dataset)
    assert sum(len(level["DICOM"]) for level in levels) == len(dataset)
