"""A client that hangs up: at every byte of its request, and at any moment after it.

Its edit is applied whole or not at all, and the same Idempotency-Key, sent again, tells which: it gives the answer of
the edit that was applied, or applies it now; the study has one version more in either case.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.store.verify import verify
from tests.conftest import serving
from tests.dicomweb.wire import STOW, multipart
from tests.durability.gateway_requests import named, small_instance, study_path
from tests.durability.wire import Answer, Connection, request

DICOM_JSON = "application/dicom+json"
# SO_LINGER with no time: closing sends RST and not FIN, as a client that dies does.
RESET = struct.pack("ii", 1, 0)


class Hasty:
    """A client that edits study 1, and hangs up on it. version: the study's, as far as it knows."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.patient = Connection(port)
        self.version = 1
        self.applied = 0

    def edit(self, name: str) -> tuple[bytes, dict[str, str]]:
        """Return the body of an edit, and its headers."""
        headers = {"Content_Type": DICOM_JSON, "If_Match": f'"{self.version}"', "Idempotency_Key": f"key-{name}"}
        return json.dumps(named(1, name)).encode(), headers

    async def hang_up(self, name: str, cut: Callable[[bytes], int], wait: float, *, reset: bool) -> None:
        """Send as much of an edit as `cut` says, wait, and hang up."""
        body, headers = self.edit(name)
        sent = request("PATCH", f"{study_path(1)}/metadata", body, **headers)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(sent[: cut(sent)])
        await writer.drain()
        await asyncio.sleep(wait)
        if reset:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.close()

    async def look(self, name: str) -> None:
        """Send the edit again with its key, and see that it was made once."""
        before = await self.versions()
        assert before in (self.version, self.version + 1)
        self.applied += before > self.version
        body, headers = self.edit(name)
        answer = await self.patient.ask("PATCH", f"{study_path(1)}/metadata", body, **headers)
        assert answer.status == 200, answer.body
        self.version += 1
        assert await self.versions() == self.version
        assert await self.name_of(self.version) == name

    async def versions(self) -> int:
        return len((await self._get(f"{study_path(1)}/versions")).json())

    async def name_of(self, version: int) -> str:
        [instance] = (await self._get(f"{study_path(1)}/metadata?version={version}")).json()
        return str(instance["00100010"]["Value"][0]["Alphabetic"])

    async def _get(self, path: str) -> Answer:
        return await self.patient.ask("GET", path)


@pytest.fixture
async def hasty(tmp_path: Path) -> AsyncIterator[Hasty]:
    with serving(tmp_path / "data") as server:
        client = Hasty(int(server.url.rpartition(":")[2]))
        body = multipart([small_instance(1)])
        assert (await client.patient.ask("POST", "/dicomweb/studies", body, Content_Type=STOW)).status == 200
        yield client
        await client.patient.close()
    assert (await verify(tmp_path / "data")).damage == []


def first(length: int) -> Callable[[bytes], int]:
    return lambda sent: length


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_a_request_cut_off_at_any_byte_changes_nothing(hasty: Hasty, reset: bool) -> None:
    """Each prefix of a request, every seventh byte: nothing is applied, and the key is free for the edit."""
    body, headers = hasty.edit("Doe^0")
    whole = len(request("PATCH", f"{study_path(1)}/metadata", body, **headers))
    for number, length in enumerate(range(0, whole - 8, 7)):
        await hasty.hang_up(f"Doe^{number}", first(length), 0.0, reset=reset)
        await hasty.look(f"Doe^{number}")

    assert hasty.applied == 0


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_a_client_that_does_not_wait_for_the_answer_finds_its_edit_whole(hasty: Hasty, reset: bool) -> None:
    """It hangs up between 0 and 12 ms after the last byte: before, in, and after the commit."""
    chance = random.Random(5)
    for number in range(80):
        await hasty.hang_up(f"Doe^{number}", len, chance.uniform(0.0, 0.012), reset=reset)
        await hasty.look(f"Doe^{number}")

    assert hasty.applied > 0  # most of them, and how many depends on the machine
