"""Pieces of a raw deflate stream (RFC 1951) that end at a byte boundary.

What lies in the log is kept as such, so that the pieces of a version join into one gzip member (RFC 1952) without
decoding or compressing them again. Joining whole gzip members instead would do for Python, but curl and browsers stop
after the first.
"""

from __future__ import annotations

from isal import isal_zlib
from isal.igzip_lib import IsalError

from gateway.errors import StorageFailed


def deflate(text: bytes, level: int = 1) -> bytes:
    """Return a piece of a raw deflate stream that can stand between any two others."""
    compressor = isal_zlib.compressobj(level, isal_zlib.DEFLATED, -15)
    return bytes(compressor.compress(text) + compressor.flush(isal_zlib.Z_FULL_FLUSH))


def inflate(piece: bytes) -> bytes:
    """Return the text of a piece. Raises StorageFailed where it is damaged."""
    try:
        return bytes(isal_zlib.decompressobj(-15).decompress(piece))
    except IsalError as error:  # type: ignore[misc]  # isal's stub says it is an exception, not a class of them
        raise StorageFailed("the log holds metadata that cannot be read") from error
