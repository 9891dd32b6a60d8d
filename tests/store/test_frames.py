"""VersionedStore's image frames: what is kept, what happens meanwhile, and what a full disk spoils."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import NotFound, NotReady, StorageFull
from gateway.metadata.image_set import MetadataUpdates
from gateway.store import frames
from gateway.store.versioned import VersionedStore, open_store
from tests.samples import ODD
from tests.store.edits import edit_of
from tests.store.frames_suite import frames_of, image, instances_of, stored


@pytest.fixture
async def versioned(tmp_path: Path) -> AsyncIterator[VersionedStore]:
    store = await open_store(tmp_path / "data")
    yield store
    await store.close()


@pytest.fixture
async def datastore_id(versioned: VersionedStore) -> str:
    return (await versioned.default_datastore()).datastore_id


async def encoded_ahead(store: VersionedStore) -> None:
    """Return when nothing is being encoded."""
    while store._frames._encoding:
        await asyncio.gather(*store._frames._encoding.values())


async def test_the_first_frame_has_the_others_encoded(versioned: VersionedStore, datastore_id: str) -> None:
    """They are read from a pack then, the one that was asked for too, with the very bytes it had."""
    image_set = await stored(versioned, datastore_id, *(image(number) for number in range(1, 71)))
    found = await frames_of(versioned, datastore_id, image_set)
    first = await versioned.image_frame(datastore_id, image_set, found[0]["ID"])
    await encoded_ahead(versioned)

    kept = [await versioned._log.frames.find(datastore_id, image_set, frame["ID"]) for frame in found]

    assert all(frame and frame.encoded for frame in kept)
    assert len({frame.encoded.pack for frame in kept if frame and frame.encoded}) == 2
    assert (await versioned.image_frame(datastore_id, image_set, found[0]["ID"])).data == first.data


async def test_reading_metadata_encodes_nothing(versioned: VersionedStore, datastore_id: str, tmp_path: Path) -> None:
    """Who never asks for a frame pays for none with disk."""
    image_set = await stored(versioned, datastore_id, image(1))
    before = sorted((tmp_path / "data" / "blobs").rglob("*"))

    [frame] = await frames_of(versioned, datastore_id, image_set)

    assert sorted((tmp_path / "data" / "blobs").rglob("*")) == before
    kept = await versioned._log.frames.find(datastore_id, image_set, frame["ID"])
    assert kept is not None and kept.encoded is None


async def test_what_was_made_is_there_after_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Document and frames are read, and no pixel is looked at again."""
    versioned = await open_store(tmp_path / "data")
    datastore_id = (await versioned.default_datastore()).datastore_id
    image_set = await stored(versioned, datastore_id, image(1), image(2))
    found = await frames_of(versioned, datastore_id, image_set)
    served = await versioned.image_frame(datastore_id, image_set, found[1]["ID"])
    data = bytes(served.data)
    await encoded_ahead(versioned)
    await versioned.close()
    monkeypatch.setattr(frames, "read_frames", None)

    store = await open_store(tmp_path / "data")

    assert await frames_of(store, datastore_id, image_set) == found
    assert (await store.image_frame(datastore_id, image_set, found[1]["ID"])).data == data
    await store.close()


async def test_an_edit_of_one_instance_looks_at_no_pixels(
    versioned: VersionedStore, datastore_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its part is a new one, and what is known of the stored files goes into it."""
    image_set = await stored(versioned, datastore_id, image(1), image(2))
    found = await frames_of(versioned, datastore_id, image_set)
    monkeypatch.setattr(frames, "read_frames", None)

    document = {"Study": {"Series": {"1.9.1": {"Instances": {"1.9.1.1": {"DICOM": {"InstanceNumber": "7"}}}}}}}
    update = MetadataUpdates({"SchemaVersion": 1.1, **document})
    await versioned.edit(edit_of(datastore_id, (image_set, 1, update)))

    assert await frames_of(versioned, datastore_id, image_set) == found


async def test_a_read_that_would_wait_too_long_is_told_so(
    versioned: VersionedStore, datastore_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work goes on, and whoever asks again gets the document."""
    image_set = await stored(versioned, datastore_id, *(image(number) for number in range(1, 40)))
    monkeypatch.setattr(versioned._frames, "_patience", 0.0)

    with pytest.raises(NotReady):
        await versioned.metadata_gzip(datastore_id, image_set)
    monkeypatch.setattr(versioned._frames, "_patience", 20.0)

    assert len(await instances_of(versioned, datastore_id, image_set)) == 39


async def test_damaged_pixels_do_not_hide_the_metadata(versioned: VersionedStore, datastore_id: str) -> None:
    """An instance whose frames cannot be decoded is told with none; its file is there to be retrieved."""
    file = bytearray(ODD["RLE"].read_bytes())
    segments = file.index(b"\xfe\xff\x00\xe0", file.index(b"\xfe\xff\x00\xe0") + 4) + 8  # PS3.5 G.5, after two items
    file[segments : segments + 64] = b"\xff" * 64
    image_set = await stored(versioned, datastore_id, bytes(file))

    [instance] = (await instances_of(versioned, datastore_id, image_set)).values()

    assert instance["ImageFrames"] == []
    assert instance["StoredTransferSyntaxUID"] == instance["DICOM"]["TransferSyntaxUID"]


async def test_a_frame_is_there_though_nothing_of_it_could_be_kept(
    versioned: VersionedStore, datastore_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk the document names frames that no table has; each of them can be read."""
    image_set = await stored(versioned, datastore_id, image(1), image(2))

    async def full(*_: Any) -> None:
        raise StorageFull("no room")

    monkeypatch.setattr(versioned._log.frames, "keep", full)
    instances = await instances_of(versioned, datastore_id, image_set)
    first, second = (instance["ImageFrames"][0]["ID"] for instance in instances.values())

    assert (await versioned.image_frame(datastore_id, image_set, second)).data
    with pytest.raises(NotFound):
        await versioned.image_frame(datastore_id, image_set, "0" * len(first))


async def test_a_full_disk_keeps_nothing_and_answers(
    versioned: VersionedStore, datastore_id: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Reads go on: the document is made for each reader, and a frame encoded for each."""
    image_set = await stored(versioned, datastore_id, image(1))

    async def full(*_: Any) -> None:
        raise StorageFull("no room")

    monkeypatch.setattr(versioned._log.frames, "keep", full)
    with caplog.at_level(logging.WARNING, "gateway.store"):
        first = await instances_of(versioned, datastore_id, image_set)
        again = await instances_of(versioned, datastore_id, image_set)

    assert first == again
    assert "no room" in caplog.text
    monkeypatch.undo()
    monkeypatch.setattr(versioned._blobs, "new_pack", full)
    [frame] = await frames_of(versioned, datastore_id, image_set)
    for _ in range(2):
        assert (await versioned.image_frame(datastore_id, image_set, frame["ID"])).data
        await encoded_ahead(versioned)
