"""What a disk is told and says: its errors as ours, names that are durable, bytes that it can begin with."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import StorageFailed, StorageFull

# <fcntl.h> of glibc and musl on Linux.
_SYNC_FILE_RANGE_WRITE = 2
_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Translate what the disk says into our errors."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull("no room left on the disk of the data folder") from error
        raise StorageFailed("the disk of the data folder refused") from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises StorageFailed."""
    with disk_errors():
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def begin_to_write(descriptor: int, offset: int, length: int) -> None:
    """Have the disk begin with bytes of a file that will be synced later, where the system can. It promises nothing."""
    if _sync_file_range is not None:
        _sync_file_range(
            descriptor, ctypes.c_int64(offset), ctypes.c_int64(length), ctypes.c_uint(_SYNC_FILE_RANGE_WRITE)
        )


class PackFolders:
    """The folders that packs lie in, two deep, made when a pack comes into one."""

    def __init__(self) -> None:
        self._durable: set[Path] = set()

    def make(self, folder: Path) -> None:
        """Make a folder and the one it is in, if need be; a new one is durable when its parent is synced.

        That one is there is not enough: another pack's commit may have made it a moment ago, or a process that was
        killed before it synced. Raises OSError, StorageFailed.
        """
        for one in (folder.parent, folder):
            if one not in self._durable:
                one.mkdir(exist_ok=True)
                sync_folder(one.parent)
                self._durable.add(one)
