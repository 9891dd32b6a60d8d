"""The header fields that narrow a request to one patient."""

from __future__ import annotations

import httpx
import pytest

from tests.dicomweb.edits import (
    CANARY,
    MERGE_PATCH,
    STUDY,
    described,
)
from tests.dicomweb.wire import stored
from tests.samples import ct_series


@pytest.fixture(autouse=True)
async def study(client: httpx.AsyncClient) -> None:
    """A study of two instances in one series."""
    await stored(client, *ct_series(2))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"DICOMPatientID": "1CT1"}, 200),
        ({"DICOMPatientName": "CompressedSamples^CT1"}, 200),
        ({"DICOMPatientID": "1CT1", "DICOMIssuerOfPatientID": ""}, 200),
        ({"DICOMPatientID": "2CT2"}, 404),
        ({"DICOMPatientID": "1CT1", "DICOMIssuerOfPatientID": "HOSPITAL"}, 404),
        ({"DICOMPatientID": "1CT1", "DICOMPatientName": CANARY}, 404),
    ],
)
async def test_the_patient_headers_keep_an_edit_off_other_patients(
    client: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    """A study of another patient than the headers name is not there; and nobody is told whose it is."""
    response = await client.patch(f"{STUDY}/normalizedmetadata", json=described("X"), headers=MERGE_PATCH | headers)
    read = await client.get(f"{STUDY}/normalizedmetadata", headers=headers)

    assert (response.status_code, read.status_code) == (status, status)
    assert CANARY not in response.text
    assert "CompressedSamples" not in read.text


async def test_the_patient_headers_are_utf_8(client: httpx.AsyncClient) -> None:
    """A name in another script than Latin is compared as it is stored."""
    name = "Wang^XiaoDong=王^小東"
    patch = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Wang^XiaoDong", "Ideographic": "王^小東"}]}}
    await client.patch(f"{STUDY}/metadata", json=[patch], headers=MERGE_PATCH)

    response = await client.get(f"{STUDY}/normalizedmetadata", headers={b"DICOMPatientName": name.encode()})

    assert response.status_code == 200, response.text
