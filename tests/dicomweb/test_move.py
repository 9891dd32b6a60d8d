"""Moving a study or a series: its UIDs change, and it agrees with the study it comes into."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.dicomweb.edits import (
    DICOM_JSON,
    INSTANCE,
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


async def test_a_moved_series_is_gone_from_where_it_was(client: httpx.AsyncClient) -> None:
    """410 to who reads or edits it there, while its study has another series; its version from before can be read."""
    await stored(client, instance(series=f"{STUDY_UID}.2"))
    await move(client, SERIES, {"0020000D": ui(OTHER_UID)})

    read = [(await client.get(f"{path}/metadata")).status_code for path in (SERIES, INSTANCE, f"{STUDY}/series/1.2.3")]
    edit = await move(client, SERIES, {"0020000D": ui(NEW_UID)})

    assert read == [410, 410, 404]
    assert edit.status_code == 410 and "moved" in edit.json()["detail"]
    [before] = datasets(await client.get(f"{SERIES}?version=1"))
    assert before.StudyInstanceUID == STUDY_UID


async def test_a_series_is_gone_from_the_uid_it_had(client: httpx.AsyncClient) -> None:
    """A Series Instance UID that was edited is 410, and the new one answers."""
    await move(client, SERIES, {"0020000E": ui("1.2.3.4")})

    paths = (SERIES, f"{STUDY}/series/1.2.3.4")
    assert [(await client.get(f"{path}/metadata")).status_code for path in paths] == [410, 200]


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
        (INSTANCE, {"00080018": ui("1.2")}, "$.0020000E"),
        (INSTANCE, {"0020000E": ui("1.2"), "00100020": lo("X")}, "$.00100020"),
        (INSTANCE, {"0020000D": ui(OTHER_UID), "00100020": lo("X")}, "$.00100020"),
        (INSTANCE, {"0020000E": ui("1.2"), "00200013": {"vr": "IS", "Value": [1]}}, "$.00200013"),
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


# -- instances

FIRST, SECOND = f"{STUDY_UID}.1.1", f"{STUDY_UID}.1.2"
LAST_SERIES = f"{STUDY_UID}.2"


@pytest.fixture
async def two(client: httpx.AsyncClient) -> str:
    """A second instance in the series, and a second series in the study; the resource of that instance."""
    await stored(client, instance(instance_number=2), instance(series=LAST_SERIES))
    return f"{SERIES}/instances/{SECOND}"


async def uids(client: httpx.AsyncClient, study: str) -> set[tuple[str, str, str]]:
    """Return series, instance and patient of what a study has, as retrieved files say it."""
    return {
        (file.SeriesInstanceUID, file.SOPInstanceUID, str(file.PatientID)) for file in datasets(await client.get(study))
    }


async def test_an_instance_moves_to_another_series(client: httpx.AsyncClient, two: str) -> None:
    """It is in that series, with its pixels and that series' attributes, and no longer where it was."""
    [before] = datasets(await client.get(two))

    response = await move(client, two, {"0020000E": ui(LAST_SERIES)})

    assert response.status_code == 200, response.text
    [after] = datasets(await client.get(f"{STUDY}/series/{LAST_SERIES}/instances/{SECOND}"))
    assert (after.SeriesInstanceUID, after.PixelData) == (LAST_SERIES, before.PixelData)
    assert (await client.get(two)).status_code == 410
    found = (await client.get(f"{STUDY}/instances")).json()
    assert {one["00080018"]["Value"][0]: one["0020000E"]["Value"][0] for one in found}[SECOND] == LAST_SERIES
    assert len(found) == 3


async def test_an_instance_moves_out_into_a_series_of_its_own(client: httpx.AsyncClient, two: str) -> None:
    """A series that is not there is made, with the attributes of the one it came from; it may get a UID, too."""
    dataset = {"0020000E": ui(f"{STUDY_UID}.3"), "00080018": ui(f"{STUDY_UID}.3.1")}

    response = await move(client, two, dataset)

    assert response.status_code == 200, response.text
    [file] = datasets(await client.get(f"{STUDY}/series/{STUDY_UID}.3"))
    assert (file.SOPInstanceUID, file.file_meta.MediaStorageSOPInstanceUID) == (f"{STUDY_UID}.3.1",) * 2
    assert (file.Modality, file.SeriesNumber) == ("CT", 1)
    [series] = (await client.get(f"{STUDY}/series?SeriesInstanceUID={STUDY_UID}.3")).json()
    assert series["00201209"]["Value"] == [1]


async def test_an_instance_moves_into_another_patients_study(client: httpx.AsyncClient, two: str) -> None:
    """It takes on that study's patient; both studies have a new version, and both go back."""
    response = await move(client, two, {"0020000D": ui(OTHER_UID)})

    assert (response.status_code, response.json()["studyInstanceUID"]) == (200, OTHER_UID)
    assert (SERIES_UID, SECOND, "2CT2") in await uids(client, OTHER)
    assert SECOND not in {instance for _, instance, _ in await uids(client, STUDY)}
    for study, to in ((STUDY, 2), (OTHER, 1)):
        assert (await client.post(f"{study}/revert?to={to}&force=true")).status_code == 200
    assert (SERIES_UID, SECOND, "1CT1") in await uids(client, STUDY)
    assert {patient for *_, patient in await uids(client, OTHER)} == {"2CT2"}


async def test_a_new_study_takes_the_attributes_named(client: httpx.AsyncClient, two: str) -> None:
    """Patient and Study attributes in the dataset are those of the study that is made for the instance."""
    response = await move(client, two, {"0020000D": ui(NEW_UID), "00100020": lo("3CT3")})

    assert response.status_code == 200, response.text
    assert await uids(client, NEW) == {(SERIES_UID, SECOND, "3CT3")}


async def test_a_series_goes_with_its_last_instance(client: httpx.AsyncClient, two: str) -> None:
    """The series is gone when there is nothing left in it; the study stays."""
    await move(client, f"{STUDY}/series/{LAST_SERIES}/instances/{LAST_SERIES}.1", {"0020000E": ui(SERIES_UID)})

    assert (await client.get(f"{STUDY}/series/{LAST_SERIES}/metadata")).status_code == 410
    assert len(await uids(client, STUDY)) == 3


async def test_a_move_of_an_instance_needs_force_and_room(client: httpx.AsyncClient, two: str) -> None:
    """Without force it is 409; where the series has an instance with that UID, with force as well."""
    same = {"0020000E": ui(LAST_SERIES), "00080018": ui(f"{LAST_SERIES}.1")}

    without = await move(client, two, {"0020000E": ui(LAST_SERIES)}, "")
    onto_another = await move(client, two, same)

    assert set(rules(without)) == {"uid"}
    assert rules(onto_another) == ["duplicate"]
    assert await version_of(client) == 2


async def test_a_dry_run_says_where_an_instance_goes(client: httpx.AsyncClient, two: str) -> None:
    """Nothing has moved, and the answer names the image set it would come into."""
    response = await move(client, two, {"0020000E": ui(LAST_SERIES)}, "?force=true&dryRun=true")

    [image_set] = response.json()["imageSets"]
    assert (image_set["moves"], image_set["changed"], response.json()["allowed"]) == (SECOND, True, True)
    assert len(image_set["to"]) == 32
    assert await version_of(client) == 2


async def test_what_is_done_to_the_other_study_meanwhile_is_not_lost(client: httpx.AsyncClient, two: str) -> None:
    """Its patient is renamed while instances and a series come: afterwards all that is in it has the new name."""
    patch = [{"0020000D": ui(OTHER_UID), "00100010": pn("New^Name")}]
    renamed = client.patch(f"{OTHER}/metadata", json=patch, headers={"Content-Type": "application/merge-patch+json"})
    moved = [move(client, one, {"0020000D": ui(OTHER_UID)}) for one in (two, f"{STUDY}/series/{LAST_SERIES}")]

    answers = await asyncio.gather(moved[0], renamed, moved[1])

    assert [answer.status_code for answer in answers] == [200, 200, 200], [answer.text for answer in answers]
    files = datasets(await client.get(OTHER))
    assert [str(file.PatientName) for file in files] == ["New^Name"] * 3
