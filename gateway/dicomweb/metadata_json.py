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
from typing import TypeAlias
from weakref import WeakKeyDictionary

import orjson
from isal import isal_zlib

from gateway.dicom.dataset import BulkData
from gateway.dicom.json_model import BulkUri, encode_json
from gateway.dicomweb.locate import Located
from gateway.dicomweb.qido import bulk_uri_of
from gateway.dicomweb.targets import Target
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

# Stands for the address of a bulk value in what is kept: no client can know it, and so have it in a text.
_MARK = secrets.token_hex(16)
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
        self._image_set_id = member.image_set_id
        self._fragments = fragments
        self._series = Target(located.target.study, member.series_instance_uid)
        self._root = root
        self._version = located.version and member.version
        self._digest = head_digest(parts.head)
        self._shared = WRITER.shared(parts.head, _marked)
        self._own = SeriesWriter(WRITER, _marked)
        self._where = self._bulk_uri("")(BulkData("", 0))

    async def texts(self, numbers: Sequence[int]) -> AsyncIterator[bytes]:
        kept = {number: whole for number in numbers if (whole := self._kept(number))}
        own = {number: self._fragments.own.peek(self._own_key(number)) for number in numbers if number not in kept}
        missing = [number for number, elements in own.items() if elements is None]
        read = await self._read(missing) if missing else {}
        for number in numbers:
            if number in kept:
                yield isal_zlib.decompress(kept[number])
            else:
                part = await asyncio.to_thread(self._write, own[number], read.get(number))
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

    async def _read(self, numbers: Sequence[int]) -> Mapping[int, Callable[[], Mapping[str, bytes]]]:
        return await self._located.store.parts(self._located.datastore_id, self._image_set_id, numbers)

    def _bulk_uri(self, uid: str) -> BulkUri:
        target = Target(self._series.study, self._series.series, uid)
        return bulk_uri_of(self._root, target, self._version, self._located.image_set_id)

    def _write(self, own: bytes | None, decode: Callable[[], Mapping[str, bytes]] | None) -> _Part:
        """Return a part, of its own elements where they are kept, else of its metadata."""
        if own is None:
            assert decode is not None
            elements = {uid: self._own.own(text) for uid, text in decode().items()}
            own = _compressed(b"\n\n".join(b"\n".join([orjson.dumps(uid), *each]) for uid, each in elements.items()))
        else:
            lines = [instance.split(b"\n") for instance in isal_zlib.decompress(own).split(b"\n\n")]
            elements = {orjson.loads(each[0]): each[1:] for each in lines}
        datasets = {uid: merged(self._shared, each) for uid, each in elements.items()}
        text = b",".join(datasets.values())
        has_bulk_data = _MARK.encode() in text
        if has_bulk_data:
            text = b",".join(_addressed(dataset, self._bulk_uri(uid)) for uid, dataset in datasets.items())
        return _Part(text, own, _compressed(text), has_bulk_data)


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
