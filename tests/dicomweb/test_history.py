"""versions, diff, revert, and reading a version as it was."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.dicomweb.edits import (
    INSTANCE,
    INSTANCE_UID,
    ROOT,
    SERIES,
    SERIES_UID,
    STUDY,
    described,
    edited,
    lo,
    normalized,
    pn,
    ui,
    version_of,
)
from tests.dicomweb.wire import datasets, stored
from tests.samples import ct_series, instance

OTHER_SERIES_UID = "1.2.826.0.1.3680043.8.498.9"
OTHER_SERIES = f"{STUDY}/series/{OTHER_SERIES_UID}"


@pytest.fixture(autouse=True)
async def study(client: httpx.AsyncClient) -> None:
    """A study of two instances; version 2 has another StudyDescription, version 3 another InstanceNumber."""
    await stored(client, *ct_series(2))
    await edited(client, STUDY, described("SECOND"), "?reason=typing%20error")
    await edited(client, INSTANCE, {"00200013": {"vr": "IS", "Value": [7]}})


async def history(client: httpx.AsyncClient, resource: str) -> list[dict[str, Any]]:
    """Return a resource's versions."""
    found: list[dict[str, Any]] = (await client.get(f"{resource}/versions")).json()
    return found


async def diff(client: httpx.AsyncClient, resource: str, from_: int, to: int) -> list[dict[str, Any]]:
    """Return the changes between two versions."""
    response = await client.get(f"{resource}/diff?from={from_}&to={to}")
    assert response.status_code == 200, response.text
    changes: list[dict[str, Any]] = response.json()["changes"]
    return changes


# -- versions


async def test_a_history_is_newest_first_and_says_what_each_version_did(client: httpx.AsyncClient) -> None:
    """Each version has its number, its action, who and why, whether it was forced, and the keywords it changed."""
    versions = await history(client, STUDY)

    assert [(one["version"], one["action"], one["who"], one["reason"], one["forced"]) for one in versions] == [
        (3, "update", "anonymous", None, False),
        (2, "update", "anonymous", "typing error", False),
        (1, "store", "anonymous", None, False),
    ]
    assert [one["changed"] for one in versions] == [
        {"levels": {"Instance": ["InstanceNumber"]}, "instances": 1},
        {"levels": {"Study": ["StudyDescription"]}, "instances": 0},
        {"levels": {}, "instances": 2},
    ]


async def test_a_study_version_names_the_image_set_versions_it_consists_of(client: httpx.AsyncClient) -> None:
    """Two series of a study count for themselves, and the study counts the edits of both."""
    await stored(client, instance(series=OTHER_SERIES_UID))
    await edited(client, OTHER_SERIES, {"0008103E": lo("X")})

    latest = (await history(client, STUDY))[0]

    assert latest["version"] == 5
    assert [(one["seriesInstanceUID"], one["version"]) for one in latest["imageSets"]] == [
        (SERIES_UID, 3),
        (OTHER_SERIES_UID, 2),
    ]


async def test_an_instance_has_the_versions_that_changed_what_is_retrieved_of_it(client: httpx.AsyncClient) -> None:
    """The numbers are its image set's; a version that only touched another instance is not its own."""
    other = f"{SERIES}/instances/{SERIES_UID}.2"

    assert [one["version"] for one in await history(client, INSTANCE)] == [3, 2, 1]
    assert [one["version"] for one in await history(client, other)] == [2, 1]


async def test_one_version_can_be_asked_for(client: httpx.AsyncClient) -> None:
    """GET versions/{v} is one entry of the list; a number that is not in it is 404, and no number is 400."""
    versions = await history(client, STUDY)

    assert (await client.get(f"{STUDY}/versions/2")).json() == versions[1]
    assert (await client.get(f"{STUDY}/versions/4")).status_code == 404
    assert (await client.get(f"{STUDY}/versions/zero")).status_code == 400


@pytest.mark.parametrize("resource", [STUDY, SERIES])
async def test_what_is_deleted_still_has_its_history(client: httpx.AsyncClient, resource: str) -> None:
    """A deletion is the newest version of it."""
    await client.delete(resource)

    assert [one["action"] for one in await history(client, resource)] == ["delete", "update", "update", "store"]


@pytest.mark.parametrize(
    "path",
    [f"{ROOT}/studies/1.2.3", f"{STUDY}/series/1.2.3", f"{SERIES}/instances/1.2.3"],
    ids=["study", "series", "instance"],
)
async def test_what_was_never_there_has_no_history(client: httpx.AsyncClient, path: str) -> None:
    """A study, series or instance that nobody stored is 404."""
    assert (await client.get(f"{path}/versions")).status_code == 404


# -- a version as it was


@pytest.mark.parametrize(("version", "expected"), [(1, {"vr": "LO", "Value": ["e+1"]}), (2, lo("SECOND"))])
async def test_a_study_version_can_be_read(client: httpx.AsyncClient, version: int, expected: object) -> None:
    """?version= gives the dataset as it was, with the ETag of that version."""
    response = await client.get(f"{STUDY}/normalizedmetadata?version={version}")

    assert response.json()[0]["00081030"] == expected
    assert response.headers["ETag"] == f'"{version}"'


async def test_a_file_can_be_retrieved_as_it_was(client: httpx.AsyncClient) -> None:
    """Retrieve with ?version= is the PS3.10 file with the edits up to that version."""
    accept = {"Accept": 'multipart/related; type="application/dicom"'}

    [first] = datasets(await client.get(f"{INSTANCE}?version=2", headers=accept))
    [latest] = datasets(await client.get(INSTANCE, headers=accept))

    assert (first.StudyDescription, first.InstanceNumber) == ("SECOND", 1)
    assert (latest.StudyDescription, latest.InstanceNumber) == ("SECOND", 7)


@pytest.mark.parametrize("version", ["0", "-1", "1e3", "9", "99999999999999999999", "1&version=2", ""])
async def test_a_version_that_is_none_is_refused(client: httpx.AsyncClient, version: str) -> None:
    """A version is a whole number from 1, once; one there is not is 404, anything else 400."""
    for resource in (STUDY, SERIES, INSTANCE):
        response = await client.get(f"{resource}/normalizedmetadata?version={version}")
        assert response.status_code == (404 if version == "9" else 400), response.text


# -- diff


async def test_a_diff_has_each_attribute_before_and_after(client: httpx.AsyncClient) -> None:
    """Changes are by level, each with tag, keyword, VR, and the DICOM JSON element before and after."""
    assert await diff(client, STUDY, 1, 3) == [
        {
            "level": "Study",
            "tag": "00081030",
            "keyword": "StudyDescription",
            "vr": "LO",
            "before": {"vr": "LO", "Value": ["e+1"]},
            "after": {"vr": "LO", "Value": ["SECOND"]},
            "seriesInstanceUID": None,
            "sopInstanceUID": None,
        },
        {
            "level": "Instance",
            "tag": "00200013",
            "keyword": "InstanceNumber",
            "vr": "IS",
            "before": {"vr": "IS", "Value": [1]},
            "after": {"vr": "IS", "Value": [7]},
            "seriesInstanceUID": SERIES_UID,
            "sopInstanceUID": INSTANCE_UID,
        },
    ]


async def test_a_diff_works_backwards_and_is_empty_for_one_version(client: httpx.AsyncClient) -> None:
    """From newer to older, before and after change places; from a version to itself nothing changed."""
    [change] = await diff(client, STUDY, 2, 1)

    assert (change["before"], change["after"]) == (lo("SECOND"), lo("e+1"))
    assert await diff(client, STUDY, 2, 2) == []


async def test_a_study_level_change_is_told_once_for_all_series(client: httpx.AsyncClient) -> None:
    """That every image set of a study has the new PatientName is one change, not one for each."""
    await stored(client, instance(series=OTHER_SERIES_UID))
    await client.patch(
        f"{STUDY}/metadata", json=[{"00100010": pn("DOE^JANE")}], headers={"Content-Type": "application/json"}
    )

    assert [(one["level"], one["keyword"]) for one in await diff(client, STUDY, 4, 5)] == [("Patient", "PatientName")]


async def test_a_diff_of_an_instance_is_about_it_and_its_head(client: httpx.AsyncClient) -> None:
    """What happened to another instance of the series is not in it."""
    other = f"{SERIES}/instances/{SERIES_UID}.2"

    assert [one["keyword"] for one in await diff(client, other, 1, 3)] == ["StudyDescription"]
    assert [one["keyword"] for one in await diff(client, INSTANCE, 1, 3)] == ["StudyDescription", "InstanceNumber"]


async def test_series_that_came_or_went_are_instances_that_came_or_went(client: httpx.AsyncClient) -> None:
    """A new series shows as its instances, present after and absent before; a deleted one the other way."""
    await stored(client, instance(series=OTHER_SERIES_UID))
    await client.delete(SERIES)

    came, *_ = await diff(client, STUDY, 3, 4)
    went = await diff(client, STUDY, 4, 5)

    uid = f"{OTHER_SERIES_UID}.1"
    assert (came["tag"], came["before"], came["after"]) == (None, None, {"SOPInstanceUID": uid})
    assert [(one["before"], one["after"]) for one in went] == [
        ({"SOPInstanceUID": f"{SERIES_UID}.1"}, None),
        ({"SOPInstanceUID": f"{SERIES_UID}.2"}, None),
    ]


@pytest.mark.parametrize("query", ["", "?from=1", "?to=1", "?from=1&to=x", "?from=0&to=1"])
async def test_a_diff_needs_two_versions(client: httpx.AsyncClient, query: str) -> None:
    """Both ends are needed, and both are version numbers."""
    assert (await client.get(f"{STUDY}/diff{query}")).status_code == 400


# -- revert


async def test_a_revert_is_a_new_version_with_the_old_content(client: httpx.AsyncClient) -> None:
    """History is never rewritten: reverting to version 1 makes version 4, which equals it."""
    response = await client.post(f"{STUDY}/revert?to=1&reason=was%20right%20before")

    assert (response.status_code, response.json()["version"]) == (200, 4)
    assert await diff(client, STUDY, 1, 4) == []
    latest = (await history(client, STUDY))[0]
    assert (latest["action"], latest["reason"]) == ("revert", "was right before")


async def test_a_series_is_reverted_by_its_own_numbers(client: httpx.AsyncClient) -> None:
    """The number in a series' revert is one of its image set, as `aws medical-imaging` shows it."""
    await stored(client, instance(series=OTHER_SERIES_UID))

    response = await client.post(f"{SERIES}/revert?to=2")

    assert (response.json()["version"], response.json()["studyVersion"]) == (4, 5)
    assert (await normalized(client, INSTANCE))["00200013"] == {"vr": "IS", "Value": [1]}


async def test_an_instance_is_reverted_without_its_series(client: httpx.AsyncClient) -> None:
    """Only the instance's own attributes go back: what it shares with others stays, and so do the others."""
    response = await client.post(f"{INSTANCE}/revert?to=1")

    assert response.status_code == 200, response.text
    assert (await normalized(client, INSTANCE))["00200013"] == {"vr": "IS", "Value": [1]}
    assert (await normalized(client, STUDY))["00081030"] == lo("SECOND")


async def test_an_instance_whose_pixels_were_replaced_is_not_reverted_alone(client: httpx.AsyncClient) -> None:
    """Attributes of one object over the pixels of another would be a lie: the series is what can be reverted."""
    await stored(client, instance(StudyDescription="SECOND", PixelData=b"\0" * 32768))

    response = await client.post(f"{INSTANCE}/revert?to=1")

    assert response.status_code == 409
    assert "revert the series" in response.json()["detail"]


async def test_a_study_revert_undoes_what_came_and_what_went(client: httpx.AsyncClient) -> None:
    """A series that came later is deleted, one deleted since comes back, as one new version of the study."""
    await stored(client, instance(series=OTHER_SERIES_UID))
    await client.delete(SERIES)

    response = await client.post(f"{STUDY}/revert?to=3")

    assert (response.status_code, response.json()["version"]) == (200, 6)
    assert (await client.get(f"{OTHER_SERIES}/normalizedmetadata")).status_code == 410
    assert (await normalized(client, INSTANCE))["00200013"] == {"vr": "IS", "Value": [7]}


async def test_a_revert_to_what_is_current_changes_nothing(client: httpx.AsyncClient) -> None:
    """Reverting to the current version, or to one with the same content, makes no version."""
    await client.post(f"{STUDY}/revert?to=1")

    for to in (4, 1):
        response = await client.post(f"{STUDY}/revert?to={to}")
        assert (response.status_code, response.json()["changed"]) == (200, False)
    assert await version_of(client) == 4


async def test_a_changed_series_uid_is_reverted_under_its_new_name(client: httpx.AsyncClient) -> None:
    """A series keeps its versions when its UID changes; reverting gives the old UID back."""
    await edited(client, SERIES, {"0020000E": ui("1.2.3.4")}, "?force=true")

    response = await client.post(f"{STUDY}/series/1.2.3.4/revert?to=3")

    assert response.status_code == 200, response.text
    assert (await normalized(client, SERIES))["0020000E"] == ui(SERIES_UID)


@pytest.mark.parametrize(("query", "status"), [("", 400), ("?to=0", 400), ("?to=x", 400), ("?to=9", 404)])
@pytest.mark.parametrize("resource", [STUDY, SERIES, INSTANCE])
async def test_a_revert_needs_a_version_there_is(
    client: httpx.AsyncClient, resource: str, query: str, status: int
) -> None:
    """Without `to`, or with one that is no version, nothing happens."""
    assert (await client.post(f"{resource}/revert{query}")).status_code == status
    assert await version_of(client) == 3


async def test_what_was_deleted_and_stored_again_is_no_longer_the_version_it_was(client: httpx.AsyncClient) -> None:
    """An ETag from before a deletion does not match a series that was stored anew and has the same version number."""
    etag = (await client.get(f"{SERIES}/normalizedmetadata?version=1")).headers["ETag"]
    await client.delete(STUDY)
    await stored(client, *ct_series(2))

    response = await client.patch(
        f"{SERIES}/normalizedmetadata",
        json={"0008103E": lo("X")},
        headers={"Content-Type": "application/json", "If-Match": etag},
    )

    assert await version_of(client, SERIES) == 1
    assert response.status_code == 412
