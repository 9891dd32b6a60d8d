"""PS3.10 files on their way in: written to a pack as they arrive, read where they lie.

Whoever receives files, over HTTP or out of a bucket, puts them into a pack with this, so that what is stored of a file
is the same whatever way it came.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterable
from dataclasses import dataclass

from gateway.dicom.part10 import Part10, Span, read_part10
from gateway.errors import InvalidPart10
from gateway.store.blobs import Address, Pack
from gateway.store.protocol import ReceivedInstance

# PS3.10 section 7.1.
PREAMBLE = 128
_PREFIX = b"DICM"
_HEAD = PREAMBLE + len(_PREFIX)


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file in a pack, and what was read of it."""

    part10: Part10
    address: Address
    sha256: str


class IncomingFile:
    """One file that is being written to a pack. Not for two at once in one pack.

    It is hashed while it is written. Then only its headers and large binary values are looked at: what of a mapped file
    is looked at counts as memory, and the pixels of one may be two gigabytes.
    """

    def __init__(self, pack: Pack) -> None:
        self._pack = pack
        self._start = pack.size
        self._digest = hashlib.sha256()

    async def write(self, data: bytes | memoryview) -> None:
        """Append some of its bytes: of its preamble zeros, so that no file is also a program (PS3.10 section 7.5)."""
        written = self._pack.size - self._start
        data = memoryview(data)
        if written < PREAMBLE:
            zeros = min(PREAMBLE - written, len(data))
            await self._append(bytes(zeros))
            data = data[zeros:]
        if data:
            await self._append(data)

    async def _append(self, data: bytes | memoryview) -> None:
        self._digest.update(data)
        await self._pack.write(data)

    async def read(self, inline_limit: int) -> WrittenFile:
        """Return the file, all of which is written. Raises InvalidPart10."""
        address = Address(self._pack.name, self._start, self._pack.size - self._start)
        view = await self._pack.view(address.offset, address.length)
        part10 = await asyncio.to_thread(read_part10, view, inline_limit)
        return WrittenFile(part10, address, self._digest.hexdigest())


async def receive_part10(pack: Pack, pieces: AsyncIterable[bytes | memoryview], inline_limit: int) -> WrittenFile:
    """Write a file to a pack and return it read.

    Raises InvalidPart10; what does not begin as a PS3.10 file is refused before any of it is written.
    """
    file = IncomingFile(pack)
    head = b""
    async for piece in pieces:
        if len(head) < _HEAD:
            head += piece
            if len(head) < _HEAD:
                continue
            _check_prefix(head)
            piece = head
        await file.write(piece)
    _check_prefix(head)
    return await file.read(inline_limit)


async def received_instance(file: WrittenFile, pack: Pack) -> ReceivedInstance:
    """Return a file as the Store takes it. Bulk values whose bytes had to be made are written to `pack`."""
    bulk: dict[str, Address] = {}
    for uri, value in file.part10.bulk.items():
        if isinstance(value, Span):
            bulk[uri] = file.address.part(value.offset, value.length)
        else:
            bulk[uri] = Address(pack.name, pack.size, len(value))
            await pack.write(value)
    return ReceivedInstance(file.part10.dataset, file.address, file.sha256, bulk)


def _check_prefix(head: bytes) -> None:
    if head[PREAMBLE:_HEAD] != _PREFIX:
        raise InvalidPart10("no DICM prefix: not a PS3.10 file", min(len(head), PREAMBLE))
