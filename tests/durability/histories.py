"""Histories: many clients append tokens to the same studies while the server is killed and paused.

Each edit reads a study, appends a token of its own to one of its attributes, and sends that with If-Match over
DICOMweb, or with latestVersionId over HealthImaging. Afterwards the history has to check out, Jepsen's way: every
version is its predecessor and exactly one token more; every acknowledged token is in the version that was named; no
refused token is anywhere; no token is there twice; no client ever read a version older than one it had seen. An edit
that was not answered may be either, but sent again with its Idempotency-Key it is answered, and then it has to be as
answered.

    python -m tests.durability.histories --operations 100000
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from gateway.store.verify import verify
from gateway.store.versioned import VersionedStore, open_store
from tests.dicomweb.wire import STOW, multipart
from tests.durability.disk import ROOT
from tests.durability.gateway_requests import small_instance, study_path, study_uid
from tests.durability.serving import Running, Servers
from tests.durability.wire import Answer, Connection, NoAnswer

PROCESSES = 2
TASKS = 4
STUDIES = 5  # written to at a time
VERSIONS = 150  # of a study, before clients go on to the next

ADDITIONAL_PATIENT_HISTORY = "001021B0"  # LT, Study level

Outcome = Literal["acknowledged", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One edit, as its client knows it. base: the version it was made from. version: the one it was answered with."""

    token: str
    study: int
    base: int
    outcome: Outcome
    version: int = 0


# -- clients


@dataclass(slots=True)
class Client:
    """Appends tokens. seen: the latest version of each study it knows of; wrong: what no client may see."""

    name: str
    port: int
    chance: random.Random
    operations: list[Operation] = field(default_factory=list)
    seen: dict[int, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    generation: int = 0
    datastore: str = ""
    image_sets: dict[int, str] = field(default_factory=dict)
    unanswered: int = 0

    async def run(self, count: int) -> None:
        # A paused server answers late: that is no answer, and the same key is sent again.
        connection = Connection(self.port, timeout=0.4)
        while len(self.operations) < count:
            study = self.generation * STUDIES + self.chance.randrange(STUDIES)
            try:
                base, history, image_set = await self._read(connection, study)
            except NoAnswer:
                await asyncio.sleep(0.02)
                continue
            if base > VERSIONS:
                self.generation += 1
                continue
            token = f"{self.name}.{len(self.operations)}"
            tokens = ",".join([*history, token])
            if self.chance.random() < 0.3:
                operation = await self._update(connection, Operation(token, study, base, "unknown"), tokens, image_set)
            else:
                operation = await self._patch(connection, Operation(token, study, base, "unknown"), tokens)
            self.operations.append(operation)
            self.seen[study] = max(self.seen[study], operation.version)
        await connection.close()

    async def _read(self, connection: Connection, study: int) -> tuple[int, list[str], str]:
        """Return a study's version, its tokens, and its image set; make the study if there is none yet."""
        path = study_path(study)
        answer = await connection.ask("GET", f"{path}/normalizedmetadata")
        if answer.status == 404:
            await connection.ask("POST", "/dicomweb/studies", multipart([small_instance(study)]), Content_Type=STOW)
            answer = await connection.ask("GET", f"{path}/normalizedmetadata")
        if answer.status != 200:
            self.wrong.append(f"reading study {study} was answered {answer.status}")
            raise NoAnswer
        version = int(answer.headers["etag"].strip('"'))
        if version < self.seen.get(study, 0):
            self.wrong.append(f"{self.name} read version {version} of study {study} after {self.seen[study]}")
        self.seen[study] = version
        [text] = answer.json()[0].get(ADDITIONAL_PATIENT_HISTORY, {}).get("Value", [""])
        return version, text.split(",") if text else [], await self._image_set(connection, study)

    async def _image_set(self, connection: Connection, study: int) -> str:
        if study in self.image_sets:
            return self.image_sets[study]
        if not self.datastore:
            answer = await connection.ask("GET", "/datastore")
            self.datastore = answer.json()["datastoreSummaries"][0]["datastoreId"]
        answer = await connection.ask("GET", f"{study_path(study)}/versions/1")
        self.image_sets[study] = str(answer.json()["imageSets"][0]["imageSetId"])
        return self.image_sets[study]

    async def _patch(self, connection: Connection, operation: Operation, tokens: str) -> Operation:
        """Append over DICOMweb; without an answer, ask again with the same key."""
        body = json.dumps({ADDITIONAL_PATIENT_HISTORY: {"vr": "LT", "Value": [tokens]}}).encode()
        for _ in range(50):
            try:
                answer = await connection.ask(
                    "PATCH",
                    f"{study_path(operation.study)}/normalizedmetadata",
                    body,
                    Content_Type="application/merge-patch+json",
                    If_Match=f'"{operation.base}"',
                    Idempotency_Key=operation.token,
                )
            except NoAnswer:
                self.unanswered += 1
                await asyncio.sleep(0.05)
                continue
            return self._judge(operation, answer, 412, "version")
        return operation

    async def _update(self, connection: Connection, operation: Operation, tokens: str, image_set: str) -> Operation:
        """Append over HealthImaging, which has no key: without an answer it is not known."""
        document = {"SchemaVersion": 1.1, "Study": {"DICOM": {"AdditionalPatientHistory": tokens}}}
        encoded = base64.b64encode(json.dumps(document).encode()).decode()
        path = f"/datastore/{self.datastore}/imageSet/{image_set}/updateImageSetMetadata"
        try:
            answer = await connection.ask(
                "POST",
                f"{path}?latestVersion={operation.base}",
                json.dumps({"DICOMUpdates": {"updatableAttributes": encoded}}).encode(),
                Content_Type="application/json",
            )
        except NoAnswer:
            self.unanswered += 1
            return operation
        return self._judge(operation, answer, 409, "latestVersionId")

    def _judge(self, operation: Operation, answer: Answer, conflict: int, version: str) -> Operation:
        """Return the operation with what was answered."""
        outcome: Outcome = "refused"
        made = 0
        if answer.status == 200:
            outcome, made = "acknowledged", int(answer.json()[version])
        elif answer.status != conflict:
            self.wrong.append(f"{operation.token} was answered {answer.status} {answer.body[:200]!r}")
        return Operation(operation.token, operation.study, operation.base, outcome, made)


async def clients(name: str, port: int, operations: int, seed: int) -> dict[str, Any]:
    """Run the clients of one process, and return what they know."""
    found = [Client(f"{name}{task}", port, random.Random(f"{seed} {name}{task}")) for task in range(TASKS)]
    await asyncio.gather(*(client.run(operations // TASKS) for client in found))
    return {
        "operations": [asdict(operation) for client in found for operation in client.operations],
        "wrong": [one for client in found for one in client.wrong],
        "unanswered": sum(client.unanswered for client in found),
    }


# -- what is done to the server


async def disturb(servers: Servers, server: Running, folder: Path, until: asyncio.Event, seed: int) -> Counter[str]:
    """Kill, pause and leave alone, in turn at random, until told to stop. Returns how often."""
    chance, done = random.Random(seed), Counter[str]()
    while not until.is_set():
        try:
            await asyncio.wait_for(until.wait(), chance.uniform(0.1, 1.5))
        except TimeoutError:
            what = chance.choice(("kill", "pause"))
            done[what] += 1
            if what == "kill":
                server.send(signal.SIGKILL)
                await asyncio.to_thread(servers.wait)
                server = await asyncio.to_thread(servers.start, folder, server.port)
            else:
                server.send(signal.SIGSTOP)
                await asyncio.sleep(chance.uniform(0.05, 0.7))
                server.send(signal.SIGCONT)
    server.send(signal.SIGTERM)
    await asyncio.to_thread(servers.wait)
    return done


# -- judging


async def read_histories(folder: Path, studies: Iterable[int]) -> dict[int, list[list[str]]]:
    """Return the tokens of every version of each study, oldest first."""
    store = await open_store(folder)
    try:
        return {study: await _tokens(store, study) for study in studies}
    finally:
        await store.close()


async def _tokens(store: VersionedStore, study: int) -> list[list[str]]:
    datastore_id = (await store.default_datastore()).datastore_id
    found = []
    for version in reversed(await store.study_versions(datastore_id, study_uid(study))):
        [member] = version.members
        head = (await store.metadata(datastore_id, member.image_set_id, member.version, ())).head
        text = head.study["DICOM"].get("AdditionalPatientHistory")
        found.append(str(text).split(",") if text else [])
    return found


def anomalies(operations: Iterable[Operation], histories: dict[int, list[list[str]]]) -> list[str]:
    """Return what is wrong with histories, given what their clients know."""
    wrong = []
    made: dict[str, tuple[int, int]] = {}
    for study, versions in histories.items():
        if versions and versions[0]:
            wrong.append(f"study {study} begins with tokens")
        for number, (before, after) in enumerate(zip(versions, versions[1:], strict=False), 2):
            if after[:-1] != before or not after:
                wrong.append(f"study {study} version {number} is not its predecessor and one token")
            elif after[-1] in made:
                wrong.append(f"token {after[-1]} is there twice")
            else:
                made[after[-1]] = (study, number)
    known = {operation.token: operation for operation in operations}
    wrong += [f"token {token} was never sent" for token in made.keys() - known.keys()]
    for token, operation in known.items():
        where = made.get(token)
        if operation.outcome == "acknowledged" and where != (operation.study, operation.version):
            wrong.append(f"token {token} was acknowledged as version {operation.version}, and is {where}")
        elif operation.outcome == "refused" and where is not None:
            wrong.append(f"token {token} was refused, and is {where}")
        elif where is not None and where[1] != operation.base + 1:
            wrong.append(f"token {token} was made from version {operation.base}, and is {where}")
    return wrong


# -- a run


@dataclass(slots=True)
class Report:
    """What came of a run."""

    operations: Counter[str] = field(default_factory=Counter)
    disturbances: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    studies: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counted = ", ".join(f"{number} {outcome}" for outcome, number in sorted(self.operations.items()))
        disturbed = ", ".join(f"{number} {what}s" for what, number in sorted(self.disturbances.items()))
        return (
            f"{self.operations.total()} operations on {self.studies} studies in {self.seconds:.0f} s: {counted};"
            f" {self.unanswered} requests without an answer; {disturbed}; {len(self.wrong)} anomalies"
        )


async def run(folder: Path, operations: int, seed: int) -> Report:
    """Run clients in processes against a server that is disturbed, and judge what is there afterwards."""
    started, report = time.monotonic(), Report()
    with Servers() as servers:
        server = servers.start(folder)
        until = asyncio.Event()
        disturbing = asyncio.create_task(disturb(servers, server, folder, until, seed))
        told = await asyncio.gather(
            *(_process(chr(ord("a") + one), server.port, operations // PROCESSES, seed) for one in range(PROCESSES))
        )
        until.set()
        report.disturbances = await disturbing
    known = [Operation(**operation) for one in told for operation in one["operations"]]
    histories = await read_histories(folder, sorted({operation.study for operation in known}))
    report.operations = Counter(operation.outcome for operation in known)
    report.unanswered = sum(one["unanswered"] for one in told)
    report.studies = len(histories)
    report.wrong = [sentence for one in told for sentence in one["wrong"]]
    report.wrong += anomalies(known, histories) + (await verify(folder)).damage
    report.seconds = time.monotonic() - started
    return report


async def _process(name: str, port: int, operations: int, seed: int) -> dict[str, Any]:
    """Run clients in a process of their own, and return what they know."""
    module = "tests.durability.histories"
    arguments = ["--client", name, "--port", str(port), "--operations", str(operations), "--seed", str(seed)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, cwd=ROOT, stdout=subprocess.PIPE
    )
    told, _ = await process.communicate()
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(told)
    return found


def main() -> int:
    options = argparse.ArgumentParser(description="Histories under disturbance.")
    options.add_argument("--operations", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options.add_argument("--folder", type=Path, help="where the data folder is to be, on the disk that is meant")
    options.add_argument("--client", help=argparse.SUPPRESS)
    options.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.client:
        print(json.dumps(asyncio.run(clients(given.client, given.port, given.operations, given.seed))))
        return 0
    folder = Path(tempfile.mkdtemp(prefix="gateway-histories-", dir=given.folder))
    report = asyncio.run(run(folder / "data", given.operations, given.seed))
    for one in report.wrong[:50]:
        print(one)
    print(f"{report} (seed {given.seed})")
    if report.wrong:
        print(f"the folder is kept: {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
