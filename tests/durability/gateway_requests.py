"""Requests that write, as a client sends them to the whole application, and what a client can read back."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from gateway.app import create_app, opened_store
from gateway.settings import Settings
from gateway.store.contents import ImageSetVersion
from gateway.store.protocol import Store
from tests.conftest import app_client
from tests.dicomweb.wire import STOW, multipart
from tests.samples import instance

ROOT = "/dicomweb"
JSON = {"Content-Type": "application/dicom+json"}
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}

PREFIX = "1.2.826.0.1.3680043.8.498"


def study_uid(number: int) -> str:
    return f"{PREFIX}.{number}"


def study_path(number: int) -> str:
    return f"{ROOT}/studies/{study_uid(number)}"


@cache
def small_instance(study: int, number: int = 1, series: int = 1) -> bytes:
    """Return a CT instance with an image of eight by eight pixels."""
    return instance(
        study=study_uid(study),
        series=f"{study_uid(study)}.{series}",
        instance_number=number,
        PatientID=f"P{study}",
        Rows=8,
        Columns=8,
        PixelData=hashlib.shake_256(f"{study} {series} {number}".encode()).digest(128),
    )


def named(study: int, name: str) -> list[dict[str, Any]]:
    """Return an edit of a study that sets PatientName, as PATCH …/metadata takes it."""
    return [
        {
            "0020000D": {"vr": "UI", "Value": [study_uid(study)]},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": name}]},
        }
    ]


async def stow(client: httpx.AsyncClient, *files: bytes) -> httpx.Response:
    return await client.post(f"{ROOT}/studies", content=multipart(files), headers={"Content-Type": STOW})


async def rename(client: httpx.AsyncClient, study: int, name: str, **headers: str) -> httpx.Response:
    """Set the PatientName of a study."""
    sent = JSON | {header.replace("_", "-"): value for header, value in headers.items()}
    return await client.patch(f"{study_path(study)}/metadata", json=named(study, name), headers=sent)


def update_document(**patient: str) -> dict[str, Any]:
    """Return the body of UpdateImageSetMetadata for attributes of the patient."""
    document = {"SchemaVersion": 1.1, "Patient": {"DICOM": patient}}
    return {"DICOMUpdates": {"updatableAttributes": base64.b64encode(json.dumps(document).encode()).decode()}}


# -- the application over a folder


@dataclass(frozen=True, slots=True)
class Gateway:
    """The whole application over a data folder, without a socket."""

    folder: Path
    store: Store
    client: httpx.AsyncClient


@asynccontextmanager
async def gateway_over(folder: Path) -> AsyncIterator[Gateway]:
    settings = Settings(data=folder, import_folders=str(folder.parent))
    async with opened_store(settings) as store, app_client(create_app(settings, store)) as client:
        yield Gateway(folder, store, client)


# -- what there is

# In Original Attributes Sequence (0400,0561), of what was coerced: the time of the run.
_WHEN_MODIFIED = re.compile(r'"AttributeModificationDateTime": "[^"]*"')

Contents = dict[str, Any]


async def contents(store: Store) -> Contents:
    """Return what a store holds, by thing: every version of every study with its metadata and stored bytes.

    Ids and times are left out, so that two stores that were told the same compare equal.
    """
    found: Contents = {"data stores": [one.name for one in await store.datastores()]}
    for datastore in await store.datastores():
        if datastore.status != "ACTIVE":
            continue
        changes = await store.changes(datastore.datastore_id, 0, 1_000_000)
        assert [one.sequence for one in changes] == sorted({one.sequence for one in changes})
        for study in dict.fromkeys(one.study_instance_uid for one in changes):
            found[f"study {study}"] = await _study(store, datastore.datastore_id, study)
    return found


async def _study(store: Store, datastore_id: str, study: str) -> list[Any]:
    """Return a study's versions, oldest first, checked for gaps: of it and of its image sets."""
    versions = (await store.study_versions(datastore_id, study))[::-1]
    assert [one.version for one in versions] == list(range(1, len(versions) + 1))
    told = []
    for one in versions:
        members = [await store.image_set(datastore_id, member.image_set_id, member.version) for member in one.members]
        told.append([one.action, one.forced, [await _image_set(store, member) for member in members]])
    for image_set_id in {member.image_set_id for member in versions[-1].members}:
        numbers = [one.version for one in await store.versions(datastore_id, image_set_id)]
        assert numbers == list(range(len(numbers), 0, -1))
    return told


async def _image_set(store: Store, version: ImageSetVersion) -> list[Any]:
    where = (version.datastore_id, version.image_set_id, version.version)
    told: list[Any] = [version.version, version.state, version.action, version.is_primary]
    if version.state == "DELETED":
        return told
    metadata = await store.metadata(*where)
    document = [metadata.head.patient, metadata.head.study, metadata.head.series, metadata.instances]
    objects = await store.objects(*where)
    for stored in objects.values():
        assert hashlib.sha256(await store.read(stored.address)).hexdigest() == stored.sha256
    text = _WHEN_MODIFIED.sub("", json.dumps(document, sort_keys=True))
    digest = hashlib.sha256(text.encode()).hexdigest()
    return [*told, digest, {uid: stored.sha256 for uid, stored in objects.items()}]


async def job_done(client: httpx.AsyncClient, response: httpx.Response) -> None:
    """Wait until the job of a 202 is done, or for a while if the disk lets it not."""
    location = response.headers["Location"]
    for _ in range(100):
        answer = await client.get(location)
        if answer.status_code != 200 or answer.json()["status"] == "COMPLETED":
            return
        await asyncio.sleep(0.005)
