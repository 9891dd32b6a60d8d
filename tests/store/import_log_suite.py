"""What an ImportLog promises, run against every implementation."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.errors import IdempotencyConflict, NotFound, TooLarge
from gateway.store.blobs.protocol import Address
from gateway.store.log.import_log import ImportFile, ImportJob, ImportLog

THEN = datetime(2026, 11, 23, 20, 41, 36, 123456, UTC)
REQUEST = {"inputS3Uri": "s3://in/ct/", "outputS3Uri": "s3://out/", "jobName": "nightly"}
PACK = "0123456789abcdef" * 2


def job(number: int, datastore_id: str, **changes: Any) -> ImportJob:
    """Return a job of its own id, submitted so many minutes after the first."""
    new = ImportJob(f"{number:032}", datastore_id, "SUBMITTED", THEN + timedelta(minutes=number), REQUEST, "alice")
    return replace(new, **changes)


async def create(log: ImportLog, new: ImportJob, token: str | None = None, most: int = 100) -> ImportJob:
    return await log.create(new, token or new.job_id, most)


class ImportLogTests:
    """A subclass gives `log`, an empty one, and `datastore_id`, a data store in use."""

    async def test_job_is_kept_as_it_was_created(self, log: ImportLog, datastore_id: str) -> None:
        """Every member, times to the microsecond."""
        created = await create(log, job(1, datastore_id))

        assert created == job(1, datastore_id)
        assert await log.job(datastore_id, created.job_id) == job(1, datastore_id)

    async def test_unknown_job_is_not_found(self, log: ImportLog, datastore_id: str) -> None:
        """Nor is a job of an unknown data store."""
        await create(log, job(1, datastore_id))

        with pytest.raises(NotFound):
            await log.job(datastore_id, job(2, datastore_id).job_id)
        with pytest.raises(NotFound):
            await log.job("0" * 32, job(1, datastore_id).job_id)
        with pytest.raises(NotFound):
            await create(log, job(2, "0" * 32))

    async def test_same_token_is_the_same_job(self, log: ImportLog, datastore_id: str) -> None:
        """A request that is sent again starts no second job."""
        first = await create(log, job(1, datastore_id), "once")

        assert await create(log, job(2, datastore_id), "once") == first
        assert await log.unfinished() == [first]

    async def test_same_token_with_another_request_is_refused(self, log: ImportLog, datastore_id: str) -> None:
        """Whoever reuses a token by mistake would believe that a second import runs."""
        await create(log, job(1, datastore_id), "once")

        with pytest.raises(IdempotencyConflict):
            await create(log, job(2, datastore_id, request={**REQUEST, "inputS3Uri": "s3://in/mr/"}), "once")

    async def test_data_store_has_so_many_unfinished_jobs_and_no_more(self, log: ImportLog, datastore_id: str) -> None:
        """A job that ended makes room; a repeated request needs none."""
        await create(log, job(1, datastore_id), most=2)
        await create(log, job(2, datastore_id), most=2)
        with pytest.raises(TooLarge):
            await create(log, job(3, datastore_id), most=2)

        assert await create(log, job(2, datastore_id), most=2) == job(2, datastore_id)
        await log.end(job(1, datastore_id).job_id, "FAILED", THEN)
        assert await create(log, job(3, datastore_id), most=2) == job(3, datastore_id)

    async def test_job_goes_from_submitted_to_completed(self, log: ImportLog, datastore_id: str) -> None:
        """In progress when it is begun; done with a time."""
        job_id = (await create(log, job(1, datastore_id))).job_id

        await log.begin(job_id)
        begun = await log.job(datastore_id, job_id)
        await log.end(job_id, "COMPLETED", THEN + timedelta(hours=1))

        assert begun == job(1, datastore_id, status="IN_PROGRESS")
        assert await log.job(datastore_id, job_id) == job(
            1, datastore_id, status="COMPLETED", ended_at=THEN + timedelta(hours=1)
        )

    async def test_job_that_failed_says_why(self, log: ImportLog, datastore_id: str) -> None:
        """And is unfinished no more."""
        job_id = (await create(log, job(1, datastore_id))).job_id

        await log.end(job_id, "FAILED", THEN, "NO_INPUT_FILES: none")

        assert (await log.job(datastore_id, job_id)).message == "NO_INPUT_FILES: none"
        assert await log.unfinished() == []

    async def test_unfinished_jobs_come_oldest_first(self, log: ImportLog, datastore_id: str) -> None:
        """Submitted ones and those in progress."""
        for number in (1, 2, 3):
            await create(log, job(number, datastore_id))
        await log.begin(job(1, datastore_id).job_id)
        await log.end(job(2, datastore_id).job_id, "COMPLETED", THEN)

        assert await log.unfinished() == [job(1, datastore_id, status="IN_PROGRESS"), job(3, datastore_id)]

    async def test_jobs_are_listed_newest_first_from_a_place_on(self, log: ImportLog, datastore_id: str) -> None:
        """So many at a time."""
        for number in range(1, 6):
            await create(log, job(number, datastore_id))

        first = await log.jobs(datastore_id, THEN, 2)
        second = await log.jobs(datastore_id, THEN, 2, after=first[-1].job_id)

        assert first == [job(5, datastore_id), job(4, datastore_id)]
        assert second == [job(3, datastore_id), job(2, datastore_id)]

    async def test_jobs_are_listed_by_status_and_age(self, log: ImportLog, datastore_id: str) -> None:
        """Those submitted at the time asked for, or later."""
        for number in (1, 2, 3):
            await create(log, job(number, datastore_id))
        await log.end(job(3, datastore_id).job_id, "COMPLETED", THEN)

        assert await log.jobs(datastore_id, THEN, 9, "SUBMITTED") == [job(2, datastore_id), job(1, datastore_id)]
        assert await log.jobs(datastore_id, THEN + timedelta(minutes=2), 9, "SUBMITTED") == [job(2, datastore_id)]

    async def test_files_are_kept_in_their_order(self, log: ImportLog, datastore_id: str) -> None:
        """Those that could be read, and those that could not; a path comes once."""
        job_id = (await create(log, job(1, datastore_id))).job_id
        read = ImportFile("a.dcm", Address(PACK, 7, 12), "ab" * 32, "1.2.3", (45330,))
        refused = ImportFile("b.dcm", outcome={"exception": {"message": "nein, não"}})

        await log.add_files(job_id, [read, refused])
        await log.add_files(job_id, [ImportFile("a.dcm"), ImportFile("0.dcm")])

        assert await log.files(job_id) == [read, refused, ImportFile("0.dcm")]

    async def test_outcomes_are_set_by_path(self, log: ImportLog, datastore_id: str) -> None:
        """And nothing else of the file."""
        job_id = (await create(log, job(1, datastore_id))).job_id
        file = ImportFile("a.dcm", Address(PACK, 7, 12), "ab" * 32, "1.2.3")
        await log.add_files(job_id, [file, ImportFile("b.dcm")])

        await log.record(job_id, {"a.dcm": {"imageSetId": "x"}})

        assert await log.files(job_id) == [replace(file, outcome={"imageSetId": "x"}), ImportFile("b.dcm")]

    async def test_files_go_when_the_job_ends(self, log: ImportLog, datastore_id: str) -> None:
        """They are in its output by then; other jobs keep theirs."""
        ended = (await create(log, job(1, datastore_id))).job_id
        other = (await create(log, job(2, datastore_id))).job_id
        for job_id in (ended, other):
            await log.add_files(job_id, [ImportFile("a.dcm")])

        await log.end(ended, "COMPLETED", THEN)

        assert await log.files(ended) == []
        assert await log.files(other) == [ImportFile("a.dcm")]
