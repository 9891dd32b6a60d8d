"""The write-ahead log: copied into the database now and then, and trusted no more than the disk that has it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from gateway.errors import StorageFailed
from gateway.store.folders import disk_errors
from gateway.store.sqlite.connection import Connection
from gateway.store.sqlite.file_format import log_of

# How many bytes of a log are written again at a time.
_PIECE = 1024 * 1024


def copy_log(connection: Connection) -> None:
    """Copy the write-ahead log into the database, as far as nobody reads it."""
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def settle(connection: Connection) -> None:
    """Have the disk hold what another process left, before anything is written behind it. Raises as both steps do."""
    (_, _, path) = connection.execute("PRAGMA database_list").fetchone()
    write_log_again(Path(path))
    end_log(connection)


def write_log_again(path: Path) -> None:
    """Write the write-ahead log of a database over itself and sync it. Raises StorageFailed, StorageFull.

    Another process left it, perhaps after an fsync that failed: then the kernel shows bytes that the disk has not, and
    does not write them again. Of a checkpoint out of such a log that a power failure cuts off, the database would have
    pages that are newer than the log it is recovered by.
    """
    with disk_errors(), suppress(FileNotFoundError), log_of(path).open("r+b") as log:
        while piece := os.pread(log.fileno(), _PIECE, log.tell()):
            log.write(piece)
        log.flush()
        os.fdatasync(log.fileno())


def end_log(connection: Connection) -> None:
    """Copy the write-ahead log into the database, and begin a new one. Raises StorageFailed, StorageFull."""
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise StorageFailed("a reader is in the way of a checkpoint")
