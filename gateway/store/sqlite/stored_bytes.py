"""Reading in SQL where stored bytes lie: files as they came, and large binary values."""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from gateway.dicom.part10 import PixelElement
from gateway.errors import Gone, NotFound, StorageFailed
from gateway.store.blobs.protocol import Address
from gateway.store.contents import StoredObject
from gateway.store.log.contents import StoredFiles
from gateway.store.log.manifest import unpack_manifest
from gateway.store.log.parts import unpack_index
from gateway.store.sqlite.connection import Connection
from gateway.store.sqlite.versions import image_set_key, part_numbers, read


def objects(
    connection: Connection,
    datastore_id: str,
    image_set_id: str,
    version: int | None,
    instances: Collection[str] | None,
) -> dict[str, StoredObject]:
    image_set, numbers = _object_numbers(connection, datastore_id, image_set_id, version, instances)
    found = read_objects(connection, image_set, list(numbers.values()))
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
    image_set, _ = image_set_key(connection, datastore_id, image_set_id)
    return _pixel_elements(connection, image_set, _objects_of_parts(connection, image_set, numbers))


def _pixel_elements(
    connection: Connection, image_set: int, numbers: Mapping[str, int]
) -> dict[str, PixelElement | Address]:
    kept = _object_rows(connection, "number, pixels", image_set, list(numbers.values()))
    found: dict[int, PixelElement | Address] = {number: one for number, text in kept if (one := _pixel_element(text))}
    unknown = [number for number in numbers.values() if number not in found]
    found |= {number: one.address for number, one in read_objects(connection, image_set, unknown).items()}
    return {uid: found[number] for uid, number in numbers.items()}


def _object_numbers(
    connection: Connection,
    datastore_id: str,
    image_set_id: str,
    version: int | None,
    instances: Collection[str] | None,
) -> tuple[int, dict[str, int]]:
    """Return our key of an image set, and the numbers of its objects by SOP Instance UID. Raises NotFound, Gone."""
    image_set, current = image_set_key(connection, datastore_id, image_set_id)
    row = connection.execute(
        "SELECT state, manifest FROM version WHERE image_set = ? AND version = ?",
        (image_set, current if version is None else version),
    ).fetchone()
    if row is None:
        raise NotFound("version", f"{version} of image set {image_set_id}")
    if row[0] == "DELETED":
        raise Gone("image set", image_set_id)
    parts = part_numbers(connection, image_set, unpack_manifest(row[1]), instances).values()
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
    image_set, _ = image_set_key(connection, datastore_id, image_set_id)
    numbers = [number for part in stored.parts.values() for number in unpack_index(part.index).values()]
    return StoredFiles(stored, read_objects(connection, image_set, numbers))


def read_objects(connection: Connection, image_set: int, numbers: Sequence[int]) -> dict[int, StoredObject]:
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


def bulk_data(connection: Connection, datastore_id: str, image_set_id: str, uri: str) -> Address:
    image_set, _ = image_set_key(connection, datastore_id, image_set_id)
    row = connection.execute(
        "SELECT pack, offset, length FROM bulk_data WHERE image_set = ? AND uri = ?", (image_set, uri)
    ).fetchone()
    if row is None:
        raise NotFound("bulk data", uri)
    return Address(row[0].hex(), row[1], row[2])
