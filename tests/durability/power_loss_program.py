"""The program that power_loss.py watches: a gateway that stores and edits, and what its disk does to it.

Each part is a process of its own over the folder that the one before left. With an option it does what no gateway may.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import threading
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import StorageFailed
from gateway.store import folders, versioned
from gateway.store.blobs import folder as blobs_folder
from gateway.store.blobs import shared_pack
from gateway.store.sqlite import database, write_ahead_log
from gateway.store.sqlite.connection import Connection
from gateway.store.sqlite.database import Database
from gateway.store.sqlite.log import SqliteLog
from gateway.store.versioned import VersionedStore
from tests.durability.disk import FAULTS, Disk
from tests.durability.gateway_requests import Gateway, gateway_over, rename, small_instance, stow, study_uid

STUDIES = 4
ROUNDS = 8
CHECKPOINT_WRITERS = 7  # a checkpoint comes often

# What is changed of the gateway is changed in this process, to its end.
HERE = pytest.MonkeyPatch()

# -- its parts


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


# -- how it differs from a gateway that is served


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

    HERE.setattr(blobs_folder.FolderPack, "_commit", after_a_while)


def take_both_ways() -> None:
    """Have every other pack be a file of its own, small as it is, and the others soon need the next shared one."""
    is_small: Callable[[blobs_folder.FolderPack], bool] = vars(blobs_folder.FolderPack)["is_small"].fget

    def is_seldom_small(pack: blobs_folder.FolderPack) -> bool:
        return is_small(pack) and int(pack.name[-1], 16) % 2 == 0

    HERE.setattr(blobs_folder.FolderPack, "is_small", property(is_seldom_small))
    HERE.setattr(shared_pack, "FULL", 128 * 1024)


# -- what no gateway may

# What it does not do, or does all the same, by option.
MISBEHAVIOURS = {
    "--no-folder-sync": "leave out the fsync of folders, and lose packs",
    "--no-pack-sync": "name what joined a shared pack without a sync",
    "--no-log-again": "trust a log that another process left",
    "--copy-at-close": "copy the log when closing, though a sync failed",
    "--write-on": "write on after a sync that failed",
}


def add_options(options: argparse.ArgumentParser) -> None:
    """Add what both commands take."""
    options.add_argument("--rounds", type=int, default=ROUNDS, help="versions of each study")
    options.add_argument("--synchronous", default="FULL", help="of SQLite; NORMAL loses what was acknowledged")
    for name, what in MISBEHAVIOURS.items():
        options.add_argument(name, action="store_true", help=what)


def options_of(given: argparse.Namespace) -> list[str]:
    """Return the same options again, for the program."""
    switches = [name for name in MISBEHAVIOURS if getattr(given, name.strip("-").replace("-", "_"))]
    return ["--rounds", str(given.rounds), "--synchronous", given.synchronous, *switches]


def misbehave(given: argparse.Namespace) -> None:
    """Have this process write as no gateway may."""
    if given.no_log_again:
        for module in (database, write_ahead_log):
            HERE.setattr(module, "write_log_again", lambda path: None)  # each has its own
    if given.copy_at_close:
        copy_at_close()
    if given.write_on:
        HERE.setattr(Database, "_note_failure", lambda self, error: None)
    if given.no_pack_sync:
        HERE.setattr(shared_pack.SharedPack, "sync", lambda pack, end: None)
    if given.synchronous != "FULL":
        pragmas = database._EVERY_CONNECTION
        changed = f"PRAGMA synchronous={given.synchronous}"
        HERE.setattr(database, "_EVERY_CONNECTION", [changed if "synchronous" in one else one for one in pragmas])
    if given.no_folder_sync:
        for module in (folders, blobs_folder, shared_pack, versioned):
            HERE.setattr(module, "sync_folder", lambda folder: None)  # each has its own


def copy_at_close() -> None:
    """Have this process close a database whose disk failed as it does any other."""
    close = Database.close

    async def close_and_copy(self: Database) -> None:
        self._failed = None
        await close(self)

    HERE.setattr(Database, "close", close_and_copy)


def main() -> None:
    logging.disable()
    options = argparse.ArgumentParser(description="The program whose power is cut.")
    options.add_argument("folder", type=Path)
    options.add_argument("journal", type=Path)
    options.add_argument("part", type=int)
    add_options(options)
    given = options.parse_args()
    misbehave(given)
    share_folders()
    take_time()
    take_both_ways()
    HERE.setattr(database, "CHECKPOINT_WRITERS", CHECKPOINT_WRITERS)
    disk = Disk()
    disk.record(given.journal)
    asyncio.run(work(given.folder, disk, given.part, given.rounds))


if __name__ == "__main__":
    main()
