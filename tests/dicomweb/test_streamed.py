"""An answer sent while it is made: no more of it than there is somebody to send it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from gateway.dicomweb.streamed import Chunk, Streamed

CHUNKS: list[Chunk] = [b"one", memoryview(b"two"), b"three"] * 10


class Client:
    """What an ASGI server is to a response. leaves_after: so many chunks."""

    def __init__(self, leaves_after: int = 1000) -> None:
        self.sent: list[dict[str, Any]] = []
        self._leaves_after = leaves_after
        self._left = asyncio.Event()

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        if len(self.sent) > self._leaves_after:
            self._left.set()

    async def receive(self) -> dict[str, Any]:
        await self._left.wait()
        return {"type": "http.disconnect"}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


def made(chunks: list[int]) -> Iterator[Chunk]:
    for number, chunk in enumerate(CHUNKS):
        chunks.append(number)
        yield chunk


async def made_slowly(chunks: list[int]) -> AsyncIterator[Chunk]:
    for chunk in made(chunks):
        await asyncio.sleep(0)
        yield chunk


@pytest.mark.parametrize("make", [made, made_slowly])
async def test_all_chunks_are_sent_in_order(make: Any) -> None:
    """Whether or not they are waited for; the last message says that there are no more."""
    client = Client()

    await Streamed(make([]), 206, {"Content-Type": "a/b"})({"method": "GET"}, client.receive, client.send)

    assert client.sent[0] == {"type": "http.response.start", "status": 206, "headers": [(b"content-type", b"a/b")]}
    assert client.body == b"onetwothree" * 10
    assert [message["more_body"] for message in client.sent[1:]] == [True] * 30 + [False]


@pytest.mark.parametrize("make", [made, made_slowly])
async def test_no_more_is_made_for_a_client_that_has_left(make: Any) -> None:
    """It hangs up after the fifth chunk: what is under way is made to its end, and that is all."""
    client, chunks = Client(leaves_after=5), list[int]()

    await Streamed(make(chunks), 200)({"method": "GET"}, client.receive, client.send)

    assert 5 <= len(chunks) <= 15
    assert client.sent[-1]["more_body"] is True


async def test_nothing_is_made_for_head() -> None:
    """The header fields of GET, and no body (RFC 9110 section 9.3.2)."""
    client, chunks = Client(), list[int]()

    await Streamed(made(chunks), 200, {"Content-Length": "11"})({"method": "HEAD"}, client.receive, client.send)

    assert client.sent[0]["headers"] == [(b"content-length", b"11")]
    assert (client.body, chunks) == (b"", [])


async def test_others_get_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that takes everything at once does not have the event loop for itself."""
    client, turns = Client(), list[int]()
    asyncio.get_running_loop().call_soon(lambda: turns.append(len(client.sent)))

    await Streamed(made([]), 200)({"method": "GET"}, client.receive, client.send)

    assert turns == [9]
