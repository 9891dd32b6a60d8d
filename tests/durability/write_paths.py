"""Every way to write to a data folder, for the fault loop: what it starts from, and when the disk fails."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx

from gateway.cli import main
from gateway.errors import StorageFailed, StorageFull
from gateway.store.backup import backup
from gateway.store.blobs import shared_pack
from gateway.store.storing import PLACED_WITHIN
from tests.durability.gateway_requests import (
    MERGE_PATCH,
    Gateway,
    job_done,
    rename,
    small_instance,
    stow,
    study_path,
    study_uid,
    update_document,
)

# The study that is written to, one that is created, one more, and one that must not notice.
STUDY, NEW_STUDY, ANOTHER, BYSTANDER = 1, 4, 5, 3


Start = Literal["nothing", "stored", "crashed", "older"]
Write = Callable[[Gateway], Awaitable[httpx.Response]]


@dataclass(frozen=True, slots=True)
class WritePath:
    """A way to write. command: a program of its own over the folder, instead of a request. start: the folder before it.
    fails: the phase in which the disk does. refusals: what is answered when the disk is full, and when it fails."""

    name: str
    write: Write
    start: Start = "stored"
    fails: Literal["open", "write", "close"] = "write"
    command: Callable[[Path], httpx.Response] | None = None
    refusals: tuple[int, int] = (507, 503)


async def store(gateway: Gateway) -> httpx.Response:
    return await stow(gateway.client, small_instance(NEW_STUDY), small_instance(NEW_STUDY, 2))


async def store_many(gateway: Gateway) -> httpx.Response:
    """Store so many that they have a pack of their own."""
    return await stow(gateway.client, *(small_instance(NEW_STUDY, number) for number in range(1, PLACED_WITHIN + 2)))


async def store_twice(gateway: Gateway) -> httpx.Response:
    """Store two studies, the second into the pack the first has begun."""
    first = await stow(gateway.client, small_instance(NEW_STUDY))
    return await stow(gateway.client, small_instance(ANOTHER)) if first.is_success else first


async def store_into_the_next_pack(gateway: Gateway) -> httpx.Response:
    """Store two studies, each into a shared pack of its own: the first one is full."""
    shared_pack.FULL = 1  # in this process, which is one run's
    return await store_twice(gateway)


async def store_into_a_series(gateway: Gateway) -> httpx.Response:
    return await stow(gateway.client, small_instance(STUDY, 3))


async def edit(gateway: Gateway) -> httpx.Response:
    return await rename(gateway.client, STUDY, "Edited^Once")


async def edit_an_instance(gateway: Gateway) -> httpx.Response:
    uid = study_uid(STUDY)
    path = f"{study_path(STUDY)}/series/{uid}.1/instances/{uid}.1.1/normalizedmetadata"
    comments = {"00204000": {"vr": "LT", "Value": ["seen twice"]}}
    return await gateway.client.patch(path, json=comments, headers=MERGE_PATCH)


async def edit_with_a_key(gateway: Gateway) -> httpx.Response:
    return await rename(gateway.client, STUDY, "Edited^Once", Idempotency_Key="one")


async def edit_over_healthimaging(gateway: Gateway) -> httpx.Response:
    datastore = (await gateway.store.default_datastore()).datastore_id
    study = await gateway.store.study(datastore, study_uid(STUDY))
    path = f"/datastore/{datastore}/imageSet/{study.members[0].image_set_id}/updateImageSetMetadata"
    body = update_document(PatientName="Edited^Once")
    return await gateway.client.post(f"{path}?latestVersion={study.members[0].version}", json=body)


async def revert(gateway: Gateway) -> httpx.Response:
    return await gateway.client.post(f"{study_path(STUDY)}/revert?to=1")


async def delete(gateway: Gateway) -> httpx.Response:
    return await gateway.client.delete(study_path(STUDY))


async def job(gateway: Gateway) -> httpx.Response:
    comments = {"00104000": {"vr": "LT", "Value": ["allergic"]}}
    path = f"/dicomweb/patients/P{STUDY}/normalizedmetadata"
    response = await gateway.client.patch(path, json=comments, headers=MERGE_PATCH)
    if response.status_code == 202:
        await job_done(gateway.client, response)
    return response


async def create_data_store(gateway: Gateway) -> httpx.Response:
    return await gateway.client.post("/datastore", json={"datastoreName": "second", "clientToken": "one"})


async def only_read(gateway: Gateway) -> httpx.Response:
    return await gateway.client.get("/livez")


# -- import

ROLE = "arn:aws:iam::123456789012:role/ImportJobDataAccessRole"


def incoming(run: Path) -> None:
    """Put files to import into a folder below: a new study of two, and one of a study there is."""
    path = run / "incoming"
    path.mkdir(parents=True)
    for number, content in enumerate(
        [small_instance(NEW_STUDY), small_instance(NEW_STUDY, 2), small_instance(STUDY, 3)]
    ):
        (path / f"{number}.dcm").write_bytes(content)


async def import_job(gateway: Gateway) -> httpx.Response:
    """Start a job, and answer with how it ended: 200 where it is COMPLETED."""
    datastore = (await gateway.store.default_datastore()).datastore_id
    request = {
        "dataAccessRoleArn": ROLE,
        "clientToken": "one",
        "inputS3Uri": f"file://{gateway.folder.parent}/incoming/",
        "outputS3Uri": f"file://{gateway.folder.parent}/imported/",
    }
    started = await gateway.client.post(f"/startDICOMImportJob/datastore/{datastore}", json=request)
    if started.status_code != 200:
        return started
    for _ in range(100):
        job = await gateway.client.get(f"/getDICOMImportJob/datastore/{datastore}/job/{started.json()['jobId']}")
        status = job.json().get("jobProperties", {}).get("jobStatus") if job.status_code == 200 else "unknown"
        if status in ("COMPLETED", "FAILED"):
            return httpx.Response(200 if status == "COMPLETED" else 500, text=job.text)
        await asyncio.sleep(0.005)
    return httpx.Response(500, text="the job did not end")


def import_command(folder: Path) -> httpx.Response:
    """Run `gateway import`: 200 for one that did it, 500 for one that said that it did not, and else its status."""
    arguments = ["import", str(folder.parent / "incoming"), "--data", str(folder), "--quiet"]
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        status = main(arguments)
    return httpx.Response({0: 200, 1: 500, 74: 500}.get(status, status))


# -- backup


async def back_up(gateway: Gateway) -> httpx.Response:
    """Copy the folder while a gateway serves it. A copy that is said to be made is sound, and any other is none."""
    target = gateway.folder.parent / "copy"
    try:
        await asyncio.to_thread(backup, gateway.folder, target)
    except (StorageFull, StorageFailed):
        assert not (target / "gateway.db").exists(), "half a copy looks like a data folder"
        return httpx.Response(503)
    return httpx.Response(200)


# -- image frames


async def read_frames(gateway: Gateway) -> httpx.Response:
    """Read metadata with image frames, and a frame, over HealthImaging: reading, which keeps what it makes."""
    datastore = (await gateway.store.default_datastore()).datastore_id
    member = (await gateway.store.study(datastore, study_uid(STUDY))).members[0]
    path = f"/datastore/{datastore}/imageSet/{member.image_set_id}"
    metadata = await gateway.client.post(f"{path}/getImageSetMetadata", json={})
    if metadata.status_code != 200:
        return metadata
    [series] = metadata.json()["Study"]["Series"].values()
    instance = next(iter(series["Instances"].values()))
    frame = {"imageFrameId": instance["ImageFrames"][0]["ID"]}
    answer = await gateway.client.post(f"{path}/getImageFrame", json=frame)
    return httpx.Response(answer.status_code, text="" if answer.is_success else answer.text)


PATHS = (
    WritePath("store", store),
    WritePath("store of many", store_many),
    WritePath("store into a shared pack", store_twice),
    WritePath("store into the next pack", store_into_the_next_pack),
    WritePath("store into a series", store_into_a_series),
    WritePath("edit", edit),
    WritePath("edit of an instance", edit_an_instance),
    WritePath("edit with an Idempotency-Key", edit_with_a_key),
    # HealthImaging's model has no status for a full disk: InternalServerException.
    WritePath("edit over HealthImaging", edit_over_healthimaging, refusals=(500, 500)),
    WritePath("revert", revert),
    WritePath("delete", delete),
    WritePath("job", job),
    WritePath("data store", create_data_store, refusals=(500, 500)),
    WritePath("import job", import_job, refusals=(500, 500)),
    WritePath("gateway import", only_read, fails="open", command=import_command, refusals=(500, 500)),
    WritePath("backup", back_up, refusals=(503, 503)),
    WritePath("image frames", read_frames, refusals=(500, 500)),
    WritePath("open a new folder", only_read, start="nothing", fails="open"),
    WritePath("open after a crash", only_read, start="crashed", fails="open"),
    WritePath("migrate", only_read, start="older", fails="open"),
    WritePath("close", edit, fails="close"),
)
