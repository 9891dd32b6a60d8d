"""Rendered images and thumbnails: PS3.18 sections 8.3.5 and 10.4.1.1.3."""

from __future__ import annotations

import io
import re

import httpx
import numpy as np
import pydicom
import pytest
from dicomweb_client import DICOMwebClient
from PIL import Image

from tests.conftest import Server
from tests.dicomweb.edits import edit
from tests.dicomweb.pixels import opened, stored_sample
from tests.dicomweb.test_patients import finished
from tests.dicomweb.wire import parts, patched, stow
from tests.samples import sample


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
    """W7: the default, in grey or in colour."""
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
    """W8: no larger than 128 x 128."""
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


SEVERAL = ("CT_small.dcm", "MR_small.dcm", "test-SR.dcm")


async def one_series(client: httpx.AsyncClient) -> str:
    """Store two images and a report as instances of one series, and return its path."""
    files = []
    for number, name in enumerate(SEVERAL, 1):
        dataset = pydicom.dcmread(sample(name))
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = "1.2", "1.2.3", f"1.2.3.{number}"
        dataset.PatientID, dataset.StudyID, dataset.StudyDate, dataset.AccessionNumber = "P", "S", "20200101", "A"
        dataset.SeriesNumber, dataset.file_meta.MediaStorageSOPInstanceUID = 1, dataset.SOPInstanceUID
        file = io.BytesIO()
        dataset.save_as(file)
        files.append(file.getvalue())
    assert (await stow(client, *files)).status_code == 202  # coerced into one series
    return "/dicomweb/studies/1.2/series/1.2.3"


@pytest.mark.parametrize("level", ["/dicomweb/studies/1.2", "/dicomweb/studies/1.2/series/1.2.3"])
async def test_a_study_or_series_is_a_picture_of_each_image(client: httpx.AsyncClient, level: str) -> None:
    """W7, N12: one part each, which says of which instance it is; what has no pixels has none."""
    await one_series(client)

    response = await client.get(f"{level}/rendered", headers={"Accept": 'multipart/related; type="image/png"'})

    assert response.headers["content-type"].startswith('multipart/related; type="image/png"; boundary=')
    pictures = parts(response)
    assert [Image.open(io.BytesIO(body)).size for _, body in pictures] == [(128, 128), (64, 64)]
    locations = [line.decode().strip() for line in re.findall(rb"(?i)content-location: (.*)", response.content)]
    for location, number, (kind, body) in zip(locations, (1, 2), pictures, strict=True):
        assert location == f"http://gateway.test/dicomweb/studies/1.2/series/1.2.3/instances/1.2.3.{number}/rendered"
        assert (kind, (await client.get(location, headers={"Accept": "image/png"})).content) == ("image/png", body)


async def test_several_images_are_no_single_picture(client: httpx.AsyncClient) -> None:
    """N12: 406 for a single part, a multipart for a client that takes anything; of one image either can be had."""
    series = await one_series(client)
    one = f"{series}/instances/1.2.3.1"

    assert (await client.get(f"{series}/rendered", headers={"Accept": "image/jpeg"})).status_code == 406
    anything = await client.get(f"{series}/rendered", headers={"Accept": "*/*"})
    assert anything.headers["content-type"].startswith('multipart/related; type="image/jpeg"')
    assert opened(await client.get(f"{one}/rendered", headers={"Accept": "*/*"})).format == "JPEG"
    multipart = await client.get(f"{one}/rendered", headers={"Accept": "multipart/related; type=image/jpeg"})
    assert len(parts(multipart)) == 1


async def test_several_frames_are_a_picture_each(client: httpx.AsyncClient) -> None:
    """W7, N12: in the order of the path, in a multipart; one picture of them is 406, a frame too many 404."""
    path = await stored_sample(client, "SC_rgb_rle_2frame.dcm")
    accept = {"Accept": "multipart/related; type=image/png"}
    single = [(await client.get(f"{path}/frames/{n}/rendered?accept=image/png")).content for n in (2, 1)]

    response = await client.get(f"{path}/frames/2,1/rendered", headers=accept)

    assert [body for _, body in parts(response)] == single
    assert (await client.get(f"{path}/frames/2,1/rendered", headers={"Accept": "image/png"})).status_code == 406
    assert (await client.get(f"{path}/frames/1,3/rendered", headers=accept)).status_code == 404
