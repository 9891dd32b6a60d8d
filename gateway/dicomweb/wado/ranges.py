"""Parts of a value, by bytes: RFC 9110 section 14."""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from gateway.dicomweb.negotiation import OCTETS
from gateway.dicomweb.responses import pieces
from gateway.dicomweb.streamed import Streamed
from gateway.state import State

# RFC 9110 section 14.1: a unit has no case, and a list may have empty elements.
_RANGE = re.compile(r"bytes=[ \t,]*([0-9]{0,18})-([0-9]{0,18})[ \t,]*", re.IGNORECASE)


def ranged(request: Request[State], data: memoryview, etag: str, headers: Mapping[str, str]) -> Response:
    """Return the bytes a Range asks for with 206, 416 where there are none, all of them where it asks nothing.

    etag: of the bytes. headers: of the answer, beside those that go with its length; bytes of no media type are
    application/octet-stream.
    """
    size = len(data)
    headers = {"Content-Type": OCTETS, **headers, "Accept-Ranges": "bytes"}
    # Section 14.2: only GET knows ranges.
    asked = _range_asked(request.headers.get("range", ""), size) if request.method == "GET" else None
    known = (etag, headers.get("Last-Modified"))
    if asked is None or request.headers.get("if-range", etag) not in known:
        return Streamed(pieces([data]), 200, {**headers, "Content-Length": str(size)})
    start, end = asked
    if start >= end:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    headers |= {"Content-Range": f"bytes {start}-{end - 1}/{size}", "Content-Length": str(end - start)}
    return Streamed(pieces([data[start:end]]), 206, headers)


def _range_asked(text: str, size: int) -> tuple[int, int] | None:
    """Return the first byte of a Range, and the one after its last; None for several ranges, or for what is none."""
    match = _RANGE.fullmatch(text)
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        return max(0, size - int(match[2])), size
    if match[2] and int(match[2]) < int(match[1]):
        return None
    return int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
