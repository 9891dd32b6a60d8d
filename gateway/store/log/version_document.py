"""A version's SchemaVersion 1.1 document, joined of its parts as they lie in the log."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import orjson
from isal import isal_zlib

from gateway.metadata.document import to_document
from gateway.metadata.image_set import Head, ImageSetMetadata
from gateway.store.log.deflated import deflate
from gateway.store.log.parts import Part

# Between any two parts of a document.
_COMMA = deflate(b",")


def join_gzip(datastore_id: str, image_set_id: str, head: Head, parts: Sequence[Part]) -> bytes:
    """Return a version's 1.1 document as one gzip member, its parts as they lie in the log."""
    before, after = _around_instances(datastore_id, image_set_id, head)
    pieces = [b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"]  # RFC 1952 2.3: deflate, no flags, no time, system unknown
    checksum, length = 0, 0
    for text, part in _texts(before, parts, after):
        pieces.append(part.body if part else _COMMA if text == b"," else deflate(text))
        if part:
            checksum = isal_zlib.crc32_combine(checksum, part.crc32, part.raw_length)
        else:
            checksum = isal_zlib.crc32(text, checksum)
        length += part.raw_length if part else len(text)
    pieces.append(b"\x03\x00")  # RFC 1951 3.2.3: a last block, empty
    pieces.append(struct.pack("<II", checksum, length & 0xFFFFFFFF))
    return b"".join(pieces)


def _texts(before: bytes, parts: Sequence[Part], after: bytes) -> Iterable[tuple[bytes, Part | None]]:
    """Yield the pieces of a document, in order: text, or a part that is compressed already."""
    yield before, None
    for place, part in enumerate(parts):
        if place:
            yield b",", None
        yield b"", part
    yield after, None


def _around_instances(datastore_id: str, image_set_id: str, head: Head) -> tuple[bytes, bytes]:
    """Return the document's text before its first instance and after its last.

    A quotation mark inside a JSON string is escaped, so the last empty "Instances" is the series', never a value.
    """
    text = orjson.dumps(to_document(datastore_id, image_set_id, ImageSetMetadata(head, {})))
    before, marker, after = text.rpartition(b'"Instances":{}')
    return before + marker[:-1], marker[-1:] + after
