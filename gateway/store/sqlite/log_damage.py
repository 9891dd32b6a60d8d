"""What `gateway verify` looks for in the log: rows, parts and versions that are not what they have to be.

Each check yields sentences, and says nothing of a patient: image sets are named by their ids, studies by our keys. What
a check cannot even read is damage too; verify.py sees to that.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.store.log.appends import StudyColumns
from gateway.store.log.heads import unpack_head
from gateway.store.log.manifest import Manifest, unpack_manifest
from gateway.store.log.parts import Part, PlacedInstance, unpack_part
from gateway.store.sqlite.connection import Connection
from gateway.store.sqlite.row_checksums import checked_tables, wrong_rows
from gateway.store.sqlite.schema_steps import APPLICATION_ID, newest_schema, schema_of, schemas
from gateway.store.sqlite.versions import read_parts
from gateway.store.study_rows import StudyMember, image_set_columns, study_columns


def structure(connection: Connection) -> Iterator[str]:
    """Check the file as SQLite does, trees, indexes, constraints and references, and that its schema is ours."""
    for (problem,) in connection.execute("PRAGMA integrity_check"):
        if problem != "ok":
            yield f"gateway.db: {problem}"
    for table, *_ in connection.execute("PRAGMA foreign_key_check"):
        yield f"gateway.db: a row of {table} refers to one that is not there"
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        yield "gateway.db: the header does not say that it is a gateway's"
    if version != len(schemas()):
        yield f"gateway.db: has schema {version}, and this gateway knows {len(schemas())}: serve it once"
    elif schema_of(connection) != newest_schema():
        yield "gateway.db: the schema is not the gateway's"


def rows(connection: Connection) -> Iterator[str]:
    """Check every row that has a checksum."""
    for table in checked_tables(connection):
        for key in wrong_rows(connection, table):
            yield f"{table} {' '.join(map(str, key))}: the checksum of the row is wrong"


def change_feed(connection: Connection) -> Iterator[str]:
    """Check that the change feed and the feed of events count on from their last entries."""
    counted = dict(connection.execute("SELECT name, seq FROM sqlite_sequence"))
    for table in ("version", "status_change"):
        (last,) = connection.execute(f"SELECT MAX(sequence) FROM {table}").fetchone()
        if counted.pop(table, None) != last:
            yield f"gateway.db: the numbers of {table} do not count on from its last entry"
    if counted:
        yield "gateway.db: something is counted that is not there"


# -- image sets


@dataclass(frozen=True, slots=True)
class _Version:
    """One row of `version`, as far as others have to agree with it."""

    version: int
    state: str
    count: int
    manifest: Manifest
    head: bytes
    updated_at: str
    is_primary: int


def image_sets(connection: Connection) -> Iterator[str]:
    """Check every version of every image set, with its parts, slots and numbers."""
    for key, image_set_id in connection.execute("SELECT id, image_set_id FROM image_set").fetchall():
        for problem in _whatever_it_meets(_image_set(connection, key)):
            yield f"image set {image_set_id}: {problem}"


def _whatever_it_meets(check: Iterator[str]) -> Iterator[str]:
    """Yield what a check finds, and last that it met something it could not read."""
    try:
        yield from check
    except Exception as error:
        yield f"cannot be read to the end ({type(error).__name__})"


def _image_set(connection: Connection, key: int) -> Iterator[str]:
    versions = _versions(connection, key)
    numbers = [number for (number,) in connection.execute("SELECT number FROM part WHERE image_set = ?", (key,))]
    parts = read_parts(connection, key, numbers)
    placed = {number: unpack_part(part) for number, part in parts.items()}
    yield from _history(connection, key, versions)
    for number, part in parts.items():
        if _row_of(part) != _row_of_instances(part, placed[number]):
            yield f"part {number} is not what its row says"
        if not _can_be_joined(part.body):
            yield f"part {number} cannot stand before another"
    yield from _manifests(versions, parts)
    yield from _slots(connection, key, versions, placed)
    yield from _numbers(connection, key, placed)
    yield from _framed(connection, key, parts)


def _framed(connection: Connection, key: int, parts: Mapping[int, Part]) -> Iterator[str]:
    """Check that parts with image frames in them are those parts, and whole."""
    for number, crc32, raw_length, body in connection.execute(
        "SELECT number, crc32, raw_length, body FROM framed_part WHERE image_set = ?", (key,)
    ):
        part = replace(parts[number], crc32=crc32, raw_length=raw_length, body=body)
        if len(unpack_part(part)) != part.count or not _can_be_joined(body):
            yield f"part {number} with its image frames is not what the part is"


def _can_be_joined(body: bytes) -> bool:
    """Whether a part is a piece of a deflate stream that other pieces can follow: it ends between two blocks, none of
    which says that it is the last (RFC 1951 section 3.2.3). A part by itself can be read all the same."""
    stream = zlib.decompressobj(-15)
    stream.decompress(body)
    if stream.eof:
        return False
    return stream.decompress(b"\x03\x00") == b"" and stream.eof and not stream.unused_data


def _versions(connection: Connection, key: int) -> list[_Version]:
    found = connection.execute(
        "SELECT version, state, instance_count, manifest, head, updated_at, is_primary FROM version"
        " WHERE image_set = ? ORDER BY version",
        (key,),
    )
    return [_Version(row[0], row[1], row[2], unpack_manifest(row[3]), *row[4:]) for row in found]


def _history(connection: Connection, key: int, versions: Sequence[_Version]) -> Iterator[str]:
    """Check that versions follow each other, and that the image set's row is of the last."""
    current, *row = connection.execute(
        "SELECT version, state, is_primary, created_at, updated_at, series_instance_uid, modality, patient_id,"
        " accession_number, study_id, study_time FROM image_set WHERE id = ?",
        (key,),
    ).fetchone()
    if not versions or [one.version for one in versions] != list(range(1, current + 1)):
        yield "its versions do not follow each other"
        return
    for one in versions:
        if one.count != (0 if one.state == "DELETED" else one.manifest.instance_count):
            yield f"version {one.version} has not as many instances as it says"
    first, last = versions[0], versions[-1]
    head = unpack_head(last.head)
    columns = image_set_columns(head)
    expected = [
        *(last.state, last.is_primary, first.updated_at, last.updated_at, head.series_instance_uid),
        *(columns.modality, columns.patient_id, columns.accession_number, columns.study_id, columns.study_time),
    ]
    if row != expected:
        yield "what searches go by is not what its current version says"


def _row_of(part: Part) -> tuple[int, tuple[str, ...]]:
    return part.count, part.sop_classes


def _row_of_instances(part: Part, placed: Sequence[PlacedInstance]) -> tuple[int, tuple[str, ...]]:
    return len(placed), tuple(dict.fromkeys(one.sop_class_uid for one in placed))


def _manifests(versions: Sequence[_Version], parts: Mapping[int, Part]) -> Iterator[str]:
    """Check that the parts a version names are there and as it says, and that there is none that nobody names."""
    named = {reference for one in versions for reference in one.manifest if reference.number}
    for reference in named:
        part = parts.get(reference.number)
        if part is None or _row_of(part) != (reference.count, reference.sop_classes):
            yield f"part {reference.number} is not what a version says it is"
    for number in parts.keys() - {reference.number for reference in named}:
        yield f"part {number} belongs to no version"


def _slots(
    connection: Connection, key: int, versions: Sequence[_Version], placed: Mapping[int, Sequence[PlacedInstance]]
) -> Iterator[str]:
    """Check that every instance can be found, in every version that has it."""
    numbers = {(slot, part.number) for one in versions for slot, part in enumerate(one.manifest) if part.number}
    needed = {(one.sop_instance_uid, slot) for slot, number in numbers for one in placed.get(number, ())}
    found = connection.execute("SELECT sop_instance_uid, slot FROM slot WHERE image_set = ?", (key,)).fetchall()
    if needed != set(found):
        yield "the table of where its instances are is not what its parts say"


def _numbers(connection: Connection, key: int, placed: Mapping[int, Sequence[PlacedInstance]]) -> Iterator[str]:
    """Check that stored objects are there for the instances, and that the next numbers are free and the next."""
    next_part, next_object = connection.execute(
        "SELECT next_part, next_object FROM image_set WHERE id = ?", (key,)
    ).fetchone()
    objects = {n for (n,) in connection.execute("SELECT number FROM object WHERE image_set = ?", (key,))}
    if not {one.object_number for part in placed.values() for one in part} <= objects:
        yield "an instance has no stored object"
    if next_part != max(placed, default=0) + 1 or next_object != max(objects, default=0) + 1:
        yield "its parts or stored objects are not numbered through"


# -- studies


def studies(connection: Connection) -> Iterator[str]:
    """Check every version of every study, and that searches find what the current one says."""
    for key, version in connection.execute("SELECT id, version FROM study").fetchall():
        for problem in _whatever_it_meets(_study(connection, key, version)):
            yield f"study {key}: {problem}"


def _study(connection: Connection, key: int, current: int) -> Iterator[str]:
    found = connection.execute(
        "SELECT version, members FROM study_version WHERE study = ? ORDER BY version", (key,)
    ).fetchall()
    if not found or [version for version, _ in found] != list(range(1, current + 1)):
        yield "its versions do not follow each other"
        return
    for version, members in found:
        for image_set, number in json.loads(members):
            if not connection.execute(
                "SELECT 1 FROM version WHERE image_set = ? AND version = ?", (image_set, number)
            ).fetchone():
                yield f"version {version} names a version of an image set that is not there"
    now = connection.execute("SELECT id, version FROM image_set WHERE study = ? ORDER BY id", (key,)).fetchall()
    if json.loads(found[-1][1]) != [list(pair) for pair in now]:
        yield "its current version does not consist of the current versions of its image sets"
    if _searched(connection, key) != _searchable(connection, key):
        yield "what searches go by is not what its image sets say"


# What searches of a study go by: the row of `study`, then its names and its modalities, each sorted.
_Searched = tuple[list[object], list[tuple[object, ...]], list[tuple[object, ...]]]


def _searched(connection: Connection, key: int) -> _Searched:
    """Return what searches of a study go by now."""
    row = connection.execute(
        "SELECT COALESCE(image_set_id, ''), study_date, study.study_time, study.patient_id, study.accession_number,"
        " study.study_id, study_description, names, modalities, sop_classes, series_count, instance_count,"
        " summary FROM study LEFT JOIN image_set ON image_set.id = study.image_set WHERE study.id = ?",
        (key,),
    ).fetchone()
    names = connection.execute("SELECT attribute, name FROM study_name WHERE study = ?", (key,)).fetchall()
    modalities = connection.execute("SELECT modality, study_date, series FROM study_modality WHERE study = ?", (key,))
    return (
        [*row[:8], *map(json.loads, row[8:10]), *row[10:]],
        sorted(names),
        sorted(modalities),
    )


def _searchable(connection: Connection, key: int) -> _Searched:
    """Return what the heads and manifests of a study's image sets say about the same."""
    found = connection.execute(
        "SELECT image_set_id, version.version, created_at, version.series_instance_uid, modality, manifest, head"
        " FROM image_set JOIN version ON version.image_set = image_set.id AND version.version = image_set.version"
        " WHERE image_set.study = ? AND version.is_primary AND version.state <> 'DELETED'"
        " ORDER BY created_at, image_set.id",
        (key,),
    )
    visible = [
        StudyMember(
            row[0], row[1], datetime.fromisoformat(row[2]), True, row[3], row[4], unpack_manifest(row[5]), row[6]
        )
        for row in found
    ]
    columns = study_columns(visible) or StudyColumns("")
    row: list[object] = [
        *(columns.image_set_id, columns.study_date, columns.study_time, columns.patient_id, columns.accession_number),
        *(columns.study_id, columns.study_description, columns.names),
        *(list(columns.modalities), list(columns.sop_classes), columns.series_count, columns.instance_count),
        columns.summary,
    ]
    names = {("patient_name", name) for name in columns.patient_name}
    names |= {("referring_physician_name", name) for name in columns.referring_physician_name}
    modalities = [(modality, columns.study_date, series) for modality, series in columns.modalities.items()]
    return row, sorted(names), sorted(modalities)
