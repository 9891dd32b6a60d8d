"""One SQLite file: one connection that writes and checkpoints, and three that read.

SQLite before 3.51.3 can corrupt a write-ahead log that two connections write or checkpoint at the same time
(sqlite.org/wal.html#walresetbug), and distributions carry older ones. So one connection does both, the readers do
neither, and a lock on the data folder keeps other processes away.

Writers that arrive together commit together: one transaction, a savepoint for each, one fsync. Nobody is answered
before the commit.

Two of the three are for what is soon read. A search that takes long is begun anew on the third: others wait for its
beginning and no longer.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from gateway.errors import GatewayError, StorageFailed, StorageFull
from gateway.store.sqlite.connection import Connection, SqliteThread, sqlite_errors
from gateway.store.sqlite.file_format import log_of
from gateway.store.sqlite.row_checksums import keep_checksums
from gateway.store.sqlite.schema_steps import migrate
from gateway.store.sqlite.write_ahead_log import copy_log, end_log, settle, write_log_again

Result = TypeVar("Result")

READERS = 2

# How many seconds a search has before it is begun anew on a connection of its own. Longer than any of which there are
# many, short enough to wait for.
SOON = 0.05
# How often SQLite asks whether they are over: in steps of its machine, some 20 ns each.
_STEPS = 10_000

# How many writers share a commit: more would make the first wait for the last.
COMMIT_TOGETHER = 64

# After so many writers the write-ahead log is copied into the database, when none waits; after twice as many even so,
# and when they have made the file longer than so many bytes. SQLite does not do it by itself, in a commit: it would
# tell nobody when that fails.
CHECKPOINT_WRITERS = 512
LONG_LOG = 64 * 1024 * 1024

# sqlite.org/pragma.html. synchronous=FULL: an acknowledged version survives power loss. mmap_size=0: with mmap, a
# stray write anywhere in the process could change the database. cache_size: 16 MiB, as SQLite's 2 MiB do not hold the
# upper pages of the trees that a search or an edit of a million studies goes down.
_EVERY_CONNECTION = (
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=5000",
    "PRAGMA mmap_size=0",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA cell_size_check=ON",
    "PRAGMA synchronous=FULL",
    "PRAGMA cache_size=-16384",
)

# A savepoint keeps the pages it may have to put back, and a search what it sorts. In files of their own that would be
# half of all writes of a store, and records in a folder for temporary files. Not while steps of the schema are taken:
# of a large database those keep more than memory has room for.
_IN_MEMORY = "PRAGMA temp_store=MEMORY"

_WRITER = ("PRAGMA journal_mode=WAL", "PRAGMA wal_autocheckpoint=0")
# The last one reads: from then on a reader has the database open, and none of the others is the last to close it.
_READER = (_IN_MEMORY, "PRAGMA query_only=ON", "PRAGMA wal_autocheckpoint=0", "PRAGMA schema_version")


def _nothing(result: object) -> None:
    return


@dataclass(slots=True)
class _Waiting(Generic[Result]):
    """A writer that waits for its commit."""

    work: Callable[[Connection], Result]
    answer: asyncio.Future[Result]
    written: Callable[[Result | None], None]
    before: Callable[[], object]


class _TakesLong(Exception):
    """A search that is not done within SOON."""


class Database:
    """The file, opened. `open_database` makes one. settled: whether `settle` was run, which the first write needs.

    searcher: reads as the readers do, for searches that take long. log: the write-ahead log.
    """

    def __init__(
        self,
        writer: SqliteThread,
        readers: Sequence[SqliteThread],
        searcher: SqliteThread,
        log: Path,
        *,
        settled: bool = True,
    ) -> None:
        self._writer = writer
        self._log = log
        self._longest = LONG_LOG
        self._settled = settled
        self._readers = readers
        self._searcher = searcher
        self._waiting: deque[_Waiting[Any]] = deque()
        self._committing: asyncio.Task[None] | None = None
        self._since_checkpoint = 0
        self._failed: StorageFailed | None = None
        self.commits = 0

    async def read(self, work: Callable[[Connection], Result]) -> Result:
        """Return what `work` returns from one consistent state of the database, at least the last committed one."""
        return await self._idlest.run(lambda connection: _consistently(connection, work))

    async def search(self, work: Callable[[Connection], Result], anew: Callable[[], object] = tuple) -> Result:
        """Return the same of what may take long. `anew` is called before `work` is begun a second time."""
        with suppress(_TakesLong):
            return await self._idlest.run(lambda connection: _soon(connection, work))
        anew()
        return await self._searcher.run(lambda connection: _consistently(connection, work))

    @property
    def _idlest(self) -> SqliteThread:
        """The reader that is done soonest; of two, always the same one, which has in memory what is read often."""
        return min(self._readers, key=lambda reader: reader.busy)

    async def write(
        self,
        work: Callable[[Connection], Result],
        written: Callable[[Result | None], None] = _nothing,
        before: Callable[[], object] = tuple,
    ) -> Result:
        """Return what `work` returns, once what it wrote is durable. If it raises, nothing of it is written.

        `written` is called with it on the event loop, before anybody is told, and also where nobody waits any more;
        with None if nothing was written.
        `before` is called on the thread of `work`, for all who commit together before the first of them begins; if it
        raises, so does this.
        """
        if self._failed is not None:
            written(None)
        self._raise_failure()
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(work, answer, written, before))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all())
        return await answer

    async def close(self) -> None:
        """Close the readers first: the writer then copies the log into the database, and removes it.

        The writer first where the disk failed, or had no room to settle: it would copy what the disk may not have. The
        readers cannot.
        """
        if self._committing is not None:
            await self._committing
        readers = *self._readers, self._searcher
        trusts_log = self._settled and self._failed is None
        for thread in (*readers, self._writer) if trusts_log else (self._writer, *readers):
            await thread.close()

    async def _commit_all(self) -> None:
        """Commit until nobody waits."""
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), COMMIT_TOGETHER))]
                await self._commit(batch)
                await self._checkpoint_now_and_then()
        finally:
            self._committing = None

    async def _commit(self, batch: Sequence[_Waiting[Any]]) -> None:
        try:
            self._raise_failure()
            if not self._settled:
                await self._writer.run(settle)
                self._settled = True
            outcomes = await self._writer.run(lambda connection: _commit_together(connection, batch))
        except GatewayError as error:
            outcomes = [error] * len(batch)
            self._note_failure(error)
        self.commits += 1
        self._since_checkpoint += len(batch)
        for waiting, outcome in zip(batch, outcomes, strict=True):
            waiting.written(None if isinstance(outcome, BaseException) else outcome)
            if waiting.answer.done():  # cancelled; what it wrote is written
                continue
            if isinstance(outcome, BaseException):
                waiting.answer.set_exception(outcome)
            else:
                waiting.answer.set_result(outcome)

    def _raise_failure(self) -> None:
        if self._failed is not None:
            raise StorageFailed("a write to the disk failed before: restart the gateway") from self._failed

    def _note_failure(self, error: GatewayError) -> None:
        """Write no more if the disk failed."""
        if isinstance(error, StorageFailed) and _is_disk_error(error.__cause__):
            self._failed = error

    async def _checkpoint_now_and_then(self) -> None:
        """Keep the write-ahead log short, away from anybody's commit.

        One that fails loses nothing: the log still has it all, and after a full disk the next one copies it again. Not
        so after an fsync that failed. One that a reader stops half way copies without a sync: such pages may be lost
        with it, and are copied again only where the log is opened anew.
        """
        if self._since_checkpoint >= CHECKPOINT_WRITERS * (2 if self._waiting else 1) or self._log_has_grown():
            self._since_checkpoint = 0
            try:
                await self._writer.run(copy_log)
            except GatewayError as error:
                self._note_failure(error)

    def _log_has_grown(self) -> bool:
        """Whether the file is longer than ever: once it was copied it is written from its beginning, at that length."""
        try:
            length = self._log.stat().st_size
        except OSError:  # whoever writes next is told
            return False
        before, self._longest = self._longest, max(self._longest, length)
        return length > before


def _consistently(connection: Connection, work: Callable[[Connection], Result]) -> Result:
    connection.execute("BEGIN")
    try:
        return work(connection)
    finally:
        connection.execute("ROLLBACK")


def _soon(connection: Connection, work: Callable[[Connection], Result]) -> Result:
    """Return what `work` returns. Raises _TakesLong, without what it came from.

    A cursor in a frame of that would keep the connection in the state it read: others would be shown what was.
    """
    until = time.monotonic() + SOON
    connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
    try:
        return _consistently(connection, work)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
    finally:
        connection.set_progress_handler(None, 0)
    raise _TakesLong


def _is_disk_error(error: BaseException | None) -> bool:
    """Whether the disk failed. An fsync that failed may succeed when repeated and the bytes be lost all the same."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT)


def _commit_together(connection: Connection, batch: Sequence[_Waiting[Any]]) -> list[Any]:
    """Return each writer's result or error. Raises what fails the transaction as a whole; then nothing is written."""
    run = _within_savepoint if len(batch) > 1 else _alone
    refusals = [_refusal(waiting.before) for waiting in batch]
    connection.execute("BEGIN IMMEDIATE")
    try:
        outcomes = [refusal or run(connection, waiting.work) for refusal, waiting in zip(refusals, batch, strict=True)]
        if connection.in_transaction:
            connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return outcomes


def _refusal(before: Callable[[], object]) -> Exception | None:
    """Do what comes before the transaction; return what it raised."""
    try:
        before()
    except Exception as error:
        return error
    return None


def _alone(connection: Connection, work: Callable[[Connection], Any]) -> Any:
    """Return the result, or the error as a value, the transaction rolled back.

    For a savepoint SQLite would keep every page as it was: of a store request more than it keeps in memory, so that
    each would make a temporary file.
    """
    try:
        with sqlite_errors():
            return work(connection)
    except Exception as error:
        if not connection.in_transaction:  # a full or failing disk
            raise
        connection.execute("ROLLBACK")
        return error


def _within_savepoint(connection: Connection, work: Callable[[Connection], Any]) -> Any:
    """Return the result, or the error as a value: one writer's refusal is not its neighbours'."""
    connection.execute("SAVEPOINT writer")
    try:
        with sqlite_errors():
            result = work(connection)
    except Exception as error:
        if not connection.in_transaction:  # a full or failing disk rolled everybody back, not only this one
            raise
        connection.execute("ROLLBACK TO writer")
        result = error
    connection.execute("RELEASE writer")
    return result


# -- opening


async def open_database(path: Path) -> Database:
    """Open a database file, made new or brought up to the newest schema. Raises StorageFailed.

    The writer comes first: it recovers what a crash left, and the readers find a database at rest. Of a full disk it
    can be read. After an error the writer is closed before the readers, and the log is left as it is.
    """
    # Before a step of the schema is written behind it.
    settled = await _has_room(asyncio.to_thread(write_log_again, path))
    writer = await SqliteThread.open(path, (*_EVERY_CONNECTION, *_WRITER))
    readers: list[SqliteThread] = []
    try:
        for _ in range(READERS + 1):
            readers.append(await SqliteThread.open(path, (*_EVERY_CONNECTION, *_READER), read_only=True))
        await writer.run(migrate)
        await writer.run(lambda connection: connection.execute(_IN_MEMORY).close())  # it takes temporary triggers away
        await writer.run(keep_checksums)
        settled = settled and await _has_room(writer.run(end_log))
    except BaseException:
        for thread in (writer, *readers):
            await thread.close()
        raise
    return Database(writer, readers[:READERS], readers[READERS], log_of(path), settled=settled)


async def _has_room(step: Awaitable[None]) -> bool:
    """Take a step, and return whether the disk had room for it."""
    try:
        await step
    except StorageFull:
        return False
    return True


async def open_to_look_at(path: Path) -> SqliteThread:
    """Open a database file for reading and change nothing in it, also not what a crash left. Raises StorageFailed."""
    return await SqliteThread.open(path, _EVERY_CONNECTION, read_only=True)


def copy_database(source: Path, target: Path, look: Callable[[Connection], Result]) -> Result:
    """Copy a database file as it is now, whoever has it open; return what `look` finds in the copy.

    Raises StorageFailed, StorageFull.
    """
    with (
        sqlite_errors(),
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as reading,
        closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        copy.execute("PRAGMA synchronous=FULL")
        reading.backup(copy)  # all pages in one step, which is one read transaction
        # Ends the copy's own write-ahead log, if it has one: a data folder at rest is one file.
        copy.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return look(copy)
