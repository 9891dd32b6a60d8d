"""A small HTTP/1.1 client that keeps its connection: the client shares the machine, so it has to cost little.

Bytes are received into one buffer that is used again for every answer, and of a body in chunks nothing is moved before
somebody looks at it: what is measured is the server, not the client's copies.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

# Orthanc closes a connection after a second without a request; a new one is made before it comes to that.
_IDLE = 0.5

# What is received at once at most: the kernel seldom has more ready.
_AT_ONCE = 1024 * 1024

JSON = {"Accept": "application/dicom+json"}


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. pieces: of its body, views of the client's buffer: they are the next answer's after the next request.

    size: of the body, which is known without joining it.
    """

    status: int
    headers: Mapping[str, str]
    pieces: Sequence[memoryview]

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def size(self) -> int:
        return sum(map(len, self.pieces))


class Refused(Exception):
    """The server answered something else than 2xx: what was to be measured did not happen."""


class Client:
    """One connection to one server. Use it as an async context manager.

    room: bytes of the largest answer expected. They are touched beforehand, which would else be measured.
    """

    def __init__(self, url: str, room: int = _AT_ONCE) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "127.0.0.1", address.port or 80
        self._answer = _Answer(bytearray(b"\1") * (room + _AT_ONCE))

    async def __aenter__(self) -> Client:
        await self._connect()
        return self

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        made, _ = await loop.create_connection(lambda: self._answer, self._host, self._port)
        self._transport = made
        self._open, self._used = True, time.monotonic()

    async def __aexit__(self, *error: object) -> None:
        self._transport.abort()

    async def connect_anew(self) -> None:
        """Connect again: nothing that the server remembers of the connection is measured, nor that it gave it up."""
        self._transport.abort()
        self._answer = _Answer(self._answer.buffer)
        await self._connect()

    async def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """Return the answer, whole. Raises Refused."""
        if not self._open or time.monotonic() - self._used > _IDLE:
            await self.connect_anew()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}:{self._port}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        complete = self._answer.begin()
        self._transport.write("\r\n".join([*lines, "", ""]).encode())
        if body:
            self._transport.write(body)
        reply = await complete
        self._open = reply.headers.get("connection", "").lower() != "close"
        self._used = time.monotonic()
        if not 200 <= reply.status < 300:
            raise Refused(f"{method} {path.partition('?')[0]}: {reply.status} {reply.body[:300]!r}")
        return reply

    async def get(self, path: str, **headers: str) -> bytes:
        """Return the body of a GET."""
        return (await self.ask("GET", path, headers=headers or JSON)).body


class _Answer(asyncio.BufferedProtocol):
    """Receives one answer after the other into one buffer, and finds its end without looking at its body twice."""

    def __init__(self, buffer: bytearray) -> None:
        self.buffer = buffer
        self._waiting: asyncio.Future[Reply] | None = None

    def begin(self) -> asyncio.Future[Reply]:
        """Return what will be the next answer. The buffer is filled anew."""
        self._filled, self._body, self._status, self._headers = 0, 0, 0, dict[str, str]()
        self._next_chunk, self._spans = 0, list[tuple[int, int]]()
        self._waiting = asyncio.get_running_loop().create_future()
        return self._waiting

    def get_buffer(self, sizehint: int) -> memoryview:
        if len(self.buffer) - self._filled < _AT_ONCE:
            grown = bytearray(2 * len(self.buffer))
            grown[: self._filled] = memoryview(self.buffer)[: self._filled]
            self.buffer = grown
        return memoryview(self.buffer)[self._filled : self._filled + _AT_ONCE]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        if not self._body and not self._read_head():
            return
        if self._headers.get("transfer-encoding", "").lower() == "chunked":
            complete = self._walk_chunks()
        elif self._headers.get("connection", "").lower() == "close" and "content-length" not in self._headers:
            return
        else:
            length = int(self._headers.get("content-length", "0"))
            self._spans = [(self._body, self._body + length)]
            complete = self._filled >= self._body + length
        if complete:
            self._tell()

    def eof_received(self) -> None:
        if self._body and not self._spans:
            self._spans = [(self._body, self._filled)]
            self._tell()

    def connection_lost(self, error: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error or ConnectionResetError("the server closed the connection"))

    def _tell(self) -> None:
        view = memoryview(self.buffer)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(Reply(self._status, self._headers, [view[at:end] for at, end in self._spans]))

    def _read_head(self) -> bool:
        end = self.buffer.find(b"\r\n\r\n", 0, self._filled)
        if end < 0:
            return False
        head = self.buffer[:end].decode("latin-1").split("\r\n")
        self._status = int(head[0].split(" ", 2)[1])
        self._headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        self._body = self._next_chunk = end + 4
        return True

    def _walk_chunks(self) -> bool:
        """Go on to the last chunk whose size is there; return whether it is the last of all."""
        while (end := self.buffer.find(b"\r\n", self._next_chunk, self._filled)) >= 0:
            size = int(self.buffer[self._next_chunk : end].partition(b";")[0], 16)
            start = end + 2
            if start + size + 2 > self._filled:
                return False
            if not size:
                return True
            self._spans.append((start, start + size))
            self._next_chunk = start + size + 2
        return False
