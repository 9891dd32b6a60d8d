"""Blobs in a folder: the suite, and what only files have."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.errors import StorageFailed, StorageFull
from gateway.store.blobs import Address, Blobs
from gateway.store.blobs_folder import BUFFER, PACKS_IN_FOLDER, BlobsFolder
from tests.store.blobs_suite import BlobsTests, written


def new_name() -> str:
    return uuid.uuid4().hex


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[Blobs]:
    blobs = BlobsFolder(tmp_path / "blobs", new_name)
    yield blobs
    await blobs.close()


class TestBlobsFolder(BlobsTests):
    """BlobsFolder is a Blobs."""


async def test_committed_packs_survive_reopening(tmp_path: Path) -> None:
    """Another BlobsFolder over the same folder reads what the first one wrote."""
    pack = await written(BlobsFolder(tmp_path, new_name), b"abc")
    await pack.commit()

    assert await BlobsFolder(tmp_path, new_name).read(Address(pack.name, 0, 3)) == b"abc"


async def test_what_a_crash_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    """A pack that was never committed leaves no bytes behind."""
    await written(BlobsFolder(tmp_path, new_name), b"x" * (BUFFER + 1))
    assert len(list((tmp_path / "incoming").iterdir())) == 1

    BlobsFolder(tmp_path, new_name)

    assert list((tmp_path / "incoming").iterdir()) == []


async def test_a_pack_lies_two_folders_deep_by_its_name(tmp_path: Path) -> None:
    """No folder grows with the number of packs."""
    pack = await written(BlobsFolder(tmp_path, lambda: "abcdef" + "0" * 26), b"abc")

    await pack.commit()

    assert (tmp_path / "ab" / "cd" / pack.name).read_bytes() == b"abc"


async def test_packs_in_a_row_lie_in_one_folder(tmp_path: Path) -> None:
    """Each new folder has to be synced with its parent, so that most packs need none; their names stay their own."""
    given = [new_name() for _ in range(PACKS_IN_FOLDER)] + ["abcd" + "0" * 28]
    blobs = BlobsFolder(tmp_path, iter(given).__next__)

    names = [(await blobs.new_pack()).name for _ in range(PACKS_IN_FOLDER + 1)]

    assert len(set(names)) == PACKS_IN_FOLDER + 1
    assert {name[:4] for name in names[:-1]} == {names[0][:4]}
    assert names[-1][:4] == "abcd"


async def test_large_writes_are_streamed(tmp_path: Path) -> None:
    """Before the commit all but the last buffer is in the file: a pack may be larger than memory."""
    blobs = BlobsFolder(tmp_path, new_name)
    pack = await blobs.new_pack()

    for _ in range(5):
        await pack.write(b"x" * BUFFER)

    assert (tmp_path / "incoming" / pack.name).stat().st_size == 5 * BUFFER
    assert await pack.view(4 * BUFFER - 1, 2) == b"xx"
    await pack.discard()


async def test_the_file_and_its_name_are_synced_before_commit_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rename, fsync of the file, fsync of the folder: power loss cannot undo a commit, and the journal has one."""
    pack = await written(BlobsFolder(tmp_path, lambda: "ab" * 16), b"abc")
    steps: list[str] = []
    fsync, rename = os.fsync, os.rename

    def traced_fsync(descriptor: int) -> None:
        steps.append(f"fsync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).relative_to(tmp_path)}")
        fsync(descriptor)

    def traced_rename(source: Path, target: Path) -> None:
        steps.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", traced_fsync)
    monkeypatch.setattr(os, "rename", traced_rename)
    await pack.commit()

    assert steps == ["fsync .", "fsync ab", "rename", f"fsync ab/ab/{pack.name}", "fsync ab/ab"]


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.ENOSPC, StorageFull), (errno.EDQUOT, StorageFull), (errno.EIO, StorageFailed)],
    ids=["disk full", "quota", "broken disk"],
)
async def test_what_the_disk_refuses_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    """A full disk is one error, a broken one another; both fail the commit."""
    pack = await written(BlobsFolder(tmp_path, new_name), b"abc")

    def refuse(descriptor: int) -> None:
        raise OSError(number, "refused")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(error):
        await pack.commit()

    monkeypatch.undo()
    await pack.discard()


async def test_an_empty_pack_can_be_committed(tmp_path: Path) -> None:
    """A request without instances leaves an empty file, and no error."""
    blobs = BlobsFolder(tmp_path, new_name)
    pack = await blobs.new_pack()

    await pack.commit()

    with pytest.raises(StorageFailed):
        await blobs.read(Address(pack.name, 0, 1))
