"""HTTP/1.1 as the gateway speaks it: uvicorn over httptools, and what that lets through or loses.

httptools parses in C and is worth several times h11 on large bodies. Left alone it drops the body of a request with
`Upgrade: h2c`, which every Java client sends on plain http (Kludex/uvicorn#2722), takes a request without a Host or
with two of them, and holds a head of any size.
"""

from __future__ import annotations

import logging

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

logger = logging.getLogger("gateway.http")

# QIDO-RS queries with lists of UIDs are long.
MAX_HEAD = 64 * 1024

_INVALID = "Invalid HTTP request received."


class InvalidHead(Exception):
    """A request's head is refused. httptools hands it on as an HttpParserError, whose answer is 400."""


class HttpProtocol(HttpToolsProtocol):
    """One connection."""

    _head_size = 0
    _in_head = False
    _declining = False

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
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._require_sound_head()
        self._declining = self.parser.should_upgrade()
        if not self._declining:
            super().on_headers_complete()

    def _require_sound_head(self) -> None:
        """Raise InvalidHead unless there is one Host (RFC 9112 section 3.2), and the head is not too long."""
        hosts = sum(name == b"host" for name, _ in self.headers)
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() != "1.0") or size > MAX_HEAD:
            raise InvalidHead

    def on_message_complete(self) -> None:
        if not self._declining:
            super().on_message_complete()
