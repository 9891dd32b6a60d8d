"""What the row of a study says: its members, and what searches go by.

Heads are read for it and not instances: counts and SOP Classes stand in the manifests.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from gateway.dicom.matching import plain
from gateway.errors import Level
from gateway.metadata.image_set import AttributeValue, Head, LevelMetadata
from gateway.metadata.study_summary import packed_values
from gateway.store.contents import Action, ChangeSummary, Provenance
from gateway.store.log.appends import ImageSetColumns, NewStudyVersion, NewVersion, StudyColumns
from gateway.store.log.contents import CurrentImageSet
from gateway.store.log.heads import unpack_head
from gateway.store.log.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Occasion:
    """What all versions of one edit or store request have in common. most_metadata: as Store.store_instances has it."""

    at: datetime
    action: Action
    provenance: Provenance
    forced: bool = False
    most_metadata: int | None = None


class StudyMember(NamedTuple):
    """What a study's row has to know of an image set, in its current version or the one being appended."""

    image_set_id: str
    version: int
    created_at: datetime
    visible: bool
    series_instance_uid: str
    modality: str
    manifest: Manifest
    head: bytes


def member_of(image_set: CurrentImageSet | NewVersion) -> StudyMember:
    """Return a member of a study for a version that is, or will be, an image set's current one."""
    version = image_set.properties if isinstance(image_set, CurrentImageSet) else image_set
    return StudyMember(
        image_set_id=image_set.image_set_id,
        version=version.version,
        created_at=version.created_at,
        visible=version.is_primary and version.state != "DELETED",
        series_instance_uid=version.series_instance_uid,
        modality=image_set.modality,
        manifest=image_set.manifest,
        head=image_set.head,
    )


def new_study_version(
    study_instance_uid: str, expected: int, members: Iterable[StudyMember], occasion: Occasion, changed: ChangeSummary
) -> NewStudyVersion:
    """Return the version of a study with these members."""
    in_order = sorted(members, key=lambda member: member.created_at)
    return NewStudyVersion(
        study_instance_uid=study_instance_uid,
        expected=expected,
        updated_at=occasion.at,
        action=occasion.action,
        forced=occasion.forced,
        provenance=occasion.provenance,
        changed=changed,
        members=tuple((member.image_set_id, member.version) for member in in_order),
        columns=study_columns([member for member in in_order if member.visible]),
    )


def joined_summary(summaries: Sequence[ChangeSummary]) -> ChangeSummary:
    """Return what several image sets changed, as one."""
    keys: dict[Level, dict[str, None]] = {}
    for summary in summaries:
        for level, named in summary.keys.items():
            keys.setdefault(level, {}).update(dict.fromkeys(named))
    return ChangeSummary(
        {level: tuple(named) for level, named in keys.items()}, sum(summary.instances for summary in summaries)
    )


# -- what searches go by

# PS3.5 Table 6.2-1, DA and TM as they are stored.
_DATE = re.compile(r"[0-9]{8}")
_TIME = re.compile(r"([0-9]{2})([0-9]{2})?([0-9]{2})?(?:\.([0-9]{1,6}))?")


def study_columns(visible: Sequence[StudyMember]) -> StudyColumns | None:
    """Return what QIDO-RS searches for, given the image sets DICOMweb sees; None where there are none."""
    if not visible:
        return None
    head = unpack_head(visible[0].head)
    patient, referring = _people(head)
    return StudyColumns(
        image_set_id=visible[0].image_set_id,
        study_date=_date(head),
        study_time=text_of(head.study, "StudyTime"),
        patient_id=text_of(head.patient, "PatientID"),
        patient_name=patient,
        accession_number=text_of(head.study, "AccessionNumber"),
        study_id=text_of(head.study, "StudyID"),
        study_description=text_of(head.study, "StudyDescription"),
        referring_physician_name=referring,
        names=_searched(patient, referring),
        modalities=dict(sorted(Counter(member.modality for member in visible if member.modality).items())),
        sop_classes=tuple(dict.fromkeys(uid for member in visible for uid in member.manifest.sop_classes)),
        series_count=len(visible),
        instance_count=sum(member.manifest.instance_count for member in visible),
        summary=packed_values(head, visible[0].manifest.timezone),
    )


def image_set_columns(head: Head) -> ImageSetColumns:
    """Return what SearchImageSets searches for."""
    date = _date(head)
    hours, minutes, seconds, fraction = ("00", "00", "00", "")
    if time := _TIME.fullmatch(text_of(head.study, "StudyTime")):
        hours, minutes, seconds, fraction = (part or "" for part in time.groups())
    return ImageSetColumns(
        modality=text_of(head.series, "Modality"),
        patient_id=text_of(head.patient, "PatientID"),
        accession_number=text_of(head.study, "AccessionNumber"),
        study_id=text_of(head.study, "StudyID"),
        study_time=f"{date}{hours}{minutes or '00'}{seconds or '00'}.{fraction:0<6}" if date else "",
    )


def text_of(level: LevelMetadata, keyword: str) -> str:
    """Return an attribute's first value without its padding; "" where there is none."""
    value = level["DICOM"].get(keyword)
    if isinstance(value, str):  # as it is of nearly all that is searched for, and every edit asks for fourteen
        return value.strip(" \0")
    return _texts(value)[0]


def _texts(value: AttributeValue) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return ["" if one is None else str(one).strip(" \0") for one in values] or [""]


def _date(head: Head) -> str:
    date = text_of(head.study, "StudyDate")
    return date if _DATE.fullmatch(date) else ""


def searched_names(head: Head) -> str:
    """Return the names of a study's people, a line for each, and once more without accents where they have some."""
    return _searched(*_people(head))


def _searched(*people: Sequence[str]) -> str:
    names = [name for one in people for name in one]
    return "\n".join(dict.fromkeys((*names, *map(plain, names))))


def _people(head: Head) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return _names(head.patient, "PatientName"), _names(head.study, "ReferringPhysicianName")


def _names(level: LevelMetadata, keyword: str) -> tuple[str, ...]:
    """Return a name's component groups, case folded: a search may be for any of them (PS3.5 section 6.2.1)."""
    groups = [
        unicodedata.normalize("NFC", group).casefold().strip(" ")
        for name in _texts(level["DICOM"].get(keyword))
        for group in name.split("=")
    ]
    return tuple(dict.fromkeys(group for group in groups if group))
