"""Multipart bodies (RFC 2046 section 5.1), read as they arrive and written part by part.

No library of the field takes preamble, transport padding and parts without Content-Disposition at once, all of which
STOW-RS clients send. This one neither reads nor writes by itself: bytes go in, events come out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from gateway.errors import InvalidMultipart, TooLarge

MAX_PARTS = 5000
MAX_HEADERS = 16
MAX_HEADER_BYTES = 8 * 1024
MAX_PADDING = 256

# RFC 2046 section 5.1.1: bcharsnospace, with spaces that do not come last. 70 are allowed; Orthanc sends 73.
MAX_BOUNDARY = 200
_BOUNDARY = re.compile(rf"[0-9A-Za-z'()+_,\-./:=? ]{{0,{MAX_BOUNDARY - 1}}}[0-9A-Za-z'()+_,\-./:=?]")
_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([^\r\n\0]*)")
# RFC 2045 section 6.2: these say that nothing was encoded.
_AS_IT_IS = frozenset({"binary", "8bit", "7bit"})
# What may come after "--boundary" on its line: "--" at the end of the body, transport padding, the end of the line.
_LINE_END = re.compile(rb"(--)?([ \t]{0,%d})(\r\n)?" % MAX_PADDING)


@dataclass(frozen=True, slots=True)
class PartBegins:
    """A part's header fields: names in lower case, values as they came, line folds undone."""

    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PartData:
    """Some of a part's bytes, in a view of what was fed."""

    data: memoryview


@dataclass(frozen=True, slots=True)
class PartEnds:
    """The part is complete."""


Event: TypeAlias = PartBegins | PartData | PartEnds


class MultipartReader:
    """Turns the pieces of a multipart body into events, however it was cut.

    Never holds more than one header block or one delimiter line back. Raises InvalidMultipart for what RFC 2046 does
    not allow, TooLarge for more than max_parts.
    """

    def __init__(self, boundary: str, max_parts: int = MAX_PARTS) -> None:
        if not _BOUNDARY.fullmatch(boundary):
            raise InvalidMultipart(f"the boundary has characters RFC 2046 does not allow, or not 1 to {MAX_BOUNDARY}")
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        self._max_parts = max_parts
        self._parts = 0
        self._state: Literal["preamble", "headers", "body", "epilogue"] = "preamble"
        # A body begins as if a line had ended before it, so that every delimiter begins with CRLF.
        self._held = b"\r\n"
        # How many bytes of _held only serve to find a delimiter, and are not data.
        self._not_data = 2

    def feed(self, data: bytes) -> list[Event]:
        """Return what the next bytes of the body complete."""
        events: list[Event] = []
        buffer = self._held + data if self._held else data
        at: int | None = None if self._state == "epilogue" else 0
        while at is not None:
            at = self._headers(buffer, at, events) if self._state == "headers" else self._body(buffer, at, events)
        return events

    def finish(self) -> list[Event]:
        """Return what the end of the body completes. Raises InvalidMultipart if the last delimiter is missing."""
        events: list[Event] = []
        if self._state != "epilogue" and self._held.startswith(self._delimiter):
            rest = _LINE_END.match(self._held, len(self._delimiter))
            if rest and rest[1] and rest.end() == len(self._held):
                self._close(events)
        if self._state != "epilogue":
            raise InvalidMultipart("the body ends before its last boundary: it was cut off, or has another boundary")
        return events

    def _body(self, buffer: bytes, start: int, events: list[Event]) -> int | None:
        """Emit the data up to the next delimiter line; None when more bytes are needed.

        A delimiter with other text after it on its line is not a delimiter but data: pixels may look like one.
        """
        search = start
        while (found := buffer.find(self._delimiter, search)) >= 0:
            after = found + len(self._delimiter)
            rest = _LINE_END.match(buffer, after)
            assert rest is not None  # every group may be empty
            if rest[3]:
                self._emit(buffer, start, found, events)
                if rest[1]:
                    self._close(events)
                    return None
                self._end_part(events)
                self._state = "headers"
                return rest.end() - 2
            if self._unfinished(buffer, after, rest.end()):
                break
            search = after
        else:
            found = self._beginning(buffer, search)
        self._emit(buffer, start, found, events)
        self._held = buffer[found:]
        return None

    def _unfinished(self, buffer: bytes, after: int, end: int) -> bool:
        """Whether only the next bytes will tell if this is a delimiter line."""
        return end == len(buffer) or (
            end + 1 == len(buffer) and (buffer[end:] == b"\r" or (buffer[end:] == b"-" and end == after))
        )

    def _beginning(self, buffer: bytes, search: int) -> int:
        """Return where the first bytes of a delimiter end the buffer; its length where they do not.

        A delimiter has one CR, its first byte, so only the last CR can begin one.
        """
        at = buffer.rfind(b"\r", max(search, len(buffer) - len(self._delimiter)))
        return at if at >= 0 and self._delimiter.startswith(buffer[at:]) else len(buffer)

    def _headers(self, buffer: bytes, start: int, events: list[Event]) -> int | None:
        """Emit a part's header fields; None when more bytes are needed. The delimiter line's CRLF is at start."""
        end = buffer.find(b"\r\n\r\n", start)
        if (end if end >= 0 else len(buffer) - 3) - start > MAX_HEADER_BYTES:
            raise InvalidMultipart(f"a part has more than {MAX_HEADER_BYTES} bytes of header fields")
        if end < 0:
            self._held = buffer[start:]
            return None
        self._parts += 1
        if self._parts > self._max_parts:
            raise TooLarge(f"more than {self._max_parts} parts in one body")
        events.append(PartBegins(_header_fields(buffer[start + 2 : end])))
        self._state, self._not_data = "body", 2
        return end + 2

    def _emit(self, buffer: bytes, start: int, end: int, events: list[Event]) -> None:
        begin = start + self._not_data
        if self._state == "body" and end > begin:
            events.append(PartData(memoryview(buffer)[begin:end]))
        self._not_data = max(0, self._not_data - (end - start))

    def _end_part(self, events: list[Event]) -> None:
        if self._state == "body":
            events.append(PartEnds())

    def _close(self, events: list[Event]) -> None:
        self._end_part(events)
        self._state, self._held = "epilogue", b""


def _header_fields(block: bytes) -> dict[str, str]:
    """Return the fields of a header block by lower-case name. Raises InvalidMultipart, for a repeated field too."""
    lines = re.sub(rb"\r\n[ \t]+", b" ", block).split(b"\r\n") if block else []
    if len(lines) > MAX_HEADERS:
        raise InvalidMultipart(f"a part has more than {MAX_HEADERS} header fields")
    fields: dict[str, str] = {}
    for line in lines:
        match = _HEADER.fullmatch(line)
        name = match[1].decode("ascii").lower() if match else ""
        if match is None or name in fields:
            raise InvalidMultipart("a part has a header field that cannot be read, or the same one twice")
        fields[name] = match[2].decode("latin-1").strip(" \t")
    # HTTP carries bytes as they are (RFC 9110 section 14.6): a part in Base64 would be stored as its letters.
    if fields.get("content-transfer-encoding", "binary").lower() not in _AS_IT_IS:
        raise InvalidMultipart("a part has a Content-Transfer-Encoding: send its bytes as they are")
    return fields


# -- writing


def part_head(boundary: str, headers: Mapping[str, str], *, first: bool) -> bytes:
    """Return what comes before a part's bytes: the delimiter line and the header fields."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    delimiter = f"--{boundary}\r\n" if first else f"\r\n--{boundary}\r\n"
    return (delimiter + fields + "\r\n").encode("latin-1")


def closing(boundary: str) -> bytes:
    """Return what comes after the last part's bytes."""
    return f"\r\n--{boundary}--\r\n".encode("ascii")
