"""PS3.10 files that come one after the other, read by what they have in common.

Files of a series differ in some twenty of their two hundred elements. What lies between those is the same bytes in each
file: it is compared, a run of elements at once, and not decoded again. Everything else is read as always, and a file
that is any different in between is too. So nothing here knows what an element means; tests hold it to the reader.
"""

from __future__ import annotations

import itertools
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from gateway.dicom.dataset import Dataset, Tag
from gateway.dicom.dictionary import PIXEL_DATA
from gateway.dicom.encoding import EXPLICIT_LITTLE, UNDEFINED_LENGTH, Buffer, known_vr
from gateway.dicom.part10_read import (
    CONTEXT,
    META_START,
    PREAMBLE_LENGTH,
    PREFIX,
    TRANSFER_SYNTAX_UID,
    Context,
    Decoder,
    Layout,
    Part10,
    part10_of,
    pixel_data,
    walk_part10,
)
from gateway.dicom.part10_values import DEFAULT_CHARACTERS
from gateway.dicom.part10_walk import MAX_ELEMENTS, Raw, Walker
from gateway.errors import InvalidPart10

# How many kinds of files are remembered: as many devices can send in turn.
KINDS = 8

# Where all elements but pixel data have to end.
FRONT = 64 * 1024

# Of how many elements one may differ, before comparing costs more than it saves.
_SHARE_THAT_DIFFERS = 4

_AMBIGUOUS = frozenset({"US or SS", "US or OW"})

_PIXEL_VRS = (b"OB", b"OW")
_UNDEFINED = UNDEFINED_LENGTH.to_bytes(4, "little")

_META_CONTEXT = Context(EXPLICIT_LITTLE, DEFAULT_CHARACTERS)


@dataclass(frozen=True, slots=True)
class Run:
    """Elements that follow each other and are the same in all files of a kind: their bytes, and what they say."""

    data: bytes
    dataset: Dataset


# What a file has in order: runs, and between them elements of which only the tag is known.
Slots = tuple[Run | Tag, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """Files with the same elements in the same order. last: of the file read last as a whole, its front and elements.

    differs: which elements were seen to differ. meta: None until there were two files to compare, and for files whose
    elements cannot be read one without the other.
    """

    inline_limit: int
    transfer_syntax_uid: str
    context: Context
    last: tuple[bytes, Sequence[Raw]]
    differs: frozenset[int] = frozenset()
    meta: Slots | None = None
    elements: Slots = ()


class Alike:
    """Reads files as `read_part10` does, faster where they are like those before. For several threads at once."""

    def __init__(self) -> None:
        self._kinds: tuple[Kind, ...] = ()

    def read(self, data: Buffer, inline_limit: int = 4096) -> Part10:
        """Return what `read_part10` returns, and raise what it raises."""
        file, front = _with_front(data)
        found = self._read_by_kind(file, front, inline_limit, len(file))
        if found is not None:
            return found
        layout = walk_part10(file)
        part10 = part10_of(layout, inline_limit)
        begun = _kind_of(layout, part10, inline_limit, front)
        if begun is not None:
            self._learn(begun, part10.dataset)
        return part10

    def read_at_once(self, data: Buffer, inline_limit: int = 4096) -> Part10 | None:
        """Return what `read` returns of a file that is like those before and large for its plain pixels alone.

        None for any other, be it valid or not: so it never takes long, however large the file is.
        """
        file, front = _with_front(data)
        return self._read_by_kind(file, front, inline_limit, FRONT)

    def _read_by_kind(self, file: bytes | memoryview, front: bytes, inline_limit: int, most: int) -> Part10 | None:
        for kind in self._kinds:
            if kind.meta is not None and kind.inline_limit == inline_limit:
                found = _read_as(kind, file, front, most)
                if found is not None:
                    return found
        return None

    def _learn(self, kind: Kind, dataset: Dataset) -> None:
        """Remember a file that was read as a whole, and what in it differs from the one of its kind before."""
        others = self._kinds
        for other in others:
            if _is_like(kind, other):
                kind = _compared(kind, other, dataset)
                others = tuple(one for one in others if one is not other)
                break
        self._kinds = (kind, *others)[:KINDS]


def _with_front(data: Buffer) -> tuple[bytes | memoryview, bytes]:
    file = data if isinstance(data, bytes) else memoryview(data).toreadonly()
    return file, bytes(file[:FRONT])


def _read_as(kind: Kind, file: bytes | memoryview, front: bytes, most: int) -> Part10 | None:
    """Return a file read as one of its kind; None where it is not, or has more bytes before or after its pixels."""
    if not front.startswith(PREFIX, PREAMBLE_LENGTH) or kind.meta is None:
        return None
    try:
        return _Reading(kind, file, front, most).read(kind.meta, kind.elements)
    except InvalidPart10:
        return None


class _Reading:
    """One file while it is read."""

    def __init__(self, kind: Kind, file: bytes | memoryview, front: bytes, most: int) -> None:
        self._kind = kind
        self._most = most
        self._file = file
        self._front = front
        self._walker = Walker(file, MAX_ELEMENTS - len(kind.last[1]))
        self._position = META_START
        self._dataset: Dataset = {}
        self._pixel_data: list[Raw] = []

    def read(self, meta: Slots, elements: Slots) -> Part10 | None:
        decoder = Decoder(self._file, self._kind.inline_limit, in_file=True)
        in_meta = Decoder(self._file, len(self._file), in_file=True)
        if not self._take(meta, in_meta, _META_CONTEXT) or not self._take(elements, decoder, self._kind.context):
            return None
        if self._position != len(self._file):
            return None
        pixels = tuple(pixel_data(self._pixel_data))
        return Part10(self._dataset, self._kind.transfer_syntax_uid, decoder.bulk, pixels)

    def _take(self, slots: Slots, decoder: Decoder, context: Context) -> bool:
        """Take elements in; return whether they are there."""
        dataset, front, position, size = self._dataset, self._front, self._position, len(self._file)
        end = min(size, self._most)
        for slot in slots:
            if isinstance(slot, Run):
                if not front.startswith(slot.data, position):
                    return False
                dataset.update(slot.dataset)
                position += len(slot.data)
                continue
            pixels = slot in PIXEL_DATA
            if pixels and self._most < size and not _are_stepped_over(front, position):
                return False
            raw = self._walker.element(position, size if pixels else end, EXPLICIT_LITTLE)
            if raw[0] != slot:
                return False
            if pixels:
                self._pixel_data.append(raw)
                end = min(size, raw[5] + self._most)
            else:
                dataset.update(decoder.dataset([raw], context))
            position = raw[5]
        self._position = position
        return True


def _are_stepped_over(front: bytes, position: int) -> bool:
    """Whether the pixel data at a position have a known length, and no items."""
    return front[position + 4 : position + 6] in _PIXEL_VRS and front[position + 8 : position + 12] != _UNDEFINED


def _kind_of(layout: Layout, part10: Part10, inline_limit: int, front: bytes) -> Kind | None:
    """Return the kind a file begins; None for one whose elements do not stand for themselves.

    That is any but explicit VR little endian, where the VR of one element is another's to say, and one with a tag that
    comes twice or out of order.
    """
    raws = [*layout.meta, *layout.elements]
    if layout.encoding != EXPLICIT_LITTLE or layout.deflated or not layout.elements:
        return None
    if any(one[0] >= other[0] for one, other in itertools.pairwise(raws)):
        return None
    context = Decoder(layout.data, inline_limit, in_file=True).context(layout.elements, layout.encoding, None)
    return Kind(inline_limit, part10.transfer_syntax_uid, context, (front, raws))


def _is_like(kind: Kind, other: Kind) -> bool:
    """Whether two files have the same elements, and what else the reading of each goes by."""
    if (kind.inline_limit, kind.transfer_syntax_uid) != (other.inline_limit, other.transfer_syntax_uid):
        return False
    return [raw[0] for raw in kind.last[1]] == [raw[0] for raw in other.last[1]] and not any(
        raw[0] in CONTEXT and _bytes_of(kind, place) != _bytes_of(other, place)
        for place, raw in enumerate(kind.last[1])
    )


def _compared(kind: Kind, before: Kind, dataset: Dataset) -> Kind:
    """Return the kind of a file by what it has in common with those before."""
    raws = kind.last[1]
    differs = frozenset(place for place in range(len(raws)) if _bytes_of(kind, place) != _bytes_of(before, place))
    if _SHARE_THAT_DIFFERS * len(differs | before.differs) <= len(raws):
        differs |= before.differs
    apart = differs | {place for place in range(len(raws)) if _is_apart(kind, place)}
    first = sum(raw[0] < "0003" for raw in raws)
    if first in apart or any(_goes_by_others(raws[place]) for place in apart):
        return replace(kind, differs=differs)
    meta = _slots(kind, range(first), apart, dataset)
    elements = _slots(kind, range(first, len(raws)), apart, dataset)
    return replace(kind, differs=differs, meta=meta, elements=elements)


def _is_apart(kind: Kind, place: int) -> bool:
    """Whether an element is read in each file, same or not: pixel data and large values, for where they lie is told."""
    raw = kind.last[1][place]
    return raw[0] in PIXEL_DATA or raw[5] - raw[3] > kind.inline_limit or raw[5] > len(kind.last[0])


def _goes_by_others(raw: Raw) -> bool:
    """Whether an element, or the others, can only be read by the others."""
    return raw[0] in CONTEXT or raw[0] == TRANSFER_SYNTAX_UID or (raw[1] == "UN" and known_vr(raw[0]) in _AMBIGUOUS)


def _bytes_of(kind: Kind, place: int) -> bytes:
    """Return an element's bytes, header included; of pixel data those there are."""
    front, raws = kind.last
    return front[raws[place][2] : raws[place][5]]


def _slots(kind: Kind, places: range, apart: Container[int], dataset: Dataset) -> Slots:
    slots: list[Run | Tag] = []
    raws, run = kind.last[1], list[int]()
    for place in [*places, None]:
        if place is not None and place not in apart:
            run.append(place)
            continue
        if run:
            data = kind.last[0][raws[run[0]][2] : raws[run[-1]][5]]
            tags = [raws[one][0] for one in run]
            slots.append(Run(data, {tag: dataset[tag] for tag in tags if tag in dataset}))
            run = []
        if place is not None:
            slots.append(raws[place][0])
    return tuple(slots)
