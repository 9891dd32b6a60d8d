"""ETag and Last-Modified of every resource that is retrieved, before and after an edit, a revert and a deletion."""

from __future__ import annotations

import httpx
import pytest

from tests.dicomweb.wire import patched, stored
from tests.samples import instance

STUDY = "/dicomweb/studies/1.2.3"
SERIES = f"{STUDY}/series/1.2.3.1"
INSTANCE = f"{SERIES}/instances/1.2.3.1.1"
LEVELS = (STUDY, SERIES, INSTANCE)
WADO = "/wado?requestType=WADO&studyUID=1.2.3&seriesUID=1.2.3.1&objectUID=1.2.3.1.1"
# A comment is burned into no picture, but a picture does not know that.
EDIT = {"00204000": {"vr": "LT", "Value": ["edited"]}}

# What an edit changes, and what is made of the stored file alone.
EDITED = [
    *LEVELS,
    *(f"{level}/metadata" for level in LEVELS),
    f"{INSTANCE}/metadata?accept=application/dicom%2Bxml",
    *(f"{level}/normalizedmetadata" for level in LEVELS),
    *(f"{level}/bulkdata" for level in LEVELS),
    *(f"{level}/rendered" for level in LEVELS),
    *(f"{level}/thumbnail" for level in LEVELS),
    f"{INSTANCE}/frames/1/rendered",
    f"{INSTANCE}/frames/1/thumbnail",
    WADO,
    f"{WADO}&contentType=application/dicom",
]
STORED = [f"{INSTANCE}/frames/1", f"{INSTANCE}/frames/1?accept=image/jls", f"{INSTANCE}/pixeldata", "bulk data"]


@pytest.fixture
async def filled(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client of a gateway that has an image with a large binary value."""
    await stored(client, instance(study="1.2.3", RedPaletteColorLookupTableData=bytes(10_000)))
    return client


async def address(client: httpx.AsyncClient, path: str) -> str:
    """Return a path, that of the bulk value for "bulk data"."""
    if path != "bulk data":
        return path
    uri: str = (await client.get(f"{INSTANCE}/metadata")).json()[0]["00281201"]["BulkDataURI"]
    return uri


async def asked_again(client: httpx.AsyncClient, path: str, headers: httpx.Headers) -> list[int]:
    """Return the statuses for who has an ETag, and for who has a date."""
    etag, modified = headers["etag"], headers["last-modified"]
    conditions = ({"If-None-Match": etag}, {"If-None-Match": etag, "If-Modified-Since": modified})
    return [(await client.get(path, headers=one)).status_code for one in conditions]


@pytest.mark.parametrize("path", [*EDITED, *STORED])
async def test_who_has_a_resource_is_told_so(filled: httpx.AsyncClient, path: str) -> None:
    """W10: by its ETag or its date, and HEAD says both."""
    path = await address(filled, path)
    first, head = await filled.get(path), await filled.head(path)
    since = {"If-Modified-Since": first.headers["last-modified"]}

    assert first.status_code == head.status_code == 200
    assert await asked_again(filled, path, first.headers) == [304, 304]
    assert (await filled.get(path, headers=since)).status_code == 304
    assert head.headers["etag"] == first.headers["etag"]


@pytest.mark.parametrize("path", [*EDITED, "bulk data"])
async def test_a_cache_asks_before_it_shows_what_an_edit_may_change(filled: httpx.AsyncClient, path: str) -> None:
    """And keeps it from others."""
    response = await filled.get(await address(filled, path))

    assert response.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("path", EDITED)
async def test_an_edit_and_a_revert_change_what_they_may_show_in(filled: httpx.AsyncClient, path: str) -> None:
    """W10: nobody is shown a stale copy; one that was right before the edit is no longer."""
    first = await filled.get(path)

    await patched(filled, INSTANCE, EDIT)
    edited = await filled.get(path)
    reverted = await filled.post(f"{STUDY}/revert?to=1")

    assert reverted.status_code == 200
    assert await asked_again(filled, path, first.headers) == [200, 200]
    assert await asked_again(filled, path, edited.headers) == [200, 200]


@pytest.mark.parametrize("path", STORED)
async def test_an_edit_leaves_what_is_stored_alone(filled: httpx.AsyncClient, path: str) -> None:
    """W10: pixels and bulk values are not fetched again; they are when the instance is stored with others."""
    path = await address(filled, path)
    first = await filled.get(path)

    await patched(filled, INSTANCE, EDIT)
    after_edit = await asked_again(filled, path, first.headers)
    await stored(filled, instance(study="1.2.3", PixelData=bytes(32768), RedPaletteColorLookupTableData=bytes(9_000)))

    assert after_edit == [304, 304]
    again = await filled.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == (404 if "bulkdata" in path else 200)


@pytest.mark.parametrize("path", [*EDITED, *STORED])
async def test_what_was_deleted_is_gone_for_who_has_it_too(filled: httpx.AsyncClient, path: str) -> None:
    """W1: 410, not 304."""
    path = await address(filled, path)
    first = await filled.get(path)

    await filled.delete(INSTANCE)

    assert await asked_again(filled, path, first.headers) == [410, 410]


@pytest.mark.parametrize(
    "path", [path for path in [*EDITED, *STORED] if path.startswith((INSTANCE, WADO)) or path == "bulk data"]
)
async def test_an_instance_that_was_deleted_is_gone_though_its_series_is_not(
    filled: httpx.AsyncClient, path: str
) -> None:
    """W1: 410; an instance that never was is 404, and so is one in a version from before it came."""
    path = await address(filled, path)
    await stored(filled, instance(study="1.2.3", instance_number=2))
    await stored(filled, instance(study="1.2.3", instance_number=3))

    await filled.delete(INSTANCE)

    assert (await filled.get(path)).status_code == 410
    assert (await filled.get(path.replace("1.2.3.1.1", "1.2.3.1.9"))).status_code == 404
    newer = path.replace("1.2.3.1.1", "1.2.3.1.3")
    assert (await filled.get(f"{newer}{'&' if '?' in newer else '?'}version=1")).status_code == 404
