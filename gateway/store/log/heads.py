"""How the head of an image set, Patient, Study and Series, lies in each row of its versions."""

from __future__ import annotations

import functools

import orjson

from gateway.metadata.image_set import Head
from gateway.store.log.deflated import deflate, inflate

HEADS_KEPT = 1024  # decoded, some 5 KB each
HEADS_PACKED_LATELY = 256  # that nobody has asked for since: who edits does at once
_PACKED_LATELY: dict[bytes, Head] = {}


def pack_head(head: Head) -> bytes:
    """Return the head as a version row keeps it. Nobody may change it any more: `unpack_head` gives it back."""
    # Every edit writes one: 200 bytes more, in half the time and a third of the memory touched.
    packed = deflate(orjson.dumps({"Patient": head.patient, "Study": head.study, "Series": head.series}), level=0)
    if len(_PACKED_LATELY) >= HEADS_PACKED_LATELY:
        _PACKED_LATELY.clear()
    _PACKED_LATELY[packed] = head
    return packed


@functools.lru_cache(HEADS_KEPT)
def unpack_head(packed: bytes) -> Head:
    """Return the head that `pack_head` packed. Raises StorageFailed where the bytes are damaged.

    Of the same bytes it is the same object: an edit looks at a head several times, and nobody changes one.
    """
    head = _PACKED_LATELY.pop(packed, None)
    return read_head(packed) if head is None else head


def read_head(packed: bytes) -> Head:
    """Return the head that `pack_head` packed, of its bytes. Raises StorageFailed where they are damaged."""
    levels = orjson.loads(inflate(packed))
    return Head(levels["Patient"], levels["Study"], levels["Series"])


def length_of_head(packed: bytes) -> int:
    """Return how long the JSON text of a head is."""
    return len(inflate(packed))
