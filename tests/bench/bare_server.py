"""The least a server can do for the same requests: Starlette, served as the gateway is, without DICOM and rules.

`python -m tests.bench.bare_server FOLDER SIZE` prints its URL. It shows what HTTP, Python and the disk leave for the
gateway's own work: a store is hashed, written and synced, an edit read as JSON, and of each a row is committed. Nothing
could be read again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sqlite3
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.commands.memory import collect_garbage_seldom, keep_freed_memory
from gateway.commands.serve import address_of, listen
from gateway.http_protocol import http_protocol
from gateway.settings import Settings
from tests.bench.limits import PRAGMAS

# About what the gateway answers a store of one instance and an edit.
_STORED, _EDITED = b"{" + b" " * 400 + b"}", b"[" + b" " * 200 + b"]"
# Of a version's row.
_HEAD = bytes(1700)


class Together:
    """Makes durable, on a thread, what all have written who wait, and commits a row for each: one sync for many."""

    def __init__(self, folder: Path) -> None:
        self.file = os.open(folder / "bare", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        self._connection = sqlite3.connect(folder / "bare.db", isolation_level=None, check_same_thread=False)
        for pragma in PRAGMAS:
            self._connection.execute(f"PRAGMA {pragma}").fetchall()
        self._connection.execute("CREATE TABLE version (id INTEGER PRIMARY KEY, name TEXT, head BLOB)")
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []
        self._running: asyncio.Task[None] | None = None

    async def keep(self, name: str, *, file: bool) -> None:
        """Return once a row with the name is committed, and before that, where `file` says so, the file synced."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((name, done))
        if self._running is None:
            self._running = asyncio.create_task(self._keep_all(file))
        await done

    async def _keep_all(self, file: bool) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            await asyncio.to_thread(self._commit, [name for name, _ in batch], file)
            for _, done in batch:
                done.set_result(None)
        self._running = None

    def _commit(self, names: list[str], file: bool) -> None:
        if file:
            os.fdatasync(self.file)
        self._connection.execute("BEGIN IMMEDIATE")
        for name in names:
            self._connection.execute("INSERT INTO version (name, head) VALUES (?, ?)", (name, _HEAD))
        self._connection.execute("COMMIT")


def application(folder: Path, size: int) -> Starlette:
    """Return the application. size: bytes of the constant at its root."""
    together, constant = Together(folder), bytes(size)

    async def answer_constant(request: Request) -> Response:
        return Response(constant)

    async def store(request: Request) -> Response:
        digest = hashlib.sha256()
        async for piece in request.stream():
            digest.update(piece)
            os.write(together.file, piece)
        await together.keep(digest.hexdigest(), file=True)
        return Response(_STORED, media_type="application/dicom+json")

    async def edit(request: Request) -> Response:
        json.loads(await request.body())
        await together.keep(request.path_params["study"], file=False)
        return Response(_EDITED, media_type="application/dicom+json")

    return Starlette(
        routes=[
            Route("/", answer_constant),
            Route("/studies", store, methods=["POST"]),
            Route("/studies/{study}/metadata", edit, methods=["PATCH"]),
        ]
    )


def main(folder: Path, size: int) -> None:
    keep_freed_memory()
    with listen("127.0.0.1", 0) as listener:
        config = uvicorn.Config(
            application(folder, size),
            loop="uvloop",
            http=http_protocol(Settings()),
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
        )
        collect_garbage_seldom()
        print(address_of(listener), flush=True)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
