"""How the metadata of an image set lies in the log: a head in each version, and parts that versions share.

A part holds at most 64 instances, or 256 KiB of their JSON, whichever comes first. It is kept as a piece of a raw
deflate stream (RFC 1951) that ends at a byte boundary, so that the pieces of a version join into one gzip member
(RFC 1952) without decoding or compressing them again. Joining whole gzip members instead would do for Python, but curl
and browsers stop after the first.

A version's manifest lists its parts by slot. An instance stays in its slot for good, so a table from SOP Instance UID
to slot finds it in every version, and a version in which one instance changed has one new part.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from isal import isal_zlib
from isal.igzip_lib import IsalError

from gateway.errors import StorageFailed
from gateway.metadata.document import to_document
from gateway.metadata.fingerprint import instance_text, text_digest
from gateway.metadata.image_set import Head, ImageSetMetadata, InstanceMetadata

INSTANCES_IN_PART = 64
BYTES_IN_PART = 256 * 1024

# A longer manifest, in bytes of JSON, is compressed.
PLAIN_MANIFEST = 256

PARTS_KEPT = 8  # taken apart, less than 1 MB each: larger ones are not kept
PARTS_PACKED_LATELY = 32  # with room in them, their texts only: the next store to the series takes them apart
_PARTS_PACKED_LATELY: dict[Part, tuple[PlacedInstance, ...]] = {}
HEADS_KEPT = 1024  # decoded, some 5 KB each
HEADS_PACKED_LATELY = 256  # that nobody has asked for since: who edits does at once
_PACKED_LATELY: dict[bytes, Head] = {}


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


@dataclass(frozen=True, slots=True)
class PartReference:
    """What a manifest says of the part in one slot. number 0: the slot is empty."""

    number: int
    count: int
    sop_classes: tuple[str, ...]
    timezone: str = ""


NO_PART = PartReference(0, 0, ())


class Manifest(tuple[PartReference, ...]):
    """A version's parts by slot. What is made of them is kept: most versions have the very manifest of the one before.

    `unpack_manifest` reads one.
    """

    @functools.cached_property
    def instance_count(self) -> int:
        """How many instances the version has."""
        return sum([part.count for part in self])

    @functools.cached_property
    def sop_classes(self) -> tuple[str, ...]:
        """The SOP Class UIDs of its instances, each once."""
        alike = dict.fromkeys([part.sop_classes for part in self])  # one and the same nearly always
        return tuple(dict.fromkeys(uid for uids in alike for uid in uids if uid))

    @functools.cached_property
    def timezone(self) -> str:
        """The TimezoneOffsetFromUTC of the first instance that has one, "" for none."""
        return next((part.timezone for part in self if part.timezone), "")

    @functools.cached_property
    def packed(self) -> bytes:
        """The manifest as a version row keeps it: JSON, SOP Class UIDs written once and then by their place.

        Compressed where it is long: every edit writes it again.
        """
        uids = list(dict.fromkeys(uid for part in self for uid in part.sop_classes))
        parts = [
            [
                part.number,
                part.count,
                [uids.index(uid) for uid in part.sop_classes],
                *([part.timezone] * bool(part.timezone)),
            ]
            for part in self
        ]
        text = orjson.dumps({"SOPClasses": uids, "Parts": parts})
        return text if len(text) <= PLAIN_MANIFEST else _deflate(text)


def _deflate(text: bytes, level: int = 1) -> bytes:
    """Return a piece of a raw deflate stream that can stand between any two others."""
    compressor = isal_zlib.compressobj(level, isal_zlib.DEFLATED, -15)
    return bytes(compressor.compress(text) + compressor.flush(isal_zlib.Z_FULL_FLUSH))


# Between any two parts of a document.
_COMMA = _deflate(b",")


def _inflate(piece: bytes) -> bytes:
    try:
        return bytes(isal_zlib.decompressobj(-15).decompress(piece))
    except IsalError as error:  # type: ignore[misc]  # isal's stub says it is an exception, not a class of them
        raise StorageFailed("the log holds metadata that cannot be read") from error


# -- heads


def pack_head(head: Head) -> bytes:
    """Return the head as a version row keeps it. Nobody may change it any more: `unpack_head` gives it back."""
    # Every edit writes one: 200 bytes more, in half the time and a third of the memory touched.
    packed = _deflate(orjson.dumps({"Patient": head.patient, "Study": head.study, "Series": head.series}), level=0)
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
    levels = orjson.loads(_inflate(packed))
    return Head(levels["Patient"], levels["Study"], levels["Series"])


def length_of_head(packed: bytes) -> int:
    """Return how long the JSON text of a head is."""
    return len(_inflate(packed))


# -- parts


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
        index=_deflate(orjson.dumps({one.sop_instance_uid: one.object_number for one, _ in members})),
        body=_deflate(text),
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
    numbers: dict[str, int] = orjson.loads(_inflate(packed))
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
    text = _inflate(part.body)
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


# -- manifests


def reference(number: int, part: Part) -> PartReference:
    """Return what the manifest says of a part."""
    return PartReference(number, part.count, part.sop_classes, part.timezone)


def unpack_manifest(packed: bytes) -> Manifest:
    """Return the manifest that was packed."""
    # The first bit of a piece of a deflate stream is 0: it is not the last (RFC 1951 section 3.2.3). That of { is 1.
    manifest = orjson.loads(packed if packed.startswith(b"{") else _inflate(packed))
    uids = manifest["SOPClasses"]
    return Manifest(
        [
            PartReference(number, count, tuple([uids[place] for place in places]), *timezone)
            for number, count, places, *timezone in manifest["Parts"]
        ]
    )


# -- documents


def join_gzip(datastore_id: str, image_set_id: str, head: Head, parts: Sequence[Part]) -> bytes:
    """Return a version's 1.1 document as one gzip member, its parts as they lie in the log."""
    before, after = _around_instances(datastore_id, image_set_id, head)
    pieces = [b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"]  # RFC 1952 2.3: deflate, no flags, no time, system unknown
    checksum, length = 0, 0
    for text, part in _texts(before, parts, after):
        pieces.append(part.body if part else _COMMA if text == b"," else _deflate(text))
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
