"""What desktop viewers ask for, request by request: they do not run here, so their requests do.

Weasis from its sources (RsQueryResult, RsQueryParams, RsQuery, RetrieveTask, SeriesDownloadManager, ThumbnailManager,
LoadSeries; of weasis-dicom-tools MultipartReader and DicomStowRS; and the Accept that Java sends where a program names
none). 3D Slicer from those of its DICOMweb Browser and DICOMUtils, which call dicomweb-client. Where a request is made
stands with each test.
"""

from __future__ import annotations

import io
import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlsplit

import httpx
import pydicom
import pytest
from dicomweb_client import DICOMwebClient
from pydicom.dataset import Dataset

from tests.conftest import Server
from tests.dicomweb.pixels import opened
from tests.dicomweb.wire import datasets, stored, values
from tests.samples import instance

STUDY_UID, SERIES_UID = "1.2.826.0.1.3680043.8.498.1", "1.2.826.0.1.3680043.8.498.1.1"

# java.net.HttpURLConnection, up to and after it learned to write a range.
JAVA = ["text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "text/html, image/gif, image/jpeg, */*; q=0.2"]
OF_STUDIES = "00080020,00080030,00080050,00080061,00080090,00081030,00100010,00100020,00100021,00100030,00100040"
WEASIS_STUDY = f"&includefield={OF_STUDIES},0020000D,00200010"


@pytest.mark.parametrize("accept", JAVA)
@pytest.mark.parametrize(
    ("query", "tag"),
    [
        ("/studies?00100020=1CT1", "0020000D"),
        (f"/studies?0020000D={STUDY_UID}", "00081030"),
        ("/studies?00080050=", "00100010"),
        (f"/series?0020000E={SERIES_UID}", "00200011"),
        (f"/instances?00080018={SERIES_UID}.1", "00200013"),
    ],
)
async def test_weasis_finds(client: httpx.AsyncClient, accept: str, query: str, tag: str) -> None:
    """N3, N7: by patient, study, accession number, series and instance, each with what it shows of them."""
    await stored(client, instance())
    more = {"/series": ",0008103E,00080060,00081190,00200011", "/instan": ",0020000E,00200013,00081190"}
    url = f"/dicomweb{query}{WEASIS_STUDY}{more.get(query[:7], '')}"

    response = await client.get(url, headers={"Accept": accept})

    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/dicom+json"
    [found] = response.json()
    assert tag in found and values(found, "0020000D") == [STUDY_UID]


async def test_weasis_fetches_what_it_found(client: httpx.AsyncClient) -> None:
    """N8, W8: instances by their RetrieveURL as they are stored, a thumbnail as JPEG."""
    await stored(client, instance())
    fields = "includefield=00080018,00200013,00081190"
    path = f"/dicomweb/studies/{STUDY_UID}/series/{SERIES_UID}"
    [found] = (await client.get(f"{path}/instances?{fields}", headers={"Accept": JAVA[0]})).json()
    [url] = [str(one) for one in values(found, "00081190")]

    accept = 'multipart/related;type="application/dicom";transfer-syntax=*'
    [file] = datasets(await client.get(url, headers={"Accept": accept}))

    assert file.SOPInstanceUID == f"{SERIES_UID}.1" and file.pixel_array.shape == (128, 128)
    for picture in ("thumbnail", "rendered"):
        assert opened(await client.get(f"{url}/{picture}", headers={"Accept": "image/jpeg"})).format == "JPEG"
    assert opened(await client.get(f"{path}/thumbnail", headers={"Accept": "image/jpeg"})).format == "JPEG"


# What a node of the query dialog retrieves with: the transfer syntax that is stored.
RETRIEVED = 'multipart/related;type="application/dicom";transfer-syntax=*'
STUDY, SERIES = f"/dicomweb/studies/{STUDY_UID}", f"/dicomweb/studies/{STUDY_UID}/series/{SERIES_UID}"


@pytest.mark.parametrize(
    "criteria",
    [
        [],
        [("00100010", "COMPRESSED*")],
        [("00100020", "1CT1")],
        [("00080020", "20040101-20041231"), ("00080061", "CT")],
        [("00080061", "CT"), ("00080050", "")],
        [("00080030", "070000-080000")],
    ],
    ids="nothing name id date-and-modality one-left-empty time".split(),
)
@pytest.mark.parametrize("page", ["", "&limit=10&offset=0"])
async def test_weasis_searches_with_what_its_dialog_is_filled_with(
    client: httpx.AsyncClient, criteria: list[tuple[str, str]], page: str
) -> None:
    """RsQuery: a filter for each field that has a text, `&` after each but the last, and the fields behind another.

    So there are empty parameters: nothing before the first `&`, or nothing between two. Texts are coded as forms are,
    a space as `+`.
    """
    await stored(client, instance(PatientName="CompressedSamples^CT1", StudyDate="20040119", StudyTime="072730"))
    fields = [f"{tag}={quote_plus(text)}" if text else "" for tag, text in criteria]

    response = await client.get(
        f"/dicomweb/studies?{'&'.join(fields)}{WEASIS_STUDY}{page}", headers={"Accept": JAVA[0]}
    )

    assert response.status_code == 200, response.text
    assert [values(found, "0020000D") for found in response.json()] == [[STUDY_UID]]


@pytest.mark.parametrize(("modalities", "found"), [("CT,MR", 1), ("MR,CT", 1), ("MR,US", 0), ("CT,CT", 1)])
async def test_any_of_several_modalities_is_found(client: httpx.AsyncClient, modalities: str, found: int) -> None:
    """RsQuery joins the modalities of its dialog by a comma, which is in no code (PS3.5 Table 6.2-1)."""
    await stored(client, instance())

    response = await client.get(f"/dicomweb/studies?00080061={modalities}{WEASIS_STUDY}", headers={"Accept": JAVA[0]})

    assert len(response.json() if response.status_code == 200 else []) == found


async def test_weasis_names_the_issuer_of_a_patient_id(client: httpx.AsyncClient) -> None:
    """RsQueryResult: `id^^^issuer` becomes two filters, and the same id of another issuer is another patient."""
    await stored(client, instance(IssuerOfPatientID="GENEVA"))

    async def found(issuer: str) -> int:
        url = f"/dicomweb/studies?00100020=1CT1&00100021={issuer}{WEASIS_STUDY}"
        response = await client.get(url, headers={"Accept": JAVA[0]})
        return len(response.json()) if response.status_code == 200 else 0

    assert (await found("GENEVA"), await found("PARIS")) == (1, 0)


@pytest.mark.parametrize("several", [False, True], ids=["one parameter", "a parameter each"])
async def test_weasis_goes_from_a_study_to_its_series_and_instances(client: httpx.AsyncClient, several: bool) -> None:
    """RsQueryResult, fillSeries and fillInstance: the fields by commas, or (dicom.qido.query.multi.params) one each.

    The second search is made of the RetrieveURL that the first one answered.
    """
    await stored(client, instance(), instance(instance_number=2))

    def fields(names: str) -> str:
        return "includefield=" + (names.replace(",", "&includefield=") if several else names)

    headers = {"Accept": JAVA[1], "User-Agent": "Weasis/4.5.1 (Linux; 5.15; amd64)", "Weasis-Request-Id": "1"}
    [series] = (
        await client.get(f"{STUDY}/series?{fields('0008103E,00080060,0020000E,00200011,00081190')}", headers=headers)
    ).json()
    [url] = [str(one) for one in values(series, "00081190")]
    instances = (await client.get(f"{url}/instances?{fields('00080018,00200013,00081190')}", headers=headers)).json()

    assert values(series, "0020000E") == [SERIES_UID] and values(series, "00080060") == ["CT"]
    assert [values(one, "00080018") + values(one, "00200013") for one in instances] == [
        [f"{SERIES_UID}.1", 1],
        [f"{SERIES_UID}.2", 2],
    ]
    assert [values(one, "00081190") for one in instances] == [
        [f"{url}/instances/{SERIES_UID}.1"],
        [f"{url}/instances/{SERIES_UID}.2"],
    ]


async def test_weasis_goes_through_a_long_series_by_pages(client: httpx.AsyncClient) -> None:
    """SeriesDownloadManager, a series that was not fetched whole: pages until one is shorter, and one in its middle."""
    await stored(client, *(instance(instance_number=number) for number in range(1, 6)))
    url, headers = f"{SERIES}/instances?includefield=00080016,00080018,00200013", {"Accept": "application/dicom+json"}

    pages = [await client.get(f"{url}&offset={offset}&limit=2", headers=headers) for offset in (0, 2, 4, 5)]
    middle = await client.get(f"{SERIES}/instances?includefield=00080018&limit=1&offset=2", headers=headers)
    [of_series] = (await client.get(f"{STUDY}/series?0020000E={SERIES_UID}&includefield=00201209")).json()

    found = [[values(one, "00080018")[0] for one in page.json()] if page.content else [] for page in pages]
    assert found == [[f"{SERIES_UID}.{number}" for number in numbers] for numbers in ((1, 2), (3, 4), (5,), ())]
    assert values(middle.json()[0], "00080018") == [f"{SERIES_UID}.3"]
    assert values(of_series, "00201209") == [5]


def weasis_parts(response: httpx.Response) -> list[bytes]:
    """Return the parts as MultipartReader finds them, which is stricter than RFC 2046.

    The boundary is one parameter of a Content-Type that names multipart/related; no white space may follow a delimiter,
    nor more than 16 KiB of header fields; what comes before the first delimiter is skipped.
    """
    content_type = response.headers["content-type"]
    assert content_type.partition(";")[0].strip().lower() == "multipart/related"
    [boundary] = re.findall(r';\s*boundary="?([^";]+)"?', content_type)
    delimiter = b"--" + boundary.encode("latin-1")
    rest, parts = response.content[response.content.index(delimiter) + len(delimiter) :], []
    while not rest.startswith(b"--"):
        assert rest.startswith(b"\r\n"), "something follows a delimiter"
        head, _, rest = rest[2:].partition(b"\r\n\r\n")
        assert len(head) < 16384 and b"content-type:" in head.lower()
        part, _, rest = rest.partition(b"\r\n" + delimiter)
        parts.append(part)
    return parts


@pytest.mark.parametrize("path", [SERIES, f"{SERIES}/instances/{SERIES_UID}.1"], ids=["series", "instance"])
async def test_weasis_reads_what_it_retrieves(client: httpx.AsyncClient, path: str) -> None:
    """SeriesDownloadManager: a whole series in one request, or an instance a request, both multipart and as stored."""
    files = [instance(), instance(instance_number=2)]
    await stored(client, *files)

    response = await client.get(path, headers={"Accept": RETRIEVED})

    found = [pydicom.dcmread(io.BytesIO(part)) for part in weasis_parts(response)]
    assert [file.SOPInstanceUID for file in found] == [f"{SERIES_UID}.{number}" for number in (1, 2)][: len(found)]
    assert len(found) == (2 if path == SERIES else 1)
    assert all(file.pixel_array.shape == (128, 128) for file in found)


@pytest.mark.parametrize(
    "path",
    [
        f"{SERIES}/thumbnail",
        f"{SERIES}/instances/{SERIES_UID}.1/thumbnail",
        f"{SERIES}/instances/{SERIES_UID}.1/rendered",
    ],
)
async def test_weasis_shows_small_pictures(client: httpx.AsyncClient, path: str) -> None:
    """ThumbnailManager: of a series or an instance, and rendered instead where a server has no thumbnails."""
    await stored(client, instance())

    response = await client.get(f"{path}?viewport=256%2C256", headers={"Accept": "image/jpeg"})

    assert (response.status_code, response.headers["content-type"]) == (200, "image/jpeg")
    assert max(opened(response).size) <= 256


OBJECT = f"requestType=WADO&studyUID={STUDY_UID}&seriesUID={SERIES_UID}&objectUID={SERIES_UID}.1"


@pytest.mark.parametrize("root", ["", "/dicomweb"])
async def test_weasis_fetches_by_uri_what_a_manifest_names(client: httpx.AsyncClient, root: str) -> None:
    """LoadSeries, WADO-URI: as stored, in a transfer syntax, and a JPEG of 256 x 256; the Accept is Java's own."""
    await stored(client, instance())
    headers = {"Accept": JAVA[0]}

    plain = await client.get(f"{root}/wado?{OBJECT}&contentType=application%2Fdicom", headers=headers)
    lossless = await client.get(
        f"{root}/wado?{OBJECT}&contentType=application%2Fdicom&transferSyntax=1.2.840.10008.1.2.4.70", headers=headers
    )
    small = await client.get(
        f"{root}/wado?{OBJECT}&contentType=image/jpeg&imageQuality=70&rows=256&columns=256", headers=headers
    )

    assert pydicom.dcmread(io.BytesIO(plain.content)).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert pydicom.dcmread(io.BytesIO(lossless.content)).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.70"
    assert (small.headers["content-type"], max(opened(small).size) <= 256) == ("image/jpeg", True)


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer abc"}, {"Authorization": "Basic dXNlcjpwYXNz"}])
async def test_weasis_sends_credentials_to_every_service(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """RsQueryParams and the authentication of a node: where the gateway asks for none, they are in nobody's way."""
    await stored(client, instance())

    answers = [
        await client.get(f"/dicomweb/studies?0020000D={STUDY_UID}", headers=headers),
        await client.get(f"{SERIES}/instances/{SERIES_UID}.1", headers={**headers, "Accept": RETRIEVED}),
        await client.get(f"{SERIES}/thumbnail", headers={**headers, "Accept": "image/jpeg"}),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 200]


def test_weasis_stores(server: Server) -> None:
    """DicomStowRS: HTTP/1.1 with an Upgrade to h2c, chunks, and a body that is its own.

    It begins with the line end of its first delimiter and ends without one, each part says `Content-Encoding: gzip,
    identity` and is not compressed; the answer may be XML only.
    """
    address = urlsplit(server.url)
    head = (
        "POST /dicomweb/studies HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nHost: a\r\n"
        "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nTransfer-Encoding: chunked\r\nUpgrade: h2c\r\n"
        "Accept: application/dicom+xml\r\nUser-Agent: Weasis STOWRS\r\n"
        'Content-Type: multipart/related;type="application/dicom";boundary=mimeTypeBoundary\r\n\r\n'
    )
    part = b"\r\n--mimeTypeBoundary\r\nContent-Type: application/dicom\r\nContent-Encoding: gzip, identity\r\n\r\n"
    body = part + instance() + b"\r\n--mimeTypeBoundary--"
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(head.encode())
        for start in range(0, len(body), 16384):
            chunk = body[start : start + 16384]
            connection.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        connection.sendall(b"0\r\n\r\n")
        answer = b""
        while not answer.endswith(b"</NativeDicomModel>"):
            received = connection.recv(65536)
            assert received, answer
            answer += received

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"content-type: application/dicom+xml" in answer.lower() and b"<NativeDicomModel" in answer
    assert httpx.get(f"{server.dicomweb}/studies?0020000D={STUDY_UID}").status_code == 200


async def test_slicer_browses_downloads_and_deletes(server: Server) -> None:
    """Its pages of all studies, the series of one, their metadata and files; and a series removed from the server."""
    async with httpx.AsyncClient(base_url=server.url) as client:
        await stored(client, instance(), instance(instance_number=2), instance(series=f"{STUDY_UID}.2"))
    slicer = DICOMwebClient(url=server.dicomweb, session=None, headers={})

    first, second = slicer.search_for_studies(offset=0), slicer.search_for_studies(offset=1)
    series = [one["0020000E"]["Value"][0] for one in slicer.search_for_series(STUDY_UID)]
    metadata = slicer.retrieve_series_metadata(study_instance_uid=STUDY_UID, series_instance_uid=SERIES_UID)
    files = list(slicer.iter_series(study_instance_uid=STUDY_UID, series_instance_uid=SERIES_UID))
    slicer.delete_series(STUDY_UID, f"{STUDY_UID}.2")

    assert (len(first), second) == (1, [])
    assert series == [SERIES_UID, f"{STUDY_UID}.2"]
    uids = {f"{SERIES_UID}.1", f"{SERIES_UID}.2"}
    assert {one["00080018"]["Value"][0] for one in metadata} == uids
    assert {file.SOPInstanceUID for file in files} == uids
    assert all(isinstance(file, pydicom.Dataset) and file.pixel_array.size == 128 * 128 for file in files)
    assert [one["0020000E"]["Value"][0] for one in slicer.search_for_series(STUDY_UID)] == [SERIES_UID]


@pytest.fixture
async def slicer(server: Server) -> DICOMwebClient:
    """The client that Slicer's modules make, with a token, of a gateway with two series."""
    async with httpx.AsyncClient(base_url=server.url) as client:
        await stored(client, instance(), instance(instance_number=2), instance(series=f"{STUDY_UID}.2"))
    return DICOMwebClient(url=server.dicomweb, headers={"Authorization": "Bearer abc"})


async def test_slicer_goes_through_all_studies_by_pages(server: Server) -> None:
    """DICOMwebBrowser, connectToServer: pages from where the last one ended, until one is empty or begins as before."""
    async with httpx.AsyncClient(base_url=server.url) as client:
        await stored(client, *(instance(study=f"1.2.{number}") for number in range(1, 8)))
    slicer = DICOMwebClient(url=server.dicomweb)

    studies: list[dict[str, Any]] = []
    while page := slicer.search_for_studies(offset=len(studies), limit=3):
        assert page[0] not in studies
        studies += page

    assert {values(study, "0020000D")[0] for study in studies} == {f"1.2.{number}" for number in range(1, 8)}
    assert len(studies) == 7


def test_slicer_fills_its_tables(slicer: DICOMwebClient) -> None:
    """DICOMwebBrowser: of a study texts that can be joined, as JSON; of a series a pydicom dataset made of the JSON."""
    [study] = slicer.search_for_studies()
    series = [Dataset.from_json(one) for one in slicer.search_for_series(STUDY_UID)]

    shown = [", ".join(study[tag]["Value"]) for tag in ("0020000D", "00100020", "00080061", "00080020") if tag in study]
    names = [name["Alphabetic"] for name in study["00100010"]["Value"]]
    assert (shown, names) == ([STUDY_UID, "1CT1", "CT", "20040119"], ["CompressedSamples^CT1"])
    assert [(one.SeriesInstanceUID, one.Modality, one.NumberOfSeriesRelatedInstances) for one in series] == [
        (SERIES_UID, "CT", 2),
        (f"{STUDY_UID}.2", "CT", 1),
    ]


def test_slicer_downloads_an_instance_a_request(slicer: DICOMwebClient, tmp_path: Path) -> None:
    """DICOMwebBrowser, downloadSelectedSeries, and DICOMUtils without bulk retrieve: each is written to a file."""
    instances = slicer.search_for_instances(study_instance_uid=STUDY_UID, series_instance_uid=SERIES_UID)
    for number, found in enumerate(instances):
        uid = found["00080018"]["Value"][0]
        slicer.retrieve_instance(
            study_instance_uid=STUDY_UID, series_instance_uid=SERIES_UID, sop_instance_uid=uid
        ).save_as(tmp_path / f"{number}.dcm")

    files = [pydicom.dcmread(tmp_path / f"{number}.dcm") for number in range(2)]
    assert [file.SOPInstanceUID for file in files] == [f"{SERIES_UID}.1", f"{SERIES_UID}.2"]
    assert all(file.pixel_array.shape == (128, 128) for file in files)
