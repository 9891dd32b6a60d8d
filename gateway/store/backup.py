"""A copy of a data folder, made while a gateway serves it or while none does: what `gateway backup` does.

The database comes first, by SQLite's own backup from one read transaction, and then the packs that this copy names:
each was durable before the database named it, and none ever changes. Until all is on the disk the copy has no
`gateway.db`, so that half a copy is no data folder.

The connection is read-only. SQLite before 3.51.3 can damage a write-ahead log that two connections write or checkpoint
at the same time (sqlite.org/wal.html#walresetbug); a connection that can do neither, in whatever process, is none of
the two, and leaves the log alone when it closes.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from gateway.errors import AlreadyServed, NotEmpty, StorageFailed, StorageFull
from gateway.store.data_folder import DATABASE, FolderLock, require_data_folder
from gateway.store.folders import sync_folder
from gateway.store.sqlite.connection import Connection
from gateway.store.sqlite.database import copy_database

_UNFINISHED = "unfinished.db"

_AT_ONCE = 1024 * 1024


@dataclass(slots=True)
class BackedUp:
    """What was copied. linked: packs that are the same files as in the backup before. missing: packs that the database
    names and that are not there: the folder is damaged, and the copy with it."""

    packs: int = 0
    linked: int = 0
    bytes_copied: int = 0
    missing: list[str] = field(default_factory=list)


def backup(folder: Path, target: Path, previous: Path | None = None) -> BackedUp:
    """Copy a data folder into a new one. Packs that `previous`, an earlier copy, has are linked and not copied.

    What was acknowledged before the call is in the copy, and every version in it is whole. Raises NoDataFolder,
    NotEmpty where the target holds something, StorageFull and StorageFailed; then the target holds no data folder.
    """
    for source in filter(None, (folder, previous)):
        require_data_folder(source)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise NotEmpty(f"{target} is not empty: take a new folder for each backup")
    with _held(folder), _disk_errors(target):
        lock = FolderLock(target)
        try:
            return _copy(folder, target, previous)
        except BaseException:
            with suppress(OSError):
                _take_back(target)
            raise
        finally:
            lock.release()


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep gateways away from a folder that none serves. One that serves it already is no hindrance."""
    lock = None
    with suppress(AlreadyServed):
        lock = FolderLock(folder)
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


@contextmanager
def _disk_errors(target: Path) -> Iterator[None]:
    """Translate what a disk says into our errors."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(f"no room left on the disk of {target}") from error
        raise StorageFailed(f"the backup to {target} failed: {os.strerror(error.errno or errno.EIO)}") from error


def _copy(folder: Path, target: Path, previous: Path | None) -> BackedUp:
    done = BackedUp()
    named = copy_database(folder / DATABASE, target / _UNFINISHED, _named_packs)
    for name, size in named:
        _copy_pack(name, size, folder, target, previous, done)
    (target / "blobs").mkdir(exist_ok=True)
    for path, _, _ in os.walk(target / "blobs", topdown=False):
        sync_folder(Path(path))
    os.rename(target / _UNFINISHED, target / DATABASE)
    sync_folder(target)
    return done


def _named_packs(connection: Connection) -> list[tuple[str, int]]:
    """Return the packs that a database names, whatever its schema, and where the last bytes end that it names in each.

    What lies behind them may be another's that is being written.
    """
    tables = connection.execute(
        "SELECT sqlite_master.name FROM sqlite_master, pragma_table_info(sqlite_master.name) AS of_table"
        " WHERE sqlite_master.type = 'table' AND of_table.name = 'pack'"
    ).fetchall()
    every = " UNION ALL ".join(
        f"SELECT lower(hex(pack)) AS name, offset + length AS size FROM {table} WHERE pack IS NOT NULL"
        for (table,) in tables
    )
    return connection.execute(f"SELECT name, MAX(size) FROM ({every}) GROUP BY 1").fetchall() if tables else []


def _copy_pack(name: str, size: int, folder: Path, target: Path, previous: Path | None, done: BackedUp) -> None:
    place = Path("blobs", name[:2], name[2:4], name)
    made = target / place
    made.parent.mkdir(parents=True, exist_ok=True)
    if not (folder / place).is_file():
        done.missing.append(name)
        return
    done.packs += 1
    if previous is not None and _link(previous / place, made, size):
        done.linked += 1
        return
    with (folder / place).open("rb") as source, made.open("wb") as copy:
        rest = size
        while piece := source.read(min(rest, _AT_ONCE)):
            copy.write(piece)
            rest -= len(piece)
    made.chmod(0o640)
    descriptor = os.open(made, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    done.bytes_copied += size - rest


def _link(before: Path, made: Path, size: int) -> bool:
    """Link a pack to that of an earlier copy; return whether that could be done. No pack changes, but one may grow."""
    try:
        if before.stat().st_size != size:
            return False
        os.link(before, made)
    except OSError:  # it is not there, or on another file system
        return False
    return True


def _take_back(target: Path) -> None:
    """Remove what was made of a copy that failed, also of one that only may not be on the disk."""
    for path in (target / DATABASE, *target.glob(f"{_UNFINISHED}*")):
        path.unlink(missing_ok=True)
    shutil.rmtree(target / "blobs", ignore_errors=True)
    (target / "lock").unlink(missing_ok=True)
