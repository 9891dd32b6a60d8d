"""A folder as a bucket: keys are the paths of files below it, divided by slashes.

No symbolic link is followed below the folder, on any step of a path: whoever may put files into it must not be able to
have the gateway read, or write, outside of it.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from gateway.errors import ObjectRefused, ObjectsFailed
from gateway.store.objects.protocol import PIECE, ObjectEntry

_GONE = (errno.ENOENT, errno.ENOTDIR)
# Without waiting for a writer, if a file has turned into a FIFO.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# How many entries of a listing one trip to a thread brings.
_BATCH = 1000


class FolderObjects:
    """Objects in a folder of a local disk."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def entries(self, prefix: str) -> AsyncIterator[ObjectEntry]:
        found = _walk(self._root, prefix.strip("/"))
        while batch := await asyncio.to_thread(_take, found):
            for entry in batch:
                yield entry

    async def read(self, key: str) -> AsyncGenerator[bytes, None]:
        opening = asyncio.ensure_future(asyncio.to_thread(self._open, key))
        try:
            file = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unread)  # nobody stops a thread
            raise
        try:
            while piece := await asyncio.to_thread(_read_piece, file):
                yield piece
        finally:
            file.close()

    async def write(self, key: str, content: bytes) -> None:
        await asyncio.to_thread(self._write, key, content)

    def _open(self, key: str) -> FileIO:
        *folder, name = _steps(key)
        try:
            with _opened(self._root, folder) as descriptor:
                file = FileIO(os.open(name, _READ, dir_fd=descriptor))
        except OSError as error:
            raise _refused(error) from error
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise ObjectRefused("not a regular file")
        return file

    def _write(self, key: str, content: bytes) -> None:
        *folder, name = _steps(key)
        temporary = f".{name}.incoming"
        try:
            with _opened(self._root, folder, make=True) as descriptor:
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
                with open(os.open(temporary, flags, 0o640, dir_fd=descriptor), "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.rename(temporary, name, src_dir_fd=descriptor, dst_dir_fd=descriptor)
                os.fsync(descriptor)
        except OSError as error:
            raise ObjectsFailed(f"the folder cannot be written: {_reason(error)}") from error


def _steps(key: str) -> list[str]:
    """Return the names on the way to a file or a folder, from the root on. Raises ObjectRefused for a way up."""
    steps = [step for step in key.split("/") if step]
    if any(step in (".", "..") or "\0" in step for step in steps):
        raise ObjectRefused("not a path below the folder")
    return steps


@contextmanager
def _opened(root: Path, folder: Sequence[str], make: bool = False) -> Iterator[int]:
    """Yield a descriptor of a folder below the root, reached step by step; `make` makes the steps that are not there.

    Raises OSError, also for a step that is a symbolic link.
    """
    descriptor = os.open(root, _FOLDER & ~os.O_NOFOLLOW)
    try:
        for step in folder:
            if make:
                _make(step, descriptor)
            below = os.open(step, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def _make(name: str, parent: int) -> None:
    try:
        os.mkdir(name, 0o750, dir_fd=parent)
        os.fsync(parent)
    except FileExistsError:
        return


def _walk(root: Path, prefix: str) -> Iterator[ObjectEntry]:
    """Yield the files below a folder of the root, or the file that the prefix is, ascending by key."""
    *above, name = _steps(prefix) or ["."]
    try:
        with _opened(root, above) as descriptor:
            found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    except OSError as error:
        raise ObjectsFailed(f"the folder cannot be read: {_reason(error)}") from error
    if not stat.S_ISDIR(found.st_mode):
        yield ObjectEntry(prefix, found.st_size)
        return
    pending = [prefix + "/" if prefix else ""]
    while pending:
        key = pending.pop()
        if key and not key.endswith("/"):
            yield ObjectEntry(key, _size(root / key))
        else:
            pending += sorted(_names(root, key), reverse=True)


def _names(root: Path, folder: str) -> list[str]:
    """Return the keys in a folder, those of folders with a slash at the end. One that cannot be read is a file."""
    try:
        with _opened(root, _steps(folder)) as descriptor, os.scandir(descriptor) as entries:
            return [f"{folder}{entry.name}{'/' if entry.is_dir(follow_symlinks=False) else ''}" for entry in entries]
    except OSError as error:
        if not folder:
            raise ObjectsFailed(f"the folder cannot be read: {_reason(error)}") from error
        return [] if error.errno in _GONE else [folder.rstrip("/")]


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _take(entries: Iterator[ObjectEntry]) -> list[ObjectEntry]:
    return [entry for _, entry in zip(range(_BATCH), entries, strict=False)]


def _close_unread(opening: asyncio.Future[FileIO]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _read_piece(file: FileIO) -> bytes:
    try:
        return file.read(PIECE) or b""
    except OSError as error:
        raise _refused(error) from error


def _refused(error: OSError) -> ObjectRefused:
    if error.errno == errno.ELOOP:
        return ObjectRefused("a symbolic link, which is not followed")
    return ObjectRefused(_reason(error))


def _reason(error: OSError) -> str:
    """Return what the system says, without the path."""
    return os.strerror(error.errno) if error.errno else "the disk refused"
