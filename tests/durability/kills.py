"""kill -9 under load: clients store and edit over HTTP, and the server is killed at random moments.

After each kill another server opens the folder, and every client looks at what it was told: each version that was
acknowledged is there and says what was sent, none is there twice, none is missing in between, and the one that was not
answered is there as a whole or not at all. In the end every version ever acknowledged is read again, and
`gateway verify` goes over the folder.

    python -m tests.durability.kills --kills 2000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.store.verify import verify
from tests.dicomweb.wire import STOW, multipart
from tests.durability.gateway_requests import named, small_instance, study_path
from tests.durability.serving import Servers
from tests.durability.wire import Answer, Connection, NoAnswer

DICOM_JSON = "application/dicom+json"

CLIENTS = 6
VERSIONS = 120  # of one study, before a client begins another

# What a client remembers of a version: the PatientName after it, and how many instances.
Said = tuple[str, int]


@dataclass(slots=True)
class Study:
    """A study, as its client knows it. versions: what was acknowledged, from version 1 on. unanswered: what may be the
    version after."""

    number: int
    versions: list[Said] = field(default_factory=list)
    unanswered: Said | None = None

    @property
    def now(self) -> Said:
        return self.versions[-1] if self.versions else ("CompressedSamples^CT1", 0)


class Client:
    """Writes to one study after the other, and knows what it was told."""

    def __init__(self, number: int, wrong: Callable[[str], None]) -> None:
        self.number = number
        self.wrong = wrong
        self.studies = [Study(number * 10_000)]
        self.checked = 0  # how many versions of the last study were looked at

    async def write(self, connection: Connection) -> None:
        """Write until the server does not answer."""
        while True:
            study = self.studies[-1]
            if len(study.versions) >= VERSIONS:
                await self.check(connection)
                self.studies.append(study := Study(study.number + 1))
                self.checked = 0
            name, instances = study.now
            version = len(study.versions)
            if version % 10 == 0:
                study.unanswered = (name, instances + 1)
                answer = await self._store(connection, study, instances + 1)
            else:
                study.unanswered = (f"Doe^{study.number}^{version}", instances)
                answer = await self._rename(connection, study)
            if not 200 <= answer.status < 300:
                self.wrong(f"study {study.number}: answered {answer.status} {answer.body[:300]!r}")
                return
            study.versions.append(study.unanswered)
            study.unanswered = None

    async def _store(self, connection: Connection, study: Study, number: int) -> Answer:
        body = multipart([small_instance(study.number, number)])
        return await connection.ask("POST", "/dicomweb/studies", body, Content_Type=STOW)

    async def _rename(self, connection: Connection, study: Study) -> Answer:
        assert study.unanswered is not None
        body = json.dumps(named(study.number, study.unanswered[0])).encode()
        etag = f'"{len(study.versions)}"'
        return await connection.ask(
            "PATCH", f"{study_path(study.number)}/metadata", body, If_Match=etag, Content_Type=DICOM_JSON
        )

    async def check(self, connection: Connection) -> None:
        """Look at the last study: what was acknowledged since the last look, and what became of the unanswered."""
        study = self.studies[-1]
        listed = await connection.ask("GET", f"{study_path(study.number)}/versions")
        numbers = [one["version"] for one in listed.json()] if listed.status == 200 else []
        if numbers != list(range(len(numbers), 0, -1)):
            self.wrong(f"study {study.number}: its versions are {numbers}")
        if study.unanswered is not None and len(numbers) == len(study.versions) + 1:
            study.versions.append(study.unanswered)
        study.unanswered = None
        if len(numbers) != len(study.versions):
            self.wrong(f"study {study.number}: {len(study.versions)} were acknowledged, {len(numbers)} are there")
        for version in range(self.checked + 1, len(study.versions) + 1):
            await self._check_version(connection, study, version)
        self.checked = len(study.versions)

    async def check_all(self, connection: Connection) -> None:
        """Look at every version of every study."""
        for study in self.studies:
            for version in range(1, len(study.versions) + 1):
                await self._check_version(connection, study, version)
        if self.studies[-1].versions:
            await self._check_bytes(connection, self.studies[-1])

    async def _check_version(self, connection: Connection, study: Study, version: int) -> None:
        name, instances = study.versions[version - 1]
        answer = await connection.ask("GET", f"{study_path(study.number)}/metadata?version={version}")
        found = answer.json() if answer.status == 200 else []
        names = {one["00100010"]["Value"][0]["Alphabetic"] for one in found}
        if names != {name} or len(found) != instances:
            self.wrong(
                f"study {study.number} version {version}: {answer.status}, {len(found)} of {instances} instances"
            )

    async def _check_bytes(self, connection: Connection, study: Study) -> None:
        answer = await connection.ask("GET", study_path(study.number))
        for number in range(1, study.now[1] + 1):
            if small_instance(study.number, number)[-128:] not in answer.body:
                self.wrong(f"study {study.number}: the pixels of instance {number} are not what came")


@dataclass(slots=True)
class Report:
    """What came of it. wrong: sentences."""

    kills: int = 0
    versions: int = 0
    unanswered: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.kills} kills in {self.seconds:.0f} s: {self.versions} versions acknowledged,"
            f" {self.unanswered} requests cut off, {len(self.wrong)} wrong"
        )


async def run(folder: Path, kills: int, seed: int) -> Report:
    """Kill a server so many times under load, and return what came of it."""
    report, chance, started = Report(), random.Random(seed), time.monotonic()
    clients = [Client(number, report.wrong.append) for number in range(1, CLIENTS + 1)]
    with Servers() as servers:
        for _ in range(kills):
            server = servers.start(folder)
            connections = [Connection(server.port) for _ in clients]
            await _each(clients, connections, Client.check)
            writing = [
                asyncio.create_task(_until_cut_off(client.write(connection)))
                for client, connection in zip(clients, connections, strict=True)
            ]
            await asyncio.sleep(chance.uniform(0.0, 0.25))
            server.send(signal.SIGKILL)
            servers.wait()
            await asyncio.gather(*writing)
            report.kills += 1
            report.unanswered += sum(client.studies[-1].unanswered is not None for client in clients)
            for connection in connections:
                await connection.close()
            if report.wrong:
                break
        with servers.serving(folder) as server:
            connections = [Connection(server.port, timeout=60) for _ in clients]
            await _each(clients, connections, Client.check)
            await _each(clients, connections, Client.check_all)
            for connection in connections:
                await connection.close()
    report.wrong += (await verify(folder)).damage
    report.versions = sum(len(study.versions) for client in clients for study in client.studies)
    report.seconds = time.monotonic() - started
    return report


async def _each(
    clients: list[Client],
    connections: list[Connection],
    do: Callable[[Client, Connection], Coroutine[Any, Any, None]],
) -> None:
    await asyncio.gather(*(do(client, one) for client, one in zip(clients, connections, strict=True)))


async def _until_cut_off(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except NoAnswer:
        return


def main() -> int:
    options = argparse.ArgumentParser(description="kill -9 under load.")
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options.add_argument("--folder", type=Path, help="where the data folder is to be, on the disk that is meant")
    given = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="gateway-kills-", dir=given.folder))
    report = asyncio.run(run(folder / "data", given.kills, given.seed))
    for one in report.wrong:
        print(one)
    print(f"{report} (seed {given.seed})")
    if report.wrong:
        print(f"the folder is kept: {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
