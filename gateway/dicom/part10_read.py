"""From the bytes of a PS3.10 file to a dataset.

What is lenient here is so because archives are full of it, and nothing of it loses a byte: the file is kept as it came,
and rewriting it copies whatever an edit does not touch. Text that its character set cannot have becomes U+FFFD; a
number whose length is wrong becomes UN; a standard attribute that the file calls UN is read by its VR in PS3.6; what
is no VR is read as implicit VR.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

from gateway.dicom.characters import CharacterSet, character_set
from gateway.dicom.dataset import BulkData, Dataset, Element, Tag, in_tag_order
from gateway.dicom.dictionary import PIXEL_DATA, STRING_VRS, entry_of, vrs_of
from gateway.dicom.encoding import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_LITTLE,
    WORD_SIZES,
    Buffer,
    Encoding,
    encoding_of,
    known_vr,
    let_go,
    swapped,
)
from gateway.dicom.part10_values import (
    CACHED_LENGTH,
    DEFAULT_CHARACTERS,
    decoded,
    element_decoders,
    strings,
    value_decoders,
)
from gateway.dicom.part10_walk import Item, Raw, Walker
from gateway.errors import InvalidPart10


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of the file: where the first lies, and how many there are."""

    offset: int
    length: int


class PixelElement(NamedTuple):
    """Which kind of pixel data a file has, and the VR that a dataset shows it with."""

    tag: Tag
    vr: str


NO_PIXELS = PixelElement("", "")


@dataclass(frozen=True, slots=True)
class PixelData:
    """PixelData, FloatPixelData or DoubleFloatPixelData, not read.

    value: where its bytes lie, encapsulated ones from the first item to before the delimiter; the bytes themselves
    where the file is deflated. Native ones are in the byte order of the transfer syntax.
    """

    tag: Tag
    vr: str
    value: Span | memoryview
    encapsulated: bool

    @property
    def element(self) -> PixelElement:
        """The VR that the file says, OB where it is encapsulated (PS3.5 A.4), the dictionary's where it says none."""
        if self.encapsulated:
            return PixelElement(self.tag, "OB")
        entry = entry_of(self.tag)
        assert entry is not None  # all three are in the dictionary
        return PixelElement(self.tag, self.vr if self.vr in vrs_of(self.tag) else entry.vr)


@dataclass(frozen=True, slots=True)
class Part10:
    """A PS3.10 file read.

    dataset: group 0002 included, no pixel data, no group lengths but (0002,0000); binary values longer than asked for
    are BulkData. bulk: by their uri, where their bytes lie in the file; the bytes themselves where they had to be
    swapped to little endian or inflated.
    """

    dataset: Dataset
    transfer_syntax_uid: str
    bulk: dict[str, Span | bytes] = field(default_factory=dict)
    pixel_data: tuple[PixelData, ...] = ()

    @property
    def pixel_element(self) -> PixelElement:
        """The kind of pixel data it has, NO_PIXELS for none. Of several, which PS3.3 does not allow, the last."""
        return self.pixel_data[-1].element if self.pixel_data else NO_PIXELS


@dataclass(frozen=True, slots=True)
class Layout:
    """A file walked but not decoded. data: the dataset's bytes, the file itself unless it is deflated.

    start: where the dataset begins in `data`.
    """

    file: bytes | memoryview
    meta: list[Raw]
    meta_end: int
    transfer_syntax_uid: str
    data: bytes | memoryview
    start: int
    encoding: Encoding
    elements: list[Raw]

    @property
    def deflated(self) -> bool:
        return self.transfer_syntax_uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN


# PS3.10 section 7.1: preamble and prefix.
PREAMBLE_LENGTH = 128
PREFIX = b"DICM"
META_START = PREAMBLE_LENGTH + len(PREFIX)

TRANSFER_SYNTAX_UID = "00020010"
FILE_META_GROUP_LENGTH = "00020000"
SPECIFIC_CHARACTER_SET = "00080005"
# Media Storage SOP Class and Instance UID, and what they are in a dataset (PS3.10 Table 7.1-1).
_NAMED_IN_META = {"00020002": "00080016", "00020003": "00080018"}
_PIXEL_REPRESENTATION = "00280103"
# What other elements are decoded by.
CONTEXT = frozenset({SPECIFIC_CHARACTER_SET, _PIXEL_REPRESENTATION})
_LUT_DESCRIPTOR = "00283002"

# PS3.5 A.5 inflates without a bound of its own. Flat images do reach a ratio of a thousand: small ones may.
_INFLATED_RATIO = 100
_INFLATED_ALWAYS = 16 * 2**20
_INFLATED_NEVER = 2**30
_INFLATED_AT_ONCE = 2**20

_HASHED_AT_ONCE = 16 * 2**20
_DEFLATED_AT_ONCE = 2**16

# Where most elements lie: bytes are cut out of bytes in a third of the time that a view takes.
_FRONT = 2**14


def read_part10(data: Buffer, inline_limit: int = 4096) -> Part10:
    """Return the dataset of a PS3.10 file, and where its large binary values and pixel data lie.

    inline_limit: binary values of more bytes become BulkData.
    Raises InvalidPart10 for what is no PS3.10 file, is cut short, has an attribute twice, nests more than 64 sequences
    or holds more than 100,000 elements.
    """
    return part10_of(walk_part10(data), inline_limit)


def part10_of(layout: Layout, inline_limit: int) -> Part10:
    """Return a file that was walked, decoded. Raises InvalidPart10 for an attribute that it has twice."""
    decoder = Decoder(layout.data, inline_limit, in_file=not layout.deflated)
    dataset = decoded_meta(layout) | decoder.top(layout)
    if layout.elements and layout.elements[0][0] < "0003":
        dataset = in_tag_order(dataset)
    inside = memoryview(layout.data) if layout.deflated else None
    return Part10(dataset, layout.transfer_syntax_uid, decoder.bulk, tuple(pixel_data(layout.elements, inside)))


def named_in_meta(data: Buffer) -> Dataset:
    """Return the SOP Class and SOP Instance UID that the file meta information says, as the dataset has them.

    For a file that cannot be read: what can be said of it, if it is only that.
    """
    file = memoryview(data).toreadonly()
    if file[PREAMBLE_LENGTH:META_START] != PREFIX:
        return {}
    try:
        meta, _ = Walker(file).meta(META_START)
    except InvalidPart10:
        return {}
    uids = {raw[0]: bytes(file[raw[3] : raw[4]]).decode("latin-1").rstrip("\0 ") for raw in meta}
    return {tag: Element("UI", (uids[named],)) for named, tag in _NAMED_IN_META.items() if uids.get(named)}


def walk_part10(data: Buffer) -> Layout:
    """Return where the elements of a PS3.10 file lie. Raises InvalidPart10."""
    file = data if isinstance(data, bytes) else memoryview(data).toreadonly()
    if bytes(file[PREAMBLE_LENGTH:META_START]) != PREFIX:
        raise InvalidPart10("no DICM prefix: not a PS3.10 file", min(len(file), PREAMBLE_LENGTH))
    meta, meta_end = Walker(file).meta(META_START)
    uid = _transfer_syntax_uid(file, meta)
    deflated = uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
    inner, start = (inflated(file[meta_end:]), 0) if deflated else (file, meta_end)
    elements, encoding = Walker(inner).dataset(start, len(inner), encoding_of(uid))
    if elements and min(raw[0] for raw in elements) < "0003":
        _refuse_groups_of_the_head(elements)
    return Layout(file, meta, meta_end, uid, inner, start, encoding, elements)


def _refuse_groups_of_the_head(elements: list[Raw]) -> None:
    """Raise InvalidPart10 for command elements or a second group 0002 in the dataset (PS3.5 section 7.1)."""
    for raw in elements:
        if raw[0].startswith(("0000", "0002")):
            raise InvalidPart10(f"{raw[0]} has no place in a dataset", raw[2])


def _transfer_syntax_uid(file: bytes | memoryview, meta: list[Raw]) -> str:
    for tag, _, _, value, stop, _, _ in meta:
        if tag == TRANSFER_SYNTAX_UID and stop > value:
            return bytes(file[value:stop]).decode("latin-1").rstrip("\0 ")
    raise InvalidPart10("no Transfer Syntax UID in the file meta information", META_START)


def inflated(compressed: bytes | memoryview) -> memoryview:
    """Return a deflated dataset inflated (PS3.5 A.5). Raises InvalidPart10 if it is cut, damaged or a bomb."""
    limit = min(_INFLATED_NEVER, max(_INFLATED_ALWAYS, _INFLATED_RATIO * len(compressed)))
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    data = bytearray()
    try:
        for piece in _inflated_pieces(stream.decompress, lambda: stream.unconsumed_tail, memoryview(compressed)):
            data += piece
            if len(data) > limit:
                raise InvalidPart10(f"the dataset inflates to more than {limit} bytes")
    except zlib.error as error:
        raise InvalidPart10("the deflated dataset is damaged") from error
    if not stream.eof:
        raise InvalidPart10("the deflated dataset is cut")
    return memoryview(data).toreadonly()


def _inflated_pieces(
    decompress: Callable[[bytes | memoryview, int], bytes], waiting: Callable[[], bytes], compressed: memoryview
) -> Iterator[bytes]:
    """Yield the output in pieces of at most 1 MiB, fed by small ones: zlib copies what it has not consumed."""
    for start in range(0, len(compressed), _DEFLATED_AT_ONCE):
        rest: bytes | memoryview = compressed[start : start + _DEFLATED_AT_ONCE]
        while rest:
            yield decompress(rest, _INFLATED_AT_ONCE)
            rest = waiting()
    while piece := decompress(b"", _INFLATED_AT_ONCE):
        yield piece


def decoded_meta(layout: Layout) -> Dataset:
    """Return group 0002 decoded: explicit VR little endian in every file (PS3.10 section 7.1)."""
    decoder = Decoder(layout.file, len(layout.file), in_file=True)
    return decoder.dataset(layout.meta, Context(EXPLICIT_LITTLE, DEFAULT_CHARACTERS))


def pixel_data(elements: Iterable[Raw], inside: memoryview | None = None) -> Iterator[PixelData]:
    """Yield what of the elements is pixel data. inside: the bytes that they lie in, where those are not the file's."""
    for raw in elements:
        if raw[0] in PIXEL_DATA:
            tag, vr, _, start, stop, end, _ = raw
            value = Span(start, stop - start) if inside is None else inside[start:stop]
            yield PixelData(tag, vr, value, encapsulated=stop < end)


@dataclass(frozen=True, slots=True)
class Context:
    """What elements of one dataset are decoded by, and those of its items unless they say otherwise."""

    encoding: Encoding
    characters: CharacterSet
    pixel_representation: int = 0


class Decoder:
    """Decodes the elements of one buffer. bulk collects where the values lie that became BulkData."""

    def __init__(self, data: bytes | memoryview, inline_limit: int, *, in_file: bool) -> None:
        self.data = data
        self.inline_limit = inline_limit
        self.in_file = in_file
        self._front = bytes(data[:_FRONT])
        self.bulk: dict[str, Span | bytes] = {}

    def dataset(self, elements: list[Raw], context: Context, *, skip: frozenset[Tag] = frozenset()) -> Dataset:
        """Return the elements decoded, group lengths and the tags of `skip` left out. context: of this very dataset."""
        dataset: Dataset = {}
        data, front, previous, ascending, left_out = self.data, self._front, "", True, 0
        decoder_of = element_decoders(context.characters, context.encoding.big_endian).get
        for raw in elements:
            tag, vr, _, start, stop, _, items = raw
            if tag in skip or (tag[4:] == "0000" and tag != FILE_META_GROUP_LENGTH):
                left_out += 1
                continue
            decode = decoder_of(vr)
            if decode is None or stop - start > CACHED_LENGTH or items is not None:
                dataset[tag] = self._element(raw, elements, context)
            else:
                dataset[tag] = decode(front[start:stop] if stop <= _FRONT else bytes(data[start:stop]))
            if tag <= previous:
                ascending = False
            previous = tag
        if len(dataset) + left_out < len(elements):
            self._refuse_contradictions(elements)
        return dataset if ascending else in_tag_order(dataset)

    def _refuse_contradictions(self, elements: list[Raw]) -> None:
        """Raise InvalidPart10 for a tag that comes twice with two values: readers disagree which of them is right."""
        seen: dict[Tag, bytes] = {}
        for tag, _, position, start, stop, _, _ in elements:
            value = bytes(self.data[start:stop])
            if seen.setdefault(tag, value) != value:
                raise InvalidPart10(f"{tag} comes twice, with two values", position)

    def top(self, layout: Layout) -> Dataset:
        """Return the file's dataset without pixel data."""
        context = self.context(layout.elements, layout.encoding, None)
        return self.dataset(layout.elements, context, skip=PIXEL_DATA)

    def context(self, elements: list[Raw], encoding: Encoding, outer: Context | None) -> Context:
        """Return the context of a dataset, given that of the one it is an item of (PS3.5 section 7.5.3)."""
        characters = outer.characters if outer else DEFAULT_CHARACTERS
        representation = outer.pixel_representation if outer else 0
        for raw in elements:
            if raw[0] in CONTEXT:
                tag, vr, _, start, stop, _, _ = raw
                if tag == SPECIFIC_CHARACTER_SET:
                    if vr in STRING_VRS or vr == "UN":  # a damaged file may say another, and then it names none
                        characters = character_set(strings(bytes(self.data[start:stop]).decode("latin-1")))
                elif stop - start == 2:
                    representation = self._unsigned_short(start, encoding)
        return Context(encoding, characters, representation)

    def _element(self, raw: Raw, elements: list[Raw], context: Context) -> Element:
        """Return any element: what is a sequence, binary, long, of an ambiguous VR or UN comes here."""
        tag, vr, _, start, stop, _, items = raw
        if items is not None:
            return Element("SQ", items=tuple([self._item(item, context) for item in items]))
        big_endian = context.encoding.big_endian
        if vr == "UN":
            vr, big_endian = known_vr(tag) or "UN", False
        if vr == "SQ":
            return Element("SQ") if start == stop else self._binary("UN", start, stop, big_endian=False)
        vr = self._chosen(vr, elements, context)
        decode = value_decoders(context.characters, big_endian).get(vr)
        if decode is None:
            return self._binary(vr, start, stop, big_endian=big_endian)
        return decoded(vr, decode, bytes(self.data[start:stop]))

    def _item(self, item: Item, outer: Context) -> Dataset:
        return self.dataset(item.elements, self.context(item.elements, item.encoding, outer))

    def _chosen(self, vr: str, elements: list[Raw], context: Context) -> str:
        """Return the VR of an element of implicit VR whose dictionary line leaves a choice; others as they are.

        "US or SS" goes by Pixel Representation of this dataset or the nearest around it. LUT Data is one number where
        its descriptor says so, and words otherwise (PS3.3 C.11.1.1.1).
        """
        if vr == "US or SS":
            return "SS" if context.pixel_representation == 1 else "US"
        if vr == "US or OW":
            return "US" if self._lut_entries(elements, context.encoding) == 1 else "OW"
        return vr

    def _lut_entries(self, elements: list[Raw], encoding: Encoding) -> int | None:
        for tag, _, _, start, stop, _, _ in elements:
            if tag == _LUT_DESCRIPTOR and stop - start >= 2:
                return self._unsigned_short(start, encoding)
        return None

    def _unsigned_short(self, start: int, encoding: Encoding) -> int:
        return int.from_bytes(self.data[start : start + 2], "big" if encoding.big_endian else "little")

    def _binary(self, vr: str, start: int, stop: int, *, big_endian: bool) -> Element:
        """Return a binary element in little endian; a long value goes to `bulk`."""
        value = self.data[start:stop]
        swap = big_endian and vr in WORD_SIZES
        if swap:
            value = swapped(value, WORD_SIZES[vr])
        if stop - start <= self.inline_limit:
            return Element(vr, binary=bytes(value))
        uri = bulk_uri(value)
        self.bulk[uri] = Span(start, stop - start) if self.in_file and not swap else bytes(value)
        return Element(vr, binary=BulkData(uri, stop - start))


def bulk_uri(value: Buffer) -> str:
    """Return the uri of a binary value: half of the SHA-256 of its bytes, little endian."""
    digest, view = sha256(), memoryview(value)
    for start in range(0, len(view), _HASHED_AT_ONCE):
        digest.update(view[start : start + _HASHED_AT_ONCE])
        if start:
            let_go(view)
    return digest.hexdigest()[:32]
