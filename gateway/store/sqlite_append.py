"""Appending versions in SQL: all that one edit or store request writes, or nothing of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from gateway.errors import TooLarge, VersionConflict
from gateway.store.blobs import Address
from gateway.store.log import (
    Append,
    NewStudyVersion,
    NewVersion,
    StudyChanged,
    StudyColumns,
)
from gateway.store.parts import instance_count, length_of_head, pack_manifest
from gateway.store.protocol import (
    ChangeSummary,
    Provenance,
)
from gateway.store.sqlite_database import Connection
from gateway.store.sqlite_tables import datastore_key, remember, to_json, to_text


def append(connection: Connection, append: Append) -> None:
    datastore = datastore_key(connection, append.datastore_id)
    studies = {study.study_instance_uid: _swap_study(connection, datastore, study) for study in append.studies}
    for version in append.versions:
        study_version = next(s.version for s in append.studies if s.study_instance_uid == version.study_instance_uid)
        image_set = _append_version(connection, datastore, studies[version.study_instance_uid], study_version, version)
        if append.most_metadata is not None and version.state != "DELETED":
            _check_size(connection, image_set, version, append.most_metadata)
    for study in append.studies:
        _append_study_version(connection, datastore, studies[study.study_instance_uid], study)
    if append.remember:
        remember(connection, datastore, append.remember, append.at)


def _swap_study(connection: Connection, datastore: int, study: NewStudyVersion) -> int:
    """Set the study's version if it is the expected one, and return our key of the study. The lock of the log."""
    if study.expected:
        swapped = connection.execute(
            "UPDATE study SET version = ?3 WHERE datastore = ?1 AND study_instance_uid = ?2 AND version = ?3 - 1",
            (datastore, study.study_instance_uid, study.version),
        )
    else:
        swapped = connection.execute(
            "INSERT INTO study (datastore, study_instance_uid, version) VALUES (?, ?, 1) ON CONFLICT DO NOTHING",
            (datastore, study.study_instance_uid),
        )
    row = connection.execute(
        "SELECT id, version FROM study WHERE datastore = ? AND study_instance_uid = ?",
        (datastore, study.study_instance_uid),
    ).fetchone()
    if swapped.rowcount != 1:
        raise StudyChanged(f"study {study.study_instance_uid}", study.expected, row[1] if row else 0)
    key: int = row[0]
    return key


def _append_version(connection: Connection, datastore: int, study: int, study_version: int, new: NewVersion) -> int:
    """Write a version and what it adds; return our key of its image set."""
    image_set = _set_current(connection, datastore, study, new)
    connection.execute(
        "INSERT INTO version (datastore, image_set, version, study, study_version, series_instance_uid, state,"
        " workflow_status, updated_at, deleted_at, is_primary, forced, action, provenance, changed, instance_count,"
        " manifest, head, message, copied_from)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            datastore,
            image_set,
            new.version,
            study,
            study_version,
            new.series_instance_uid,
            new.state,
            new.workflow_status,
            to_text(new.updated_at),
            to_text(new.updated_at) if new.state == "DELETED" else None,
            new.is_primary,
            new.forced,
            new.action,
            _provenance_text(new.provenance),
            _changed_text(new.changed),
            0 if new.state == "DELETED" else instance_count(new.manifest),
            pack_manifest(new.manifest),
            new.head,
            new.message,
            to_json(new.copied_from) if new.copied_from else None,
        ),
    )
    _append_content(connection, image_set, new)
    return image_set


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


def _set_current(connection: Connection, datastore: int, study: int, new: NewVersion) -> int:
    """Write the image set's row and return our key of it. Raises VersionConflict."""
    moving = {
        "version": new.version,
        "state": new.state,
        "is_primary": new.is_primary,
        "updated_at": to_text(new.updated_at),
        "next_part": new.next_part,
        "next_object": new.next_object,
    }
    searched = {
        "study": study,
        "series_instance_uid": new.series_instance_uid,
        "modality": new.columns.modality,
        "patient_id": new.columns.patient_id,
        "accession_number": new.columns.accession_number,
        "study_id": new.columns.study_id,
        "study_time": new.columns.study_time,
    }
    name = {"image_set_id": new.image_set_id, "datastore": datastore}
    if new.version == 1:
        current = {**name, "created_at": to_text(new.created_at), **moving, **searched}
        sql = f"INSERT INTO image_set ({', '.join(current)}) VALUES ({', '.join(f':{column}' for column in current)})"
        written = connection.execute(f"{sql} ON CONFLICT DO NOTHING", current)
    else:
        sql = f"UPDATE image_set SET {', '.join(f'{column} = :{column}' for column in moving)}"
        written = connection.execute(
            f"{sql} WHERE image_set_id = :image_set_id AND datastore = :datastore AND version = :version - 1",
            {**name, **moving},
        )
        _update_where_other(connection, "image_set", searched, "image_set_id", new.image_set_id)
    row = connection.execute(
        "SELECT id, version FROM image_set WHERE image_set_id = ? AND datastore = ?", (new.image_set_id, datastore)
    ).fetchone()
    if written.rowcount != 1 or row is None:
        raise VersionConflict(f"image set {new.image_set_id}", new.version - 1, row[1] if row else 0)
    key: int = row[0]
    return key


def _update_where_other(
    connection: Connection, table: str, columns: dict[str, Any], key: str, value: str | int
) -> None:
    """Set columns that searches go by, where one of them is another now.

    SQLite writes every index of a column that is set, to the value it had as well: most edits would cost each of them
    a page of the write-ahead log.
    """
    names, values = ", ".join(columns), ", ".join(f":{name}" for name in columns)
    connection.execute(
        f"UPDATE {table} SET ({names}) = ({values}) WHERE {key} = :its_key AND ({names}) IS NOT ({values})",
        {**columns, "its_key": value},
    )


def _append_content(connection: Connection, image_set: int, new: NewVersion) -> None:
    """Write what the version adds to its image set: parts, slots, stored objects, bulk data."""
    connection.executemany(
        "INSERT INTO part (image_set, number, count, sop_classes, crc32, raw_length, objects, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                image_set,
                number,
                part.count,
                to_json(part.sop_classes),
                part.crc32,
                part.raw_length,
                part.index,
                part.body,
            )
            for number, part in new.parts.items()
        ],
    )
    connection.executemany(
        "INSERT INTO slot (image_set, sop_instance_uid, slot) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [(image_set, uid, slot) for uid, slot in new.slots],
    )
    connection.executemany(
        "INSERT INTO object (image_set, number, pack, offset, length, sha256, fingerprint)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (image_set, number, *_address_columns(stored.address), bytes.fromhex(stored.sha256), stored.fingerprint)
            for number, stored in new.objects.items()
        ],
    )
    connection.executemany(
        "INSERT INTO bulk_data (image_set, uri, pack, offset, length) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [(image_set, uri, *_address_columns(address)) for uri, address in new.bulk.items()],
    )


def _append_study_version(connection: Connection, datastore: int, study: int, new: NewStudyVersion) -> None:
    keys = dict(
        connection.execute(
            f"SELECT image_set_id, id FROM image_set WHERE image_set_id IN ({_marks(new.members)})",
            [image_set_id for image_set_id, _ in new.members],
        ).fetchall()
    )
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
    _set_study_columns(connection, datastore, study, keys, new.columns or StudyColumns(""))


def _set_study_columns(
    connection: Connection, datastore: int, study: int, image_sets: dict[str, int], columns: StudyColumns
) -> None:
    """Write what QIDO-RS searches for."""
    searched = {
        "image_set": image_sets.get(columns.image_set_id),
        "study_date": columns.study_date,
        "study_time": columns.study_time,
        "patient_id": columns.patient_id,
        "accession_number": columns.accession_number,
        "study_id": columns.study_id,
        "study_description": columns.study_description,
        "names": columns.names,
        "modalities": to_json(columns.modalities),
        "sop_classes": to_json(columns.sop_classes),
        "series_count": columns.series_count,
        "instance_count": columns.instance_count,
    }
    text = connection.execute(_TEXT, (study,)).fetchone()
    _update_where_other(connection, "study", searched, "id", study)
    _set_text(connection, study, text, connection.execute(_TEXT, (study,)).fetchone())
    modalities = [(modality, columns.study_date) for modality in columns.modalities]
    _set_rows(connection, "study_modality", ("modality", "study_date"), modalities, datastore, study)
    names = [
        (attribute, name)
        for attribute in ("patient_name", "referring_physician_name")
        for name in getattr(columns, attribute)
    ]
    _set_rows(connection, "study_name", ("attribute", "name"), names, datastore, study)


# What study_text has of a study. No trigger keeps it: before 3.44, SQLite let FTS5 into none of an untrusted schema.
_TEXT = "SELECT text FROM study_searched WHERE id = ?"


def _set_text(connection: Connection, study: int, old: tuple[str] | None, new: tuple[str] | None) -> None:
    """Have wild cards find a study by its new text. To take the old one out, FTS5 has to be told what it was."""
    if old == new:
        return
    if old is not None:
        connection.execute("INSERT INTO study_text (study_text, rowid, text) VALUES ('delete', ?, ?)", (study, old[0]))
    if new is not None:
        connection.execute("INSERT INTO study_text (rowid, text) VALUES (?, ?)", (study, new[0]))


def _set_rows(
    connection: Connection,
    table: str,
    columns: tuple[str, str],
    rows: Sequence[tuple[str, str]],
    datastore: int,
    study: int,
) -> None:
    """Have a table say of a study what `rows` say, and write nothing where it does."""
    names = ", ".join(columns)
    there = connection.execute(f"SELECT {names} FROM {table} WHERE study = ?", (study,)).fetchall()
    if set(there) == set(rows):
        return
    connection.execute(f"DELETE FROM {table} WHERE study = ?", (study,))
    connection.executemany(
        f"INSERT INTO {table} (datastore, {names}, study) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [(datastore, *row, study) for row in rows],
    )


def _marks(values: Collection[Any]) -> str:
    return ", ".join("?" * len(values))


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
