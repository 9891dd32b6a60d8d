"""`gateway serve`: the gateway as a server, until it is told to stop."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import signal
import socket
import sys
from types import FrameType

import uvicorn
import uvloop

from gateway.app import create_app, opened_store
from gateway.commands.memory import collect_garbage_seldom, give_back_when_quiet, keep_freed_memory
from gateway.errors import AddressInUse, InvalidSettings
from gateway.http_protocol import http_protocol
from gateway.settings import Settings
from gateway.store.protocol import Store


def serve(settings: Settings, *, accept_unauthenticated_access: bool) -> int:
    """Serve until SIGTERM or SIGINT, then finish the requests in flight; return 0.

    Raises InvalidSettings, AddressInUse, and what opening the data folder raises.
    """
    configure_logging(settings.log_level)
    if not accept_unauthenticated_access and not settings.access_keys:
        require_loopback(settings.host)
    keep_freed_memory()
    with listen(settings.host, settings.port) as listener, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        give_up_on_who_does_not_read(listener, settings.stall_timeout)
        runner.run(serve_on(settings, listener))
    return 0


async def serve_on(settings: Settings, listener: socket.socket) -> None:
    """Open the data folder, say where the gateway listens, and serve on the socket until told to stop."""
    async with opened_store(settings) as store:
        collect_garbage_seldom()
        server = uvicorn.Server(server_config(settings, store))
        stop_on_signal(server)
        print(await addresses(settings, store, address_of(listener)), flush=True)
        giving_back = asyncio.create_task(give_back_when_quiet(lambda: server.server_state.total_requests))
        await server.serve(sockets=[listener])
        giving_back.cancel()


def stop_on_signal(server: uvicorn.Server) -> None:
    """Have SIGTERM and SIGINT stop the server before it runs and after.

    uvicorn handles them while it runs, and then raises the one that came again: without a handler of our own that
    would end the process with status 143 and not 0.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def server_config(settings: Settings, store: Store) -> uvicorn.Config:
    """Return how uvicorn is to run the gateway."""
    return uvicorn.Config(
        create_app(settings, store),
        http=http_protocol(settings),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # paths hold patient identifiers; gateway/request_log.py writes the lines
        server_header=False,
        proxy_headers=False,  # the address clients see is a setting, public_base_url, and not any client's to say
        timeout_keep_alive=75,  # longer than nginx keeps an idle connection, so that it is nginx who closes it
        timeout_graceful_shutdown=settings.shutdown_grace,
    )


async def addresses(settings: Settings, store: Store, address: str) -> str:
    """Return what to tell the operator: where both faces are, and what the AWS clients need to find theirs."""
    datastore = await store.default_datastore()
    root = settings.public_base_url or address
    return f"""\
Serving {settings.data.resolve()}
  DICOMweb root      {root}/dicomweb
  HealthImaging API  {root}
                     data store {datastore.datastore_id}, region {settings.region}

For aws medical-imaging and boto3:
  export AWS_ENDPOINT_URL_MEDICAL_IMAGING={root} AWS_DISABLE_HOST_PREFIX_INJECTION=true
"""


def require_loopback(host: str) -> None:
    """Raise InvalidSettings unless only this machine can reach the address."""
    reachable = [address for address in resolved(host) if not ipaddress.ip_address(address).is_loopback]
    if reachable:
        raise InvalidSettings(
            [
                f"{host} can be reached from other machines, and whoever reaches the gateway may read and change every "
                "record: listen on 127.0.0.1, or say --i-accept-unauthenticated-access if something in front of it "
                "authenticates"
            ]
        )


def resolved(host: str) -> list[str]:
    """Return the addresses a host name stands for. Raises InvalidSettings where it stands for none."""
    try:
        found = socket.getaddrinfo(host or "0.0.0.0", None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise InvalidSettings([f"{host} is no address of this machine"]) from error
    return [str(address[4][0]).partition("%")[0] for address in found]


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on the address. Raises AddressInUse."""
    address = resolved(host)[0]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family, backlog=2048)
    except OSError as error:
        raise AddressInUse(
            f"cannot listen on {host} port {port} ({os.strerror(error.errno or 0)}): "
            "stop what listens there, or take another port with --port"
        ) from error


def give_up_on_who_does_not_read(listener: socket.socket, seconds: int) -> None:
    """Have the kernel close connections of which the peer takes nothing for so long, where it is Linux (RFC 5482).

    A connection has it from the socket that listens. Only the kernel sees what a peer takes of what it was given.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * seconds)


def address_of(listener: socket.socket) -> str:
    """Return the address of a listening socket as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def configure_logging(level: str) -> None:
    """Log to standard error, a line for each event."""
    logging.basicConfig(
        level=level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True
    )
