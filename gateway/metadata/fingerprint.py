"""Whether an instance is as it came: a fingerprint of all its attributes.

It is kept with the bytes an instance was received as. As long as the attributes of a version have the same one, those
bytes are the instance, and a retrieve sends them without reading them.
"""

from __future__ import annotations

import hashlib

import orjson

from gateway.metadata.image_set import Head, InstanceMetadata, LevelMetadata

SIZE = 16  # bytes: no two instances of the same bytes are told apart by chance


def fingerprint(head: Head, instance: InstanceMetadata) -> bytes:
    """Return `SIZE` bytes that are the same for the same attributes at all levels, whatever the order of keys."""
    digest = hashlib.blake2b(_text(instance), digest_size=SIZE)
    for level in (head.patient, head.study, head.series):
        digest.update(_text(level))
    return digest.digest()


def _text(level: LevelMetadata) -> bytes:
    """Return a level's attributes and their VRs as text; what is generated beside them is not the instance's."""
    return orjson.dumps([level["DICOM"], level.get("DICOMVRs") or {}], option=orjson.OPT_SORT_KEYS)
