"""The change feed: every version, once, in order, from any cursor on."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.dicomweb.edits import INSTANCE, ROOT, SERIES_UID, STUDY, STUDY_UID, described, edited
from tests.dicomweb.wire import stored
from tests.samples import ct_series


@pytest.fixture(autouse=True)
async def study(client: httpx.AsyncClient) -> None:
    """A study of two instances, edited, with an instance deleted, and reverted: four versions."""
    await stored(client, *ct_series(2))
    await edited(client, STUDY, described("X"), "?reason=typing%20error")
    await client.delete(INSTANCE)
    await client.post(f"{STUDY}/revert?to=1")


async def feed(client: httpx.AsyncClient, query: str = "") -> dict[str, Any]:
    """Return a page of the feed."""
    response = await client.get(f"{ROOT}/changefeed{query}")
    assert response.status_code == 200, response.text
    page: dict[str, Any] = response.json()
    return page


async def test_the_feed_has_every_version_in_the_order_of_commits(client: httpx.AsyncClient) -> None:
    """Each entry names the image set, the study and its version, the action and what changed."""
    changes = (await feed(client))["changes"]

    assert [(one["version"], one["studyVersion"], one["action"], one["instances"]) for one in changes] == [
        (1, 1, "store", 2),
        (2, 2, "update", 2),
        (3, 3, "update", 1),
        (4, 4, "revert", 2),
    ]
    assert {(one["studyInstanceUID"], one["seriesInstanceUID"]) for one in changes} == {(STUDY_UID, SERIES_UID)}
    assert changes[1]["changed"] == {"levels": {"Study": ["StudyDescription"]}, "instances": 0}
    assert changes[1]["reason"] == "typing error"


async def test_a_reader_goes_on_from_its_cursor(client: httpx.AsyncClient) -> None:
    """Page after page, each from the cursor of the last, gives everything once; at the end the cursor stays."""
    seen, cursor = [], "0"
    for _ in range(4):
        page = await feed(client, f"?after={cursor}&limit=2")
        seen += [one["version"] for one in page["changes"]]
        cursor = page["cursor"]

    assert seen == [1, 2, 3, 4]
    assert await feed(client, f"?after={cursor}") == {"changes": [], "cursor": cursor}


@pytest.mark.parametrize(
    "query",
    ["?after=-1", "?after=x", "?after=1&after=2", "?limit=0", "?limit=1001", "?limit=1e2", "?after=" + "9" * 30],
)
async def test_a_cursor_or_limit_that_is_none_is_400(client: httpx.AsyncClient, query: str) -> None:
    """A reader that lost its place is told so, and does not silently start again."""
    assert (await client.get(f"{ROOT}/changefeed{query}")).status_code == 400
