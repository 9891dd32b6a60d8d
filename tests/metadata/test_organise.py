"""Which image set an instance belongs to, and its coercion to that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from gateway.dicom.dataset import Dataset, Element
from gateway.errors import InvalidRequest, InvalidUid
from gateway.metadata.mapping import to_dataset, to_head
from gateway.metadata.organise import Coerced, GroupingKeys, Identity, coerce, grouping_keys, identify, place
from tests.metadata.examples import FIRST, SERIES, STUDY, image_set

WHEN = datetime(2024, 1, 31, 10, 15, 30, tzinfo=UTC)
CT = "1.2.840.10008.5.1.4.1.1.2"

INSTANCE: Dataset = {
    "00080016": Element("UI", (CT,)),
    "00080018": Element("UI", (FIRST,)),
    "00080020": Element("DA", ("20240101",)),
    "00080050": Element("SH", ("A1",)),
    "00080060": Element("CS", ("CT",)),
    "00081030": Element("LO", ("CHEST",)),
    "00100010": Element("PN", ("DOE^JANE",)),
    "00100020": Element("LO", ("P1",)),
    "0020000D": Element("UI", (STUDY,)),
    "0020000E": Element("UI", (SERIES,)),
    "00200010": Element("SH", ("S1",)),
    "00200011": Element("IS", ("1 ",)),
    "00200013": Element("IS", ("1",)),
}

# --- Identity


def test_an_instance_is_identified_by_four_uids() -> None:
    """SOP Class, SOP Instance, Study and Series."""
    assert identify(INSTANCE) == Identity(CT, FIRST, STUDY, SERIES)


@pytest.mark.parametrize("uid", ["1.02.3", "1..2", "1" * 256])
def test_uids_that_archives_are_full_of_are_taken(uid: str) -> None:
    """Leading zeros, empty components and up to 256 characters, as HealthImaging takes them."""
    assert identify({**INSTANCE, "00080018": Element("UI", (uid,))}).sop_instance_uid == uid


@pytest.mark.parametrize("values", [("../../etc",), ("1.2 ",), ("1" * 257,), ("1.2", "1.3"), ("",)])
def test_what_is_no_uid_is_refused(values: tuple[str, ...]) -> None:
    """Another character, 257 of them, or two values."""
    with pytest.raises(InvalidUid, match="StudyInstanceUID"):
        identify({**INSTANCE, "0020000D": Element("UI", values)})


def test_a_missing_uid_is_named() -> None:
    """There is no guessing the series of an instance."""
    with pytest.raises(InvalidRequest, match="^the instance has no SeriesInstanceUID$"):
        identify({**INSTANCE, "0020000E": Element("UI")})


# --- Grouping

KEYS = GroupingKeys(STUDY, "S1", "20240101", "A1", "P1", SERIES, "1")


def test_the_keys_are_those_of_the_guide() -> None:
    """Study Date, Accession Number, Patient ID, Study Instance UID, Study ID; Series Instance UID, Series Number."""
    assert grouping_keys(to_head(INSTANCE)) == KEYS
    assert KEYS.study == (STUDY, "S1", "20240101", "A1", "P1")


def test_an_empty_key_and_an_absent_one_are_the_same() -> None:
    """Archives have both for a study without accession number."""
    empty = {**INSTANCE, "00080050": Element("SH")}
    absent = {tag: element for tag, element in INSTANCE.items() if tag != "00080050"}

    assert grouping_keys(to_head(empty)) == grouping_keys(to_head(absent)) == replace(KEYS, accession_number="")


def test_a_patient_name_does_not_group() -> None:
    """It is coerced instead."""
    assert grouping_keys(to_head({**INSTANCE, "00100010": Element("PN", ("X",))})) == KEYS


@dataclass(frozen=True)
class Member:
    name: str
    keys: GroupingKeys
    is_primary: bool


PRIMARY = Member("primary", KEYS, True)
OTHER_DATE = replace(KEYS, study_date="20240102")
OTHER_NUMBER = replace(KEYS, series_number="2")
ASIDE = Member("aside", OTHER_DATE, False)


@pytest.mark.parametrize(
    ("keys", "study", "series", "name", "is_primary"),
    [
        pytest.param(KEYS, None, [], None, True, id="first of the study"),
        pytest.param(KEYS, KEYS.study, [], None, True, id="first of another series"),
        pytest.param(KEYS, KEYS.study, [PRIMARY], "primary", True, id="joins its series"),
        pytest.param(OTHER_DATE, KEYS.study, [], None, False, id="another study date, new series"),
        pytest.param(OTHER_DATE, KEYS.study, [PRIMARY], None, False, id="another study date, same series"),
        pytest.param(OTHER_NUMBER, KEYS.study, [PRIMARY], None, False, id="another series number"),
        pytest.param(OTHER_DATE, KEYS.study, [PRIMARY, ASIDE], "aside", False, id="joins those like it"),
        pytest.param(OTHER_NUMBER, KEYS.study, [PRIMARY, ASIDE], None, False, id="not those unlike it"),
        pytest.param(OTHER_DATE, None, [ASIDE], None, True, id="first that is primary again"),
        pytest.param(KEYS, OTHER_DATE.study, [PRIMARY], "primary", True, id="its own series before the study's first"),
    ],
)
def test_an_instance_joins_the_image_set_its_keys_agree_with(
    keys: GroupingKeys, study: tuple[str, ...] | None, series: list[Member], name: str | None, is_primary: bool
) -> None:
    """The primary one of its series if all agrees, else one that is not primary."""
    joined, primary = place(keys, study, series)

    assert (joined.name if joined else None, primary) == (name, is_primary)


# --- Coercion


def coerced(dataset: Dataset) -> Coerced:
    return coerce(to_head(INSTANCE), dataset, when=WHEN, system="GATEWAY")


def test_an_instance_that_agrees_is_stored_as_it_came() -> None:
    """Nothing is recorded, and only its own level is kept with it."""
    result = coerced(INSTANCE)

    assert result.original == {}
    assert list(result.instance["DICOM"]) == ["SOPClassUID", "SOPInstanceUID", "InstanceNumber"]


def test_an_instance_that_differs_keeps_what_it_said() -> None:
    """Its name goes into Original Attributes Sequence, with reason COERCE and the time."""
    name = {"00100010": Element("PN", ("DOE^JAYNE",))}
    result = coerced({**INSTANCE, **name})

    record = to_dataset(result.instance)["04000561"].items[0]
    assert result.original == name
    assert record["04000550"].items == (name,)
    assert record["04000565"].values == ("COERCE",)
    assert record["04000562"].values == ("20240131101530.000000+0000",)


def test_an_attribute_that_the_image_set_lacks_is_kept_too() -> None:
    """It would be lost otherwise: the instance no longer has it."""
    comments = {"00104000": Element("LT", ("allergic",))}

    assert coerced({**INSTANCE, **comments}).original == comments


def test_an_attribute_that_only_the_image_set_has_is_recorded_with_zero_length() -> None:
    """The instance now has it, and its record says that it came without."""
    without = {tag: element for tag, element in INSTANCE.items() if tag != "00081030"}

    assert coerced(without).original == {"00081030": Element("LO")}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"00100040": Element("CS")}, id="empty where the image set has nothing"),
        pytest.param({"00200011": Element("IS", ("1",))}, id="without padding"),
    ],
)
def test_a_difference_without_meaning_is_none(change: Dataset) -> None:
    """Neither makes a warning of coercion."""
    assert coerced({**INSTANCE, **change}).original == {}


def test_items_the_instance_came_with_stay() -> None:
    """A record of an earlier system is not overwritten."""
    earlier: Dataset = {"04000565": Element("CS", ("CORRECT",))}
    sequence = {"04000561": Element("SQ", items=(earlier,))}
    result = coerced({**INSTANCE, **sequence, "00100010": Element("PN", ("X",))})

    items = to_dataset(result.instance)["04000561"].items
    assert [entry["04000565"].values for entry in items] == [("CORRECT",), ("COERCE",)]


def test_the_example_groups_with_itself() -> None:
    """An image set read from a document has the keys of the instances in it."""
    assert grouping_keys(image_set().head) == KEYS
