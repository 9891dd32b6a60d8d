"""What an edit takes beside its body: force, a reason, a dry run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from gateway.app import create_app
from gateway.settings import Settings
from gateway.store.protocol import Store
from tests.conftest import app_client
from tests.dicomweb.edits import INSTANCE, SERIES, STUDY, described, edit, edited, rules, version_of
from tests.dicomweb.wire import stored
from tests.samples import ct_series


@pytest.fixture(autouse=True)
async def study(client: httpx.AsyncClient) -> None:
    """A study of two instances in one series."""
    await stored(client, *ct_series(2))


# -- constraints and force


async def test_all_violations_come_at_once(client: httpx.AsyncClient) -> None:
    """A refused edit lists every constraint it breaks, with tag, keyword, level, and whether force would lift it."""
    response = await edit(client, STUDY, {"00200010": {"vr": "SH", "Value": ["9"]}, "00080060": {"vr": "CS"}})

    assert rules(response) == ["level", "study-id"]
    by_rule = {violation["rule"]: violation for violation in response.json()["violations"]}
    assert by_rule["study-id"]["forceLifts"] is True
    assert (by_rule["level"]["tag"], by_rule["level"]["keyword"], by_rule["level"]["level"]) == (
        "00080060",
        "Modality",
        "Study",
    )
    assert by_rule["level"]["forceLifts"] is False
    assert await version_of(client) == 1


async def test_force_lifts_what_can_be_lifted_and_is_kept(client: httpx.AsyncClient) -> None:
    """With force=true the edit is made, and its version says that it was forced, and why."""
    patch = {"00200010": {"vr": "SH", "Value": ["9"]}}

    answer = await edited(client, STUDY, patch, "?force=true&reason=typing%20error")

    assert answer["forced"] is True
    latest = (await client.get(f"{STUDY}/versions")).json()[0]
    assert (latest["forced"], latest["reason"]) == (True, "typing error")


async def test_force_does_not_lift_the_rest(client: httpx.AsyncClient) -> None:
    """Rows describes the stored pixels: no edit changes it, whatever it is called with."""
    response = await edit(client, INSTANCE, {"00280010": {"vr": "US", "Value": [64]}}, "?force=true")

    assert rules(response) == ["pixel-description"]


OPTIONS = [
    ("force=true", 200),
    ("force=false", 409),
    ("", 409),
    ("force=true&force=false", 400),
    ("force=true&force=true", 400),
    ("force=1", 400),
    ("force=TRUE", 400),
    ("force=", 400),
    ("Force=true", 400),
    ("force=true&dryrun=true", 400),
    ("force=true&dryRun=yes", 400),
    ("force=true&reasonForModification=CORRECT", 200),
    ("force=true&reasonForModification=COERCE", 200),
    ("force=true&reasonForModification=correct", 400),
    ("force=true&reason=a&reason=b", 400),
    ("force=true&reason=a%0Ab", 400),
    ("force=true&reason=" + "x" * 1025, 400),
    ("force=true&sourceOfPreviousValues=RIS", 200),
    ("force=true&sourceOfPreviousValues=" + "x" * 65, 400),
]


@pytest.mark.parametrize(("query", "status"), OPTIONS, ids=[query[:60] or "none" for query, _ in OPTIONS])
async def test_options_are_read_strictly(client: httpx.AsyncClient, query: str, status: int) -> None:
    """An option twice, misspelt or with another value is 400 before anything is looked at; none is overlooked."""
    response = await edit(client, STUDY, {"00200010": {"vr": "SH", "Value": ["9"]}}, f"?{query}")

    assert response.status_code == status, response.text
    assert await version_of(client) == (2 if status == 200 else 1)


async def test_reasons_are_kept_on_the_version(client: httpx.AsyncClient) -> None:
    """What an edit says of itself is in the history of the study and of the image set."""
    query = "?reason=r&reasonForModification=CORRECT&sourceOfPreviousValues=RIS"

    await edited(client, STUDY, described("X"), query)

    for resource in (STUDY, SERIES):
        latest = (await client.get(f"{resource}/versions/2")).json()
        assert (latest["reason"], latest["reasonForModification"], latest["sourceOfPreviousValues"]) == (
            "r",
            "CORRECT",
            "RIS",
        )


async def test_force_can_be_made_to_need_a_reason(settings: Settings, store: Store) -> None:
    """With the setting on, force=true without a reason is 400, and with one it is made."""
    patch = {"00200010": {"vr": "SH", "Value": ["9"]}}
    async with app_client(create_app(replace(settings, force_needs_reason=True), store)) as client:
        without = await edit(client, STUDY, patch, "?force=true")
        with_one = await edit(client, STUDY, patch, "?force=true&reason=typing%20error")

    assert (without.status_code, without.json()["parameter"]) == (400, "reason")
    assert with_one.status_code == 200


# -- dry run


async def test_a_dry_run_shows_the_update_and_writes_nothing(client: httpx.AsyncClient) -> None:
    """dryRun=true answers with the SchemaVersion 1.1 document as `aws medical-imaging` takes it, and its size."""
    response = await edit(client, STUDY, described("THORAX"), "?dryRun=true")

    answer = response.json()
    assert (response.status_code, answer["dryRun"], answer["allowed"], answer["violations"]) == (200, True, True, [])
    [image_set] = answer["imageSets"]
    assert (image_set["latestVersionId"], image_set["changed"], image_set["levels"]) == ("1", True, ["Study"])
    text = image_set["updateImageSetMetadataUpdates"]["DICOMUpdates"]["updatableAttributes"]
    assert text == '{"SchemaVersion":1.1,"Study":{"DICOM":{"StudyDescription":"THORAX"}}}'
    assert image_set["size"]["updatableAttributes"] == len(text)
    assert image_set["size"]["withinLimits"] is True
    assert await version_of(client) == 1


async def test_a_dry_run_tells_what_force_would_lift(client: httpx.AsyncClient) -> None:
    """Without force a dry run says what stands in the way; with it, what would still."""
    patch = {"00200010": {"vr": "SH", "Value": ["9"]}}

    without = (await edit(client, STUDY, patch, "?dryRun=true")).json()
    with_force = (await edit(client, STUDY, patch, "?dryRun=true&force=true")).json()

    assert [violation["rule"] for violation in without["violations"]] == ["study-id"]
    assert (without["allowed"], without["forceNeeded"], without["violationsWithForce"]) == (False, True, [])
    assert with_force["allowed"] is True
    assert await version_of(client) == 1


async def test_a_dry_run_says_what_is_too_large_for_aws(client: httpx.AsyncClient) -> None:
    """HealthImaging takes documents of 30,000 bytes and payloads of 10 KB; a dry run measures both."""
    patch = {"001021B0": {"vr": "LT", "Value": ["x" * 9000]}}

    [image_set] = (await edit(client, STUDY, patch, "?dryRun=true")).json()["imageSets"]

    assert (image_set["size"]["documentLimit"], image_set["size"]["payloadQuota"]) == (30000, 10240)
    assert image_set["size"]["payload"] > 10240
    assert image_set["size"]["withinLimits"] is False


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("DELETE", STUDY, {"deleteImageSet": True}),
        ("POST", f"{STUDY}/revert?to=1&", {"updateImageSetMetadataUpdates": {"revertToVersionId": "1"}}),
    ],
)
async def test_deletes_and_reverts_can_be_tried_out_too(
    client: httpx.AsyncClient, method: str, path: str, expected: dict[str, Any]
) -> None:
    """A dry run of an edit that is no document says which HealthImaging action it would be."""
    await edited(client, STUDY, described("X"))

    response = await client.request(method, path + ("" if path.endswith("&") else "?") + "dryRun=true")

    [image_set] = response.json()["imageSets"]
    assert expected.items() <= image_set.items()
    assert await version_of(client) == 2
