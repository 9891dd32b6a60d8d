"""FrameLog in the SQLite file of the log: each method is one hop to a connection's thread."""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Mapping
from typing import Any

from gateway.errors import Gone, NotFound
from gateway.store.blobs.protocol import Address
from gateway.store.contents import StoredObject
from gateway.store.log.frame_log import Generated, KeptFrame, NewFrames
from gateway.store.log.parts import Part
from gateway.store.sqlite.connection import Connection
from gateway.store.sqlite.database import Database
from gateway.store.sqlite.tables import datastore_key, to_json

_KEPT = (
    "SELECT frame.id, frame.object, object.pack, object.offset, object.length, object.sha256, frame.number,"
    " frame.transfer_syntax, frame.kept, encoded_frame.pack, encoded_frame.offset, encoded_frame.length"
    " FROM frame JOIN object ON object.image_set = frame.image_set AND object.number = frame.object"
    " LEFT JOIN encoded_frame ON encoded_frame.id = frame.id"
    " AND encoded_frame.transfer_syntax = frame.transfer_syntax "
)


class SqliteFrameLog:
    """A FrameLog."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def framed_parts(self, datastore_id: str, image_set_id: str, numbers: Collection[int]) -> dict[int, Part]:
        return await self._database.read(
            lambda connection: _framed_parts(connection, _key(connection, datastore_id, image_set_id), numbers)
        )

    async def generated(self, datastore_id: str, image_set_id: str, objects: Collection[int]) -> dict[int, Generated]:
        return await self._database.read(
            lambda connection: _generated(connection, _key(connection, datastore_id, image_set_id), objects)
        )

    async def keep(
        self, datastore_id: str, image_set_id: str, new: Mapping[int, NewFrames], framed: Mapping[int, Part]
    ) -> None:
        packed = {number: zlib.compress(to_json(dict(one.generated)).encode(), 1) for number, one in new.items()}
        await self._database.write(
            lambda connection: _keep(connection, _key(connection, datastore_id, image_set_id), new, packed, framed)
        )

    async def find(self, datastore_id: str, image_set_id: str, image_frame_id: str) -> KeptFrame | None:
        return await self._database.read(
            lambda connection: _find(connection, datastore_id, image_set_id, image_frame_id)
        )

    async def unencoded(
        self, datastore_id: str, image_set_id: str, after: tuple[int, int], limit: int
    ) -> list[KeptFrame]:
        return await self._database.read(
            lambda connection: _unencoded(connection, _key(connection, datastore_id, image_set_id), after, limit)
        )

    async def keep_encoded(self, frames: Mapping[str, StoredObject], transfer_syntax_uid: str) -> None:
        await self._database.write(lambda connection: _keep_encoded(connection, frames, transfer_syntax_uid))


def _key(connection: Connection, datastore_id: str, image_set_id: str) -> int:
    """Return our key of an image set. Raises NotFound."""
    return _key_and_state(connection, datastore_id, image_set_id)[0]


def _key_and_state(connection: Connection, datastore_id: str, image_set_id: str) -> tuple[int, str]:
    row: tuple[int, str] | None = connection.execute(
        "SELECT id, state FROM image_set WHERE image_set_id = ? AND datastore = ?",
        (image_set_id, datastore_key(connection, datastore_id)),
    ).fetchone()
    if row is None:
        raise NotFound("image set", image_set_id)
    return row


def _framed_parts(connection: Connection, image_set: int, numbers: Collection[int]) -> dict[int, Part]:
    found: dict[int, Part] = {}
    for number in numbers:
        row = connection.execute(
            "SELECT part.count, sop_classes, framed_part.crc32, framed_part.raw_length, objects, framed_part.body"
            " FROM framed_part JOIN part USING (image_set, number) WHERE image_set = ? AND number = ?",
            (image_set, number),
        ).fetchone()
        if row is not None:
            found[number] = Part(tuple(json.loads(row[1])), row[0], row[2], row[3], row[4], row[5])
    return found


def _generated(connection: Connection, image_set: int, objects: Collection[int]) -> dict[int, Generated]:
    found: dict[int, Generated] = {}
    for number in objects:
        row = connection.execute(
            "SELECT described FROM object_frames WHERE image_set = ? AND number = ?", (image_set, number)
        ).fetchone()
        if row is not None:
            found[number] = json.loads(zlib.decompress(row[0]))
    return found


def _keep(
    connection: Connection,
    image_set: int,
    new: Mapping[int, NewFrames],
    packed: Mapping[int, bytes],
    framed: Mapping[int, Part],
) -> None:
    connection.executemany(
        "INSERT INTO object_frames (image_set, number, described) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [(image_set, number, described) for number, described in packed.items()],
    )
    connection.executemany(
        "INSERT INTO frame (image_set, id, object, number, transfer_syntax, kept) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        [
            (image_set, bytes.fromhex(image_frame_id), number, frame, one.transfer_syntax_uid, one.as_stored)
            for number, one in new.items()
            for image_frame_id, frame in one.frames
        ],
    )
    connection.executemany(
        "INSERT INTO framed_part (image_set, number, crc32, raw_length, body) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        [(image_set, number, part.crc32, part.raw_length, part.body) for number, part in framed.items()],
    )


def _find(connection: Connection, datastore_id: str, image_set_id: str, image_frame_id: str) -> KeptFrame | None:
    image_set, state = _key_and_state(connection, datastore_id, image_set_id)
    if state == "DELETED":
        raise Gone("image set", image_set_id)
    row = connection.execute(
        f"{_KEPT} WHERE frame.image_set = ? AND frame.id = ?", (image_set, _to_bytes(image_frame_id))
    ).fetchone()
    return None if row is None else _kept_frame(row)


def _unencoded(connection: Connection, image_set: int, after: tuple[int, int], limit: int) -> list[KeptFrame]:
    rows = connection.execute(
        f"{_KEPT} WHERE frame.image_set = ? AND NOT frame.kept AND encoded_frame.id IS NULL"
        " AND (frame.object, frame.number) > (?, ?) ORDER BY frame.object, frame.number LIMIT ?",
        (image_set, *after, limit),
    )
    return [_kept_frame(row) for row in rows]


def _kept_frame(row: tuple[Any, ...]) -> KeptFrame:
    return KeptFrame(
        image_frame_id=row[0].hex(),
        object_number=row[1],
        stored=StoredObject(Address(row[2].hex(), row[3], row[4]), row[5].hex()),
        number=row[6],
        transfer_syntax_uid=row[7],
        as_stored=bool(row[8]),
        encoded=Address(row[9].hex(), row[10], row[11]) if row[9] is not None else None,
    )


def _keep_encoded(connection: Connection, frames: Mapping[str, StoredObject], transfer_syntax_uid: str) -> None:
    connection.executemany(
        "INSERT INTO encoded_frame (id, transfer_syntax, pack, offset, length, sha256) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        [
            (
                bytes.fromhex(image_frame_id),
                transfer_syntax_uid,
                bytes.fromhex(frame.address.pack),
                frame.address.offset,
                frame.address.length,
                bytes.fromhex(frame.sha256),
            )
            for image_frame_id, frame in frames.items()
        ],
    )


def _to_bytes(image_frame_id: str) -> bytes:
    """Return an ID as it is kept; an ID of the API's pattern that is no hex is none of ours."""
    try:
        return bytes.fromhex(image_frame_id)
    except ValueError:
        return b""
