"""Idempotency-Key: the same request twice is one edit, and the first answer both times."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from gateway.app import create_app, opened_store
from gateway.settings import Settings
from tests.conftest import app_client
from tests.dicomweb.edits import DICOM_JSON, ROOT, STUDY, STUDY_UID, described, edit, edited, pn, ui, version_of
from tests.dicomweb.wire import stored
from tests.samples import ct_series

PATIENT = f"{ROOT}/patients/1CT1"


@pytest.fixture(autouse=True)
async def study(client: httpx.AsyncClient) -> None:
    """A study of two instances."""
    await stored(client, *ct_series(2))


async def test_the_same_request_again_gets_the_first_answer(client: httpx.AsyncClient) -> None:
    """Status, ETag and body are those of the first time, though the study has changed since."""
    first = await edit(client, STUDY, described("X"), Idempotency_Key='"k1"')
    await edited(client, STUDY, described("Y"))

    again = await edit(client, STUDY, described("X"), Idempotency_Key='"k1"')

    assert (again.status_code, again.headers["ETag"], again.content) == (200, '"2"', first.content)
    assert await version_of(client) == 3


async def test_a_repeated_edit_is_not_stale(client: httpx.AsyncClient) -> None:
    """A client that lost the answer repeats the request with its If-Match, and learns that its own edit was made."""
    await edit(client, STUDY, described("X"), If_Match='"1"', Idempotency_Key="k1")

    again = await edit(client, STUDY, described("X"), If_Match='"1"', Idempotency_Key="k1")

    assert (again.status_code, again.json()["version"]) == (200, 2)


async def test_a_repeated_delete_is_not_gone(client: httpx.AsyncClient) -> None:
    """The second delete with the key is answered like the first, not with 410."""
    headers = {"Idempotency-Key": "k1"}

    statuses = [(await client.delete(STUDY, headers=headers)).status_code for _ in range(2)]

    assert statuses == [200, 200]
    assert await version_of(client) == 2


async def test_many_at_once_are_one_edit(client: httpx.AsyncClient) -> None:
    """Twenty copies of a request that arrive together make one version and get one answer."""
    await edited(client, STUDY, described("X"))
    copies = [client.post(f"{STUDY}/revert?to=1", headers={"Idempotency-Key": "k1"}) for _ in range(20)]

    answers = {(response.status_code, response.content) for response in await asyncio.gather(*copies)}

    assert len(answers) == 1
    assert await version_of(client) == 3


@pytest.mark.parametrize(
    ("body", "query"), [(described("Y"), ""), (described("X"), "?force=true")], ids=["another body", "another query"]
)
async def test_another_request_with_the_same_key_is_422(
    client: httpx.AsyncClient, body: dict[str, object], query: str
) -> None:
    """A key stands for one request; another one under it is refused and changes nothing."""
    await edit(client, STUDY, described("X"), Idempotency_Key="k1")

    response = await edit(client, STUDY, body, query, Idempotency_Key="k1")

    assert response.status_code == 422
    assert await version_of(client) == 2


async def test_an_edit_that_changed_nothing_is_remembered_too(client: httpx.AsyncClient) -> None:
    """The repetition of an edit without effect has none either, whatever was edited since."""
    await edited(client, STUDY, described("X"))
    await edit(client, STUDY, described("X"), Idempotency_Key="k1")
    await edited(client, STUDY, described("Y"))

    again = await edit(client, STUDY, described("X"), Idempotency_Key="k1")

    assert (again.json()["changed"], await version_of(client)) == (False, 3)


async def test_a_refused_edit_is_not_remembered(client: httpx.AsyncClient) -> None:
    """After a refusal the same key may be tried again: nothing was done under it."""
    patch = {"00200010": {"vr": "SH", "Value": ["9"]}}
    await edit(client, STUDY, patch, Idempotency_Key="k1")

    response = await edit(client, STUDY, patch, "?force=true", Idempotency_Key="k1")

    assert response.status_code == 200


async def test_a_dry_run_does_not_use_the_key_up(client: httpx.AsyncClient) -> None:
    """What was tried out under a key can be done under it."""
    await edit(client, STUDY, described("X"), "?dryRun=true", Idempotency_Key="k1")

    response = await edit(client, STUDY, described("X"), Idempotency_Key="k1")

    assert (response.status_code, response.json()["changed"]) == (200, True)


async def test_the_answer_survives_a_restart(tmp_path: Path) -> None:
    """The answer is kept with the edit, in one transaction, so it is there after a restart as well."""
    settings = Settings(data=tmp_path / "restarted")
    async with opened_store(settings) as store, app_client(create_app(settings, store)) as client:
        await stored(client, *ct_series(1))
        first = await edit(client, STUDY, described("X"), Idempotency_Key="k1")

    async with opened_store(settings) as store, app_client(create_app(settings, store)) as client:
        again = await edit(client, STUDY, described("X"), Idempotency_Key="k1")

        assert (again.content, await version_of(client)) == (first.content, 2)


async def test_a_posted_edit_is_one_edit(client: httpx.AsyncClient) -> None:
    """The key works on datasets posted to /studies as well."""
    body, headers = [{"0020000D": ui(STUDY_UID), **described("X")}], DICOM_JSON | {"Idempotency-Key": "k1"}
    await client.post(f"{ROOT}/studies", json=body, headers=headers)
    await edited(client, STUDY, described("Y"))

    again = await client.post(f"{ROOT}/studies", json=body, headers=headers)

    assert (again.status_code, await version_of(client)) == (200, 3)


async def test_a_patient_edit_is_one_job(client: httpx.AsyncClient) -> None:
    """The same request again is answered with the job there is, also after it has deleted all it was about."""
    first = await client.delete(PATIENT, headers={"Idempotency-Key": "k1"})
    await asyncio.sleep(0.2)

    again = await client.delete(PATIENT, headers={"Idempotency-Key": "k1"})
    another = await edit(client, PATIENT, {"00100010": pn("X")}, Idempotency_Key="k1")

    assert (again.status_code, again.headers["Location"]) == (202, first.headers["Location"])
    assert another.status_code == 422
    assert await version_of(client) == 2


@pytest.mark.parametrize("key", ["", '"', '"a', "a b", "a" * 256, "é", '""'])
async def test_a_key_that_is_none_is_400(client: httpx.AsyncClient, key: str) -> None:
    """A key is 1 to 255 visible characters; what is not one is refused, not ignored."""
    headers = {b"Content-Type": b"application/json", b"Idempotency-Key": key.encode()}

    response = await client.patch(f"{STUDY}/normalizedmetadata", json=described("X"), headers=headers)

    assert response.status_code == 400
    assert await version_of(client) == 1
