"""HTTP/1.1 on the socket: what a client of any make may send, and what is refused before it reaches a route."""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlsplit

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from gateway.http_protocol import HttpProtocol, http_protocol
from gateway.settings import Settings
from tests.conftest import Server

H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"
SEARCH = b'{"filters":[]}'
REFUSED = b"HTTP/1.1 400 Bad Request"


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        yield connection


def answers(server: Server, *pieces: bytes) -> bytes:
    """Return all that comes back for what is sent, piece by piece, until the server has nothing more to say."""
    with connected(server) as connection:
        for piece in pieces:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while data := connection.recv(65536):
            received += data
    return received


def statuses(received: bytes) -> list[bytes]:
    """Return the status lines of answers, in order."""
    return re.findall(rb"HTTP/1\.1 [^\r]+", received)


def first_status(server: Server, *pieces: bytes) -> bytes:
    """Return the status line of the first answer; the connection stays open on our side."""
    with connected(server) as connection:
        for piece in pieces:
            connection.sendall(piece)
        return connection.recv(65536).partition(b"\r\n")[0]


@pytest.mark.parametrize("cut", [1, 20, 60, 130, 165, 166, 170])
def test_upgrade_is_declined_wherever_the_request_is_cut(session_server: Server, cut: int) -> None:
    """The body of a request that asks for h2c arrives, in whatever pieces, and so does the request behind it."""
    body = b"Content-Length: 14\r\n\r\n" + SEARCH
    sent = b"GET /livez HTTP/1.1\r\nHost: a\r\n" + H2C + body + b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"

    with connected(session_server) as connection:
        connection.sendall(sent[:cut])
        connection.sendall(sent[cut:])
        received = b""
        while received.count(b"ok\n") < 2:
            received += connection.recv(65536)

    assert statuses(received) == [b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK"]
    assert b"upgrade" not in received.lower()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
        b"POST /livez HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
        b"POST /livez HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n",
        b"GET /livez HTTP/1.1\r\nHost: a\r\nX Y: z\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: a\r\n folded: z\r\n\r\n",
        b"CONNECT other:80 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids="no-host two-hosts length-and-chunked two-lengths negative plus xchunked LF space fold connect TLS".split(),
)
def test_what_could_be_read_two_ways_is_refused(session_server: Server, head: bytes) -> None:
    """400 and a closed connection: a proxy in front may have read it the other way (RFC 9112 section 11.2)."""
    received = answers(session_server, head)

    assert statuses(received)[-1:] == [REFUSED]
    assert b"connection: close" in received.lower()


def test_http_1_0_needs_no_host(session_server: Server) -> None:
    """A health probe of the old kind is answered."""
    assert statuses(answers(session_server, b"GET /livez HTTP/1.0\r\n\r\n")) == [b"HTTP/1.1 200 OK"]


def test_head_is_bounded(session_server: Server) -> None:
    """A head of 64 KiB is read; a longer one is refused, whether or not it ever ends."""
    line = b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Long: "

    fits = answers(session_server, line, b"x" * (63 * 1024), b"\r\nConnection: close\r\n\r\n")
    long = first_status(session_server, line, b"x" * (65 * 1024), b"\r\n\r\n")
    endless = first_status(session_server, line, *[b"x" * 8192 for _ in range(9)])

    assert statuses(fits) == [b"HTTP/1.1 200 OK"]
    assert (long, endless) == (REFUSED, REFUSED)


def test_short_answer_is_one_packet(session_server: Server) -> None:
    """Head and body are there together: who waits for an answer is woken once."""
    with connected(session_server) as connection:
        for _ in range(20):
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
            received = connection.recv(65536)

            assert statuses(received) == [b"HTTP/1.1 200 OK"]
            assert received.endswith(b"\r\n\r\nok\n")


def test_answer_without_a_body_ends_with_its_head(session_server: Server) -> None:
    """HEAD, and OPTIONS with 204: nothing comes after the head but the next answer."""
    with connected(session_server) as connection:
        for line in (b"HEAD /livez", b"OPTIONS /livez"):
            connection.sendall(line + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        received = b""
        while data := connection.recv(65536):
            received += data

    assert statuses(received) == [b"HTTP/1.1 200 OK", b"HTTP/1.1 204 No Content", b"HTTP/1.1 200 OK"]
    assert received.count(b"ok\n") == 1


def test_client_that_waits_before_it_sends_is_told_to_continue(session_server: Server) -> None:
    """Expect: 100-continue is answered before the body comes (RFC 9110 section 10.1.1), and the request after it."""
    head = b"POST /datastore/x/studies HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
    with connected(session_server) as connection:
        connection.sendall(head + b"Expect: 100-continue\r\nConnection: close\r\n\r\n")
        told = connection.recv(65536)
        connection.sendall(b"[]")
        received = b""
        while data := connection.recv(65536):
            received += data

    assert told == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert len(statuses(received)) == 1


# Bodies
# ------

# What is read of a connection at once at most.
READ = 256 * 1024
BODY = bytes(range(251)) * 40_000


@asynccontextmanager
async def waiting(go: asyncio.Event) -> AsyncIterator[tuple[str, list[HttpProtocol]]]:
    """Serve what answers with the digest of a body, and begins to read it when told; yield address and connections."""
    connections: list[HttpProtocol] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await go.wait()
        digest, more = hashlib.sha256(), True
        while more:
            message = await receive()
            digest.update(message["body"])
            more = message["more_body"]
        await PlainTextResponse(digest.hexdigest())(scope, receive, send)

    config = uvicorn.Config(app, log_config=None, ws="none")
    config.load()

    def connection() -> HttpProtocol:
        connections.append(http_protocol(Settings())(config, ServerState(), {}))
        return connections[-1]

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1")
    async with server:
        yield str(server.sockets[0].getsockname()[1]), connections


@pytest.mark.parametrize("size", [1, 1000, len(BODY)], ids=["bytes", "packets", "whole"])
async def test_a_body_that_waits_is_what_was_sent_and_little(size: int) -> None:
    """In pieces as small as may be, none of them taken before many are there: more is not read of the connection."""
    go, body = asyncio.Event(), BODY[: size * 2000]

    async with waiting(go) as (port, connections):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        for start in range(0, len(body), size):
            piece = body[start : start + size]
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        writer.write(b"0\r\n\r\n")
        while not connections or not connections[0].cycle or len(connections[0].cycle.body) < min(len(body), 65536):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        held = len(connections[0].cycle.body)
        go.set()
        answer = await reader.read()
        writer.close()

    assert held <= 65536 + READ
    assert answer.endswith(hashlib.sha256(body).hexdigest().encode())
