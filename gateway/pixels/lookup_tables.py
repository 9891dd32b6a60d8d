"""Lookup tables of a dataset: a descriptor of three numbers, and as many entries (PS3.3 C.11.1.1.1, C.7.6.3.1.5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.dicom.dataset import Dataset, Tag
from gateway.errors import InvalidPart10
from gateway.pixels.description import Array
from gateway.pixels.frames import Frames

_MAX_ENTRIES = 65536


@dataclass(frozen=True, slots=True)
class LookupTable:
    """entries: the first belongs to the value `first`; what is below has the first one's, what is above the last's.

    bits: of an entry.
    """

    entries: Array
    first: int
    bits: int

    def of(self, values: Array) -> Array:
        """Return the entries of values, which may be fractions."""
        index = np.clip(np.floor(np.nan_to_num(values.astype("f8"))) - self.first, 0, len(self.entries) - 1)
        entries: Array = np.take(self.entries, index.astype("i8"))
        return entries


def lookup_table(frames: Frames, dataset: Dataset, descriptor: Tag, data: Tag, segmented: Tag = "") -> LookupTable:
    """Return the table that two attributes of a dataset describe.

    segmented: where its entries may be instead of `data`. Raises InvalidPart10 for a table that is missing or damaged.
    """
    number, first, bits = _descriptor(dataset, descriptor)
    if frames.description.signed and first > 0x7FFF:
        first -= 0x10000
    value = frames.binary(data, dataset)
    if len(value) == 0 and segmented in dataset:
        return LookupTable(_expanded(_words(frames.binary(segmented, dataset), bits), number), first, bits)
    entries = _entries(value, number, bits)
    if len(entries) < number:
        raise InvalidPart10("a lookup table has fewer entries than its descriptor says")
    return LookupTable(entries[:number], first, bits)


def _descriptor(dataset: Dataset, tag: Tag) -> tuple[int, int, int]:
    element = dataset.get(tag)
    if element is None or len(element.values) != 3:
        raise InvalidPart10("a lookup table has no descriptor")
    number, first, bits = (int(value) for value in element.values)
    if not 1 <= bits <= 16:
        raise InvalidPart10("a lookup table has entries of neither 8 nor 16 bits")
    return (number & 0xFFFF) or _MAX_ENTRIES, first, bits


def _entries(value: memoryview, number: int, bits: int) -> Array:
    """Return the entries. Those of 8 bits lie two to a word, or, in older files, one."""
    if bits <= 8 and len(value) < 2 * number:
        return np.frombuffer(value, "u1").astype("<u2")
    return np.frombuffer(value, "<u2", len(value) // 2)


def _words(value: memoryview, bits: int) -> list[int]:
    dtype = "u1" if bits <= 8 else "<u2"
    words: list[int] = np.frombuffer(value, dtype, len(value) // np.dtype(dtype).itemsize).tolist()
    return words


# PS3.3 C.7.9.2: the opcodes of segments.
_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2


def _expanded(words: list[int], number: int) -> Array:
    """Return the entries of a segmented table. Raises InvalidPart10 for one that is damaged or longer than it says."""
    entries: list[int] = []
    starts: list[int] = []
    position = 0
    try:
        while position + 1 < len(words) and len(entries) < number:
            starts.append(position)
            opcode, length = words[position : position + 2]
            if opcode == _INDIRECT:
                offset = words[position + 2] | words[position + 3] << 16
                for start in starts[starts.index(offset) :][:length]:
                    _append_segment(entries, words, start)
                position += 4
            else:
                position = _append_segment(entries, words, position)
    except (IndexError, ValueError) as error:
        raise InvalidPart10("a segmented lookup table is damaged") from error
    if len(entries) != number:
        raise InvalidPart10("a segmented lookup table has other entries than its descriptor says")
    return np.array(entries, "<u2")


def _append_segment(entries: list[int], words: list[int], start: int) -> int:
    """Append the entries of one discrete or linear segment; return where the next one starts."""
    opcode, length = words[start : start + 2]
    if opcode == _DISCRETE and length and start + 2 + length <= len(words):
        entries += words[start + 2 : start + 2 + length]
        return start + 2 + length
    if opcode != _LINEAR or not length or not entries:
        raise ValueError("not a segment that can stand here")
    before, after = entries[-1], words[start + 2]
    entries += [round(before + (after - before) * step / length) for step in range(1, length + 1)]
    return start + 3
