"""The body of a request, of which no more is read than it may have, whoever reads it.

One that says it is too long is refused before a byte of it is asked for, so a client that waits for `100 Continue`
never sends it; one that does not say, or is longer than it says, as soon as too much has come.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.requests import Request

from gateway.errors import TooLarge

# As many digits as any length has that this machine can count; int() refuses to read thousands of them.
_DIGITS = 20


async def pieces_within(request: Request[Any], most: int, refused: TooLarge) -> AsyncIterator[bytes]:
    """Yield the body as it arrives. Raises `refused` as soon as it is known to have more than `most` bytes."""
    if _declared(request.headers) > most:
        raise refused
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > most:
            raise refused
        if piece:
            yield piece


async def body_within(request: Request[Any], most: int, refused: TooLarge) -> bytes:
    """Return the whole body. Raises as `pieces_within` does."""
    return b"".join([piece async for piece in pieces_within(request, most, refused)])


def _declared(headers: Mapping[str, str]) -> int:
    """Return how long a body says it is, or less; 0 where it does not say."""
    length = headers.get("content-length", "")
    return int(length[:_DIGITS]) if length.isascii() and length.isdigit() else 0
