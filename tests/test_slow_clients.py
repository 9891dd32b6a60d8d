"""Clients that are slow, on a socket, with limits of a second or two: T61. Those who go on are served to the end.

Who sends nothing in time is answered 408 or hung up on, and what came of a body is gone from the disk.
"""

from __future__ import annotations

import asyncio
import io
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pydicom
import pytest

from gateway.slow_clients import SlowClients, Turn
from tests.conftest import Server, serving
from tests.dicomweb.wire import STOW, multipart
from tests.samples import instance

HEAD, STALL = 1, 2
# More than the system takes of an answer that nobody reads, with the little that `connected` lets it.
LARGE = 12 * 2**20
# SO_LINGER with no time: closing sends RST and not FIN, as a client that dies does.
RESET = struct.pack("ii", 1, 0)

STORE = f"POST /dicomweb/studies HTTP/1.1\r\nHost: a\r\nContent-Type: {STOW}\r\n".encode()
# What a body begins with that has bulk data beside its metadata.
BULK = b"--BOUNDARY\r\nContent-Type: application/octet-stream\r\nContent-Location: a\r\n\r\n"
# Two ways to store, each as a head and the first megabytes of a body that lie in a pack already when no more comes.
BEGUN = {
    "PS3.10": (STORE, b"--BOUNDARY\r\nContent-Type: application/dicom\r\n\r\n" + bytes(LARGE)),
    "metadata": (STORE.replace(b"application/dicom", b"application/dicom+json"), BULK + bytes(LARGE)),
}
LATE = b"HTTP/1.1 408 Request Timeout"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("slow") / "data"


@pytest.fixture(scope="module")
def hasty(data: Path) -> Iterator[Server]:
    """A gateway with little patience, and one study of LARGE bytes."""
    with serving(data, "--head-timeout", str(HEAD), "--stall-timeout", str(STALL)) as server:
        with connected(server) as connection:
            body = multipart([large_instance()])
            connection.sendall(STORE + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        yield server


def large_instance() -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(instance(study="1.2.3")))
    dataset.add_new(0x00420011, "OB", bytes(LARGE))
    file = io.BytesIO()
    dataset.save_as(file)
    return file.getvalue()


def connected(server: Server) -> socket.socket:
    address = urlsplit(server.url)
    connection = socket.socket()
    connection.settimeout(20)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    connection.connect((address.hostname, address.port))
    return connection


def received(connection: socket.socket) -> bytes:
    """Return all that comes until the other side has closed."""
    content = b""
    while data := connection.recv(1 << 20):
        content += data
    return content


def drip(connection: socket.socket, data: bytes, piece: int, seconds: float) -> None:
    """Send so many bytes at a time, with a pause after each, until all is sent or the other side has closed."""
    try:
        for start in range(0, len(data), piece):
            connection.sendall(data[start : start + piece])
            time.sleep(seconds)
    except ConnectionError:
        pass


def incoming(data: Path) -> list[Path]:
    return list((data / "blobs" / "incoming").iterdir())


def connections(server: Server) -> int:
    """Return how many established connections the system has at the server's port."""
    port = f":{urlsplit(server.url).port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(port) and row[3] == "01" for row in rows)


def wait_until(happened: object, seconds: float = 20) -> None:
    assert callable(happened)
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


# Heads
# -----


def test_a_connection_on_which_nothing_comes_is_closed(hasty: Server) -> None:
    """There is no request to answer."""
    with connected(hasty) as connection:
        assert received(connection) == b""


@pytest.mark.parametrize(
    "answered", [b"", b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"], ids=["the first", "one after an answer"]
)
def test_a_head_that_drips_is_408(hasty: Server, answered: bytes) -> None:
    """Each of its bytes comes soon after the one before, and the head never ends."""
    with connected(hasty) as connection:
        connection.sendall(answered)
        drip(connection, b"GET /livez HTTP/1.1\r\nX: " + b"x" * 20, 1, 0.1)

        assert LATE in received(connection)


def test_empty_lines_are_no_head(hasty: Server) -> None:
    """RFC 9112 section 2.2 has them ignored before a request, and they keep no connection open."""
    with connected(hasty) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        drip(connection, b"\r\n" * 20, 2, 0.1)
        answer = received(connection)

    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\nok\n")


# Bodies
# ------


@pytest.mark.parametrize(
    "length", [b"Content-Length: 50000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % 50_000_000]
)
@pytest.mark.parametrize(("head", "begun"), BEGUN.values(), ids=BEGUN)
def test_a_body_that_drips_is_408_and_nothing_of_it_stays(
    hasty: Server, data: Path, head: bytes, begun: bytes, length: bytes
) -> None:
    """Megabytes of it came in time and lie in a pack; then a byte now and then. The pack goes."""
    with connected(hasty) as connection:
        connection.sendall(head + length + begun)
        wait_until(lambda: incoming(data) != [])
        drip(connection, b"x" * 60, 1, 0.1)
        answer = received(connection)

    assert answer.startswith(LATE)
    wait_until(lambda: incoming(data) == [])


def test_a_body_that_goes_on_is_stored_however_long_it_takes(hasty: Server) -> None:
    """Slow, and longer than both limits together, but never still."""
    body = multipart([instance(study="1.2.4")])
    with connected(hasty) as connection:
        connection.sendall(STORE + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body))
        drip(connection, body, len(body) // 16, 0.25)
        answer = received(connection)

    assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(("head", "begun"), BEGUN.values(), ids=BEGUN)
def test_a_client_that_hangs_up_leaves_nothing_on_the_disk(
    hasty: Server, data: Path, head: bytes, begun: bytes, reset: bool
) -> None:
    """In the middle of a body of which megabytes lie in a pack."""
    with connected(hasty) as connection:
        connection.sendall(head + b"Content-Length: 50000000\r\n\r\n" + begun)
        wait_until(lambda: incoming(data) != [])
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    wait_until(lambda: incoming(data) == [])


@pytest.mark.parametrize("turn", [("head", 1), ("body", 1)], ids=["head", "body"])
async def test_who_is_held_back_is_not_late(turn: Turn) -> None:
    """A client cannot send while the gateway is behind, and has its time anew when it can."""
    late: list[Turn] = []
    held_back = True
    client = SlowClients(0.01, 0.01, lambda: held_back, late.append)

    client.awaited(turn)
    await asyncio.sleep(0.1)
    assert late == []

    held_back = False
    await asyncio.sleep(0.1)
    assert late == [turn]


# Answers
# -------

RETRIEVE = b"GET /dicomweb/studies/1.2.3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="a system that does not time who reads")
def test_a_client_that_reads_nothing_of_its_answer_is_cut_off(hasty: Server) -> None:
    """The connection is gone, though the client never closed it."""
    wait_until(lambda: connections(hasty) == 0)
    with connected(hasty) as connection:
        connection.sendall(RETRIEVE)
        wait_until(lambda: connections(hasty) == 1)
        wait_until(lambda: connections(hasty) == 0)


def test_a_client_that_reads_slowly_has_its_answer(hasty: Server) -> None:
    """Longer than both limits together."""
    content = b""
    with connected(hasty) as connection:
        connection.sendall(RETRIEVE)
        for _ in range(20):
            content += connection.recv(65536)
            time.sleep(0.2)
        content += received(connection)

    assert len(content) > LARGE
    assert content.endswith(b"--\r\n")
