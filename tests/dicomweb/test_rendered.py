"""Rendered images and thumbnails: PS3.18 sections 8.3.5 and 10.4.1.1.3."""

from __future__ import annotations

import httpx
import numpy as np
import pytest
from dicomweb_client import DICOMwebClient

from tests.conftest import Server
from tests.dicomweb.edits import edit
from tests.dicomweb.pixels import opened, stored_sample
from tests.dicomweb.test_patients import finished
from tests.dicomweb.wire import patched


@pytest.mark.parametrize(
    ("name", "mode", "size"),
    [
        ("CT_small.dcm", "L", (128, 128)),
        ("SC_rgb_jpeg_dcmtk.dcm", "RGB", (100, 100)),
        ("MR_small_RLE.dcm", "L", (64, 64)),
        ("MR_small_jp2klossless.dcm", "L", (64, 64)),
        ("liver_1frame.dcm", "L", (512, 512)),
        ("examples_palette.dcm", "RGB", (800, 350)),
        ("color3d_jpeg_baseline.dcm", "RGB", (640, 480)),
    ],
)
async def test_an_instance_is_a_jpeg(client: httpx.AsyncClient, name: str, mode: str, size: tuple[int, int]) -> None:
    """The default, in grey or in colour."""
    image = opened(await client.get(f"{await stored_sample(client, name)}/rendered"))

    assert (image.format, image.mode, image.size) == ("JPEG", mode, size)


@pytest.mark.parametrize(("kind", "name"), [("image/jpeg", "JPEG"), ("image/png", "PNG"), ("image/gif", "GIF")])
async def test_a_picture_comes_as_asked_for(client: httpx.AsyncClient, kind: str, name: str) -> None:
    """PS3.18 section 8.7.4."""
    path = await stored_sample(client, "CT_small.dcm")

    assert opened(await client.get(f"{path}/frames/1/rendered", headers={"Accept": kind})).format == name


async def test_several_frames_are_an_animation(client: httpx.AsyncClient) -> None:
    """As GIF; a JPEG shows the first."""
    path = await stored_sample(client, "SC_rgb_rle_2frame.dcm")

    assert getattr(opened(await client.get(f"{path}/rendered?accept=image/gif")), "n_frames", 1) == 2
    assert opened(await client.get(f"{path}/rendered")).format == "JPEG"


async def test_a_viewport_and_a_window_are_obeyed(client: httpx.AsyncClient) -> None:
    """Everything above the window is white."""
    path = await stored_sample(client, "CT_small.dcm")

    image = opened(await client.get(f"{path}/rendered?viewport=32,64&window=-5000,2,linear&accept=image/png"))

    assert image.size == (32, 32)
    assert np.asarray(image).min() == 255


async def test_an_edited_window_is_seen(client: httpx.AsyncClient) -> None:
    """And the entity tag is another one."""
    path = await stored_sample(client, "CT_small.dcm")
    before = await client.get(f"{path}/rendered?accept=image/png")
    window = {"00281050": {"vr": "DS", "Value": [-5000]}, "00281051": {"vr": "DS", "Value": [2]}}
    await patched(client, path, window)

    after = await client.get(f"{path}/rendered?accept=image/png")

    assert np.asarray(opened(before)).min() < 255 and np.asarray(opened(after)).min() == 255
    assert before.headers["etag"] != after.headers["etag"]
    assert (await client.get(f"{path}/rendered?accept=image/png&version=1")).content == before.content


async def test_an_edited_name_is_burned_in(client: httpx.AsyncClient) -> None:
    """annotation=patient."""
    path = await stored_sample(client, "CT_small.dcm")
    url = f"{path}/rendered?annotation=patient&accept=image/png"
    before = await client.get(url)
    name = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "New^Name"}]}}
    await finished(client, await edit(client, "/dicomweb/patients/1CT1", name))

    assert (await client.get(url)).content != before.content


@pytest.mark.parametrize("query", ["window=1,2", "viewport=0,1", "quality=101", "iccprofile=x", "quality=1&quality=2"])
async def test_other_parameters_are_refused(client: httpx.AsyncClient, query: str) -> None:
    """PS3.18 section 8.3.5: 400."""
    path = await stored_sample(client, "CT_small.dcm")

    assert (await client.get(f"{path}/rendered?{query}")).status_code == 400


async def test_what_is_no_image_is_not_acceptable(client: httpx.AsyncClient) -> None:
    """A report has no pixels."""
    path = await stored_sample(client, "test-SR.dcm")

    assert (await client.get(f"{path}/rendered")).status_code == 406
    assert (await client.get(f"{path.split('/series')[0]}/thumbnail")).status_code == 404


@pytest.mark.parametrize("level", ["/series", "/instances", "/frames", None])
async def test_every_level_has_a_thumbnail(client: httpx.AsyncClient, level: str | None) -> None:
    """No larger than 128 x 128."""
    path = f"{await stored_sample(client, 'liver_1frame.dcm')}/frames/1"

    image = opened(await client.get(f"{path.split(level)[0] if level else path}/thumbnail"))

    assert image.size == (128, 128)


async def test_another_client_reads_pictures(server: Server) -> None:
    """dicomweb-client, over HTTP."""
    async with httpx.AsyncClient(base_url=server.url) as client:
        path = await stored_sample(client, "CT_small.dcm")
    _, _, _, study, _, series, _, uid = path.split("/")

    picture = DICOMwebClient(server.dicomweb).retrieve_instance_rendered(study, series, uid, media_types=("image/png",))

    assert picture.startswith(b"\x89PNG")
