"""ImportLog in SQLite: the contract, and that jobs outlive the process."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.store.contents import Datastore
from gateway.store.log.import_log import ImportLog
from gateway.store.sqlite.log import SqliteLog, open_log
from gateway.store.sqlite.schema_steps import schemas
from tests.store.import_log_suite import THEN, ImportLogTests, create, job

DATASTORE = "d" * 32


@pytest.fixture
async def sqlite_log(tmp_path: Path) -> AsyncIterator[SqliteLog]:
    """A log with one data store."""
    log = await open_log(tmp_path / "gateway.db")
    await log.create_datastore(Datastore(DATASTORE, "archive", "ACTIVE", THEN, THEN), None)
    yield log
    await log.close()


@pytest.fixture
def datastore_id() -> str:
    return DATASTORE


class TestSqliteImportLog(ImportLogTests):
    """The contract."""

    @pytest.fixture
    def log(self, sqlite_log: SqliteLog) -> ImportLog:
        return sqlite_log.imports


async def test_jobs_are_there_after_a_restart(tmp_path: Path) -> None:
    """What was submitted is carried out, whatever happens to the process."""
    before = await open_log(tmp_path / "gateway.db")
    await before.create_datastore(Datastore(DATASTORE, "archive", "ACTIVE", THEN, THEN), None)
    await create(before.imports, job(1, DATASTORE))
    await before.close()

    after = await open_log(tmp_path / "gateway.db")

    assert await after.imports.unfinished() == [job(1, DATASTORE)]
    await after.close()


async def test_database_of_the_first_schema_gets_the_tables(tmp_path: Path) -> None:
    """A gateway that knows import jobs opens the data folder of one that did not, and what is in it stays."""
    with sqlite3.connect(tmp_path / "gateway.db") as older:
        older.executescript(f"{schemas()[0]}; PRAGMA user_version=1;")
        older.execute(
            "INSERT INTO datastore (datastore_id, name, status, created_at, updated_at, properties, tags)"
            " VALUES (?, 'archive', 'ACTIVE', ?, ?, '{}', '{}')",
            (DATASTORE, THEN.isoformat(), THEN.isoformat()),
        )
    older.close()

    log = await open_log(tmp_path / "gateway.db")

    assert await create(log.imports, job(1, DATASTORE)) == job(1, DATASTORE)
    await log.close()
