"""Power loss: what was acknowledged is there, whatever the disk had not been told to keep.

A program stores and edits (power_loss_program.py), with the layer of disk_layer.c writing down each write, fsync, new
name and rename, and each moment when something was acknowledged. Then the power is cut at random points of that
journal. What was not synced is kept, dropped or torn at random (simulated_disk.py), and the folder that is left is
opened again: what was acknowledged before the cut has to be there, as a whole, and `gateway verify` has nothing to say.

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
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.errors import IdempotencyConflict, NotFound
from gateway.store.verify import verify
from gateway.store.versioned import VersionedStore, open_store
from tests.durability.disk import run_with_layer
from tests.durability.gateway_requests import contents, small_instance, study_uid
from tests.durability.power_loss_program import PARTS, add_options, options_of
from tests.durability.simulated_disk import MARK, SYNC_FAILED, Record, SimulatedDisk, read_journal

PROGRAM = "tests.durability.power_loss_program"
SOON = 40  # so many records are soon after another

# -- recording, and cutting


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
        ended = run_with_layer(PROGRAM, [str(root / "data"), str(journal), str(number), *options])
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
        failures = recording.failed
        after = chance.choice(failures) if failed is None else failures[failed % len(failures)]
        return min(after + chance.randrange(SOON), len(recording.records))
    if chance.random() < 0.5:
        while 0 < place < len(recording.records) and recording.records[place - 1].what != MARK:
            place += 1
    return place


# -- judging


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


# -- the command


def main() -> int:
    """Record, cut, and print what was lost."""
    logging.disable()
    options = argparse.ArgumentParser(description="Power loss.")
    options.add_argument("--seeds", type=int, default=1000, help="how many cuts")
    options.add_argument("--first", type=int, default=0, help="the first seed")
    options.add_argument("--failed", type=int, help="cut only soon after this one of the fsyncs that failed, from 0")
    add_options(options)
    given = options.parse_args()
    started, lost = time.monotonic(), 0
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="gateway-power-", dir=memory) as temporary:
        folder = Path(temporary)
        recording = record(folder / "root", folder / "journal", *options_of(given))
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
