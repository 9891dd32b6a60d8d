"""Reading versions of image sets in SQL."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from gateway.errors import NotFound, StorageFailed
from gateway.store.contents import ChangeSummary, ImageSetVersion, Provenance
from gateway.store.log.contents import StoredVersion
from gateway.store.log.manifest import Manifest, unpack_manifest
from gateway.store.log.parts import Part
from gateway.store.sqlite.connection import Connection
from gateway.store.sqlite.tables import datastore_key

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
        changed=changed_of(row[14]),
        sequence=row[15],
        instance_count=row[16],
        deleted_at=datetime.fromisoformat(row[17]) if row[17] else None,
        message=row[18],
        copied_from=tuple(json.loads(row[19])) if row[19] else None,
    )


def changed_of(text: str) -> ChangeSummary:
    keys, instances = json.loads(text)
    return ChangeSummary({level: tuple(named) for level, named in keys.items()}, instances)


_IMAGE_SET_KEY = (
    "SELECT image_set.id, image_set.version FROM image_set JOIN datastore ON datastore.id = image_set.datastore"
    " WHERE image_set.image_set_id = ? AND datastore.datastore_id = ? AND datastore.status = 'ACTIVE'"
)


def image_set_key(connection: Connection, datastore_id: str, image_set_id: str) -> tuple[int, int]:
    """Return our key of an image set, and its current version. Raises NotFound, also for the data store."""
    row = connection.execute(_IMAGE_SET_KEY, (image_set_id, datastore_id)).fetchone()
    if row is None:
        datastore_key(connection, datastore_id)
        raise NotFound("image set", image_set_id)
    return row[0], row[1]


def read(
    connection: Connection,
    datastore_id: str,
    image_set_id: str,
    version: int | None,
    instances: Collection[str] | None,
) -> StoredVersion:
    image_set, current = image_set_key(connection, datastore_id, image_set_id)
    row = connection.execute(
        f"{PROPERTIES}, version.manifest, version.head {FROM_VERSION}"
        " WHERE version.image_set = ? AND version.version = ?",
        (image_set, current if version is None else version),
    ).fetchone()
    if row is None:
        raise NotFound("version", f"{version} of image set {image_set_id}")
    manifest = unpack_manifest(row[COLUMNS])
    parts = parts_of_instances(connection, image_set, manifest, instances)
    return StoredVersion(properties(row), row[COLUMNS + 1], manifest, parts)


def parts_of_instances(
    connection: Connection,
    image_set: int,
    manifest: Manifest,
    instances: Collection[str] | None,
    with_last: bool = False,
) -> dict[int, Part]:
    """Return by slot the parts in which instances are or, in other versions, were; all parts for None."""
    numbers = part_numbers(connection, image_set, manifest, instances, with_last)
    found = read_parts(connection, image_set, numbers.values())
    return {slot: found[number] for slot, number in numbers.items()}


def part_numbers(
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
    image_set, _ = image_set_key(connection, datastore_id, image_set_id)
    return read_parts(connection, image_set, numbers)


def study_of(connection: Connection, datastore_id: str, image_set_id: str) -> str:
    image_set, _ = image_set_key(connection, datastore_id, image_set_id)
    uid: str = connection.execute(
        "SELECT study_instance_uid FROM study JOIN image_set ON image_set.study = study.id WHERE image_set.id = ?",
        (image_set,),
    ).fetchone()[0]
    return uid


def history(connection: Connection, datastore_id: str, image_set_id: str) -> list[ImageSetVersion]:
    image_set, _ = image_set_key(connection, datastore_id, image_set_id)
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


# How many versions are looked at for a head that instances came with: the first ones have it, or none.
_FIRST_VERSIONS = 64


def heads(connection: Connection, datastore_id: str, image_set_id: str, most: int) -> list[bytes]:
    image_set, _ = image_set_key(connection, datastore_id, image_set_id)
    rows = connection.execute(
        "SELECT head FROM version WHERE image_set = ? ORDER BY version LIMIT ?", (image_set, _FIRST_VERSIONS)
    )
    return list(dict.fromkeys(head for (head,) in rows))[:most]
