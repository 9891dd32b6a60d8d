"""A checksum in every row whose content nothing else in the database repeats.

SQLite's integrity check sees a damaged tree and not a damaged value. What searches go by can be made again from the
heads, and the slots from the parts; the rest is here: who edited what and when, heads and manifests, where bytes lie,
kept answers, jobs. A table takes part by having a column `checksum`; the writer's triggers
fill it in, so that no statement can forget it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.store.sqlite.connection import Connection

Column = int | float | str | bytes | None

COLUMN = "checksum"
_FUNCTION = "row_checksum"

# Long values that have a checksum in the same row, which the row's covers.
_COVERED = {("part", "body"), ("framed_part", "body")}


def row_checksum(*row: Column) -> bytes:
    """Return the CRC-32 of a row, given as names and values in turn, in four bytes.

    NULL counts for nothing, so that a later step of the schema can add a column to rows that there are.
    """
    pieces: list[bytes] = []
    for name, value in zip(map(str, row[::2]), row[1::2], strict=True):
        if isinstance(value, str):  # written out by type: it is called three times in every edit, for 20 columns each
            data = value.encode()
            pieces.append(f"{name} str {len(data)} ".encode())
            pieces.append(data)
        elif isinstance(value, bytes):
            pieces.append(f"{name} bytes {len(value)} ".encode())
            pieces.append(value)
        elif value is not None:
            number = str(value)
            pieces.append(f"{name} {type(value).__name__} {len(number)} {number}".encode())
    return zlib.crc32(b"".join(pieces)).to_bytes(4)


def keep_checksums(connection: Connection) -> None:
    """Have this connection fill in the checksum of every row it inserts or updates.

    The triggers are the connection's own: the file has none, and any program can read it. A checksum that is not filled
    in yet has as many bytes, so that SQLite overwrites them and does not move the row.
    """
    _define(connection)
    for table in checked_tables(connection):
        columns = _columns(connection, table)
        row = " AND ".join(f"{column} = NEW.{column}" for column in _primary_key(connection, table))
        for event, name in (("INSERT", "inserted"), (f"UPDATE OF {', '.join(columns)}", "updated")):
            connection.execute(
                f"CREATE TEMP TRIGGER {table}_{name} AFTER {event} ON main.{table}"
                f" BEGIN UPDATE {table} SET {COLUMN} = {_call(columns, 'NEW.')} WHERE {row}; END"
            )


def fill_in_checksums(connection: Connection, tables: Iterable[str]) -> None:
    """Fill in the checksums of tables whose rows had none before a step of the schema."""
    _define(connection)
    for table in tables:
        connection.execute(f"UPDATE {table} SET {COLUMN} = {_call(_columns(connection, table))}")


def checked_tables(connection: Connection) -> list[str]:
    """Return the tables whose rows have a checksum."""
    tables = connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
    return [name for (name,) in tables if COLUMN in _names(connection, name)]


def wrong_rows(connection: Connection, table: str) -> Iterable[tuple[Column, ...]]:
    """Yield the primary keys of the rows whose checksum is wrong."""
    _define(connection)
    key = ", ".join(_primary_key(connection, table))
    return connection.execute(f"SELECT {key} FROM {table} WHERE {COLUMN} IS NOT {_call(_columns(connection, table))}")


def _define(connection: Connection) -> None:
    connection.create_function(_FUNCTION, -1, row_checksum, deterministic=True)


def _call(columns: Iterable[str], prefix: str = "") -> str:
    named = ", ".join(f"'{column}', {prefix}{column}" for column in columns)
    return f"{_FUNCTION}({named})"


def _names(connection: Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA main.table_info({table})")]


def _columns(connection: Connection, table: str) -> list[str]:
    return [name for name in _names(connection, table) if name != COLUMN and (table, name) not in _COVERED]


def _primary_key(connection: Connection, table: str) -> list[str]:
    rows = [row for row in connection.execute(f"PRAGMA main.table_info({table})") if row[5]]
    return [row[1] for row in sorted(rows, key=lambda row: int(row[5]))]
