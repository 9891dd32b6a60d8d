"""The input of an import job: what there is below a prefix, within the service's limits, and its bytes read ahead."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass

from gateway.errors import GatewayError
from gateway.store.objects.protocol import ObjectEntry, Objects, Place

# Quotas of the service (general reference, "HealthImaging endpoints and quotas"). One file may be as large as a job.
MAX_FILES = 5_000
MAX_FOLDERS = 10_000
MAX_BYTES = 10 * 1024**3

# How many objects are asked for before it is their turn: what a bucket takes to answer passes meanwhile.
READ_AHEAD = 8


class ImportFailed(GatewayError):
    """A job cannot be carried out. `code` is for programs; the sentence begins with it."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one job may import."""

    files: int = MAX_FILES
    folders: int = MAX_FOLDERS
    size: int = MAX_BYTES


async def list_input(place: Place, limits: Limits) -> list[ObjectEntry]:
    """Return the objects below a prefix, ascending by key.

    Raises ImportFailed where there are none, or more than the limits allow.
    """
    entries: list[ObjectEntry] = []
    folders: set[str] = set()
    size = 0
    async for entry in place.objects.entries(place.prefix):
        entries.append(entry)
        folders.add(entry.folder)
        size += entry.size
        if len(entries) > limits.files:
            raise ImportFailed("FILE_COUNTS_LIMIT_EXCEEDED", f"more than {limits.files} files begin with inputS3Uri")
        if len(folders) > limits.folders:
            raise ImportFailed("FOLDER_COUNTS_LIMIT_EXCEEDED", f"more than {limits.folders} folders are in inputS3Uri")
        if size > limits.size:
            raise too_large(limits)
    if not entries:
        raise ImportFailed("NO_INPUT_FILES", "no files begin with inputS3Uri")
    return sorted(entries, key=lambda entry: entry.key)


def too_large(limits: Limits) -> ImportFailed:
    return ImportFailed("INPUT_SIZE_LIMIT_EXCEEDED", f"the files are larger than {limits.size} bytes together")


@dataclass(frozen=True, slots=True)
class Upcoming:
    """An object whose first piece is on its way."""

    entry: ObjectEntry
    rest: AsyncGenerator[bytes, None]
    first: asyncio.Task[bytes]

    @classmethod
    def of(cls, objects: Objects, entry: ObjectEntry) -> Upcoming:
        rest = objects.read(entry.key)
        return cls(entry, rest, asyncio.create_task(_first(rest)))

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield all pieces. Raises what reading them does."""
        yield await self.first
        async for piece in self.rest:
            yield piece

    async def close(self) -> None:
        """Let go of it, read or not."""
        self.first.cancel()
        await asyncio.gather(self.first, return_exceptions=True)
        await self.rest.aclose()


async def _first(pieces: AsyncGenerator[bytes, None]) -> bytes:
    return await anext(pieces, b"")


async def read_ahead(objects: Objects, entries: Iterable[ObjectEntry]) -> AsyncGenerator[Upcoming, None]:
    """Yield objects one by one, to be read before the next one is asked for, some of the next being on their way."""
    upcoming: deque[Upcoming] = deque()
    waiting = iter(entries)
    try:
        while True:
            while len(upcoming) <= READ_AHEAD and (entry := next(waiting, None)):
                upcoming.append(Upcoming.of(objects, entry))
            if not upcoming:
                return
            yield upcoming[0]
            await upcoming.popleft().close()
    finally:
        for one in upcoming:
            await one.close()
