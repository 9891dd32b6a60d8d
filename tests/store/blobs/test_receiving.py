"""PS3.10 files on their way into a pack."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import AsyncIterator

import pytest

from gateway.errors import InvalidPart10
from gateway.store.blobs.folder import BUFFER, FolderPack
from gateway.store.blobs.receiving import (
    AT_ONCE,
    LITTLE_WORK,
    WAITING,
    WORTH_A_THREAD,
    Ahead,
    IncomingFile,
    receive_part10,
    received_instance,
)
from gateway.store.protocol import Store
from tests.samples import instance, sample


async def pieces(file: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(file), size):
        yield file[start : start + size]


def without_preamble(file: bytes) -> bytes:
    """Return a file whose preamble says nothing: that of CT_small is a TIFF's."""
    return bytes(128) + file[128:]


@pytest.mark.parametrize("size", [1, 100, 127, 128, 131, 132, 133, 10_000_000])
async def test_file_lies_in_the_pack_as_it_came(store: Store, size: int) -> None:
    """Whatever pieces it came in; its hash is of what lies there."""
    file = without_preamble(instance(PixelData=b""))
    pack = await store.new_pack()

    written = await receive_part10(pack, pieces(file, size), 4096)
    await pack.commit()

    assert bytes(await store.read(written.address)) == file
    assert written.sha256 == hashlib.sha256(file).hexdigest()


async def test_preamble_is_zeros(store: Store) -> None:
    """A file that is also a program is no program any more (PS3.10 section 7.5)."""
    file = instance()
    pack = await store.new_pack()

    written = await receive_part10(pack, pieces(b"MZ\x90\0" * 32 + file[128:], 50), 4096)
    await pack.commit()

    assert bytes(await store.read(written.address)) == without_preamble(file)


@pytest.mark.parametrize("file", [b"", b"DICM", bytes(128), bytes(128) + b"DIC", bytes(200), b"x" * 1_000_000])
async def test_what_is_no_part10_file_is_not_written(store: Store, file: bytes) -> None:
    """A film in the folder costs no disk."""
    pack = await store.new_pack()

    with pytest.raises(InvalidPart10, match="no DICM prefix"):
        await receive_part10(pack, pieces(file, 64), 4096)

    assert pack.size == 0
    await pack.discard()


async def test_second_file_lies_behind_the_first(store: Store) -> None:
    """One that is refused in between takes nothing from it."""
    files = [instance(instance_number=1), instance(instance_number=2)[:-1000], instance(instance_number=3)]
    pack = await store.new_pack()

    first = await receive_part10(pack, pieces(files[0], 1000), 4096)
    with pytest.raises(InvalidPart10):
        await receive_part10(pack, pieces(files[1], 1000), 4096)
    third = await receive_part10(pack, pieces(files[2], 1000), 4096)
    await pack.commit()

    assert bytes(await store.read(first.address)) == without_preamble(files[0])
    assert bytes(await store.read(third.address)) == without_preamble(files[2])


@pytest.mark.parametrize("name", ["liver_1frame.dcm", "MR-SIEMENS-DICOM-WithOverlays.dcm", "ExplVR_BigEnd.dcm"])
async def test_bulk_values_lie_where_the_instance_says(store: Store, name: str) -> None:
    """In the file, or after it where their bytes had to be swapped: 32 digits of their SHA-256 are their name."""
    pack = await store.new_pack()
    written = await receive_part10(pack, pieces(sample(name).read_bytes(), 65536), 64)

    received = await received_instance(written, pack)
    await pack.commit()

    assert received.dataset == written.part10.dataset
    assert received.bulk.keys() == written.part10.bulk.keys()
    for uri, address in received.bulk.items():
        assert hashlib.sha256(await store.read(address)).hexdigest()[:32] == uri


async def test_what_arrives_is_worked_on_in_order() -> None:
    """By a thread, and all of it is done when `done` returns."""
    seen: list[int] = []
    ahead: Ahead[int] = Ahead(seen.extend)

    for number in range(1000):
        await ahead.put([number], 200)
    await ahead.done()

    assert seen == list(range(1000))


async def test_what_the_work_raises_is_raised_to_the_sender() -> None:
    """Nobody goes on sending what cannot be written."""

    def refuse(numbers: list[int]) -> None:
        raise InvalidPart10("refused", 0)

    ahead: Ahead[int] = Ahead(refuse)
    await ahead.put([1], AT_ONCE + 1)

    with pytest.raises(InvalidPart10, match="refused"):
        await ahead.done()
    await ahead.settled()


async def test_what_is_small_is_done_at_once() -> None:
    """A small request waits for no thread, and what is refused of it is refused where it came."""
    threads: list[int] = []

    def work(numbers: list[int]) -> None:
        threads.append(threading.get_ident())
        if numbers == [2]:
            raise InvalidPart10("refused", 0)

    ahead: Ahead[int] = Ahead(work)
    await ahead.put([1], AT_ONCE)
    with pytest.raises(InvalidPart10, match="refused"):
        await ahead.put([2], 0)
    await ahead.settled()

    assert threads == [threading.get_ident()] * 2


async def test_of_more_only_what_is_little_work_is_done_at_once() -> None:
    """Up to the first that is not: a thread does that and all after it, in order."""
    at_once, later, threads = list[int](), list[int](), set[int]()

    def work(numbers: list[int]) -> None:
        threads.add(threading.get_ident())
        later.extend(numbers)

    def little(numbers: list[int]) -> list[int]:
        small = list(itertools.takewhile(lambda number: number < 3, numbers))
        at_once.extend(small)
        return numbers[len(small) :]

    ahead = Ahead(work, little)
    await ahead.put([0], AT_ONCE + 1)
    await ahead.put([1], 1)
    await ahead.put([2, 3, 0], 1)
    await ahead.put([1], 1)
    await ahead.done()

    assert (at_once, later) == ([0, 1, 2], [3, 0, 1])
    assert threading.get_ident() not in threads


async def test_what_is_little_work_is_not_when_there_is_much_of_it() -> None:
    """Then it is the threads' from there on."""
    at_once, later = list[int](), list[int]()

    def little(numbers: list[int]) -> list[int]:
        at_once.extend(numbers)
        return []

    ahead: Ahead[int] = Ahead(later.extend, little)
    for number in range(4):
        await ahead.put([number], LITTLE_WORK // 2)
    await ahead.done()

    assert (at_once, later) == ([0, 1], [2, 3])


def test_what_is_done_at_once_is_not_written_to_the_disk() -> None:
    """The event loop does not wait for it: so much a pack keeps in memory."""
    assert LITTLE_WORK < BUFFER


async def test_files_of_one_pack_are_not_moved_to_be_read(store: Store) -> None:
    """They are looked at where they wait; once read nobody does, so that what comes next is written behind them."""
    pack = await store.new_pack()
    assert isinstance(pack, FolderPack)
    await receive_part10(pack, pieces(instance(instance_number=1), 1000), 4096)
    waiting = pack._buffer

    written = [await receive_part10(pack, pieces(instance(instance_number=n), 1000), 4096) for n in (2, 3)]

    assert pack._buffer is waiting
    assert [bytes(pack.look(one.address.offset, 132)[128:]) for one in written] == [b"DICM", b"DICM"]
    await pack.discard()


async def test_a_file_that_came_in_one_piece_is_read_there(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """To map it again would cost more than to read it. One that came in several is looked at in the pack."""
    looked: list[int] = []
    look = FolderPack.look

    def noted(pack: FolderPack, offset: int, length: int) -> memoryview:
        looked.append(offset)
        return look(pack, offset, length)

    monkeypatch.setattr(FolderPack, "look", noted)
    pack, file = await store.new_pack(), instance()

    whole = await receive_part10(pack, pieces(file, len(file)), 4096)
    assert looked == []
    cut = IncomingFile(pack)
    cut.write(file[:1000])
    cut.write(file[1000:])

    assert cut.read(4096).part10.dataset == whole.part10.dataset
    assert looked == [len(file)]
    await pack.discard()


async def test_what_many_send_at_once_is_the_work_of_two_threads() -> None:
    """More of them would wait for each other more than they work."""
    threads, begun = set[int](), threading.Barrier(2)

    def work(numbers: list[int]) -> None:
        threads.add(threading.get_ident())
        if numbers == [0]:
            begun.wait(10)

    aheads = [Ahead(work) for _ in range(20)]
    for number, ahead in enumerate(aheads):
        await ahead.put([number // 2], WORTH_A_THREAD)
    for ahead in aheads:
        await ahead.done()

    assert len(threads) == 2


async def test_a_sender_waits_while_too_much_waits() -> None:
    """So memory does not grow with what is sent."""
    go, sizes = threading.Event(), list[int]()

    def work(pieces: list[int]) -> None:
        go.wait(10)
        sizes.append(sum(pieces))

    ahead: Ahead[int] = Ahead(work)
    await ahead.put([1], WORTH_A_THREAD)
    await ahead.put([WAITING], WAITING)
    threading.Timer(0.05, go.set).start()
    await ahead.put([2], 2)

    assert sizes[:1] == [1]
    await ahead.done()
    assert sizes == [1, WAITING + 2]


async def test_a_thread_is_given_much_at_once() -> None:
    """To hand something over costs more than little work: what is no megabyte waits for more, or for the end."""
    seen: list[list[int]] = []
    ahead: Ahead[int] = Ahead(seen.append)

    await ahead.put([1], WORTH_A_THREAD // 2)
    await ahead.put([2], WORTH_A_THREAD // 4)
    await ahead.done()

    assert seen == [[1, 2]]


async def test_nothing_runs_once_it_is_settled() -> None:
    """Whoever gives up can discard what was written: no thread writes to it any more."""
    seen: list[int] = []
    ahead: Ahead[int] = Ahead(seen.extend)
    await ahead.put([1], WORTH_A_THREAD)
    await ahead.put([2], AT_ONCE)

    await ahead.settled()

    assert seen == [1]
