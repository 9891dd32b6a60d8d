"""Retrieve: PS3.18 section 10.4. W1 to W12 are lines of a checklist."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import httpx
import pydicom
import pytest
from dicomweb_client import DICOMwebClient

from gateway.app import create_app
from gateway.dicom.json_model import encode_json, to_json
from gateway.dicom.xml_model import parse_xml
from gateway.dicomweb.wado import metadata as wado_metadata
from gateway.settings import Settings
from gateway.store.protocol import Store
from tests.conftest import Server, app_client
from tests.dicomweb.wire import datasets, parts, patched, stored, value
from tests.samples import ODD, ct_series, instance

STUDY = "1.2.3.1"
SERIES = f"{STUDY}.1"
INSTANCE = f"{SERIES}.1"
AT_STUDY = f"/dicomweb/studies/{STUDY}"
AT_SERIES = f"{AT_STUDY}/series/{SERIES}"
AT_INSTANCE = f"{AT_SERIES}/instances/{INSTANCE}"
LEVELS = [AT_STUDY, AT_SERIES, AT_INSTANCE]
COUNTS = [(AT_STUDY, 3), (AT_SERIES, 2), (AT_INSTANCE, 1)]
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
UTF_8: dict[str, Any] = {"00081030": {"vr": "LO", "Value": ["Schädel 頭部"]}}
NAMES = {"00081030": {"vr": "LO", "Value": ["CT Kopf"]}}


@pytest.fixture
async def filled(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client of a gateway that has one study: a series of two instances, and one of one instance."""
    await stored(
        client,
        instance(study=STUDY),
        instance(study=STUDY, instance_number=2),
        instance(study=STUDY, series=f"{STUDY}.2"),
    )
    return client


# -- instances


@pytest.mark.parametrize(("path", "count"), COUNTS)
async def test_instances_come_as_multipart_related(filled: httpx.AsyncClient, path: str, count: int) -> None:
    """W1, N13: one part each, with its transfer syntax; the response names the type of the parts."""
    response = await filled.get(path, headers={"Accept": 'multipart/related; type="application/dicom"'})

    assert response.headers["content-type"].startswith('multipart/related; type="application/dicom"; boundary=')
    assert [kind for kind, _ in parts(response)] == [f"application/dicom; transfer-syntax={EXPLICIT}"] * count
    assert len({dataset.SOPInstanceUID for dataset in datasets(response)}) == count


async def test_an_instance_without_edits_comes_as_it_was_stored(filled: httpx.AsyncClient) -> None:
    """Every byte, but for the preamble: PS3.10 section 7.1 gives it no meaning."""
    [(_, data)] = parts(await filled.get(AT_INSTANCE))

    assert data == bytes(128) + instance(study=STUDY)[128:]


async def test_an_instance_comes_with_the_edits_in_it(filled: httpx.AsyncClient) -> None:
    """W11: every attribute as it is now, the pixels bit for bit, and so for the whole study."""
    await patched(filled, AT_STUDY, NAMES)
    await patched(filled, AT_INSTANCE, {"00204000": {"vr": "LT", "Value": ["one"]}, "00200013": None})

    edited = datasets(await filled.get(AT_STUDY))

    original = pydicom.dcmread(io.BytesIO(instance(study=STUDY)))
    assert [dataset.StudyDescription for dataset in edited] == ["CT Kopf"] * 3
    assert edited[0].ImageComments == "one" and "InstanceNumber" not in edited[0]
    assert all(dataset.PixelData == original.PixelData for dataset in edited)


async def test_an_edit_that_needs_utf8_is_written_in_utf8(filled: httpx.AsyncClient) -> None:
    """A text that the stored character set cannot have comes out whole."""
    await patched(filled, AT_STUDY, UTF_8)

    [dataset] = datasets(await filled.get(AT_INSTANCE))

    assert dataset.StudyDescription == "Schädel 頭部" and dataset.SpecificCharacterSet == "ISO_IR 192"


@pytest.mark.parametrize("name", ["big endian", "deflated", "implicit", "JPEG 2000", "RLE, two frames", "SR"])
async def test_an_instance_of_any_transfer_syntax_keeps_it_through_an_edit(
    client: httpx.AsyncClient, name: str
) -> None:
    """N8: as stored, encapsulated or not, in either byte order."""
    original = pydicom.dcmread(ODD[name])
    await stored(client, ODD[name].read_bytes())
    path = f"/dicomweb/studies/{original.StudyInstanceUID}"
    await patched(client, path, NAMES)

    [dataset] = datasets(await client.get(path))

    assert dataset.file_meta.TransferSyntaxUID == original.file_meta.TransferSyntaxUID
    assert dataset.StudyDescription == "CT Kopf"
    assert dataset.get("PixelData") == original.get("PixelData")


async def test_one_instance_may_come_as_a_single_part(filled: httpx.AsyncClient) -> None:
    """N10: asked for by name, for an instance only."""
    single = await filled.get(AT_INSTANCE, headers={"Accept": "application/dicom"})
    of_series = await filled.get(AT_SERIES, headers={"Accept": "application/dicom"})

    assert single.headers["content-type"] == f"application/dicom; transfer-syntax={EXPLICIT}"
    assert int(single.headers["content-length"]) == len(single.content)
    assert pydicom.dcmread(io.BytesIO(single.content)).SOPInstanceUID == INSTANCE
    assert of_series.status_code == 406


ACCEPTS = [
    ("", 200),
    ("*/*", 200),
    ("multipart/*", 200),
    ("multipart/related", 200),
    ("multipart/related; type=application/dicom", 200),
    ("multipart/related; type=application/dicom; transfer-syntax=*", 200),
    (f"multipart/related; type=application/dicom; transfer-syntax={EXPLICIT}", 200),
    (f"multipart/related; type=application/dicom; transfer-syntax={IMPLICIT}; transfer-syntax={EXPLICIT}", 200),
    (f"multipart/related; type=application/dicom; transfer-syntax={IMPLICIT}, */*;q=0.1", 200),
    (f"multipart/related; type=application/dicom; transfer-syntax={IMPLICIT}", 406),
    ('multipart/related; type="application/octet-stream"', 406),
    ("application/dicom+json", 406),
    ("image/jpeg", 406),
]


@pytest.mark.parametrize(("accept", "status"), ACCEPTS)
async def test_instances_come_in_the_transfer_syntax_they_have(
    filled: httpx.AsyncClient, accept: str, status: int
) -> None:
    """N3 to N8: no syntax named, * or the stored one; another one is not acceptable, and the next range is tried."""
    response = await filled.get(AT_STUDY, headers={"Accept": accept} if accept else {})

    assert response.status_code == status


# -- metadata


@pytest.mark.parametrize(("path", "count"), COUNTS)
async def test_metadata_is_one_array_of_whole_datasets(filled: httpx.AsyncClient, path: str, count: int) -> None:
    """W2, N11: one object for each instance, without group 0002, its pixels by their address."""
    response = await filled.get(f"{path}/metadata")

    assert response.headers["content-type"] == "application/dicom+json" and len(response.json()) == count
    for dataset in response.json():
        assert list(dataset) == sorted(dataset) and {"00100010", "00081030", "00280010", "00091001"} <= dataset.keys()
        assert not {tag for tag in dataset if tag.startswith("0002")}
        at = "/".join(value(dataset, tag) for tag in ("0020000D", "0020000E", "00080018"))
        uri = "http://gateway.test/dicomweb/studies/{}/series/{}/instances/{}/bulkdata/7FE00010".format(*at.split("/"))
        assert dataset["7FE00010"] == {"vr": "OW", "BulkDataURI": uri}
        assert value(dataset, "00080005") == "ISO_IR 192"


async def test_metadata_is_what_pydicom_reads(filled: httpx.AsyncClient) -> None:
    """An independent oracle: every attribute of the file, values and VR, and the pixels it fetches."""
    [metadata] = (await filled.get(f"{AT_INSTANCE}/metadata")).json()
    uri = metadata["7FE00010"]["BulkDataURI"]
    pixels = {uri: (await filled.get(uri)).content}

    read = pydicom.Dataset.from_json(metadata, lambda tag, vr, uri: pixels[uri])
    original = pydicom.dcmread(io.BytesIO(instance(study=STUDY)))
    assert read.AvailableTransferSyntaxUID == original.file_meta.TransferSyntaxUID
    del read.SpecificCharacterSet, original.SpecificCharacterSet, read.AvailableTransferSyntaxUID
    assert {element.tag for element in read} == {element.tag for element in original}
    assert all(
        read[tag].value == original[tag].value for tag in {element.tag for element in read} if read[tag].VR != "UN"
    )


async def test_metadata_shows_the_edited_values(filled: httpx.AsyncClient) -> None:
    """W11: at every level."""
    await patched(filled, AT_STUDY, UTF_8)

    found = [(await filled.get(f"{path}/metadata")).json()[0] for path in LEVELS]

    assert [value(dataset, "00081030") for dataset in found] == ["Schädel 頭部"] * 3


async def test_metadata_of_a_large_instance_says_the_same(
    filled: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written on a thread: others need not wait for it."""
    small = await filled.get(f"{AT_INSTANCE}/metadata")
    monkeypatch.setattr(wado_metadata, "WRITTEN_ON_LOOP", 0)

    large = await filled.get(f"{AT_INSTANCE}/metadata")

    assert large.content == small.content
    assert large.headers["content-length"] == small.headers["content-length"] == str(len(small.content))


async def test_metadata_comes_as_application_json_too(filled: httpx.AsyncClient) -> None:
    """N1: by header or by query parameter."""
    by_header = await filled.get(f"{AT_STUDY}/metadata", headers={"Accept": "application/json"})
    by_parameter = await filled.get(f"{AT_STUDY}/metadata?accept=application/json")

    assert {one.headers["content-type"] for one in (by_header, by_parameter)} == {"application/json"}


XML = 'multipart/related; type="application/dicom+xml"'


@pytest.mark.parametrize(("path", "count"), COUNTS)
async def test_metadata_comes_in_xml(filled: httpx.AsyncClient, path: str, count: int) -> None:
    """W2, N11: one part for each instance, in which every attribute is what it is in JSON."""
    response = await filled.get(f"{path}/metadata", headers={"Accept": XML})
    as_json = (await filled.get(f"{path}/metadata")).json()

    assert response.headers["content-type"].startswith('multipart/related; type="application/dicom+xml"; boundary=')
    assert [kind for kind, _ in parts(response)] == ["application/dicom+xml"] * count
    documents = [encode_json(to_json(parse_xml(data, any_bulk=True))) for _, data in parts(response)]
    assert [json.loads(document) for document in documents] == as_json


async def test_metadata_of_one_instance_in_xml_may_be_a_single_part(filled: httpx.AsyncClient) -> None:
    """N11: what is one object needs no multipart around it; a series does."""
    single = await filled.get(f"{AT_INSTANCE}/metadata", headers={"Accept": "application/dicom+xml"})
    of_series = await filled.get(f"{AT_SERIES}/metadata", headers={"Accept": "application/dicom+xml"})

    assert (single.headers["content-type"], of_series.status_code) == ("application/dicom+xml", 406)
    assert parse_xml(single.content)["00080018"].values == (INSTANCE,)


async def test_bulk_data_in_xml_have_the_same_address(bulky: httpx.AsyncClient) -> None:
    """W3: the uri of BulkData."""
    response = await bulky.get(f"{AT_INSTANCE}/metadata", headers={"Accept": "application/dicom+xml"})
    in_json = bulk_uri((await bulky.get(f"{AT_INSTANCE}/metadata")).json()[0])

    assert f'<BulkData uri="{in_json}"/>'.encode() in response.content


# -- bulk data


def bulk_uri(dataset: dict[str, Any]) -> str:
    """Return the one BulkDataURI of a dataset in DICOM JSON beside that of its pixels."""
    [uri] = [one["BulkDataURI"] for tag, one in dataset.items() if "BulkDataURI" in one and tag != "7FE00010"]
    return str(uri)


LUT = bytes(range(256)) * 40


@pytest.fixture
async def bulky(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client of a gateway that has one instance with a private binary value of 10,240 bytes."""
    dataset = pydicom.dcmread(io.BytesIO(instance(study=STUDY)))
    dataset.add_new(0x00091FFF, "OB", LUT)
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    await stored(client, file.getvalue())
    return client


async def test_a_bulk_data_uri_resolves(bulky: httpx.AsyncClient) -> None:
    """W3: absolute, below the instance, to the very bytes; and an edit does not change it."""
    [dataset] = (await bulky.get(f"{AT_INSTANCE}/metadata")).json()
    uri = bulk_uri(dataset)
    await patched(bulky, AT_STUDY, NAMES)

    response = await bulky.get(uri)

    assert uri.startswith(f"http://gateway.test{AT_INSTANCE}/bulkdata/")
    assert response.headers["content-type"] == "application/octet-stream" and response.content == LUT


async def test_bulk_data_comes_as_multipart_if_asked(bulky: httpx.AsyncClient) -> None:
    """W3: as PS3.18 Table 8.7.3-2 has it."""
    uri = bulk_uri((await bulky.get(f"{AT_INSTANCE}/metadata")).json()[0])

    response = await bulky.get(uri, headers={"Accept": 'multipart/related; type="application/octet-stream"'})

    assert parts(response) == [("application/octet-stream", LUT)]


@pytest.mark.parametrize("path", LEVELS)
async def test_all_bulk_data_of_a_resource_come_at_once(bulky: httpx.AsyncClient, path: str) -> None:
    """W1: PS3.18 10.4.1.5: one part for each value, its Content-Location the BulkDataURI of the metadata."""
    uri = bulk_uri((await bulky.get(f"{AT_INSTANCE}/metadata")).json()[0])

    response = await bulky.get(f"{path}/bulkdata")

    assert parts(response) == [("application/octet-stream", LUT)]
    assert f"Content-Location: {uri}\r\n".encode() in response.content


async def test_a_resource_without_bulk_data_has_none_to_give(filled: httpx.AsyncClient) -> None:
    """W9: 404, and no empty body."""
    assert (await filled.get(f"{AT_STUDY}/bulkdata")).status_code == 404


RANGES = [
    ("bytes=0-99", 206, LUT[:100], "bytes 0-99/10240"),
    ("bytes=10000-", 206, LUT[10000:], "bytes 10000-10239/10240"),
    ("bytes=-40", 206, LUT[-40:], "bytes 10200-10239/10240"),
    ("bytes=-99999", 206, LUT, "bytes 0-10239/10240"),
    ("bytes=10239-99999", 206, LUT[-1:], "bytes 10239-10239/10240"),
    ("bytes=10240-", 416, b"", "bytes */10240"),
    ("bytes=9-3", 200, LUT, None),
    ("bytes=-0", 416, b"", "bytes */10240"),
    ("bytes=-", 200, LUT, None),
    ("bytes=0-0,2-2", 200, LUT, None),
    ("lines=0-1", 200, LUT, None),
    ("Bytes=0-9", 206, LUT[:10], "bytes 0-9/10240"),
    ("bytes= 0-9 ,", 206, LUT[:10], "bytes 0-9/10240"),
    (f"bytes={','.join(['0-0'] * 1000)}", 200, LUT, None),
]


@pytest.mark.parametrize(("asked", "status", "content", "content_range"), RANGES, ids=[one[0][:20] for one in RANGES])
async def test_bulk_data_comes_in_ranges(
    bulky: httpx.AsyncClient, asked: str, status: int, content: bytes, content_range: str | None
) -> None:
    """W4, T68: RFC 9110 section 14; several ranges, or none that is one, get the whole."""
    uri = bulk_uri((await bulky.get(f"{AT_INSTANCE}/metadata")).json()[0])

    response = await bulky.get(uri, headers={"Range": asked})

    assert (response.status_code, response.content) == (status, content)
    assert response.headers.get("content-range") == content_range


async def test_a_range_of_what_has_changed_is_the_whole(bulky: httpx.AsyncClient) -> None:
    """W4: RFC 9110 section 13.1.5: If-Range with another ETag, or another date."""
    uri = bulk_uri((await bulky.get(f"{AT_INSTANCE}/metadata")).json()[0])
    headers = (await bulky.get(uri)).headers

    asked = (headers["etag"], headers["last-modified"], '"x"', "Thu, 01 Jan 1970 00:00:00 GMT")
    answers = [await bulky.get(uri, headers={"Range": "bytes=0-9", "If-Range": one}) for one in asked]

    assert [answer.status_code for answer in answers] == [206, 206, 200, 200]


async def test_head_of_bulk_data_knows_no_ranges(bulky: httpx.AsyncClient) -> None:
    """W4: RFC 9110 section 14.2: what HEAD says is the whole."""
    uri = bulk_uri((await bulky.get(f"{AT_INSTANCE}/metadata")).json()[0])

    head = await bulky.head(uri, headers={"Range": "bytes=0-9"})

    assert (head.status_code, head.headers["content-length"]) == (200, "10240")


async def test_bulk_data_of_another_instance_is_not_found(bulky: httpx.AsyncClient) -> None:
    """A uri counts only below the instance it belongs to."""
    uri = bulk_uri((await bulky.get(f"{AT_INSTANCE}/metadata")).json()[0])
    await stored(bulky, instance(study=STUDY, instance_number=2))

    assert (await bulky.get(uri.replace(f"{SERIES}.1/bulk", f"{SERIES}.2/bulk"))).status_code == 404
    assert (await bulky.get(f"{AT_INSTANCE}/bulkdata/{'0' * 32}")).status_code == 404


async def test_addresses_are_those_clients_see(settings: Settings, store: Store, bulky: httpx.AsyncClient) -> None:
    """W3, S14: behind a proxy, by the setting public_base_url."""
    settings = replace(settings, public_base_url="https://pacs.example/gateway")
    async with app_client(create_app(settings, store)) as client:
        [dataset] = (await client.get(f"{AT_INSTANCE}/metadata")).json()

    assert bulk_uri(dataset).startswith(f"https://pacs.example/gateway{AT_INSTANCE}/bulkdata/")


# -- versions


async def test_an_old_version_is_read_as_it_was(filled: httpx.AsyncClient) -> None:
    """Version numbers are those of the resource in the path: the study's, or the image set's."""
    await patched(filled, AT_STUDY, NAMES)

    for path in LEVELS:
        [old, *_] = (await filled.get(f"{path}/metadata?version=1")).json()
        [new, *_] = (await filled.get(f"{path}/metadata?version=2")).json()
        assert value(new, "00081030") == "CT Kopf" and value(old, "00081030") != "CT Kopf"
        assert datasets(await filled.get(f"{path}?version=1"))[0].StudyDescription == value(old, "00081030")


async def test_a_study_and_its_series_count_their_own_versions(filled: httpx.AsyncClient) -> None:
    """An edit of one series is version 2 of it and of the study, and the other series has none."""
    await patched(filled, AT_SERIES, {"0008103E": {"vr": "LO", "Value": ["edited"]}})

    assert (await filled.get(f"{AT_STUDY}?version=2")).status_code == 200
    assert (await filled.get(f"{AT_SERIES}?version=2")).status_code == 200
    assert (await filled.get(f"{AT_STUDY}/series/{STUDY}.2?version=2")).status_code == 404


async def test_a_series_that_was_renamed_keeps_its_history(filled: httpx.AsyncClient) -> None:
    """By its UID now or then; the latest version has the new one only."""
    await patched(filled, AT_SERIES, {"0020000E": {"vr": "UI", "Value": ["1.2.3.99"]}})
    new = f"{AT_STUDY}/series/1.2.3.99"

    statuses = {
        path: (await filled.get(path)).status_code
        for path in (new, f"{new}?version=1", f"{AT_SERIES}?version=1", f"{AT_SERIES}?version=2", AT_SERIES)
    }

    assert statuses == {
        new: 200,
        f"{new}?version=1": 200,
        f"{AT_SERIES}?version=1": 200,
        f"{AT_SERIES}?version=2": 200,
        AT_SERIES: 410,
    }


async def test_a_bulk_data_uri_of_an_old_version_resolves(bulky: httpx.AsyncClient) -> None:
    """It names the version, so that it holds though the series has another UID since."""
    await patched(bulky, AT_SERIES, {"0020000E": {"vr": "UI", "Value": ["1.2.3.99"]}})

    [dataset] = (await bulky.get(f"{AT_STUDY}/metadata?version=1")).json()

    assert bulk_uri(dataset).endswith("?version=1")
    assert (await bulky.get(bulk_uri(dataset))).content == LUT


# -- conditional requests


@pytest.mark.parametrize("path", [*LEVELS, *(f"{level}/metadata" for level in LEVELS)])
async def test_a_client_that_has_the_latest_is_told_so(filled: httpx.AsyncClient, path: str) -> None:
    """W10: ETag and Last-Modified on every read, 304 for what has not changed, and caches must ask."""
    first = await filled.get(path)
    etag, modified = first.headers["etag"], first.headers["last-modified"]

    again = [
        await filled.get(path, headers=headers)
        for headers in (
            {"If-None-Match": etag},
            {"If-None-Match": f'"x", W/{etag}'},
            {"If-None-Match": "*"},
            {"If-Modified-Since": modified},
        )
    ]

    assert [(one.status_code, one.content, one.headers["etag"]) for one in again] == [(304, b"", etag)] * 4
    assert first.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("path", LEVELS)
async def test_an_edit_changes_the_etag(filled: httpx.AsyncClient, path: str) -> None:
    """W10: nobody is shown a stale cache after a correction."""
    before = (await filled.get(path)).headers["etag"]
    await patched(filled, AT_STUDY, NAMES)

    response = await filled.get(path, headers={"If-None-Match": before})

    assert response.status_code == 200 and response.headers["etag"] != before


@pytest.mark.parametrize("since", ["Thu, 01 Jan 1970 00:00:00 GMT", "yesterday", ""])
async def test_a_client_with_an_old_copy_or_none_gets_a_new_one(filled: httpx.AsyncClient, since: str) -> None:
    """RFC 9110 section 13.1.3: what is no date is ignored; beside If-None-Match any date is."""
    assert (await filled.get(AT_INSTANCE, headers={"If-Modified-Since": since})).status_code == 200
    later = {"If-Modified-Since": "Fri, 31 Dec 2100 00:00:00 GMT", "If-None-Match": '"x"'}
    assert (await filled.get(AT_INSTANCE, headers=later)).status_code == 200


# -- what is not there

MISSING = [
    "/dicomweb/studies/1.9",
    f"{AT_STUDY}/series/1.9",
    f"{AT_SERIES}/instances/1.9",
    f"{AT_STUDY}/series/{STUDY}.2/instances/{INSTANCE}",
    f"{AT_STUDY}?version=9",
    f"{AT_SERIES}?version=9",
    f"/datastore/{'0' * 32}/studies/{STUDY}",
]


@pytest.mark.parametrize("path", MISSING)
async def test_what_does_not_exist_is_not_found(filled: httpx.AsyncClient, path: str) -> None:
    """W9: 404, never an empty 200; metadata likewise."""
    base, _, query = path.partition("?")

    for one in (path, f"{base}/metadata?{query}"):
        response = await filled.get(one)
        assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize(
    "path", ["/dicomweb/studies/1.2%2F..", f"{AT_STUDY}/series/x", f"{AT_STUDY}?version=0", f"{AT_STUDY}?version=x"]
)
async def test_a_path_or_version_that_can_be_none_is_a_bad_request(filled: httpx.AsyncClient, path: str) -> None:
    """T58: before anything is looked up."""
    assert (await filled.get(path)).status_code in (400, 404)
    assert path.endswith("%2F..") or (await filled.get(path)).status_code == 400


async def test_what_was_deleted_is_gone_and_its_past_is_not(filled: httpx.AsyncClient) -> None:
    """W1: 410 for a study and a series; their older versions can still be read."""
    assert (await filled.delete(AT_SERIES)).status_code == 200
    gone = [(await filled.get(path)).status_code for path in (AT_SERIES, AT_INSTANCE, f"{AT_SERIES}/metadata")]
    left = len(parts(await filled.get(AT_STUDY)))
    assert (await filled.delete(AT_STUDY)).status_code == 200

    assert gone == [410, 410, 410] and left == 1
    assert [(await filled.get(path)).status_code for path in (AT_STUDY, f"{AT_STUDY}/metadata")] == [410, 410]
    assert len(parts(await filled.get(f"{AT_STUDY}?version=1"))) == 3
    assert len(parts(await filled.get(f"{AT_SERIES}?version=1"))) == 2


# -- a real client over a real socket


def test_dicomweb_client_retrieves(server: Server) -> None:
    """dicomweb-client for Python: study, series, instance, metadata at three levels, and pixels by their address."""
    client = DICOMwebClient(server.dicomweb)
    files = [pydicom.dcmread(io.BytesIO(file)) for file in ct_series()]
    client.store_instances(files)
    uids = files[0].StudyInstanceUID, files[0].SeriesInstanceUID, files[0].SOPInstanceUID

    assert len(client.retrieve_study(uids[0])) == len(client.retrieve_series(*uids[:2])) == 5
    assert client.retrieve_instance(*uids).PixelData == files[0].PixelData
    assert len(client.retrieve_study_metadata(uids[0])) == len(client.retrieve_series_metadata(*uids[:2])) == 5
    metadata = client.retrieve_instance_metadata(*uids)
    uri = metadata["7FE00010"]["BulkDataURI"]
    for media_types in (None, ("application/octet-stream",)):
        [pixels] = client.retrieve_bulkdata(uri, media_types)
        assert pixels == files[0].PixelData
    read = pydicom.Dataset.from_json(metadata, lambda tag, vr, uri: bytes(pixels))
    assert (read.SOPInstanceUID, read.PixelData) == (uids[2], files[0].PixelData)


def test_dicomweb_client_follows_a_bulk_data_uri(server: Server) -> None:
    """W3, S14: though it leaves the port out of Host, and the gateway listens on one of its own."""
    client = DICOMwebClient(server.dicomweb)
    file = pydicom.dcmread(io.BytesIO(instance(study=STUDY)))
    file.add_new(0x00091FFF, "OB", LUT)
    client.store_instances([file])

    metadata = client.retrieve_instance_metadata(STUDY, SERIES, INSTANCE)

    [value] = client.retrieve_bulkdata(bulk_uri(metadata))
    assert value == LUT


@pytest.mark.parametrize(
    ("headers", "root"),
    [
        ({"Host": "localhost"}, "http://localhost:{port}/dicomweb"),
        ({"Host": "[::1]"}, "http://[::1]:{port}/dicomweb"),
        ({"Host": "localhost:80"}, "http://localhost:80/dicomweb"),
        ({"Host": "localhost", "X-Forwarded-For": "10.0.0.1"}, "http://localhost/dicomweb"),
        ({"Host": "pacs.example"}, "http://pacs.example/dicomweb"),
    ],
)
def test_a_port_is_added_where_nothing_can_be_in_between(server: Server, headers: dict[str, str], root: str) -> None:
    """S14: Host without a port is port 80, unless a program asks this very machine and no proxy is there."""
    file = io.BytesIO(instance(study=STUDY))
    httpx.post(f"{server.dicomweb}/studies", content=file.read(), headers={"Content-Type": "application/dicom"})

    [study] = httpx.get(f"{server.dicomweb}/studies", headers=headers).json()

    port = httpx.URL(server.url).port
    assert value(study, "00081190") == f"{root.format(port=port)}/studies/{STUDY}"
