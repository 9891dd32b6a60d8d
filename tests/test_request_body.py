"""A body has its limit whoever reads it: refused before it comes where it says its length, counted as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from gateway.app import create_app
from gateway.settings import Settings
from gateway.store.protocol import Store
from tests.conftest import app_client
from tests.dicomweb.wire import STOW

# Whoever reads bodies, by a request that has one.
READERS = {
    "edit": ("PATCH", "/dicomweb/studies/1.2/normalizedmetadata", "application/merge-patch+json"),
    "store": ("POST", "/dicomweb/studies", STOW),
    "store of metadata": ("POST", "/dicomweb/studies", "application/dicom+json"),
    "HealthImaging": ("POST", "/datastore", "application/json"),
}


@pytest.fixture
async def small(settings: Settings, store: Store) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway that takes 100 kB of everything it has a setting for; what of the other face has none takes 2 MiB."""
    limited = replace(settings, max_store_body=100_000, max_json_body=100_000)
    async with app_client(create_app(limited, store)) as client:
        yield client


@pytest.mark.parametrize("length", ["2097153", "4294967296", "9" * 5000], ids=["2 MiB and 1", "4 GiB", "5000 digits"])
@pytest.mark.parametrize(("method", "path", "media_type"), READERS.values(), ids=READERS)
async def test_a_body_that_says_it_is_too_long_is_refused_unread(
    small: httpx.AsyncClient, method: str, path: str, media_type: str, length: str
) -> None:
    """T60: 413 without asking for a byte of it; a number that is too long to be read is too large."""

    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    headers = {"Content-Type": media_type, "Content-Length": length}
    response = await small.request(method, path, content=never(), headers=headers)

    assert response.status_code == 413


@pytest.mark.parametrize(("method", "path", "media_type"), READERS.values(), ids=READERS)
async def test_a_body_that_turns_out_too_long_is_read_no_further(
    small: httpx.AsyncClient, method: str, path: str, media_type: str
) -> None:
    """Chunked, it says nothing of its length: a client that would never end is refused after the limit."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 10_000_000:
            sent += 50_000
            yield b" " * 50_000

    response = await small.request(method, path, content=endless(), headers={"Content-Type": media_type})

    assert response.status_code == 413
    assert sent <= 2_150_000
