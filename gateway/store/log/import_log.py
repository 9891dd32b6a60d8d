"""Import jobs as they are kept: what was asked for, how far it is, and what became of each file.

A job is carried out in two passes, and each file's row says where it stands: written to a pack (address), then placed
in an image set or refused (outcome). So a job goes on after a restart without reading a file twice. The rows are the
job's working memory and go when it ends: by then they are in its output. tests/store/import_log_suite.py is the
contract.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from gateway.store.blobs.protocol import Address

ImportJobStatus = Literal["SUBMITTED", "IN_PROGRESS", "COMPLETED", "FAILED"]


@dataclass(frozen=True, slots=True)
class ImportJob:
    """A job. request: the members of StartDICOMImportJob, JSON. message: why it failed. who: asked for it."""

    job_id: str
    datastore_id: str
    status: ImportJobStatus
    submitted_at: datetime
    request: Mapping[str, Any]
    who: str = "anonymous"
    ended_at: datetime | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class ImportFile:
    """A file of a job's input. path: its name in the output, one row for each.

    address, sha256, study_instance_uid: where its bytes lie, if it could be read. outcome: what became of it, JSON;
    None while it is not placed. warnings: codes of what was seen when it was read.
    """

    path: str
    address: Address | None = None
    sha256: str = ""
    study_instance_uid: str = ""
    warnings: tuple[int, ...] = ()
    outcome: Mapping[str, Any] | None = None


class ImportLog(Protocol):
    """Import jobs, durable before a method returns. Raises StorageFailed or StorageFull where the disk refuses."""

    async def create(self, job: ImportJob, client_token: str, most_unfinished: int) -> ImportJob:
        """Keep a job; return the one that was kept first with the same client_token.

        Raises NotFound for a data store that is not in use, IdempotencyConflict for a token kept with another request,
        TooLarge where the data store has `most_unfinished` jobs that are not done.
        """

    async def job(self, datastore_id: str, job_id: str) -> ImportJob:
        """Return a job. Raises NotFound."""

    async def jobs(
        self,
        datastore_id: str,
        since: datetime,
        limit: int,
        status: ImportJobStatus | None = None,
        after: str | None = None,
    ) -> list[ImportJob]:
        """Return jobs submitted at `since` or later, newest first; from the one after the job `after` on."""

    async def unfinished(self) -> list[ImportJob]:
        """Return the jobs of all data stores that are SUBMITTED or IN_PROGRESS, oldest first."""

    async def begin(self, job_id: str) -> None:
        """Set a job's status to IN_PROGRESS."""

    async def add_files(self, job_id: str, files: Sequence[ImportFile]) -> None:
        """Keep files of a job, after those it has. A path that is kept already is left as it is."""

    async def files(self, job_id: str) -> list[ImportFile]:
        """Return a job's files, in the order they were kept."""

    async def record(self, job_id: str, outcomes: Mapping[str, Mapping[str, Any]]) -> None:
        """Set the outcomes of files, by path."""

    async def end(
        self, job_id: str, status: Literal["COMPLETED", "FAILED"], at: datetime, message: str | None = None
    ) -> None:
        """Set a job's status for good, and forget its files."""
