"""Packs as files in a folder: written under a temporary name, made durable, then given their own.

    blobs/incoming/<pack>       being written; what a crash leaves there is removed at the next start
    blobs/ab/cd/<pack>          committed; <pack> begins with abcd. Or what small packs join (shared_pack.py)

Its bytes and its name are on the disk before `commit` returns: rename, fsync, fsync of the directory. In this order a
file system with a journal, where the fsync of a file writes out what happened to its name before, commits once for
both. A crash in between leaves a pack that nothing names. Packs that follow each other lie in one folder, because each
new folder has to be synced too. No path is made of anything a client sends.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, RLock

from gateway.errors import StorageFailed
from gateway.store.blobs.protocol import Address, Pack
from gateway.store.blobs.shared_pack import Joined, SharedPacks
from gateway.store.folders import PackFolders, begin_to_write, disk_errors, sync_folder

# How many packs stay mapped, and for how many seconds after they were read last: what was read of them counts as memory
# of ours until then, though the kernel may take it back.
MAPPED_PACKS = 64
MAPPED_SECONDS = 10.0

# Small writes are gathered, so that the system is asked once for each of these many bytes; larger ones are not copied
# when there is a file already. A pack of fewer bytes is small: it never needs one, and joins others.
BUFFER = 1024 * 1024
_WRITTEN_AT_ONCE = 64 * 1024

# With so many bytes at a time the disk begins while more arrive: then little is left for the commit to wait for.
_BEGUN_AT_ONCE = 8 * 1024 * 1024

# How many packs in a row begin with the same four digits.
PACKS_IN_FOLDER = 256

_PACK_NAME = re.compile(r"[0-9a-f]{32}")


def path_of(folder: Path, pack: str) -> Path:
    """Return where a pack lies that is committed or shared."""
    return folder / pack[:2] / pack[2:4] / pack


@dataclass(slots=True)
class _Mapped:
    """A pack in memory. used: when it was read last, on the monotonic clock."""

    file: mmap.mmap
    used: float


class BlobsFolder:
    """Blobs in a folder of a local disk."""

    def __init__(self, folder: Path, new_name: Callable[[], str]) -> None:
        self._folder = folder
        self._new_name = new_name
        self._folders = PackFolders()
        self._shared = SharedPacks(lambda: path_of(folder, self._next_name()), self._folders)
        self._naming = Lock()
        self._begin, self._left = "", 0
        self._maps: OrderedDict[str, _Mapped] = OrderedDict()
        with disk_errors():
            (folder / "incoming").mkdir(parents=True, exist_ok=True)
            for leftover in (folder / "incoming").iterdir():
                leftover.unlink()
            sync_folder(folder)

    async def new_pack(self) -> Pack:
        name = self._next_name()
        return FolderPack(name, self._folder, self._folders, self._shared)

    async def read(self, address: Address) -> memoryview:
        mapped = self._maps.get(address.pack)
        if mapped is None or address.offset + address.length > len(mapped.file):  # a shared pack grows
            mapped = _Mapped(await asyncio.to_thread(self._map, address.pack), time.monotonic())
            self._maps[address.pack] = mapped
        mapped.used = time.monotonic()
        self._maps.move_to_end(address.pack)
        self._let_go(mapped.used - MAPPED_SECONDS)
        if address.offset < 0 or address.length < 0 or address.offset + address.length > len(mapped.file):
            raise StorageFailed(f"pack {address.pack} is shorter than the log says")
        return memoryview(mapped.file)[address.offset : address.offset + address.length]

    def _let_go(self, before: float) -> None:
        """Let go of packs that nobody has read since. Each is unmapped when its last memoryview goes."""
        while next(iter(self._maps.values())).used < before or len(self._maps) > MAPPED_PACKS:
            self._maps.popitem(last=False)

    async def close(self) -> None:
        self._maps.clear()
        self._shared.close()

    def _next_name(self) -> str:
        with self._naming:
            name = self._new_name()
            if not self._left:
                self._begin, self._left = name[:4], PACKS_IN_FOLDER
            self._left -= 1
            return self._begin + name[4:]

    def _map(self, pack: str) -> mmap.mmap:
        if not _PACK_NAME.fullmatch(pack):
            raise StorageFailed("there is no pack with that name")
        with disk_errors(), path_of(self._folder, pack).open("rb") as file:
            if not os.fstat(file.fileno()).st_size:  # cannot be mapped
                raise StorageFailed(f"pack {pack} is empty")
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


class FolderPack:
    """A pack that is in memory while it is small, and then a file of its own.

    Not for two tasks at once; one may discard it while a thread still writes.
    """

    def __init__(self, name: str, folder: Path, folders: PackFolders, shared: SharedPacks) -> None:
        self.name = name
        self.size = 0
        self._folder = folder
        self._path = folder
        self._folders = folders
        self._shared = shared
        self._joined: Joined | None = None
        self._buffer = bytearray()
        self._begun = 0  # how many bytes the disk was told to begin with
        self._committed = False
        self._closed = False
        self._descriptor: int | None = None
        self._lock = RLock()  # no other file must get the descriptor between a look at it and its use

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._is_gathered(data):
            self.append(data)
        else:
            await asyncio.to_thread(self.append, data)

    async def view(self, offset: int, length: int) -> memoryview:
        return await asyncio.to_thread(self.look, offset, length)

    def append(self, data: bytes | bytearray | memoryview) -> None:
        with self._lock:
            self.size += len(data)
            if not self._is_gathered(data):
                self._write_out(data)
                return
            try:
                self._buffer += data
            except BufferError:  # somebody still looks at it, so it stays where it is
                self._buffer = self._buffer + data

    def look(self, offset: int, length: int) -> memoryview:
        if offset < 0 or length < 0 or offset + length > self.size:
            raise StorageFailed("these bytes were not written yet")
        with self._lock:
            start = offset - (self.size - len(self._buffer))
            if start >= 0:
                return memoryview(self._buffer).toreadonly()[start : start + length]
            return self._map(offset, length) if length else memoryview(b"")

    @property
    def is_small(self) -> bool:
        return self._descriptor is None and not self._closed

    def join(self) -> Joined:
        with self._lock:
            if self._joined is None:
                if not self.is_small:
                    raise StorageFailed("the pack is closed, or not small")
                self._joined = self._shared.join(self.name, self._buffer)
                self._buffer = bytearray()
                self._closed = self._committed = True
            return self._joined

    async def commit(self) -> None:
        if not self._committed:
            await asyncio.to_thread(self._commit)

    async def discard(self) -> None:
        if not self._committed:
            await asyncio.to_thread(self._discard)

    def _is_gathered(self, data: bytes | bytearray | memoryview) -> bool:
        """Whether data goes to what waits for the next write."""
        is_little = len(data) < _WRITTEN_AT_ONCE or self._descriptor is None
        return is_little and len(self._buffer) + len(data) < BUFFER

    def _write_out(self, data: bytes | bytearray | memoryview = b"") -> None:
        with disk_errors():
            for piece in (self._buffer, data):
                rest = memoryview(piece)
                while rest:
                    written = os.write(self._open_descriptor(), rest)
                    rest = rest[written:]
                rest.release()
            self._buffer = bytearray()
            if self.size - self._begun >= _BEGUN_AT_ONCE:
                begin_to_write(self._open_descriptor(), self._begun, self.size - self._begun)
                self._begun = self.size

    def _map(self, offset: int, length: int) -> memoryview:
        self._write_out()
        start = offset - offset % mmap.ALLOCATIONGRANULARITY
        with disk_errors():
            descriptor = self._open_descriptor()
            mapped = mmap.mmap(descriptor, offset - start + length, offset=start, access=mmap.ACCESS_READ)
        return memoryview(mapped)[offset - start :]

    def _commit(self) -> None:
        with self._lock, disk_errors():
            self._write_out()
            descriptor = self._open_descriptor()
            final = path_of(self._folder, self.name)
            self._folders.make(final.parent)
            os.rename(self._path, final)
            self._path = final
            os.fsync(descriptor)
            sync_folder(final.parent)
            os.close(descriptor)
            self._descriptor = None
            self._closed = self._committed = True

    def _discard(self) -> None:
        with self._lock, disk_errors():
            self._closed = True
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
                self._path.unlink(missing_ok=True)

    def _open_descriptor(self) -> int:
        if self._closed:
            raise StorageFailed("the pack is closed")
        if self._descriptor is None:
            self._path = self._folder / "incoming" / self.name
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        return self._descriptor
