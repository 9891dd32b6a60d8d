"""The connections of the database: settings, group commit, errors, schema."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.errors import GatewayError, StorageFailed, StorageFull
from gateway.store.sqlite import database as database_module
from gateway.store.sqlite.connection import Connection, SqliteThread
from gateway.store.sqlite.database import Database, open_database
from gateway.store.sqlite.schema_steps import migrate, schemas
from gateway.store.sqlite.write_ahead_log import copy_log


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await open_database(tmp_path / "gateway.db")
    await database.write(
        lambda connection: connection.execute("CREATE TABLE number (n INTEGER PRIMARY KEY)").fetchall()
    )
    yield database
    await database.close()


def insert(number: int) -> Callable[[Connection], int]:
    return lambda connection: connection.execute("INSERT INTO number VALUES (?)", (number,)).rowcount


def numbers(connection: Connection) -> list[int]:
    return [n for (n,) in connection.execute("SELECT n FROM number ORDER BY n")]


SETTINGS = {
    "journal_mode": "wal",
    "synchronous": 2,  # FULL
    "foreign_keys": 1,
    "busy_timeout": 5000,
    "mmap_size": 0,
    "trusted_schema": 0,
    "cell_size_check": 1,
    "cache_size": -16384,
}


@pytest.mark.parametrize("pragma", SETTINGS)
async def test_every_connection_has_the_settings(database: Database, pragma: str) -> None:
    """Durable, checked, without mmap: on the writer, on each reader and where long searches run."""

    def setting(connection: Connection) -> object:
        return connection.execute(f"PRAGMA {pragma}").fetchone()[0]

    found = [await thread.run(setting) for thread in (database._writer, *database._readers, database._searcher)]

    assert found == [SETTINGS[pragma]] * 4


MANY_STEPS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT MAX(i) FROM n"


async def test_search_that_takes_long_is_begun_anew_where_nobody_waits(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a connection of its own, after `anew`; one that is soon done runs once, on a reader."""
    monkeypatch.setattr(database_module, "SOON", 0)
    seen: list[object] = []

    def work(connection: Connection) -> int:
        seen.append(connection)
        found: int = connection.execute(MANY_STEPS).fetchone()[0]
        return found

    assert await database.search(work, lambda: seen.append("anew")) == 100_000
    assert await database.search(lambda connection: connection.execute("SELECT 7").fetchone()[0]) == 7
    assert await database.read(work) == 100_000

    readers = [reader._connection._conn for reader in database._readers]
    assert seen == [readers[0], "anew", database._searcher._connection._conn, readers[0]]


async def test_reader_that_a_long_search_left_shows_what_is_committed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while the search goes on elsewhere, though it was interrupted in the midst of reading rows."""
    monkeypatch.setattr(database_module, "SOON", 0)
    for number in (1, 2, 3):
        await database.write(insert(number))
    begun, committed = threading.Event(), threading.Event()

    def rows_within_rows(connection: Connection) -> bool:
        rows = connection.execute("SELECT n FROM number")
        for _ in rows:
            connection.execute(MANY_STEPS).fetchone()
            begun.set()
        return committed.wait(30)

    searching = asyncio.create_task(database.search(rows_within_rows))
    await asyncio.to_thread(begun.wait, 30)
    await database.write(insert(4))

    assert await database.read(numbers) == [1, 2, 3, 4]
    committed.set()
    assert await searching


async def test_reader_that_is_busy_is_not_waited_for(database: Database) -> None:
    """While one reads, the next is given to the other; where both are idle, it is always the same."""
    done, ran = threading.Event(), list[Connection]()

    def wait(connection: Connection) -> bool:
        ran.append(connection)
        return done.wait(30)

    waiting = asyncio.create_task(database.read(wait))
    await asyncio.sleep(0)
    await database.read(ran.append)
    done.set()

    assert await waiting
    await database.read(ran.append)
    first, second = (reader._connection._conn for reader in database._readers)
    assert sorted(map(id, ran[:2])) == sorted(map(id, (first, second)))
    assert ran[2] is first


async def test_readers_cannot_write(database: Database) -> None:
    """One connection writes and checkpoints, the others are told to refuse."""
    with pytest.raises(StorageFailed):
        await database.read(insert(1))


async def test_sqlite_checkpoints_nothing_by_itself(database: Database) -> None:
    """In a commit it would tell nobody that it failed."""

    def setting(connection: Connection) -> object:
        return connection.execute("PRAGMA wal_autocheckpoint").fetchone()[0]

    assert [await database.write(setting), await database.read(setting), await database.search(setting)] == [0, 0, 0]


async def test_a_whole_function_runs_on_the_thread_of_its_connection(database: Database) -> None:
    """One hop, whatever the function does: the part of aiosqlite that is private still does that."""
    threads: list[set[str]] = []

    def work(connection: Connection) -> int:
        threads.append({threading.current_thread().name})
        return len([connection.execute("SELECT 1") for _ in range(100)])

    assert await database.write(work) == 100
    assert await database.read(work) == 100
    assert threads[0] != threads[1] and threading.current_thread().name not in threads[0] | threads[1]


async def test_a_written_value_is_read_by_every_reader(database: Database) -> None:
    """What was acknowledged is seen by whoever asks next."""
    await database.write(insert(1))

    assert [await database.read(numbers) for _ in range(4)] == [[1]] * 4


async def test_writers_that_arrive_together_commit_together(database: Database) -> None:
    """32 writers share at most four commits."""
    before = database.commits

    await asyncio.gather(*(database.write(insert(number)) for number in range(32)))

    assert await database.read(numbers) == list(range(32))
    assert database.commits - before <= 4


async def test_a_writer_that_fails_does_not_fail_its_neighbours(database: Database) -> None:
    """Of 32 writers in one commit, the one that raises leaves nothing, and the others everything."""

    def fail(connection: Connection) -> None:
        connection.execute("INSERT INTO number VALUES (1000)")
        raise GatewayError("no")

    works = [fail if number == 7 else insert(number) for number in range(32)]
    outcomes = await asyncio.gather(*(database.write(work) for work in works), return_exceptions=True)

    assert [isinstance(outcome, GatewayError) for outcome in outcomes] == [number == 7 for number in range(32)]
    assert await database.read(numbers) == [number for number in range(32) if number != 7]


async def test_a_writer_that_breaks_a_key_is_rolled_back(database: Database) -> None:
    """A constraint of the database is an error of ours, and undoes the writer that broke it."""
    await database.write(insert(1))

    def work(connection: Connection) -> None:
        connection.execute("INSERT INTO number VALUES (2)")
        connection.execute("INSERT INTO number VALUES (1)")

    with pytest.raises(StorageFailed):
        await database.write(work)
    assert await database.read(numbers) == [1]


async def test_a_cancelled_writer_does_not_stop_the_others(database: Database) -> None:
    """A client that hangs up is not answered; the rest is."""
    first = asyncio.create_task(database.write(insert(1)))
    second = asyncio.create_task(database.write(insert(2)))
    await asyncio.sleep(0)

    first.cancel()

    assert await second == 1
    assert 2 in await database.read(numbers)


async def test_a_reader_sees_one_state_throughout(database: Database) -> None:
    """A commit between two statements of a read is not seen by the second."""
    await database.write(insert(1))
    reading, written = threading.Event(), threading.Event()

    def work(connection: Connection) -> list[list[int]]:
        first = numbers(connection)
        reading.set()
        assert written.wait(5)
        return [first, numbers(connection)]

    task = asyncio.create_task(database.read(work))
    assert await asyncio.to_thread(reading.wait, 5)
    await database.write(insert(2))
    written.set()

    assert await task == [[1], [1]]


async def test_a_full_disk_is_told_and_reading_goes_on(database: Database) -> None:
    """SQLITE_FULL fails the writers of that commit, and nobody after it."""
    await database.write(insert(1))
    pages = await database._writer.run(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    await database._writer.run(lambda c: c.execute(f"PRAGMA max_page_count={pages}").fetchall())

    with pytest.raises(StorageFull):
        await database.write(lambda c: c.execute("CREATE TABLE big AS SELECT randomblob(1000000)"))

    assert await database.read(numbers) == [1]
    await database._writer.run(lambda c: c.execute("PRAGMA max_page_count=1000000").fetchall())
    assert await database.write(insert(2)) == 1


async def test_after_a_disk_error_nothing_is_written_any_more(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An fsync that failed may seem to succeed when repeated, so the gateway stops writing instead."""

    async def broken(work: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        raise StorageFailed("the database refused") from error

    monkeypatch.setattr(database._writer, "run", broken)
    with pytest.raises(StorageFailed):
        await database.write(insert(1))
    monkeypatch.undo()

    with pytest.raises(StorageFailed, match="restart"):
        await database.write(insert(2))
    assert await database.read(numbers) == []


def disk_failed(database: Database) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    failed = StorageFailed("the database refused")
    failed.__cause__ = error
    database._note_failure(failed)


def found_no_room(database: Database) -> None:
    database._settled = False


@pytest.mark.parametrize("distrust", [disk_failed, found_no_room])
async def test_closing_copies_the_log_into_the_database_unless_the_disk_may_lack_it(
    tmp_path: Path, distrust: Callable[[Database], None]
) -> None:
    """After an fsync that failed, or where a full disk had no room to write again the log that was found: the next
    process does that first."""
    path, log = tmp_path / "gateway.db", tmp_path / "gateway.db-wal"
    database = await open_database(path)
    await database.write(lambda connection: connection.execute("CREATE TABLE number (n)").close())
    await database.close()
    assert not log.exists()

    database = await open_database(path)
    await database.write(insert(1))
    before, left = path.read_bytes(), log.read_bytes()
    distrust(database)
    await database.close()

    assert (path.read_bytes(), log.read_bytes()) == (before, left)
    database = await open_database(path)
    assert await database.read(numbers) == [1]
    await database.close()
    assert not log.exists()


async def test_database_that_cannot_be_opened_keeps_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that fails may have failed to sync the log, which nobody then copies into the database."""
    path, log = tmp_path / "gateway.db", tmp_path / "gateway.db-wal"
    await (await open_database(path)).close()
    before = path.read_bytes()

    def fail(connection: Connection) -> None:
        connection.execute("PRAGMA user_version=7")
        raise StorageFailed("the disk failed")

    monkeypatch.setattr(database_module, "keep_checksums", fail)
    with pytest.raises(StorageFailed):
        await open_database(path)

    assert path.read_bytes() == before
    assert len(log.read_bytes()) > 4096


@pytest.mark.parametrize(
    ("code", "goes_on"), [(sqlite3.SQLITE_IOERR_FSYNC, False), (sqlite3.SQLITE_FULL, True)], ids=["fsync", "full"]
)
async def test_after_a_checkpoint_that_failed_writing_goes_on_only_if_the_disk_was_full(
    database: Database, monkeypatch: pytest.MonkeyPatch, code: int, goes_on: bool
) -> None:
    """What the one before copied in part may be lost with an fsync, and is copied again by the next process only."""
    run = database._writer.run

    async def broken(work: Callable[[Connection], object]) -> object:
        if work is not copy_log:
            return await run(work)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = code
        raise (StorageFull("full") if goes_on else StorageFailed("the database refused")) from error

    monkeypatch.setattr(database_module, "CHECKPOINT_WRITERS", 1)
    monkeypatch.setattr(database._writer, "run", broken)
    assert await database.write(insert(1)) == 1
    while database._committing is not None:
        await database._committing
    monkeypatch.undo()

    if goes_on:
        assert await database.write(insert(2)) == 1
    else:
        with pytest.raises(StorageFailed, match="restart"):
            await database.write(insert(2))
    assert await database.read(numbers) == ([1, 2] if goes_on else [1])


async def test_writers_that_never_pause_do_not_put_a_checkpoint_off(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes at the latest after twice as many writers: SQLite's own would tell nobody that it failed."""
    copied, before = list[int](), database.commits
    monkeypatch.setattr(database_module, "CHECKPOINT_WRITERS", 40)
    monkeypatch.setattr(database_module, "copy_log", lambda connection: copied.append(database.commits - before))
    monkeypatch.setattr(database_module, "COMMIT_TOGETHER", 8)

    await asyncio.gather(*(database.write(insert(number)) for number in range(200)))

    assert copied[:2] == [10, 20]  # commits of eight writers each


@pytest.mark.parametrize(("longest", "lengths"), [(200_000, range(200_000, 350_000)), (10**9, range(500_000, 700_000))])
async def test_log_that_few_writers_made_long_is_copied(
    database: Database, tmp_path: Path, longest: int, lengths: range
) -> None:
    """Each time it is longer than ever: once it was copied it is written from its beginning, at the same length."""
    database._longest = longest
    await database.write(lambda connection: connection.execute("CREATE TABLE big (b BLOB)").close())
    for _ in range(10):
        await database.write(lambda connection: connection.execute("INSERT INTO big VALUES (zeroblob(50000))").close())
        while database._committing is not None:
            await database._committing

    assert (tmp_path / "gateway.db-wal").stat().st_size in lengths


async def test_the_write_ahead_log_is_checkpointed(database: Database, tmp_path: Path) -> None:
    """Many commits one after the other do not let the log grow without end."""
    for number in range(600):
        await database.write(insert(number))

    busy, frames, copied = await database._writer.run(lambda c: c.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone())
    assert (busy, frames, copied) == (0, frames, frames)
    assert frames < 600


# -- schema


async def test_a_new_database_has_the_newest_schema(database: Database) -> None:
    """user_version counts the steps taken, and the header says whose file it is."""
    assert await database.read(lambda c: c.execute("PRAGMA user_version").fetchone()[0]) == len(schemas())
    assert await database.read(lambda c: c.execute("PRAGMA application_id").fetchone()[0]) == 0x44575647


async def test_opening_again_takes_no_step_twice(tmp_path: Path) -> None:
    """The schema of a database in use is left alone."""
    for _ in range(2):
        await (await open_database(tmp_path / "gateway.db")).close()


async def test_a_database_of_a_newer_gateway_is_refused(tmp_path: Path) -> None:
    """An older gateway does not guess what a newer one meant."""
    thread = await SqliteThread.open(tmp_path / "gateway.db", ["PRAGMA user_version=999"])
    await thread.close()

    with pytest.raises(StorageFailed, match="newer gateway"):
        await open_database(tmp_path / "gateway.db")


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """Whatever lies there is not overwritten."""
    (tmp_path / "gateway.db").write_bytes(b"not a database, and long enough to be looked at" * 100)

    with pytest.raises(StorageFailed):
        await open_database(tmp_path / "gateway.db")
    assert (tmp_path / "gateway.db").read_bytes().startswith(b"not a database")


def test_a_step_that_fails_leaves_nothing_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A schema step is one transaction with its number: killed half way, it is taken again from the start."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    monkeypatch.setattr(
        "gateway.store.sqlite.schema_steps.schemas", lambda: ["CREATE TABLE a (x); CREATE TABLE a (y);"]
    )

    with pytest.raises(sqlite3.OperationalError):
        migrate(connection)

    assert connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone() == (0,)
    assert connection.execute("PRAGMA user_version").fetchone() == (0,)
    connection.close()


async def test_nothing_is_kept_in_files_for_a_while(tmp_path: Path) -> None:
    """Savepoints and sorting stay in memory: a folder for temporary files is no place for records."""
    database = await open_database(tmp_path / "gateway.db")

    def temp_store(connection: Connection) -> int:
        return int(connection.execute("PRAGMA temp_store").fetchone()[0])

    found = [await database.write(temp_store), await database.read(temp_store)]
    triggers = await database.write(
        lambda connection: connection.execute("SELECT COUNT(*) FROM temp.sqlite_master").fetchone()[0]
    )
    await database.close()

    assert found == [2, 2]  # sqlite.org/pragma.html#pragma_temp_store: MEMORY
    assert triggers > 10  # those that keep the rows' checksums were made after it
