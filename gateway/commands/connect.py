"""The gateway a command speaks to: one at an address, or one of its own over a data folder.

The latter listens on a Unix socket in a folder that only this user can enter, never on a port, and ends with the
command. So nobody has to sign there, whatever access keys the settings have. It holds the folder's lock as
`gateway serve` does.
"""

from __future__ import annotations

import asyncio
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import uvicorn

from gateway.app import opened_store
from gateway.client import Client, address_of
from gateway.commands.login import AT_GATEWAY, Login
from gateway.commands.serve import server_config
from gateway.errors import AlreadyServed
from gateway.settings import Settings
from gateway.store.data_folder import require_data_folder


@contextmanager
def connected(
    url: str | None, settings: Settings, environment: Mapping[str, str], *, may_make_folder: bool = False
) -> Iterator[Client]:
    """Yield a client of the DICOMweb root at `url`, without one of the data folder of the settings.

    `url` is a DICOMweb root, or a server's address, which stands for its `/dicomweb`. Raises Unreachable,
    InvalidSettings for a login that is none, and for a folder what opening it raises.
    """
    if url is not None:
        login = Login(AT_GATEWAY, environment, settings.region)
        with Client(dicomweb_root(url), login=login) as client:
            yield client
        return
    if not may_make_folder:
        require_data_folder(settings.data, "name another with --data, or a gateway with --url")
    with tempfile.TemporaryDirectory(prefix="gateway-") as private:
        path = Path(private, "socket")
        with (
            listening_at(path) as listener,
            in_background(replace(settings, access_keys=""), listener),
            Client("http://localhost/dicomweb", unix_socket=path) as client,
        ):
            yield client


def dicomweb_root(url: str) -> str:
    """Return the DICOMweb root of an address: `/dicomweb` where it has no path."""
    return url if address_of(url)[-1].strip("/") else url.rstrip("/") + "/dicomweb"


def listening_at(path: Path) -> socket.socket:
    """Return a Unix socket that listens at a path."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()
    return listener


@contextmanager
def in_background(settings: Settings, listener: socket.socket) -> Iterator[None]:
    """Run a gateway in a thread of this process while the context lasts. Raises what opening the folder raises."""
    opened: Future[uvicorn.Server] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(settings, listener, opened)), name="gateway")
    thread.start()
    try:
        server = opened.result()
    except AlreadyServed as error:
        raise AlreadyServed(f"{error}, or go through it with --url") from error
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


async def _serve(settings: Settings, listener: socket.socket, opened: Future[uvicorn.Server]) -> None:
    try:
        async with opened_store(settings) as store:
            server = uvicorn.Server(server_config(settings, store))
            opened.set_result(server)  # the socket listens: what the command sends now waits there
            await server.serve(sockets=[listener])
    except BaseException as error:
        if opened.done():
            raise
        opened.set_exception(error)
