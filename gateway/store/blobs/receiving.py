"""PS3.10 files on their way in: written to a pack as they arrive, read where they lie.

Whoever receives files, over HTTP or out of a bucket, puts them into a pack with this, so that what is stored of a file
is the same whatever way it came. To hash, write and read one takes a millisecond and waits for the disk: it is done on
a thread, for many pieces at a time, while more of them arrive. But for what is less work than to go there: that is done
on the event loop, where it arrives (Ahead).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from gateway.dicom.dataset import Dataset
from gateway.dicom.part10 import Part10, Span, named_in_meta
from gateway.dicom.part10_alike import Alike
from gateway.errors import InvalidPart10
from gateway.store.blobs.protocol import Address, Pack
from gateway.store.contents import ReceivedInstance

Piece = TypeVar("Piece")

# PS3.10 section 7.1.
PREAMBLE = 128
_PREFIX = b"DICM"
_HEAD = PREAMBLE + len(_PREFIX)

# With how many bytes the thread is given work, and what waits for it at most before the sender has to wait as well. To
# hand something over takes a tenth of a millisecond.
WORTH_A_THREAD = 1024 * 1024
WAITING = 2 * 1024 * 1024

# So many bytes at the beginning are worked on at once, where they came: it takes less than a thread's hop. Of so many
# more what is known to be little work is too; no pack of them is written to the disk yet.
AT_ONCE = 64 * 1024
LITTLE_WORK = 960 * 1024

# More threads take nothing in faster: all want Python's one lock between a write and the next, and it goes from core to
# core.
_THREADS = ThreadPoolExecutor(2, "gateway-receiving")

# What the last files had in common, whatever request they came in.
_ALIKE = Alike()


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file in a pack, and what was read of it."""

    part10: Part10
    address: Address
    sha256: str


class IncomingFile:
    """One file that is being written to a pack. Not for two at once in one pack.

    It is hashed while it is written. Then only its headers and large binary values are looked at: what of a mapped file
    is looked at counts as memory, and the pixels of one may be two gigabytes. One that came in one piece is looked at
    there: to map it costs more. To `write` much and to `read` is for a thread.
    """

    def __init__(self, pack: Pack) -> None:
        self._pack = pack
        self._start = pack.size
        self._digest = hashlib.sha256()
        self._piece: memoryview | None = None

    def write(self, data: bytes | memoryview) -> None:
        """Append some of its bytes: of its preamble zeros, so that no file is also a program (PS3.10 section 7.5)."""
        written = self._pack.size - self._start
        self._piece = None if written else memoryview(data)
        if written < PREAMBLE:
            data = memoryview(data)
            zeros = min(PREAMBLE - written, len(data))
            self._append(bytes(zeros))
            data = data[zeros:]
        if data:
            self._append(data)

    def _append(self, data: bytes | memoryview) -> None:
        self._digest.update(data)
        self._pack.append(data)

    def read(self, inline_limit: int) -> WrittenFile:
        """Return the file, all of which is written. Raises InvalidPart10."""
        return self._written(_ALIKE.read(self._look(), inline_limit))

    def read_at_once(self, inline_limit: int) -> WrittenFile | None:
        """Return the file if to read it is little work, because it is like others; None if that is not known."""
        part10 = _ALIKE.read_at_once(self._look(), inline_limit)
        return None if part10 is None else self._written(part10)

    def named(self) -> Dataset:
        """Return which instance it says that it is, of a file that cannot be read."""
        return named_in_meta(self._look())

    def _look(self) -> memoryview:
        return self._piece or self._pack.look(self._start, self._pack.size - self._start)

    def _written(self, part10: Part10) -> WrittenFile:
        address = Address(self._pack.name, self._start, self._pack.size - self._start)
        return WrittenFile(part10, address, self._digest.hexdigest())


class Ahead(Generic[Piece]):
    """Has `work` do what arrives, in order, on one thread at a time, while more arrives; what is small, at once.

    little: does those of some pieces that are little work, up to the first that is not, and returns the rest. What
    either raises is raised by a `put` or by `done`. Call `settled` last, whatever happened: nothing runs after it.
    """

    def __init__(
        self, work: Callable[[list[Piece]], None], little: Callable[[list[Piece]], list[Piece]] | None = None
    ) -> None:
        self._work = work
        self._little = little
        self._waiting: list[Piece] = []
        self._size = 0
        self._total = 0
        self._running: asyncio.Future[None] | None = None

    async def put(self, pieces: list[Piece], size: int) -> None:
        """Take pieces of so many bytes in; wait while too much waits."""
        self._total += size
        if self._total <= AT_ONCE:
            self._work(pieces)
            return
        if self._little is not None and self._total <= LITTLE_WORK and not self._waiting and self._running is None:
            pieces = self._little(pieces)
            size = size if pieces else 0
        self._waiting += pieces
        self._size += size
        idle = self._running is None or self._running.done()
        if self._size > WAITING or (idle and self._size >= WORTH_A_THREAD):
            await self._next()

    async def done(self) -> None:
        """Return when all of it is done."""
        while self._running is not None or self._waiting:
            await self._next()

    async def settled(self) -> None:
        """Return when nothing runs, done or not."""
        if self._running is not None:
            await asyncio.wait([self._running])
            self._running.exception()  # or asyncio reports that nobody asked for it

    async def _next(self) -> None:
        """Begin with what waits when nothing runs any more. Raises what the work raised."""
        if self._running is not None:
            await asyncio.wait([self._running])  # which, unlike awaiting it, does not give it up with us
            self._running.result()
            self._running = None
        if self._waiting:
            pieces, self._waiting, self._size = self._waiting, [], 0
            self._running = asyncio.get_running_loop().run_in_executor(_THREADS, self._work, pieces)


async def receive_part10(pack: Pack, pieces: AsyncIterable[bytes | memoryview], inline_limit: int) -> WrittenFile:
    """Write a file to a pack and return it read.

    Raises InvalidPart10; what does not begin as a PS3.10 file is refused before any of it is written.
    """
    file = IncomingFile(pack)

    def write(gathered: list[bytes | memoryview]) -> None:
        file.write(b"".join(gathered))

    head, ahead = b"", Ahead(write)
    try:
        async for piece in pieces:
            if len(head) < _HEAD:
                head += piece
                if len(head) < _HEAD:
                    continue
                _check_prefix(head)
                piece = head
            await ahead.put([piece], len(piece))
        _check_prefix(head)
        await ahead.done()
    finally:
        await ahead.settled()
    return await asyncio.to_thread(file.read, inline_limit)


async def received_instance(file: WrittenFile, pack: Pack) -> ReceivedInstance:
    """Return a file as the Store takes it. Bulk values whose bytes had to be made are written to `pack`."""
    return await asyncio.to_thread(as_received, file, pack)


def as_received(file: WrittenFile, pack: Pack) -> ReceivedInstance:
    """`received_instance`, on the thread it is called on."""
    bulk: dict[str, Address] = {}
    for uri, value in file.part10.bulk.items():
        if isinstance(value, Span):
            bulk[uri] = file.address.part(value.offset, value.length)
        else:
            bulk[uri] = Address(pack.name, pack.size, len(value))
            pack.append(value)
    pixels = file.part10.pixel_element
    return ReceivedInstance(file.part10.dataset, file.address, file.sha256, bulk, pixels=pixels)


def _check_prefix(head: bytes) -> None:
    if head[PREAMBLE:_HEAD] != _PREFIX:
        raise InvalidPart10("no DICM prefix: not a PS3.10 file", min(len(head), PREAMBLE))
