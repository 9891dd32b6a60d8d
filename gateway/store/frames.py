"""Image frames of the HealthImaging API: what the metadata say of them, and the frames themselves.

Both are made of the stored bytes when they are first asked for, never before a store is acknowledged, and kept. What
is said of frames costs decoding each of them once; a read that would wait too long for it is told to come again, as
the service tells it after an import. The frames of an image set are encoded when the first one is asked for.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from gateway.errors import GatewayError, InvalidPart10, NotAcceptable, NotFound, NotReady, StorageFull, TooLarge
from gateway.metadata.image_set import InstanceMetadata
from gateway.pixels.frames import read_frames
from gateway.pixels.image_frames import StorageFormat, image_frames, stored_frame, stored_transfer_syntax
from gateway.store.blobs.protocol import Address, Blobs
from gateway.store.contents import ImageFrame, StoredObject
from gateway.store.kept import Kept
from gateway.store.log.contents import StoredVersion
from gateway.store.log.frame_log import Generated, KeptFrame, NewFrames
from gateway.store.log.parts import Part, PlacedInstance, pack_part, unpack_index, unpack_part
from gateway.store.log.protocol import VersionLog

logger = logging.getLogger("gateway.store")

# How many seconds a read waits for what is generated. The AWS clients wait for an answer for 60.
PATIENCE = 20.0

# Bytes of parts kept, with what is generated in them: they never change, and every version of a document is made of
# them. Those of a series of 500 are some 300 KB.
KEPT = 16 * 1024 * 1024

# Frames encoded ahead go into packs of at most so many.
FRAMES_IN_PACK = 64

_NOTHING = NewFrames({}, "", as_stored=True, frames=())


@dataclass(frozen=True, slots=True)
class _Work:
    """Parts of a version that are not kept with their frames yet, and where their instances lie."""

    datastore_id: str
    image_set_id: str
    storage_format: StorageFormat
    parts: Mapping[int, Part]
    objects: Mapping[str, StoredObject]


class FrameKeeper:
    """Makes and keeps what is generated of pixels. `close` waits for what is under way."""

    def __init__(self, log: VersionLog, blobs: Blobs, patience: float = PATIENCE) -> None:
        self._log = log
        self._blobs = blobs
        self._patience = patience
        self._kept: Kept[tuple[str, int], Part] = Kept(KEPT, lambda part: len(part.body) + len(part.index))
        self._describing: dict[str, asyncio.Task[dict[int, Part]]] = {}
        self._encoding: dict[str, asyncio.Task[None]] = {}
        self._one_encodes = asyncio.Semaphore(1)
        self._closing = False

    async def close(self) -> None:
        """Finish the frame that is being made, and begin no other."""
        self._closing = True
        await asyncio.gather(*self._describing.values(), *self._encoding.values(), return_exceptions=True)

    # -- metadata

    async def parts(self, stored: StoredVersion) -> list[Part]:
        """Return the parts of a version with what is generated in them, in document order. Raises NotReady."""
        properties = stored.properties
        image_set_id = properties.image_set_id
        numbers = [part.number for part in stored.manifest if part.number]
        # Only what the log has is kept here: a frame is found by what the log says of it.
        found = {number: part for number in numbers if (part := self._kept.peek((image_set_id, number)))}
        if unread := [number for number in numbers if number not in found]:
            read = await self._log.frames.framed_parts(properties.datastore_id, image_set_id, unread)
            for number, part in read.items():
                self._kept.put((image_set_id, number), part)
            found |= read
        while missing := [number for number in numbers if number not in found]:
            task = self._describing.get(properties.image_set_id)
            if task is None:
                task = asyncio.create_task(self._describe(stored, missing))
                self._describing[properties.image_set_id] = task
                task.add_done_callback(lambda _: self._describing.pop(properties.image_set_id, None))
            try:
                found |= await asyncio.wait_for(asyncio.shield(task), self._patience)
            except TimeoutError as error:
                raise NotReady(f"image set {properties.image_set_id}") from error
        return [found[number] for number in numbers]

    async def _describe(self, stored: StoredVersion, numbers: Collection[int]) -> dict[int, Part]:
        """Generate what parts lack, and keep it; return those parts with it."""
        at = stored.properties
        parts = await self._log.parts(at.datastore_id, at.image_set_id, numbers)
        objects = await self._log.objects(at.datastore_id, at.image_set_id, at.version, None)
        work = _Work(at.datastore_id, at.image_set_id, await self._format(at.datastore_id), parts, objects)
        framed: dict[int, Part] = {}
        for number, part in parts.items():
            if self._closing:
                raise NotReady(f"image set {at.image_set_id}")
            framed[number] = await self._describe_part(work, number, part)
        return framed

    async def _describe_part(self, work: _Work, number: int, part: Part) -> Part:
        placed = unpack_part(part)
        numbers = unpack_index(part.index)
        known = await self._log.frames.generated(work.datastore_id, work.image_set_id, numbers.values())
        new = {
            object_number: await self._generate(work.objects[uid], work.storage_format)
            for uid, object_number in numbers.items()
            if object_number not in known
        }
        generated = {**known, **{object_number: one.generated for object_number, one in new.items()}}
        framed = await asyncio.to_thread(_with_generated, placed, generated)
        try:
            await self._log.frames.keep(work.datastore_id, work.image_set_id, new, {number: framed})
        except StorageFull:
            logger.warning("no room to keep what is generated of image frames: it is made anew for each read")
        return framed

    async def _generate(self, stored: StoredObject, storage_format: StorageFormat) -> NewFrames:
        data = await self._blobs.read(stored.address)
        return await asyncio.to_thread(generate, data, stored.sha256, storage_format)

    # -- frames

    async def frame(self, datastore_id: str, image_set_id: str, image_frame_id: str) -> ImageFrame:
        """Return an image frame as the data store keeps it. Raises NotFound, Gone, NotReady."""
        found = await self._log.frames.find(datastore_id, image_set_id, image_frame_id)
        if found is None:
            stored = await self._log.read(datastore_id, image_set_id)
            await self.parts(stored)
            found = await self._log.frames.find(datastore_id, image_set_id, image_frame_id)
            found = found or await self._find_unkept(stored, image_frame_id)
        if found is None:
            raise NotFound("image frame", image_frame_id)
        if found.encoded is not None:
            return ImageFrame(await self._blobs.read(found.encoded), found.transfer_syntax_uid)
        storage_format = await self._format(datastore_id)
        data = await asyncio.to_thread(_encode, await self._blobs.read(found.stored.address), found, storage_format)
        if not found.as_stored:
            self._encode_ahead(datastore_id, image_set_id, storage_format)
        return ImageFrame(memoryview(data), found.transfer_syntax_uid)

    async def _find_unkept(self, stored: StoredVersion, image_frame_id: str) -> KeptFrame | None:
        """Return a frame of an object whose frames there was no room to keep."""
        at = stored.properties
        parts = await self._log.parts(
            at.datastore_id, at.image_set_id, [one.number for one in stored.manifest if one.number]
        )
        numbers = {uid: number for part in parts.values() for uid, number in unpack_index(part.index).items()}
        known = await self._log.frames.generated(at.datastore_id, at.image_set_id, numbers.values())
        unkept = [uid for uid, number in numbers.items() if number not in known]
        objects = await self._log.objects(at.datastore_id, at.image_set_id, at.version, unkept) if unkept else {}
        for uid, one in objects.items():
            new = await self._generate(one, await self._format(at.datastore_id))
            for frame_id, frame in new.frames:
                if frame_id == image_frame_id:
                    return KeptFrame(
                        frame_id, numbers[uid], one, frame, new.transfer_syntax_uid, new.as_stored, encoded=None
                    )
        return None

    def _encode_ahead(self, datastore_id: str, image_set_id: str, storage_format: StorageFormat) -> None:
        """Begin to encode the frames of an image set: who asks for one asks for the next."""
        if image_set_id not in self._encoding and not self._closing:
            task = asyncio.create_task(self._encode_all(datastore_id, image_set_id, storage_format))
            self._encoding[image_set_id] = task
            task.add_done_callback(lambda _: self._encoding.pop(image_set_id, None))

    async def _encode_all(self, datastore_id: str, image_set_id: str, storage_format: StorageFormat) -> None:
        after = (0, 0)
        try:
            async with self._one_encodes:
                while not self._closing:
                    frames = await self._log.frames.unencoded(datastore_id, image_set_id, after, FRAMES_IN_PACK)
                    if not frames:
                        return
                    await self._encode_pack(frames, storage_format)
                    after = frames[-1].object_number, frames[-1].number
        except GatewayError as error:
            # Each frame is encoded for whoever asks for it, so nobody misses anything but speed.
            logger.warning("frames are not encoded ahead: %s", type(error).__name__)

    async def _encode_pack(self, frames: Sequence[KeptFrame], storage_format: StorageFormat) -> None:
        pack = await self._blobs.new_pack()
        encoded: dict[str, dict[str, StoredObject]] = {}
        try:
            for frame in frames:
                if self._closing:
                    break
                stored = await self._blobs.read(frame.stored.address)
                data = await asyncio.to_thread(_encode, stored, frame, storage_format)
                at = Address(pack.name, pack.size, len(data))
                await pack.write(data)
                digest = hashlib.sha256(data).hexdigest()
                encoded.setdefault(frame.transfer_syntax_uid, {})[frame.image_frame_id] = StoredObject(at, digest)
            if encoded:
                await pack.commit()
        finally:
            await pack.discard()
        for uid, frames_of_uid in encoded.items():
            await self._log.frames.keep_encoded(frames_of_uid, uid)

    async def _format(self, datastore_id: str) -> StorageFormat:
        """Return the format a data store was created with. Raises NotFound."""
        for datastore in await self._log.datastores():
            if datastore.datastore_id == datastore_id:
                return cast(StorageFormat, datastore.properties.get("losslessStorageFormat", "HTJ2K"))
        raise NotFound("data store", datastore_id)


def generate(data: memoryview, sha256: str, storage_format: StorageFormat) -> NewFrames:
    """Return what is generated for a stored file. One without pixels, or with damaged ones, has no image frames."""
    try:
        frames = read_frames(data)
    except (NotFound, InvalidPart10, TooLarge):
        return _NOTHING
    original = frames.transfer_syntax.uid
    try:
        described = image_frames(frames, sha256, storage_format)
        stored = stored_transfer_syntax(frames, storage_format)
    except (InvalidPart10, NotAcceptable, TooLarge):
        return NewFrames({"StoredTransferSyntaxUID": original, "ImageFrames": []}, original, as_stored=True, frames=())
    as_stored = stored.uid == original
    generated: Generated = {
        "StoredTransferSyntaxUID": stored.uid,
        "ChecksumType": "COMPRESSED" if as_stored and frames.encapsulated else "DECOMPRESSED",
        "ImageFrames": described,
    }
    ids = [(frame["ID"], number) for number, frame in enumerate(described, 1)]
    return NewFrames(generated, stored.uid, as_stored, ids)


def _encode(data: memoryview, frame: KeptFrame, storage_format: StorageFormat) -> bytes | memoryview:
    return stored_frame(read_frames(data), frame.number, storage_format).data


def _with_generated(placed: Sequence[PlacedInstance], generated: Mapping[int, Generated]) -> Part:
    """Return a part whose instances have what is generated beside their attributes."""
    return pack_part(
        PlacedInstance(
            one.sop_instance_uid,
            one.object_number,
            cast(InstanceMetadata, {**one.metadata, **generated[one.object_number]}),
        )
        for one in placed
    )
