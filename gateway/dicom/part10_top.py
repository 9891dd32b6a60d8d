"""The top level of a PS3.10 file, walked as far as somebody wants: what lies in sequences is stepped over.

For those who know that a file was read once, with all its checks, and want a few of its elements. Little endian only,
and where anything is odd there is no answer: the reader is asked then.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from gateway.dicom.encoding import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_LITTLE,
    LONG_LETTERS,
    SHORT_LETTERS,
    UNDEFINED_LENGTH,
    Encoding,
    encoding_of,
)
from gateway.dicom.part10_read import META_START, PREAMBLE_LENGTH, PREFIX, TRANSFER_SYNTAX_UID
from gateway.dicom.part10_walk import MAX_DEPTH

TRANSFER_SYNTAX = int(TRANSFER_SYNTAX_UID, 16)
_END_OF_META = 0x0002FFFF
_PADDING = 0xFFFCFFFC

# As the headers of little endian have them.
_ITEM, _ITEM_DELIMITER, _SEQUENCE_DELIMITER = 0xE000FFFE, 0xE00DFFFE, 0xE0DDFFFE


@dataclass(frozen=True, slots=True)
class Elements:
    """Elements found: their tags as numbers, ascending, where each starts, where its value does and where it ends."""

    numbers: list[int]
    starts: list[int]
    values: list[int]
    ends: list[int]

    def place(self, number: int) -> int | None:
        """Return the place of an element in the lists, None where there is none."""
        at = bisect_left(self.numbers, number)
        return at if at < len(self.numbers) and self.numbers[at] == number else None

    def value(self, file: memoryview, number: int) -> bytes:
        """Return an element's value, b"" where there is none."""
        at = self.place(number)
        return b"" if at is None else bytes(file[self.values[at] : self.ends[at]])


@dataclass(frozen=True, slots=True)
class Top:
    """The elements of a file's dataset up to some tag, and those of group 0002. start, end: of the dataset's."""

    transfer_syntax_uid: str
    encoding: Encoding
    start: int
    end: int
    elements: Elements
    meta: Elements


def walk_top(file: memoryview, last: int) -> Top | None:
    """Return the elements of a file's dataset up to a tag, given as a number; None where something is odd."""
    if bytes(file[PREAMBLE_LENGTH:META_START]) != PREFIX:
        return None
    meta = _elements(file, META_START, EXPLICIT_LITTLE, _END_OF_META)
    if meta is None or meta.place(TRANSFER_SYNTAX) is None:
        return None
    uid = meta.value(file, TRANSFER_SYNTAX).decode("latin-1").rstrip("\0 ")
    encoding, start = encoding_of(uid), meta.ends[-1]
    if encoding.big_endian or uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN or not _as_said(file, start, encoding):
        return None
    found = _elements(file, start, encoding, last)
    return None if found is None else Top(uid, encoding, start, found.ends[-1] if found.ends else start, found, meta)


def is_padding(file: memoryview, position: int, encoding: Encoding) -> bool:
    """Whether nothing but Data Set Trailing Padding follows, if anything (PS3.10 section 7.2)."""
    found = _elements(file, position, encoding, _PADDING)
    return (
        found is not None
        and (found.ends[-1] if found.ends else position) == len(file)
        and found.numbers
        in (
            [],
            [_PADDING],
        )
    )


def _elements(file: memoryview, position: int, encoding: Encoding, last: int) -> Elements | None:
    """Return the elements from a position to the last one wanted; None where they are not plain and ascending."""
    numbers: list[int] = []
    starts: list[int] = []
    values: list[int] = []
    ends: list[int] = []
    explicit, implicit = encoding.explicit_header.unpack_from, encoding.implicit_header.unpack_from
    long_length, room, previous = encoding.long_length.unpack_from, len(file) - 12, -1
    while position <= room:
        little, letters, length = explicit(file, position)
        number = (little & 0xFFFF) << 16 | little >> 16
        if number > last:
            return Elements(numbers, starts, values, ends)
        value = position + 8
        if encoding.implicit:
            length = implicit(file, position)[1]
        elif letters in LONG_LETTERS:
            length = long_length(file, value)[0]
            value += 4
        elif letters not in SHORT_LETTERS:
            return None
        end = value + length
        if length == UNDEFINED_LENGTH:
            end = _after_items(file, value, encoding, letters, 1)
        if number <= previous or end > len(file):
            return None
        numbers.append(number)
        starts.append(position)
        values.append(value)
        ends.append(end)
        previous, position = number, end
    return Elements(numbers, starts, values, ends) if position == len(file) else None


_NOWHERE = 2**63  # beyond the end of every file


def _after_items(file: memoryview, position: int, encoding: Encoding, letters: bytes, depth: int) -> int:
    """Return where a sequence of undefined length ends, its delimiter included; `_NOWHERE` for what is odd in it."""
    unpack = encoding.implicit_header.unpack_from
    if depth > MAX_DEPTH or not (encoding.implicit or letters == b"SQ"):
        return _NOWHERE
    while position + 8 <= len(file):
        number, length = unpack(file, position)
        position += 8
        if number == _SEQUENCE_DELIMITER:
            return position
        if number != _ITEM:
            return _NOWHERE
        position = position + length if length != UNDEFINED_LENGTH else _after_item(file, position, encoding, depth)
    return _NOWHERE


def _after_item(file: memoryview, position: int, encoding: Encoding, depth: int) -> int:
    """Return where an item of undefined length ends."""
    explicit, implicit = encoding.explicit_header.unpack_from, encoding.implicit_header.unpack_from
    while position + 12 <= len(file):
        number, letters, length = explicit(file, position)
        position += 8
        if number == _ITEM_DELIMITER:
            return position
        if encoding.implicit:
            length = implicit(file, position - 8)[1]
        elif letters in LONG_LETTERS:
            length = encoding.long_length.unpack_from(file, position)[0]
            position += 4
        elif letters not in SHORT_LETTERS:
            return _NOWHERE
        if length != UNDEFINED_LENGTH:
            position += length
        else:
            position = _after_items(file, position, encoding, letters, depth + 1)
    return _NOWHERE


def _as_said(file: memoryview, position: int, encoding: Encoding) -> bool:
    """Whether a dataset's first element has a VR, or none, as the transfer syntax says. Files exist that differ."""
    letters = bytes(file[position + 4 : position + 6])
    return encoding.implicit != (letters in SHORT_LETTERS or letters in LONG_LETTERS)
