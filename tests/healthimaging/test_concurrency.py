"""Requests that arrive together."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter

import httpx
import pytest

from tests.samples import instance


@pytest.fixture
async def image_set(client: httpx.AsyncClient, datastore_id: str) -> str:
    """The path of an image set of one CT instance."""
    stored = await client.post(
        f"/datastore/{datastore_id}/studies", content=instance(), headers={"Content-Type": "application/dicom"}
    )
    assert stored.status_code == 200, stored.text
    found = (await client.post(f"/datastore/{datastore_id}/searchImageSets")).json()
    return f"/datastore/{datastore_id}/imageSet/{found['imageSetsMetadataSummaries'][0]['imageSetId']}"


async def update(client: httpx.AsyncClient, image_set: str, name: str, latest: int = 1) -> httpx.Response:
    document = {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": name}}}
    blob = base64.b64encode(json.dumps(document).encode()).decode()
    return await client.post(
        f"{image_set}/updateImageSetMetadata?latestVersion={latest}",
        json={"DICOMUpdates": {"updatableAttributes": blob}},
    )


async def versions(client: httpx.AsyncClient, image_set: str) -> list[tuple[str, str]]:
    listed = (await client.post(f"{image_set}/listImageSetVersions")).json()["imageSetPropertiesList"]
    return [(version["versionId"], version["ImageSetWorkflowStatus"]) for version in listed]


async def test_one_of_many_updates_of_the_same_version_is_made(client: httpx.AsyncClient, image_set: str) -> None:
    """Of ten updates from version 1, one makes version 2, and the others are conflicts."""
    answers = await asyncio.gather(*(update(client, image_set, f"NAME^{number}") for number in range(10)))

    assert Counter(answer.headers.get("x-amzn-ErrorType") for answer in answers) == {None: 1, "ConflictException": 9}
    assert await versions(client, image_set) == [("2", "UPDATED"), ("1", "CREATED")]


async def test_deletions_of_one_image_set_are_one_deletion(client: httpx.AsyncClient, image_set: str) -> None:
    """A deletion names no version, so an update that came first is no conflict, and many deletions make one version."""
    answers = await asyncio.gather(
        update(client, image_set, "A^A"), *(client.post(f"{image_set}/deleteImageSet") for _ in range(5))
    )

    assert [answer.status_code for answer in answers[1:]] == [200] * 5
    assert [status for _, status in await versions(client, image_set)].count("DELETED") == 1
    assert (await versions(client, image_set))[0][1] == "DELETED"
