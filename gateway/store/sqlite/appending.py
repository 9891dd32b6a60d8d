"""Appending versions in SQL: all that one edit or store request writes, or nothing of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from gateway.errors import TooLarge, VersionConflict
from gateway.store.blobs.protocol import Address
from gateway.store.contents import ChangeSummary, Provenance
from gateway.store.log.appends import Append, NewStudyVersion, NewVersion, StudyColumns
from gateway.store.log.heads import length_of_head
from gateway.store.log.protocol import StudyChanged
from gateway.store.sqlite.connection import Connection
from gateway.store.sqlite.instance_key import instance_key
from gateway.store.sqlite.tables import datastore_key, remember, to_json, to_text


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))


def append(connection: Connection, append: Append) -> dict[str, int]:
    """Write it; return the sequence that each new version has in the order of commits, by image set id."""
    datastore = datastore_key(connection, append.datastore_id)
    studies = {study.study_instance_uid: (_swap_study(connection, datastore, study), study) for study in append.studies}
    image_sets: dict[str, int] = {}
    sequences: dict[str, int] = {}
    for version in append.versions:
        row, study = studies[version.study_instance_uid]
        image_set = image_sets[version.image_set_id] = _set_current(connection, datastore, row.key, version)
        sequences[version.image_set_id] = _insert_version(connection, (datastore, image_set, row.key), study, version)
        _insert_content(connection, image_set, version)
        if append.most_metadata is not None and version.state != "DELETED":
            _check_size(connection, image_set, version, append.most_metadata)
    for row, study in studies.values():
        _insert_study_version(connection, datastore, row, study, image_sets)
    if append.remember:
        remember(connection, datastore, append.remember, append.at)
    return sequences


# Of what QIDO-RS searches for in the row of a study, the columns that indexes have, and the others. They are written
# each by themselves, and only where they change: SQLite would write the five indexes of those for nothing.
_STUDY_INDEXED = ("image_set", "study_date", "patient_id", "accession_number", "study_id")
_STUDY_OTHERS = (
    "study_time",
    "study_description",
    "names",
    "modalities",
    "sop_classes",
    "series_count",
    "instance_count",
    "summary",
)

# What study_text has of a study, as the view study_searched says it; null for one that DICOMweb does not see. No
# trigger keeps it: before 3.44, SQLite let FTS5 into none of an untrusted schema.
_TEXT = (
    "CASE WHEN image_set IS NOT NULL THEN names || char(10) || patient_id || char(10) || accession_number || char(10)"
    " || study_id || char(10) || study_description END"
)


class _StudyRow(NamedTuple):
    """Our key of a study, and what stands in its row before it is searched for anew."""

    key: int
    text: str | None
    indexed: tuple[int | str | None, ...]
    others: tuple[int | str | None, ...]


_STUDY_ROW = f"RETURNING id, {_TEXT}, {', '.join(_STUDY_INDEXED)}, {', '.join(_STUDY_OTHERS)}"
_SWAP_STUDY = (
    "UPDATE study SET version = ?3 WHERE datastore = ?1 AND study_instance_uid = ?2 AND version = ?3 - 1 " + _STUDY_ROW
)
_INSERT_STUDY = (
    "INSERT INTO study (datastore, study_instance_uid, version) VALUES (?, ?, ?) ON CONFLICT DO NOTHING " + _STUDY_ROW
)


def _swap_study(connection: Connection, datastore: int, study: NewStudyVersion) -> _StudyRow:
    """Set the study's version if it is the expected one, and return its row. The lock of the log."""
    uid = study.study_instance_uid
    swap = _SWAP_STUDY if study.expected else _INSERT_STUDY
    row = connection.execute(swap, (datastore, uid, study.version)).fetchone()
    if row is None:
        found = connection.execute(
            "SELECT version FROM study WHERE datastore = ? AND study_instance_uid = ?", (datastore, uid)
        ).fetchone()
        raise StudyChanged(f"study {uid}", study.expected, found[0] if found else 0)
    others = 2 + len(_STUDY_INDEXED)
    return _StudyRow(row[0], row[1], row[2:others], row[others:])


_INSERT_VERSION = (
    "INSERT INTO version (datastore, image_set, version, study, study_version, series_instance_uid, state,"
    " workflow_status, updated_at, deleted_at, is_primary, forced, action, provenance, changed, instance_count,"
    " manifest, head, message, copied_from)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def _insert_version(
    connection: Connection, keys: tuple[int, int, int], in_study: NewStudyVersion, new: NewVersion
) -> int:
    """Write a version and return its sequence. keys: ours, of its data store, image set and study."""
    datastore, image_set, study = keys
    updated_at = to_text(new.updated_at)
    inserted = connection.execute(
        _INSERT_VERSION,
        (
            datastore,
            image_set,
            new.version,
            study,
            in_study.version,
            new.series_instance_uid,
            new.state,
            new.workflow_status,
            updated_at,
            updated_at if new.state == "DELETED" else None,
            new.is_primary,
            new.forced,
            new.action,
            _provenance_text(new.provenance),
            _changed_text(new.changed),
            0 if new.state == "DELETED" else new.manifest.instance_count,
            new.manifest.packed,
            new.head,
            new.message,
            to_json(new.copied_from) if new.copied_from else None,
        ),
    )
    assert inserted.lastrowid is not None
    return inserted.lastrowid


def _check_size(connection: Connection, image_set: int, new: NewVersion, most: int) -> None:
    """Raise TooLarge where the metadata of a version are larger. Without reading them: their parts say how long."""
    numbers = to_json([part.number for part in new.manifest if part.number])
    (parts,) = connection.execute(
        "SELECT SUM(raw_length) FROM part WHERE image_set = ? AND number IN (SELECT value FROM json_each(?))",
        (image_set, numbers),
    ).fetchone()
    if length_of_head(new.head) + parts > most:
        raise TooLarge(
            f"the metadata of image set {new.image_set_id} would be larger than {most} bytes, the quota here"
        )


# What changes with each version of an image set, what seldom does because searches go by it, and what never does.
_MOVING = ("version", "state", "is_primary", "updated_at", "next_part", "next_object")
_SEARCHED = ("study", "series_instance_uid", "modality", "patient_id", "accession_number", "study_id", "study_time")
_NAMING = ("image_set_id", "datastore", "created_at")


def _set(columns: Sequence[str]) -> str:
    return ", ".join(f"{column} = ?{place}" for place, column in enumerate(columns, 1))


_INSERT_IMAGE_SET = (
    f"INSERT INTO image_set ({', '.join((*_MOVING, *_SEARCHED, *_NAMING))})"
    f" VALUES ({_marks((*_MOVING, *_SEARCHED, *_NAMING))}) ON CONFLICT DO NOTHING RETURNING id"
)
_MOVE_IMAGE_SET = (
    f"UPDATE image_set SET {_set(_MOVING)} WHERE image_set_id = ?{len(_MOVING) + 1} AND datastore = ?{len(_MOVING) + 2}"
    f" AND version = ?1 - 1 RETURNING id, {', '.join(_SEARCHED)}"
)
# SQLite writes every index of a column that is set, to the value it had as well: most edits would cost each of them a
# page of the write-ahead log. So it is done only where one of them is another.
_SEARCH_IMAGE_SET = f"UPDATE image_set SET {_set(_SEARCHED)} WHERE id = ?{len(_SEARCHED) + 1}"


def _set_current(connection: Connection, datastore: int, study: int, new: NewVersion) -> int:
    """Write the image set's row and return our key of it. Raises VersionConflict."""
    columns = new.columns
    moving = (
        new.version,
        new.state,
        new.is_primary,
        to_text(new.updated_at),
        new.next_part,
        new.next_object,
    )
    searched = (
        study,
        new.series_instance_uid,
        columns.modality,
        columns.patient_id,
        columns.accession_number,
        columns.study_id,
        columns.study_time,
    )
    name = (new.image_set_id, datastore)
    if new.version == 1:
        row = connection.execute(_INSERT_IMAGE_SET, (*moving, *searched, *name, to_text(new.created_at))).fetchone()
    else:
        row = connection.execute(_MOVE_IMAGE_SET, (*moving, *name)).fetchone()
    if row is None:
        found = connection.execute(
            "SELECT version FROM image_set WHERE image_set_id = ? AND datastore = ?", name
        ).fetchone()
        raise VersionConflict(f"image set {new.image_set_id}", new.version - 1, found[0] if found else 0)
    key: int = row[0]
    if new.version > 1 and row[1:] != searched:
        connection.execute(_SEARCH_IMAGE_SET, (*searched, key))
    return key


_INSERT_PART = (
    "INSERT INTO part (image_set, number, count, sop_classes, crc32, raw_length, objects, body)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_SLOT = "INSERT INTO slot (image_set, sop_instance_uid, slot) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_INSERT_INSTANCE_KEY = "INSERT INTO instance_key (key, image_set) VALUES (?, ?) ON CONFLICT DO NOTHING"
_INSERT_OBJECT = (
    "INSERT INTO object (image_set, number, pack, offset, length, sha256, fingerprint, warnings, pixels)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_BULK_DATA = (
    "INSERT INTO bulk_data (image_set, uri, pack, offset, length) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)


def _insert_content(connection: Connection, image_set: int, new: NewVersion) -> None:
    """Write what the version adds to its image set: parts, slots, stored objects, bulk data."""
    parts = [
        (image_set, number, part.count, to_json(part.sop_classes), part.crc32, part.raw_length, part.index, part.body)
        for number, part in new.parts.items()
    ]
    objects = [
        (
            image_set,
            number,
            *_address_columns(stored.address),
            bytes.fromhex(stored.sha256),
            stored.fingerprint,
            to_json(stored.warnings) if stored.warnings else None,
            None if stored.pixels is None else "".join(stored.pixels),
        )
        for number, stored in new.objects.items()
    ]
    for statement, rows in (
        (_INSERT_PART, parts),
        (_INSERT_SLOT, [(image_set, uid, slot) for uid, slot in new.slots]),
        (_INSERT_INSTANCE_KEY, [(key, image_set) for key in sorted({instance_key(uid) for uid, _ in new.slots})]),
        (_INSERT_OBJECT, objects),
        (_INSERT_BULK_DATA, [(image_set, uri, *_address_columns(address)) for uri, address in new.bulk.items()]),
    ):
        if rows:
            connection.executemany(statement, rows)


def _insert_study_version(
    connection: Connection, datastore: int, row: _StudyRow, new: NewStudyVersion, written: Mapping[str, int]
) -> None:
    """Write a version of a study, and what QIDO-RS searches for. written: our keys of image sets written before."""
    study = row.key
    others = [image_set_id for image_set_id, _ in new.members if image_set_id not in written]
    keys = {**written, **_keys(connection, others)} if others else written
    connection.execute(
        "INSERT INTO study_version (study, version, updated_at, action, forced, provenance, changed, members)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            study,
            new.version,
            to_text(new.updated_at),
            new.action,
            new.forced,
            _provenance_text(new.provenance),
            _changed_text(new.changed),
            to_json(sorted([keys[image_set_id], version] for image_set_id, version in new.members)),
        ),
    )
    columns = new.columns or StudyColumns("")
    _set_searched(connection, row, keys.get(columns.image_set_id), columns)
    modalities = [(modality, columns.study_date, series) for modality, series in columns.modalities.items()]
    _set_rows(connection, _STUDY_MODALITY, modalities, datastore, study)
    names = [
        *(("patient_name", name) for name in columns.patient_name),
        *(("referring_physician_name", name) for name in columns.referring_physician_name),
    ]
    _set_rows(connection, _STUDY_NAME, names, datastore, study)


def _keys(connection: Connection, image_sets: Sequence[str]) -> dict[str, int]:
    found = connection.execute(
        f"SELECT image_set_id, id FROM image_set WHERE image_set_id IN ({_marks(image_sets)})", image_sets
    )
    return dict(found.fetchall())


def _search_study(columns: Sequence[str]) -> str:
    return f"UPDATE study SET {_set(columns)} WHERE id = ?{len(columns) + 1} RETURNING {_TEXT}"


_INDEX_STUDY, _SEARCH_STUDY = _search_study(_STUDY_INDEXED), _search_study(_STUDY_OTHERS)


def _set_searched(connection: Connection, row: _StudyRow, image_set: int | None, columns: StudyColumns) -> None:
    """Write what QIDO-RS searches for into the study's row, and have wild cards find the study by it."""
    indexed = (image_set, columns.study_date, columns.patient_id, columns.accession_number, columns.study_id)
    others = (
        columns.study_time,
        columns.study_description,
        columns.names,
        to_json(list(columns.modalities)),
        to_json(columns.sop_classes),
        columns.series_count,
        columns.instance_count,
        columns.summary,
    )
    text = row.text
    if others != row.others:
        (text,) = connection.execute(_SEARCH_STUDY, (*others, row.key)).fetchone()
    if indexed != row.indexed:
        (text,) = connection.execute(_INDEX_STUDY, (*indexed, row.key)).fetchone()
    if text != row.text:
        _set_text(connection, row.key, row.text, text)


def _set_text(connection: Connection, study: int, old: str | None, new: str | None) -> None:
    """Have wild cards find a study by its new text. To take the old one out, FTS5 has to be told what it was."""
    if old is not None:
        connection.execute("INSERT INTO study_text (study_text, rowid, text) VALUES ('delete', ?, ?)", (study, old))
    if new is not None:
        connection.execute("INSERT INTO study_text (rowid, text) VALUES (?, ?)", (study, new))


class _Rows(NamedTuple):
    """A table that has rows for each study, by its statements."""

    select: str
    delete: str
    insert: str


def _rows_of_study(table: str, *columns: str) -> _Rows:
    names = ", ".join(columns)
    return _Rows(
        f"SELECT {names} FROM {table} WHERE study = ?",
        f"DELETE FROM {table} WHERE study = ?",
        f"INSERT INTO {table} (datastore, {names}, study) VALUES (?, {_marks(columns)}, ?) ON CONFLICT DO NOTHING",
    )


_STUDY_MODALITY = _rows_of_study("study_modality", "modality", "study_date", "series")
_STUDY_NAME = _rows_of_study("study_name", "attribute", "name")


def _set_rows(
    connection: Connection, table: _Rows, rows: Sequence[tuple[str | int, ...]], datastore: int, study: int
) -> None:
    """Have a table say of a study what `rows` say, and write nothing where it does."""
    if set(connection.execute(table.select, (study,))) == set(rows):
        return
    connection.execute(table.delete, (study,))
    connection.executemany(table.insert, [(datastore, *row, study) for row in rows])


def _address_columns(address: Address) -> tuple[bytes, int, int]:
    return bytes.fromhex(address.pack), address.offset, address.length


def _provenance_text(provenance: Provenance) -> str:
    return to_json(
        [
            provenance.who,
            provenance.reason,
            provenance.reason_for_modification,
            provenance.source_of_previous_values,
        ]
    )


def _changed_text(changed: ChangeSummary) -> str:
    return to_json([{level: list(keys) for level, keys in changed.keys.items()}, changed.instances])
