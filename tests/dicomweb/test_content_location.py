"""Each part of a multipart answer says which resource it is: PS3.18 Table 8.4.2-1, 10.4.3.3.5 and 10.4.3.3.6."""

from __future__ import annotations

import httpx
import pytest

from tests.dicomweb.edits import INSTANCE, SERIES, SERIES_UID, STUDY, lo
from tests.dicomweb.pixels import stored_sample
from tests.dicomweb.wire import locations, parts, patched, stored
from tests.samples import ct_series

HOST = "http://gateway.test"


def multipart_of(media_type: str) -> dict[str, str]:
    return {"Accept": f'multipart/related; type="{media_type}"; transfer-syntax=*'}


@pytest.fixture
async def three(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client, and three CT instances of one series."""
    await stored(client, *ct_series(3))
    return client


@pytest.mark.parametrize("path", [STUDY, SERIES])
async def test_an_instance_is_at_the_address_of_its_part(three: httpx.AsyncClient, path: str) -> None:
    """PS3.10: what is retrieved there alone is the part."""
    response = await three.get(path)

    assert locations(response) == [f"{HOST}{SERIES}/instances/{SERIES_UID}.{number}" for number in (1, 2, 3)]
    for (_, file), address in zip(parts(response), locations(response), strict=True):
        assert (await three.get(address, headers={"Accept": "application/dicom"})).content == file


async def test_metadata_are_at_the_address_of_their_part(three: httpx.AsyncClient) -> None:
    """DICOM XML, in which each instance is a part."""
    response = await three.get(f"{STUDY}/metadata", headers=multipart_of("application/dicom+xml"))

    assert locations(response)[2] == f"{HOST}{SERIES}/instances/{SERIES_UID}.3/metadata"
    for (_, document), address in zip(parts(response), locations(response), strict=True):
        assert (await three.get(address, headers={"Accept": "application/dicom+xml"})).content == document


async def test_a_bulk_value_has_the_address_of_the_metadata(client: httpx.AsyncClient) -> None:
    """A waveform of an item: 10.4.3.3.5, as all bulk data of a resource have."""
    path = await stored_sample(client, "waveform_ecg.dcm")
    [metadata] = (await client.get(f"{path}/metadata")).json()
    uri = metadata["54000100"]["Value"][0]["54001010"]["BulkDataURI"]

    response = await client.get(uri, headers=multipart_of("application/octet-stream"))

    assert locations(response) == [uri]


# A file, its frames, and the media type that they are stored in.
PIXELS = {
    "native": ("rtdose.dcm", 15, "application/octet-stream"),
    "RLE": ("SC_rgb_rle_2frame.dcm", 2, "image/dicom-rle"),
    "one JPEG": ("SC_rgb_jpeg_gdcm.dcm", 1, "image/jpeg"),
}


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize("kind", PIXELS)
async def test_pixel_data_have_the_address_of_the_metadata(client: httpx.AsyncClient, kind: str) -> None:
    """10.4.3.3.6: each part of them, at their BulkDataURI and at /pixeldata."""
    name, count, media_type = PIXELS[kind]
    path = await stored_sample(client, name)
    uri = (await client.get(f"{path}/metadata")).json()[0]["7FE00010"]["BulkDataURI"]

    value, frames = [await client.get(at, headers=multipart_of(media_type)) for at in (uri, f"{path}/pixeldata")]

    assert uri == f"{HOST}{path}/bulkdata/7FE00010"
    assert locations(frames) == [uri] * count
    assert locations(value) == ([uri] if kind == "native" else [uri] * count)


async def test_a_frame_is_at_the_address_of_its_part(client: httpx.AsyncClient) -> None:
    """In the order they were asked for."""
    path = await stored_sample(client, "SC_rgb_rle_2frame.dcm")

    response = await client.get(f"{path}/frames/2,1", headers=multipart_of("image/dicom-rle"))

    assert locations(response) == [f"{HOST}{path}/frames/2", f"{HOST}{path}/frames/1"]
    for (_, frame), address in zip(parts(response), locations(response), strict=True):
        [(_, again)] = parts(await client.get(address, headers=multipart_of("image/dicom-rle")))
        assert again == frame


async def test_the_address_of_an_old_version_is_of_that_version(three: httpx.AsyncClient) -> None:
    """Of its image set: what it names does not change with the next edit."""
    await patched(three, STUDY, {"00081030": lo("Another")})

    for path in (f"{STUDY}?version=1", f"{INSTANCE}/frames/1?version=1", f"{INSTANCE}/rendered?version=1"):
        response = await three.get(path, headers={"Accept": "multipart/related; type=*/*"})

        assert [address[-10:] for address in locations(response)] == ["?version=1"] * len(parts(response)), path
    [_, (_, file), _] = parts(await three.get(f"{STUDY}?version=1"))
    [_, address, _] = locations(await three.get(f"{STUDY}?version=1"))
    assert (await three.get(address, headers={"Accept": "application/dicom"})).content == file
    assert b"Another" not in file
