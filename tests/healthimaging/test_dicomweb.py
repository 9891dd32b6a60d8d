"""DICOMweb as HealthImaging serves it: the requests of its developer guide, at its paths, on the same port.

"Using DICOMweb with AWS HealthImaging": the thirteen actions, each with the Accept the guide gives.
"""

from __future__ import annotations

import io

import httpx
import openjpeg
import pydicom
import pytest

from tests.conftest import Server
from tests.healthimaging.clients import boto3_client
from tests.healthimaging.conftest import SERIES, ImageSet, stow
from tests.samples import instance

STUDY = SERIES.removesuffix(".1")
INSTANCE = f"{SERIES}.2"
JSON = "application/dicom+json"
EXPLICIT, HTJ2K = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.202"

# action, path below /datastore/{datastoreId}, Accept, Content-Type of the answer
ACTIONS = [
    ("SearchDICOMStudies", "/studies", JSON, JSON),
    ("SearchDICOMSeries", f"/studies/{STUDY}/series", JSON, JSON),
    ("SearchDICOMInstances", f"/studies/{STUDY}/series/{SERIES}/instances", JSON, JSON),
    ("SearchDICOMStudyInstances", f"/studies/{STUDY}/instances", JSON, JSON),
    ("SearchDICOMAllSeries", "/series", JSON, JSON),
    ("SearchDICOMAllInstances", "/instances", JSON, JSON),
    ("GetDICOMSeriesMetadata", f"/studies/{STUDY}/series/{SERIES}/metadata", JSON, JSON),
    ("GetDICOMInstanceMetadata", f"/studies/{STUDY}/series/{SERIES}/instances/{INSTANCE}/metadata", JSON, JSON),
    (
        "GetDICOMInstance",
        f"/studies/{STUDY}/series/{SERIES}/instances/{INSTANCE}",
        f"application/dicom; transfer-syntax={EXPLICIT}",
        "application/dicom",
    ),
    (
        "GetDICOMInstance as stored",
        f"/studies/{STUDY}/series/{SERIES}/instances/{INSTANCE}",
        "application/dicom; transfer-syntax=*",
        "application/dicom",
    ),
    (
        "GetDICOMInstance in HTJ2K",
        f"/studies/{STUDY}/series/{SERIES}/instances/{INSTANCE}",
        f"application/dicom; transfer-syntax={HTJ2K}",
        "application/dicom",
    ),
    (
        "GetDICOMInstanceFrames",
        f"/studies/{STUDY}/series/{SERIES}/instances/{INSTANCE}/frames/1",
        f"multipart/related; type=application/octet-stream; transfer-syntax={EXPLICIT}",
        "multipart/related",
    ),
    (
        "GetDICOMInstanceFrames in HTJ2K",
        f"/studies/{STUDY}/series/{SERIES}/instances/{INSTANCE}/frames/1",
        f"multipart/related; type=application/octet-stream; transfer-syntax={HTJ2K}",
        "multipart/related",
    ),
    (
        "GetDICOMInstanceFrames as stored",
        f"/studies/{STUDY}/series/{SERIES}/instances/{INSTANCE}/frames/1",
        "multipart/related; type=application/octet-stream; transfer-syntax=*",
        "multipart/related",
    ),
]


def root(server: Server, datastore_id: str) -> str:
    return f"{server.url}/datastore/{datastore_id}"


@pytest.mark.parametrize(("action", "path", "accept", "content_type"), ACTIONS, ids=[action[0] for action in ACTIONS])
def test_action_is_answered_as_it_is_asked(
    session_server: Server, ct: ImageSet, action: str, path: str, accept: str, content_type: str
) -> None:
    """With the guide's Accept header, the guide's path answers 200 in that type; with imageSetId too, to retrieve."""
    url = root(session_server, ct.datastore_id) + path
    query = {"imageSetId": ct.image_set_id} if action.startswith("Get") else {}

    answer = httpx.get(url, headers={"Accept": accept}, params=query)

    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith(content_type)
    if action.endswith(("Instances", "Metadata")):
        assert INSTANCE in answer.text


@pytest.mark.parametrize(
    "content_type",
    ["application/dicom", 'multipart/related; type="application/dicom"; boundary=b', "multipart/related; boundary=b"],
    ids=["one part", "multipart", "multipart as AWS's own proxy sends it"],
)
@pytest.mark.parametrize("path", ["/studies", f"/studies/{STUDY}"], ids=["StoreDICOM", "StoreDICOMStudy"])
def test_store_is_taken_as_the_guide_sends_it(
    session_server: Server, empty_datastore: str, content_type: str, path: str
) -> None:
    """One instance as it is, or multipart with and without its type; the answer is DICOM JSON."""
    body = instance()
    if "boundary" in content_type:
        body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + body + b"\r\n--b--\r\n"

    answer = httpx.post(
        root(session_server, empty_datastore) + path,
        content=body,
        headers={"Content-Type": content_type, "Accept": JSON},
    )

    assert answer.status_code == 200, answer.text
    assert answer.json()["00081199"]["Value"][0]["00081155"]["Value"] == [f"{SERIES}.1"]


def test_instance_of_another_study_is_refused_by_store_of_a_study(session_server: Server, empty_datastore: str) -> None:
    """409 with the list of what failed, as AWS's own client reads it."""
    answer = httpx.post(
        root(session_server, empty_datastore) + "/studies/1.2.3",
        content=instance(),
        headers={"Content-Type": "application/dicom", "Accept": JSON},
    )

    assert answer.status_code == 409
    assert answer.json()["00081198"]["Value"][0]["00081197"]["Value"][0] > 0


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("PatientName=Compressed*", 1),
        ("PatientName=*CT?", 1),
        ("00100010=CompressedSamples%5ECT1", 1),
        ("PatientName=compressed&fuzzymatching=true", 1),
        ("PatientName=pressed&fuzzymatching=true", 0),
        ("StudyDate=20040101-20041231", 1),
        ("StudyDate=-20031231", 0),
        ("limit=1&offset=1", 0),
        ("limit=1000&offset=1000000", 0),
    ],
)
def test_search_matches_as_the_guide_says(session_server: Server, ct: ImageSet, query: str, count: int) -> None:
    """By keyword or tag, wildcards, fuzzy on the beginning of words, ranges, pages to AWS's limits."""
    answer = httpx.get(f"{root(session_server, ct.datastore_id)}/studies?{query}", headers={"Accept": JSON})

    assert answer.status_code == (200 if count else 204)
    assert len(answer.json() if count else []) == count


def test_include_field_takes_paths_and_private_elements_with_their_creator(
    session_server: Server, ct: ImageSet
) -> None:
    """A private element comes where its creator is matched; an element of a sequence by a path."""
    url = f"{root(session_server, ct.datastore_id)}/studies/{STUDY}/series/{SERIES}/instances"

    plain, private = (
        httpx.get(url, params=query, headers={"Accept": JSON}).json()[0]
        for query in ({"includefield": "ImageType"}, {"includefield": "00091001", "00090010": "GEMS_IDEN_01"})
    )

    assert "00080008" in plain
    assert private["00091001"]["Value"] == ["GE_GENESIS_FF"]


def test_frame_is_the_one_that_is_asked_for(session_server: Server, ct: ImageSet) -> None:
    """Frames count from 1; one that is not there is an error."""
    base = f"{root(session_server, ct.datastore_id)}/studies/{STUDY}/series/{SERIES}/instances/{INSTANCE}/frames"
    accept = {"Accept": "multipart/related; type=application/octet-stream; transfer-syntax=*"}

    found, beyond = (httpx.get(f"{base}/{frames}", headers=accept) for frames in ("1", "1,2"))

    assert pydicom.dcmread(io.BytesIO(instance())).PixelData in found.content
    assert beyond.status_code == 404


@pytest.mark.parametrize("root_path", ["/datastore/{datastore}", "/dicomweb"])
@pytest.mark.parametrize("syntax", [HTJ2K, "1.2.840.10008.1.2.4.90"])
def test_frame_in_a_compressed_syntax_comes_as_octets(server: Server, root_path: str, syntax: str) -> None:
    """As the guide asks for it: the part says its transfer syntax, and OpenJPEG decodes it to the stored pixels."""
    datastore_id = boto3_client(server.url).list_datastores()["datastoreSummaries"][0]["datastoreId"]
    stow(server, datastore_id, [instance()])
    path = f"/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.1/frames/1"
    accept = f"multipart/related; type=application/octet-stream; transfer-syntax={syntax}"

    answer = httpx.get(server.url + root_path.format(datastore=datastore_id) + path, headers={"Accept": accept})

    head, _, body = answer.content.partition(b"\r\n\r\n")
    assert answer.status_code == 200
    assert f"Content-Type: application/octet-stream; transfer-syntax={syntax}".encode() in head
    pixels = openjpeg.decode(body[: body.rindex(b"\r\n--")])
    assert (pixels == pydicom.dcmread(io.BytesIO(instance())).pixel_array).all()
