"""The small tables in SQL: data stores, answers to give again, jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson

from gateway.errors import IdempotencyConflict, NotEmpty, NotFound, TooLarge
from gateway.store.contents import Datastore
from gateway.store.edits import Answer, Job
from gateway.store.log.appends import RememberedAnswer
from gateway.store.sqlite.connection import Connection


@lru_cache(maxsize=16)  # what is written together has one moment
def to_text(moment: datetime) -> str:
    """Return a moment as the database keeps it: UTC, microseconds always written, so that texts sort by time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def to_json(value: Any) -> str:
    return orjson.dumps(value).decode()


# -- data stores

_DATASTORE = "SELECT datastore_id, name, status, created_at, updated_at, properties, tags FROM datastore "


def _datastore(row: tuple[Any, ...]) -> Datastore:
    return Datastore(
        datastore_id=row[0],
        name=row[1],
        status=row[2],
        created_at=datetime.fromisoformat(row[3]),
        updated_at=datetime.fromisoformat(row[4]),
        properties=json.loads(row[5]),
        tags=json.loads(row[6]),
    )


def datastore_key(connection: Connection, datastore_id: str) -> int:
    """Return our key of a data store in use. Raises NotFound."""
    row = connection.execute(
        "SELECT id FROM datastore WHERE datastore_id = ? AND status = 'ACTIVE'", (datastore_id,)
    ).fetchone()
    if row is None:
        raise NotFound("data store", datastore_id)
    key: int = row[0]
    return key


def create_datastore(
    connection: Connection, datastore: Datastore, client_token: str | None, most_active: int | None
) -> Datastore:
    if client_token is not None:
        row = connection.execute(_DATASTORE + "WHERE client_token = ?", (client_token,)).fetchone()
        if row is not None:
            kept = _datastore(row)
            # Not its tags: those may have been changed since.
            if (kept.name, kept.properties) != (datastore.name, dict(datastore.properties)):
                raise IdempotencyConflict("clientToken")
            return kept
    (active,) = connection.execute("SELECT COUNT(*) FROM datastore WHERE status = 'ACTIVE'").fetchone()
    if most_active is not None and active >= most_active:
        raise TooLarge(f"there are {active} active data stores, the most there may be")
    connection.execute(
        "INSERT INTO datastore (datastore_id, name, status, created_at, updated_at, properties, tags, client_token)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            datastore.datastore_id,
            datastore.name,
            datastore.status,
            to_text(datastore.created_at),
            to_text(datastore.updated_at),
            to_json(dict(datastore.properties)),
            to_json(dict(datastore.tags)),
            client_token,
        ),
    )
    return datastore


def datastores(connection: Connection) -> list[Datastore]:
    return [_datastore(row) for row in connection.execute(_DATASTORE + "ORDER BY id")]


def delete_datastore(connection: Connection, datastore_id: str, at: datetime) -> Datastore:
    key = datastore_key(connection, datastore_id)
    if connection.execute(
        "SELECT 1 FROM image_set WHERE datastore = ? AND state <> 'DELETED' LIMIT 1", (key,)
    ).fetchone():
        raise NotEmpty(f"data store {datastore_id} has image sets: delete them first")
    connection.execute("UPDATE datastore SET status = 'DELETED', updated_at = ? WHERE id = ?", (to_text(at), key))
    return _datastore(connection.execute(_DATASTORE + "WHERE id = ?", (key,)).fetchone())


def touch(connection: Connection) -> None:
    """Write a page and change nothing: what a read-only or full disk refuses."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.execute(f"PRAGMA user_version={version}")


# -- answers to give again


def remembered(connection: Connection, datastore_id: str, key: str, digest: str) -> Answer | None:
    row = connection.execute(
        "SELECT digest, status, headers, body FROM idempotency WHERE datastore = ? AND key = ?",
        (datastore_key(connection, datastore_id), key),
    ).fetchone()
    if row is None:
        return None
    if row[0] != digest:
        raise IdempotencyConflict()
    return Answer(row[1], json.loads(row[2]), bytes(row[3]))


def remember(connection: Connection, datastore: int, kept: RememberedAnswer, at: datetime) -> None:
    """Keep an answer. The same request twice at once keeps the first. Raises IdempotencyConflict for another one."""
    row = connection.execute(
        "SELECT digest FROM idempotency WHERE datastore = ? AND key = ?", (datastore, kept.key)
    ).fetchone()
    if row is not None:
        if row[0] != kept.digest:
            raise IdempotencyConflict()
        return
    answer = kept.answer
    connection.execute(
        "INSERT INTO idempotency (datastore, key, digest, created_at, status, headers, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (datastore, kept.key, kept.digest, to_text(at), answer.status, to_json(dict(answer.headers)), answer.body),
    )


# -- jobs

_JOB = (
    "SELECT job.id, job_id, datastore_id, job.status, job.created_at, job.updated_at, request, studies"
    " FROM job JOIN datastore ON datastore.id = job.datastore "
)


def _job(connection: Connection, row: tuple[Any, ...]) -> Job:
    results = connection.execute("SELECT result FROM job_result WHERE job = ? ORDER BY number", (row[0],))
    return Job(
        job_id=row[1],
        datastore_id=row[2],
        status=row[3],
        created_at=datetime.fromisoformat(row[4]),
        updated_at=datetime.fromisoformat(row[5]),
        request=json.loads(row[6]),
        studies=tuple(json.loads(row[7])),
        results=tuple(json.loads(result) for (result,) in results),
    )


def job_kept_under(connection: Connection, datastore_id: str, client_token: str) -> Job | None:
    datastore = datastore_key(connection, datastore_id)
    row = connection.execute(
        _JOB + "WHERE datastore = ? AND job.client_token = ?", (datastore, client_token)
    ).fetchone()
    return None if row is None else _job(connection, row)


def create_job(connection: Connection, job: Job, client_token: str | None) -> Job:
    datastore = datastore_key(connection, job.datastore_id)
    kept = job_kept_under(connection, job.datastore_id, client_token) if client_token is not None else None
    if kept is not None:
        return kept
    connection.execute(
        "INSERT INTO job (job_id, datastore, status, created_at, updated_at, request, studies, client_token)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            job.job_id,
            datastore,
            job.status,
            to_text(job.created_at),
            to_text(job.updated_at),
            to_json(dict(job.request)),
            to_json(list(job.studies)),
            client_token,
        ),
    )
    return job


def job(connection: Connection, datastore_id: str, job_id: str) -> Job:
    datastore = datastore_key(connection, datastore_id)
    row = connection.execute(_JOB + "WHERE job_id = ? AND datastore = ?", (job_id, datastore)).fetchone()
    if row is None:
        raise NotFound("job", job_id)
    return _job(connection, row)


def unfinished_jobs(connection: Connection) -> list[Job]:
    rows = connection.execute(_JOB + "WHERE job.status IN ('SUBMITTED', 'IN_PROGRESS') ORDER BY job.id").fetchall()
    return [_job(connection, row) for row in rows]


def record_job(connection: Connection, job_id: str, status: str, result: Mapping[str, Any] | None, at: datetime) -> Job:
    row = connection.execute(_JOB + "WHERE job_id = ?", (job_id,)).fetchone()
    if row is None:
        raise NotFound("job", job_id)
    connection.execute("UPDATE job SET status = ?, updated_at = ? WHERE id = ?", (status, to_text(at), row[0]))
    if result is not None:
        connection.execute(
            "INSERT INTO job_result (job, number, result)"
            " SELECT ?1, COALESCE(MAX(number), 0) + 1, ?2 FROM job_result WHERE job = ?1",
            (row[0], to_json(dict(result))),
        )
    return _job(connection, connection.execute(_JOB + "WHERE job_id = ?", (job_id,)).fetchone())
