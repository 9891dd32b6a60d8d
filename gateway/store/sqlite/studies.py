"""Reading studies in SQL: as they are now, and their versions."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from gateway.errors import NotFound
from gateway.metadata.study_summary import StudySummary
from gateway.store.contents import ImageSetVersion, Member, Provenance, StoredObject, StudyVersion
from gateway.store.log.contents import CurrentImageSet, CurrentStudy
from gateway.store.log.manifest import unpack_manifest
from gateway.store.log.parts import unpack_index
from gateway.store.log.protocol import Choice, no_instances
from gateway.store.sqlite.connection import Connection
from gateway.store.sqlite.stored_bytes import read_objects
from gateway.store.sqlite.study_now import StudyNow
from gateway.store.sqlite.tables import datastore_key
from gateway.store.sqlite.versions import (
    COLUMNS,
    FROM_VERSION,
    PROPERTIES,
    changed_of,
    image_set_key,
    parts_of_instances,
    properties,
)


def current_study(
    connection: Connection,
    datastore_id: str,
    study_instance_uid: str,
    choose: Choice,
    to_add: bool = False,
) -> CurrentStudy:
    datastore = datastore_key(connection, datastore_id)
    study = connection.execute(
        "SELECT id, version FROM study WHERE datastore = ? AND study_instance_uid = ?", (datastore, study_instance_uid)
    ).fetchone()
    if study is None:
        return CurrentStudy(study_instance_uid, 0, ())
    rows = connection.execute(
        f"{PROPERTIES}, version.manifest, version.head, image_set.id, image_set.modality, image_set.next_part,"
        f" image_set.next_object {FROM_VERSION} WHERE image_set.study = ? AND version.version = image_set.version"
        " ORDER BY image_set.id",
        (study[0],),
    ).fetchall()
    return CurrentStudy(
        study_instance_uid, study[1], tuple(_current_image_set(connection, row, choose, to_add) for row in rows)
    )


def study_for_store(
    connection: Connection,
    datastore_id: str,
    study_instance_uid: str,
    arriving: Mapping[str, Collection[str]],
    lately: StudyNow | None = None,
) -> tuple[CurrentStudy, dict[str, dict[str, StoredObject]]]:
    """lately: the study as a commit left it. Then it is not read: what is made of an older version is not appended."""

    def choose(version: ImageSetVersion) -> Collection[str]:
        return arriving.get(version.series_instance_uid, ()) if version.state != "DELETED" else ()

    if lately is None:
        study = current_study(connection, datastore_id, study_instance_uid, choose, to_add=True)
    else:
        # A part never changes under its number, so those of another version would be the right ones as well.
        image_sets = tuple([_with_parts(connection, one, choose) for one in lately.current.image_sets])
        study = replace(lately.current, image_sets=image_sets)
    stored = {
        image_set.image_set_id: _objects_in_parts(connection, image_set, choose(image_set.properties))
        for image_set in study.image_sets
        if image_set.parts
    }
    return study, stored


def _with_parts(connection: Connection, image_set: CurrentImageSet, choose: Choice) -> CurrentImageSet:
    chosen = choose(image_set.properties)
    if chosen is not None and not chosen:
        return image_set
    key, _ = image_set_key(connection, image_set.properties.datastore_id, image_set.image_set_id)
    return replace(image_set, parts=parts_of_instances(connection, key, image_set.manifest, chosen, with_last=True))


def _objects_in_parts(
    connection: Connection, image_set: CurrentImageSet, instances: Collection[str]
) -> dict[str, StoredObject]:
    """Return the stored objects of those instances that are in the parts read."""
    numbers = {
        uid: number
        for part in image_set.parts.values()
        for uid, number in unpack_index(part.index).items()
        if uid in instances
    }
    if not numbers:
        return {}
    key, _ = image_set_key(connection, image_set.properties.datastore_id, image_set.image_set_id)
    found = read_objects(connection, key, list(numbers.values()))
    return {uid: found[number] for uid, number in numbers.items()}


def study_now(connection: Connection, datastore_id: str, study_instance_uid: str) -> StudyNow:
    current = current_study(connection, datastore_id, study_instance_uid, no_instances)
    if not current.version:
        return StudyNow(None, current)
    version = study_versions(connection, datastore_id, study_instance_uid, limit=1)[0]
    return StudyNow(version, current, _summary(connection, datastore_id, study_instance_uid))


SUMMARY = "study.study_instance_uid, study.summary, study.modalities, study.series_count, study.instance_count"


def _summary(connection: Connection, datastore_id: str, study_instance_uid: str) -> StudySummary | None:
    """Return a study as a search finds it; None where a search does not see it, or has to make it of the head."""
    row = connection.execute(
        f"SELECT {SUMMARY} FROM study WHERE datastore = ? AND study_instance_uid = ?"
        " AND image_set IS NOT NULL AND summary IS NOT NULL",
        (datastore_key(connection, datastore_id), study_instance_uid),
    ).fetchone()
    return StudySummary._make(row) if row else None


def _current_image_set(connection: Connection, row: tuple[Any, ...], choose: Choice, to_add: bool) -> CurrentImageSet:
    packed, head, key, modality, next_part, next_object = row[COLUMNS:]
    manifest = unpack_manifest(packed)
    version = properties(row)
    chosen = choose(version)
    parts = parts_of_instances(connection, key, manifest, chosen, to_add) if chosen is None or chosen else {}
    return CurrentImageSet(version, head, manifest, parts, modality, next_part, next_object)


def study_versions(
    connection: Connection, datastore_id: str, study_instance_uid: str, version: int | None = None, limit: int = -1
) -> list[StudyVersion]:
    """Return a study's versions, newest first, or the one asked for. Raises NotFound. limit -1: all."""
    datastore = datastore_key(connection, datastore_id)
    study = connection.execute(
        "SELECT id FROM study WHERE datastore = ? AND study_instance_uid = ?", (datastore, study_instance_uid)
    ).fetchone()
    if study is None:
        raise NotFound("study", study_instance_uid)
    rows = connection.execute(
        "SELECT version, updated_at, action, forced, provenance, changed, members FROM study_version"
        " WHERE study = ?1 AND (?2 IS NULL OR version = ?2) ORDER BY version DESC LIMIT ?3",
        (study[0], version, limit),
    ).fetchall()
    if not rows:
        raise NotFound("version", f"{version} of study {study_instance_uid}")
    return [
        StudyVersion(
            datastore_id=datastore_id,
            study_instance_uid=study_instance_uid,
            version=row[0],
            updated_at=datetime.fromisoformat(row[1]),
            action=row[2],
            forced=bool(row[3]),
            provenance=Provenance(*json.loads(row[4])),
            changed=changed_of(row[5]),
            members=tuple(_member(connection, *pair) for pair in json.loads(row[6])),
        )
        for row in rows
    ]


def _member(connection: Connection, image_set: int, version: int) -> Member:
    row = connection.execute(
        "SELECT image_set_id, version.version, version.series_instance_uid, version.is_primary, version.state,"
        " version.updated_at FROM version JOIN image_set ON image_set.id = version.image_set"
        " WHERE version.image_set = ? AND version.version = ?",
        (image_set, version),
    ).fetchone()
    return Member(row[0], row[1], row[2], bool(row[3]), row[4], datetime.fromisoformat(row[5]))
