"""StudyJobs: every study of a job is edited once, whatever happens between the edit and the record of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
import pytest

from gateway.dicomweb.edits.jobs import StudyJobs, StudyRequest
from gateway.settings import Settings
from gateway.store.contents import Provenance
from gateway.store.edits import Job
from gateway.store.protocol import Store
from tests.dicomweb.edits import ROOT, STUDY, STUDY_UID, version_of
from tests.dicomweb.wire import stored
from tests.samples import instance

OTHER_STUDY_UID = "1.2.826.0.1.3680043.8.498.2"
STUDIES = [STUDY_UID, OTHER_STUDY_UID]

RENAMED = StudyRequest(
    "PATCH",
    '{"00100010": {"vr": "PN", "Value": [{"Alphabetic": "DOE^JANE"}]}}',
    provenance=Provenance(reason="married", reason_for_modification="CORRECT"),
    digest="d",
)


@pytest.fixture(autouse=True)
async def studies(client: httpx.AsyncClient) -> None:
    """Two studies."""
    await stored(client, instance(), instance(study=OTHER_STUDY_UID))


async def done(store: Store, datastore_id: str, job: Job) -> Job:
    """Wait for a job, and return it."""
    for _ in range(200):
        job = await store.job(datastore_id, job.job_id)
        if job.status == "COMPLETED":
            return job
        await asyncio.sleep(0.01)
    raise AssertionError("the job does not end")


async def test_what_a_job_keeps_can_be_read_back() -> None:
    """A StudyRequest is the same after it has been JSON."""
    assert StudyRequest.from_json(RENAMED.to_json()) == RENAMED


async def test_a_job_left_by_a_crash_is_taken_up_at_the_next_start(
    client: httpx.AsyncClient, settings: Settings, store: Store, datastore_id: str
) -> None:
    """A job that was kept and never started is carried out by `resume`."""
    job = await store.create_job(datastore_id, RENAMED.to_json(), STUDIES)
    jobs = StudyJobs(store, settings)

    await jobs.resume()

    finished = await done(store, datastore_id, job)
    assert [result["status"] for result in finished.results] == [200, 200]
    await jobs.close()


async def test_a_study_edited_before_the_crash_is_not_edited_again(
    client: httpx.AsyncClient, settings: Settings, store: Store, datastore_id: str
) -> None:
    """A crash after an edit and before its record: the next run finds the answer kept with the edit, and edits on.

    Somebody else has edited the study in between, so that a second edit would be seen.
    """
    job = await store.create_job(datastore_id, RENAMED.to_json(), STUDIES)
    jobs = StudyJobs(store, settings)
    unrecorded = await jobs._edit(job, RENAMED, STUDY_UID)
    await client.post(f"{STUDY}/revert?to=1")

    await jobs.resume()

    finished = await done(store, datastore_id, job)
    assert finished.results[0] == {"studyInstanceUID": STUDY_UID, **unrecorded}
    assert await version_of(client) == 3
    await jobs.close()


async def test_a_study_recorded_before_the_crash_is_left_alone(
    client: httpx.AsyncClient, settings: Settings, store: Store, datastore_id: str
) -> None:
    """A resumed job goes on with the studies that have no result yet."""
    job = await store.create_job(datastore_id, RENAMED.to_json(), STUDIES)
    await store.record_job(job.job_id, "IN_PROGRESS", {"studyInstanceUID": STUDY_UID, "status": 200})
    jobs = StudyJobs(store, settings)

    await jobs.resume()

    finished = await done(store, datastore_id, job)
    assert [result["studyInstanceUID"] for result in finished.results] == STUDIES
    assert await version_of(client) == 1
    await jobs.close()


async def test_a_study_that_is_refused_is_a_result_like_any_other(
    client: httpx.AsyncClient, settings: Settings, store: Store, datastore_id: str
) -> None:
    """A study that is gone gets the problem it would get by itself, and the job goes on."""
    await client.delete(STUDY)
    job = await store.create_job(datastore_id, RENAMED.to_json(), STUDIES)
    jobs = StudyJobs(store, settings)

    jobs.start(job)

    finished = await done(store, datastore_id, job)
    assert [result["status"] for result in finished.results] == [410, 200]
    assert finished.results[0]["problem"]["title"] == "Gone"
    await jobs.close()


async def test_a_job_is_taken_up_once(
    client: httpx.AsyncClient, settings: Settings, store: Store, datastore_id: str
) -> None:
    """Started twice, a job has one result for each study."""
    job = await store.create_job(datastore_id, RENAMED.to_json(), STUDIES)
    jobs = StudyJobs(store, settings)

    jobs.start(job)
    jobs.start(job)

    assert len((await done(store, datastore_id, job)).results) == 2
    await jobs.close()


async def test_closing_leaves_nothing_half_done(
    client: httpx.AsyncClient, settings: Settings, store: Store, datastore_id: str
) -> None:
    """Whenever `close` comes, every study edited has its result, and the next start edits the others once."""
    job = await store.create_job(datastore_id, RENAMED.to_json(), STUDIES)
    jobs = StudyJobs(store, settings)
    jobs.start(job)
    await asyncio.sleep(0)

    await jobs.close()

    stopped = await store.job(datastore_id, job.job_id)
    versions = [await version_of(client, f"{ROOT}/studies/{study}") for study in STUDIES]
    assert versions == [2] * len(stopped.results) + [1] * (2 - len(stopped.results))

    again = StudyJobs(store, settings)
    await again.resume()

    assert len((await done(store, datastore_id, job)).results) == 2
    assert [await version_of(client, f"{ROOT}/studies/{study}") for study in STUDIES] == [2, 2]
    await again.close()


async def test_a_study_edited_since_if_match_is_refused_for_itself(
    client: httpx.AsyncClient, settings: Settings, store: Store, datastore_id: str
) -> None:
    """A job keeps the version of each study that If-Match stood for: one edited since is 412, the others are done."""
    await client.delete(f"{STUDY}/series/{STUDY_UID}.1/instances/{STUDY_UID}.1.1")
    await client.post(f"{STUDY}/revert?to=1")
    edit = replace(RENAMED, versions={STUDY_UID: "1", OTHER_STUDY_UID: "1"})
    job = await store.create_job(datastore_id, edit.to_json(), STUDIES)
    jobs = StudyJobs(store, settings)

    jobs.start(job)

    finished = await done(store, datastore_id, job)
    assert [result["status"] for result in finished.results] == [412, 200]
    await jobs.close()
