"""Retrieve frames: PS3.18 section 10.4.1.1.6. W5 and W6 are lines of a checklist."""

from __future__ import annotations

from dataclasses import replace

import httpx
import numpy as np
import pydicom
import pytest
from dicomweb_client import DICOMwebClient
from pydicom.encaps import get_frame
from pydicom.pixels import pixel_array

from gateway.app import create_app
from gateway.settings import Settings
from gateway.store.protocol import Store
from tests.conftest import Server, app_client
from tests.dicomweb.pixels import stored_sample
from tests.dicomweb.wire import parts, patched, stored
from tests.samples import instance, sample

OCTETS = 'multipart/related; type="application/octet-stream"'
EXPLICIT = "1.2.840.10008.1.2.1"
RLE = "1.2.840.10008.1.2.5"


@pytest.mark.parametrize(
    "name",
    ["CT_small.dcm", "MR_small_bigendian.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "SC_rgb_jpeg_gdcm.dcm"],
)
async def test_a_frame_is_uncompressed_unless_asked_otherwise(client: httpx.AsyncClient, name: str) -> None:
    """W6: application/octet-stream is Explicit VR Little Endian, whatever is stored; pydicom has the same samples."""
    path = await stored_sample(client, name)

    [(kind, data)] = parts(await client.get(f"{path}/frames/1", headers={"Accept": OCTETS}))

    expected = pixel_array(sample(name))
    assert kind == f"application/octet-stream; transfer-syntax={EXPLICIT}"
    assert np.array_equal(np.frombuffer(data, expected.dtype.newbyteorder("<"))[: expected.size], expected.ravel())


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("MR_small_RLE.dcm", "image/dicom-rle; transfer-syntax=1.2.840.10008.1.2.5"),
        ("MR_small_jp2klossless.dcm", "image/jp2; transfer-syntax=1.2.840.10008.1.2.4.90"),
        ("MR_small_jpeg_ls_lossless.dcm", "image/jls; transfer-syntax=1.2.840.10008.1.2.4.80"),
        ("SC_rgb_jpeg_dcmtk.dcm", "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50"),
    ],
)
async def test_anything_is_what_is_stored(client: httpx.AsyncClient, name: str, kind: str) -> None:
    """W6: byte for byte, under its own media type."""
    path = await stored_sample(client, name)

    [(found, data)] = parts(await client.get(f"{path}/frames/1"))

    assert found == kind
    assert data == get_frame(pydicom.dcmread(sample(name)).PixelData, 0, number_of_frames=1)


async def test_octets_of_any_transfer_syntax_are_what_is_stored(client: httpx.AsyncClient) -> None:
    """What OHIF asks for: the transfer syntax of the part says what it is."""
    path = await stored_sample(client, "MR_small_RLE.dcm")

    [(kind, data)] = parts(await client.get(f"{path}/frames/1", headers={"Accept": f'{OCTETS}; transfer-syntax="*"'}))

    assert kind == f"application/octet-stream; transfer-syntax={RLE}"
    assert data == get_frame(pydicom.dcmread(sample("MR_small_RLE.dcm")).PixelData, 0, number_of_frames=1)


@pytest.mark.parametrize(
    "kind", ["image/jls", "image/x-jls", "image/jp2", "image/jph", "image/dicom-rle", "image/jpeg"]
)
async def test_a_frame_is_compressed_on_request(client: httpx.AsyncClient, kind: str) -> None:
    """W6: the part has the media type that was asked for, and the transfer syntax."""
    path = await stored_sample(client, "CT_small.dcm")

    response = await client.get(f"{path}/frames/1", headers={"Accept": f'multipart/related; type="{kind}"'})

    [(found, data)] = parts(response)
    assert found.startswith(f"{kind}; transfer-syntax=1.2.840.10008.1.2.") and 0 < len(data) < 32768


async def test_frames_come_in_the_order_of_the_list(client: httpx.AsyncClient) -> None:
    """W5: one part each."""
    path = await stored_sample(client, "SC_rgb_rle_2frame.dcm")

    found = parts(await client.get(f"{path}/frames/2,1", headers={"Accept": OCTETS}))

    second, first = (np.frombuffer(data, "u1") for _, data in found)
    expected = pixel_array(sample("SC_rgb_rle_2frame.dcm"))
    assert np.array_equal(first, expected[0].ravel()) and np.array_equal(second, expected[1].ravel())


async def test_pixel_data_is_every_frame(client: httpx.AsyncClient) -> None:
    """PS3.18 section 10.4.1.1.7."""
    path = await stored_sample(client, "SC_rgb_rle_2frame.dcm")

    assert [kind for kind, _ in parts(await client.get(f"{path}/pixeldata"))] == [
        f"image/dicom-rle; transfer-syntax={RLE}"
    ] * 2


async def test_one_frame_may_come_alone(client: httpx.AsyncClient) -> None:
    """Without a multipart around it."""
    path = await stored_sample(client, "liver_1frame.dcm")

    response = await client.get(f"{path}/frames/1", headers={"Accept": "application/octet-stream"})

    assert response.headers["content-type"] == f"application/octet-stream; transfer-syntax={EXPLICIT}"
    assert response.content == pydicom.dcmread(sample("liver_1frame.dcm")).PixelData


@pytest.mark.parametrize(("numbers", "status"), [("0", 400), ("x", 400), ("1,,1", 400), ("-1", 400), ("2", 404)])
async def test_other_numbers_are_refused(client: httpx.AsyncClient, numbers: str, status: int) -> None:
    """W5: 400 for what is no frame number, 404 past the last."""
    path = await stored_sample(client, "CT_small.dcm")

    assert (await client.get(f"{path}/frames/{numbers}")).status_code == status


@pytest.mark.parametrize(
    ("name", "accept"),
    [
        ("CT_small.dcm", "text/html"),
        ("CT_small.dcm", 'multipart/related; type="image/jls"; transfer-syntax=1.2.840.10008.1.2.4.81'),
        ("liver_1frame.dcm", 'multipart/related; type="image/dicom-rle"'),
        ("test-SR.dcm", OCTETS),
    ],
)
async def test_what_cannot_be_made_is_not_acceptable(client: httpx.AsyncClient, name: str, accept: str) -> None:
    """An encoder that is not here, pixels that do not fit, no pixels."""
    path = await stored_sample(client, name)

    assert (await client.get(f"{path}/frames/1", headers={"Accept": accept})).status_code == 406


async def test_frames_are_kept_by_caches_across_edits(client: httpx.AsyncClient) -> None:
    """An edit does not touch pixels: the entity tag stays."""
    path = await stored_sample(client, "CT_small.dcm")
    before = await client.get(f"{path}/frames/1")
    await patched(client, path, {"00204000": {"vr": "LT", "Value": ["edited"]}})

    again = await client.get(f"{path}/frames/1", headers={"If-None-Match": before.headers["etag"]})

    assert before.headers["cache-control"] == "private, max-age=300, immutable"
    assert again.status_code == 304 and again.headers["cache-control"] == before.headers["cache-control"]


async def test_frames_may_be_shown_as_long_as_the_setting_says(settings: Settings, store: Store) -> None:
    """No edit changes pixels, so a viewer need not ask; with 0 it asks each time, and is told 304."""
    path = "/dicomweb/studies/1.2.3.1/series/1.2.3.1.1/instances/1.2.3.1.1.1/frames/1"
    said = []
    for seconds in (60, 0):
        async with app_client(create_app(replace(settings, frames_max_age=seconds), store)) as client:
            await stored(client, instance(study="1.2.3.1"))
            answer = await client.get(path)
            again = await client.get(path, headers={"If-None-Match": answer.headers["etag"]})
            assert again.status_code == 304 and again.headers["cache-control"] == answer.headers["cache-control"]
            said.append(answer.headers["cache-control"])

    assert said == ["private, max-age=60, immutable", "private, no-cache"]


async def test_frames_of_a_version_are_immutable_for_a_year(client: httpx.AsyncClient) -> None:
    """A version never changes; the latest does when the instance is stored once more with other pixels."""
    first, second = (instance(PixelData=bytes([grey]) * 32768) for grey in (1, 2))
    await stored(client, first)
    study = "1.2.826.0.1.3680043.8.498.1"
    path = f"/dicomweb/studies/{study}/series/{study}.1/instances/{study}.1.1/frames/1"
    before = await client.get(path)
    await stored(client, second)

    after = await client.get(path, headers={"If-None-Match": before.headers["etag"]})
    of_version_1 = await client.get(path, params={"version": "1"})

    assert after.status_code == 200 and parts(after)[0][1] == bytes([2]) * 32768
    assert parts(of_version_1)[0][1] == bytes([1]) * 32768
    assert of_version_1.headers["cache-control"] == "private, max-age=31536000, immutable"


async def test_frames_are_those_of_the_version_though_others_were_asked_for(client: httpx.AsyncClient) -> None:
    """Stored again with other pixels, the instance has these; version 1 the first ones, and deleted it has none."""
    path = "/dicomweb/studies/1.2.3.1/series/1.2.3.1.1/instances/1.2.3.1.1.1"
    first, second = bytes([1]) * 2 * 128 * 128, bytes([2]) * 2 * 128 * 128
    await stored(client, instance(study="1.2.3.1", PixelData=first))
    assert await frame(client, path) == first
    await stored(client, instance(study="1.2.3.1", PixelData=second))

    assert await frame(client, path) == second
    assert await frame(client, path, "?version=1") == first
    assert (await client.delete(path)).status_code < 300
    assert (await client.get(f"{path}/frames/1")).status_code == 410
    assert await frame(client, path, "?version=2") == second


async def frame(client: httpx.AsyncClient, path: str, query: str = "") -> bytes:
    """The bytes of an instance's first frame."""
    [(_, data)] = parts(await client.get(f"{path}/frames/1{query}", headers={"Accept": OCTETS}))
    return data


async def test_one_frame_has_a_length(client: httpx.AsyncClient) -> None:
    """In a multipart body too."""
    path = await stored_sample(client, "CT_small.dcm")

    response = await client.get(f"{path}/frames/1", headers={"Accept": OCTETS})

    assert int(response.headers["content-length"]) == len(response.content)


async def test_another_client_reads_frames(server: Server) -> None:
    """dicomweb-client, over HTTP."""
    async with httpx.AsyncClient(base_url=server.url) as client:
        path = await stored_sample(client, "CT_small.dcm")
    _, _, _, study, _, series, _, uid = path.split("/")

    [frame] = DICOMwebClient(server.dicomweb).retrieve_instance_frames(study, series, uid, [1])

    assert frame == pydicom.dcmread(sample("CT_small.dcm")).PixelData
