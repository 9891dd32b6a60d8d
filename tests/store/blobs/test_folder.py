"""Blobs in a folder: the suite, and what only files have."""

from __future__ import annotations

import asyncio
import errno
import os
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.errors import StorageFailed, StorageFull
from gateway.store.blobs import folder as blobs_folder
from gateway.store.blobs import shared_pack
from gateway.store.blobs.folder import BUFFER, PACKS_IN_FOLDER, BlobsFolder
from gateway.store.blobs.protocol import Address, Blobs
from gateway.store.folders import begin_to_write
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

    assert bytes(await BlobsFolder(tmp_path, new_name).read(Address(pack.name, 0, 3))) == b"abc"


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
    assert bytes(await pack.view(4 * BUFFER - 1, 2)) == b"xx"
    await pack.discard()


async def test_the_disk_begins_before_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With each eight megabytes, once; what is written is what it was."""
    begun: list[tuple[int, int]] = []

    def traced(descriptor: int, offset: int, length: int) -> None:
        begun.append((offset, length))
        begin_to_write(descriptor, offset, length)

    monkeypatch.setattr(blobs_folder, "begin_to_write", traced)
    pack = await BlobsFolder(tmp_path, new_name).new_pack()

    for number in range(20):
        await pack.write(b"%02d" % number * (BUFFER // 2))
    await pack.commit()

    assert begun == [(0, 8 * BUFFER), (8 * BUFFER, 8 * BUFFER)]
    assert (tmp_path / pack.name[:2] / pack.name[2:4] / pack.name).read_bytes()[
        8 * BUFFER - 2 : 8 * BUFFER + 2
    ] == b"0708"


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


# -- the pack that small ones join


async def joined(blobs: Blobs, data: bytes) -> Address:
    """Return where bytes lie that joined others and are synced."""
    pack = await written(blobs, data)
    there = pack.join()
    there.sync()
    return there.moved(Address(pack.name, 0, len(data)))


def refuse(number: int) -> Callable[..., int]:
    """Return a call to the system that fails."""

    def refused(*arguments: object) -> int:
        raise OSError(number, "refused")

    return refused


async def test_what_joined_survives_reopening(tmp_path: Path) -> None:
    """The next process reads it, and begins a pack of its own: behind the last bytes there may be what a crash left."""
    before = await joined(BlobsFolder(tmp_path, new_name), b"abc")
    blobs = BlobsFolder(tmp_path, new_name)

    after = await joined(blobs, b"def")

    assert (bytes(await blobs.read(before)), bytes(await blobs.read(after))) == (b"abc", b"def")
    assert before.pack != after.pack
    assert list((tmp_path / "incoming").iterdir()) == []


async def test_the_name_of_a_shared_pack_is_durable_before_anything_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folders are synced when the file is made; then one fdatasync for all that joined."""
    blobs = BlobsFolder(tmp_path, iter("ab" * 16 for _ in range(3)).__next__)
    packs = [await written(blobs, b"abc") for _ in range(2)]
    steps: list[str] = []
    calls = {name: getattr(os, name) for name in ("fsync", "fdatasync", "pwrite")}

    def traced(name: str) -> Callable[..., object]:
        def call(descriptor: int, *arguments: object) -> object:
            steps.append(f"{name} {Path(os.readlink(f'/proc/self/fd/{descriptor}')).relative_to(tmp_path)}")
            return calls[name](descriptor, *arguments)

        return call

    for name in calls:
        monkeypatch.setattr(os, name, traced(name))
    there = [pack.join() for pack in packs]
    for one in reversed(there):
        one.sync()

    file = "ab/ab/" + "ab" * 16
    assert steps == ["fsync .", "fsync ab", "fsync ab/ab", f"pwrite {file}", f"pwrite {file}", f"fdatasync {file}"]


async def test_what_joins_begins_on_a_page_of_its_own(tmp_path: Path) -> None:
    """No later write touches a page that was made durable."""
    blobs = BlobsFolder(tmp_path, new_name)

    addresses = [await joined(blobs, b"x" * length) for length in (1, 4096, 4097, 5)]

    assert [address.offset for address in addresses] == [0, 4096, 8192, 16384]


async def test_a_full_shared_pack_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backup copies a pack again only while it grows."""
    monkeypatch.setattr(shared_pack, "FULL", 5000)
    blobs = BlobsFolder(tmp_path, new_name)

    addresses = [await joined(blobs, b"%d" % number * 3000) for number in range(5)]

    first, second, third = dict.fromkeys(address.pack for address in addresses)
    assert [address.pack for address in addresses] == [first, first, second, second, third]
    assert [bytes(await blobs.read(address))[:1] for address in addresses] == [b"0", b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize(
    ("number", "error"), [(errno.ENOSPC, StorageFull), (errno.EIO, StorageFailed)], ids=["disk full", "broken disk"]
)
async def test_after_a_sync_that_failed_another_pack_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    """Of those that waited for the sync nobody believes a later one; what was durable before still is."""
    blobs = BlobsFolder(tmp_path, new_name)
    before = await joined(blobs, b"before")
    waiting = [(await written(blobs, b"lost")).join() for _ in range(2)]

    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", refuse(number))
        with pytest.raises(error):
            waiting[0].sync()
    with pytest.raises(StorageFailed):
        waiting[1].sync()
    after = await joined(blobs, b"after")

    assert after.pack != before.pack
    assert (bytes(await blobs.read(before)), bytes(await blobs.read(after))) == (b"before", b"after")


async def test_what_had_no_room_is_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk refuses one, and when there is room again the next is where that would have been."""
    blobs = BlobsFolder(tmp_path, new_name)
    before = await joined(blobs, b"before")
    pack = await written(blobs, b"x" * 10_000)

    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", refuse(errno.ENOSPC))
        with pytest.raises(StorageFull):
            pack.join()
    after = await joined(blobs, b"after")

    assert (after.pack, after.offset) == (before.pack, 4096)
    assert (bytes(await blobs.read(before)), bytes(await blobs.read(after))) == (b"before", b"after")
    await pack.discard()


async def test_a_shared_pack_whose_name_cannot_be_synced_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failing disk is not filled with empty files."""
    blobs = BlobsFolder(tmp_path, new_name)
    await joined(blobs, b"abc")
    monkeypatch.setattr(shared_pack, "FULL", 1)

    with monkeypatch.context() as broken:
        broken.setattr(shared_pack, "sync_folder", refuse(errno.EIO))
        pack = await written(blobs, b"abc")
        with pytest.raises(StorageFailed):
            pack.join()

    assert len([path for path in tmp_path.glob("??/??/*")]) == 1


async def test_a_pack_that_nobody_reads_any_more_is_not_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is unmapped when another is read later; what was read of it stays as long as somebody has it."""
    blobs = BlobsFolder(tmp_path, new_name)
    packs = [await written(blobs, content) for content in (b"first", b"second", b"third")]
    for pack in packs:
        await pack.commit()
    monkeypatch.setattr(blobs_folder, "MAPPED_SECONDS", 0.0)

    first = await blobs.read(Address(packs[0].name, 0, 5))
    await blobs.read(Address(packs[1].name, 0, 6))
    await blobs.read(Address(packs[2].name, 0, 5))

    mapped = Path("/proc/self/maps").read_text()
    while packs[1].name in mapped:  # until the thread that mapped it has let go of it as well
        await asyncio.sleep(0.01)
        mapped = Path("/proc/self/maps").read_text()
    assert [pack.name in mapped for pack in packs] == [True, False, True]
    assert bytes(first) == b"first"
