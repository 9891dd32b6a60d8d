"""What happened in a data store, in SQL: versions and changes of status, in one order."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

from gateway.errors import NotFound
from gateway.store.contents import Datastore, Happening
from gateway.store.log.import_log import ImportJob
from gateway.store.sqlite.connection import Connection
from gateway.store.sqlite.tables import datastores
from gateway.store.sqlite.versions import FROM_VERSION, PROPERTIES, properties


def happenings(connection: Connection, datastore_id: str, after: tuple[int, int], limit: int) -> list[Happening]:
    row = connection.execute("SELECT id FROM datastore WHERE datastore_id = ?", (datastore_id,)).fetchone()
    datastore = next((one for one in datastores(connection) if one.datastore_id == datastore_id), None)
    if row is None or datastore is None:
        raise NotFound("data store", datastore_id)
    versions = connection.execute(
        f"{PROPERTIES} {FROM_VERSION} WHERE version.datastore = ? AND version.sequence > ?"
        " ORDER BY version.sequence LIMIT ?",
        (row[0], after[0], limit),
    )
    found = [Happening((one.sequence, 0), one.updated_at, one) for one in map(properties, versions)]
    found += _status_changes(connection, row[0], datastore, after, limit)
    return sorted(found, key=lambda happening: happening.cursor)[:limit]


def _status_changes(
    connection: Connection, key: int, datastore: Datastore, after: tuple[int, int], limit: int
) -> list[Happening]:
    rows = connection.execute(
        "SELECT status_change.after_version, status_change.sequence, status_change.status, at,"
        " job_id, submitted_at, request, who"
        " FROM status_change LEFT JOIN import_job ON import_job.id = status_change.import_job"
        " WHERE status_change.datastore = ?"
        " AND (status_change.after_version, status_change.sequence) > (?, ?)"
        " ORDER BY status_change.after_version, status_change.sequence LIMIT ?",
        (key, *after, limit),
    )
    return [_status_change(row, datastore) for row in rows]


def _status_change(row: tuple[Any, ...], datastore: Datastore) -> Happening:
    after_version, sequence, status, at, job_id, submitted_at, request, who = row
    when = datetime.fromisoformat(at)
    if job_id is None:
        return Happening((after_version, sequence), when, replace(datastore, status=status))
    submitted = datetime.fromisoformat(submitted_at)
    job = ImportJob(job_id, datastore.datastore_id, status, submitted, json.loads(request), who)
    return Happening((after_version, sequence), when, job)
