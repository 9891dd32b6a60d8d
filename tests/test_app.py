"""The application as a whole: what it opens, what it answers where no endpoint does, how it says it is well."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from gateway.app import create_app, opened_store
from gateway.errors import AlreadyServed
from gateway.settings import Settings

from .conftest import app_client


async def test_it_opens_the_folder_and_lets_go_of_it(settings: Settings) -> None:
    """Without a store of its own given, the application opens the data folder, and closes it at its end."""
    async with app_client(create_app(settings)) as client:
        assert (await client.get("/readyz")).text == "ok\n"
        with pytest.raises(AlreadyServed):
            async with opened_store(settings):
                pass

    async with opened_store(settings):
        pass


async def test_default_data_store_is_made_once(settings: Settings) -> None:
    """A new folder has a data store for /dicomweb to stand for, and opening it again makes no other."""
    async with opened_store(settings) as store:
        first = await store.default_datastore()

    async with opened_store(settings) as store:
        assert await store.datastores() == [first]


async def test_readyz_fails_once_the_disk_has(client: httpx.AsyncClient) -> None:
    """After a write that failed the gateway takes no more until it is started again, and says so."""
    with disk_that_takes_nothing():
        ready, live = await client.get("/readyz"), await client.get("/livez")

    assert (ready.status_code, ready.text) == (503, "fail\n")
    assert (live.status_code, live.text) == (200, "ok\n")
    assert (await client.get("/readyz")).status_code == 503


@contextmanager
def disk_that_takes_nothing() -> Iterator[None]:
    """Have the kernel refuse every write to a file; Python ignores the signal that goes with it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("method", "path", "status", "title"),
    [
        ("GET", "/", 404, "Not Found"),
        ("GET", "/dicomweb/nowhere", 404, "Not Found"),
        ("DELETE", "/livez", 405, "Method Not Allowed"),
        ("PUT", "/dicomweb/studies", 405, "Method Not Allowed"),
    ],
)
async def test_what_no_route_takes_is_a_problem(
    client: httpx.AsyncClient, method: str, path: str, status: int, title: str
) -> None:
    """404 and 405 come as RFC 9457 has them; 405 says what is allowed."""
    answer = await client.request(method, path)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json() == {"type": "about:blank", "title": title, "status": status}
    assert ("allow" in answer.headers) is (status == 405)


async def test_faces_share_a_path_and_no_route(client: httpx.AsyncClient, datastore_id: str) -> None:
    """Below /datastore/{datastoreId} both faces answer: HealthImaging its own paths, DICOMweb all the others."""
    properties = await client.get(f"/datastore/{datastore_id}")
    studies = await client.get(f"/datastore/{datastore_id}/studies")

    assert properties.json()["datastoreProperties"]["datastoreId"] == datastore_id
    assert (studies.status_code, studies.content) == (204, b"")
