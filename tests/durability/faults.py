"""The fault loop: every write path, with each call to the disk failing in turn.

For N = 1, 2, … the Nth call that changes or syncs a file fails, once or for good, with ENOSPC, with EIO at a write, or
with EIO at an fsync, until a run is through without reaching its N. After each run the folder is opened by another
process on a sound disk:

- what was acknowledged is there;
- what was not is there as a whole or not at all, and nothing else changed;
- `gateway verify` finds nothing wrong: SQLite's integrity check, every checksum, every stored byte;
- while the disk failed, reading went on; after ENOSPC, writing did too as soon as there was room, without a restart.

    python -m tests.durability.faults            every call of every path
    python -m tests.durability.faults --every 5  each fifth call
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import logging
import os
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from gateway.app import create_app
from gateway.errors import GatewayError
from gateway.settings import Settings
from gateway.store.verify import verify
from tests.durability.disk import FAULTS, Disk, Fault
from tests.durability.gateway_requests import (
    contents,
    gateway_over,
    rename,
    small_instance,
    stow,
    study_path,
    study_uid,
)
from tests.durability.write_paths import (
    BYSTANDER,
    PATHS,
    STUDY,
    Start,
    WritePath,
    back_up,
    edit_with_a_key,
    incoming,
)
from tests.store.older_folders import unpack_older

TIMEOUT = 60  # seconds for one run, which takes a twentieth of one


# -- one run


@dataclass(frozen=True, slots=True)
class Case:
    path: WritePath
    fault: Fault
    number: int
    for_good: bool

    def __str__(self) -> str:
        return f"{self.path.name}, {self.fault.name} at call {self.number}{' and after' if self.for_good else ''}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a client saw. status: of the write, 0 where the gateway did not start; after: of a write to another study
    when the disk was sound again. reached: whether any call failed at all.
    """

    status: int = 0
    reading: int = 0
    after: int = 0
    body: str = ""
    refused: str = ""
    reached: bool = True


async def suffer(case: Case, folder: Path, disk: Disk) -> dict[str, Any]:
    """Do the write while the disk fails, and say what a client saw."""
    path, seen = case.path, {"status": 0, "reading": 0, "after": 0, "body": "", "refused": "", "reached": True}

    def break_it() -> None:
        disk.fail(case.fault, case.number, from_then_on=case.for_good)

    disk.watch(folder.parent)
    if path.fails == "open":
        break_it()
    if path.command is not None:
        seen["status"] = (await asyncio.to_thread(path.command, folder)).status_code
        seen["reached"] = disk.count(case.fault.kind) >= case.number
        return seen
    try:
        async with gateway_over(folder) as gateway:
            if path.fails == "write":
                break_it()
            response = await path.write(gateway)
            seen |= {"status": response.status_code, "body": response.text}
            if path.start != "nothing":
                seen["reading"] = (await gateway.client.get(f"{study_path(BYSTANDER)}/metadata")).status_code
            if path.fails != "close":
                seen["reached"] = disk.count(case.fault.kind) >= case.number
                disk.repair()
                if path.start != "nothing":
                    seen["after"] = (await rename(gateway.client, BYSTANDER, "After^Wards")).status_code
                if case.number % 2:  # every other time the process ends here, as if it were killed
                    return seen
            else:
                break_it()
    except GatewayError as error:
        seen["refused"] = type(error).__name__
    if path.fails != "write":
        seen["reached"] = disk.count(case.fault.kind) >= case.number
    return seen


async def inspect(folder: Path) -> dict[str, Any]:
    """Return what the folder holds, after the jobs in it are done. Raises where it is not sound."""
    async with gateway_over(folder) as gateway:
        while await gateway.store.unfinished_jobs() or await gateway.store.imports.unfinished():
            await asyncio.sleep(0.002)
        found = await contents(gateway.store)
    report = await verify(folder)
    if report.damage:
        raise AssertionError(f"verify found: {report.damage}")
    return found


async def send_again(folder: Path) -> dict[str, Any]:
    """Send the edit with the Idempotency-Key again, and return its answer."""
    async with gateway_over(folder) as gateway:
        response = await edit_with_a_key(gateway)
        return {"status": response.status_code, "body": response.text}


def forked(work: Callable[[], Coroutine[Any, Any, dict[str, Any]]]) -> dict[str, Any]:
    """Return what a coroutine returns in a process of its own, which ends there and then: nothing is closed."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            result: dict[str, Any] = {"result": asyncio.run(_with_exit(work, writing))}
        except BaseException as error:
            result = {"error": f"{type(error).__name__}: {error}"}
        _tell(writing, result)
    os.close(writing)
    told = _read_all(reading, child)
    os.waitpid(child, 0)
    answer: dict[str, Any] = json.loads(told) if told else {"error": "the process ended without a word, or hung"}
    if "error" in answer:
        raise AssertionError(answer["error"])
    found: dict[str, Any] = answer["result"]
    return found


async def _with_exit(work: Callable[[], Coroutine[Any, Any, dict[str, Any]]], writing: int) -> dict[str, Any]:
    _tell(writing, {"result": await work()})
    return {}


def _tell(writing: int, result: dict[str, Any]) -> None:
    with os.fdopen(writing, "w") as pipe:
        json.dump(result, pipe)
    os._exit(0)


def _read_all(reading: int, child: int) -> bytes:
    told, deadline = b"", time.monotonic() + TIMEOUT
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
            if not (some := pipe.read(65536)):
                return told
            told += some
    os.kill(child, signal.SIGKILL)
    return b""


# -- the loop


class Loop:
    """Runs cases over copies of the folders they start from, and judges each."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self.folder = folder
        self.disk = disk
        create_app(Settings())  # what is loaded once is loaded here, and not in every process that is forked
        self.starts: dict[Start, Path] = {start: folder / start for start in get_args(Start)}
        forked(lambda: self._prepare(self.starts["stored"], crash=False))
        forked(lambda: self._prepare(self.starts["crashed"], crash=True))
        unpack_older(3, self.starts["older"])
        self.before = {start: self._contents(path) for start, path in self.starts.items()}

    async def _prepare(self, folder: Path, *, crash: bool) -> dict[str, Any]:
        async with gateway_over(folder) as gateway:
            await stow(gateway.client, small_instance(STUDY), small_instance(STUDY, 2), small_instance(BYSTANDER))
            await rename(gateway.client, STUDY, "Before^All")
            if crash:
                return {}
        return {}

    def _contents(self, start: Path) -> dict[str, Any]:
        return forked(lambda: inspect(self._copy(start)))

    def _copy(self, start: Path) -> Path:
        """Return a data folder like another, in a folder that has nothing else but files to import."""
        run = self.folder / "run"
        shutil.rmtree(run, ignore_errors=True)
        incoming(run)
        if start.exists():
            shutil.copytree(start, run / "data")
        return run / "data"

    def cases(self, path: WritePath, every: int = 1, first: int = 1) -> Iterator[tuple[Case, list[str]]]:
        """Yield each case of a path, with what was wrong in it, until the calls are through."""
        expected = self._expected(path)
        for fault in FAULTS:
            for for_good in (False, True):
                for number in itertools.count(first, every):
                    case = Case(path, fault, number, for_good)
                    outcome, problems = self.run(case, expected)
                    if outcome.reached or problems:
                        yield case, problems
                    if not outcome.reached:
                        break

    def _expected(self, path: WritePath) -> dict[str, Any]:
        """Return what the folder holds after the write on a sound disk."""
        work = self._copy(self.starts[path.start])

        async def written() -> dict[str, Any]:
            if path.command is not None:
                assert (await asyncio.to_thread(path.command, work)).is_success
                return {}
            async with gateway_over(work) as gateway:
                response = await path.write(gateway)
                assert response.is_success, response.text
            return {}

        forked(written)
        return forked(lambda: inspect(work))

    def run(self, case: Case, expected: dict[str, Any]) -> tuple[Outcome, list[str]]:
        """Run a case; return what a client saw, and what was wrong."""
        work = self._copy(self.starts[case.path.start])
        outcome = Outcome(reached=False)  # of a run that says nothing there is no next
        try:
            outcome = Outcome(**forked(lambda: suffer(case, work, self.disk)))
            problems = self._judge_answers(case, outcome)
            found = forked(lambda: inspect(work))
            problems += self._judge_contents(case, outcome, found, expected)
            if case.path.write is edit_with_a_key:
                problems += self._judge_again(outcome, work, expected)
            if case.path.write is back_up and outcome.status == 200:
                copied = forked(lambda: inspect(work.with_name("copy")))
                problems += [] if copied == self.before[case.path.start] else ["the copy is not what was there"]
        except AssertionError as error:
            return outcome, [str(error)]
        return outcome, problems

    def _judge_answers(self, case: Case, outcome: Outcome) -> list[str]:
        full = case.fault is FAULTS[0]
        if not outcome.status:
            return [] if case.path.fails == "open" else ["the gateway did not start"]
        problems = []
        refusal = case.path.refusals[0 if full else 1]
        if not 200 <= outcome.status < 300 and outcome.status != refusal:
            problems.append(f"answered {outcome.status}")
        if case.path.start != "nothing" and case.path.command is None and outcome.reading != 200:
            problems.append(f"reading answered {outcome.reading}")
        if outcome.after and outcome.after not in ((200,) if full else (200, 503)):
            problems.append(f"the next write, when the disk was sound again, answered {outcome.after}")
        return problems

    def _judge_contents(
        self, case: Case, outcome: Outcome, found: dict[str, Any], expected: dict[str, Any]
    ) -> list[str]:
        before = self.before[case.path.start]
        bystander = f"study {study_uid(BYSTANDER)}"
        problems = []
        for thing in sorted({*found, *before, *expected} - {bystander}):
            allowed = [expected.get(thing)] if 200 <= outcome.status < 300 else [before.get(thing), expected.get(thing)]
            if found.get(thing) not in allowed:
                problems.append(f"{thing}: {found.get(thing)}")
        versions = found.get(bystander, [])
        if versions[: len(before.get(bystander, []))] != before.get(bystander, []):
            problems.append(f"{bystander} changed")
        if outcome.after == 200 and len(versions) != len(before[bystander]) + 1:
            problems.append(f"{bystander} has {len(versions)} versions after an acknowledged edit")
        return problems

    def _judge_again(self, outcome: Outcome, work: Path, expected: dict[str, Any]) -> list[str]:
        """The same key gives the first answer, or makes the edit now; either way it was made once."""
        answer = forked(lambda: send_again(work))
        study = f"study {study_uid(STUDY)}"
        problems = [] if answer["status"] == 200 else [f"sent again, the key was answered {answer['status']}"]
        if outcome.status == 200 and answer["body"] != outcome.body:
            problems.append("sent again, the key had another answer")
        if forked(lambda: inspect(work))[study] != expected[study]:
            problems.append("sent again, the edit was made twice")
        return problems


def main() -> int:
    logging.disable()  # what a failing disk is logged with is not what is looked at here
    options = argparse.ArgumentParser(description="The fault loop.")
    options.add_argument("--every", type=int, default=1, help="only each so manyth call")
    options.add_argument("--first", type=int, default=1, help="begin at this call")
    options.add_argument("--path", help="only this write path")
    given = options.parse_args()
    shared_memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    runs, wrong, started = 0, 0, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gateway-faults-", dir=shared_memory) as folder:
        loop = Loop(Path(folder), Disk())
        for path in PATHS:
            if given.path in (None, path.name):
                count = 0
                for case, problems in loop.cases(path, given.every, given.first):
                    count += 1
                    for problem in problems:
                        wrong += 1
                        print(f"{case}: {problem[:300]}", flush=True)
                runs += count
                print(f"{path.name}: {count} runs", file=sys.stderr, flush=True)
    seconds = time.monotonic() - started
    print(f"{runs} runs over {len(PATHS)} write paths in {seconds:.0f} s, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    if "LD_PRELOAD" in os.environ:
        sys.exit(main())
    from tests.durability.disk import environment

    os.execve(sys.executable, [sys.executable, "-m", "tests.durability.faults", *sys.argv[1:]], environment())
