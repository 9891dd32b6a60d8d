"""A PS3.10 file with some elements replaced, read no further than the last of them.

Whoever knows what differs between a file and what it is to say need not decode the file to find out, and a study of a
thousand files in which one name changes has that name encoded once. What is written is what `rewrite` writes; where
only `rewrite` can tell what that is, there is no splice (tests/dicom/test_part10_splice.py).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from gateway.dicom.characters import DoesNotFit, character_set
from gateway.dicom.dataset import Dataset, Element, Tag
from gateway.dicom.encoding import Buffer, Encoding
from gateway.dicom.part10_pattern import Pattern
from gateway.dicom.part10_read import PREAMBLE_LENGTH, SPECIFIC_CHARACTER_SET
from gateway.dicom.part10_rewrite import same
from gateway.dicom.part10_top import Top, walk_top
from gateway.dicom.part10_values import strings
from gateway.dicom.part10_write import Target, encoded_element, no_bulk
from gateway.errors import InvalidPart10

_CHARACTER_SET = int(SPECIFIC_CHARACTER_SET, 16)

_NO_PREAMBLE = bytes(PREAMBLE_LENGTH)

# How many patterns are remembered. The files of a series differ in the length of a UID or a number, if in anything.
_PATTERNS = 8

# What is written in a file's place from one byte to another.
_Cut = tuple[int, int, bytes]


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
        self._patterns: list[tuple[Pattern, list[_Cut]]] = []

    @property
    def possible(self) -> bool:
        """Whether there is anything to write, and none of it a sequence, whose items `rewrite` merges one by one."""
        return bool(self._changes) and not any(
            change.after and (change.after.vr == "SQ" or change.after.binary) for change in self._changes
        )

    def pieces(self, file: memoryview) -> list[Buffer] | None:
        """Return a file as pieces to send one after another, views of it but for what changes; None for no splice."""
        for pattern, cuts in self._patterns:
            if pattern.fits(file):
                return _written(file, cuts)
        top = walk_top(file, self._last)
        encoded = self._elements_in(top.encoding, top.elements.value(file, _CHARACTER_SET)) if top else None
        found = self._cuts(top, encoded) if top and encoded is not None else None
        if top is None or found is None:
            return None
        pattern = Pattern(file, top, {_CHARACTER_SET})
        if pattern.possible:
            self._patterns = [(pattern, found), *self._patterns[: _PATTERNS - 1]]
        return _written(file, found)

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

    def _cuts(self, top: Top, encoded: list[bytes]) -> list[_Cut] | None:
        """Return what is to be written in which bytes' place, ascending; None where the file has not what it should."""
        found = top.elements
        made: list[_Cut] = []
        # The length of a group that changes is no longer right.
        cuts = [(group, False, b"") for group in self._groups if found.place(group) is not None]
        cuts += [(one.number, one.before, new) for one, new in zip(self._changes, encoded, strict=True)]
        for number, before, new in sorted(cuts):
            at = bisect_left(found.numbers, number)
            there = at < len(found.numbers) and found.numbers[at] == number
            if there != before and number not in self._groups:
                return None
            start = found.starts[at] if at < len(found.numbers) else top.end
            made.append((start, found.ends[at] if there else start, new))
        return made


def _written(file: memoryview, cuts: list[_Cut]) -> list[Buffer]:
    pieces: list[Buffer] = [_NO_PREAMBLE]
    kept = PREAMBLE_LENGTH
    for start, end, new in cuts:
        pieces += [file[kept:start], new] if start > kept else [new]
        kept = end
    pieces.append(file[kept:])
    return pieces
