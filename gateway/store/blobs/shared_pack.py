"""The pack that small ones join, so that a store of one instance makes no file.

Its name is durable before anything is put into it. What joins is written behind what is there, beginning on a page of
its own: no write touches a page that was made durable before. One fdatasync serves all that were written before it.

Nothing marks where it ends. What a crash leaves behind the last bytes that a row names takes room and does no harm; the
next process begins another pack.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from gateway.errors import StorageFailed
from gateway.store.blobs.protocol import Address
from gateway.store.folders import PackFolders, begin_to_write, disk_errors, sync_folder

# When a pack has so many bytes the next one is begun.
FULL = 64 * 1024 * 1024

_PAGE = 4096

# With so many bytes the disk begins when they join: less is soon written.
_BEGUN = 64 * 1024


@dataclass(frozen=True, slots=True)
class Joined:
    """Where the bytes of a small pack lie. name: of the small pack; start, end: in the shared one."""

    pack: SharedPack
    name: str
    start: int
    end: int

    def moved(self, address: Address) -> Address:
        if address.pack != self.name:
            return address
        return Address(self.pack.name, self.start + address.offset, address.length)

    def sync(self) -> None:
        self.pack.sync(self.end)


class SharedPack:
    """One file. It is closed when nobody has it any more: who joined it may still have to sync it."""

    def __init__(self, path: Path, folders: PackFolders) -> None:
        """Make the file. Raises OSError, StorageFailed, StorageFull; then there is none."""
        self.name = path.name
        self.end = 0
        self.failed = False
        self._synced = 0
        self._syncing = Lock()
        folders.make(path.parent)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        weakref.finalize(self, os.close, self._descriptor)
        try:
            sync_folder(path.parent)
        except BaseException:
            path.unlink()
            raise

    def append(self, data: bytes | bytearray) -> int:
        """Write bytes behind the others and return where they begin. Not for two at once. Raises OSError.

        What could not be written is written over by the next.
        """
        start = -(-self.end // _PAGE) * _PAGE
        with memoryview(data) as view:
            written = 0
            while written < len(view):
                with view[written:] as rest:
                    written += os.pwrite(self._descriptor, rest, start + written)
        self.end = start + len(data)
        if len(data) >= _BEGUN:
            begin_to_write(self._descriptor, start, len(data))
        return start

    def sync(self, end: int) -> None:
        """Make all before `end` durable. Raises StorageFailed, StorageFull.

        After an fsync that failed no other is believed: it may claim success, and the bytes be lost.
        """
        with self._syncing, disk_errors():
            if self._synced >= end:
                return
            if self.failed:
                raise StorageFailed("a write to the pack failed before")
            written = self.end
            try:
                os.fdatasync(self._descriptor)
            except OSError:
                self.failed = True
                raise
            self._synced = written


class SharedPacks:
    """The shared pack, and the next one when it is full or its disk failed. new_path: of the next, by its own name."""

    def __init__(self, new_path: Callable[[], Path], folders: PackFolders) -> None:
        self._new_path = new_path
        self._folders = folders
        self._pack: SharedPack | None = None
        self._joining = Lock()

    def join(self, name: str, data: bytes | bytearray) -> Joined:
        """Write what a small pack of that name holds. Raises StorageFull, StorageFailed."""
        with self._joining, disk_errors():
            pack = self._pack
            if pack is None or pack.failed or pack.end >= FULL:
                pack = self._pack = SharedPack(self._new_path(), self._folders)
            start = pack.append(data)
            return Joined(pack, name, start, start + len(data))

    def close(self) -> None:
        """Let go of the file, once nobody has to sync it any more."""
        self._pack = None
