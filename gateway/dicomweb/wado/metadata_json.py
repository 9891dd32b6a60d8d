"""The metadata of series and studies in DICOM JSON, of pieces that are made once and kept.

The instances of a version lie in parts that never change and are shared by versions. Of a part its instances' own
attributes are kept as elements, so that after an edit of what they share only these few are written anew and merged in;
and the text of the part under one head. Both are kept compressed, twenty times smaller, and what was used last stays.
Nothing has to be invalidated: another version has another part or another head.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import orjson
from isal import isal_zlib

from gateway.dicom.dataset import BulkData, Tag
from gateway.dicom.json_model import BulkUri, encode_json
from gateway.dicom.part10 import NO_PIXELS, PixelElement
from gateway.dicomweb.locate import Located
from gateway.dicomweb.wado.transfer_syntax import AVAILABLE_TRANSFER_SYNTAX_UID, syntax_to_say_of
from gateway.metadata.dicom_json import DicomJsonWriter, merged
from gateway.metadata.fingerprint import head_digest
from gateway.metadata.series_json import SeriesWriter
from gateway.store.contents import Member, VersionParts
from gateway.store.kept import Kept
from gateway.store.protocol import Store

# Compressed bytes kept of each of the two kinds: of some 50 studies of 500 CT instances.
KEPT = 16 * 1024 * 1024

# How many parts are read at a time.
_PARTS = 8

# One for all requests: what instances have in common is written once.
WRITER = DicomJsonWriter()

# Image set and part, and what else the text depends on: the head, and the addresses of bulk data if it has any.
_Own: TypeAlias = "tuple[str, int]"
_Whole: TypeAlias = "tuple[str, int, bytes, str]"

# An instance's SOP Instance UID, which pixel data it has and in which transfer syntax, and its own attributes as
# `"tag":{element}`.
_OwnElements: TypeAlias = "tuple[str, PixelElement, str, list[bytes]]"

# Stands for the address of a bulk value in what is kept: no client can know it, and so have it in a text.
_MARK = secrets.token_hex(16)
_MARK_BYTES = _MARK.encode()
_MARKED = re.compile(f"{_MARK}(.*?){_MARK}".encode())


class Fragments:
    """What is kept of the parts of one store."""

    def __init__(self) -> None:
        self.own: Kept[_Own, bytes] = Kept(KEPT, len)
        self.whole: Kept[_Whole, bytes] = Kept(KEPT, len)


_FRAGMENTS: WeakKeyDictionary[Store, Fragments] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class _Part:
    """A part written in DICOM JSON, without brackets around. own, whole: what is to be kept, compressed."""

    text: bytes
    own: bytes
    whole: bytes
    has_bulk_data: bool


async def part_texts(located: Located, member: Member, root: str) -> AsyncIterator[bytes]:
    """Yield the datasets of an image set's instances in document order: those of a part together, commas between."""
    parts = await located.store.version_parts(located.datastore_id, member.image_set_id, member.version)
    writing = _Writing(located, member, root, parts, _FRAGMENTS.setdefault(located.store, Fragments()))
    for at in range(0, len(parts.numbers), _PARTS):
        async for text in writing.texts(parts.numbers[at : at + _PARTS]):
            yield text


class _Writing:
    """The parts of one version of an image set on their way to one client."""

    def __init__(self, located: Located, member: Member, root: str, parts: VersionParts, fragments: Fragments) -> None:
        self._located = located
        self._around_uid: dict[tuple[PixelElement, str], list[list[bytes]]] = {}
        self._member = member
        self._image_set_id = member.image_set_id
        self._fragments = fragments
        self._root = root
        self._digest = head_digest(parts.head)
        self._shared = WRITER.shared(parts.head, _marked)
        self._own = SeriesWriter(WRITER, _marked)
        self._where = self._bulk_uri("")(BulkData("", 0))

    async def texts(self, numbers: Sequence[int]) -> AsyncIterator[bytes]:
        kept = {number: whole for number in numbers if (whole := self._kept(number))}
        own = {number: self._fragments.own.peek(self._own_key(number)) for number in numbers if number not in kept}
        missing = [number for number, elements in own.items() if elements is None]
        read, pixels = await self._read(missing) if missing else ({}, {})
        for number in numbers:
            if number in kept:
                yield isal_zlib.decompress(kept[number])
            else:
                part = await asyncio.to_thread(self._write, own[number], read.get(number), pixels)
                self._keep(number, part)
                yield part.text

    def _keep(self, number: int, part: _Part) -> None:
        where = self._where if part.has_bulk_data else ""
        self._fragments.own.put(self._own_key(number), part.own)
        self._fragments.whole.put((*self._own_key(number), self._digest, where), part.whole)

    def _own_key(self, number: int) -> _Own:
        return self._image_set_id, number

    def _kept(self, number: int) -> bytes | None:
        key = self._image_set_id, number, self._digest
        return self._fragments.whole.peek((*key, "")) or self._fragments.whole.peek((*key, self._where))

    async def _read(
        self, numbers: Sequence[int]
    ) -> tuple[Mapping[int, Callable[[], Mapping[str, bytes]]], Mapping[str, PixelElement]]:
        store, at = self._located.store, (self._located.datastore_id, self._image_set_id)
        return await asyncio.gather(store.parts(*at, numbers), store.part_pixel_elements(*at, numbers))

    def _bulk_uri(self, uid: str) -> BulkUri:
        return self._located.bulk_uri(self._root, self._member, uid)

    def _write(
        self,
        own: bytes | None,
        decode: Callable[[], Mapping[str, bytes]] | None,
        pixels_of: Mapping[str, PixelElement],
    ) -> _Part:
        """Return a part, of its own elements where they are kept, else of its metadata and of what has pixel data."""
        instances = self._read_own(decode, pixels_of) if own is None else _unpacked(own)
        texts = []
        has_bulk_data = False
        for uid, pixels, syntax, elements in instances:
            has_bulk_data = has_bulk_data or bool(pixels.tag)
            texts.append(merged(self._shared, elements, self._pixel_members(pixels, syntax, uid)))
        text = b",".join(texts)
        if _MARK_BYTES in text:
            has_bulk_data = True
            uids = [uid for uid, _, _, _ in instances]
            text = b",".join(map(_addressed, texts, map(self._bulk_uri, uids)))
        return _Part(text, own or _packed(instances), _compressed(text), has_bulk_data)

    def _pixel_members(self, pixels: PixelElement, syntax: str, uid: str) -> list[bytes]:
        """Return what `pixel_members` does, made once for all instances: their UIDs are all that differs."""
        around = self._around_uid.get((pixels, syntax))
        if around is None:
            made = [member.split(_MARK_BYTES) for member in pixel_members(pixels, syntax, self._bulk_uri(_MARK))]
            around = self._around_uid[pixels, syntax] = made
        return [uid.encode().join(pieces) for pieces in around]

    def _read_own(
        self, decode: Callable[[], Mapping[str, bytes]] | None, pixels: Mapping[str, PixelElement]
    ) -> list[_OwnElements]:
        assert decode is not None
        return [
            (uid, pixels.get(uid, NO_PIXELS), syntax_to_say_of(text), self._own.own(text))
            for uid, text in decode().items()
        ]


def _packed(instances: Sequence[_OwnElements]) -> bytes:
    """Return own elements as they are kept: a line for each, and an empty one between instances."""
    texts = [
        b"\n".join([orjson.dumps([uid, *pixels, syntax]), *elements]) for uid, pixels, syntax, elements in instances
    ]
    return _compressed(b"\n\n".join(texts))


def _unpacked(own: bytes) -> list[_OwnElements]:
    instances = []
    for text in isal_zlib.decompress(own).split(b"\n\n"):
        name, *elements = text.split(b"\n")
        uid, tag, vr, syntax = orjson.loads(name)
        instances.append((uid, PixelElement(tag, vr), syntax, elements))
    return instances


def pixel_members(pixels: PixelElement, syntax: str, bulk_uri: BulkUri) -> list[bytes]:
    """Return `"tag":{element}` of the pixel data of an instance and of their transfer syntax; nothing for NO_PIXELS."""
    if not pixels.tag:
        return []
    members: dict[Tag, Any] = {pixels.tag: {"vr": pixels.vr, "BulkDataURI": bulk_uri(BulkData(pixels.tag))}}
    if syntax:
        members[AVAILABLE_TRANSFER_SYNTAX_UID] = {"vr": "UI", "Value": [syntax]}
    return [encode_json({tag: element})[1:-1] for tag, element in members.items()]


def _compressed(text: bytes) -> bytes:
    return bytes(isal_zlib.compress(text, 1))


def _marked(bulk: BulkData) -> str:
    return f"{_MARK}{bulk.uri}{_MARK}"


def _addressed(dataset: bytes, bulk_uri: BulkUri) -> bytes:
    """Return a dataset with the addresses of its bulk data."""

    def address(match: re.Match[bytes]) -> bytes:
        uri: str = orjson.loads(b'"%b"' % match[1])
        return encode_json(bulk_uri(BulkData(uri, 0)))[1:-1]

    return _MARKED.sub(address, dataset)
