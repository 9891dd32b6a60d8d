"""Power loss: what was acknowledged is there, whatever the disk had not been told to keep.

A program stores and edits, with the layer of disk_layer.c writing down each write, fsync, new name and rename, and each
moment when something was acknowledged. Then the power is cut at random points of that journal. What was not synced is
kept, dropped or torn at random, and the folder that is left is opened again:

- a write that was not synced is there, is not, or is there in sectors of 512 or 4,096 bytes;
- a file, a folder or a new name of one is there once the folder it is in was synced, and else perhaps;
- what was acknowledged before the cut has to be there, as a whole, and `gateway verify` has nothing to say.

The same cuts find losses where the program does what it should not (--synchronous NORMAL, --no-folder-sync,
--no-pack-sync, --no-log-again, --copy-at-close, --write-on): so the harness can see them.

    python -m tests.durability.power_loss --seeds 10000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import shutil
import struct
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.errors import IdempotencyConflict, NotFound, StorageFailed
from gateway.store import folders, versioned
from gateway.store.blobs import folder as blobs_folder
from gateway.store.blobs import shared_pack
from gateway.store.sqlite import database, write_ahead_log
from gateway.store.sqlite.connection import Connection
from gateway.store.sqlite.database import Database
from gateway.store.sqlite.log import SqliteLog
from gateway.store.verify import verify
from gateway.store.versioned import VersionedStore, open_store
from tests.durability.disk import FAULTS, Disk, run_with_layer
from tests.durability.gateway_requests import (
    Gateway,
    contents,
    gateway_over,
    rename,
    small_instance,
    stow,
    study_uid,
)

MODULE = "tests.durability.power_loss"
STUDIES = 4
ROUNDS = 8
CHECKPOINT_WRITERS = 7  # in the program: a checkpoint comes often
SOON = 40  # so many records are soon after another

# -- the program that is watched


async def nothing_fails(gateway: Gateway, disk: Disk) -> None:
    pass


async def fail_to_sync(gateway: Gateway, disk: Disk) -> None:
    """Have an fsync of the log fail: nothing is acknowledged, and the bytes are in the cache, perhaps not on the disk.

    They are a page that was written just before, and others that were not. A database that has them all and a log that
    has the first one as it was do not go together.
    """
    await asyncio.sleep(0.1)  # a checkpoint may be under way, which syncs too
    database_of(gateway)._since_checkpoint = -CHECKPOINT_WRITERS  # none comes between the page and the others
    await rename(gateway.client, STUDIES, "Last^Acknowledged")
    disk.fail(FAULTS[2], 1, from_then_on=False)
    with suppress(StorageFailed):
        await gateway.store.create_datastore("never acknowledged", {}, {})
    disk.repair()


async def fail_to_copy(gateway: Gateway, disk: Disk) -> None:
    """Have a checkpoint be stopped half way by a reader, and the fsync of the next one fail; then try to go on.

    What the first one copied was not synced, and may be lost with the fsync of the second. Whoever goes on would copy
    only what came after it, and write the log from its beginning.
    """
    log = database_of(gateway)
    log._since_checkpoint = -CHECKPOINT_WRITERS
    created = await gateway.store.create_datastore("copied half way", {}, {})
    disk.mark(json.dumps({"datastore": created.datastore_id}))
    read, copied = threading.Event(), threading.Event()

    def read_on(connection: Connection) -> bool:
        connection.execute("SELECT COUNT(*) FROM study").fetchone()
        read.set()
        return copied.wait(60)

    reading = asyncio.create_task(log.read(read_on))
    await asyncio.to_thread(read.wait, 60)
    await write_and_copy(gateway, "Copied^HalfWay")
    copied.set()
    await reading
    disk.fail(FAULTS[2], 3, from_then_on=False)  # of the commit, of the log before it is copied, of the database
    await write_and_copy(gateway, "Never^Copied")
    disk.repair()
    for name in ("Too^Late", "Later^Still"):
        await write_and_copy(gateway, name)


async def write_and_copy(gateway: Gateway, name: str) -> None:
    """Rename a study, if that is not refused, and wait for the checkpoint after it."""
    log = database_of(gateway)
    log._since_checkpoint = CHECKPOINT_WRITERS
    await rename(gateway.client, STUDIES, name)
    while log._committing is not None:
        await log._committing


def database_of(gateway: Gateway) -> Database:
    store = gateway.store
    assert isinstance(store, VersionedStore) and isinstance(store._log, SqliteLog)
    return store._log.database


@dataclass(frozen=True, slots=True)
class Part:
    """What one process does after it has stored and edited, before the next one goes on over what it left.

    closes: whether it closes the folder in the end, or is gone as if it were killed.
    """

    fails: Callable[[Gateway, Disk], Awaitable[None]] = nothing_fails
    closes: bool = False


PARTS = (
    Part(closes=True),
    Part(fail_to_sync),
    Part(fail_to_copy),
    Part(fail_to_copy, closes=True),
    Part(),
)


async def work(folder: Path, disk: Disk, number: int, rounds: int) -> None:
    """Store and edit in several studies at once, and mark what is acknowledged; then do what the part is for."""
    disk.watch(folder.parent)
    async with gateway_over(folder) as gateway:
        await asyncio.gather(*(write(gateway, disk, number * STUDIES + n, rounds) for n in range(STUDIES)))
        await PARTS[number].fails(gateway, disk)
        if not PARTS[number].closes:
            await end_without_closing()


async def write(gateway: Gateway, disk: Disk, study: int, rounds: int) -> None:
    """Store a study, edit it, add to it, and say what was acknowledged."""
    for version in range(1, rounds + 1):
        if version % 5 == 1:
            number = version // 5 + 1
            response = await stow(gateway.client, small_instance(study, number))
            said: dict[str, Any] = {"instance": f"{study_uid(study)}.1.{number}"}
        else:
            said = {"name": f"Doe^{study}^{version}", "key": f"{study}-{version}"}
            response = await rename(gateway.client, study, said["name"], Idempotency_Key=said["key"])
        assert response.is_success, response.text
        disk.mark(json.dumps({"study": study, "version": version, **said}))


async def end_without_closing() -> None:
    """End the process, but not in the midst of a write, which would be in the file and not in the journal."""
    await asyncio.sleep(0.1)
    os._exit(0)


def share_folders() -> None:
    """Have this process give packs names that begin alike, so that several of them come into a new folder at once."""
    real = uuid.uuid4
    begins = [f"{first}{second}" for first in ("ab", "cd") for second in ("12", "34", "56")]
    uuid.uuid4 = lambda: uuid.UUID(begins[real().int % len(begins)] + real().hex[4:])


def take_time() -> None:
    """Have packs take their time to be committed, as on a disk: what must wait for them is seen to wait."""
    at_once = blobs_folder.FolderPack._commit

    def after_a_while(pack: blobs_folder.FolderPack) -> None:
        time.sleep(random.choice((0.0, 0.01, 0.03)))
        at_once(pack)

    blobs_folder.FolderPack._commit = after_a_while  # type: ignore[assignment, method-assign]  # in this process


def take_both_ways() -> None:
    """Have every other pack be a file of its own, small as it is, and the others soon need the next shared one."""
    is_small: Callable[[blobs_folder.FolderPack], bool] = vars(blobs_folder.FolderPack)["is_small"].fget

    def is_seldom_small(pack: blobs_folder.FolderPack) -> bool:
        return is_small(pack) and int(pack.name[-1], 16) % 2 == 0

    blobs_folder.FolderPack.is_small = property(is_seldom_small)  # type: ignore[assignment, method-assign]  # in this process
    shared_pack.FULL = 128 * 1024


def misbehave(given: argparse.Namespace) -> None:
    """Have this process write as no gateway may."""
    if given.no_log_again:
        for module in (database, write_ahead_log):
            module.write_log_again = lambda path: None  # type: ignore[attr-defined]  # each has its own
    if given.copy_at_close:
        copy_at_close()
    if given.write_on:
        Database._note_failure = lambda self, error: None  # type: ignore[method-assign]  # in this process
    if given.no_pack_sync:
        shared_pack.SharedPack.sync = lambda pack, end: None  # type: ignore[assignment, method-assign]  # in this process
    if given.synchronous != "FULL":
        database._EVERY_CONNECTION = tuple(  # type: ignore[assignment]  # as many as before
            f"PRAGMA synchronous={given.synchronous}" if "synchronous" in pragma else pragma
            for pragma in database._EVERY_CONNECTION
        )
    if given.no_folder_sync:
        for module in (folders, blobs_folder, shared_pack, versioned):
            module.sync_folder = lambda folder: None  # type: ignore[attr-defined]  # each has its own


def copy_at_close() -> None:
    """Have this process close a database whose disk failed as it does any other."""
    close = Database.close

    async def close_and_copy(self: Database) -> None:
        self._failed = None
        await close(self)

    Database.close = close_and_copy  # type: ignore[method-assign]  # in this process


# -- the journal

_RECORD = struct.Struct("<IIIIQQQ")
CREATED, MADE, WRITTEN, TRUNCATED, SYNCED, SYNC_FAILED, RENAMED, UNLINKED, MARK = range(1, 10)


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the journal, as disk_layer.c writes it. inode: of the file or folder it is about."""

    what: int
    path: str = ""
    other: str = ""
    inode: int = 0
    offset: int = 0
    data: bytes = b""


def read_journal(path: Path) -> Iterator[Record]:
    """Yield the records of a journal. The last of a program that was killed may be cut off."""
    journal = path.read_bytes()
    at = 0
    while at + _RECORD.size <= len(journal):
        what, path_length, other_length, _, inode, offset, length = _RECORD.unpack_from(journal, at)
        at += _RECORD.size
        texts = journal[at : at + path_length + other_length].decode()
        at += path_length + other_length
        has_data = what in (WRITTEN, MARK)
        data = journal[at : at + length] if has_data else b""
        at += length if has_data else 0
        yield Record(what, texts[:path_length], texts[path_length:], inode, offset, data)


# -- the disk


@dataclass(slots=True)
class File:
    """A file: the bytes on the disk, and the writes since, in order, each with what is known of it.

    pending: the disk was not told to keep it yet. lost: the fsync after it failed; the kernel has it as written, and
    writes it out no more. kept: the disk has it, but something before it is lost.
    """

    content: bytearray = field(default_factory=bytearray)
    writes: list[tuple[Record, str]] = field(default_factory=list)

    def written(self, record: Record) -> None:
        self.writes.append((record, "pending"))

    def synced(self) -> None:
        self._settle("kept")
        if all(known == "kept" for _, known in self.writes):
            for record, _ in self.writes:
                apply(self.content, record)
            self.writes.clear()

    def sync_failed(self) -> None:
        self._settle("lost")

    def _settle(self, known: str) -> None:
        self.writes = [(record, known if was == "pending" else was) for record, was in self.writes]

    def everything(self) -> bytes:
        """Return what the program sees."""
        content = bytearray(self.content)
        for record, _ in self.writes:
            apply(content, record)
        return bytes(content)

    def left(self, chance: random.Random) -> bytes:
        """Return what is left of it: some of the writes not kept, one of them perhaps torn."""
        uncertain = [place for place, (_, known) in enumerate(self.writes) if known != "kept"]
        there = set(some(uncertain, chance))
        tears = chance.choice(sorted(there)) if there and chance.random() < 0.5 else None
        content = bytearray(self.content)
        for place, (record, known) in enumerate(self.writes):
            if known == "kept" or place in there:
                for piece in torn(record, chance) if place == tears else [record]:
                    apply(content, piece)
        return bytes(content)


@dataclass(slots=True)
class Folder:
    """A folder: the names on the disk, and the changes of names that it was not told to keep yet."""

    kept: dict[str, int] = field(default_factory=dict)
    pending: list[tuple[str, int | None]] = field(default_factory=list)

    def synced(self) -> None:
        for name, node in self.pending:
            change(self.kept, name, node)
        self.pending.clear()


def apply(content: bytearray, record: Record) -> None:
    """Do a write or a cut."""
    if record.what == TRUNCATED:
        del content[record.offset :]
        content.extend(bytes(record.offset - len(content)))
    else:
        content.extend(bytes(max(0, record.offset - len(content))))
        content[record.offset : record.offset + len(record.data)] = record.data


def change(names: dict[str, int], name: str, node: int | None) -> None:
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


class SimulatedDisk:
    """What a disk holds after some of a journal. Nodes are numbered here, because inodes are used again."""

    def __init__(self, root: Path) -> None:
        self.nodes: dict[int, File | Folder] = {0: Folder()}
        self.inodes: dict[int, int] = {root.stat().st_ino: 0}
        self.paths: dict[str, int] = {str(root): 0}  # as the program sees them

    def do(self, record: Record) -> None:
        """Take a record in."""
        if record.what in (CREATED, MADE):
            node = len(self.nodes)
            self.nodes[node] = File() if record.what == CREATED else Folder()
            self.inodes[record.inode] = self.paths[record.path] = node
            self._rename(record.path, node)
        elif record.what == RENAMED:
            node = self.paths[record.other] = self.paths.pop(record.path)
            # One change to the disk where both names are in one folder; here they never are, and each may come alone.
            self._rename(record.other, node)
            self._rename(record.path, None)
        elif record.what == UNLINKED:
            del self.paths[record.path]
            self._rename(record.path, None)
        elif record.what in (WRITTEN, TRUNCATED):
            self._file(record).written(record)
        elif record.what == SYNCED:
            self.nodes[self.inodes[record.inode]].synced()
        elif record.what == SYNC_FAILED:
            self._file(record).sync_failed()

    def _file(self, record: Record) -> File:
        file = self.nodes[self.inodes[record.inode]]
        assert isinstance(file, File)
        return file

    def _rename(self, path: str, node: int | None) -> None:
        folder, _, name = path.rpartition("/")
        parent = self.nodes[self.paths[folder]]
        assert isinstance(parent, Folder)
        parent.pending.append((name, node))

    def cut_power(self, chance: random.Random, target: Path) -> None:
        """Write what is left into a new folder."""
        self._write_folder(0, chance, target)

    def _write_folder(self, number: int, chance: random.Random, target: Path) -> None:
        folder = self.nodes[number]
        assert isinstance(folder, Folder)
        names = dict(folder.kept)
        for name, node in some(folder.pending, chance):
            change(names, name, node)
        target.mkdir()
        for name, node in names.items():
            found = self.nodes[node]
            if isinstance(found, Folder):
                self._write_folder(node, chance, target / name)
            else:
                (target / name).write_bytes(found.left(chance))

    def everything(self) -> dict[str, bytes]:
        """Return every file as the program sees it, by path."""
        files = {path: self.nodes[node] for path, node in self.paths.items()}
        return {path: file.everything() for path, file in files.items() if isinstance(file, File)}


def some(changes: list[Any], chance: random.Random) -> list[Any]:
    """Return some of what was not synced: all, none, the first few, or any."""
    if not changes:
        return []
    how = chance.randrange(4)
    if how == 0:
        return changes
    if how == 1:
        return []
    if how == 2:
        return changes[: chance.randrange(len(changes) + 1)]
    return [one for one in changes if chance.random() < 0.5]


def torn(record: Record, chance: random.Random) -> list[Record]:
    """Return the sectors of a write that reached the disk."""
    sector = chance.choice((512, 4096))
    pieces = []
    start = record.offset
    end = record.offset + len(record.data)
    while start < end:
        stop = min(end, start - start % sector + sector)
        if chance.random() < 0.5:
            data = record.data[start - record.offset : stop - record.offset]
            pieces.append(Record(WRITTEN, inode=record.inode, offset=start, data=data))
        start = stop
    return pieces


# -- judging


@dataclass(frozen=True, slots=True)
class Recording:
    """What the program did, and the folder as it left it."""

    root: Path
    records: list[Record]

    @property
    def failed(self) -> list[int]:
        """The places of the fsyncs that failed; the end where none did, as of a program that makes none."""
        return [place for place, record in enumerate(self.records) if record.what == SYNC_FAILED] or [len(self.records)]

    @property
    def acknowledged(self) -> int:
        return sum(record.what == MARK for record in self.records)

    def is_complete(self) -> bool:
        """Whether the journal makes the very files that are there: then the layer saw every write."""
        disk = SimulatedDisk(self.root)
        for record in self.records:
            disk.do(record)
        there = {
            str(path): path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_file() and not path.name.endswith("-shm")
        }
        return disk.everything() == there


def record(root: Path, journal: Path, *options: str) -> Recording:
    """Run the parts of the program over a new folder, each in a process of its own, and return what they did."""
    root.mkdir()
    for number in range(len(PARTS)):
        where = ["--work", str(root / "data"), "--journal", str(journal), "--part", str(number)]
        ended = run_with_layer(MODULE, [*where, *options])
        assert ended.returncode == 0, ended.stdout
    return Recording(root, list(read_journal(journal)))


def cuts(recording: Recording, places: Mapping[int, int], target: Path) -> Iterator[tuple[int, list[str]]]:
    """Cut the power once for each seed, at its place, and yield the seed and what was lost."""
    disk, done, said = SimulatedDisk(recording.root), 0, []
    for seed, place in sorted(places.items(), key=lambda item: item[1]):
        for record in recording.records[done:place]:
            if record.what == MARK:
                said.append(json.loads(record.data))
            else:
                disk.do(record)
        done = max(done, place)
        shutil.rmtree(target, ignore_errors=True)
        disk.cut_power(random.Random(seed), target)
        yield seed, asyncio.run(losses(target / "data", said))


def place_of(seed: int, recording: Recording, failed: int | None = None) -> int:
    """Return after how many records the power is cut: anywhere, as often right after an acknowledgement, and for every
    other seed soon after an fsync that failed, while the next process finds out what the disk has.

    failed: only soon after this one of those that failed, if any did.
    """
    chance = random.Random(f"place {seed}")
    place = chance.randrange(len(recording.records) + 1)
    if failed is not None or seed % 2:
        after = (
            recording.failed[failed % len(recording.failed)] if failed is not None else chance.choice(recording.failed)
        )
        return min(after + chance.randrange(SOON), len(recording.records))
    if chance.random() < 0.5:
        while 0 < place < len(recording.records) and recording.records[place - 1].what != MARK:
            place += 1
    return place


async def losses(folder: Path, said: list[dict[str, Any]]) -> list[str]:
    """Return what is not there of what was acknowledged, and what else is wrong with the folder."""
    try:
        store = await open_store(folder)
        try:
            missing = [one for one in said if not await _is_there(store, one)]
            await contents(store)
        finally:
            await store.close()
        damage = (await verify(folder)).damage
    except Exception as error:  # whatever comes of a damaged database
        return [f"{type(error).__name__}: {error}"]
    return [f"acknowledged, and lost: {one}" for one in missing] + damage


async def _is_there(store: VersionedStore, said: dict[str, Any]) -> bool:
    """Whether a version is there with what was said of it: the name, the kept answer, the instance's bytes; or a data
    store."""
    if "datastore" in said:
        return said["datastore"] in [datastore.datastore_id for datastore in await store.datastores()]
    datastore_id, uid = (await store.default_datastore()).datastore_id, study_uid(said["study"])
    try:
        [member] = (await store.study(datastore_id, uid, said["version"])).members
        where = (datastore_id, member.image_set_id, member.version)
        if "instance" in said:
            number = int(said["instance"].rpartition(".")[2])
            stored = (await store.objects(*where, [said["instance"]]))[said["instance"]]
            # The 128 bytes before them are zeros, whatever came (PS3.10 section 7.1).
            return bytes(await store.read(stored.address))[128:] == small_instance(said["study"], number)[128:]
        head = (await store.metadata(*where, ())).head
        return head.patient["DICOM"]["PatientName"] == said["name"] and await _is_kept(store, datastore_id, said["key"])
    except (NotFound, KeyError):
        return False


async def _is_kept(store: VersionedStore, datastore_id: str, key: str) -> bool:
    """Whether an answer is kept under an Idempotency-Key: then another request with it is refused."""
    try:
        return await store.remembered(datastore_id, f"client {key}", "of another request") is not None
    except IdempotencyConflict:
        return True


# -- commands


def main() -> int:
    logging.disable()
    options = argparse.ArgumentParser(description="Power loss.")
    options.add_argument("--seeds", type=int, default=1000, help="how many cuts")
    options.add_argument("--first", type=int, default=0, help="the first seed")
    options.add_argument("--failed", type=int, help="cut only soon after this one of the fsyncs that failed, from 0")
    options.add_argument("--rounds", type=int, default=ROUNDS, help="versions of each study")
    options.add_argument("--synchronous", default="FULL", help="of SQLite; NORMAL loses what was acknowledged")
    options.add_argument("--no-folder-sync", action="store_true", help="leave out the fsync of folders, and lose packs")
    options.add_argument("--no-pack-sync", action="store_true", help="name what joined a shared pack without a sync")
    options.add_argument("--no-log-again", action="store_true", help="trust a log that another process left")
    options.add_argument("--copy-at-close", action="store_true", help="copy the log when closing, though a sync failed")
    options.add_argument("--write-on", action="store_true", help="write on after a sync that failed")
    options.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--part", type=int, help=argparse.SUPPRESS)
    options.add_argument("--journal", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.work:
        misbehave(given)
        share_folders()
        take_time()
        take_both_ways()
        database.CHECKPOINT_WRITERS = CHECKPOINT_WRITERS
        disk = Disk()
        disk.record(given.journal)
        asyncio.run(work(given.work, disk, given.part, given.rounds))
        return 0
    return report(given)


def report(given: argparse.Namespace) -> int:
    """Record, cut, and print what was lost."""
    started, lost = time.monotonic(), 0
    switches = ("no_folder_sync", "no_pack_sync", "no_log_again", "copy_at_close", "write_on")
    behaviour = ["--synchronous", given.synchronous]
    behaviour += [f"--{switch.replace('_', '-')}" for switch in switches if getattr(given, switch)]
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="gateway-power-", dir=memory) as temporary:
        folder = Path(temporary)
        recording = record(folder / "root", folder / "journal", "--rounds", str(given.rounds), *behaviour)
        if not recording.is_complete():
            print("the layer did not see every write")
            return 2
        print(f"{len(recording.records)} records, {recording.acknowledged} acknowledgements", file=sys.stderr)
        seeds = range(given.first, given.first + given.seeds)
        places = {seed: place_of(seed, recording, given.failed) for seed in seeds}
        for seed, found in cuts(recording, places, folder / "cut"):
            lost += bool(found)
            for one in found[:3]:
                print(f"seed {seed}: {one}", flush=True)
    print(f"{given.seeds} cuts in {time.monotonic() - started:.0f} s, {lost} with a loss")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
