"""Edits posted to /studies: the edited QIDO-RS result, and the Store Instances Response it gets."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.dicomweb.edits import (
    DICOM_JSON,
    INSTANCE,
    INSTANCE_UID,
    ROOT,
    SERIES,
    SERIES_UID,
    STUDY,
    STUDY_UID,
    described,
    lo,
    normalized,
    pn,
    ui,
    version_of,
)
from tests.dicomweb.wire import STOW, multipart, stored
from tests.samples import ct_series, instance

OTHER_STUDY_UID = "1.2.826.0.1.3680043.8.498.2"

NAMES = {"0020000D": ui(STUDY_UID), "0020000E": ui(SERIES_UID), "00080018": ui(INSTANCE_UID)}


@pytest.fixture(autouse=True)
async def study(client: httpx.AsyncClient) -> None:
    """A study of two instances in one series, and another study."""
    await stored(client, *ct_series(2), instance(study=OTHER_STUDY_UID))


async def post(
    client: httpx.AsyncClient, *datasets: dict[str, Any], path: str = f"{ROOT}/studies", query: str = ""
) -> httpx.Response:
    """Post datasets as DICOM JSON."""
    return await client.post(path + query, json=list(datasets), headers=DICOM_JSON)


def referenced(response: httpx.Response) -> list[dict[str, Any]]:
    """Return the items of ReferencedSOPSequence."""
    items: list[dict[str, Any]] = response.json().get("00081199", {}).get("Value", [])
    return items


def failure_reasons(response: httpx.Response, sequence: str = "00081198") -> list[int]:
    """Return the Failure Reasons of FailedSOPSequence, or OtherFailuresSequence."""
    return [item["00081197"]["Value"][0] for item in response.json().get(sequence, {}).get("Value", [])]


@pytest.mark.parametrize("includefield", ["", "?includefield=all"])
@pytest.mark.parametrize(
    ("search", "change", "resource"),
    [
        ("/studies?StudyInstanceUID=" + STUDY_UID, {"00080050": {"vr": "SH", "Value": ["A99"]}}, STUDY),
        (f"/studies/{STUDY_UID}/series", {"0008103E": lo("LUNG")}, SERIES),
        (
            f"/studies/{STUDY_UID}/series/{SERIES_UID}/instances?SOPInstanceUID={INSTANCE_UID}",
            {"00200013": {"vr": "IS", "Value": [99]}},
            INSTANCE,
        ),
    ],
    ids=["study", "series", "instance"],
)
async def test_a_search_result_can_be_changed_and_posted_back(
    client: httpx.AsyncClient, search: str, change: dict[str, Any], resource: str, includefield: str
) -> None:
    """One value changed in a QIDO-RS result, read and written by an ordinary JSON library, changes that one value."""
    query = includefield.replace("?", "&") if "?" in search else includefield
    [found] = (await client.get(ROOT + search + query)).json()
    before = await normalized(client, resource)

    response = await post(client, json.loads(json.dumps(found)) | change)

    assert response.status_code == 200, response.text
    assert await normalized(client, resource) == dict(sorted((before | change).items()))
    assert await version_of(client) == 2


async def test_an_unchanged_search_result_changes_nothing(client: httpx.AsyncClient) -> None:
    """What QIDO computes is ignored, and what equals the stored value is no change: no version is made."""
    found = (await client.get(f"{STUDY}/instances?includefield=all")).json()

    response = await post(client, *found)

    assert response.status_code == 200, response.text
    assert await version_of(client) == 1


async def test_a_result_with_a_warning_changes_nothing(client: httpx.AsyncClient) -> None:
    """WarningReason is said of how an instance was stored, and is no attribute of it."""
    irregular = instance(study="1.2.3", SOPInstanceUID="1.2.3.14").replace(b"1.2.3.14", b"1.2.3.04")
    await client.post(f"{ROOT}/studies", content=multipart([irregular]), headers={"Content-Type": STOW})
    found = (await client.get("/dicomweb/studies/1.2.3/instances?includefield=all")).json()

    assert [one["00081196"]["Value"] for one in found] == [[45570]]
    assert (await post(client, *found)).status_code == 200
    assert [one["version"] for one in (await client.get("/dicomweb/studies/1.2.3/versions")).json()] == [1]


async def test_attributes_of_a_higher_level_edit_that_level(client: httpx.AsyncClient) -> None:
    """An instance's dataset with a PatientName and a SeriesDescription edits patient and series too, as one version."""
    response = await post(
        client, NAMES | {"00100010": pn("DOE^JANE"), "0008103E": lo("LUNG"), "00204000": {"vr": "LT"}}
    )

    assert response.status_code == 200, response.text
    [version, _] = (await client.get(f"{STUDY}/versions")).json()
    assert version["changed"]["levels"] == {
        "Patient": ["PatientName"],
        "Series": ["SeriesDescription"],
        "Instance": ["ImageComments"],
    }


async def test_an_element_without_value_is_stored_empty(client: httpx.AsyncClient) -> None:
    """In a dataset an element without Value is an empty one; only PATCH with null removes."""
    await post(client, {"0020000D": ui(STUDY_UID), "00081030": {"vr": "LO"}})

    assert (await normalized(client, STUDY))["00081030"] == {"vr": "LO"}


async def test_an_edited_instance_is_referenced(client: httpx.AsyncClient) -> None:
    """The response has the instance's SOP Class, its UID and where to retrieve it (PS3.18 Table I.1-1)."""
    response = await post(client, NAMES | {"00200013": {"vr": "IS", "Value": [99]}})

    assert response.headers["Content-Type"] == "application/dicom+json"
    assert referenced(response) == [
        {
            "00081150": ui("1.2.840.10008.5.1.4.1.1.2"),
            "00081155": ui(INSTANCE_UID),
            "00081190": {"vr": "UR", "Value": [f"http://gateway.test{INSTANCE}"]},
        }
    ]


async def test_an_edited_study_is_referenced_by_its_address(client: httpx.AsyncClient) -> None:
    """A dataset of a study or series has no SOP Instance UID to refer to: its item has an address and empty UIDs."""
    response = await post(client, {"0020000D": ui(STUDY_UID), **described("X")})

    assert response.status_code == 200
    assert referenced(response) == [
        {
            "00081150": {"vr": "UI"},
            "00081155": {"vr": "UI"},
            "00081190": {"vr": "UR", "Value": [f"http://gateway.test{STUDY}"]},
        }
    ]


@pytest.mark.parametrize(
    ("dataset", "path", "reason"),
    [
        (NAMES | {"00200010": {"vr": "SH", "Value": ["9"]}}, f"{ROOT}/studies", 0xA900),
        (NAMES | {"00080018": ui("1.2.3")}, f"{ROOT}/studies", 0xA900),
        (NAMES | {"0020000E": ui("1.2.3")}, f"{ROOT}/studies", 0xA900),
        (NAMES | {"0020000D": ui("1.2.3")}, f"{ROOT}/studies", 0xA900),
        (NAMES, f"{ROOT}/studies/1.2.3", 0xA901),
        ({"0020000D": ui(STUDY_UID), "00080018": ui(INSTANCE_UID)}, f"{ROOT}/studies", 0xC000),
        ({"0020000E": ui(SERIES_UID), "00080018": ui(INSTANCE_UID)}, f"{ROOT}/studies", 0xC000),
    ],
    ids=[
        "a constraint",
        "an unknown instance",
        "an unknown series",
        "an unknown study",
        "another study than the path",
        "no series UID",
        "no study UID",
    ],
)
async def test_a_refused_dataset_fails_with_its_reason(
    client: httpx.AsyncClient, dataset: dict[str, Any], path: str, reason: int
) -> None:
    """With nothing applied the answer is 409; the code is in the item, the sentence in a Warning header."""
    response = await post(client, dataset, path=path)

    assert (response.status_code, failure_reasons(response)) == (409, [reason]), response.text
    assert response.headers["Warning"].startswith("299 ")
    assert await version_of(client) == 1


async def test_reasons_in_headers_stay_short(client: httpx.AsyncClient) -> None:
    """A dataset that breaks hundreds of constraints does not make a header that no proxy lets through."""
    private = {f"0091{number:04X}": lo("x") for number in range(0x1001, 0x1201)}

    response = await post(client, NAMES | {"00910010": lo("US")} | private)
    tried = await post(client, NAMES | {"00910010": lo("US")} | private, query="?dryRun=true")

    assert response.status_code == 409
    assert len(response.headers["Warning"]) < 600
    assert len(tried.json()["studies"][0]["violations"]) > 512


async def test_the_study_may_be_named_by_the_path(client: httpx.AsyncClient) -> None:
    """POST /studies/{study} says whose the dataset is where the dataset does not."""
    response = await post(client, described("X"), path=STUDY)

    assert response.status_code == 200, response.text
    assert (await normalized(client, STUDY))["00081030"] == lo("X")


async def test_a_refused_dataset_keeps_the_others_of_its_study_back(client: httpx.AsyncClient) -> None:
    """A study changes as a whole or not at all; another study of the same request is another edit: 202."""
    response = await post(
        client,
        NAMES | {"00200013": {"vr": "IS", "Value": [99]}},
        NAMES | {"00080018": ui(f"{SERIES_UID}.2"), "00280010": {"vr": "US", "Value": [1]}},
        {"0020000D": ui(OTHER_STUDY_UID), **described("X")},
    )

    assert (response.status_code, failure_reasons(response)) == (202, [0x0110, 0xA900])
    assert len(referenced(response)) == 1
    assert await version_of(client) == 1
    assert await version_of(client, f"{ROOT}/studies/{OTHER_STUDY_UID}") == 2


async def test_an_unknown_instance_does_not_hold_the_others_up(client: httpx.AsyncClient) -> None:
    """An instance that is not stored fails for itself: it is no part of the study's edit."""
    response = await post(
        client, NAMES | {"00200013": {"vr": "IS", "Value": [99]}}, NAMES | {"00080018": ui("1.2.3"), **described("X")}
    )

    assert (response.status_code, failure_reasons(response)) == (202, [0xA900])
    assert (await normalized(client, INSTANCE))["00200013"] == {"vr": "IS", "Value": [99]}


async def test_datasets_that_disagree_are_refused_with_the_path(client: httpx.AsyncClient) -> None:
    """Two instances that say different things of their study are both refused."""
    response = await post(client, NAMES | described("A"), NAMES | {"00080018": ui(f"{SERIES_UID}.2")} | described("B"))

    assert (response.status_code, failure_reasons(response)) == (409, [0xC000, 0xC000])
    assert "$[1].00081030" in response.headers["Warning"]


async def test_a_failed_study_has_no_uid_to_refer_to(client: httpx.AsyncClient) -> None:
    """A refused dataset of study level is in OtherFailuresSequence (0008,119A), which has no UIDs."""
    response = await post(client, {"0020000D": ui("1.2.3"), **described("X")})

    assert (response.status_code, failure_reasons(response, "0008119A")) == (409, [0xA900])


async def test_force_reason_and_dry_run_work_as_on_any_edit(client: httpx.AsyncClient) -> None:
    """A posted edit takes the same options; a dry run answers with the update documents of each study."""
    dataset = {"0020000D": ui(STUDY_UID), "00200010": {"vr": "SH", "Value": ["9"]}}

    tried = await post(client, dataset, query="?dryRun=true")
    forced = await post(client, dataset, query="?force=true&reason=typing%20error")

    [study] = tried.json()["studies"]
    assert (study["allowed"], study["forceNeeded"]) == (False, True)
    assert forced.status_code == 200, forced.text
    latest = (await client.get(f"{STUDY}/versions")).json()[0]
    assert (latest["version"], latest["forced"], latest["reason"]) == (2, True, "typing error")


@pytest.mark.parametrize(("etag", "status"), [('"1"', 200), ('"7"', 412), ("1", 400)])
async def test_if_match_is_of_the_study(client: httpx.AsyncClient, etag: str, status: int) -> None:
    """If-Match on a posted edit names the version of its one study."""
    headers = DICOM_JSON | {"If-Match": etag}

    response = await client.post(STUDY, json=[described("X")], headers=headers)

    assert response.status_code == status, response.text


async def test_if_match_cannot_be_of_two_studies(client: httpx.AsyncClient) -> None:
    """An ETag is of one study; with datasets of two it says nothing, and nothing is done."""
    body = [{"0020000D": ui(uid), **described("X")} for uid in (STUDY_UID, OTHER_STUDY_UID)]

    response = await client.post(f"{ROOT}/studies", json=body, headers=DICOM_JSON | {"If-Match": '"1"'})

    assert response.status_code == 400
    assert await version_of(client) == 1


async def test_a_multipart_edit_is_the_same_edit(client: httpx.AsyncClient) -> None:
    """multipart/related with type="application/dicom+json" holds the array of datasets as its part (PS3.18 8.6.1.2)."""
    part = json.dumps([NAMES | {"00200013": {"vr": "IS", "Value": [99]}}]).encode()
    body = b"--B\r\nContent-Type: application/dicom+json\r\n\r\n" + part + b"\r\n--B--\r\n"
    headers = {"Content-Type": 'multipart/related; type="application/dicom+json"; boundary=B'}

    response = await client.post(f"{ROOT}/studies", content=body, headers=headers)

    assert response.status_code == 200, response.text
    assert len(referenced(response)) == 1
