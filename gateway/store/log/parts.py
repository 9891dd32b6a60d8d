"""How the instances of an image set lie in the log: in parts that versions share.

A part holds at most 64 instances, or 256 KiB of their JSON, whichever comes first. A version's manifest lists its parts
by slot (manifest.py). An instance stays in its slot for good, so a table from SOP Instance UID to slot finds it in each
version, and a version in which one instance changed has one new part.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from isal import isal_zlib

from gateway.errors import StorageFailed
from gateway.metadata.fingerprint import instance_text, text_digest
from gateway.metadata.image_set import InstanceMetadata
from gateway.store.log.deflated import deflate, inflate
from gateway.store.log.manifest import PartReference

INSTANCES_IN_PART = 64
BYTES_IN_PART = 256 * 1024

PARTS_KEPT = 8  # taken apart, less than 1 MB each: larger ones are not kept
PARTS_PACKED_LATELY = 32  # with room in them, their texts only: the next store to the series takes them apart
_PARTS_PACKED_LATELY: dict[Part, tuple[PlacedInstance, ...]] = {}


class PlacedInstance:
    """An instance in a part: its metadata, and the number its stored object has in the image set.

    One that comes out of a part is decoded when its metadata is first looked at: most only lie beside the one that is.
    """

    __slots__ = ("_digest", "_metadata", "_packed_class", "_text", "_timezone", "object_number", "sop_instance_uid")

    def __init__(
        self,
        sop_instance_uid: str,
        object_number: int,
        metadata: InstanceMetadata,
        text: bytes = b"",
        digest: bytes = b"",
    ) -> None:
        """text: the instance as a member of a JSON object, where it was written already, and its digest."""
        self.sop_instance_uid = sop_instance_uid
        self.object_number = object_number
        self._metadata: InstanceMetadata | None = metadata
        self._text: bytes | memoryview = text
        self._digest = digest
        self._packed_class: str | None = None
        self._timezone: str | None = None

    @classmethod
    def packed(
        cls, sop_instance_uid: str, object_number: int, text: bytes | memoryview, packed_class: str | None
    ) -> PlacedInstance:
        """Return an instance of a part, given its text in it; packed_class: the class that all in the part have.

        Of a view of the part's text the bytes are made when they are first asked for.
        """
        placed = cls(sop_instance_uid, object_number, {"DICOM": {}, "DICOMVRs": {}})
        placed._metadata, placed._text, placed._packed_class = None, text, packed_class
        return placed

    def as_packed(self, text: bytes) -> PlacedInstance:
        """Return the instance as it comes out of a part that it was packed into, given its text."""
        if self._metadata is None:
            return self
        placed = PlacedInstance.packed(self.sop_instance_uid, self.object_number, text, self.class_to_pack)
        placed._digest, placed._timezone = self._digest, self._timezone
        return placed

    @property
    def metadata(self) -> InstanceMetadata:
        if self._metadata is None:
            members: dict[str, InstanceMetadata] = orjson.loads(b"{%b}" % self.text)
            self._metadata = members[self.sop_instance_uid]
        return self._metadata

    @property
    def text(self) -> bytes:
        """The instance as a member of a JSON object."""
        if isinstance(self._text, memoryview):
            self._text = bytes(self._text)
        return self._text or instance_text(self.sop_instance_uid, self.metadata)

    @property
    def digest(self) -> bytes:
        """The digest of its text (metadata/fingerprint.py)."""
        return self._digest or text_digest(self.text)

    @property
    def timezone(self) -> str:
        """Its TimezoneOffsetFromUTC, "" for none. Of a part's first instance every store to it asks again."""
        if self._timezone is None:
            value = None
            if b'"TimezoneOffsetFromUTC"' in self.text:
                value = self.metadata["DICOM"].get("TimezoneOffsetFromUTC")
            self._timezone = value if isinstance(value, str) else ""
        return self._timezone

    @property
    def sop_class_uid(self) -> str:
        return str(self.metadata["DICOM"].get("SOPClassUID") or "")

    @property
    def class_to_pack(self) -> str:
        """The SOP Class UID, of an instance that was packed without decoding it where that can be."""
        return self.sop_class_uid if self._packed_class is None else self._packed_class

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PlacedInstance):
            return NotImplemented
        mine, theirs = (self.sop_instance_uid, self.object_number), (other.sop_instance_uid, other.object_number)
        return mine == theirs and self.metadata == other.metadata

    __hash__ = None  # type: ignore[assignment]  # metadata are dicts


@dataclass(frozen=True, slots=True)
class Part:
    """Some instances of an image set, never changed once written.

    crc32, raw_length: of the JSON text. index: compressed JSON, SOP Instance UID to object number, in document order.
    body: compressed text of the instances, the members of a JSON object without its braces. timezone: the first
    instance's TimezoneOffsetFromUTC, known only while the part is being written, for the manifest to keep.
    """

    sop_classes: tuple[str, ...]
    count: int
    crc32: int
    raw_length: int
    index: bytes
    body: bytes
    timezone: str = field(default="", compare=False)

    @property
    def full(self) -> bool:
        """Whether the next instance begins another part."""
        return self.count >= INSTANCES_IN_PART or self.raw_length >= BYTES_IN_PART


def pack_parts(instances: Iterable[PlacedInstance]) -> list[Part]:
    """Return instances cut into parts, in their order."""
    parts: list[Part] = []
    members: list[tuple[PlacedInstance, bytes]] = []
    size = 0
    for instance in instances:
        text = instance.text
        if members and (len(members) == INSTANCES_IN_PART or size + len(text) > BYTES_IN_PART):
            parts.append(_pack(members))
            members, size = [], 0
        members.append((instance, text))
        size += len(text)
    if members:
        parts.append(_pack(members))
    return parts


def pack_part(instances: Iterable[PlacedInstance]) -> Part:
    """Return one part, however large: an instance that grows stays in its slot."""
    return _pack([(one, one.text) for one in instances])


def _pack(members: Sequence[tuple[PlacedInstance, bytes]]) -> Part:
    text = b",".join(text for _, text in members)
    part = Part(
        sop_classes=tuple(dict.fromkeys(instance.class_to_pack for instance, _ in members)),
        count=len(members),
        crc32=isal_zlib.crc32(text),
        raw_length=len(text),
        index=deflate(orjson.dumps({one.sop_instance_uid: one.object_number for one, _ in members})),
        body=deflate(text),
        timezone=members[0][0].timezone if members else "",
    )
    if not part.full:
        _keep_packed(part, members)
    return part


def _keep_packed(part: Part, members: Sequence[tuple[PlacedInstance, bytes]]) -> None:
    """Keep what is in a part that the next instance goes into as well.

    It is found by the bytes of the part: whether those were ever written, and whether they are undamaged, is theirs.
    """
    if len(_PARTS_PACKED_LATELY) >= PARTS_PACKED_LATELY:
        _PARTS_PACKED_LATELY.clear()
    _PARTS_PACKED_LATELY[part] = tuple([instance.as_packed(text) for instance, text in members])


def unpack_index(packed: bytes) -> dict[str, int]:
    """Return the object number of each instance in a part, by SOP Instance UID, without reading its metadata."""
    numbers: dict[str, int] = orjson.loads(inflate(packed))
    return numbers


def unpack_part(part: Part) -> tuple[PlacedInstance, ...]:
    """Return the instances of a part. Raises StorageFailed where the bytes are damaged.

    Of the same bytes it may be the same objects: an edit looks at a part several times, and nobody changes an instance.
    """
    return _unpacked_lately(part) if part.raw_length <= BYTES_IN_PART else _unpacked(part)


@functools.lru_cache(PARTS_KEPT)
def _unpacked_lately(part: Part) -> tuple[PlacedInstance, ...]:
    return _PARTS_PACKED_LATELY.pop(part, None) or _unpacked(part)


def _unpacked(part: Part) -> tuple[PlacedInstance, ...]:
    text = _text(part)
    numbers = unpack_index(part.index)
    packed_class = part.sop_classes[0] if len(part.sop_classes) == 1 else None
    return tuple(
        PlacedInstance.packed(uid, number, member, packed_class)
        for (uid, number), member in zip(numbers.items(), _members(text, list(numbers)), strict=True)
    )


def instances_of(part: Part) -> Mapping[str, InstanceMetadata]:
    """Return the metadata of all instances of a part, in document order. Raises StorageFailed for damaged bytes."""
    instances: dict[str, InstanceMetadata] = orjson.loads(b"{%b}" % _text(part))
    return instances


def texts_of(part: Part) -> Mapping[str, bytes]:
    """Return the JSON of each instance of a part, in document order. Raises StorageFailed for damaged bytes."""
    uids = list(unpack_index(part.index))
    return {
        uid: bytes(member[len(orjson.dumps(uid)) + 1 :])
        for uid, member in zip(uids, _members(_text(part), uids), strict=True)
    }


def _text(part: Part) -> bytes:
    """Return the JSON text of a part. Raises StorageFailed where it is damaged."""
    text = inflate(part.body)
    if isal_zlib.crc32(text) != part.crc32:
        raise StorageFailed("the log holds metadata whose checksum is wrong")
    return text


def _members(text: bytes, uids: Sequence[str]) -> list[memoryview]:
    """Return the text of each instance, in their order. Raises StorageFailed where one is not there.

    A quotation mark inside a JSON string is escaped and no key in an instance is a UID, so what looks like the key of
    the next instance is that.
    """
    starts = [0]
    for uid in uids[1:]:
        start = text.find(b",%b:{" % orjson.dumps(uid), starts[-1])
        if start < 0:
            raise StorageFailed("the log holds metadata without an instance that its index names")
        starts.append(start + 1)
    ends = [*(start - 1 for start in starts[1:]), len(text)]
    view = memoryview(text)
    return [view[start:end] for start, end in zip(starts, ends, strict=True)]


def reference(number: int, part: Part) -> PartReference:
    """Return what the manifest says of a part."""
    return PartReference(number, part.count, part.sop_classes, part.timezone)


def instances_by_uid(parts: Iterable[Part], wanted: Collection[str] | None = None) -> Mapping[str, InstanceMetadata]:
    """Return the metadata of the instances in parts, in document order: of those wanted, None for all."""
    if wanted is None:
        return {uid: metadata for part in parts for uid, metadata in instances_of(part).items()}
    return {
        one.sop_instance_uid: one.metadata
        for part in parts
        for one in unpack_part(part)
        if one.sop_instance_uid in wanted
    }
