"""Metadata of a study is made of pieces that were kept, and is what its instances say one by one."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.app import create_app
from gateway.dicomweb.wado import metadata_json
from gateway.settings import Settings
from gateway.store.kept import Kept
from gateway.store.protocol import Store
from tests.conftest import app_client
from tests.dicomweb.wire import patched, stored, value
from tests.samples import instance

STUDY = "1.2.3.1"
AT_STUDY = f"/dicomweb/studies/{STUDY}"
AT_SERIES = f"{AT_STUDY}/series/{STUDY}.1"
AT_SECOND = f"{AT_SERIES}/instances/{STUDY}.1.2"
LUT = bytes(range(256)) * 32  # longer than what stands in line
EDITED = {"00081030": {"vr": "LO", "Value": ["Edited"]}}
COUNT = 30  # of CT_small: two parts in the log


@pytest.fixture
async def filled(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client of a gateway with a series of 30 instances, each with a large binary value."""
    await stored(
        client, *(instance(study=STUDY, instance_number=number, ICCProfile=LUT) for number in range(1, COUNT + 1))
    )
    return client


async def documents(client: httpx.AsyncClient, path: str = AT_STUDY, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get(f"{path}/metadata{query}")).json()
    return found


async def one_by_one(client: httpx.AsyncClient, query: str = "") -> list[dict[str, Any]]:
    """The same, each instance asked for by itself: nothing is kept of these."""
    return [
        (await documents(client, f"{AT_SERIES}/instances/{STUDY}.1.{number}", query))[0]
        for number in range(1, COUNT + 1)
    ]


async def test_the_same_comes_again(filled: httpx.AsyncClient) -> None:
    """First made, then kept, of the study as of the series, and as the instances say."""
    first = await filled.get(f"{AT_STUDY}/metadata")
    again = await filled.get(f"{AT_STUDY}/metadata")
    of_series = await filled.get(f"{AT_SERIES}/metadata")

    assert first.content == again.content == of_series.content
    assert first.json() == await one_by_one(filled)


@pytest.mark.parametrize("warm", [False, True], ids=["first asked for after it", "asked for before and after"])
@pytest.mark.parametrize(
    ("path", "patch"),
    [
        (AT_STUDY, EDITED),
        (AT_SERIES, {"0008103E": {"vr": "LO", "Value": ["Edited"]}, "00080070": None}),
        (AT_SECOND, {"00204000": {"vr": "LT", "Value": ["Edited"]}, "00200013": None}),
    ],
    ids=["study", "series", "instance"],
)
async def test_after_an_edit_it_says_the_new(
    filled: httpx.AsyncClient, path: str, patch: dict[str, Any], warm: bool
) -> None:
    """At whichever level it was, and the version before says the old."""
    before = await one_by_one(filled)
    if warm:
        await documents(filled)
    await patched(filled, path, patch)

    now = await documents(filled)

    assert now == await one_by_one(filled)
    assert now != before
    old = await documents(filled, AT_STUDY, "?version=1")
    assert [without_addresses(each) for each in old] == [without_addresses(each) for each in before]


def without_addresses(dataset: dict[str, Any]) -> dict[str, Any]:
    return {tag: element for tag, element in dataset.items() if "BulkDataURI" not in element}


async def test_an_instance_stored_again_says_what_it_came_with_last(filled: httpx.AsyncClient) -> None:
    """The others stay, in their order."""
    before = await documents(filled)
    await stored(filled, instance(study=STUDY, instance_number=2, ImageComments="Again", ICCProfile=LUT))

    now = await documents(filled)

    assert value(now[1], "00204000") == "Again"
    assert now[:1] + now[2:] == before[:1] + before[2:]
    assert await documents(filled, AT_SERIES, "?version=1") == await one_by_one(filled, "?version=1")


async def test_what_is_deleted_is_gone_though_it_was_kept(filled: httpx.AsyncClient) -> None:
    """The version before is still there, with addresses that name it."""
    await documents(filled)
    assert (await filled.delete(AT_STUDY)).status_code < 300

    assert (await filled.get(f"{AT_STUDY}/metadata")).status_code == 410
    old = await documents(filled, AT_STUDY, "?version=1")
    assert len(old) == COUNT
    assert (await filled.get(old[0]["00282000"]["BulkDataURI"])).content == LUT


async def test_addresses_are_those_of_who_asks(filled: httpx.AsyncClient, settings: Settings, store: Store) -> None:
    """Of the version and the host in the request, though the same instances were asked for by other ones before."""
    here = await documents(filled)
    old = await documents(filled, AT_STUDY, "?version=1")
    async with app_client(create_app(settings, store)) as other:
        there = (await other.get(f"{AT_STUDY}/metadata", headers={"Host": "other.test"})).json()

    def address(found: list[dict[str, Any]]) -> str:
        return str(found[1]["00282000"]["BulkDataURI"])

    assert address(here).startswith(f"http://gateway.test{AT_SECOND}/bulkdata/")
    assert address(old) == address(here) + "?version=1"
    assert address(there) == address(here).replace("gateway.test", "other.test")
    assert await documents(filled) == here


async def test_nothing_has_to_be_kept(filled: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room for a single part every answer is made anew, and the same."""
    fragments = metadata_json.Fragments()
    fragments.own, fragments.whole = Kept(10, len), Kept(10, len)
    monkeypatch.setattr(metadata_json, "_FRAGMENTS", {})
    monkeypatch.setattr(metadata_json, "Fragments", lambda: fragments)

    assert await documents(filled) == await documents(filled) == await one_by_one(filled)
