"""Whether an instance is as it came: a fingerprint of all its attributes.

It is kept with the bytes an instance was received as. As long as the attributes of a version have the same one, those
bytes are the instance, and a retrieve sends them without reading them. It is made of the instance's JSON text as the
log keeps it, so that nothing has to be decoded to see whether it is the same: two digests and a digest of both.
"""

from __future__ import annotations

import hashlib
import re

import orjson

from gateway.metadata.image_set import Head, InstanceMetadata, LevelMetadata

SIZE = 16  # bytes: no two instances of the same bytes are told apart by chance


def joined_fingerprint(head: bytes, instance: bytes) -> bytes:
    """Return the fingerprint of an instance, given the digests of its head and its text.

    `SIZE` bytes that are the same for the same attributes at all levels, those of the instance in the same order.
    """
    return text_digest(head + instance)


def head_digest(head: Head) -> bytes:
    """Return a digest of the attributes that instances share, whatever the order of keys."""
    levels = [_attributes(level) for level in (head.patient, head.study, head.series)]
    return text_digest(orjson.dumps(levels, option=orjson.OPT_SORT_KEYS))


def text_digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()[:SIZE]  # processors have instructions for it, and none for BLAKE2


def instance_text(sop_instance_uid: str, instance: InstanceMetadata) -> bytes:
    """Return an instance as a member of a JSON object, without its braces: as a part in the log holds it."""
    return orjson.dumps({sop_instance_uid: instance})[1:-1]


# In what an instance says itself, and not in an item of a sequence, if no item begins before it.
_TRANSFER_SYNTAX = re.compile(rb'"TransferSyntaxUID":"([0-9.]+)"')
_ITEM = b"[{"


def transfer_syntax_in(text: bytes) -> str | None:
    """Return the transfer syntax that an instance's JSON says, without decoding it; None where only that can tell."""
    match = _TRANSFER_SYNTAX.search(text)
    return match[1].decode("ascii") if match and text.find(_ITEM, 0, match.start()) < 0 else None


def _attributes(level: LevelMetadata) -> list[object]:
    """Return a level's attributes and their VRs; what is generated beside them is not the instance's."""
    return [level["DICOM"], level.get("DICOMVRs") or {}]
