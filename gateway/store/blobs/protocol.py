"""Blobs, seam C: immutable bytes, addressed by where they lie.

Whatever is stored in one request goes into one pack, so that one fsync serves many instances; small packs join others,
so that one serves many requests. The log row that names an address comes after `commit` or `sync`: an orphan is
possible, a dangling address is not. tests/store/blobs_suite.py is the contract, run against every implementation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Address:
    """Where bytes lie: a pack's name (32 hex digits), the first byte's offset in it, how many there are."""

    pack: str
    offset: int
    length: int

    def part(self, offset: int, length: int) -> Address:
        """Return the address of a piece of these bytes."""
        return Address(self.pack, self.offset + offset, length)


class Joined(Protocol):
    """Where the bytes of a small pack lie, among those of others. Both methods are for who is on a thread."""

    def moved(self, address: Address) -> Address:
        """Return where the bytes lie that had an address in the small pack; any other address as it is."""

    def sync(self) -> None:
        """Make every byte durable, power loss included: nothing is left to do if a neighbour's sync came after `join`.

        Raises StorageFull or StorageFailed.
        """


class Pack(Protocol):
    """A pack being written. Nothing in it is durable, or readable by an address, before `commit` or `sync`."""

    @property
    def name(self) -> str:
        """32 hex digits."""

    @property
    def size(self) -> int:
        """How many bytes were written so far: the offset of the next write."""

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes. Raises StorageFull or StorageFailed."""

    async def view(self, offset: int, length: int) -> memoryview:
        """Return bytes written so far, for parsing before anything is committed."""

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """`write` on the thread it is called on, which may wait for the disk there unless the pack stays small."""

    def look(self, offset: int, length: int) -> memoryview:
        """`view` on the thread it is called on."""

    async def commit(self) -> None:
        """Make every byte durable, power loss included. Raises StorageFull or StorageFailed."""

    @property
    def is_small(self) -> bool:
        """Whether it can `join` others: it has few bytes, and is not committed."""

    def join(self) -> Joined:
        """Write the bytes of a small pack behind those of others, instead of `commit`; for who is on a thread.

        Then nothing more can be written to it; again it only tells where they lie. Raises StorageFull or StorageFailed.
        """

    async def discard(self) -> None:
        """Forget the pack and its bytes. After `commit` and `join` it does nothing."""


class Blobs(Protocol):
    """Packs of immutable bytes."""

    async def new_pack(self) -> Pack:
        """Open a new, empty pack."""

    async def read(self, address: Address) -> memoryview:
        """Return the bytes at an address; mapped, not copied, where the backend can.

        Raises StorageFailed for a pack that does not exist or is too short: whoever has an address was told that the
        bytes are durable.
        """

    async def close(self) -> None:
        """Let go of files and threads."""
