"""Whether the files of instances are what they came as, told without decoding an instance.

The text of an instance in the log has a digest, and so has the head of a version; what the two make is the fingerprint
that was kept with the file, as long as neither was edited. Where the head was edited since, an older version's head
makes it: then the file and the version differ in just what the two heads differ in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.metadata.fingerprint import head_digest, joined_fingerprint, transfer_syntax_in
from gateway.metadata.image_set import Head
from gateway.store.contents import InstanceFile, StoredObject
from gateway.store.drafts import Draft
from gateway.store.log.contents import StoredFiles
from gateway.store.log.parts import PlacedInstance, unpack_part

# How many older heads are tried. Instances come with few: mostly one, that of the first version.
OLDER_HEADS = 8


@dataclass(frozen=True, slots=True)
class Digested:
    """An instance of a part: the digest of its text, its file, and the transfer syntax that it says."""

    sop_instance_uid: str
    digest: bytes
    stored: StoredObject
    transfer_syntax_uid: str


def digested(found: StoredFiles) -> dict[int, dict[str, Digested]]:
    """Return the instances of a version's parts that were read, by the parts' numbers and their SOP Instance UIDs.

    Raises StorageFailed.
    """
    manifest = found.version.manifest
    return {
        manifest[slot].number: {
            placed.sop_instance_uid: _digested(placed, found.objects) for placed in unpack_part(part)
        }
        for slot, part in found.version.parts.items()
    }


def digested_new(draft: Draft, before: Mapping[str, Digested]) -> dict[int, dict[str, Digested]]:
    """Return the same of the parts that a finished draft has packed, but for those that would have to be read for it.

    before: what is known of instances that were there before, by SOP Instance UID.
    """
    made: dict[int, dict[str, Digested]] = {}
    for number, part in draft.packed.items():
        known = {one.sop_instance_uid: _digested_new(one, draft.objects, before) for one in part}
        found = {uid: one for uid, one in known.items() if one is not None}
        if len(found) == len(part):
            made[number] = found
    return made


def _digested_new(
    placed: PlacedInstance, objects: Mapping[int, StoredObject], before: Mapping[str, Digested]
) -> Digested | None:
    stored = objects.get(placed.object_number)
    if stored is None:
        return before.get(placed.sop_instance_uid)
    syntax = str(placed.metadata["DICOM"].get("TransferSyntaxUID") or "")
    return Digested(placed.sop_instance_uid, placed.digest, stored, syntax)


def _digested(placed: PlacedInstance, objects: Mapping[int, StoredObject]) -> Digested:
    return Digested(placed.sop_instance_uid, placed.digest, objects[placed.object_number], _transfer_syntax(placed))


def _transfer_syntax(placed: PlacedInstance) -> str:
    found = transfer_syntax_in(placed.text)
    return str(placed.metadata["DICOM"].get("TransferSyntaxUID") or "") if found is None else found


def instance_files(instances: Sequence[Digested], heads: Sequence[Head]) -> list[InstanceFile]:
    """Return each instance's file, with the one of the heads that it came with."""
    digests = [(head_digest(head), head) for head in heads]
    return [
        InstanceFile(one.sop_instance_uid, one.stored, one.transfer_syntax_uid, _received(one, digests))
        for one in instances
    ]


def _received(instance: Digested, heads: Sequence[tuple[bytes, Head]]) -> Head | None:
    for digest, head in heads:
        if joined_fingerprint(digest, instance.digest) == instance.stored.fingerprint:
            return head
    return None
