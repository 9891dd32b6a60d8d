"""What is retrieved of a version beside its metadata: its files, and which pixel data are in them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from gateway.dicom.part10 import PixelElement
from gateway.metadata.image_set import Head
from gateway.pixels.stored_frames import stored_pixel_element
from gateway.store.blobs.protocol import Address, Blobs
from gateway.store.contents import ImageSetFiles, InstanceFile
from gateway.store.editing import INSTANCES_ON_LOOP
from gateway.store.instance_files import OLDER_HEADS, Digested, digested, instance_files
from gateway.store.kept import Kept
from gateway.store.log.contents import StoredVersion
from gateway.store.log.heads import unpack_head
from gateway.store.log.protocol import VersionLog


@dataclass(frozen=True, slots=True)
class Retriever:
    """Retrieves. digests: what is known of the files in parts, left there by stores too."""

    log: VersionLog
    blobs: Blobs
    digests: Kept[tuple[str, int], dict[str, Digested]]

    async def files(self, stored: StoredVersion, instances: Collection[str] | None) -> ImageSetFiles:
        head = unpack_head(stored.head)
        found = await self.digested(stored, instances)
        files = await _files(found, [head])
        if any(file.received is None for file in files):
            at = stored.properties
            older = await self.log.heads(at.datastore_id, at.image_set_id, OLDER_HEADS)
            heads = [head, *(unpack_head(packed) for packed in older if packed != stored.head)]
            files = await _files(found, heads)
        return ImageSetFiles(head, files)

    async def pixel_elements(self, stored: StoredVersion, instances: Collection[str] | None) -> dict[str, PixelElement]:
        kept, at = self._kept(stored).values(), stored.properties
        if instances is not None and _has_all(kept, instances):
            return await self._looked_at({uid: _pixels(part[uid]) for uid in instances for part in kept if uid in part})
        found = await self.log.pixel_elements(at.datastore_id, at.image_set_id, at.version, instances)
        return await self._looked_at(found)

    async def part_pixel_elements(
        self, datastore_id: str, image_set_id: str, numbers: Collection[int]
    ) -> dict[str, PixelElement]:
        kept = {number: part for number in numbers if (part := self.digests.peek((image_set_id, number)))}
        found = {uid: _pixels(one) for part in kept.values() for uid, one in part.items()}
        if missing := [number for number in numbers if number not in kept]:
            found |= await self.log.part_pixel_elements(datastore_id, image_set_id, missing)
        return await self._looked_at(found)

    async def _looked_at(self, found: Mapping[str, PixelElement | Address]) -> dict[str, PixelElement]:
        """Return which pixel data there are; of what was stored before that was kept, by a look at the files."""
        known = {uid: one for uid, one in found.items() if isinstance(one, PixelElement)}
        files = {uid: await self.blobs.read(one) for uid, one in found.items() if isinstance(one, Address)}
        if files:
            looked_at = await asyncio.to_thread(list, map(stored_pixel_element, files.values()))
            known |= zip(files, looked_at, strict=True)
        return {uid: element for uid, element in known.items() if element.tag}

    async def digested(self, stored: StoredVersion, instances: Collection[str] | None) -> list[Digested]:
        """Return the instances wanted of a version, in document order."""
        at = stored.properties
        numbers = [part.number for part in stored.manifest if part.number]
        found = self._kept(stored)
        if len(found) < len(numbers) and not _has_all(found.values(), instances):
            read = await self.log.files(at.datastore_id, at.image_set_id, at.version, instances)
            new = await asyncio.to_thread(digested, read)
            for number, digests in new.items():
                self.digests.put((at.image_set_id, number), digests)
            found |= new
        parts = [found[number] for number in numbers if number in found]
        if instances is None:
            return [one for part in parts for one in part.values()]
        wanted = frozenset(instances)
        some = [part for part in parts if not wanted.isdisjoint(part)]
        return [one for part in some for uid, one in part.items() if uid in wanted]

    def _kept(self, stored: StoredVersion) -> dict[int, dict[str, Digested]]:
        """Return what is kept of the instances of a version's parts, by the parts' numbers."""
        keys = [(stored.properties.image_set_id, part.number) for part in stored.manifest if part.number]
        return {key[1]: digests for key in keys if (digests := self.digests.peek(key))}


def _pixels(instance: Digested) -> PixelElement | Address:
    """Return which pixel data an instance has; where that was not kept, the address of its file."""
    stored = instance.stored
    return stored.address if stored.pixels is None else stored.pixels


def _has_all(parts: Collection[Mapping[str, Digested]], instances: Collection[str] | None) -> bool:
    return instances is not None and all(any(uid in part for part in parts) for uid in instances)


async def _files(found: Sequence[Digested], heads: Sequence[Head]) -> list[InstanceFile]:
    if len(found) > INSTANCES_ON_LOOP:
        return await asyncio.to_thread(instance_files, found, heads)
    return instance_files(found, heads)
