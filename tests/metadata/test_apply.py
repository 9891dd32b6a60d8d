"""Version N and an update to version N+1."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given

from gateway.dicom.dataset import Dataset, MergePatch, in_tag_order
from gateway.metadata.apply import apply_to, apply_updates, named_instances
from gateway.metadata.diff import same_element
from gateway.metadata.document import to_document
from gateway.metadata.image_set import ImageSetMetadata, MetadataUpdates
from gateway.metadata.mapping import to_dataset
from gateway.metadata.targets import targets_of
from tests.metadata.examples import (
    DOCUMENT,
    FIRST,
    SECOND,
    SERIES,
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


def after(updates: MetadataUpdates) -> ImageSetMetadata:
    """Return the example image set with the updates in it."""
    metadata = image_set()
    return apply_to(metadata, apply_updates(metadata, targets_of(updates)))


def of_first(updates: MetadataUpdates) -> dict[str, Any]:
    return dict(after(updates).instances[FIRST])


# --- Attributes


def test_an_attribute_is_set_and_its_neighbours_stay() -> None:
    """Setting PatientName leaves PatientID, and the keys in alphabetical order."""
    assert after(to_set(patient(PatientName="X^Y"))).head.patient == {
        "DICOM": {"PatientBirthDate": "1970-01-01", "PatientID": "P1", "PatientName": "X^Y"}
    }


def test_a_new_attribute_of_the_head_takes_its_place_in_the_alphabet() -> None:
    """PatientComments comes between PatientBirthDate and PatientID."""
    dicom = after(to_set(patient(PatientComments="c"))).head.patient["DICOM"]

    assert list(dicom) == ["PatientBirthDate", "PatientComments", "PatientID", "PatientName"]


def test_a_new_attribute_of_an_instance_takes_its_place_among_the_tags() -> None:
    """AcquisitionDate (0008,0022) comes right after SOPInstanceUID (0008,0018)."""
    keys = list(of_first(to_set(first({"AcquisitionDate": "20240101"})))["DICOM"])

    assert keys[keys.index("AcquisitionDate") - 1] == "SOPInstanceUID"


def test_null_stores_an_attribute_empty() -> None:
    """null as a value is zero length, not a removal."""
    assert after(to_set(study(StudyDescription=None))).head.study["DICOM"]["StudyDescription"] is None


def test_a_removed_attribute_is_gone_whatever_value_the_document_gives() -> None:
    """Of a removal only the key counts."""
    assert "StudyDescription" not in after(to_remove(study(StudyDescription="not CHEST"))).head.study["DICOM"]


def test_a_sequence_is_replaced_as_a_whole() -> None:
    """An item given with one attribute has no more of the ones it had."""
    assert after(to_set(study(ProcedureCodeSequence=[{"CodeValue": "B"}]))).head.study["DICOM"][
        "ProcedureCodeSequence"
    ] == [{"CodeValue": "B"}]


def test_one_value_of_an_attribute_with_several_is_stored_as_an_array() -> None:
    """SoftwareVersions has VM 1-n, so a bare string becomes an array of one."""
    assert after(to_set(series(SoftwareVersions="2.0"))).head.series["DICOM"]["SoftwareVersions"] == ["2.0"]


def test_padding_alone_is_no_change_and_the_stored_text_stays() -> None:
    """SliceLocation "12.50" over the stored "12.50 " touches nothing."""
    assert apply_updates(image_set(), targets_of(to_set(first({"SliceLocation": "12.50"})))).instances == {}


def test_a_keyword_that_no_dictionary_has_is_kept_as_it_came() -> None:
    """What force lets pass is in the document, after the attributes with tags."""
    dicom = of_first(to_set(first({"NotAnAttribute": ["x", 1]})))["DICOM"]

    assert list(dicom.items())[-1] == ("NotAnAttribute", ["x", 1])


# --- VRs of private elements


def test_a_private_element_brings_its_vr_and_takes_it_away() -> None:
    """Example 5 adds 001910F9 with its VR; removing it removes both."""
    added = of_first(to_set(first({"001910F9": "97"}, {"001910F9": "DS"})))
    removed = of_first(to_remove(first({"00191001": "x"})))

    assert (added["DICOM"]["001910F9"], added["DICOMVRs"]["001910F9"]) == ("97", "DS")
    assert "00191001" not in removed["DICOM"] and "00191001" not in removed["DICOMVRs"]
    assert removed["DICOMVRs"]["00190010"] == "LO"


def test_a_private_element_that_exists_keeps_its_vr() -> None:
    """Example 6 gives a value and no VR."""
    instance = of_first(to_set(first({"00191001": "GE_GENESIS_DD"})))

    assert (instance["DICOM"]["00191001"], instance["DICOMVRs"]["00191001"]) == ("GE_GENESIS_DD", "LO")


def test_removing_a_private_sequence_removes_the_vrs_of_what_was_in_it() -> None:
    """00191003 occurs in 00191002 only, so neither has an entry afterwards."""
    assert of_first(to_remove(first({"00191002": None})))["DICOMVRs"].keys() == {
        "00190010",
        "00191001",
        "SmallestImagePixelValue",
        "60003000",
    }


def test_one_key_with_two_vrs_gets_an_entry_by_path() -> None:
    """00191003 becomes US at the level itself and stays LO in the item of 00191002, which comes first."""
    instance = of_first(to_set(first({"00191003": 7}, {"00191003": "US"})))

    assert list(instance["DICOMVRs"].items()) == [
        ("00190010", "LO"),
        ("00191001", "LO"),
        ("00191002", "SQ"),
        ("00191003", "US"),
        ("00191002[0].00191003", "LO"),
        ("SmallestImagePixelValue", "SS"),
        ("60003000", "OW"),
    ]


def test_an_entry_that_is_about_nothing_does_no_harm() -> None:
    """A document from elsewhere may have one; it stays where it is."""
    metadata = image_set()
    metadata.instances[FIRST]["DICOMVRs"]["00311001"] = "LO"

    applied = apply_updates(metadata, targets_of(to_set(first({"001910F9": "97"}, {"001910F9": "DS"}))))

    touched = applied.instances[FIRST]
    assert touched is not None
    assert touched[1]["DICOMVRs"]["00311001"] == "LO"


def test_a_keyword_without_a_vr_beside_it_has_the_vr_of_the_dictionary() -> None:
    """SmallestImagePixelValue is stored as SS; an update that does not say so makes it US."""
    instance = of_first(to_set(first({"SmallestImagePixelValue": 5})))

    assert instance["DICOM"]["SmallestImagePixelValue"] == 5
    assert "SmallestImagePixelValue" not in instance["DICOMVRs"]


def test_a_head_level_has_vrs_only_while_it_needs_them() -> None:
    """PixelPaddingValue of the series as SS brings DICOMVRs, its removal takes the map away."""
    document = series(PixelPaddingValue=-2000)
    document["Study"]["Series"][SERIES]["DICOMVRs"] = {"PixelPaddingValue": "SS"}
    with_vr = after(to_set(document))
    without = apply_updates(with_vr, targets_of(to_remove(series(PixelPaddingValue=None)))).head

    assert with_vr.head.series["DICOMVRs"] == {"PixelPaddingValue": "SS"}
    assert "DICOMVRs" not in without.series


# --- Instances and identifiers


def test_only_what_changes_is_returned() -> None:
    """An edit of the second instance touches neither the first nor the head."""
    metadata = image_set()
    applied = apply_updates(
        metadata, targets_of(to_set(instances({SECOND: {"DICOM": {"InstanceNumber": "9"}}, FIRST: {}})))
    )

    assert applied.head is metadata.head
    assert applied.instances.keys() == {SECOND}


def test_a_removed_instance_is_none_and_the_others_keep_their_order() -> None:
    """Removing the first leaves the second."""
    updates = to_remove(instances({FIRST: {}}))

    assert apply_updates(image_set(), targets_of(updates)).instances == {FIRST: None}
    assert list(after(updates).instances) == [SECOND]


def test_a_new_sop_instance_uid_renames_the_instance_in_its_place() -> None:
    """The map key, the attribute and the file meta information say the same UID."""
    metadata = after(to_set(first({"SOPInstanceUID": "1.9"})))

    assert list(metadata.instances) == ["1.9", SECOND]
    assert metadata.instances["1.9"]["DICOM"]["SOPInstanceUID"] == "1.9"
    assert metadata.instances["1.9"]["DICOM"]["MediaStorageSOPInstanceUID"] == "1.9"


def test_renamed_instances_are_told() -> None:
    """The old UID leads to the new one; the others are not named."""
    applied = apply_updates(image_set(), targets_of(to_set(first({"SOPInstanceUID": "1.9", "InstanceNumber": "4"}))))

    assert applied.renamed == {FIRST: "1.9"}


def test_a_new_series_instance_uid_renames_the_series() -> None:
    """The document keys its series by the UID it has now."""
    document = to_document("d", "i", after(to_set(series(SeriesInstanceUID="1.5"))))

    assert list(document["Study"]["Series"]) == ["1.5"]
    assert document["Study"]["Series"]["1.5"]["DICOM"]["SeriesInstanceUID"] == "1.5"


def test_what_is_generated_stays() -> None:
    """StoredTransferSyntaxUID and ImageFrames go along."""
    instance = of_first(to_set(first({"InstanceNumber": "4"})))

    assert (instance["StoredTransferSyntaxUID"], instance["ImageFrames"]) == ("1.2.840.10008.1.2.1", [])


def test_the_instances_named_are_those_addressed_and_those_newly_given() -> None:
    """To check and apply an update, these must be loaded."""
    updates = MetadataUpdates(first({"SOPInstanceUID": "1.9"}), instances({SECOND: {}}))

    assert named_instances(targets_of(updates)) == {FIRST, "1.9", SECOND}


# --- Laws


def expected(before: Dataset, patch: MergePatch) -> Dataset:
    """Return the patched dataset: RFC 7396, a value equal but for padding being no change."""
    result = dict(before)
    for tag, element in patch.items():
        if element is None:
            result.pop(tag, None)
        elif not (tag in before and same_element(before[tag], element)):
            result[tag] = element
    return in_tag_order(result)


@given(edits())
def test_applying_an_edit_is_merging_its_patch(edit: tuple[Dataset, MergePatch]) -> None:
    """Any merge patch, mapped to 1.1 and applied, gives the document of the patched dataset, order of keys included."""
    before, patch = edit
    metadata = of_one_instance(before)

    updated = apply_to(metadata, apply_updates(metadata, targets_of(updates_of(patch))))

    head = updated.head
    assert to_dataset(head.patient, head.study, head.series, updated.instances[FIRST]) == expected(before, patch)
    assert json.dumps(to_document("d", "i", updated)) == json.dumps(
        to_document("d", "i", of_one_instance(expected(before, patch)))
    )


@given(edits())
def test_neither_the_image_set_nor_the_update_is_changed(edit: tuple[Dataset, MergePatch]) -> None:
    """Applying works on copies of what it changes."""
    before, patch = edit
    metadata, updates = of_one_instance(before), updates_of(patch)
    text = json.dumps([to_document("d", "i", metadata), updates.updatable, updates.removable])

    apply_to(metadata, apply_updates(metadata, targets_of(updates)))

    assert json.dumps([to_document("d", "i", metadata), updates.updatable, updates.removable]) == text


def test_the_example_itself_reads_and_writes_unchanged() -> None:
    """The image set of these tests is a document as HealthImaging has them."""
    assert to_document("0" * 32, "1" * 32, image_set()) == DOCUMENT
