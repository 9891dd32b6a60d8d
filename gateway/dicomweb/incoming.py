"""PS3.10 instances on their way into a pack, one after the other, and what becomes of each."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from starlette.requests import Request

from gateway.dicom.part10 import Buffer, Part10, Span, read_part10
from gateway.dicomweb.store_response import STUDY_INSTANCE_UID, Failed, OtherStudy, Outcome, uid_of
from gateway.errors import InvalidPart10
from gateway.state import State, who_asks
from gateway.store.blobs import Address, Pack
from gateway.store.protocol import Provenance, ReceivedInstance, StoredInstance

# PS3.10 section 7.1.
_PREAMBLE = 128


@dataclass(slots=True)
class Incoming:
    """The instances of one request as they come in. outcomes: one for each, None until the Store has had it.

    A file is hashed while it is written, and then only its headers and large binary values are looked at: what is
    mapped counts as memory, and the pixels of a file may be two gigabytes.
    """

    pack: Pack
    inline_limit: int
    study: str | None
    outcomes: list[Outcome | None] = field(default_factory=list)
    received: list[ReceivedInstance] = field(default_factory=list)
    start: int = 0
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    async def write(self, data: memoryview) -> None:
        """Append some bytes of the file: of its preamble, zeros, so that no file is also a program (S13)."""
        written = self.pack.size - self.start
        if written < _PREAMBLE:
            zeros = min(_PREAMBLE - written, len(data))
            await self._append(bytes(zeros))
            data = data[zeros:]
        if data:
            await self._append(data)

    async def _append(self, data: Buffer) -> None:
        self.digest.update(data)
        await self.pack.write(memoryview(data))

    async def file_ends(self) -> None:
        """Read the file, and note what it is or why it is refused."""
        address = Address(self.pack.name, self.start, self.pack.size - self.start)
        digest, self.digest = self.digest.hexdigest(), hashlib.sha256()
        view = await self.pack.view(address.offset, address.length)
        try:
            part10 = await asyncio.to_thread(read_part10, view, self.inline_limit)
        except InvalidPart10 as error:
            self.outcomes.append(Failed(error))
        else:
            await self._note(part10, digest, address)
        self.start = self.pack.size

    async def add(self, pieces: Iterable[Buffer]) -> None:
        """Take a whole file in."""
        for piece in pieces:
            await self.write(memoryview(piece))
        await self.file_ends()

    async def _note(self, part10: Part10, digest: str, address: Address) -> None:
        if self.study and uid_of(part10.dataset, STUDY_INSTANCE_UID) not in ("", self.study):
            self.outcomes.append(Failed(OtherStudy(), part10.dataset))
            return
        bulk = {uri: await self._bulk_address(value, address) for uri, value in part10.bulk.items()}
        self.received.append(ReceivedInstance(part10.dataset, address, digest, bulk))
        self.outcomes.append(None)

    async def _bulk_address(self, value: Span | bytes, file: Address) -> Address:
        """Return where a bulk value lies: in its file, or after it where its bytes had to be made."""
        if isinstance(value, Span):
            return file.part(value.offset, value.length)
        address = Address(self.pack.name, self.pack.size, len(value))
        await self.pack.write(value)
        return address

    async def stored(self, request: Request[State], datastore_id: str) -> list[Outcome]:
        """Hand what could be read to the Store; return what became of each instance, in order."""
        stored: list[StoredInstance] = []
        if self.received:
            await self.pack.commit()
            provenance = Provenance(who_asks(request.scope))
            stored = await request.state["store"].store_instances(datastore_id, self.received, provenance)
        placed = zip(self.received, stored, strict=True)
        return [outcome or _outcome(*next(placed)) for outcome in self.outcomes]


def _outcome(received: ReceivedInstance, stored: StoredInstance) -> Outcome:
    """Return what became of an instance; of a refused one, with what it says it is."""
    return Failed(stored.error, received.dataset) if stored.error else stored
