"""A connection to SQLite on a thread of its own, and what SQLite says when it refuses."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import aiosqlite

from gateway.errors import StorageFailed, StorageFull

Connection = sqlite3.Connection
Result = TypeVar("Result")

# There was no room for the index of the write-ahead log, which has to be there before anything can be read.
_FULL_TOO = (sqlite3.SQLITE_IOERR_SHMSIZE,)


@contextmanager
def sqlite_errors() -> Iterator[None]:
    """Translate what SQLite says into our errors."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code is not None and (code & 0xFF == sqlite3.SQLITE_FULL or code in _FULL_TOO):
            raise StorageFull("no room left on the disk of the data folder") from error
        raise StorageFailed("the database refused") from error
    except UnicodeDecodeError as error:  # SQLite quoted a damaged name in what it said
        raise StorageFailed("the database refused") from error


class SqliteThread:
    """A connection on a thread of its own, which runs whole functions: one hop for each, whatever it does there.

    busy: how many it has been given and not done.
    """

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self.busy = 0

    @classmethod
    async def open(cls, path: Path, pragmas: Sequence[str], *, read_only: bool = False) -> SqliteThread:
        """Open a connection, in autocommit mode. Raises StorageFailed for what is no database."""

        def prepare(connection: Connection) -> None:
            for pragma in pragmas:
                connection.execute(pragma).fetchall()

        with sqlite_errors():
            name = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
            thread = cls(await aiosqlite.connect(name, uri=True, isolation_level=None, cached_statements=256))
        try:
            await thread.run(prepare)
        except BaseException:
            await thread.close()
            raise
        return thread

    async def run(self, work: Callable[[Connection], Result]) -> Result:
        """Return what `work` returns. Raises its errors, SQLite's translated."""
        self.busy += 1
        try:
            with sqlite_errors():
                # aiosqlite's public methods take a hop for each statement; these two private names take one for all.
                result: Result = await self._connection._execute(work, self._connection._conn)  # type: ignore[no-untyped-call]
                return result
        finally:
            self.busy -= 1

    async def close(self) -> None:
        with sqlite_errors():
            await self._connection.close()
