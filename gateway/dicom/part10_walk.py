"""Where the data elements of a PS3.10 file lie: tags, VRs, offsets, and the items of sequences; no value is read.

PS3.5 chapter 7. Every length is held against the bytes there are, so that a file cut anywhere but between two data
elements is refused, and nothing is ever read short.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from gateway.dicom.dataset import Tag
from gateway.dicom.dictionary import is_private_creator
from gateway.dicom.encoding import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_BIG,
    IMPLICIT_LITTLE,
    ITEM,
    ITEM_DELIMITER,
    LONG_LETTERS,
    LONG_VRS,
    SEQUENCE_DELIMITER,
    SHORT_LETTERS,
    UNDEFINED_LENGTH,
    Encoding,
    implicit_vr,
    known_vr,
)
from gateway.errors import InvalidPart10

# One data element: tag, VR, offsets of its header, of its value, of the value's end and of the next element, and the
# items if it is a sequence. The VR is the file's; in implicit VR the dictionary's, which may be "US or SS". A plain
# tuple, because there are a hundred in each of a thousand instances.
Raw: TypeAlias = "tuple[Tag, str, int, int, int, int, tuple[Item, ...] | None]"


class Item(NamedTuple):
    """One item of a sequence: offsets of its header and of what follows it, its elements and how they are encoded."""

    start: int
    end: int
    elements: list[Raw]
    encoding: Encoding


MAX_DEPTH = 64
MAX_ELEMENTS = 100_000

_NESTED_VRS = frozenset({"SQ", "UN"})
_DELIMITERS = frozenset({ITEM, ITEM_DELIMITER, SEQUENCE_DELIMITER})


class Walker:
    """Walks one buffer. The limit on the number of elements is for all of it, however they are nested."""

    def __init__(self, data: bytes | memoryview, room: int = MAX_ELEMENTS) -> None:
        self.data = data
        self._room = room

    def meta(self, position: int) -> tuple[list[Raw], int]:
        """Return the elements of group 0002 and where they end, whatever its group length says."""
        raws: list[Raw] = []
        while bytes(self.data[position : position + 2]) == b"\x02\x00":
            raws.append(self._element(position, len(self.data), EXPLICIT_LITTLE, 0))
            position = raws[-1][5]
        return raws, position

    def dataset(self, position: int, end: int, encoding: Encoding) -> tuple[list[Raw], Encoding]:
        """Return the elements from a position to the end, and the encoding they really have.

        Files exist whose transfer syntax is wrong about implicit and explicit; two letters after the tag tell.
        """
        if position == end:
            return [], encoding
        encoding = self._encoding_at(position, end, encoding)
        return self._elements(position, end, encoding, 0, delimited=False)[0], encoding

    def element(self, position: int, end: int, encoding: Encoding) -> Raw:
        """Return the explicit VR element at a position."""
        return self._element(position, end, encoding, 0)

    def _elements(
        self, position: int, end: int, encoding: Encoding, depth: int, *, delimited: bool
    ) -> tuple[list[Raw], int]:
        """Return the elements from a position to `end`, or to an item's delimiter and past it."""
        raws: list[Raw] = []
        read = self._implicit if encoding.implicit else self._explicit
        position, at_delimiter = read(raws, position, end, encoding, depth)
        self._room -= len(raws)
        if self._room < 0:
            raise InvalidPart10(f"more than {MAX_ELEMENTS} data elements", position)
        if at_delimiter and delimited:
            return raws, position + 8
        if at_delimiter:
            raise _misplaced(position)
        if position < end:
            raise _cut(position)
        if delimited:
            raise InvalidPart10("an item has no end", position)
        return raws, position

    def _explicit(self, raws: list[Raw], position: int, end: int, encoding: Encoding, depth: int) -> tuple[int, bool]:
        """Append explicit VR elements; return where they end, and whether a delimiter stands there."""
        data, unpack, tags, room = self.data, encoding.explicit_header.unpack_from, encoding.tags, self._room
        append, short, last = raws.append, SHORT_LETTERS, end - 8
        for _ in range(room + 1):
            if position > last:
                break
            number, letters, length = unpack(data, position)
            vr = short.get(letters)
            if vr is None:
                if tags[number] == ITEM_DELIMITER:
                    return position, True
                raw = self._element(position, end, encoding, depth)
                append(raw)
                position = raw[5]
                continue
            # What _element does, again: nine of ten elements come by here, and a call would double their cost.
            value = position + 8
            stop = value + length
            if stop > end:
                raise _too_long(tags[number], position)
            append((tags[number], vr, position, value, stop, stop, None))
            position = stop
        return position, False

    def _element(self, position: int, end: int, encoding: Encoding, depth: int) -> Raw:
        """Return the explicit VR element at a position."""
        if end - position < 8:
            raise _cut(position)
        number, letters, length = encoding.explicit_header.unpack_from(self.data, position)
        tag, value = encoding.tags[number], position + 8
        vr = SHORT_LETTERS.get(letters) or LONG_LETTERS.get(letters)
        if vr is None:
            vr, length = self._odd_header(tag, letters, position, encoding)
        elif vr in LONG_VRS:
            if end - value < 4:
                raise _cut(position)
            (length,) = encoding.long_length.unpack_from(self.data, value)
            value += 4
        return self._valued(tag, vr, position, value, length, end, encoding, depth)

    def _odd_header(self, tag: Tag, letters: bytes, position: int, encoding: Encoding) -> tuple[str, int]:
        """Return VR and length of an explicit element whose VR is none of PS3.5's.

        Two capitals are a VR of somebody's own: PS3.5 section 6.2.2 reads it as UN. Anything else is a writer that
        fell back to implicit VR.
        """
        if tag in _DELIMITERS:
            raise _misplaced(position)
        if letters.isalpha() and letters.isupper():
            return "UN", int(encoding.explicit_header.unpack_from(self.data, position)[2])
        return implicit_vr(tag, None), int(encoding.long_length.unpack_from(self.data, position + 4)[0])

    def _implicit(self, raws: list[Raw], position: int, end: int, encoding: Encoding, depth: int) -> tuple[int, bool]:
        """Append implicit VR elements; return where they end, and whether a delimiter stands there."""
        unpack, creators = encoding.implicit_header.unpack_from, dict[str, str]()
        while position <= end - 8 and len(raws) <= self._room:
            number, length = unpack(self.data, position)
            tag, value = encoding.tags[number], position + 8
            if tag == ITEM_DELIMITER:
                return position, True
            if tag in _DELIMITERS:
                raise _misplaced(position)
            vr = implicit_vr(tag, creators.get(tag[:6]))
            raws.append(self._valued(tag, vr, position, value, length, end, encoding, depth))
            if is_private_creator(tag):
                creators[tag[:4] + tag[6:]] = bytes(self.data[value : value + length]).decode("latin-1").rstrip(" \0")
            position = raws[-1][5]
        return position, False

    def _valued(
        self, tag: Tag, vr: str, position: int, value: int, length: int, end: int, encoding: Encoding, depth: int
    ) -> Raw:
        """Return the element whose header is read."""
        if length == UNDEFINED_LENGTH:
            return self._delimited(tag, vr, position, value, end, encoding, depth)
        stop = value + length
        if stop > end:
            raise _too_long(tag, position)
        items = None
        if vr == "SQ":
            items, _ = self._items(tag, value, stop, encoding, depth + 1, delimited=False)
        elif vr == "UN":
            items = self._items_of_unknown(tag, value, stop, encoding, depth)
        return tag, vr, position, value, stop, stop, items

    def _delimited(self, tag: Tag, vr: str, position: int, value: int, end: int, encoding: Encoding, depth: int) -> Raw:
        """Return the element of undefined length whose header is read: a sequence, or encapsulated fragments."""
        if vr not in _NESTED_VRS:
            stop, end = self._fragments(tag, value, end, encoding)
            return tag, vr, position, value, stop, end, None
        inner = self._encoding_of_unknown(value, encoding) if vr == "UN" else encoding
        items, end = self._items(tag, value, end, inner, depth + 1, delimited=True)
        return tag, vr, position, value, end - 8, end, items

    def _items_of_unknown(
        self, tag: Tag, value: int, stop: int, encoding: Encoding, depth: int
    ) -> tuple[Item, ...] | None:
        """Return the items of a standard sequence that the file calls UN; None for any other, or if they are none."""
        if encoding.implicit or value == stop or known_vr(tag) != "SQ":
            return None
        try:
            inner = self._encoding_of_unknown(value, encoding)
            return self._items(tag, value, stop, inner, depth + 1, delimited=False)[0]
        except InvalidPart10:
            return None

    def _encoding_of_unknown(self, value: int, encoding: Encoding) -> Encoding:
        """Return the encoding of items in UN: little endian whatever the file's (PS3.5 section 6.2.2, CP-246).

        Implicit VR, says the standard; writers from before CP-246 used the file's own, and each item tells.
        """
        return EXPLICIT_LITTLE if encoding == EXPLICIT_BIG and self._little_item_at(value) else encoding

    def _tag_at(self, position: int, encoding: Encoding) -> Tag:
        return encoding.tags[encoding.long_length.unpack_from(self.data, position)[0]]

    def _little_item_at(self, value: int) -> bool:
        return bytes(self.data[value : value + 4]) == b"\xfe\xff\x00\xe0"

    def _items(
        self, tag: Tag, position: int, end: int, encoding: Encoding, depth: int, *, delimited: bool
    ) -> tuple[tuple[Item, ...], int]:
        """Return a sequence's items and where the sequence ends, its delimiter included (PS3.5 section 7.5)."""
        if depth > MAX_DEPTH:
            raise InvalidPart10(f"sequences are nested more than {MAX_DEPTH} deep", position)
        items: list[Item] = []
        unpack = encoding.implicit_header.unpack_from
        while end - position >= 8:
            number, length = unpack(self.data, position)
            marker = encoding.tags[number]
            if delimited and marker == SEQUENCE_DELIMITER:
                return tuple(items), position + 8
            if marker != ITEM:
                raise InvalidPart10(f"{tag} has something else than items", position)
            items.append(self._item(tag, position, length, end, encoding, depth))
            position = items[-1].end
            self._room -= 1
        if delimited or position < end:
            raise InvalidPart10(f"{tag} has no end", position)
        return tuple(items), position

    def _item(self, tag: Tag, start: int, length: int, end: int, encoding: Encoding, depth: int) -> Item:
        """Return the item that starts at an offset."""
        value, delimited = start + 8, length == UNDEFINED_LENGTH
        stop = end if delimited else value + length
        if stop > end:
            raise _too_long(tag, start)
        inner = encoding if encoding.implicit else self._encoding_at(value, stop, encoding)
        elements, stop = self._elements(value, stop, inner, depth, delimited=delimited)
        return Item(start, stop, elements, inner)

    def _encoding_at(self, position: int, end: int, encoding: Encoding) -> Encoding:
        """Return the encoding of the elements at a position: the one expected, or what the bytes show instead.

        An implicit VR length that reads as two letters would be 16 KiB or more.
        """
        if end - position < 8 or self._tag_at(position, encoding) in _DELIMITERS:
            return encoding
        letters = bytes(self.data[position + 4 : position + 6])
        explicit = letters in SHORT_LETTERS or letters in LONG_LETTERS
        if encoding.big_endian:
            return EXPLICIT_BIG if explicit else IMPLICIT_BIG
        return EXPLICIT_LITTLE if explicit else IMPLICIT_LITTLE

    def _fragments(self, tag: Tag, position: int, end: int, encoding: Encoding) -> tuple[int, int]:
        """Return where encapsulated fragments end, without and with their delimiter (PS3.5 A.4)."""
        unpack = encoding.implicit_header.unpack_from
        while end - position >= 8:
            number, length = unpack(self.data, position)
            marker = encoding.tags[number]
            if marker == SEQUENCE_DELIMITER:
                return position, position + 8
            if marker != ITEM or length == UNDEFINED_LENGTH:
                raise InvalidPart10(f"{tag} has something else than fragments", position)
            if position + 8 + length > end:
                raise _too_long(tag, position)
            position += 8 + length
        raise InvalidPart10(f"{tag} has no end", position)


def _cut(position: int) -> InvalidPart10:
    return InvalidPart10("a data element is cut in its header", position)


def _misplaced(position: int) -> InvalidPart10:
    return InvalidPart10("a delimiter where a data element should be", position)


def _too_long(tag: Tag, position: int) -> InvalidPart10:
    return InvalidPart10(f"{tag} is longer than what is left of the file or of its item", position)
