"""PATCH, PUT and DELETE over the real store: what an edit changes, what it refuses, and what it answers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from gateway.app import create_app
from gateway.settings import Settings
from gateway.store.protocol import Store
from tests.conftest import app_client
from tests.dicomweb.edits import (
    CANARY,
    DICOM_JSON,
    INSTANCE,
    INSTANCE_UID,
    MERGE_PATCH,
    ROOT,
    SERIES,
    SERIES_UID,
    STUDY,
    STUDY_UID,
    described,
    edit,
    edited,
    lo,
    normalized,
    pn,
    rules,
    ui,
    version_of,
)
from tests.dicomweb.wire import datasets, stored
from tests.samples import ct_series, instance

OTHER_SERIES_UID = "1.2.826.0.1.3680043.8.498.9"
OTHER_SERIES = f"{STUDY}/series/{OTHER_SERIES_UID}"


@pytest.fixture(autouse=True)
async def study(client: httpx.AsyncClient) -> None:
    """A study of two instances in one series."""
    await stored(client, *ct_series(2))


async def retrieved(client: httpx.AsyncClient, resource: str, query: str = "") -> list[Any]:
    """Return the PS3.10 files of a resource, as pydicom reads them."""
    return datasets(
        await client.get(resource + query, headers={"Accept": 'multipart/related; type="application/dicom"'})
    )


# -- PATCH


@pytest.mark.parametrize(
    ("resource", "level", "patch", "keyword", "value"),
    [
        (STUDY, "Study", described("THORAX"), "StudyDescription", "THORAX"),
        (SERIES, "Series", {"0008103E": lo("LUNG")}, "SeriesDescription", "LUNG"),
        (INSTANCE, "Instance", {"00200013": {"vr": "IS", "Value": [7]}}, "InstanceNumber", 7),
    ],
    ids=["study", "series", "instance"],
)
async def test_an_edit_of_a_level_is_in_every_file_below_it(
    client: httpx.AsyncClient, resource: str, level: str, patch: Any, keyword: str, value: object
) -> None:
    """What is patched at a level comes back in each PS3.10 file of the resource, and the answer names the level."""
    answer = await edited(client, resource, patch)

    assert (answer["version"], answer["studyVersion"], answer["changed"]) == (2, 2, True)
    assert answer["levels"] == [level]
    assert [(one["version"], one["seriesInstanceUID"]) for one in answer["imageSets"]] == [(2, SERIES_UID)]
    assert {file[keyword].value for file in await retrieved(client, resource)} == {value}


async def test_null_removes_and_no_value_empties(client: httpx.AsyncClient) -> None:
    """In a merge patch null removes the attribute, and an element without Value stores it with zero length."""
    await edited(client, SERIES, {"0008103E": None, "00080080": {"vr": "LO"}})

    dataset = await normalized(client, SERIES)
    assert "0008103E" not in dataset
    assert dataset["00080080"] == {"vr": "LO"}


async def test_what_is_not_named_stays(client: httpx.AsyncClient) -> None:
    """A merge patch changes what it names and nothing else (RFC 7396)."""
    before = await normalized(client, STUDY)

    await edited(client, STUDY, described("THORAX"))

    assert await normalized(client, STUDY) == before | described("THORAX")


@pytest.mark.parametrize("content_type", ["application/merge-patch+json", "application/dicom+json", "application/json"])
async def test_a_merge_patch_comes_under_three_media_types(client: httpx.AsyncClient, content_type: str) -> None:
    """A merge patch may be called by its own name, DICOM JSON or JSON; a parameter charset=utf-8 is no obstacle."""
    headers = {"Content-Type": f"{content_type}; charset=UTF-8"}

    response = await client.patch(f"{STUDY}/normalizedmetadata", json=described("X"), headers=headers)

    assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    ("method", "content_type"),
    [
        ("PATCH", "application/x-www-form-urlencoded"),
        ("PATCH", "application/json-patch+json"),
        ("PATCH", "application/json; charset=latin-1"),
        ("PATCH", None),
        ("PUT", "application/merge-patch+json"),
        ("PUT", "text/plain"),
    ],
)
async def test_another_media_type_is_415(client: httpx.AsyncClient, method: str, content_type: str | None) -> None:
    """A body of another kind is not guessed at, and the answer lists what is read."""
    headers = {"Content-Type": content_type} if content_type else {}

    response = await client.request(method, f"{STUDY}/normalizedmetadata", content=b"{}", headers=headers)

    assert response.status_code == 415
    assert "application/dicom+json" in response.json()["detail"]


async def test_an_empty_body_is_400(client: httpx.AsyncClient) -> None:
    """An edit without a body says nothing, which is not the same as nothing to change."""
    response = await client.patch(f"{STUDY}/normalizedmetadata", content=b"", headers=MERGE_PATCH)

    assert response.status_code == 400


async def test_a_body_over_the_limit_is_413(settings: Settings, store: Store) -> None:
    """A body larger than max_json_body is refused as it arrives, also when it does not say its size."""
    body = json.dumps(described("X" * 200)).encode()

    async def chunks() -> Any:
        for at in range(0, len(body), 50):
            yield body[at : at + 50]

    async with app_client(create_app(replace(settings, max_json_body=100), store)) as client:
        response = await client.patch(f"{STUDY}/normalizedmetadata", content=chunks(), headers=MERGE_PATCH)

    assert response.status_code == 413
    assert "100 bytes" in response.json()["detail"]


# -- PUT


async def test_put_removes_what_it_does_not_name(client: httpx.AsyncClient) -> None:
    """A dataset that is put in the place of a level takes its attributes away, its UID excepted."""
    await edited(client, STUDY, described("THORAX"))

    response = await client.put(
        f"{STUDY}/normalizedmetadata?force=true", json={"00080050": {"vr": "SH", "Value": ["A1"]}}, headers=DICOM_JSON
    )

    assert response.status_code == 200, response.text
    assert await normalized(client, STUDY) == {"00080050": {"vr": "SH", "Value": ["A1"]}, "0020000D": ui(STUDY_UID)}


@pytest.mark.parametrize("resource", [STUDY, SERIES, INSTANCE])
async def test_what_was_read_can_be_put_back(client: httpx.AsyncClient, resource: str) -> None:
    """The dataset of a read, put back as it is, changes nothing and breaks no constraint."""
    read = await client.get(f"{resource}/normalizedmetadata")

    response = await client.put(f"{resource}/normalizedmetadata", content=read.content, headers=DICOM_JSON)

    assert response.status_code == 200, response.text
    assert response.json()["changed"] is False
    assert await version_of(client) == 1


async def test_put_of_an_instance_keeps_what_no_edit_may_remove(client: httpx.AsyncClient) -> None:
    """UIDs, the character set and what describes the pixels stay where a dataset leaves them out."""
    response = await client.put(f"{INSTANCE}/normalizedmetadata?force=true", json={}, headers=DICOM_JSON)

    assert response.status_code == 200, response.text
    [file] = await retrieved(client, INSTANCE)
    assert (file.SOPInstanceUID, file.Rows, file.BitsAllocated, file.SpecificCharacterSet) == (
        INSTANCE_UID,
        128,
        16,
        "ISO_IR 100",
    )
    assert "InstanceNumber" not in file
    assert file.PatientName == "CompressedSamples^CT1"


# -- several levels at once


async def test_patches_of_several_levels_are_one_edit(client: httpx.AsyncClient) -> None:
    """An array of patches, each naming its UIDs, edits patient, study, series and instances as one version."""
    patches = [
        {"00100010": pn("DOE^JANE"), **described("THORAX")},
        {"0020000E": ui(SERIES_UID), "0008103E": lo("LUNG")},
        {"0020000E": ui(SERIES_UID), "00080018": ui(INSTANCE_UID), "00200013": {"vr": "IS", "Value": [11]}},
        {"0020000E": ui(SERIES_UID), "00080018": ui(f"{SERIES_UID}.2"), "00200013": {"vr": "IS", "Value": [12]}},
    ]

    response = await client.patch(f"{STUDY}/metadata", json=patches, headers=MERGE_PATCH)

    assert response.status_code == 200, response.text
    assert response.json()["levels"] == ["Patient", "Study", "Series", "Instance"]
    assert await version_of(client) == 2
    files = await retrieved(client, STUDY)
    assert {(str(file.PatientName), file.StudyDescription, file.SeriesDescription) for file in files} == {
        ("DOE^JANE", "THORAX", "LUNG")
    }
    assert sorted(file.InstanceNumber for file in files) == [11, 12]


@pytest.mark.parametrize(
    ("resource", "patches", "path"),
    [
        (STUDY, [described("A"), described("B")], "$[1].00081030"),
        (STUDY, [{"00080018": ui(INSTANCE_UID)}], "$[0].0020000E"),
        (STUDY, [{"0020000D": ui("1.2.3")}], "$[0].0020000D"),
        (SERIES, [{"0020000E": ui("1.2.3")}], "$[0].0020000E"),
        (STUDY, [{"0020000E": None}], "$[0].0020000E"),
        (STUDY, [{"0020000E": {"vr": "UI"}}], "$[0].0020000E"),
        (STUDY, [], "$"),
        (STUDY, [None], "$[0]"),
        (STUDY, None, "$"),
        (STUDY, described("A"), "$"),
    ],
    ids=[
        "they disagree",
        "no series above the instance",
        "another study",
        "another series",
        "null for a name",
        "empty for a name",
        "no patches",
        "null for a patch",
        "null for all",
        "no array",
    ],
)
async def test_patches_that_make_no_sense_are_400_with_the_path(
    client: httpx.AsyncClient, resource: str, patches: Any, path: str
) -> None:
    """Where patches disagree, or name something else, the answer has the JSON path; and nothing is changed."""
    body = json.dumps(patches).encode()

    response = await client.patch(f"{resource}/metadata", content=body, headers=MERGE_PATCH)

    assert (response.status_code, response.json()["path"]) == (400, path)
    assert await version_of(client) == 1


async def test_patches_need_not_name_every_instance(client: httpx.AsyncClient) -> None:
    """An instance that no patch names stays as it is."""
    patches = [{"00080018": ui(INSTANCE_UID), "00200013": {"vr": "IS", "Value": [11]}}]

    await client.patch(f"{SERIES}/metadata", json=patches, headers=MERGE_PATCH)

    assert sorted(file.InstanceNumber for file in await retrieved(client, SERIES)) == [2, 11]


# -- identifiers


async def test_a_study_uid_changes_with_force_and_a_revert_brings_it_back(client: httpx.AsyncClient) -> None:
    """A study under a new UID is found there and not under the old one, until the old study is reverted."""
    await edited(client, STUDY, {"0020000D": ui("1.2.3.4")}, "?force=true")
    moved = [
        (await client.get(f"{root}/normalizedmetadata")).status_code for root in (STUDY, f"{ROOT}/studies/1.2.3.4")
    ]

    reverted = await client.post(f"{STUDY}/revert?to=1")

    back = [(await client.get(f"{root}/normalizedmetadata")).status_code for root in (STUDY, f"{ROOT}/studies/1.2.3.4")]
    assert moved == [410, 200]
    assert reverted.status_code == 200, reverted.text
    assert back == [200, 410]


async def test_a_sop_instance_uid_changes_with_force(client: httpx.AsyncClient) -> None:
    """An instance goes under its new UID, file meta information included, and no longer under the old one."""
    await edited(client, INSTANCE, {"00080018": ui("1.2.3.4")}, "?force=true")

    [file] = await retrieved(client, f"{SERIES}/instances/1.2.3.4")
    assert (file.SOPInstanceUID, file.file_meta.MediaStorageSOPInstanceUID) == ("1.2.3.4", "1.2.3.4")
    assert (await client.get(f"{INSTANCE}/normalizedmetadata")).status_code == 404


async def test_a_uid_cannot_be_removed(client: httpx.AsyncClient) -> None:
    """Without its UID nothing could be found again: not even force removes it."""
    assert rules(await edit(client, STUDY, {"0020000D": None}, "?force=true")) == ["uid"]


# -- several series


async def test_a_study_edit_is_in_all_its_series_or_in_none(client: httpx.AsyncClient) -> None:
    """An edit of the study is one version of it and one of each image set; a refused one is none of any."""
    await stored(client, instance(series=OTHER_SERIES_UID))

    answer = await edited(client, STUDY, described("THORAX"))
    refused = await edit(client, STUDY, {"00200010": {"vr": "SH", "Value": ["9"]}})

    assert sorted(one["seriesInstanceUID"] for one in answer["imageSets"]) == [SERIES_UID, OTHER_SERIES_UID]
    assert [one["changed"] for one in answer["imageSets"]] == [True, True]
    assert (refused.status_code, await version_of(client, OTHER_SERIES)) == (409, 2)


# -- DELETE


async def test_a_deleted_instance_is_gone_and_its_older_version_is_not(client: httpx.AsyncClient) -> None:
    """Delete makes a version without the instance; the version before still has it."""
    response = await client.delete(INSTANCE)

    assert (response.status_code, response.json()["version"]) == (200, 2)
    assert (await client.get(INSTANCE)).status_code == 410
    assert len(await retrieved(client, STUDY)) == 1
    assert len(await retrieved(client, STUDY, "?version=1")) == 2


@pytest.mark.parametrize("resource", [STUDY, SERIES])
async def test_a_deleted_study_or_series_is_410_until_it_is_reverted(client: httpx.AsyncClient, resource: str) -> None:
    """What was deleted answers 410 and is found by no search; a revert brings back all of it."""
    await client.delete(resource)
    gone = await client.get(f"{resource}/normalizedmetadata")
    found = await client.get(f"{ROOT}/studies")

    reverted = await client.post(f"{resource}/revert?to=1")

    assert gone.status_code == 410
    assert found.status_code == 204 or found.json() == []
    assert reverted.status_code == 200, reverted.text
    assert len(await retrieved(client, resource)) == 2


async def test_the_last_instance_takes_its_series_with_it(client: httpx.AsyncClient) -> None:
    """A series without instances is a deleted one."""
    await client.delete(INSTANCE)
    await client.delete(f"{SERIES}/instances/{SERIES_UID}.2")

    assert (await client.get(f"{SERIES}/normalizedmetadata")).status_code == 410


async def test_what_is_deleted_cannot_be_deleted_again(client: httpx.AsyncClient) -> None:
    """The second delete is 410 and makes no version."""
    await client.delete(STUDY)

    assert (await client.delete(STUDY)).status_code == 410
    assert await version_of(client) == 2


# -- nothing changed


async def test_an_edit_that_changes_nothing_makes_no_version(client: httpx.AsyncClient) -> None:
    """The same value again is answered with 200, the version there is, and changed false."""
    first = await edited(client, STUDY, described("THORAX"))

    again = await edited(client, STUDY, described("THORAX"))

    assert (first["version"], again["version"], again["changed"], again["levels"]) == (2, 2, False, [])
    assert await version_of(client) == 2


@pytest.mark.parametrize("number", [0.661468, "0.661468", "0.66146800", 6.61468e-1])
async def test_a_decimal_in_other_clothes_is_the_same(client: httpx.AsyncClient, number: object) -> None:
    """0.661468 and 0.66146800 are one number: a client that reads and sends numbers changes nothing by it."""
    pixel_spacing = (await normalized(client, INSTANCE))["00280030"]

    answer = await edited(client, INSTANCE, {"00280030": {"vr": "DS", "Value": [number, number]}}, "?force=true")

    assert pixel_spacing == {"vr": "DS", "Value": [0.661468, 0.661468]}
    assert answer["changed"] is False


# -- bad input


BAD = [
    ("malformed JSON", STUDY, b'{"00081030": {"vr": "LO", "Value": ["' + CANARY.encode() + b'"', 400, "$"),
    ("a key twice", STUDY, b'{"00081030": {"vr": "LO"}, "00081030": {"vr": "LO"}}', 400, "$.00081030"),
    ("a keyword for a tag", STUDY, b'{"StudyDescription": {"vr": "LO"}}', 400, "$.StudyDescription"),
    ("one tag in two cases", SERIES, b'{"0008103e": {"vr": "LO"}, "0008103E": {"vr": "LO"}}', 400, "$.0008103E"),
    ("another VR", STUDY, b'{"00081030": {"vr": "UI", "Value": ["1.2"]}}', 400, "$.00081030.vr"),
    (
        "two kinds of value",
        INSTANCE,
        b'{"00420011": {"vr": "OB", "Value": [1], "InlineBinary": "AAAA"}}',
        400,
        "$.00420011",
    ),
    ("bad base64", INSTANCE, b'{"00420011": {"vr": "OB", "InlineBinary": "!!!"}}', 400, "$.00420011.InlineBinary"),
    (
        "an address elsewhere",
        INSTANCE,
        b'{"00420011": {"vr": "OB", "BulkDataURI": "http://169.254.169.254/latest/meta-data/"}}',
        400,
        "$.00420011.BulkDataURI",
    ),
    ("a value no VR holds", STUDY, b'{"00081030": {"vr": "LO", "Value": ["A\\\\B"]}}', 400, "$.00081030.Value[0]"),
    ("a UID that is none", STUDY, b'{"0020000D": {"vr": "UI", "Value": ["../.."]}}', 400, "$.0020000D.Value[0]"),
    ("file meta information", INSTANCE, b'{"00020010": {"vr": "UI"}}', 400, "$.00020010"),
    ("another level", STUDY, b'{"00100010": {"vr": "PN", "Value": [{"Alphabetic": "ZZCANARY^PATIENT"}]}}', 409, None),
    ("an unknown series", f"{STUDY}/series/1.2.3", b'{"0008103E": {"vr": "LO"}}', 404, None),
    ("an unknown instance", f"{SERIES}/instances/1.2.3", b'{"00200013": {"vr": "IS"}}', 404, None),
    ("an unknown study", f"{ROOT}/studies/1.2.3", b'{"00081030": {"vr": "LO"}}', 404, None),
    ("a path that is no UID", f"{ROOT}/studies/abc", b'{"00081030": {"vr": "LO"}}', 400, None),
]


@pytest.mark.parametrize(("resource", "body", "status", "path"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
async def test_bad_input_gets_one_clear_error_and_changes_nothing(
    client: httpx.AsyncClient, resource: str, body: bytes, status: int, path: str | None
) -> None:
    """Every kind of bad input is one problem document with a status of its own, without a patient's data in it."""
    response = await client.patch(f"{resource}/normalizedmetadata", content=body, headers=MERGE_PATCH)

    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json().get("path") == path
    assert "ZZCANARY" not in response.text
    assert "Traceback" not in response.text
    assert await version_of(client) == 1


async def test_bulk_data_of_the_same_instance_can_be_sent_back(client: httpx.AsyncClient) -> None:
    """A BulkDataURI that the gateway gave for this series stands for the value it has; nothing is fetched."""
    await stored(client, instance(instance_number=3, ICCProfile=b"\x01\x02" * 5000))
    third = f"{SERIES}/instances/{SERIES_UID}.3"
    profile = (await normalized(client, third))["00282000"]
    assert profile["BulkDataURI"].startswith(f"http://gateway.test{third}/bulkdata/")

    same = await edited(client, third, {"00282000": profile})

    assert same["changed"] is False


async def test_an_unknown_path_or_method_is_a_problem_too(client: httpx.AsyncClient) -> None:
    """405 says which methods a path has, all of them."""
    response = await client.put(f"{STUDY}/metadata", content=b"[]", headers=DICOM_JSON)

    assert response.status_code == 405
    assert {method.strip() for method in response.headers["Allow"].split(",")} == {"GET", "HEAD", "PATCH"}
