"""What changed between two versions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from gateway.dicom.dataset import BulkData, Dataset, Element, MergePatch
from gateway.dicom.json_model import encode_json, to_json
from gateway.metadata.apply import apply_to, apply_updates
from gateway.metadata.diff import changes, same_element, summarise
from gateway.metadata.image_set import Change, ImageSetMetadata, MetadataUpdates
from gateway.metadata.targets import targets_of
from tests.metadata.examples import (
    FIRST,
    SECOND,
    SERIES,
    any_instance,
    edits,
    first,
    image_set,
    instances,
    of_one_instance,
    patient,
    series,
    study,
    to_remove,
    to_set,
    updates_of,
)


def changes_by(updates: MetadataUpdates) -> list[Change]:
    """Return the changes that updates make to the example image set."""
    before = image_set()
    applied = apply_updates(before, targets_of(updates))
    return list(changes(before, apply_to(before, applied), applied.renamed))


def as_json(change: Change) -> Any:
    return encode_json([change.before, change.after]).decode()


# --- Attributes


def test_a_change_has_tag_keyword_vr_and_both_values() -> None:
    """PatientName at Patient level, as DICOM JSON elements."""
    assert changes_by(to_set(patient(PatientName="X^Y"))) == [
        Change(
            level="Patient",
            tag="00100010",
            keyword="PatientName",
            vr="PN",
            before={"vr": "PN", "Value": [{"Alphabetic": "DOE^JANE"}]},
            after={"vr": "PN", "Value": [{"Alphabetic": "X^Y"}]},
        )
    ]


def test_an_attribute_that_was_not_there_has_no_before_and_a_removed_one_no_after() -> None:
    """None is absent; an empty attribute has its VR only."""
    added, emptied = changes_by(to_set(study(Allergies="none", StudyDescription=None)))[::-1]
    removed = changes_by(to_remove(study(StudyDescription=None)))[0]

    assert (added.before, added.after) == (None, {"vr": "LO", "Value": ["none"]})
    assert emptied.after == {"vr": "LO"}
    assert removed.after is None


def test_a_private_element_changes_by_its_tag() -> None:
    """There is no keyword, and the VR is that of DICOMVRs."""
    change = changes_by(to_set(first({"00191001": "y"})))[0]

    assert (change.tag, change.keyword, change.vr) == ("00191001", None, "LO")
    assert (change.level, change.series_instance_uid, change.sop_instance_uid) == ("Instance", SERIES, FIRST)


def test_another_vr_for_the_same_value_is_a_change() -> None:
    """00191001 becomes SH."""
    change = changes_by(to_set(first({"00191001": "x"}, {"00191001": "SH"})))[0]

    assert as_json(change) == '[{"vr":"LO","Value":["x"]},{"vr":"SH","Value":["x"]}]'


def test_a_keyword_that_no_dictionary_has_is_told_by_itself() -> None:
    """There is neither tag nor VR to tell."""
    change = changes_by(to_set(first({"NotAnAttribute": "x"})))[0]

    assert (change.tag, change.keyword, change.vr) == (None, "NotAnAttribute", None)
    assert change.after == {"Value": ["x"]}


def test_changes_come_by_level_and_then_by_tag() -> None:
    """Patient, Study, Series, Instance; within a level ascending."""
    document = {**patient(PatientSex="F", PatientName="A"), **study(StudyTime="10", StudyDate="20250101")}

    assert [change.keyword for change in changes_by(to_set(document))] == [
        "PatientName",
        "PatientSex",
        "StudyDate",
        "StudyTime",
    ]


# --- What is no change


@pytest.mark.parametrize(
    ("key", "value"),
    [("SliceLocation", " 12.50"), ("InstanceNumber", "1 "), ("WindowCenter", ["40 "])],
)
def test_padding_of_a_number_is_no_change(key: str, value: Any) -> None:
    """The spaces around DS and IS are insignificant (PS3.5 section 6.2)."""
    before, after = image_set(), image_set()
    after.instances[FIRST]["DICOM"][key] = value

    assert changes(before, after) == ()


def test_padding_of_text_is_a_change_of_what_is_stored() -> None:
    """Spaces in a CS are not in the document to begin with, so they are told."""
    before, after = image_set(), image_set()
    after.instances[FIRST]["DICOM"]["ImageType"] = ["ORIGINAL ", "PRIMARY", "AXIAL"]

    assert [change.keyword for change in changes(before, after)] == ["ImageType"]


def test_the_order_of_keys_is_no_change() -> None:
    """A document is compared by key."""
    before, after = image_set(), image_set()
    dicom = after.instances[FIRST]["DICOM"]
    after.instances[FIRST]["DICOM"] = dict(reversed(dicom.items()))

    assert changes(before, after) == ()


def test_the_order_of_items_is_a_change() -> None:
    """Items of a sequence have an order (PS3.5 section 7.5)."""
    one, two = {"00080100": Element("SH", ("A",))}, {"00080100": Element("SH", ("B",))}

    assert not same_element(Element("SQ", items=(one, two)), Element("SQ", items=(two, one)))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param(Element("DS", ("1.0",)), Element("DS", ("1.0 ",)), True, id="padding"),
        pytest.param(Element("DS", ("1.0",)), Element("DS", ("1.00",)), False, id="digits are text"),
        pytest.param(Element("LO", ("a",)), Element("LO", ("a ",)), False, id="text"),
        pytest.param(Element("FD", (float("nan"),)), Element("FD", (float("nan"),)), True, id="not a number"),
        pytest.param(Element("US", (1,)), Element("SS", (1,)), False, id="VR"),
        pytest.param(Element("OB", binary=BulkData("a", 9)), Element("OB", binary=BulkData("a")), True, id="bulk"),
        pytest.param(Element("OB", binary=BulkData("a")), Element("OB", binary=BulkData("b")), False, id="other bulk"),
        pytest.param(
            Element("SQ", items=({"00181164": Element("DS", ("1",))},)),
            Element("SQ", items=({"00181164": Element("DS", ("1 ",))},)),
            True,
            id="padding in an item",
        ),
    ],
)
def test_sameness_is_of_values(one: Element, other: Element, same: bool) -> None:
    """Two elements are the same if a reader gets the same value from both."""
    assert same_element(one, other) is same


# --- Instances


def test_an_instance_that_went_is_one_change() -> None:
    """Not one for each of its attributes."""
    assert changes_by(to_remove(instances({SECOND: {}}))) == [
        Change("Instance", None, None, None, {"SOPInstanceUID": SECOND}, None, SERIES, SECOND)
    ]


def test_an_instance_that_came_is_one_change() -> None:
    """As when a later version is compared with one from before a removal."""
    after = image_set()
    before = ImageSetMetadata(after.head, {FIRST: after.instances[FIRST]})

    assert changes(before, after) == (
        Change("Instance", None, None, None, None, {"SOPInstanceUID": SECOND}, SERIES, SECOND),
    )


def test_a_renamed_instance_is_a_change_of_its_uid() -> None:
    """Told of the new name, diff compares what has the old one with what has the new."""
    found = changes_by(to_set(first({"SOPInstanceUID": "1.9"})))

    assert [change.keyword for change in found] == ["MediaStorageSOPInstanceUID", "SOPInstanceUID"]
    assert {change.sop_instance_uid for change in found} == {"1.9"}


def test_a_renamed_instance_nobody_told_of_is_one_that_went_and_one_that_came() -> None:
    """Two versions alone do not say that it is the same instance."""
    before = image_set()
    after = apply_to(before, apply_updates(before, targets_of(to_set(first({"SOPInstanceUID": "1.9"})))))

    assert [(change.before, change.after) for change in changes(before, after)] == [
        ({"SOPInstanceUID": FIRST}, None),
        (None, {"SOPInstanceUID": "1.9"}),
    ]


# --- The summary


def test_the_summary_has_each_key_once_by_level() -> None:
    """Keywords, tags where there are none; an instance that came or went has none."""
    document = instances({uid: {"DICOM": {"InstanceNumber": "7", "00191001": "y"}} for uid in (FIRST, SECOND)})
    document["Patient"] = {"DICOM": {"PatientName": "X"}}
    came = Change("Instance", None, None, None, None, {"SOPInstanceUID": "1.2"}, SERIES, "1.2")

    assert summarise((*changes_by(to_set(document)), came)) == {
        "Patient": ["PatientName"],
        "Instance": ["00191001", "InstanceNumber"],
    }


def test_a_series_is_named_by_its_latest_uid() -> None:
    """A change of SeriesInstanceUID is found under the new one."""
    assert changes_by(to_set(series(SeriesInstanceUID="1.5")))[0].series_instance_uid == "1.5"


# --- Laws


@given(any_instance)
def test_nothing_changed_between_a_version_and_itself(dataset: Dataset) -> None:
    """diff(a, a) is empty."""
    assert changes(of_one_instance(dataset), of_one_instance(dict(dataset))) == ()


@given(edits())
def test_the_changes_are_exactly_the_attributes_that_an_edit_touched(edit: tuple[Dataset, MergePatch]) -> None:
    """An attribute set to another value or removed is reported with both values, and no other one is."""
    before, patch = edit
    metadata = of_one_instance(before)
    after = apply_to(metadata, apply_updates(metadata, targets_of(updates_of(patch))))

    touched = {
        tag
        for tag, element in patch.items()
        if (tag in before) is (element is None) or (element and not same_element(before[tag], element))
    }
    found = changes(metadata, after)
    assert {change.tag for change in found} == touched
    shown = to_json(before, file_meta=True, stored_character_set=True)
    assert encode_json({change.tag: change.before for change in found}) == encode_json(
        {change.tag: shown.get(change.tag or "") for change in found}
    )


@given(edits())
def test_undoing_every_change_is_the_version_before(edit: tuple[Dataset, MergePatch]) -> None:
    """What diff reports from N+1 to N is enough to make N out of N+1."""
    before, patch = edit
    metadata = of_one_instance(before)
    after = apply_to(metadata, apply_updates(metadata, targets_of(updates_of(patch))))

    undo: MergePatch = {str(change.tag): before.get(str(change.tag)) for change in changes(after, metadata)}
    undone = apply_to(after, apply_updates(after, targets_of(updates_of(undo))))

    assert undone == metadata
