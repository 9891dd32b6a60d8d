"""A patient's studies edited together: 202, a job, and a result for each study."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.dicomweb.edits import (
    CANARY,
    DICOM_JSON,
    MERGE_PATCH,
    ROOT,
    STUDY,
    STUDY_UID,
    described,
    edit,
    edited,
    lo,
    normalized,
    pn,
    rules,
    version_of,
)
from tests.dicomweb.wire import stored
from tests.samples import instance

PATIENT = f"{ROOT}/patients/1CT1"
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


async def finished(client: httpx.AsyncClient, response: httpx.Response) -> dict[str, Any]:
    """Wait for the job of a 202, and return it."""
    assert response.status_code == 202, response.text
    for _ in range(200):
        job: dict[str, Any] = (await client.get(response.headers["Location"])).json()
        if job["status"] == "COMPLETED":
            return job
        await asyncio.sleep(0.01)
    raise AssertionError("the job does not end")


async def test_a_patient_edit_is_a_job_over_the_patients_studies(client: httpx.AsyncClient) -> None:
    """202 with the address of a job, which has a result for each study; other patients are left alone."""
    response = await edit(client, PATIENT, {"00100010": pn("DOE^JANE")}, "?reason=married")

    job = await finished(client, response)

    assert response.headers["Location"] == f"http://gateway.test{ROOT}/jobs/{response.json()['jobId']}"
    assert [(one["studyInstanceUID"], one["status"]) for one in job["results"]] == [
        (STUDY_UID, 200),
        (OTHER_STUDY_UID, 200),
    ]
    assert (job["studies"], job["done"]) == (2, 2)
    assert (await normalized(client, PATIENT))["00100010"] == pn("DOE^JANE")
    assert [(await client.get(f"{study}/versions")).json()[0]["reason"] for study in (STUDY, OTHER_STUDY)] == [
        "married",
        "married",
    ]
    assert await version_of(client, STRANGER) == 1


async def test_a_patient_is_read_from_the_oldest_study(client: httpx.AsyncClient) -> None:
    """The dataset has the Patient level and nothing else."""
    dataset = await normalized(client, PATIENT)

    assert dataset["00100020"] == lo("1CT1")
    assert "0020000D" not in dataset


async def test_one_study_is_a_job_as_well(client: httpx.AsyncClient) -> None:
    """A client learns one behaviour, however many studies there are."""
    job = await finished(client, await edit(client, f"{ROOT}/patients/2CT2", {"00100040": {"vr": "CS"}}))

    assert (job["studies"], [one["status"] for one in job["results"]]) == (1, [200])


async def test_put_replaces_the_patient_level(client: httpx.AsyncClient) -> None:
    """Patient attributes that the dataset does not name are removed from all the patient's studies."""
    response = await client.put(
        f"{PATIENT}/normalizedmetadata?force=true",
        json={"00100020": lo("1CT1"), "00100010": pn("DOE^JANE")},
        headers=DICOM_JSON,
    )

    await finished(client, response)

    assert await normalized(client, PATIENT) == {"00100010": pn("DOE^JANE"), "00100020": lo("1CT1")}


async def test_a_deleted_patient_can_be_brought_back_study_by_study(client: httpx.AsyncClient) -> None:
    """Delete makes a version of each study in which it is gone."""
    job = await finished(client, await client.delete(PATIENT))

    assert [one["status"] for one in job["results"]] == [200, 200]
    assert (await client.get(f"{PATIENT}/normalizedmetadata")).status_code == 404
    await client.post(f"{STUDY}/revert?to=1")
    assert (await normalized(client, PATIENT))["00100020"] == lo("1CT1")
    assert await version_of(client, STRANGER) == 1


async def test_a_refused_edit_is_refused_at_once(client: httpx.AsyncClient) -> None:
    """What the first study refuses is 409 with all violations, and no job."""
    response = await edit(client, PATIENT, described("X"))

    assert rules(response) == ["level"]
    assert [await version_of(client, study) for study in (STUDY, OTHER_STUDY)] == [1, 1]


async def test_if_match_is_of_all_the_patients_studies(client: httpx.AsyncClient) -> None:
    """The ETag of a patient changes with each of the studies: after an edit of one the whole edit is stale."""
    etag = (await client.get(f"{PATIENT}/normalizedmetadata")).headers["ETag"]
    await finished(client, await edit(client, PATIENT, {"00100010": pn("DOE^JANE")}, If_Match=etag))

    stale = await edit(client, PATIENT, {"00100010": pn("DOE^JOHN")}, If_Match=etag)

    assert stale.status_code == 412
    assert stale.json()["current"] == (await client.get(f"{PATIENT}/normalizedmetadata")).headers["ETag"]


async def test_a_dry_run_shows_every_study(client: httpx.AsyncClient) -> None:
    """dryRun=true answers at once with the documents for each study, and there is no job."""
    response = await edit(client, PATIENT, {"00100010": pn("DOE^JANE")}, "?dryRun=true")

    assert response.status_code == 200
    assert [study["studyInstanceUID"] for study in response.json()["studies"]] == [STUDY_UID, OTHER_STUDY_UID]
    assert [await version_of(client, study) for study in (STUDY, OTHER_STUDY)] == [1, 1]


async def test_the_headers_tell_patients_of_one_id_apart(client: httpx.AsyncClient) -> None:
    """Of two people with the same PatientID, an edit that names one leaves the other alone."""
    await edited_patient_of(client, OTHER_STUDY, "Namesake^Another")
    headers = MERGE_PATCH | {"DICOMPatientName": "Namesake^Another"}

    response = await client.patch(
        f"{PATIENT}/normalizedmetadata", json={"00100040": {"vr": "CS", "Value": ["O"]}}, headers=headers
    )

    job = await finished(client, response)
    assert [one["studyInstanceUID"] for one in job["results"]] == [OTHER_STUDY_UID]


async def edited_patient_of(client: httpx.AsyncClient, study: str, name: str) -> None:
    """Give one study another PatientName."""
    response = await client.patch(f"{study}/metadata", json=[{"00100010": pn(name)}], headers=MERGE_PATCH)
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_nobody_of_that_id_is_404_and_the_id_is_not_repeated(client: httpx.AsyncClient, method: str) -> None:
    """An error about a patient does not say which."""
    path = f"{ROOT}/patients/{CANARY}" + ("" if method == "DELETE" else "/normalizedmetadata")

    response = await client.request(method, path, content=b"{}" if method == "PATCH" else b"", headers=MERGE_PATCH)

    assert response.status_code == 404
    assert "ZZCANARY" not in response.text


async def test_a_patient_id_may_have_a_slash(client: httpx.AsyncClient) -> None:
    """A PatientID is any LO: one with a slash in it, percent-encoded in the path, is found."""
    await stored(client, instance(study="1.2.826.0.1.3680043.8.498.4", PatientID="12/345 67"))

    dataset = await normalized(client, f"{ROOT}/patients/12%2F345%2067")

    assert dataset["00100020"] == lo("12/345 67")


async def test_an_unknown_job_is_404(client: httpx.AsyncClient) -> None:
    """A job that nobody started is not there."""
    assert (await client.get(f"{ROOT}/jobs/0123456789abcdef0123456789abcdef")).status_code == 404


async def test_the_other_root_is_the_same_store(client: httpx.AsyncClient, datastore_id: str) -> None:
    """/datastore/{datastoreId} has the same resources as /dicomweb."""
    await edited(client, STUDY, described("X"))

    dataset = await normalized(client, f"/datastore/{datastore_id}/studies/{STUDY_UID}")

    assert dataset["00081030"] == lo("X")
