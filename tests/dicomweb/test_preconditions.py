"""If-Match on edits and the conditions of reads: RFC 9110 section 13, RFC 6585 section 3."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
import pytest

from gateway.app import create_app
from gateway.settings import Settings
from gateway.store.protocol import Store
from tests.conftest import app_client
from tests.dicomweb.edits import DICOM_JSON, INSTANCE, SERIES, STUDY, described, edit, edited, lo, version_of
from tests.dicomweb.wire import stored
from tests.samples import ct_series, instance


@pytest.fixture
async def study(client: httpx.AsyncClient) -> str:
    """A study of two instances, in version 2."""
    await stored(client, *ct_series(2))
    await edited(client, STUDY, described("FIRST"))
    return STUDY


# The study is at version 2.
IF_MATCH = [
    ("the current version", '"2"', 200),
    ("any version", "*", 200),
    ("a list with the current version", '"7", "2"', 200),
    ("a list without spaces, with empty elements", ',"7",,"2",', 200),
    ("a stale version", '"1"', 412),
    ("a version to come", '"3"', 412),
    ("a list of stale versions", '"1","3"', 412),
    ("a weak tag, which never matches strongly", 'W/"2"', 412),
    ("a tag that is no version", '"banana"', 412),
    ("an empty tag", '""', 412),
    ("no quotes", "2", 400),
    ("one quote", '"2', 400),
    ("two tags without a comma", '"1" "2"', 400),
    ("a lower-case weak mark", 'w/"2"', 400),
    ("a star in a list", '"2", *', 400),
    ("nothing", "", 400),
    ("commas only", ",,", 400),
]


@pytest.mark.parametrize(("value", "status"), [row[1:] for row in IF_MATCH], ids=[row[0] for row in IF_MATCH])
async def test_if_match(client: httpx.AsyncClient, study: str, value: str, status: int) -> None:
    """An edit is made where If-Match names the current version, refused with 412 where not, with 400 where it is no
    list of entity tags; and a refused one changes nothing."""
    response = await edit(client, study, described("SECOND"), If_Match=value)

    assert response.status_code == status, response.text
    assert await version_of(client) == (3 if status == 200 else 2)


@pytest.mark.parametrize("resource", [STUDY, SERIES, INSTANCE])
@pytest.mark.parametrize("read", ["/normalizedmetadata", "/metadata", ""])
async def test_the_etag_of_any_read_is_one_for_if_match(
    client: httpx.AsyncClient, study: str, resource: str, read: str
) -> None:
    """A client edits with the ETag of whatever it read of the resource, and learns the next one from the answer."""
    etag = (await client.get(resource + read)).headers["ETag"]
    patch = {STUDY: described("X"), SERIES: {"0008103E": lo("X")}, INSTANCE: {"00200013": {"vr": "IS", "Value": [7]}}}

    first = await edit(client, resource, patch[resource], If_Match=etag)
    second = await edit(client, resource, patch[resource], If_Match=etag)

    assert (first.status_code, second.status_code) == (200, 412)
    assert first.headers["ETag"] == second.json()["current"] != etag


async def test_412_says_what_is_current_and_what_changed_since(client: httpx.AsyncClient, study: str) -> None:
    """A client that was too late learns the ETag to send, and by whom and why its version was left behind."""
    await edited(client, study, described("SECOND"), "?reason=wrong%20side")

    response = await edit(client, study, described("THIRD"), If_Match='"1"')

    problem = response.json()
    assert (problem["current"], problem["actual"]) == ('"3"', 3)
    assert [(change["version"], change["reason"]) for change in problem["changes"]] == [(3, "wrong side"), (2, None)]
    assert problem["changes"][0]["changed"] == {"levels": {"Study": ["StudyDescription"]}, "instances": 0}


async def test_of_a_hundred_edits_from_the_same_version_one_is_made(client: httpx.AsyncClient, study: str) -> None:
    """A hundred clients that edit version 2: one makes version 3, ninety-nine are told that they are too late."""
    edits = [edit(client, study, described(f"BY {number}"), If_Match='"2"') for number in range(100)]

    statuses = sorted(response.status_code for response in await asyncio.gather(*edits))

    assert statuses == [200] + [412] * 99
    assert await version_of(client) == 3


async def test_without_if_match_every_edit_is_made(client: httpx.AsyncClient, study: str) -> None:
    """Thirty clients that do not say which version they mean are all served, one version each."""
    edits = [edit(client, study, described(f"BY {number}")) for number in range(30)]

    statuses = {response.status_code for response in await asyncio.gather(*edits)}

    assert statuses == {200}
    assert await version_of(client) == 32


async def test_an_edit_of_one_series_does_not_make_another_series_stale(client: httpx.AsyncClient) -> None:
    """Two people who correct two series of a study do not stand in each other's way."""
    other = f"{STUDY}/series/1.2.826.0.1.3680043.8.498.9"
    await stored(client, *ct_series(1))
    await stored(client, instance(series="1.2.826.0.1.3680043.8.498.9"))
    etag = (await client.get(f"{other}/normalizedmetadata")).headers["ETag"]
    await edited(client, SERIES, {"0008103E": lo("THORAX")})

    response = await edit(client, other, {"0008103E": lo("ABDOMEN")}, If_Match=etag)

    assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", f"{STUDY}/normalizedmetadata", b'{"00081030": null}'),
        ("PUT", f"{STUDY}/normalizedmetadata", b"{}"),
        ("PATCH", f"{STUDY}/metadata", b"[{}]"),
        ("POST", "/dicomweb/studies", b'[{"0020000D": {"vr": "UI", "Value": ["1.2.3"]}}]'),
        ("POST", f"{STUDY}/revert?to=1", b""),
        ("DELETE", STUDY, b""),
        ("DELETE", INSTANCE, b""),
        ("PATCH", "/dicomweb/patients/1CT1/normalizedmetadata", b"{}"),
        ("DELETE", "/dicomweb/patients/1CT1", b""),
    ],
)
async def test_require_if_match_asks_every_edit_for_it(
    settings: Settings, store: Store, client: httpx.AsyncClient, study: str, method: str, path: str, body: bytes
) -> None:
    """With the setting on, an edit that does not say which version it is of gets 428, whatever kind of edit it is."""
    async with app_client(create_app(replace(settings, require_if_match=True), store)) as strict:
        response = await strict.request(method, path, content=body, headers=DICOM_JSON)

    assert response.status_code == 428, response.text
    assert await version_of(client) == 2


@pytest.mark.parametrize("resource", [STUDY, SERIES, INSTANCE, "/dicomweb/patients/1CT1"])
async def test_reads_are_conditional(client: httpx.AsyncClient, study: str, resource: str) -> None:
    """Whoever has the current version gets 304, by its ETag or by its date; the ETag decides where both are sent."""
    read = f"{resource}/normalizedmetadata"
    first = (await client.get(read)).headers

    async def status(**headers: str) -> int:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return (await client.get(read, headers=sent)).status_code

    assert await status(If_None_Match=first["ETag"]) == 304
    assert await status(If_None_Match="W/" + first["ETag"]) == 304
    assert await status(If_None_Match='"another"') == 200
    assert await status(If_Modified_Since=first["Last-Modified"]) == 304
    assert await status(If_Modified_Since="Mon, 01 Jan 2001 00:00:00 GMT") == 200
    assert await status(If_None_Match='"another"', If_Modified_Since=first["Last-Modified"]) == 200
