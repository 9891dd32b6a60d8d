"""Metadata that were retrieved come back as edits with the address of the pixels in them, which changes nothing."""

from __future__ import annotations

import io
import json
from typing import Any

import httpx
import pydicom
import pytest

from tests.dicomweb.edits import DICOM_JSON, MERGE_PATCH
from tests.dicomweb.test_stow_metadata import store
from tests.dicomweb.wire import datasets, parts, stored, value, values
from tests.samples import instance

STUDY = "1.2.3.1"
SERIES = f"{STUDY}.1"
AT_STUDY = f"/dicomweb/studies/{STUDY}"
AT_SERIES = f"{AT_STUDY}/series/{SERIES}"
AT_INSTANCE = f"{AT_SERIES}/instances/{SERIES}.1"
XML = "application/dicom+xml"
ICC = b"\x01\x02" * 5000
OTHER = bytes(32768)
NAME = {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}


@pytest.fixture
async def filled(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client of a gateway with two CT instances, the first with an ICC profile that is bulk data."""
    await stored(client, instance(study=STUDY, ICCProfile=ICC), instance(study=STUDY, instance_number=2))
    return client


async def metadata_of(client: httpx.AsyncClient, path: str = AT_STUDY, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get(f"{path}/metadata{query}")).json()
    return found


async def version_of(client: httpx.AsyncClient) -> int:
    newest: dict[str, Any] = (await client.get(f"{AT_STUDY}/versions")).json()[0]
    return int(newest["version"])


async def pixels_of(client: httpx.AsyncClient) -> list[bytes]:
    return [dataset.PixelData for dataset in datasets(await client.get(AT_STUDY))]


# -- STOW-RS


async def test_metadata_retrieved_by_another_name_of_the_gateway_change_nothing(filled: httpx.AsyncClient) -> None:
    """Through a viewer's proxy, as localhost: addresses have that name, and their paths say what they are of."""
    filled.headers["Host"] = "viewer.example:3000"
    retrieved = await metadata_of(filled)
    filled.headers["Host"] = "gateway.test"

    response = await filled.post("/dicomweb/studies", json=retrieved, headers=DICOM_JSON)

    assert response.status_code == 200, response.text
    assert retrieved[0]["7FE00010"]["BulkDataURI"].startswith("http://viewer.example:3000/dicomweb/studies/")
    assert await version_of(filled) == 1


async def test_metadata_of_a_study_posted_back_change_nothing(filled: httpx.AsyncClient) -> None:
    """DICOM JSON as it was retrieved: no version, no error, the pixels as they were."""
    before = await pixels_of(filled)

    response = await filled.post("/dicomweb/studies", json=await metadata_of(filled), headers=DICOM_JSON)

    assert response.status_code == 200, response.text
    assert [value(item, "00081155") for item in values(response.json(), "00081199")] == [f"{SERIES}.1", f"{SERIES}.2"]
    assert "00081198" not in response.json()
    assert (await version_of(filled), await pixels_of(filled)) == (1, before)


@pytest.mark.parametrize("kind", ["application/dicom+json", XML])
async def test_a_value_changed_in_retrieved_metadata_is_one_edit(filled: httpx.AsyncClient, kind: str) -> None:
    """As JSON, and as XML as it was retrieved but for the name: the next version has it, and the same pixels."""
    before = await pixels_of(filled)
    if kind == XML:
        accept = {"Accept": f'multipart/related; type="{XML}"'}
        for _, document in parts(await filled.get(f"{AT_STUDY}/metadata", headers=accept)):
            document = document.replace(b"<FamilyName>CompressedSamples</FamilyName>", b"<FamilyName>Doe</FamilyName>")
            response = await filled.post("/dicomweb/studies", content=document, headers={"Content-Type": XML})
            assert response.status_code == 200, response.text
    else:
        documents = [document | {"00100010": NAME} for document in await metadata_of(filled)]
        response = await filled.post("/dicomweb/studies", json=documents, headers=DICOM_JSON)
        assert response.status_code == 200, response.text

    after = await metadata_of(filled)
    assert {value(one, "00100010")["Alphabetic"].partition("^")[0] for one in after} == {"Doe"}
    assert (await version_of(filled), await pixels_of(filled)) == (2, before)


async def test_in_a_multipart_body_it_is_the_same(filled: httpx.AsyncClient) -> None:
    """Metadata alone of what is stored are an edit there too."""
    documents = [document | {"00100010": NAME} for document in await metadata_of(filled)]

    for expected in (2, 2):
        response = await store(filled, documents)
        assert (response.status_code, await version_of(filled)) == (200, expected), response.text


async def test_of_a_new_instance_pixels_have_to_come_along(filled: httpx.AsyncClient) -> None:
    """As any bulk data: an address here is no part of the body, 43298; a part of that name is taken."""
    [document] = await metadata_of(filled, AT_INSTANCE.replace(f"{SERIES}.1", f"{SERIES}.2"))
    document["00080018"] = {"vr": "UI", "Value": [f"{SERIES}.9"]}
    uri = document["7FE00010"]["BulkDataURI"]

    alone = await store(filled, [document])
    with_them = await store(filled, [document], [("application/octet-stream", uri, OTHER)])

    failed = [(value(item, "00081155"), value(item, "00081197")) for item in values(alone.json(), "00081198")]
    assert (alone.status_code, failed) == (409, [(f"{SERIES}.9", 43298)])
    assert with_them.status_code == 202, with_them.text  # its PatientWeight is 0.0, and that of its study 0.000000
    assert (await pixels_of(filled))[-1] == OTHER


async def test_a_single_document_makes_no_instance(filled: httpx.AsyncClient) -> None:
    """It is an edit of what is not stored."""
    [document] = await metadata_of(filled, AT_INSTANCE)
    document["00080018"] = {"vr": "UI", "Value": [f"{SERIES}.9"]}

    response = await filled.post("/dicomweb/studies", json=[document], headers=DICOM_JSON)

    assert [value(item, "00081197") for item in values(response.json(), "00081198")] == [43264]


# -- PATCH and PUT


async def test_patches_of_many_instances_may_have_it(filled: httpx.AsyncClient) -> None:
    """PATCH of /metadata with what /metadata gave, one value changed, and again without a change."""
    documents = await metadata_of(filled)
    documents[1]["00200013"] = {"vr": "IS", "Value": [7]}

    first = await filled.patch(f"{AT_STUDY}/metadata", json=documents, headers=MERGE_PATCH)
    second = await filled.patch(f"{AT_STUDY}/metadata", json=documents, headers=MERGE_PATCH)

    assert (first.status_code, first.json()["changed"], first.json()["levels"]) == (200, True, ["Instance"])
    assert second.json()["changed"] is False
    assert value((await metadata_of(filled))[1], "00200013") == 7


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_the_dataset_of_an_instance_may_have_it(filled: httpx.AsyncClient, method: str) -> None:
    """What /normalizedmetadata gave, with the pixels' address of /metadata."""
    [document] = (await filled.get(f"{AT_INSTANCE}/normalizedmetadata")).json()
    document["7FE00010"] = (await metadata_of(filled, AT_INSTANCE))[0]["7FE00010"]

    response = await filled.request(method, f"{AT_INSTANCE}/normalizedmetadata", json=document, headers=DICOM_JSON)

    assert (response.status_code, response.json()["changed"]) == (200, False), response.text


async def test_an_old_version_has_the_same_pixels_until_they_are_stored_once_more(filled: httpx.AsyncClient) -> None:
    """An address with `?version=` is unchanged pixels as long as it leads to the same."""
    patch = {"00204000": {"vr": "LT", "Value": ["edited"]}}
    await filled.patch(f"{AT_INSTANCE}/normalizedmetadata", json=patch, headers=MERGE_PATCH)
    [old] = await metadata_of(filled, AT_INSTANCE, "?version=1")
    pixels = {"7FE00010": old["7FE00010"]}

    before = await filled.patch(f"{AT_INSTANCE}/normalizedmetadata", json=pixels, headers=MERGE_PATCH)
    await stored(filled, instance(study=STUDY, PixelData=OTHER))
    after = await filled.patch(f"{AT_INSTANCE}/normalizedmetadata", json=pixels, headers=MERGE_PATCH)

    assert pixels["7FE00010"]["BulkDataURI"].endswith("/bulkdata/7FE00010?version=1")
    assert (before.status_code, before.json()["changed"]) == (200, False)
    assert (after.status_code, after.json()["path"]) == (400, "$.7FE00010.BulkDataURI")


AT = f"http://gateway.test{AT_INSTANCE}/bulkdata"

REFUSED = [
    ("another instance", {"7FE00010": {"vr": "OW", "BulkDataURI": AT.replace("1.1/", "1.2/") + "/7FE00010"}}, 400),
    ("another kind", {"7FE00010": {"vr": "OW", "BulkDataURI": f"{AT}/7FE00008"}}, 400),
    ("a kind it has not", {"7FE00008": {"vr": "OF", "BulkDataURI": f"{AT}/7FE00008"}}, 400),
    ("no such version", {"7FE00010": {"vr": "OW", "BulkDataURI": f"{AT}/7FE00010?version=9"}}, 400),
    ("another attribute", {"00420011": {"vr": "OB", "BulkDataURI": f"{AT}/7FE00010"}}, 400),
    ("elsewhere", {"7FE00010": {"vr": "OW", "BulkDataURI": "http://169.254.169.254/7FE00010"}}, 400),
    ("the frames", {"7FE00010": {"vr": "OW", "BulkDataURI": AT.replace("bulkdata", "frames/1")}}, 400),
    ("other pixels", {"7FE00010": {"vr": "OW", "InlineBinary": "AAAAAA=="}}, 409),
    ("none", {"7FE00010": {"vr": "OW"}}, 409),
    ("their removal", {"7FE00010": None}, 409),
]


@pytest.mark.parametrize(("patch", "status"), [one[1:] for one in REFUSED], ids=[one[0] for one in REFUSED])
async def test_no_edit_changes_pixels(filled: httpx.AsyncClient, patch: dict[str, Any], status: int) -> None:
    """Any other address, a value, or none is refused, by force too, and nothing is changed."""
    response = await filled.patch(
        f"{AT_INSTANCE}/normalizedmetadata?force=true", content=json.dumps(patch), headers=MERGE_PATCH
    )

    assert response.status_code == status, response.text
    if status == 400:
        assert response.json()["path"] == f"$.{next(iter(patch))}.BulkDataURI"
    assert (await version_of(filled), (await pixels_of(filled))[0]) == (1, pixels())


async def test_a_study_has_no_pixels(filled: httpx.AsyncClient) -> None:
    """Where an edit is of no instance, an address of pixels is not one that it has."""
    patch = {"7FE00010": {"vr": "OW", "BulkDataURI": f"{AT}/7FE00010"}}

    response = await filled.patch(f"{AT_STUDY}/normalizedmetadata", json=patch, headers=MERGE_PATCH)

    assert response.status_code == 400, response.text


def pixels() -> bytes:
    return bytes(pydicom.dcmread(io.BytesIO(instance())).PixelData)
