"""Original Attributes Sequence (0400,0561), PS3.3 C.12.1.1.9."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from pydicom import Dataset as PydicomDataset

from gateway.dicom.dataset import Dataset, Element
from gateway.dicom.json_model import encode_json, to_json
from gateway.metadata.mapping import to_dataset
from gateway.metadata.original_attributes import add_original_attributes, original_attributes_item, prior_values
from tests.metadata.examples import FIRST, image_set

WHEN = datetime(2024, 1, 31, 10, 15, 30, 250000, UTC)
NAME = {"00100010": Element("PN", ("DOE^JANE",))}


def item(modified: Dataset = NAME, when: datetime = WHEN, system: str = "GATEWAY") -> Dataset:
    return original_attributes_item(modified, when=when, system=system, source="", reason="CORRECT")


# --- Prior values


def test_what_changed_and_what_went_is_recorded_as_it_was() -> None:
    """A new value is not recorded; the old one is, and so is that of a removed attribute."""
    before = {
        "00081030": Element("LO", ("CHEST",)),
        "00100010": Element("PN", ("A",)),
        "00100020": Element("LO", ("P",)),
    }
    after = {"00100010": Element("PN", ("B",)), "00100020": Element("LO", ("P",))}

    assert prior_values(before, after) == {"00081030": Element("LO", ("CHEST",)), "00100010": Element("PN", ("A",))}


def test_an_attribute_that_was_not_there_is_recorded_with_zero_length() -> None:
    """C.12.1.1.9 allows it, and without it nobody could tell that the attribute was added."""
    assert prior_values({}, {"00081030": Element("LO", ("CHEST",))}) == {"00081030": Element("LO")}


def test_empty_and_absent_are_no_difference() -> None:
    """Neither has a value that could have been lost."""
    empty = {"00081030": Element("LO")}

    assert prior_values(empty, {}) == prior_values({}, empty) == {}


def test_a_sequence_is_recorded_whole() -> None:
    """One code of two items changed: both items are recorded."""
    items = ({"00080100": Element("SH", ("A",))}, {"00080100": Element("SH", ("B",))})
    before = {"00081032": Element("SQ", items=items)}
    after = {"00081032": Element("SQ", items=(items[0], {"00080100": Element("SH", ("C",))}))}

    assert prior_values(before, after) == before


def test_a_private_element_is_recorded_with_its_creator() -> None:
    """(0019,1001) means nothing without (0019,0010), although that did not change."""
    creator = {"00190010": Element("LO", ("ACME 1.0",)), "00190011": Element("LO", ("OTHER",))}

    assert prior_values({**creator, "00191001": Element("LO", ("x",))}, creator) == {
        "00190010": Element("LO", ("ACME 1.0",)),
        "00191001": Element("LO", ("x",)),
    }


def test_a_patient_id_is_recorded_with_its_issuer() -> None:
    """An ID is unique only for its issuer (PS3.3 C.7.1.1)."""
    issuer = {"00100021": Element("LO", ("HOSPITAL",))}

    assert prior_values(
        {"00100020": Element("LO", ("P1",)), **issuer}, {"00100020": Element("LO", ("P2",)), **issuer}
    ) == {"00100020": Element("LO", ("P1",)), "00100021": Element("LO", ("HOSPITAL",))}


def test_file_meta_information_and_the_record_itself_are_not_recorded() -> None:
    """Group 0002 is of the file, and a record of the record would grow without end."""
    assert prior_values({"00020016": Element("AE", ("A",)), "04000561": Element("SQ", items=({},))}, {}) == {}


# --- Items


def test_an_item_has_the_five_attributes_of_table_c_12_1() -> None:
    """Source of Previous Values is of type 2: there, and empty where nobody knows."""
    assert item() == {
        "04000550": Element("SQ", items=(NAME,)),
        "04000562": Element("DT", ("20240131101530.250000+0000",)),
        "04000563": Element("LO", ("GATEWAY",)),
        "04000564": Element("LO"),
        "04000565": Element("CS", ("CORRECT",)),
    }


def test_the_time_of_an_item_has_its_offset() -> None:
    """Without one, nobody could order changes made in two countries."""
    when = datetime(2024, 1, 31, 10, 15, 30, tzinfo=timezone(timedelta(hours=-3, minutes=-30)))

    assert item(when=when)["04000562"].values == ("20240131101530.000000-0330",)


def test_a_name_that_is_too_long_for_lo_is_cut() -> None:
    """A long system name must not make the instance invalid."""
    assert item(system="x" * 70)["04000563"].values == ("x" * 64,)


# --- In an instance


def test_items_that_are_there_stay_and_a_new_one_comes_last() -> None:
    """Every change adds one item."""
    once = add_original_attributes(image_set().instances[FIRST], item())
    twice = add_original_attributes(once, item({"00081030": Element("LO", ("CHEST",))}))

    modified = [entry["04000550"].items[0] for entry in to_dataset(twice)["04000561"].items]
    assert modified == [NAME, {"00081030": Element("LO", ("CHEST",))}]


def test_all_else_of_the_instance_stays() -> None:
    """Attributes, their VRs, what is generated, and a keyword that no dictionary has; the sequence in tag order."""
    before = image_set().instances[FIRST]
    before["DICOM"]["NotAnAttribute"] = "x"

    after = add_original_attributes(before, item())

    assert {key: value for key, value in after["DICOM"].items() if key != "OriginalAttributesSequence"} == before[
        "DICOM"
    ]
    assert after["DICOMVRs"] == before["DICOMVRs"]
    assert after["StoredTransferSyntaxUID"] == "1.2.840.10008.1.2.1"
    keys = list(after["DICOM"])
    assert keys.index("OriginalAttributesSequence") == keys.index("WindowCenter") + 1
    assert "OriginalAttributesSequence" not in before["DICOM"]


def test_pydicom_reads_what_was_recorded() -> None:
    """An independent reader finds the old name where the standard says it is."""
    instance = add_original_attributes(image_set().instances[FIRST], item())

    read = PydicomDataset.from_json(encode_json(to_json(to_dataset(instance))).decode())

    record = read.OriginalAttributesSequence[0]
    assert record.ModifiedAttributesSequence[0].PatientName == "DOE^JANE"
    assert record.ReasonForTheAttributeModification == "CORRECT"
