"""The frames of an instance, as they are stored (PS3.5 section 8, annex A.4).

Native frames lie one after the other. Encapsulated ones are fragments, and which belong together is said by an offset
table, by the rule that every frame has at least one, or by what a codestream begins with.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from functools import cached_property
from struct import Struct

import numpy as np

from gateway.dicom.dataset import BulkData, Dataset, Tag
from gateway.dicom.encoding import swapped
from gateway.dicom.part10 import EXPLICIT_VR_BIG_ENDIAN, Buffer, Part10, PixelData, Span, read_part10
from gateway.errors import InvalidPart10, NotFound
from gateway.pixels.description import Array, PixelDescription, pixel_description
from gateway.pixels.transfer_syntaxes import GE_PRIVATE_BIG_ENDIAN_PIXELS, TransferSyntax, transfer_syntax

_EXTENDED_OFFSET_TABLE = "7FE00001"
_EXTENDED_OFFSET_TABLE_LENGTHS = "7FE00002"

_ITEM_HEADER = Struct("<LL")
_ITEM_NUMBER = 0xE000FFFE

# What a frame begins with: JPEG and JPEG-LS with SOI, JPEG 2000 and HTJ2K with SOC and SIZ. None of them can stand
# inside the coded data of another.
_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51")

_BIG_ENDIAN_PIXELS = frozenset({EXPLICIT_VR_BIG_ENDIAN, GE_PRIVATE_BIG_ENDIAN_PIXELS})


def read_frames(data: Buffer) -> Frames:
    """Return the frames of a PS3.10 file. Raises InvalidPart10, TooLarge, and NotFound if it has no pixel data."""
    return Frames(data, read_part10(data))


class Frames:
    """The frames of one instance. Frame numbers start at 1.

    dataset: as read_part10 gives it. A frame handed out is a view of the file wherever its bytes lie there in one
    piece.
    """

    def __init__(self, data: Buffer, part10: Part10) -> None:
        if not part10.pixel_data:
            raise NotFound("Pixel Data", "of this instance")
        self.dataset: Dataset = part10.dataset
        self.transfer_syntax: TransferSyntax = transfer_syntax(part10.transfer_syntax_uid)
        self._data = memoryview(data)
        self._bulk = part10.bulk
        self._pixel_data: PixelData = part10.pixel_data[-1]
        self.description: PixelDescription = pixel_description(self.dataset, self._pixel_data.tag)

    def described_by(self, dataset: Dataset, bulk: dict[str, Span | bytes]) -> Frames:
        """Return the same frames under other attributes. bulk: what those have of binary values beyond the file's.

        What was found out of the value, where its fragments lie, is not found out again. Raises as `read_frames` does.
        """
        part10 = Part10(dataset, self.transfer_syntax.uid, self._bulk | bulk, (self._pixel_data,))
        frames = Frames(self._data, part10)
        if self.encapsulated:
            frames.__dict__["_items"] = self._items
        return frames

    @property
    def bulk(self) -> Mapping[str, Span | bytes]:
        """The binary values at hand, by their uris."""
        return self._bulk

    @property
    def tag(self) -> Tag:
        """Which of the three kinds of pixel data these are."""
        return self._pixel_data.tag

    @property
    def encapsulated(self) -> bool:
        return self._pixel_data.encapsulated

    @property
    def big_endian(self) -> bool:
        """Whether native frames have their most significant byte first."""
        return self.transfer_syntax.uid in _BIG_ENDIAN_PIXELS

    @cached_property
    def value(self) -> memoryview:
        """The bytes of the pixel data, encapsulated ones with the headers of their items."""
        value = self._pixel_data.value
        return self._data[value.offset : value.offset + value.length] if isinstance(value, Span) else value

    @property
    def count(self) -> int:
        """How many frames there are. Video is one stream, and so one frame, whatever Number of Frames says."""
        return 1 if self.transfer_syntax.is_video else self.description.number_of_frames

    @property
    def at_hand(self) -> bool:
        """Whether a frame as it is stored is found without looking through the value first."""
        return not self.encapsulated or "_runs" in self.__dict__

    def frame(self, number: int) -> memoryview:
        """Return a frame's bytes as they are stored, without the padding that the format allows us to know of.

        Raises NotFound for a number that no frame has, InvalidPart10 where the bytes are not to be found.
        """
        if not 1 <= number <= self.count:
            raise NotFound("frame", str(number))
        return self._encapsulated(number) if self.encapsulated else self._native(number)

    def frame_little_endian(self, number: int) -> memoryview:
        """Return a native frame's bytes in little endian. Raises as `frame` does."""
        if not self.big_endian or self._word_size == 1:
            return self.frame(number)
        if not 1 <= number <= self.count:
            raise NotFound("frame", str(number))
        first, last = self._bits(number)
        word = self._word_size
        start, stop = first // 8 // word * word, -(-last // 8 // word) * word
        return _bits_of(memoryview(swapped(self.value[start:stop], word)), first - start * 8, last - start * 8)

    def value_little_endian(self) -> memoryview:
        """Return the whole value of native pixel data in little endian."""
        if not self.big_endian or self._word_size == 1:
            return self.value
        return memoryview(swapped(self.value, self._word_size))

    def binary(self, tag: Tag, dataset: Dataset | None = None) -> memoryview:
        """Return the bytes of a binary attribute, little endian, of the dataset or an item of it; empty where absent.

        Small lookup tables are numbers in some files: their bytes are returned.
        """
        element = (self.dataset if dataset is None else dataset).get(tag)
        if element is None:
            return memoryview(b"")
        if element.values:
            return memoryview(np.array(element.values, "<i8").astype("<u2").tobytes())
        if not isinstance(element.binary, BulkData):
            return memoryview(element.binary)
        bulk = self._bulk[element.binary.uri]
        return self._data[bulk.offset : bulk.offset + bulk.length] if isinstance(bulk, Span) else memoryview(bulk)

    # --- Native -------------------------------------------------------------------------------------------------------

    @property
    def _word_size(self) -> int:
        """Bytes of a word of which big endian turns the order: samples of 1 and 8 bits may lie in words of OW."""
        small = 2 if self._pixel_data.vr == "OW" else 1
        return {1: small, 8: small, 16: 2, 32: 4, 64: 8}.get(self.description.bits_allocated, 1)

    def _bits(self, number: int) -> tuple[int, int]:
        """Return where a native frame starts and ends in the value, in bits. Raises InvalidPart10 past the end."""
        length = self.description.frame_bits
        if number * length > len(self.value) * 8:
            raise InvalidPart10(f"Pixel Data end before frame {number} does")
        return (number - 1) * length, number * length

    def _native(self, number: int) -> memoryview:
        return _bits_of(self.value, *self._bits(number))

    # --- Encapsulated -------------------------------------------------------------------------------------------------

    def _encapsulated(self, number: int) -> memoryview:
        first, last = int(self._runs[number - 1]), int(self._runs[number])
        if last - first > 1:
            return memoryview(b"".join(map(self._fragment, range(first, last))))
        fragment = self._fragment(first)
        return fragment[: int(self._lengths[number - 1])] if len(self._lengths) else fragment

    @cached_property
    def _items(self) -> tuple[Array, Array]:
        """The items of the value: where each starts, and how many bytes it has. The first is the Basic Offset Table.

        Numbers in arrays: there are a hundred thousand in a slide.
        """
        value, position = self.value, 0
        positions, lengths = array("Q"), array("Q")
        unpack, end = _ITEM_HEADER.unpack_from, len(value)
        while position + 8 <= end:
            tag, length = unpack(value, position)
            if tag != _ITEM_NUMBER or position + 8 + length > end:
                raise InvalidPart10("Pixel Data have something else than items")
            positions.append(position)
            lengths.append(length)
            position += 8 + length
        if len(positions) < 2:
            raise InvalidPart10("Pixel Data have no fragments")
        return np.frombuffer(positions, "u8"), np.frombuffer(lengths, "u8")

    @property
    def _fragment_count(self) -> int:
        return len(self._items[0]) - 1

    def _fragment(self, index: int) -> memoryview:
        positions, lengths = self._items
        start = int(positions[index + 1]) + 8
        return self.value[start : start + int(lengths[index + 1])]

    @cached_property
    def _runs(self) -> Array:
        """The first fragment of each frame, and the one after the last of all.

        As many fragments as frames can be shared out in one way only, whatever a table says of it.
        """
        fragments, frames = self._fragment_count, self.count
        if frames == 1:
            return np.array([0, fragments], "u8")
        if fragments == frames:
            return np.arange(frames + 1, dtype="u8")
        if fragments < frames:
            raise InvalidPart10(f"Pixel Data have {fragments} fragments for {frames} frames")
        starts = self._table_starts() if len(self._offsets) else self._marked_starts()
        return np.append(starts, np.uint64(fragments))

    @cached_property
    def _offsets(self) -> Array:
        """The offset table: the extended one, or else the basic one, or nothing (PS3.5 A.4)."""
        extended = self.binary(_EXTENDED_OFFSET_TABLE) if _EXTENDED_OFFSET_TABLE in self.dataset else b""
        basic = self.value[8 : 8 + int(self._items[1][0])]
        table, size = (extended, 8) if len(extended) else (basic, 4)
        if len(table) % size:
            raise InvalidPart10("the offset table of Pixel Data is cut")
        return np.frombuffer(table, f"<u{size}").astype("u8")

    @property
    def _fragment_positions(self) -> Array:
        """Where the fragments' items start, counted from the first as offset tables count."""
        positions: Array = self._items[0][1:] - self._items[0][1]
        return positions

    def _table_starts(self) -> Array:
        """Return the first fragment of each frame by the table. Raises InvalidPart10 for one that cannot be."""
        if problem := self.offset_table_problem():
            raise InvalidPart10(problem)
        starts: Array = np.searchsorted(self._fragment_positions, self._offsets).astype("u8")
        return starts

    def offset_table_problem(self) -> str | None:
        """Return a sentence on what is wrong with the offset table; None where it is right, or there is none.

        A wrong table does no harm where the frames can be told without it.
        """
        if not self.encapsulated or not len(self._offsets) or self.transfer_syntax.is_video:
            return None
        offsets = self._offsets
        if len(offsets) != self.count:
            return f"the offset table of Pixel Data has {len(offsets)} entries for {self.count} frames"
        if offsets[0] != 0 or bool(np.any(offsets[:-1] >= offsets[1:])):
            return "the offset table of Pixel Data does not start with 0 and ascend"
        if not bool(np.all(np.isin(offsets, self._fragment_positions))):
            return "the offset table of Pixel Data points to where no fragment starts"
        return None

    def _marked_starts(self) -> Array:
        """Return the first fragment of each frame by how codestreams begin. Raises InvalidPart10 if that is unclear."""
        fragments = range(self._fragment_count)
        starts = [index for index in fragments if bytes(self._fragment(index)[:4]).startswith(_STARTS)]
        if len(starts) != self.count or starts[0] != 0:
            raise InvalidPart10("Pixel Data have several fragments to a frame and no offset table to tell them apart")
        return np.array(starts, "u8")

    @cached_property
    def _lengths(self) -> Array:
        """Frames' lengths without padding, where the Extended Offset Table comes with them and they are possible."""
        table = self.binary(_EXTENDED_OFFSET_TABLE_LENGTHS)
        nothing: Array = np.empty(0, "u8")
        if len(table) != 8 * self.count or self._fragment_count != self.count:
            return nothing
        lengths: Array = np.frombuffer(table, "<u8").astype("u8")
        items = self._items[1][1:]
        return lengths if bool(np.all((lengths <= items) & (items - lengths <= 1))) else nothing


def frame_numbers(frames: Frames) -> range:
    """Return the numbers of the frames."""
    return range(1, frames.count + 1)


def _bits_of(value: memoryview, first: int, last: int) -> memoryview:
    """Return some bits of a value, the first of them in the lowest bit (PS3.5 section 8.1.1, Figure 8.1-2 ff.)."""
    if first % 8 == 0:
        return value[first // 8 : -(-last // 8)] if last % 8 == 0 else _cleared(value, first, last)
    return _cleared(value, first, last)


def _cleared(value: memoryview, first: int, last: int) -> memoryview:
    start = first // 8
    bits = np.unpackbits(np.frombuffer(value[start : -(-last // 8)], "u1"), bitorder="little")
    return memoryview(np.packbits(bits[first - start * 8 : last - start * 8], bitorder="little").tobytes())
