"""Pixel data in metadata, and what its BulkDataURI answers. Every real file: test_bulk_data_of_samples.py."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pydicom
import pytest
from pydicom.pixels import pixel_array
from pydicom.uid import MPEG4HP41, UID, JPEGBaseline8Bit

from gateway.app import create_app, opened_store
from gateway.dicom.xml_model import parse_xml
from gateway.settings import Settings
from tests.conftest import app_client
from tests.dicomweb.edits import DICOM_JSON, MERGE_PATCH
from tests.dicomweb.pixels import stored_sample
from tests.dicomweb.wire import parts, patched, stored
from tests.samples import instance, sample
from tests.store.older_folders import unpack_older

STUDY = "1.2.3.1"
AT_STUDY, AT_SERIES = f"/dicomweb/studies/{STUDY}", f"/dicomweb/studies/{STUDY}/series/{STUDY}.1"
AT_INSTANCE = f"{AT_SERIES}/instances/{STUDY}.1.1"
AT_PIXELS = f"http://gateway.test{AT_INSTANCE}/bulkdata/7FE00010"

MULTIPART = 'multipart/related; type="application/octet-stream"'


def written(dataset: pydicom.Dataset) -> bytes:
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def changed(**changes: Any) -> pydicom.Dataset:
    """Return CT_small under other UIDs, changed, as pydicom has it."""
    return pydicom.dcmread(io.BytesIO(instance(study=STUDY, **changes)))


async def metadata_of(client: httpx.AsyncClient, path: str = AT_INSTANCE) -> dict[str, Any]:
    [document] = (await client.get(f"{path}/metadata")).json()
    return dict(document)


# -- which instances have it, and how it is written


@pytest.mark.parametrize(
    ("name", "element"),
    [
        ("CT_small.dcm", ("7FE00010", "OW")),
        ("MR_small_implicit.dcm", ("7FE00010", "OW")),
        ("MR_small_bigendian.dcm", ("7FE00010", "OW")),
        ("image_dfl.dcm", ("7FE00010", "OB")),
        ("chrArab.dcm", ("7FE00010", "OB")),
        ("liver.dcm", ("7FE00010", "OB")),
        ("SC_rgb_16bit_2frame.dcm", ("7FE00010", "OB")),
        ("MR_small_RLE.dcm", ("7FE00010", "OB")),
        ("MR_small_jp2klossless.dcm", ("7FE00010", "OB")),
        ("chrJapMulti.dcm", None),
        ("test-SR.dcm", None),
        ("rtplan.dcm", None),
        ("waveform_ecg.dcm", None),
    ],
)
async def test_metadata_have_pixel_data_where_the_file_has(
    client: httpx.AsyncClient, name: str, element: tuple[str, str] | None
) -> None:
    """W2: native ones with the VR of the file, encapsulated ones OB; chrJapMulti has Rows and Columns and no pixels."""
    path = await stored_sample(client, name)

    of_levels = [await metadata_of(client, path.partition(end)[0]) for end in ("/series", "/instances", "/metadata")]

    for document in of_levels:
        found = {tag: one for tag, one in document.items() if tag.startswith("7FE000")}
        uri = f"http://gateway.test{path}/bulkdata/"
        assert found == ({element[0]: {"vr": element[1], "BulkDataURI": uri + element[0]}} if element else {})


@pytest.mark.parametrize(
    ("name", "syntax"),
    [
        ("CT_small.dcm", "1.2.840.10008.1.2.1"),
        ("MR_small_implicit.dcm", "1.2.840.10008.1.2"),
        ("MR_small_RLE.dcm", "1.2.840.10008.1.2.5"),
        ("MR_small_jp2klossless.dcm", "1.2.840.10008.1.2.4.90"),
        ("test-SR.dcm", None),
    ],
)
async def test_metadata_say_the_transfer_syntax_of_pixels(
    client: httpx.AsyncClient, name: str, syntax: str | None
) -> None:
    """PS3.4 C.6.1.1.5.2, of what has some: group 0002 does not come along, and a viewer knows by it what is a video."""
    path = await stored_sample(client, name)

    documents = [await metadata_of(client, path.partition(end)[0]) for end in ("/series", "/instances", "/metadata")]
    xml = (await client.get(f"{path}/metadata", headers={"Accept": "application/dicom+xml"})).content

    element = {"vr": "UI", "Value": [syntax]} if syntax else None
    assert [document.get("00083002") for document in documents] == [element] * 3
    assert [list(document) == sorted(document) for document in documents] == [True] * 3
    [dataset] = [parse_xml(xml)]
    assert [one.values for tag, one in dataset.items() if tag == "00083002"] == ([(syntax,)] if syntax else [])
    assert "00083002" not in (await client.get(f"{path}/normalizedmetadata")).json()[0]


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_the_transfer_syntax_that_metadata_say_is_no_edit(client: httpx.AsyncClient, method: str) -> None:
    """Sent back as it was retrieved, or changed."""
    await stored(client, instance(study=STUDY))
    [level] = (await client.get(f"{AT_INSTANCE}/normalizedmetadata")).json()
    said = {"00083002": {"vr": "UI", "Value": ["1.2.840.10008.1.2.4.50"]}}

    response = await client.request(method, f"{AT_INSTANCE}/normalizedmetadata", json=level | said, headers=DICOM_JSON)

    assert (response.status_code, response.json()["changed"]) == (200, False), response.text


async def test_a_transfer_syntax_that_an_instance_says_itself_can_be_removed(client: httpx.AsyncClient) -> None:
    """No instance should: what metadata say is then its own, once."""
    await stored(client, instance(study=STUDY, AvailableTransferSyntaxUID="1.2.3"))
    before = await metadata_of(client)

    removal = {"00083002": None}
    url = f"{AT_INSTANCE}/normalizedmetadata?force=true"
    response = await client.patch(url, json=removal, headers=MERGE_PATCH)

    assert before["00083002"]["Value"] == ["1.2.3"]
    assert (response.status_code, response.json()["changed"]) == (200, True), response.text
    assert (await metadata_of(client))["00083002"]["Value"] == ["1.2.840.10008.1.2.1"]


FLOATS = [("FloatPixelData", "7FE00008", "OF", "<f4"), ("DoubleFloatPixelData", "7FE00009", "OD", "<f8")]


@pytest.mark.parametrize(("keyword", "tag", "vr", "dtype"), FLOATS, ids=[one[0] for one in FLOATS])
async def test_pixels_of_floating_point_have_an_address(
    client: httpx.AsyncClient, keyword: str, tag: str, vr: str, dtype: str
) -> None:
    """PS3.3 C.7.6.24, C.7.6.25: of their own tag; there is nothing at the other two."""
    values = np.linspace(-1, 1, 128 * 128).astype(dtype).tobytes()
    dataset = changed(PixelData=None, BitsStored=None, HighBit=None, PixelRepresentation=None)
    dataset.BitsAllocated = np.dtype(dtype).itemsize * 8
    setattr(dataset, keyword, values)
    await stored(client, written(dataset))

    document = await metadata_of(client)
    others = [await client.get(f"{AT_INSTANCE}/bulkdata/{one}") for one in ("7FE00008", "7FE00009", "7FE00010")]

    assert document[tag] == {"vr": vr, "BulkDataURI": f"http://gateway.test{AT_INSTANCE}/bulkdata/{tag}"}
    assert "7FE00010" not in document
    assert [one.content for one in others if one.status_code == 200] == [values]
    assert sorted(one.status_code for one in others) == [200, 404, 404]


async def test_what_follows_the_pixels_follows_them_in_metadata(client: httpx.AsyncClient) -> None:
    """PS3.18 F.2.2: tags ascend, a private group above 7FE0 and Data Set Trailing Padding come after it."""
    dataset = changed()
    dataset.private_block(0x7FE1, "ACME", create=True).add_new(1, "LO", "behind")
    dataset.DataSetTrailingPadding = bytes(8)
    await stored(client, written(dataset))

    documents = [await metadata_of(client, path) for path in (AT_STUDY, AT_INSTANCE)]

    for document in documents:
        assert list(document) == sorted(document)
        assert [tag for tag in document if tag > "7FE"] == ["7FE00010", "7FE10010", "7FE11001", "FFFCFFFC"]


async def test_only_metadata_name_it(client: httpx.AsyncClient) -> None:
    """Searches do not, whatever they include, nor the dataset of a level, which an edit puts back."""
    await stored(client, instance(study=STUDY))

    [found] = (await client.get("/dicomweb/instances?includefield=all&includefield=7FE00010")).json()
    [level] = (await client.get(f"{AT_INSTANCE}/normalizedmetadata")).json()

    assert "00091001" in found and "00091001" in level
    assert not {tag for tag in [*found, *level] if tag.startswith("7FE0")}


@pytest.mark.parametrize("schema", [3, 6, 7])
async def test_what_was_stored_before_has_it_too(tmp_path: Path, schema: int) -> None:
    """In a data folder of an older gateway nothing says which files have pixels: they are looked at."""
    settings = Settings(data=unpack_older(schema, tmp_path / "older"))

    async with opened_store(settings) as store, app_client(create_app(settings, store)) as client:
        series = [value["00081190"]["Value"][0] for value in (await client.get("/dicomweb/series")).json()]
        documents = [one for at in series for one in (await client.get(f"{at}/metadata")).json()]
        answers = [await client.get(one["7FE00010"]["BulkDataURI"]) for one in documents]

    assert answers and {one.status_code for one in answers} == {200}


# -- native


@pytest.fixture
async def filled(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client of a gateway with one CT instance."""
    await stored(client, instance(study=STUDY))
    return client


PIXELS = pydicom.dcmread(sample("CT_small.dcm")).PixelData

RANGES = [
    ("bytes=0-99", 206, PIXELS[:100], "bytes 0-99/32768"),
    ("bytes=-40", 206, PIXELS[-40:], "bytes 32728-32767/32768"),
    ("bytes=32768-", 416, b"", "bytes */32768"),
    ("bytes=0-0,2-2", 200, PIXELS, None),
]


@pytest.mark.parametrize(("asked", "status", "content", "content_range"), RANGES, ids=[one[0] for one in RANGES])
async def test_native_pixels_come_in_ranges(
    filled: httpx.AsyncClient, asked: str, status: int, content: bytes, content_range: str | None
) -> None:
    """W4: like any other bulk value."""
    response = await filled.get(AT_PIXELS, headers={"Range": asked})

    assert (response.status_code, response.content) == (status, content)
    assert response.headers.get("content-range") == content_range


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "application/octet-stream"),
        ("application/octet-stream", "application/octet-stream"),
        ("application/octet-stream; transfer-syntax=*", "application/octet-stream"),
        (MULTIPART, "multipart/related"),
        (f"{MULTIPART}; transfer-syntax=1.2.840.10008.1.2.1", "multipart/related"),
    ],
)
async def test_native_pixels_are_one_value(filled: httpx.AsyncClient, accept: str, content_type: str) -> None:
    """W3: single or as the one part of a multipart, all frames together, with an ETag that an edit leaves."""
    two = changed(instance_number=2, NumberOfFrames=2, PixelData=PIXELS * 2)
    await stored(filled, written(two))
    at = AT_PIXELS.replace(f"{STUDY}.1.1/", f"{STUDY}.1.2/")

    response = await filled.get(at, headers={"Accept": accept})
    await patched(filled, AT_STUDY, {"00081030": {"vr": "LO", "Value": ["edited"]}})
    again = await filled.get(at, headers={"Accept": accept, "If-None-Match": response.headers["etag"]})

    assert response.headers["content-type"].partition(";")[0] == content_type
    single = content_type == "application/octet-stream"
    assert (response.content if single else parts(response)[0][1]) == PIXELS * 2
    assert single or len(parts(response)) == 1
    assert again.status_code == 304


async def test_a_compressed_transfer_syntax_may_be_asked_for(filled: httpx.AsyncClient) -> None:
    """N8: then there are frames, as /pixeldata has them."""
    accept = {"Accept": 'multipart/related; type="image/jls"'}

    found = await filled.get(AT_PIXELS, headers=accept)

    assert parts(found) == parts(await filled.get(f"{AT_INSTANCE}/pixeldata", headers=accept))
    assert parts(found)[0][0] == "image/jls; transfer-syntax=1.2.840.10008.1.2.4.80"


async def test_pixels_that_nothing_describes_are_bytes_all_the_same(client: httpx.AsyncClient) -> None:
    """Without Rows there are no frames, but the value is there; in ranges as well."""
    await stored(client, instance(study=STUDY, Rows=None, Columns=None))

    found = [await client.get(AT_PIXELS, headers={"Range": asked}) for asked in ("", "bytes=0-9")]

    assert [(one.status_code, one.content) for one in found] == [(200, PIXELS), (206, PIXELS[:10])]
    assert (await client.get(f"{AT_INSTANCE}/pixeldata")).status_code == 406


async def test_without_pixels_there_is_nothing_at_the_address(client: httpx.AsyncClient) -> None:
    """404, and not the 406 of /pixeldata: metadata do not name it."""
    await stored(client, instance(study=STUDY, PixelData=None))

    assert "7FE00010" not in await metadata_of(client)
    assert (await client.get(AT_PIXELS)).status_code == 404


# -- encapsulated


async def test_encapsulated_pixels_are_frames(client: httpx.AsyncClient) -> None:
    """PS3.18 Table 8.7.3-5: one part each, in the media type of their transfer syntax; what /pixeldata sends."""
    path = await stored_sample(client, "SC_rgb_rle_2frame.dcm")

    found = await client.get(f"{path}/bulkdata/7FE00010")

    assert [kind for kind, _ in parts(found)] == ["image/dicom-rle; transfer-syntax=1.2.840.10008.1.2.5"] * 2
    assert parts(found) == parts(await client.get(f"{path}/pixeldata"))


@pytest.mark.parametrize("name", ["SC_rgb_rle_2frame.dcm", "emri_small_jpeg_ls_lossless.dcm", "MR_small_RLE.dcm"])
async def test_encapsulated_pixels_are_decoded_for_who_takes_octets(client: httpx.AsyncClient, name: str) -> None:
    """PS3.18 8.7.3.3: application/octet-stream is uncompressed; single, it is all frames one after the other."""
    path = await stored_sample(client, name)

    single = await client.get(f"{path}/bulkdata/7FE00010", headers={"Accept": "application/octet-stream"})
    multipart = await client.get(f"{path}/bulkdata/7FE00010", headers={"Accept": MULTIPART})

    assert single.headers["content-type"].startswith("application/octet-stream")
    assert single.content == pixel_array(sample(name)).tobytes() == b"".join(data for _, data in parts(multipart))
    unchanged = {"Accept": "application/octet-stream", "If-None-Match": single.headers["etag"]}
    assert (await client.get(f"{path}/bulkdata/7FE00010", headers=unchanged)).status_code == 304


def encapsulated(syntax: str, *frames: bytes) -> bytes:
    dataset = changed()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.NumberOfFrames = len(frames)
    dataset.PixelData = pydicom.encaps.encapsulate(list(frames))
    dataset["PixelData"].VR = "OB"
    return written(dataset)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("video/mp4", "video/mp4; transfer-syntax=1.2.840.10008.1.2.4.102"),
        ("application/octet-stream", "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.4.102"),
        (f'multipart/related; type="video/mp4", {MULTIPART}', "multipart/related"),
    ],
)
async def test_a_video_is_one_stream(client: httpx.AsyncClient, accept: str, content_type: str) -> None:
    """As OHIF asks for it, by the BulkDataURI of Pixel Data; single for who takes no multipart."""
    await stored(client, encapsulated(MPEG4HP41, bytes(range(256))))

    response = await client.get(AT_PIXELS, headers={"Accept": accept})

    assert response.headers["content-type"].startswith(content_type)
    found = parts(response)[0][1] if content_type == "multipart/related" else response.content
    assert found == bytes(range(256))


async def test_frames_that_cannot_be_decoded_are_not_one_value(client: httpx.AsyncClient) -> None:
    """406 for who takes no multipart; as they are stored for all others."""
    await stored(client, encapsulated("1.2.840.10008.1.2.4.92", b"\xff\x4f\xff\x51ab", b"\xff\x4f\xff\x51cd"))

    single = await client.get(AT_PIXELS, headers={"Accept": "application/octet-stream"})

    assert (single.status_code, len(parts(await client.get(AT_PIXELS)))) == (406, 2)


async def test_encapsulated_pixels_that_nothing_describes_are_not_acceptable(client: httpx.AsyncClient) -> None:
    """Which fragments are a frame is not to be told."""
    dataset = pydicom.dcmread(io.BytesIO(encapsulated(JPEGBaseline8Bit, b"ab")))
    del dataset.Rows
    await stored(client, written(dataset))

    response = await client.get(AT_PIXELS)

    assert (response.status_code, "Rows" in response.text) == (406, True)


# -- versions


async def test_the_address_leads_to_the_pixels_of_its_version(filled: httpx.AsyncClient) -> None:
    """An old version's names it; the same SOP instance was stored once more with other pixels since."""
    other = bytes(len(PIXELS))
    await stored(filled, instance(study=STUDY, PixelData=other))

    documents: list[Mapping[str, Any]] = [
        (await filled.get(f"{path}/metadata{query}")).json()[0]
        for path in (AT_STUDY, AT_SERIES, AT_INSTANCE)
        for query in ("", "?version=1", "?version=2")
    ]
    uris = [document["7FE00010"]["BulkDataURI"] for document in documents]
    found = [await filled.get(uri) for uri in uris]

    assert uris == [AT_PIXELS, f"{AT_PIXELS}?version=1", f"{AT_PIXELS}?version=2"] * 3
    assert [one.content for one in found] == [other, PIXELS, other] * 3
    assert [one.headers["cache-control"] for one in found[:2]] == [
        "private, max-age=300, immutable",
        "private, max-age=31536000, immutable",
    ]


async def test_the_pixels_of_what_was_deleted_are_in_its_old_versions(filled: httpx.AsyncClient) -> None:
    """410 now, and 200 at the address that the old version has; also when the series got another UID before."""
    await patched(filled, AT_SERIES, {"0020000E": {"vr": "UI", "Value": ["1.2.3.99"]}})
    assert (await filled.delete(f"{AT_STUDY}/series/1.2.3.99")).status_code == 200

    [document] = (await filled.get(f"{AT_STUDY}/metadata?version=1")).json()

    assert (await filled.get(document["7FE00010"]["BulkDataURI"])).content == PIXELS
    assert (await filled.get(AT_PIXELS.replace(f"{STUDY}.1/", "1.2.3.99/"))).status_code == 410


async def test_a_part_that_was_kept_has_the_addresses_of_who_asks(filled: httpx.AsyncClient) -> None:
    """After an edit of what instances share, of another host, and of instances with and without pixels side by side."""
    await stored(filled, instance(study=STUDY, instance_number=2, PixelData=None))
    first = (await filled.get(f"{AT_SERIES}/metadata")).json()
    await patched(filled, AT_STUDY, {"00081030": {"vr": "LO", "Value": ["edited"]}})

    again = (await filled.get(f"{AT_SERIES}/metadata")).json()
    elsewhere = (await filled.get(f"{AT_SERIES}/metadata", headers={"Host": "pacs.example"})).json()

    assert [one.get("7FE00010") for one in again] == [one.get("7FE00010") for one in first]
    assert again[0]["00081030"]["Value"] == ["edited"] and "7FE00010" not in again[1]
    uri = elsewhere[0]["7FE00010"]["BulkDataURI"]
    assert uri == AT_PIXELS.replace("gateway.test", "pacs.example")


async def test_it_is_below_the_root_that_was_asked(filled: httpx.AsyncClient) -> None:
    """AWS's paths have it too, and name the image set if they were asked for one."""
    [datastore] = (await filled.get("/datastore")).json()["datastoreSummaries"]
    root = f"/datastore/{datastore['datastoreId']}"
    [version] = (await filled.get(f"{AT_SERIES}/versions")).json()
    named = f"imageSetId={version['imageSetId']}"

    documents = [
        await metadata_of_query(filled, root + AT_INSTANCE.removeprefix("/dicomweb"), query) for query in ("", named)
    ]

    uris = [document["7FE00010"]["BulkDataURI"] for document in documents]
    assert uris == [AT_PIXELS.replace("/dicomweb", root), f"{AT_PIXELS.replace('/dicomweb', root)}?{named}"]
    assert [(await filled.get(uri)).content for uri in uris] == [PIXELS, PIXELS]


async def metadata_of_query(client: httpx.AsyncClient, path: str, query: str) -> dict[str, Any]:
    [document] = (await client.get(f"{path}/metadata?{query}")).json()
    return dict(document)
