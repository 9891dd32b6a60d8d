"""Import jobs in the background: taken up, ended one way or the other, and taken up again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import InvalidRequest, NotFound
from gateway.healthimaging import import_runner
from gateway.healthimaging.import_run import ImportRun, Stopped
from gateway.healthimaging.import_runner import ImportJobs
from gateway.settings import Settings
from gateway.store.log.import_log import ImportJob
from gateway.store.objects.places import StoragePlaces
from gateway.store.objects.s3 import S3
from gateway.store.protocol import Store
from tests.healthimaging.imports import ROLE
from tests.samples import ct_series

NOW = datetime(2026, 11, 23, 20, 41, 36, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that jobs may use, with a series in it."""
    (tmp_path / "ct").mkdir()
    for number, file in enumerate(ct_series(3)):
        (tmp_path / "ct" / f"{number}.dcm").write_bytes(file)
    return tmp_path


def runner(store: Store, folder: Path) -> ImportJobs:
    return ImportJobs(store, Settings(), StoragePlaces([folder], S3("", "us-east-1")), lambda: NOW)


def request(folder: Path, **changes: Any) -> dict[str, Any]:
    uris = {"inputS3Uri": f"file://{folder}/ct/", "outputS3Uri": f"file://{folder}/out/"}
    return {"dataAccessRoleArn": ROLE, **uris, **changes}


async def ended(store: Store, job: ImportJob) -> ImportJob:
    """Return the job when it is done."""
    async with asyncio.timeout(20):
        while (found := await store.imports.job(job.datastore_id, job.job_id)).status not in ("COMPLETED", "FAILED"):
            await asyncio.sleep(0.01)
    return found


async def test_submitted_job_is_carried_out(store: Store, datastore_id: str, folder: Path) -> None:
    """Its end has the time of the clock, and its output is there."""
    jobs = runner(store, folder)

    job = await jobs.submit(datastore_id, request(folder), "token", "alice")

    assert (job.status, job.submitted_at, job.who) == ("SUBMITTED", NOW, "alice")
    done = await ended(store, job)
    assert (done.status, done.ended_at, done.message) == ("COMPLETED", NOW, None)
    assert (folder / "out" / f"{datastore_id}-DicomImport-{job.job_id}" / "job-output-manifest.json").exists()
    [version] = await store.changes(datastore_id, 0, 10)
    assert version.provenance.who == "alice"


async def test_same_token_runs_one_job(store: Store, datastore_id: str, folder: Path) -> None:
    """While it runs, and when it is done."""
    jobs = runner(store, folder)

    first, second = [await jobs.submit(datastore_id, request(folder), "token") for _ in range(2)]
    await ended(store, first)
    third = await jobs.submit(datastore_id, request(folder), "token")

    assert first.job_id == second.job_id == third.job_id
    assert third.status == "COMPLETED"
    assert len(list((folder / "out").iterdir())) == 1


@pytest.mark.parametrize("member", ["inputS3Uri", "outputS3Uri"])
async def test_place_that_may_not_be_used_is_refused_at_once(
    store: Store, datastore_id: str, folder: Path, member: str
) -> None:
    """No job is kept."""
    with pytest.raises(InvalidRequest):
        await runner(store, folder).submit(datastore_id, request(folder, **{member: "file:///etc/"}), "token")

    assert await store.imports.unfinished() == []


async def test_job_that_cannot_be_carried_out_has_failed_with_a_message(
    store: Store, datastore_id: str, folder: Path
) -> None:
    """In the characters that the service model allows a message."""
    job = await runner(store, folder).submit(datastore_id, request(folder, inputS3Uri=f"file://{folder}/mr/"), "token")

    done = await ended(store, job)

    assert done.status == "FAILED"
    assert done.message == "INPUT_NOT_READABLE: the folder cannot be read: No such file or directory"


async def test_mistake_of_ours_fails_the_job_and_tells_nothing_of_it(
    store: Store, datastore_id: str, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The job does not stay in progress for good; what the error says may be a patient's, and is not logged."""

    async def broken(run: ImportRun) -> None:
        int("Doe^Jane"[:8])

    monkeypatch.setattr(ImportRun, "carry_out", broken)
    job = await runner(store, folder).submit(datastore_id, request(folder), "token")

    done = await ended(store, job)

    assert (done.status, done.message) == ("FAILED", "INTERNAL_ERROR: the log of the gateway has more")
    assert "ValueError" in caplog.text and "invalid literal" not in caplog.text


async def test_job_in_hand_at_a_stop_is_taken_up_at_the_next_start(
    store: Store, datastore_id: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one whose turn had not come."""
    monkeypatch.setattr(import_runner, "_AT_ONCE", 1)
    before = runner(store, folder)
    submitted = [await before.submit(datastore_id, request(folder), token) for token in ("one", "two")]
    await asyncio.sleep(0)
    await before.close()
    left = [job.job_id for job in await store.imports.unfinished()]

    after = runner(store, folder)
    await after.resume()

    assert [(await ended(store, job)).status for job in submitted] == ["COMPLETED", "COMPLETED"]
    assert submitted[1].job_id in left
    [version] = await store.changes(datastore_id, 0, 10)
    assert (version.version, version.instance_count) == (1, 3)


async def test_stop_waits_for_what_is_being_written_and_no_longer(
    store: Store, datastore_id: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that hears of the stop ends, and its job stays as it is."""

    async def until_closing(run: ImportRun) -> None:
        while not run.closing():
            await asyncio.sleep(0.01)
        raise Stopped

    monkeypatch.setattr(ImportRun, "carry_out", until_closing)
    jobs = runner(store, folder)
    job = await jobs.submit(datastore_id, request(folder), "token")
    await asyncio.sleep(0.05)

    await jobs.close()

    assert (await store.imports.job(datastore_id, job.job_id)).status == "IN_PROGRESS"


async def test_unknown_data_store_is_not_found(store: Store, folder: Path) -> None:
    """Before anything is kept."""
    with pytest.raises(NotFound):
        await runner(store, folder).submit("0" * 32, request(folder), "token")
