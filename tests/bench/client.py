"""A small HTTP/1.1 client that keeps its connection: the client shares the machine, so it has to cost little."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

# Orthanc closes a connection after a second without a request; a new one is made before it comes to that.
_IDLE = 0.5

JSON = {"Accept": "application/dicom+json"}


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Refused(Exception):
    """The server answered something else than 2xx: what was to be measured did not happen."""


class Client:
    """One connection to one server. Use it as an async context manager."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "127.0.0.1", address.port or 80

    async def __aenter__(self) -> Client:
        await self._connect()
        return self

    async def _connect(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port, limit=2**22)
        self._open, self._used = True, time.monotonic()

    async def __aexit__(self, *error: object) -> None:
        self._writer.close()

    async def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """Return the answer, whole. Raises Refused."""
        if not self._open or time.monotonic() - self._used > _IDLE:
            self._writer.close()
            await self._connect()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}:{self._port}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())
        if body:
            self._writer.write(body)
            await self._writer.drain()
        reply = await self._read()
        self._used = time.monotonic()
        if not 200 <= reply.status < 300:
            raise Refused(f"{method} {path.partition('?')[0]}: {reply.status} {reply.body[:300]!r}")
        return reply

    async def get(self, path: str, **headers: str) -> bytes:
        """Return the body of a GET."""
        return (await self.ask("GET", path, headers=headers or JSON)).body

    async def _read(self) -> Reply:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split(" ", 2)[1])
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return Reply(status, headers, await self._chunks())
        if headers.get("connection", "").lower() == "close":
            self._open = False
            return Reply(status, headers, await self._reader.read())
        length = int(headers.get("content-length", "0"))
        return Reply(status, headers, await self._reader.readexactly(length) if length else b"")

    async def _chunks(self) -> bytes:
        chunks: list[bytes] = []
        while size := int((await self._reader.readline()).split(b";")[0], 16):
            chunks.append(await self._reader.readexactly(size))
            await self._reader.readexactly(2)
        await self._reader.readexactly(2)
        return b"".join(chunks)
