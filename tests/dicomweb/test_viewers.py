"""What desktop viewers ask for, request by request: they do not run here, so their requests do.

Weasis from its sources (RsQueryResult, RsQueryParams, and the Accept that Java sends where a program names none);
3D Slicer from those of its DICOMweb Browser and DICOMUtils, which call dicomweb-client.
"""

from __future__ import annotations

import httpx
import pydicom
import pytest
from dicomweb_client import DICOMwebClient

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
