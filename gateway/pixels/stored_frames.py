"""Frames for whoever wants them as they are stored: found without reading the rest of the file.

The file was read once, with all its checks, when it was stored. What is odd is read that way again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.dicom.dataset import Tag
from gateway.dicom.dictionary import PIXEL_DATA
from gateway.dicom.encoding import LONG_LETTERS, SHORT_LETTERS, UNDEFINED_LENGTH, Buffer, implicit_vr
from gateway.dicom.part10 import Part10, PixelData, PixelElement, Span, read_part10
from gateway.dicom.part10_pattern import Pattern
from gateway.dicom.part10_read import Context, Decoder
from gateway.dicom.part10_top import Top, is_padding, walk_top
from gateway.dicom.part10_values import DEFAULT_CHARACTERS
from gateway.dicom.part10_walk import Raw
from gateway.errors import InvalidPart10
from gateway.pixels.frames import Frames, read_frames

# Up to the last kind of pixel data, (7FE0,0010); none of them is walked through.
_BEFORE_PIXELS = 0x7FE00007
_DELIMITER = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"

# What describes pixels, and the offset tables: PS3.3 C.7.6.3.
_GROUPS = (0x0028, 0x7FE0)
_INLINE_LIMIT = 4096

# How many files are remembered by how they are laid out.
_PATTERNS = 8


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read of a file: it holds for all that fit the pattern."""

    pattern: Pattern
    top: Top
    part10: Part10


class FramesReader:
    """Reads stored files, and remembers how those lately read are laid out: one of the same series is read at a look.

    For any thread, several at a time too.
    """

    def __init__(self) -> None:
        self._lately: tuple[_Read, ...] = ()

    def read(self, data: Buffer) -> Frames:
        """Return the frames of a PS3.10 file; its dataset has of the attributes those that say how to read pixels.

        Raises as `read_frames` does.
        """
        view = memoryview(data)
        for known in self._lately:
            if known.pattern.fits(view) and (pixels := _pixel_data(view, known.top)):
                return Frames(data, replace(known.part10, pixel_data=(pixels,)))
        top = walk_top(view, _BEFORE_PIXELS)
        pixels = _pixel_data(view, top) if top else None
        if top is None or pixels is None:
            return read_frames(data)
        decoder = Decoder(view, _INLINE_LIMIT, in_file=True)
        try:
            dataset = decoder.dataset(_raws(view, top), Context(top.encoding, DEFAULT_CHARACTERS))
        except InvalidPart10:
            return read_frames(data)
        part10 = Part10(dataset, top.transfer_syntax_uid, decoder.bulk, (pixels,))
        pattern = Pattern(view, top, {number for number in top.elements.numbers if number >> 16 in _GROUPS})
        if pattern.possible:
            self._lately = (_Read(pattern, top, replace(part10, pixel_data=())), *self._lately[: _PATTERNS - 1])
        return Frames(data, part10)


def stored_pixel_element(data: Buffer) -> PixelElement:
    """Return which pixel data a PS3.10 file has, NO_PIXELS for none. Raises InvalidPart10."""
    view = memoryview(data)
    top = walk_top(view, _BEFORE_PIXELS)
    pixels = _pixel_data(view, top) if top else None
    return pixels.element if pixels else read_part10(data).pixel_element


def _raws(view: memoryview, top: Top) -> list[Raw]:
    """Return what describes pixels as the walker would, sequences left out."""
    raws: list[Raw] = []
    found = top.elements
    for number, start, value, end in zip(found.numbers, found.starts, found.values, found.ends, strict=True):
        if number >> 16 in _GROUPS:
            tag = f"{number:08X}"
            vr = _vr(view, tag, start, top)
            if vr is not None and vr != "SQ":
                raws.append((tag, vr, start, value, end, end, None))
    return raws


def _vr(view: memoryview, tag: Tag, start: int, top: Top) -> str | None:
    if top.encoding.implicit:
        return implicit_vr(tag, None)
    letters = bytes(view[start + 4 : start + 6])
    return SHORT_LETTERS.get(letters) or LONG_LETTERS.get(letters)


def _pixel_data(view: memoryview, top: Top) -> PixelData | None:
    """Return the pixel data that follow the elements found, the last in the file; None if that is not what follows.

    Whether fragments are whole is seen when they are looked for: they have to end just there.
    """
    encoding, start = top.encoding, top.end
    if start + 12 > len(view):
        return None
    number, letters, _ = encoding.explicit_header.unpack_from(view, start)
    tag = encoding.tags[number]
    vr = _vr(view, tag, start, top)
    if tag not in PIXEL_DATA or vr is None or (not encoding.implicit and letters not in LONG_LETTERS):
        return None
    value = start + (8 if encoding.implicit else 12)
    (length,) = encoding.long_length.unpack_from(view, value - 4)
    if length != UNDEFINED_LENGTH:
        nothing_else = value + length <= len(view) and is_padding(view, value + length, encoding)
        return PixelData(tag, vr, Span(value, length), encapsulated=False) if nothing_else else None
    end = len(view) - len(_DELIMITER)
    if end < value or bytes(view[end:]) != _DELIMITER:
        return None
    return PixelData(tag, vr, Span(value, end - value), encapsulated=True)
