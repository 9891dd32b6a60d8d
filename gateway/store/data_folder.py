"""The data folder, held by one gateway at a time.

lock          held while a gateway runs
gateway.db    the log of versions, with gateway.db-wal and gateway.db-shm beside it
blobs/        the instances as they came
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from gateway.errors import AlreadyServed, NoDataFolder, StorageFailed
from gateway.store.folders import sync_folder

DATABASE = "gateway.db"


def require_data_folder(folder: Path, way_out: str = "") -> None:
    """Raise NoDataFolder unless the folder is one. way_out: what else to name."""
    if not (folder / DATABASE).is_file():
        raise NoDataFolder(str(folder), way_out)


class FolderLock:
    """The lock of a data folder. The kernel lets go of it when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        """Make the folder if need be and hold it. Raises AlreadyServed, StorageFailed."""
        try:
            _make(folder)
            self._descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise StorageFailed(f"{folder} cannot be made or written to") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise AlreadyServed(f"another gateway serves {folder}: stop it, or take another folder") from error

    def release(self) -> None:
        os.close(self._descriptor)


def _make(folder: Path) -> None:
    """Make the folder and those above it if need be, so that a loss of power does not take it away again.

    The name of one that is there is made durable too: the process that made it may have been killed right after.
    """
    folder = folder.absolute()
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    for one in {folder, *made}:
        with suppress(PermissionError):  # a folder above may be another user's, who made ours
            sync_folder(one.parent)
