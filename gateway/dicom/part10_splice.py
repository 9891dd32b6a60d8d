"""A PS3.10 file with some elements replaced, read no further than the last of them.

Whoever knows what differs between a file and what it is to say need not decode the file to find out, and a study of a
thousand files in which one name changes has that name encoded once. What is written is what `rewrite` writes; where
only `rewrite` can tell what that is, there is no splice (tests/dicom/test_part10_splice.py).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TypeAlias

from gateway.dicom.characters import DoesNotFit, character_set
from gateway.dicom.dataset import Dataset, Element, Tag
from gateway.dicom.encoding import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_LITTLE,
    LONG_LETTERS,
    SHORT_LETTERS,
    UNDEFINED_LENGTH,
    Buffer,
    Encoding,
    encoding_of,
)
from gateway.dicom.part10_read import META_START, PREAMBLE_LENGTH, PREFIX, SPECIFIC_CHARACTER_SET, TRANSFER_SYNTAX_UID
from gateway.dicom.part10_rewrite import same
from gateway.dicom.part10_values import strings
from gateway.dicom.part10_walk import MAX_DEPTH
from gateway.dicom.part10_write import Target, encoded_element, no_bulk
from gateway.errors import InvalidPart10

# Elements found in a file: their numbers, ascending, where each starts and where it ends.
_Found: TypeAlias = "tuple[list[int], list[int], list[int]]"

_CHARACTER_SET = int(SPECIFIC_CHARACTER_SET, 16)
_TRANSFER_SYNTAX = int(TRANSFER_SYNTAX_UID, 16)
_END_OF_META = 0x0002FFFF

# As the headers of little endian have them.
_ITEM, _ITEM_DELIMITER, _SEQUENCE_DELIMITER = 0xE000FFFE, 0xE00DFFFE, 0xE0DDFFFE


@dataclass(frozen=True, slots=True)
class _Change:
    """One element. before: whether the file has it. after: what is to be there, None for nothing."""

    number: int
    tag: Tag
    before: bool
    after: Element | None


class Splice:
    """Writes files whose datasets differ from what is asked for in the elements in which two datasets differ."""

    def __init__(self, before: Dataset, after: Dataset) -> None:
        """before: what the files say of some attributes. after: what is to be said of the same ones.

        Those are attributes of a dataset's top, not of group 0002 and not Specific Character Set.
        """
        self._changes = [
            _Change(int(tag, 16), tag, tag in before, after.get(tag))
            for tag in sorted(before.keys() | after.keys())
            if not (tag in before and tag in after and same(before[tag], after[tag]))
        ]
        self._groups = {change.number & 0xFFFF0000 for change in self._changes}
        self._last = max([_CHARACTER_SET, *(change.number for change in self._changes)])
        self._encoded: dict[tuple[Encoding, bytes], list[bytes] | None] = {}

    @property
    def possible(self) -> bool:
        """Whether there is anything to write, and none of it a sequence, whose items `rewrite` merges one by one."""
        return bool(self._changes) and not any(
            change.after and (change.after.vr == "SQ" or change.after.binary) for change in self._changes
        )

    def pieces(self, file: memoryview) -> list[Buffer] | None:
        """Return a file as pieces to send one after another, views of it but for what changes; None for no splice."""
        if bytes(file[PREAMBLE_LENGTH:META_START]) != PREFIX:
            return None
        meta = _elements(file, META_START, EXPLICIT_LITTLE, _END_OF_META)
        if meta is None or _TRANSFER_SYNTAX not in meta[0]:
            return None
        uid = _value(file, meta, _TRANSFER_SYNTAX, EXPLICIT_LITTLE).decode("latin-1").rstrip("\0 ")
        encoding = encoding_of(uid)
        if encoding.big_endian or uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
            return None
        found = _elements(file, meta[2][-1], encoding, self._last)
        if found is None or not _as_said(file, meta[2][-1], encoding):
            return None
        encoded = self._elements_in(encoding, _value(file, found, _CHARACTER_SET, encoding))
        return None if encoded is None else self._joined(file, meta[2][-1], found, encoded)

    def _elements_in(self, encoding: Encoding, terms: bytes) -> list[bytes] | None:
        """Return the new elements in an encoding and a character set, b"" for one that goes; None if one does not fit.

        Files of one study agree in both, so this is done once for all of them.
        """
        key = encoding, terms
        if key not in self._encoded:
            target = Target(encoding, character_set(strings(terms.decode("latin-1"))), no_bulk)
            try:
                self._encoded[key] = [
                    b"".join(encoded_element(change.tag, change.after, target)) if change.after else b""
                    for change in self._changes
                ]
            except (DoesNotFit, InvalidPart10):
                self._encoded[key] = None
        return self._encoded[key]

    def _joined(self, file: memoryview, start: int, found: _Found, encoded: list[bytes]) -> list[Buffer] | None:
        numbers, starts, ends = found
        end = ends[-1] if ends else start
        pieces: list[Buffer] = [bytes(PREAMBLE_LENGTH)]
        kept = PREAMBLE_LENGTH
        cuts = [(group, False, b"") for group in self._groups if group in numbers]  # lengths that are no longer right
        cuts += [(one.number, one.before, new) for one, new in zip(self._changes, encoded, strict=True)]
        for number, before, new in sorted(cuts):
            at = bisect_left(numbers, number)
            there = at < len(numbers) and numbers[at] == number
            if there != before and number not in self._groups:
                return None
            cut = starts[at] if at < len(numbers) else end
            pieces += [file[kept:cut], new] if cut > kept else [new]
            kept = ends[at] if there else cut
        return [*pieces, file[kept:]]


def _elements(file: memoryview, position: int, encoding: Encoding, last: int) -> _Found | None:
    """Return the elements from a position to the last one wanted; None where they are not plain and ascending."""
    numbers: list[int] = []
    starts: list[int] = []
    ends: list[int] = []
    explicit, implicit = encoding.explicit_header.unpack_from, encoding.implicit_header.unpack_from
    long_length, room, previous = encoding.long_length.unpack_from, len(file) - 12, -1
    while position <= room:
        little, letters, length = explicit(file, position)
        number = (little & 0xFFFF) << 16 | little >> 16
        if number > last:
            return numbers, starts, ends
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
        ends.append(end)
        previous, position = number, end
    return (numbers, starts, ends) if position == len(file) else None


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


def _value(file: memoryview, found: _Found, number: int, encoding: Encoding) -> bytes:
    """Return the value of a short element; b"" where there is none."""
    numbers, starts, ends = found
    at = bisect_left(numbers, number)
    return bytes(file[starts[at] + 8 : ends[at]]) if at < len(numbers) and numbers[at] == number else b""
