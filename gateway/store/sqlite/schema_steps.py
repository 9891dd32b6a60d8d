"""What the database is made of: the steps of its schema, and how one of before is brought up to the newest."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from importlib import resources

from gateway.errors import StorageFailed
from gateway.metadata.study_summary import packed_values
from gateway.store.log.heads import unpack_head
from gateway.store.log.manifest import unpack_manifest
from gateway.store.sqlite.connection import Connection
from gateway.store.sqlite.instance_key import instance_key
from gateway.store.sqlite.row_checksums import checked_tables, fill_in_checksums
from gateway.store.sqlite.write_ahead_log import copy_log
from gateway.store.study_rows import searched_names, text_of

APPLICATION_ID = 0x44575647  # "DWVG", in the file's header: `file` and a cautious administrator can see whose it is


def schemas() -> list[str]:
    """Return the steps of the schema, in order: schema/001.sql, schema/002.sql, …"""
    folder = resources.files("gateway.store.sqlite") / "schema"
    return [file.read_text("utf-8") for file in sorted(folder.iterdir(), key=lambda file: file.name)]


def migrate(connection: Connection) -> None:
    """Take the steps a database lacks, each in a transaction with the number of the step."""
    steps = schemas()
    done = connection.execute("PRAGMA user_version").fetchone()[0]
    for name, (arguments, function) in _OF_STEPS.items():
        connection.create_function(name, arguments, function, deterministic=True)
    if done > len(steps):
        raise StorageFailed(f"the database has schema {done}, made by a newer gateway; this one knows {len(steps)}")
    for number, sql in enumerate(steps[done:], done + 1):
        checked = set(checked_tables(connection))
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE; {sql}\nPRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={number};"
            )
            fill_in_checksums(connection, [one for one in checked_tables(connection) if one not in checked])
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        copy_log(connection)  # a step may be as large as the database


# What steps 006 and 007 need of a version's head, which is compressed, and of its manifest; with how many arguments.
_OF_STEPS: Mapping[str, tuple[int, Callable[..., str | int | None]]] = {
    "head_names": (1, lambda head: searched_names(unpack_head(head))),
    "head_description": (1, lambda head: text_of(unpack_head(head).study, "StudyDescription")),
    "instance_key": (1, instance_key),
    "head_summary": (2, lambda head, manifest: packed_values(unpack_head(head), unpack_manifest(manifest).timezone)),
}


def schema_of(connection: Connection) -> list[tuple[str, ...]]:
    """Return what a database is made of, as text: its tables and indexes."""
    return connection.execute("SELECT type, name, tbl_name, sql FROM main.sqlite_master ORDER BY type, name").fetchall()


def newest_schema() -> list[tuple[str, ...]]:
    """Return what a new database is made of."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection)
        return schema_of(connection)
