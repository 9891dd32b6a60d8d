"""`POST /studies/$update`: one merge patch on every study that a filter finds, as a job."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.app import create_app
from gateway.settings import Settings
from gateway.store.protocol import Store
from tests.conftest import app_client
from tests.dicomweb.edits import (
    CANARY,
    MERGE_PATCH,
    ROOT,
    STUDY,
    STUDY_UID,
    described,
    edited,
    lo,
    normalized,
    pn,
    rules,
    version_of,
)
from tests.dicomweb.test_patients import finished
from tests.dicomweb.wire import stored
from tests.samples import instance

OTHER_STUDY_UID = "1.2.826.0.1.3680043.8.498.2"
OTHER_STUDY = f"{ROOT}/studies/{OTHER_STUDY_UID}"
STRANGER = f"{ROOT}/studies/1.2.826.0.1.3680043.8.498.3"


@pytest.fixture(autouse=True)
async def studies(client: httpx.AsyncClient) -> None:
    """Two studies of one patient, and one of another."""
    await stored(
        client,
        instance(),
        instance(study=OTHER_STUDY_UID),
        instance(study="1.2.826.0.1.3680043.8.498.3", PatientID="2CT2", PatientName="Other^Patient"),
    )


async def update(client: httpx.AsyncClient, patch: Any, query: str, **headers: str) -> httpx.Response:
    """Send a merge patch to the studies that a query string finds."""
    sent = MERGE_PATCH | {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post(f"{ROOT}/studies/$update{query}", json=patch, headers=sent)


async def test_every_study_that_matches_is_edited_and_no_other(client: httpx.AsyncClient) -> None:
    """202 with a job, and a result for each study; patient and study attributes go to their own levels."""
    patch = described("REVIEWED") | {"00100010": pn("DOE^JANE")}

    job = await finished(client, await update(client, patch, "?PatientID=1CT1&reason=married"))

    assert {one["studyInstanceUID"]: one["status"] for one in job["results"]} == {STUDY_UID: 200, OTHER_STUDY_UID: 200}
    for study in (STUDY, OTHER_STUDY):
        assert (await normalized(client, study))["00081030"] == lo("REVIEWED")
        assert (await client.get(f"{study}/versions")).json()[0]["reason"] == "married"
    assert await version_of(client, STRANGER) == 1


async def test_a_dry_run_counts_and_shows_the_studies(client: httpx.AsyncClient) -> None:
    """200 with the count and what each study would be given; nothing is written."""
    response = await update(client, described("X"), "?PatientID=1CT1&dryRun=true")

    assert (response.status_code, response.json()["count"]) == (200, 2)
    shown = {study["studyInstanceUID"]: study["allowed"] for study in response.json()["studies"]}
    assert shown == {STUDY_UID: True, OTHER_STUDY_UID: True}
    assert [await version_of(client, study) for study in (STUDY, OTHER_STUDY)] == [1, 1]


async def test_a_dry_run_shows_what_forbids_the_edit(client: httpx.AsyncClient) -> None:
    """Each study has its violations, and says whether force would make the difference."""
    response = await update(client, {"00200010": {"vr": "SH", "Value": ["S1"]}}, "?PatientID=1CT1&dryRun=true")

    study = response.json()["studies"][0]
    assert (study["allowed"], study["forceNeeded"]) == (False, True)
    assert [violation["keyword"] for violation in study["violations"]] == ["StudyID"]


async def test_a_dry_run_of_a_filter_that_finds_nothing_counts_none(client: httpx.AsyncClient) -> None:
    """No study is a count, and not an error; to edit none is 404."""
    preview = await update(client, described("X"), "?PatientID=NOBODY&dryRun=true")
    edit = await update(client, described("X"), "?PatientID=NOBODY")

    assert (preview.status_code, preview.json()["count"]) == (200, 0)
    assert edit.status_code == 404


async def test_what_was_previewed_is_what_is_edited(client: httpx.AsyncClient) -> None:
    """If-Match with the ETag of the dry run: 412 once one of the studies has changed, or another matches."""
    etag = (await update(client, described("X"), "?PatientID=1CT1&dryRun=true")).headers["ETag"]
    await edited(client, OTHER_STUDY, described("MEANWHILE"))

    response = await update(client, described("X"), "?PatientID=1CT1", If_Match=etag)

    assert response.status_code == 412
    assert await version_of(client) == 1


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?reason=all",
        "?PatientID=",
        "?PatientID=*",
        "?patientid=1CT1",
        "?PatientID=1CT1&DryRun=true",
        "?PatientID=1CT1&Modality=CT",
        "?PatientID=1CT1&limit=1",
        "?PatientID=1CT1&offset=1",
        "?PatientID=1CT1&includefield=all",
    ],
)
async def test_a_filter_that_does_not_say_which_studies_is_refused(client: httpx.AsyncClient, query: str) -> None:
    """400 for no filter, for one that matches everything, and for each parameter that a search would ignore."""
    response = await update(client, described("X"), query)

    assert response.status_code == 400
    assert await version_of(client) == 1


async def test_a_filter_that_finds_more_than_a_job_may_have_is_refused(settings: Settings, store: Store) -> None:
    """Setting max_update_studies: 400 says how many there are, and none is edited."""
    few = Settings(data=settings.data, max_update_studies=1)
    async with app_client(create_app(few, store)) as client:
        response = await update(client, described("X"), "?PatientID=1CT1")

        assert response.status_code == 400
        assert "finds 2 studies" in response.json()["detail"]
        assert await version_of(client) == 1


async def test_a_refused_edit_is_refused_at_once(client: httpx.AsyncClient) -> None:
    """What the first study refuses is 409, and no job; force=true with the same filter is one."""
    patch = {"00200010": {"vr": "SH", "Value": ["S1"]}}

    refused = await update(client, patch, "?PatientID=1CT1")
    job = await finished(client, await update(client, patch, "?PatientID=1CT1&force=true"))

    assert rules(refused) != []
    assert [one["answer"]["forced"] for one in job["results"]] == [True, True]


async def test_a_uid_cannot_be_given_to_several_studies(client: httpx.AsyncClient) -> None:
    """400 with the path of the UID, force or not."""
    patch = {"0020000D": {"vr": "UI", "Value": ["1.2.3"]}}

    response = await update(client, patch, "?PatientID=1CT1&force=true")

    assert (response.status_code, response.json()["path"]) == (400, "$.0020000D")


async def test_the_same_key_gives_the_same_job(client: httpx.AsyncClient) -> None:
    """Idempotency-Key: sent again it is the job there is, with another filter it is 422."""
    first = await update(client, described("X"), "?PatientID=1CT1", Idempotency_Key="k")
    again = await update(client, described("X"), "?PatientID=1CT1", Idempotency_Key="k")
    other = await update(client, described("X"), "?PatientID=2CT2", Idempotency_Key="k")

    assert again.json()["jobId"] == first.json()["jobId"]
    assert (again.status_code, other.status_code) == (202, 422)
    await finished(client, first)


async def test_no_answer_repeats_the_filters_value(client: httpx.AsyncClient) -> None:
    """A value of the filter is a patient's, and no problem quotes it."""
    for query in (f"?PatientName={CANARY}", f"?PatientName={CANARY}&limit=1", f"?StudyDate={CANARY}"):
        assert CANARY not in (await update(client, described("X"), query)).text
