"""Documents and videos, which are shown as they are stored: PS3.18 section 8.7.4."""

from __future__ import annotations

import io
from typing import Any

import httpx
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from tests.dicomweb.pixels import opened
from tests.dicomweb.wire import parts, patched, stored
from tests.samples import instance

PATH = "/dicomweb/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1"
WADO = "/wado?requestType=WADO&studyUID=1.2.3&seriesUID=1.2.3.1&objectUID=1.2.3.1.1"
# Of an odd length, so that its element is padded, and above the setting inline_binary_limit.
LARGE_PDF = b"%PDF-1.7\n" + b"x" * 10_000
SMALL_PDF = b"%PDF-1.7\n"
MOVIE = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(range(256)) * 40
MPEG_2, H264 = "1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.102"


async def stored_pdf(client: httpx.AsyncClient, pdf: bytes, media_type: str = "application/pdf") -> None:
    """Store an instance that encapsulates a document."""
    changes: dict[str, Any] = {
        **dict.fromkeys(("PixelData", "Rows", "Columns", "BitsAllocated")),
        "EncapsulatedDocument": pdf + bytes(len(pdf) % 2),
        "MIMETypeOfEncapsulatedDocument": media_type,
        "EncapsulatedDocumentLength": len(pdf),
    }
    await stored(client, instance(study="1.2.3", **changes))


async def stored_video(client: httpx.AsyncClient, transfer_syntax: str) -> None:
    """Store a video in two fragments."""
    file = pydicom.dcmread(io.BytesIO(instance(study="1.2.3")))
    file.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    file.NumberOfFrames, file.SamplesPerPixel, file.PhotometricInterpretation = 30, 3, "YBR_PARTIAL_420"
    file.BitsAllocated = file.BitsStored = 8
    file.HighBit, file.PlanarConfiguration = 7, 0
    file.PixelData = encapsulate([MOVIE[:1000], MOVIE[1000:]], has_bot=False)
    written = io.BytesIO()
    file.save_as(written)
    await stored(client, written.getvalue())


@pytest.mark.parametrize("pdf", [SMALL_PDF, LARGE_PDF], ids=["inline", "bulk data"])
@pytest.mark.parametrize("accept", ["*/*", "application/pdf"])
async def test_a_pdf_is_rendered_as_itself(client: httpx.AsyncClient, pdf: bytes, accept: str) -> None:
    """W7: what a browser can show needs no picture; without the padding of its element."""
    await stored_pdf(client, pdf)

    response = await client.get(f"{PATH}/rendered", headers={"Accept": accept})

    assert (response.status_code, response.headers["content-type"]) == (200, "application/pdf")
    assert response.content == pdf


async def test_a_pdf_is_no_picture(client: httpx.AsyncClient) -> None:
    """W7: 406 for JPEG; and for its frames, of which there are none."""
    await stored_pdf(client, SMALL_PDF)

    as_jpeg = await client.get(f"{PATH}/rendered", headers={"Accept": "image/jpeg"})
    frame = await client.get(f"{PATH}/frames/1/rendered")

    assert (as_jpeg.status_code, frame.status_code) == (406, 406)


async def test_a_document_that_could_be_a_program_is_only_bytes(client: httpx.AsyncClient) -> None:
    """A page that a browser opens from here would read the records: HTML is not served as HTML."""
    await stored_pdf(client, LARGE_PDF, "text/html")
    uri = (await client.get(f"{PATH}/metadata")).json()[0]["00420011"]["BulkDataURI"]

    rendered = await client.get(f"{PATH}/rendered", headers={"Accept": "text/html"})
    bulk_data = await client.get(uri, headers={"Accept": "text/html, */*;q=0.1"})

    assert rendered.status_code == 406
    assert bulk_data.headers["content-type"] == "application/octet-stream"


async def test_a_pdf_is_bulk_data_in_its_media_type(client: httpx.AsyncClient) -> None:
    """W3: OHIF adds accept=application/pdf to the BulkDataURI; bytes are what others get."""
    await stored_pdf(client, LARGE_PDF)
    uri = (await client.get(f"{PATH}/metadata")).json()[0]["00420011"]["BulkDataURI"]

    as_pdf, as_bytes = await client.get(f"{uri}?accept=application/pdf"), await client.get(uri)
    as_part = await client.get(uri, headers={"Accept": 'multipart/related; type="application/pdf"'})

    assert as_pdf.headers["content-type"] == "application/pdf"
    assert as_bytes.headers["content-type"] == "application/octet-stream"
    assert as_pdf.content == as_bytes.content == LARGE_PDF + b"\0"
    assert parts(as_part) == [("application/pdf", LARGE_PDF + b"\0")]


@pytest.mark.parametrize(("transfer_syntax", "media_type"), [(H264, "video/mp4"), (MPEG_2, "video/mpeg")])
async def test_a_video_is_rendered_as_itself(client: httpx.AsyncClient, transfer_syntax: str, media_type: str) -> None:
    """W7: also when its frames were asked for before, and in ranges, which browsers need to go forward and back."""
    await stored_video(client, transfer_syntax)
    assert (await client.get(f"{PATH}/thumbnail")).status_code == 406

    whole = await client.get(f"{PATH}/rendered")
    again = await client.get(f"{PATH}/rendered", headers={"If-None-Match": whole.headers["etag"]})
    part = await client.get(f"{PATH}/rendered", headers={"Accept": "video/*", "Range": "bytes=4-11"})

    assert (whole.status_code, whole.headers["content-type"], whole.content) == (200, media_type, MOVIE)
    assert again.status_code == 304
    assert (part.status_code, part.content) == (206, b"ftypmp42")


@pytest.mark.parametrize("path", ["pixeldata", "frames/1"])
async def test_a_video_comes_without_a_multipart_around_it(client: httpx.AsyncClient, path: str) -> None:
    """W6: OHIF's player asks for /pixeldata?accept=video/mp4, and browsers for ranges of it."""
    await stored_video(client, H264)

    whole = await client.get(f"{PATH}/{path}?accept=video/mp4")
    part = await client.get(f"{PATH}/{path}?accept=video/mp4", headers={"Range": "bytes=-2"})
    as_part = await client.get(f"{PATH}/{path}")

    assert whole.headers["content-type"] == f"video/mp4; transfer-syntax={H264}"
    assert whole.content == MOVIE
    assert (part.status_code, part.content) == (206, b"\xfe\xff")
    assert parts(as_part) == [(f"video/mp4; transfer-syntax={H264}", MOVIE)]


async def test_wado_uri_has_both(client: httpx.AsyncClient) -> None:
    """W12: by contentType."""
    await stored_pdf(client, SMALL_PDF)

    assert (await client.get(f"{WADO}&contentType=application/pdf")).content == SMALL_PDF


async def test_an_edit_changes_the_etag_of_a_document(client: httpx.AsyncClient) -> None:
    """W10: the document may be what was edited."""
    await stored_pdf(client, SMALL_PDF)
    before = await client.get(f"{PATH}/rendered")

    await patched(client, PATH, {"00420010": {"vr": "ST", "Value": ["Report"]}})

    after = await client.get(f"{PATH}/rendered", headers={"If-None-Match": before.headers["etag"]})
    assert (after.status_code, after.content) == (200, SMALL_PDF)


async def test_a_study_is_shown_by_what_there_is_a_picture_of(client: httpx.AsyncClient) -> None:
    """W8, W7: a video comes first and has none; the CT image beside it stands for the study."""
    await stored_video(client, H264)
    await stored(client, instance(study="1.2.3", series="1.2.3.9"))

    thumbnail = await client.get("/dicomweb/studies/1.2.3/thumbnail")
    rendered = await client.get("/dicomweb/studies/1.2.3/rendered", headers={"Accept": "image/png"})
    of_the_video = await client.get("/dicomweb/studies/1.2.3/series/1.2.3.1/thumbnail")

    assert opened(thumbnail).format == "JPEG"
    assert opened(rendered).format == "PNG"
    assert of_the_video.status_code == 404
