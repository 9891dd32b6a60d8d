"""HTTP/1.1 as the gateway speaks it: uvicorn over httptools, and what that lets through or loses.

httptools parses in C and is worth several times h11 on large bodies. Left alone it drops the body of a request with
`Upgrade: h2c`, which every Java client sends on plain http (Kludex/uvicorn#2722), takes a request without a Host or
with two of them, holds a head of any size, and waits for the end of a request as long as its client likes.
"""

from __future__ import annotations

import asyncio
import logging

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.settings import Settings
from gateway.slow_clients import SlowClients, Turn

logger = logging.getLogger("gateway.http")

# QIDO-RS queries with lists of UIDs are long.
MAX_HEAD = 64 * 1024

# As uvicorn writes them.
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_UNKNOWN_LENGTH = b"\r\ntransfer-encoding: chunked\r\n"

_INVALID = "Invalid HTTP request received."
# RFC 9110 section 15.5.9.
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class InvalidHead(Exception):
    """A request's head is refused. httptools hands it on as an HttpParserError, whose answer is 400."""


def http_protocol(settings: Settings) -> type[HttpProtocol]:
    """Return the protocol with the time limits of the settings: uvicorn makes one for each connection itself."""
    limits = {"head_timeout": settings.head_timeout, "stall_timeout": settings.stall_timeout}
    return type("HttpProtocolWithLimits", (HttpProtocol,), limits)


class HeadWithBody(asyncio.Transport):
    """The way one answer takes to a transport. Its head waits for the body, so that a short answer is one packet.

    uvicorn writes the head as soon as it is there. The kernel has as much to do for it as for all of a short answer,
    and the client is woken twice. The head of a body of unknown length does not wait.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._head = b""
        self._begun = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._begun:
            self._transport.write(data)
        elif self._head:
            self._begun = True
            self._transport.writelines([self._head, data])
        elif data == _CONTINUE:
            self._transport.write(data)
        elif _UNKNOWN_LENGTH in data:
            self._begun = True
            self._transport.write(data)
        else:
            self._head = bytes(data)

    def close(self) -> None:
        if self._head and not self._begun:
            self._transport.write(self._head)
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()


class HttpProtocol(HttpToolsProtocol):
    """One connection. head_timeout, stall_timeout: in seconds; `http_protocol` gives them."""

    head_timeout: float
    stall_timeout: float

    _messages = 0
    _head_size = 0
    _in_head = False
    _in_body = False
    _declining = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._client = SlowClients(self.head_timeout, self.stall_timeout, self._holds_back, self._cut_off)
        self._client.awaited(self._turn())

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.awaited(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
            self._limit_unfinished_head(len(data))
        except (httptools.HttpParserError, InvalidHead):
            logger.warning("a request that is no HTTP/1.1 was refused")
            self.send_400_response(_INVALID)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        self._client.awaited(self._turn(), len(data))

    def _turn(self) -> Turn | None:
        """Return what is awaited of the client, None while it may wait for an answer.

        After an answer uvicorn times an idle connection itself, until something comes.
        """
        if self._in_body:
            return "body", self._messages
        if self._in_head:
            return "head", self._messages
        return None if self._answering() else ("head", self._messages + 1)

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _holds_back(self) -> bool:
        """Return whether the client may not send now, or need not, for all it knows."""
        return (
            self.flow.read_paused
            or (self._in_head and self._answering())
            or (self._in_body and self.cycle.waiting_for_100_continue)
        )

    def _cut_off(self, turn: Turn) -> None:
        """Close the connection of a client whose time is over. What was reading its body sees it hang up."""
        if self.transport.is_closing():
            return
        if self._in_body and self._answering():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self._in_head or self._in_body:
            logger.warning("a client was cut off: its %s did not come in time", turn[0])
            if not (self._in_body and self.cycle.response_started):
                self.transport.write(_TOO_SLOW)
        self.transport.close()

    def _limit_unfinished_head(self, size: int) -> None:
        """Raise InvalidHead where a head that has not ended is longer than any may be."""
        self._head_size += size if self._in_head else 0
        if self._head_size > MAX_HEAD:
            raise InvalidHead

    def _decline_upgrade(self, rest: bytes) -> None:
        """Take the request as if it did not ask for another protocol, which a server may (RFC 9110 section 7.8).

        `rest` is what came after the head. The parser stopped there, and would take what follows for the other
        protocol: so the head is given to a new one without its Upgrade.
        """
        method = self.parser.get_method()
        head = [method, b" ", self.url, b" HTTP/", self.parser.get_http_version().encode(), b"\r\n"]
        head += [b"%b: %b\r\n" % (name, value) for name, value in self.headers if name != b"upgrade"]
        self._declining = False
        if method == b"CONNECT":
            self.send_400_response(_INVALID)
            return
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"".join([*head, b"\r\n", rest]))

    def on_message_begin(self) -> None:
        self._in_head, self._head_size = True, 0
        self._messages += 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._require_sound_head()
        self._declining = self.parser.should_upgrade()
        if not self._declining:
            super().on_headers_complete()
            self._in_body = True
            if self.scope["method"] != "HEAD":  # whose answer ends with its head
                self.cycle.transport = HeadWithBody(self.cycle.transport)

    def _require_sound_head(self) -> None:
        """Raise InvalidHead unless there is one Host (RFC 9112 section 3.2), and the head is not too long."""
        hosts, size = 0, len(self.url)
        for name, value in self.headers:
            hosts += name == b"host"
            size += len(name) + len(value) + 4
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() != "1.0") or size > MAX_HEAD:
            raise InvalidHead

    def on_body(self, body: bytes) -> None:
        """Hand a piece on as it came where none waits before it: uvicorn copies each twice.

        Of what waits `receive` makes bytes, which it is already then.
        """
        waits: bytes | bytearray = self.cycle.body
        if not waits and not self.cycle.response_complete:
            self.cycle.body, body = body, b""  # type: ignore[assignment]
        elif isinstance(waits, bytes):
            self.cycle.body = bytearray(waits)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._declining:
            self._in_body = False
            super().on_message_complete()
