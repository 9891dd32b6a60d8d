"""A folder as a bucket: the contract, and that nothing leads out of it."""

from __future__ import annotations

import asyncio
import os
import threading
from io import FileIO
from pathlib import Path

import pytest

from gateway.errors import ObjectRefused, ObjectsFailed
from gateway.store.objects.folder import FolderObjects
from gateway.store.objects.protocol import Objects
from tests.store.objects_suite import ObjectsTests, content, listed


class TestFolderObjects(ObjectsTests):
    """The contract."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        (tmp_path / "root").mkdir()
        return tmp_path / "root"

    @pytest.fixture
    def objects(self, root: Path) -> Objects:
        return FolderObjects(root)

    @pytest.fixture
    def missing(self, tmp_path: Path) -> Objects:
        return FolderObjects(tmp_path / "missing")

    @pytest.fixture(autouse=True)
    def remember(self, root: Path) -> None:
        self._folder = root

    async def put(self, objects: Objects, key: str, value: bytes) -> None:
        path = self._folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to use, beside a file that is not in it."""
    (tmp_path / "secret.dcm").write_bytes(b"secret")
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


async def test_file_of_a_reader_who_went_away_is_closed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that is given up while its file is being opened leaves no file open."""
    (folder / "a.dcm").write_bytes(b"bytes")
    go, opened, objects = threading.Event(), [], FolderObjects(folder)
    open_file = objects._open

    def slowly(key: str) -> FileIO:
        go.wait(10)
        opened.append(open_file(key))
        return opened[-1]

    monkeypatch.setattr(objects, "_open", slowly)
    reading = asyncio.ensure_future(anext(objects.read("a.dcm")))
    await asyncio.sleep(0.01)
    reading.cancel()
    await asyncio.wait([reading])
    go.set()
    while not (opened and opened[0].closed):
        await asyncio.sleep(0.001)

    assert reading.cancelled()


async def test_link_is_listed_and_not_followed(folder: Path) -> None:
    """Nothing is left out silently, and nothing outside is read."""
    (folder / "link.dcm").symlink_to(folder.parent / "secret.dcm")
    (folder / "up").symlink_to(folder.parent)
    objects = FolderObjects(folder)

    assert [key for key, _ in await listed(objects)] == ["link.dcm", "up"]
    for key in ("link.dcm", "up", "up/secret.dcm"):
        with pytest.raises(ObjectRefused):
            await content(objects, key)


async def test_loop_of_links_ends(folder: Path) -> None:
    """A link to the folder it is in is one entry."""
    (folder / "a").mkdir()
    (folder / "a" / "again").symlink_to(folder)

    assert [key for key, _ in await listed(FolderObjects(folder))] == ["a/again"]


@pytest.mark.parametrize("key", ["../secret.dcm", "a/../../secret.dcm", "./../secret.dcm", "a\0b"])
async def test_way_up_is_refused(folder: Path, key: str) -> None:
    """No key leads out of the folder, to read or to write."""
    objects = FolderObjects(folder)

    with pytest.raises(ObjectRefused):
        await content(objects, key)
    with pytest.raises(ObjectRefused):
        await objects.write(key, b"x")
    with pytest.raises(ObjectRefused):
        await listed(objects, key)
    assert (folder.parent / "secret.dcm").read_bytes() == b"secret"


async def test_nothing_is_written_through_a_link(folder: Path) -> None:
    """Neither through a folder that is one nor over a file that is one."""
    (folder / "out").symlink_to(folder.parent)
    (folder / "manifest.json").symlink_to(folder.parent / "secret.dcm")

    with pytest.raises(ObjectsFailed):
        await FolderObjects(folder).write("out/secret.dcm", b"x")
    await FolderObjects(folder).write("manifest.json", b"x")

    assert (folder.parent / "secret.dcm").read_bytes() == b"secret"
    assert (folder / "manifest.json").read_bytes() == b"x"


async def test_fifo_is_refused_without_waiting(folder: Path) -> None:
    """Nobody writes to it, and nobody has to."""
    os.mkfifo(folder / "pipe.dcm")

    assert await listed(FolderObjects(folder)) == [("pipe.dcm", 0)]
    with pytest.raises(ObjectRefused, match="not a regular file"):
        await content(FolderObjects(folder), "pipe.dcm")


async def test_prefix_that_is_not_there_fails(folder: Path) -> None:
    """A folder misspelt is no empty folder."""
    with pytest.raises(ObjectsFailed, match="No such file or directory"):
        await listed(FolderObjects(folder), "misspelt/")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_folder_that_may_not_be_read_is_refused(folder: Path) -> None:
    """It is one entry, and says so when it is read."""
    (folder / "closed").mkdir(0o000)

    assert [key for key, _ in await listed(FolderObjects(folder))] == ["closed"]
    with pytest.raises(ObjectRefused):
        await content(FolderObjects(folder), "closed")


async def test_name_that_is_no_text_is_read(folder: Path) -> None:
    """File names are bytes; these are not UTF-8."""
    (folder / os.fsdecode(b"\xff.dcm")).write_bytes(b"x")

    [(key, _)] = await listed(FolderObjects(folder))

    assert await content(FolderObjects(folder), key) == b"x"
