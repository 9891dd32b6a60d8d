"""ImportLog in the SQLite file of the log: each method is one hop to a connection's thread."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from gateway.errors import IdempotencyConflict, NotFound, TooLarge
from gateway.store.blobs.protocol import Address
from gateway.store.log.import_log import ImportFile, ImportJob, ImportJobStatus
from gateway.store.sqlite.connection import Connection
from gateway.store.sqlite.database import Database
from gateway.store.sqlite.tables import datastore_key, to_json, to_text

_JOB = (
    "SELECT job_id, datastore_id, import_job.status, submitted_at, request, who, ended_at, message"
    " FROM import_job JOIN datastore ON datastore.id = import_job.datastore "
)
_UNFINISHED = "import_job.status IN ('SUBMITTED', 'IN_PROGRESS')"


class SqliteImportLog:
    """An ImportLog."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def create(self, job: ImportJob, client_token: str, most_unfinished: int) -> ImportJob:
        return await self.database.write(lambda connection: _create(connection, job, client_token, most_unfinished))

    async def job(self, datastore_id: str, job_id: str) -> ImportJob:
        return await self.database.read(lambda connection: _read(connection, datastore_id, job_id))

    async def jobs(
        self,
        datastore_id: str,
        since: datetime,
        limit: int,
        status: ImportJobStatus | None = None,
        after: str | None = None,
    ) -> list[ImportJob]:
        return await self.database.read(lambda connection: _jobs(connection, datastore_id, since, limit, status, after))

    async def unfinished(self) -> list[ImportJob]:
        return await self.database.read(
            lambda connection: [
                _job(row) for row in connection.execute(f"{_JOB} WHERE {_UNFINISHED} ORDER BY import_job.id")
            ]
        )

    async def begin(self, job_id: str) -> None:
        await self.database.write(
            lambda connection: connection.execute(
                "UPDATE import_job SET status = 'IN_PROGRESS' WHERE job_id = ? AND status = 'SUBMITTED'", (job_id,)
            )
        )

    async def add_files(self, job_id: str, files: Sequence[ImportFile]) -> None:
        await self.database.write(lambda connection: _add_files(connection, job_id, files))

    async def files(self, job_id: str) -> list[ImportFile]:
        return await self.database.read(lambda connection: _files(connection, job_id))

    async def record(self, job_id: str, outcomes: Mapping[str, Mapping[str, Any]]) -> None:
        await self.database.write(lambda connection: _record(connection, job_id, outcomes))

    async def end(
        self, job_id: str, status: Literal["COMPLETED", "FAILED"], at: datetime, message: str | None = None
    ) -> None:
        await self.database.write(lambda connection: _end(connection, job_id, status, at, message))


def _job(row: tuple[Any, ...]) -> ImportJob:
    return ImportJob(
        job_id=row[0],
        datastore_id=row[1],
        status=row[2],
        submitted_at=datetime.fromisoformat(row[3]),
        request=json.loads(row[4]),
        who=row[5],
        ended_at=datetime.fromisoformat(row[6]) if row[6] else None,
        message=row[7],
    )


def _key(connection: Connection, job_id: str) -> int:
    """Return our key of a job. Raises NotFound."""
    row = connection.execute("SELECT id FROM import_job WHERE job_id = ?", (job_id,)).fetchone()
    if row is None:
        raise NotFound("import job", job_id)
    key: int = row[0]
    return key


def _create(connection: Connection, job: ImportJob, client_token: str, most_unfinished: int) -> ImportJob:
    datastore = datastore_key(connection, job.datastore_id)
    row = connection.execute(
        f"{_JOB} WHERE import_job.datastore = ? AND import_job.client_token = ?", (datastore, client_token)
    ).fetchone()
    if row is not None:
        kept = _job(row)
        if kept.request != job.request:
            raise IdempotencyConflict("clientToken")
        return kept
    (unfinished,) = connection.execute(
        f"SELECT COUNT(*) FROM import_job WHERE datastore = ? AND {_UNFINISHED}", (datastore,)
    ).fetchone()
    if unfinished >= most_unfinished:
        raise TooLarge(f"the data store has {most_unfinished} import jobs that are not done, the most it may have")
    connection.execute(
        "INSERT INTO import_job (job_id, datastore, status, submitted_at, who, request, client_token)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            job.job_id,
            datastore,
            job.status,
            to_text(job.submitted_at),
            job.who,
            to_json(dict(job.request)),
            client_token,
        ),
    )
    return job


def _read(connection: Connection, datastore_id: str, job_id: str) -> ImportJob:
    datastore = datastore_key(connection, datastore_id)
    row = connection.execute(f"{_JOB} WHERE job_id = ? AND datastore = ?", (job_id, datastore)).fetchone()
    if row is None:
        raise NotFound("import job", job_id)
    return _job(row)


def _jobs(
    connection: Connection,
    datastore_id: str,
    since: datetime,
    limit: int,
    status: ImportJobStatus | None,
    after: str | None,
) -> list[ImportJob]:
    conditions = ["datastore = ?", "submitted_at >= ?"]
    values: list[Any] = [datastore_key(connection, datastore_id), to_text(since)]
    if status is not None:
        conditions.append("import_job.status = ?")
        values.append(status)
    if after is not None:
        conditions.append("import_job.id < (SELECT id FROM import_job WHERE job_id = ?)")
        values.append(after)
    where = " AND ".join(conditions)
    rows = connection.execute(f"{_JOB} WHERE {where} ORDER BY import_job.id DESC LIMIT ?", (*values, limit))
    return [_job(row) for row in rows]


def _add_files(connection: Connection, job_id: str, files: Sequence[ImportFile]) -> None:
    job = _key(connection, job_id)
    (last,) = connection.execute("SELECT COALESCE(MAX(number), 0) FROM import_file WHERE job = ?", (job,)).fetchone()
    connection.executemany(
        "INSERT INTO import_file"
        " (job, number, path, pack, offset, length, sha256, study_instance_uid, warnings, outcome)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (job, path) DO NOTHING",
        [
            (
                job,
                number,
                file.path,
                bytes.fromhex(file.address.pack) if file.address else None,
                file.address.offset if file.address else 0,
                file.address.length if file.address else 0,
                bytes.fromhex(file.sha256),
                file.study_instance_uid,
                to_json(file.warnings),
                to_json(dict(file.outcome)) if file.outcome is not None else None,
            )
            for number, file in enumerate(files, last + 1)
        ],
    )


def _files(connection: Connection, job_id: str) -> list[ImportFile]:
    rows = connection.execute(
        "SELECT path, pack, offset, length, sha256, study_instance_uid, warnings, outcome FROM import_file"
        " WHERE job = ? ORDER BY number",
        (_key(connection, job_id),),
    )
    return [
        ImportFile(
            path=path,
            address=Address(pack.hex(), offset, length) if pack is not None else None,
            sha256=sha256.hex(),
            study_instance_uid=study_instance_uid,
            warnings=tuple(json.loads(warnings)),
            outcome=json.loads(outcome) if outcome is not None else None,
        )
        for path, pack, offset, length, sha256, study_instance_uid, warnings, outcome in rows
    ]


def _record(connection: Connection, job_id: str, outcomes: Mapping[str, Mapping[str, Any]]) -> None:
    job = _key(connection, job_id)
    connection.executemany(
        "UPDATE import_file SET outcome = ? WHERE job = ? AND path = ?",
        [(to_json(dict(outcome)), job, path) for path, outcome in outcomes.items()],
    )


def _end(
    connection: Connection, job_id: str, status: Literal["COMPLETED", "FAILED"], at: datetime, message: str | None
) -> None:
    job = _key(connection, job_id)
    connection.execute("DELETE FROM import_file WHERE job = ?", (job,))
    connection.execute(
        "UPDATE import_job SET status = ?, ended_at = ?, message = ? WHERE id = ?", (status, to_text(at), message, job)
    )
