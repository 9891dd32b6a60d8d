"""A study as it is now, and how an append leaves it.

Every edit and every retrieve begins with a study as it is. To read it back after each append would take as long as all
that the append writes, and it is known already: what was there before, with what was appended in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import orjson

from gateway.metadata.study_summary import StudySummary
from gateway.store.contents import ImageSetVersion, StudyVersion
from gateway.store.log.appends import Append, NewStudyVersion, NewVersion
from gateway.store.log.contents import CurrentImageSet, CurrentStudy


class StudyNow(NamedTuple):
    """A study as it is now. version: its newest one, None where there is no such study. current: without parts.

    summary: as a search finds it; None where a search does not see it, or has to make it of the head.
    """

    version: StudyVersion | None
    current: CurrentStudy
    summary: StudySummary | None = None


def after_append(
    now: StudyNow, append: Append, study: NewStudyVersion, sequences: Mapping[str, int]
) -> StudyNow | None:
    """Return a study as the append leaves it, equal to what is read back; None where only that can tell.

    now: the study before, in the version the append was made from. sequences: of the new versions, by image set id.
    None is for image sets that go from one study to another: where among the others they lie is not known here.
    """
    uid = study.study_instance_uid
    before = {image_set.image_set_id: image_set for image_set in now.current.image_sets}
    new = {
        version.image_set_id: version
        for version in append.versions
        if version.study_instance_uid == uid or version.image_set_id in before
    }
    if now.current.version != study.expected or not all(
        version.study_instance_uid == uid and (version.image_set_id in before or version.version == 1)
        for version in new.values()
    ):
        return None
    # In the order they were created, as `before` is.
    made = {id_: _current(append.datastore_id, study, version, sequences[id_]) for id_, version in new.items()}
    image_sets = tuple((before | made).values())
    if {(one.image_set_id, one.properties.version) for one in image_sets} != set(study.members):
        return None
    return StudyNow(
        _study_version(append.datastore_id, study, now.version, image_sets),
        CurrentStudy(uid, study.version, image_sets),
        _summary(study),
    )


def _summary(study: NewStudyVersion) -> StudySummary | None:
    columns = study.columns
    if columns is None or columns.summary is None:
        return None
    modalities = orjson.dumps(list(columns.modalities)).decode()
    return StudySummary(
        study.study_instance_uid, columns.summary, modalities, columns.series_count, columns.instance_count
    )


def _study_version(
    datastore_id: str, study: NewStudyVersion, before: StudyVersion | None, image_sets: tuple[CurrentImageSet, ...]
) -> StudyVersion:
    known = {(member.image_set_id, member.version): member for member in before.members} if before else {}
    return StudyVersion(
        datastore_id=datastore_id,
        study_instance_uid=study.study_instance_uid,
        version=study.version,
        updated_at=study.updated_at,
        action=study.action,
        forced=study.forced,
        provenance=study.provenance,
        changed=study.changed,
        members=tuple(
            known.get((one.image_set_id, one.properties.version)) or one.properties.member for one in image_sets
        ),
    )


def _current(datastore_id: str, study: NewStudyVersion, new: NewVersion, sequence: int) -> CurrentImageSet:
    deleted = new.state == "DELETED"
    properties = ImageSetVersion(
        datastore_id=datastore_id,
        image_set_id=new.image_set_id,
        version=new.version,
        state=new.state,
        workflow_status=new.workflow_status,
        created_at=new.created_at,
        updated_at=new.updated_at,
        is_primary=new.is_primary,
        forced=new.forced,
        study_instance_uid=new.study_instance_uid,
        series_instance_uid=new.series_instance_uid,
        study_version=study.version,
        action=new.action,
        provenance=new.provenance,
        changed=new.changed,
        sequence=sequence,
        instance_count=0 if deleted else new.manifest.instance_count,
        deleted_at=new.updated_at if deleted else None,
        message=new.message,
        copied_from=new.copied_from,
    )
    return CurrentImageSet(properties, new.head, new.manifest, {}, new.columns.modality, new.next_part, new.next_object)
