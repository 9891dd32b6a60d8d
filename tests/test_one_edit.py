"""docs/one-edit.md is true: each JSON block of it is what the code makes at that step.

The page's blocks follow a comment that names the step, `<!-- map -->`. The request of the page is sent to the whole
application; the steps in between are the functions the page names, called with what the step before gave.
"""

from __future__ import annotations

import io
import itertools
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest

from gateway.app import create_app
from gateway.dicom.json_model import encode_json, parse_merge_patches
from gateway.dicomweb.edits.by_level import by_level
from gateway.dicomweb.problems import violation_json
from gateway.dicomweb.targets import Target
from gateway.metadata.apply import apply_to, apply_updates
from gateway.metadata.constraints import violations
from gateway.metadata.diff import changes
from gateway.metadata.image_set import ImageSetMetadata, MetadataUpdates
from gateway.metadata.mapping import LevelPatch, to_updates
from gateway.metadata.targets import targets_of
from gateway.settings import Settings
from gateway.store.protocol import Store
from gateway.store.versioned import open_store
from tests.conftest import app_client
from tests.dicomweb.wire import stored
from tests.samples import instance, sample

PAGE = Path(__file__).parent.parent / "docs" / "one-edit.md"
BLOCKS = dict(re.findall(r"<!-- (\w+) -->\n```json\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL))

STUDY = "1.2.826.0.1.3680043.8.498.1"
SERIES = f"{STUDY}.1"
INSTANCE = f"{SERIES}.1"
PATH = f"/dicomweb/studies/{STUDY}/metadata"


def block(step: str) -> Any:
    """Return the JSON the page shows at a step."""
    return json.loads(BLOCKS[step])


def same(step: str, made: Any) -> bool:
    """Whether the page shows what was made, as JSON."""
    return bool(block(step) == json.loads(encode_json(made)))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A store whose ids count and whose clock takes a minute for each look at it."""
    ids, minutes = itertools.count(1), itertools.count()
    start = datetime(2026, 11, 23, 9, tzinfo=UTC)
    store = await open_store(
        tmp_path,
        clock=lambda: start + timedelta(minutes=next(minutes)),
        new_id=lambda: f"{next(ids):032x}",
    )
    yield store
    await store.close()


@pytest.fixture
async def client(store: Store, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The application over that store, with the page's instance in it."""
    async with app_client(create_app(Settings(data=tmp_path), store)) as client:
        changes: dict[str, Any] = {"PatientName": "WANG^XIAODNG", "StudyDescription": "CHEST"}
        await stored(client, instance(study=STUDY, **changes))
        yield client


async def latest(store: Store) -> ImageSetMetadata:
    """Return the metadata of the study's one image set."""
    datastore = await store.default_datastore()
    study = await store.study(datastore.datastore_id, STUDY)
    return await store.metadata(datastore.datastore_id, study.members[0].image_set_id)


async def send(client: httpx.AsyncClient, **query: str) -> httpx.Response:
    """Send the page's request."""
    headers = {"Content-Type": "application/dicom+json", "If-Match": '"1"'}
    return await client.patch(PATH, params=query, headers=headers, content=BLOCKS["receive"])


def mapped() -> MetadataUpdates:
    """Return the update of the page's request, made as the road makes it: parsed, split by level, mapped."""
    edits = by_level(parse_merge_patches(BLOCKS["receive"].encode()), Target(STUDY))
    return to_updates([LevelPatch(edit.level, edit.patch, edit.series, edit.instance) for edit in edits])


async def test_the_request_is_mapped_to_the_update_document_of_the_page() -> None:
    """Tags become keywords, each at its own level, and null becomes a removal."""
    updates = mapped()

    assert same("map", {"updatableAttributes": updates.updatable, "removableAttributes": updates.removable})


async def test_the_study_is_one_image_set_in_version_1(client: httpx.AsyncClient, store: Store) -> None:
    """What is located before the edit is what the page says."""
    study = await store.study((await store.default_datastore()).datastore_id, STUDY)

    members = [{"imageSetId": one.image_set_id, "version": one.version} for one in study.members]
    assert same("locate", {"studyInstanceUID": STUDY, "version": study.version, "imageSets": members})


async def test_the_update_breaks_the_constraint_of_the_page(client: httpx.AsyncClient, store: Store) -> None:
    """Without force one rule is broken; with it none is left."""
    before = await latest(store)

    broken = violations(before, targets_of(mapped()), profile="2024-07", primary=True, force=False)

    assert same("check", [violation_json(violation) for violation in broken])
    assert violations(before, targets_of(mapped()), profile="2024-07", primary=True, force=True) == []


async def test_without_force_the_answer_is_the_refusal_of_the_page(client: httpx.AsyncClient, store: Store) -> None:
    """409, a problem document with all violations, and version 1 stays."""
    response = await send(client)

    assert response.status_code == 409
    assert same("refuse", response.json())
    assert (await latest(store)).head.patient["DICOM"]["PatientName"] == "WANG^XIAODNG"


async def test_applied_the_update_makes_what_the_page_shows(client: httpx.AsyncClient, store: Store) -> None:
    """Version 2 has the new name and the new private value, and no StudyDescription."""
    before = await latest(store)
    after = apply_to(before, apply_updates(before, targets_of(mapped())))

    shown = {
        "PatientName": after.head.patient["DICOM"]["PatientName"],
        "00091004": after.instances[INSTANCE]["DICOM"]["00091004"],
        "DICOMVRs of 00091004": after.instances[INSTANCE]["DICOMVRs"]["00091004"],
        "has StudyDescription": "StudyDescription" in after.head.study["DICOM"],
    }
    assert same("apply", shown)


async def test_the_versions_differ_in_what_the_page_says(client: httpx.AsyncClient, store: Store) -> None:
    """The diff of the answer is the diff of the two versions, and the one the API gives."""
    before = await latest(store)
    after = apply_to(before, apply_updates(before, targets_of(mapped())))
    await send(client, force="true", reason="Name misread at the scanner")

    response = await client.get(f"/dicomweb/studies/{STUDY}/diff", params={"from": "1", "to": "2"})

    assert same("compare", response.json())
    assert len(changes(before, after)) == len(block("compare")["changes"])


async def test_with_force_the_answer_is_the_one_of_the_page(client: httpx.AsyncClient) -> None:
    """200, with the new version and its ETag."""
    response = await send(client, force="true", reason="Name misread at the scanner")

    assert response.status_code == 200
    assert response.headers["ETag"] == '"2"'
    assert same("answer", response.json())


async def test_the_history_is_the_one_of_the_page(client: httpx.AsyncClient) -> None:
    """Two versions, newest first, with who, why and what."""
    await send(client, force="true", reason="Name misread at the scanner")

    response = await client.get(f"/dicomweb/studies/{STUDY}/versions")

    assert same("append", response.json())


async def test_both_faces_show_version_2(client: httpx.AsyncClient, store: Store) -> None:
    """QIDO-RS has the new name at once, and so has GetImageSet its version, as the page prints them."""
    await send(client, force="true", reason="Name misread at the scanner")
    datastore_id = (await store.default_datastore()).datastore_id
    image_set_id = block("locate")["imageSets"][0]["imageSetId"]

    found = (await client.get("/dicomweb/studies", params={"PatientID": "1CT1"})).json()
    image_set = (await client.post(f"/datastore/{datastore_id}/imageSet/{image_set_id}/getImageSet")).json()

    assert same("search", {tag: found[0][tag] for tag in ("00100010", "00100020", "0020000D")})
    assert same("healthimaging", image_set)


async def test_the_retrieved_instance_is_as_the_last_paragraph_says(client: httpx.AsyncClient) -> None:
    """The name in UTF-8, the pixels bit for bit."""
    await send(client, force="true", reason="Name misread at the scanner")

    path = f"/dicomweb/studies/{STUDY}/series/{SERIES}/instances/{INSTANCE}"
    response = await client.get(path, headers={"Accept": "application/dicom"})
    dataset = pydicom.dcmread(io.BytesIO(response.content))

    assert (dataset.SpecificCharacterSet, str(dataset.PatientName)) == ("ISO_IR 192", "Wang^XiaoDong=王^小東")
    assert dataset.PixelData == pydicom.dcmread(sample("CT_small.dcm")).PixelData
