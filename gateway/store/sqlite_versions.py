"""Reading versions in SQL: of image sets, of studies, and where their stored bytes lie."""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from gateway.dicom.part10 import PixelElement
from gateway.errors import Gone, NotFound, StorageFailed
from gateway.metadata.study_summary import StudySummary
from gateway.store.blobs import Address
from gateway.store.contents import ChangeSummary, ImageSetVersion, Member, Provenance, StoredObject, StudyVersion
from gateway.store.log import (
    Choice,
    CurrentImageSet,
    CurrentStudy,
    StoredFiles,
    StoredVersion,
    no_instances,
)
from gateway.store.parts import Manifest, Part, unpack_index, unpack_manifest
from gateway.store.sqlite_connection import Connection
from gateway.store.sqlite_tables import datastore_key
from gateway.store.study_now import StudyNow

PROPERTIES = (
    "SELECT datastore.datastore_id, image_set.image_set_id, version.version, version.state, version.workflow_status,"
    " image_set.created_at, version.updated_at, version.is_primary, version.forced, study.study_instance_uid,"
    " version.series_instance_uid, version.study_version, version.action, version.provenance, version.changed,"
    " version.sequence, version.instance_count, version.deleted_at, version.message, version.copied_from"
)
COLUMNS = 20
FROM_VERSION = (
    " FROM version JOIN image_set ON image_set.id = version.image_set JOIN study ON study.id = version.study"
    " JOIN datastore ON datastore.id = version.datastore "
)


def properties(row: tuple[Any, ...]) -> ImageSetVersion:
    """Return a version's properties from the columns of `PROPERTIES`."""
    return ImageSetVersion(
        datastore_id=row[0],
        image_set_id=row[1],
        version=row[2],
        state=row[3],
        workflow_status=row[4],
        created_at=datetime.fromisoformat(row[5]),
        updated_at=datetime.fromisoformat(row[6]),
        is_primary=bool(row[7]),
        forced=bool(row[8]),
        study_instance_uid=row[9],
        series_instance_uid=row[10],
        study_version=row[11],
        action=row[12],
        provenance=Provenance(*json.loads(row[13])),
        changed=_changed(row[14]),
        sequence=row[15],
        instance_count=row[16],
        deleted_at=datetime.fromisoformat(row[17]) if row[17] else None,
        message=row[18],
        copied_from=tuple(json.loads(row[19])) if row[19] else None,
    )


def _changed(text: str) -> ChangeSummary:
    keys, instances = json.loads(text)
    return ChangeSummary({level: tuple(named) for level, named in keys.items()}, instances)


def _image_set_key(connection: Connection, datastore_id: str, image_set_id: str) -> tuple[int, int]:
    """Return our key of an image set, and its current version. Raises NotFound."""
    datastore = datastore_key(connection, datastore_id)
    row = connection.execute(
        "SELECT id, version FROM image_set WHERE image_set_id = ? AND datastore = ?", (image_set_id, datastore)
    ).fetchone()
    if row is None:
        raise NotFound("image set", image_set_id)
    return row[0], row[1]


def read(
    connection: Connection,
    datastore_id: str,
    image_set_id: str,
    version: int | None,
    instances: Collection[str] | None,
) -> StoredVersion:
    image_set, current = _image_set_key(connection, datastore_id, image_set_id)
    row = connection.execute(
        f"{PROPERTIES}, version.manifest, version.head {FROM_VERSION}"
        " WHERE version.image_set = ? AND version.version = ?",
        (image_set, current if version is None else version),
    ).fetchone()
    if row is None:
        raise NotFound("version", f"{version} of image set {image_set_id}")
    manifest = unpack_manifest(row[COLUMNS])
    parts = _parts_of_instances(connection, image_set, manifest, instances)
    return StoredVersion(properties(row), row[COLUMNS + 1], manifest, parts)


def _parts_of_instances(
    connection: Connection,
    image_set: int,
    manifest: Manifest,
    instances: Collection[str] | None,
    with_last: bool = False,
) -> dict[int, Part]:
    """Return by slot the parts in which instances are or, in other versions, were; all parts for None."""
    numbers = _part_numbers(connection, image_set, manifest, instances, with_last)
    found = read_parts(connection, image_set, numbers.values())
    return {slot: found[number] for slot, number in numbers.items()}


def _part_numbers(
    connection: Connection,
    image_set: int,
    manifest: Manifest,
    instances: Collection[str] | None,
    with_last: bool = False,
) -> dict[int, int]:
    """Return the numbers of those parts by slot, in order."""
    slots = set(range(len(manifest))) if instances is None else _slots(connection, image_set, instances)
    if with_last:
        slots.add(len(manifest) - 1)
    return {
        slot: manifest[slot].number for slot in sorted(slots) if 0 <= slot < len(manifest) and manifest[slot].number
    }


def _slots(connection: Connection, image_set: int, instances: Collection[str]) -> set[int]:
    return {
        slot
        for uid in instances
        for (slot,) in connection.execute(
            "SELECT slot FROM slot WHERE image_set = ? AND sop_instance_uid = ?", (image_set, uid)
        )
    }


def read_parts(connection: Connection, image_set: int, numbers: Iterable[int]) -> dict[int, Part]:
    """Return parts by number. Raises StorageFailed for one that is not there."""
    found: dict[int, Part] = {}
    for number in numbers:
        row = connection.execute(
            "SELECT count, sop_classes, crc32, raw_length, objects, body FROM part WHERE image_set = ? AND number = ?",
            (image_set, number),
        ).fetchone()
        if row is None:
            raise StorageFailed("the log lacks a part of a version")
        found[number] = Part(tuple(json.loads(row[1])), row[0], row[2], row[3], row[4], row[5])
    return found


def parts(connection: Connection, datastore_id: str, image_set_id: str, numbers: Collection[int]) -> dict[int, Part]:
    image_set, _ = _image_set_key(connection, datastore_id, image_set_id)
    return read_parts(connection, image_set, numbers)


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
    """lately: the study as a commit left it. It is not read where it still is in that version."""

    def choose(version: ImageSetVersion) -> Collection[str]:
        return arriving.get(version.series_instance_uid, ()) if version.state != "DELETED" else ()

    study = _still(connection, datastore_id, lately.current, choose) if lately else None
    if study is None:
        study = current_study(connection, datastore_id, study_instance_uid, choose, to_add=True)
    stored = {
        image_set.image_set_id: _objects_in_parts(connection, image_set, choose(image_set.properties))
        for image_set in study.image_sets
        if image_set.parts
    }
    return study, stored


def _still(connection: Connection, datastore_id: str, study: CurrentStudy, choose: Choice) -> CurrentStudy | None:
    """Return a study that is kept, with its parts as `current_study` reads them to add to; None where it changed since.

    Whatever changes a study or an image set in it makes a version of it, so the same version is the same study.
    """
    datastore = datastore_key(connection, datastore_id)
    row = connection.execute(
        "SELECT version FROM study WHERE datastore = ? AND study_instance_uid = ?",
        (datastore, study.study_instance_uid),
    ).fetchone()
    if row is None or row[0] != study.version:
        return None
    return replace(study, image_sets=tuple([_with_parts(connection, one, choose) for one in study.image_sets]))


def _with_parts(connection: Connection, image_set: CurrentImageSet, choose: Choice) -> CurrentImageSet:
    chosen = choose(image_set.properties)
    if chosen is not None and not chosen:
        return image_set
    key, _ = _image_set_key(connection, image_set.properties.datastore_id, image_set.image_set_id)
    return replace(image_set, parts=_parts_of_instances(connection, key, image_set.manifest, chosen, with_last=True))


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
    key, _ = _image_set_key(connection, image_set.properties.datastore_id, image_set.image_set_id)
    found = _objects(connection, key, list(numbers.values()))
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
    parts = _parts_of_instances(connection, key, manifest, chosen, to_add) if chosen is None or chosen else {}
    return CurrentImageSet(version, head, manifest, parts, modality, next_part, next_object)


def study_of(connection: Connection, datastore_id: str, image_set_id: str) -> str:
    image_set, _ = _image_set_key(connection, datastore_id, image_set_id)
    uid: str = connection.execute(
        "SELECT study_instance_uid FROM study JOIN image_set ON image_set.study = study.id WHERE image_set.id = ?",
        (image_set,),
    ).fetchone()[0]
    return uid


def history(connection: Connection, datastore_id: str, image_set_id: str) -> list[ImageSetVersion]:
    image_set, _ = _image_set_key(connection, datastore_id, image_set_id)
    rows = connection.execute(
        f"{PROPERTIES} {FROM_VERSION} WHERE version.image_set = ? ORDER BY version.version DESC", (image_set,)
    )
    return [properties(row) for row in rows]


def since(connection: Connection, datastore_id: str, after: int, limit: int) -> list[ImageSetVersion]:
    rows = connection.execute(
        f"{PROPERTIES} {FROM_VERSION} WHERE version.datastore = ? AND version.sequence > ?"
        " ORDER BY version.sequence LIMIT ?",
        (datastore_key(connection, datastore_id), after, limit),
    )
    return [properties(row) for row in rows]


# -- studies


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
            changed=_changed(row[5]),
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


# -- stored bytes


def objects(
    connection: Connection,
    datastore_id: str,
    image_set_id: str,
    version: int | None,
    instances: Collection[str] | None,
) -> dict[str, StoredObject]:
    image_set, numbers = _object_numbers(connection, datastore_id, image_set_id, version, instances)
    found = _objects(connection, image_set, list(numbers.values()))
    return {uid: found[number] for uid, number in numbers.items()}


def pixel_elements(
    connection: Connection,
    datastore_id: str,
    image_set_id: str,
    version: int | None,
    instances: Collection[str] | None,
) -> dict[str, PixelElement | Address]:
    image_set, numbers = _object_numbers(connection, datastore_id, image_set_id, version, instances)
    return _pixel_elements(connection, image_set, numbers)


def part_pixel_elements(
    connection: Connection, datastore_id: str, image_set_id: str, numbers: Collection[int]
) -> dict[str, PixelElement | Address]:
    image_set, _ = _image_set_key(connection, datastore_id, image_set_id)
    return _pixel_elements(connection, image_set, _objects_of_parts(connection, image_set, numbers))


def _pixel_elements(
    connection: Connection, image_set: int, numbers: Mapping[str, int]
) -> dict[str, PixelElement | Address]:
    kept = _object_rows(connection, "number, pixels", image_set, list(numbers.values()))
    found: dict[int, PixelElement | Address] = {number: one for number, text in kept if (one := _pixel_element(text))}
    unknown = [number for number in numbers.values() if number not in found]
    found |= {number: one.address for number, one in _objects(connection, image_set, unknown).items()}
    return {uid: found[number] for uid, number in numbers.items()}


def _object_numbers(
    connection: Connection,
    datastore_id: str,
    image_set_id: str,
    version: int | None,
    instances: Collection[str] | None,
) -> tuple[int, dict[str, int]]:
    """Return our key of an image set, and the numbers of its objects by SOP Instance UID. Raises NotFound, Gone."""
    image_set, current = _image_set_key(connection, datastore_id, image_set_id)
    row = connection.execute(
        "SELECT state, manifest FROM version WHERE image_set = ? AND version = ?",
        (image_set, current if version is None else version),
    ).fetchone()
    if row is None:
        raise NotFound("version", f"{version} of image set {image_set_id}")
    if row[0] == "DELETED":
        raise Gone("image set", image_set_id)
    parts = _part_numbers(connection, image_set, unpack_manifest(row[1]), instances).values()
    numbers = _objects_of_parts(connection, image_set, parts)
    return image_set, {uid: number for uid, number in numbers.items() if instances is None or uid in instances}


def _objects_of_parts(connection: Connection, image_set: int, parts: Iterable[int]) -> dict[str, int]:
    """Return the numbers of the objects of instances in parts, by SOP Instance UID. Raises StorageFailed."""
    numbers: dict[str, int] = {}
    for number in parts:
        row = connection.execute(
            "SELECT objects FROM part WHERE image_set = ? AND number = ?", (image_set, number)
        ).fetchone()
        if row is None:
            raise StorageFailed("the log lacks a part of a version")
        numbers.update(unpack_index(row[0]))
    return numbers


def files(
    connection: Connection,
    datastore_id: str,
    image_set_id: str,
    version: int | None,
    instances: Collection[str] | None,
) -> StoredFiles:
    stored = read(connection, datastore_id, image_set_id, version, instances)
    image_set, _ = _image_set_key(connection, datastore_id, image_set_id)
    numbers = [number for part in stored.parts.values() for number in unpack_index(part.index).values()]
    return StoredFiles(stored, _objects(connection, image_set, numbers))


def _objects(connection: Connection, image_set: int, numbers: Sequence[int]) -> dict[int, StoredObject]:
    columns = "number, pack, offset, length, sha256, fingerprint, warnings, pixels"
    return {row[0]: _stored_object(row) for row in _object_rows(connection, columns, image_set, numbers)}


def _object_rows(connection: Connection, columns: str, image_set: int, numbers: Sequence[int]) -> list[tuple[Any, ...]]:
    """Return columns of stored objects. Those of an image set lie together, and are mostly asked for together."""
    select = f"SELECT {columns} FROM object WHERE image_set = ? AND number "
    first, last = min(numbers, default=0), max(numbers, default=-1)
    if last - first < 2 * len(numbers):
        return connection.execute(f"{select} BETWEEN ? AND ?", (image_set, first, last)).fetchall()
    return [connection.execute(f"{select} = ?", (image_set, number)).fetchone() for number in numbers]


def _stored_object(row: tuple[Any, ...]) -> StoredObject:
    warnings = tuple(json.loads(row[6])) if row[6] else ()
    return StoredObject(Address(row[1].hex(), row[2], row[3]), row[4].hex(), row[5], warnings, _pixel_element(row[7]))


@functools.lru_cache(16)
def _pixel_element(text: str | None) -> PixelElement | None:
    return None if text is None else PixelElement(text[:8], text[8:])


# How many versions are looked at for a head that instances came with: the first ones have it, or none.
_FIRST_VERSIONS = 64


def heads(connection: Connection, datastore_id: str, image_set_id: str, most: int) -> list[bytes]:
    image_set, _ = _image_set_key(connection, datastore_id, image_set_id)
    rows = connection.execute(
        "SELECT head FROM version WHERE image_set = ? ORDER BY version LIMIT ?", (image_set, _FIRST_VERSIONS)
    )
    return list(dict.fromkeys(head for (head,) in rows))[:most]


def bulk_data(connection: Connection, datastore_id: str, image_set_id: str, uri: str) -> Address:
    image_set, _ = _image_set_key(connection, datastore_id, image_set_id)
    row = connection.execute(
        "SELECT pack, offset, length FROM bulk_data WHERE image_set = ? AND uri = ?", (image_set, uri)
    ).fetchone()
    if row is None:
        raise NotFound("bulk data", uri)
    return Address(row[0].hex(), row[1], row[2])
