"""Which image set an instance belongs to, and its coercion to that.

HealthImaging groups instances by some of their Study and Series attributes. The image sets DICOMweb shows are primary;
an instance whose keys contradict those of its study goes into one that is not, for people to sort out (devguide,
"Understanding image sets").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar

from gateway.dicom.dataset import Dataset
from gateway.dicom.dictionary import entry_named
from gateway.dicom.levels import shared_attributes
from gateway.errors import InvalidRequest, InvalidUid
from gateway.metadata.image_set import Head, InstanceMetadata
from gateway.metadata.mapping import to_dataset, to_instance_metadata
from gateway.metadata.original_attributes import original_attributes_item, prior_values, with_item

_UID = re.compile(r"[0-9.]{1,256}")


class Identity(NamedTuple):
    """The UIDs an instance is stored by."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str


@dataclass(frozen=True, slots=True)
class GroupingKeys:
    """What HealthImaging groups by (devguide "Understanding image sets"); "" where empty or absent."""

    study_instance_uid: str
    study_id: str
    study_date: str
    accession_number: str
    patient_id: str
    series_instance_uid: str
    series_number: str

    @property
    def study(self) -> tuple[str, ...]:
        """The five that all primary image sets of a study have in common."""
        return self.study_instance_uid, self.study_id, self.study_date, self.accession_number, self.patient_id


class Member(Protocol):
    """An image set that an instance could join."""

    @property
    def keys(self) -> GroupingKeys: ...

    @property
    def is_primary(self) -> bool: ...


_Member = TypeVar("_Member", bound=Member)


@dataclass(frozen=True, slots=True)
class Coerced:
    """An instance as its image set keeps it. original: the attributes that were coerced, as they came; empty if none.

    An attribute the instance did not have, and its image set gives it, is in `original` with zero length.
    """

    instance: InstanceMetadata
    original: Dataset


def identify(dataset: Dataset) -> Identity:
    """Return the UIDs of an instance.

    Raises InvalidRequest where one is missing, InvalidUid where one is no UID: `[0-9.]{1,256}`, as HealthImaging takes.
    """
    return Identity(
        _uid(dataset, "SOPClassUID"),
        _uid(dataset, "SOPInstanceUID"),
        _uid(dataset, "StudyInstanceUID"),
        _uid(dataset, "SeriesInstanceUID"),
    )


def grouping_keys(head: Head) -> GroupingKeys:
    """Return the keys an image set, or the head of a lone instance, is grouped by."""
    return GroupingKeys(
        study_instance_uid=head.study_instance_uid,
        study_id=_key(head.study["DICOM"].get("StudyID")),
        study_date=_key(head.study["DICOM"].get("StudyDate")),
        accession_number=_key(head.study["DICOM"].get("AccessionNumber")),
        patient_id=_key(head.patient["DICOM"].get("PatientID")),
        series_instance_uid=head.series_instance_uid,
        series_number=_key(head.series["DICOM"].get("SeriesNumber")),
    )


def place(keys: GroupingKeys, study: tuple[str, ...] | None, series: Sequence[_Member]) -> tuple[_Member | None, bool]:
    """Return the image set that an instance joins, None for a new one, and whether that is primary.

    study: the study keys of the study's first primary image set; None while it has none. series: the image sets of the
    instance's series that are not deleted, oldest first. The series' primary image set takes it if all keys agree. A
    series without one gets it, if the study keys agree. Else the instance joins the first image set that has the same
    keys and is not primary.
    """
    primary = next((member for member in series if member.is_primary), None)
    if primary is not None and primary.keys == keys:
        return primary, True
    if primary is None and study in (None, keys.study):
        return None, True
    return next((member for member in series if not member.is_primary and member.keys == keys), None), False


def coerce(head: Head, dataset: Dataset, *, when: datetime, system: str) -> Coerced:
    """Return an instance made to agree with its image set at Patient, Study and Series level (PS3.18 10.5.3).

    What it said otherwise goes into its Original Attributes Sequence, with reason COERCE. An empty attribute and an
    absent one are no difference.
    """
    original = prior_values(shared_attributes(dataset), to_dataset(head.patient, head.study, head.series))
    if original:
        item = original_attributes_item(original, when=when, system=system, source="", reason="COERCE")
        dataset = with_item(dataset, item)
    return Coerced(to_instance_metadata(dataset), original)


def _uid(dataset: Dataset, keyword: str) -> str:
    entry = entry_named(keyword)
    element = dataset.get(entry.tag) if entry else None
    if element is None or not element.values:
        raise InvalidRequest(f"the instance has no {keyword}")
    uid = element.values[0]
    if len(element.values) > 1 or not isinstance(uid, str) or not _UID.fullmatch(uid):
        raise InvalidUid(keyword)
    return uid


def _key(value: object) -> str:
    """Return a key without padding: StudyDate and SeriesNumber keep theirs in a document."""
    return str(value).strip(" ") if value is not None else ""
