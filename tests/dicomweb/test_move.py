"""Moving a study or a series: its UIDs change, and it agrees with the study it comes into."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.dicomweb.edits import (
    DICOM_JSON,
    ROOT,
    SERIES,
    SERIES_UID,
    STUDY,
    STUDY_UID,
    lo,
    normalized,
    pn,
    rules,
    ui,
    version_of,
)
from tests.dicomweb.wire import datasets, stored
from tests.samples import instance

OTHER_UID = "1.2.826.0.1.3680043.8.498.2"
OTHER = f"{ROOT}/studies/{OTHER_UID}"
NEW_UID = "1.2.826.0.1.3680043.8.498.9"
NEW = f"{ROOT}/studies/{NEW_UID}"


@pytest.fixture(autouse=True)
async def studies(client: httpx.AsyncClient) -> None:
    """A study with one series, and one of another patient."""
    await stored(client, instance(), instance(study=OTHER_UID, PatientID="2CT2", PatientName="Other^Patient"))


async def move(client: httpx.AsyncClient, resource: str, dataset: Any, query: str = "?force=true") -> httpx.Response:
    """Send a dataset of new identifiers."""
    return await client.post(f"{resource}/move{query}", json=dataset, headers=DICOM_JSON)


async def test_a_study_moves_to_a_new_uid(client: httpx.AsyncClient) -> None:
    """It is found under the new UID, with that UID in its files, and gone under the old one."""
    response = await move(client, STUDY, {"0020000D": ui(NEW_UID)})

    assert (response.status_code, response.json()["studyInstanceUID"]) == (200, NEW_UID)
    assert (await client.get(f"{STUDY}/metadata")).status_code == 410
    [file] = datasets(await client.get(NEW))
    assert (file.StudyInstanceUID, file.PatientID) == (NEW_UID, "1CT1")


async def test_a_study_moves_to_another_patient(client: httpx.AsyncClient) -> None:
    """Patient attributes in the dataset go with the new UID, in one edit."""
    dataset = {"0020000D": ui(NEW_UID), "00100020": lo("3CT3"), "00100010": pn("Third^Patient")}

    response = await move(client, STUDY, dataset)

    assert response.status_code == 200
    [found] = (await client.get(f"{ROOT}/studies?PatientID=3CT3")).json()
    assert (found["0020000D"], found["00100010"]) == (ui(NEW_UID), pn("Third^Patient"))


async def test_a_series_moves_into_a_study_and_becomes_its_patients(client: httpx.AsyncClient) -> None:
    """Patient and Study attributes are those of the study it comes into, which has both series now."""
    response = await move(client, SERIES, {"0020000D": ui(OTHER_UID)})

    assert response.status_code == 200
    files = datasets(await client.get(OTHER))
    assert {(file.StudyInstanceUID, file.PatientID, str(file.PatientName)) for file in files} == {
        (OTHER_UID, "2CT2", "Other^Patient")
    }
    assert SERIES_UID in {file.SeriesInstanceUID for file in files} and len(files) == 2
    assert await version_of(client, OTHER) == 2


async def test_a_series_moves_out_into_a_study_of_its_own(client: httpx.AsyncClient) -> None:
    """Only that series moves: the others stay where they are, as they are."""
    await stored(client, instance(series=f"{STUDY_UID}.2"))

    response = await move(client, SERIES, {"0020000D": ui(NEW_UID), "0020000E": ui(f"{NEW_UID}.1")})

    assert response.status_code == 200
    [moved], [stayed] = datasets(await client.get(NEW)), datasets(await client.get(STUDY))
    assert (moved.StudyInstanceUID, moved.SeriesInstanceUID) == (NEW_UID, f"{NEW_UID}.1")
    assert (stayed.StudyInstanceUID, stayed.SeriesInstanceUID) == (STUDY_UID, f"{STUDY_UID}.2")


async def test_two_studies_are_joined(client: httpx.AsyncClient) -> None:
    """A study moved to the UID of another is part of it, and has its patient."""
    response = await move(client, STUDY, {"0020000D": ui(OTHER_UID)})

    assert response.status_code == 200
    assert (await normalized(client, OTHER))["0020000D"] == ui(OTHER_UID)
    assert {file.PatientID for file in datasets(await client.get(OTHER))} == {"2CT2"}


async def test_a_moved_series_goes_back(client: httpx.AsyncClient) -> None:
    """A revert of the series, where it is now, brings back its study and its patient."""
    await move(client, SERIES, {"0020000D": ui(OTHER_UID)})

    response = await client.post(f"{OTHER}/series/{SERIES_UID}/revert?to=1&force=true")

    assert response.status_code == 200, response.text
    [file] = datasets(await client.get(STUDY))
    assert (file.StudyInstanceUID, file.PatientID) == (STUDY_UID, "1CT1")


async def test_a_move_needs_force(client: httpx.AsyncClient) -> None:
    """A move is an edit of StudyInstanceUID: 409 without force=true, and nothing has moved."""
    response = await move(client, SERIES, {"0020000D": ui(OTHER_UID)}, "")

    assert set(rules(response)) != set()
    assert all(violation["forceLifts"] for violation in response.json()["violations"])
    assert await version_of(client) == 1


async def test_a_series_that_is_there_already_is_not_overwritten(client: httpx.AsyncClient) -> None:
    """The study a series goes to has one with that UID: 409, and force does not lift it."""
    await stored(client, instance(study=OTHER_UID, series=SERIES_UID, PatientID="2CT2", PatientName="Other^Patient"))

    response = await move(client, SERIES, {"0020000D": ui(OTHER_UID)})

    assert rules(response) == ["duplicate"]


@pytest.mark.parametrize(
    ("resource", "dataset", "path"),
    [
        (STUDY, {}, "$"),
        (STUDY, {"0020000E": ui("1.2")}, "$.0020000E"),
        (STUDY, {"0020000D": ui("../x")}, "$.0020000D"),
        (STUDY, {"0020000D": {"vr": "UI"}}, "$.0020000D"),
        (STUDY, {"0020000D": ui(OTHER_UID), "00100020": lo("X")}, "$.00100020"),
        (SERIES, {"00100020": lo("X")}, "$.0020000D"),
        (SERIES, {"0020000D": ui(NEW_UID), "0008103E": lo("X")}, "$.0008103E"),
        (SERIES, {"0020000D": ui(NEW_UID), "00080018": ui("1.2")}, "$.00080018"),
    ],
)
async def test_a_dataset_that_is_no_place_is_refused(
    client: httpx.AsyncClient, resource: str, dataset: Any, path: str
) -> None:
    """400 with the path of what is wrong; nothing has moved."""
    response = await move(client, resource, dataset)

    assert response.status_code == 400
    assert response.json()["path"].startswith(path)
    assert await version_of(client) == 1
