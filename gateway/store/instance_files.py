"""Whether the files of instances are what they came as, told without decoding an instance.

The text of an instance in the log has a digest, and so has the head of a version; what the two make is the fingerprint
that was kept with the file, as long as neither was edited. Where the head was edited since, an older version's head
makes it: then the file and the version differ in just what the two heads differ in.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from gateway.metadata.fingerprint import head_digest, joined_fingerprint, text_digest
from gateway.metadata.image_set import Head
from gateway.store.log import StoredFiles
from gateway.store.parts import PlacedInstance, unpack_part
from gateway.store.protocol import InstanceFile, StoredObject

# How many older heads are tried. Instances come with few: mostly one, that of the first version.
OLDER_HEADS = 8

# An instance that is as it came has its file meta information first, and in it the transfer syntax it was read by.
_TRANSFER_SYNTAX = re.compile(rb'"TransferSyntaxUID":"([0-9.]+)"')


@dataclass(frozen=True, slots=True)
class Digested:
    """An instance of a version, the digest of its text, and its file."""

    placed: PlacedInstance
    digest: bytes
    stored: StoredObject


def digested(found: StoredFiles, wanted: Collection[str] | None) -> list[Digested]:
    """Return the instances of a version in document order: of those wanted, None for all. Raises StorageFailed."""
    return [
        Digested(placed, text_digest(placed.text), found.objects[placed.object_number])
        for part in found.version.parts.values()
        for placed in unpack_part(part)
        if wanted is None or placed.sop_instance_uid in wanted
    ]


def all_as_received(instances: Sequence[Digested], head: Head) -> bool:
    """Whether each instance came with this head and as it is."""
    digest = head_digest(head)
    return all(joined_fingerprint(digest, one.digest) == one.stored.fingerprint for one in instances)


def instance_files(instances: Sequence[Digested], heads: Sequence[Head]) -> list[InstanceFile]:
    """Return each instance's file, with the one of the heads that it came with."""
    digests = [(head_digest(head), head) for head in heads]
    return [_file(instance, digests) for instance in instances]


def _file(instance: Digested, heads: list[tuple[bytes, Head]]) -> InstanceFile:
    placed, stored = instance.placed, instance.stored
    for digest, head in heads:
        if joined_fingerprint(digest, instance.digest) == stored.fingerprint:
            match = _TRANSFER_SYNTAX.search(placed.text)
            syntax = match[1].decode("ascii") if match else _transfer_syntax(placed)
            return InstanceFile(placed.sop_instance_uid, stored, syntax, head)
    return InstanceFile(placed.sop_instance_uid, stored, _transfer_syntax(placed), None)


def _transfer_syntax(placed: PlacedInstance) -> str:
    return str(placed.metadata["DICOM"].get("TransferSyntaxUID") or "")
