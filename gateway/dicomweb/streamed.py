"""Answers that are sent while they are made, or while they are read from the disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from typing import TypeAlias

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Chunk: TypeAlias = bytes | memoryview

# After so many chunks others get their turn: a client as quick as we are would have the event loop for itself.
_IN_A_TURN = 8


class Streamed(Response):
    """A response sent chunk by chunk. Of one to HEAD, or whose client hangs up, no more is made.

    Starlette's own goes to a thread for each chunk of what is no asynchronous iterator, and has two tasks and a scope
    for every answer.
    """

    def __init__(
        self, chunks: Iterable[Chunk] | AsyncIterable[Chunk], status: int, headers: Mapping[str, str] | None = None
    ) -> None:
        self.chunks = chunks if isinstance(chunks, AsyncIterable) else _asynchronous(chunks)
        self.status_code = status
        self.background = None
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        gone = asyncio.ensure_future(_gone(receive))
        try:
            if scope["method"] != "HEAD":
                sent = 0
                async for chunk in self.chunks:
                    if gone.done():
                        return
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                    sent += 1
                    if sent % _IN_A_TURN == 0:
                        await asyncio.sleep(0)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()


async def _gone(receive: Receive) -> None:
    """Return when the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _asynchronous(chunks: Iterable[Chunk]) -> AsyncIterator[Chunk]:
    for chunk in chunks:
        yield chunk
