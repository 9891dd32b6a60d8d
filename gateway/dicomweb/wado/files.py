"""The files of a resource, written for a retrieve: as they came wherever nothing was edited, else with every edit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from gateway.dicom.dataset import BulkData, Dataset
from gateway.dicom.levels import level_of
from gateway.dicom.part10 import Buffer, Splice, rewrite
from gateway.dicomweb.locate import Located
from gateway.dicomweb.wado.metadata import dataset_of
from gateway.errors import InvalidPart10, NotAcceptable
from gateway.metadata.image_set import Head, ImageSetMetadata
from gateway.metadata.mapping import to_dataset
from gateway.pixels.instance import transcode_instance
from gateway.store.contents import ImageSetFiles, InstanceFile, Member
from gateway.store.protocol import Store

# Of how many instances the metadata are read at a time where one has to be rewritten: memory is bounded.
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Writing:
    """The files of one image set that are to be sent, and the transfer syntax of each, by SOP Instance UID.

    as_stored: whether an instance whose pixels turn out to be damaged is sent in the transfer syntax it is stored in.
    """

    located: Located
    member: Member
    files: ImageSetFiles
    syntaxes: Mapping[str, str]
    as_stored: bool = False

    @property
    def wanted(self) -> list[InstanceFile]:
        return [file for file in self.files.instances if file.sop_instance_uid in self.syntaxes]

    def as_received(self, file: InstanceFile) -> bool:
        """Whether the file that came is the one to send."""
        return file.received is self.files.head and self.keeps_syntax(file)

    def keeps_syntax(self, file: InstanceFile) -> bool:
        return self.syntaxes[file.sop_instance_uid] == file.transfer_syntax_uid

    async def written(self) -> AsyncIterator[tuple[str, str, Sequence[Buffer]]]:
        """Yield the SOP Instance UID of each file, its transfer syntax and its pieces.

        Raises InvalidPart10, NotAcceptable, TooLarge for what cannot be written.
        """
        wanted, splices = self.wanted, _Splices(self.files.head)
        for at in range(0, len(wanted), _BATCH):
            batch, metadata = wanted[at : at + _BATCH], None
            for place, file in enumerate(batch):
                pieces = await self._without_rewriting(file, splices)
                if pieces is not None:
                    yield file.sop_instance_uid, file.transfer_syntax_uid, pieces
                    continue
                metadata = metadata or await self._metadata({one.sop_instance_uid for one in batch[place:]})
                yield file.sop_instance_uid, *await self._rewritten(file, metadata)

    async def _without_rewriting(self, file: InstanceFile, splices: _Splices) -> Sequence[Buffer] | None:
        """Return a file that came, with what was edited above its instance; None for one that has to be rewritten.

        On the event loop, where it takes a few microseconds, and one file after the other as they are sent: what has to
        come from the disk is read ahead.
        """
        if not self.keeps_syntax(file):
            return None
        original = await self.located.store.read(file.stored.address)
        return [original] if file.received is self.files.head else splices.pieces(file, original)

    async def _metadata(self, uids: Collection[str]) -> ImageSetMetadata:
        located, member = self.located, self.member
        return await located.store.metadata(located.datastore_id, member.image_set_id, member.version, uids)

    async def _rewritten(self, file: InstanceFile, metadata: ImageSetMetadata) -> tuple[str, Sequence[Buffer]]:
        store = self.located.store
        original = await store.read(file.stored.address)
        read_bulk = bulk_reader(store, self.located.datastore_id, self.member.image_set_id)
        return await asyncio.to_thread(self._write, original, file, metadata, read_bulk)

    def _write(
        self,
        original: memoryview,
        file: InstanceFile,
        metadata: ImageSetMetadata,
        read_bulk: Callable[[BulkData], memoryview],
    ) -> tuple[str, Sequence[Buffer]]:
        chunks = rewrite(original, dataset_of(metadata, file.sop_instance_uid), read_bulk)
        wanted = self.syntaxes[file.sop_instance_uid]
        if self.keeps_syntax(file):
            return wanted, chunks
        try:
            return wanted, transcode_instance(chunks, wanted)
        except (InvalidPart10, NotAcceptable):
            # One damaged frame is found out when others are on their way already, and must not take them with it.
            if not self.as_stored:
                raise
            return file.transfer_syntax_uid, chunks


class _Splices:
    """What the files of an image set lack: for each head that they came with, the difference to the head now."""

    def __init__(self, now: Head) -> None:
        self._now = _shared(now)
        self._by_head: dict[int, Splice | None] = {}

    def pieces(self, file: InstanceFile, original: memoryview) -> Sequence[Buffer] | None:
        """Return a file's pieces, None where it has to be rewritten."""
        if file.received is None:
            return None
        key = id(file.received)
        if key not in self._by_head:
            self._by_head[key] = _splice(_shared(file.received), self._now)
        splice = self._by_head[key]
        return splice.pieces(original) if splice else None


def _shared(head: Head) -> Dataset:
    return to_dataset(head.patient, head.study, head.series)


def _splice(before: Dataset, after: Dataset) -> Splice | None:
    """Return the splice from one head to another, None where an instance may have an attribute of its own instead."""
    if any(level_of(tag) == "Instance" for tag in before.keys() | after.keys()):
        return None
    splice = Splice(before, after)
    return splice if splice.possible else None


def bulk_reader(store: Store, datastore_id: str, image_set_id: str) -> Callable[[BulkData], memoryview]:
    """Return what reads bulk data from another thread than the event loop's."""
    loop = asyncio.get_running_loop()

    async def read(uri: str) -> memoryview:
        return await store.read(await store.bulk_data(datastore_id, image_set_id, uri))

    return lambda bulk: asyncio.run_coroutine_threadsafe(read(bulk.uri), loop).result()
