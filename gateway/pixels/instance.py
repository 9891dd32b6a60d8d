"""A whole PS3.10 file in another transfer syntax.

The pixels are the same, bit for bit, and so the instance stays the same instance: lossy compression would make another
one of it, with another SOP Instance UID (PS3.3 C.7.6.1.1.5), and is not done here. Elements that need not change are
copied as they lie in the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, chain
from mmap import mmap

import numpy as np

from gateway.dicom.dataset import Element, Tag
from gateway.dicom.encoding import EXPLICIT_LITTLE, ITEM, SEQUENCE_DELIMITER, UNDEFINED_LENGTH, Buffer
from gateway.dicom.part10 import EXPLICIT_VR_LITTLE_ENDIAN, Part10, read_part10
from gateway.dicom.part10_read import TRANSFER_SYNTAX_UID, decoded_meta, walk_part10
from gateway.dicom.part10_write import encoded_element, file_head, header, marker, no_bulk, target_for
from gateway.errors import NotAcceptable, TooLarge
from gateway.pixels.description import PIXEL_DATA, PixelDescription
from gateway.pixels.explicit_vr import explicit_elements
from gateway.pixels.frames import Frames, frame_numbers
from gateway.pixels.transcode import TranscodedFrame, transcode_frame
from gateway.pixels.transfer_syntaxes import can_encode

# Decoded, so that a small file cannot ask for all the memory there is; also about what a 32-bit length can say.
MAX_INSTANCE_BYTES = 2**32 - 2

_PHOTOMETRIC_INTERPRETATION = "00280004"
_PLANAR_CONFIGURATION = "00280006"
_EXTENDED_OFFSET_TABLE = "7FE00001"
_EXTENDED_OFFSET_TABLE_LENGTHS = "7FE00002"

# PS3.5 Table A.4-1: offsets of the Basic Offset Table have 32 bits.
_MAX_BASIC_OFFSET = 2**32 - 1


def transcode_instance(part10: Buffer | Sequence[Buffer], uid: str) -> list[Buffer]:
    """Return a PS3.10 file in the transfer syntax of a UID, in pieces; as it is, if that is the one it has.

    part10: the file, or the pieces of it. Raises InvalidPart10 for a damaged file, NotAcceptable for what cannot be
    read, or cannot be written without loss, TooLarge for more than 4 GiB of pixels.
    """
    data = part10 if isinstance(part10, bytes | bytearray | memoryview | mmap) else b"".join(part10)
    layout = walk_part10(data)
    if layout.transfer_syntax_uid == uid:
        return [data]
    if not can_encode(uid).lossless:
        raise NotAcceptable(f"{can_encode(uid).name} loses detail: an instance compressed so would be another one")
    meta = decoded_meta(layout) | {TRANSFER_SYNTAX_UID: Element("UI", (uid,))}
    elements = explicit_elements(layout) | _pixel_elements(data, read_part10(data), uid)
    return [file_head(meta), *chain.from_iterable(elements[tag] for tag in sorted(elements))]


def _pixel_elements(data: Buffer, part10: Part10, uid: str) -> dict[Tag, list[Buffer]]:
    """Return the elements that depend on the transfer syntax. An empty one replaces the file's by nothing."""
    if not part10.pixel_data:
        if uid != EXPLICIT_VR_LITTLE_ENDIAN:
            raise NotAcceptable("an instance without Pixel Data cannot be compressed")
        return {}
    frames = Frames(data, part10)
    if uid == EXPLICIT_VR_LITTLE_ENDIAN and not frames.encapsulated:
        return {frames.tag: _native_element(frames.tag, [frames.value_little_endian()], frames.description)}
    if frames.count * frames.description.decoded_bytes > MAX_INSTANCE_BYTES:
        raise TooLarge(f"pixels of more than {MAX_INSTANCE_BYTES} bytes, decoded, are not transcoded here")
    transcoded = [transcode_frame(frames, number, uid) for number in frame_numbers(frames)]
    return _described(transcoded[0], frames.description) | _encoded_pixels(transcoded, frames.description, uid)


def _described(frame: TranscodedFrame, description: PixelDescription) -> dict[Tag, list[Buffer]]:
    """Return the attributes of the Image Pixel Module that go with the encoding. Planar Configuration is for colour."""
    described = {_PHOTOMETRIC_INTERPRETATION: Element("CS", (frame.photometric_interpretation,))}
    if description.samples_per_pixel > 1:
        described[_PLANAR_CONFIGURATION] = Element("US", (frame.planar_configuration,))
    target = target_for({}, EXPLICIT_LITTLE, no_bulk)
    return {tag: encoded_element(tag, element, target) for tag, element in described.items()}


def _encoded_pixels(frames: list[TranscodedFrame], description: PixelDescription, uid: str) -> dict[Tag, list[Buffer]]:
    pieces = [frame.data for frame in frames]
    without_tables: dict[Tag, list[Buffer]] = {_EXTENDED_OFFSET_TABLE: [], _EXTENDED_OFFSET_TABLE_LENGTHS: []}
    if uid == EXPLICIT_VR_LITTLE_ENDIAN:
        return without_tables | {PIXEL_DATA: _native_element(PIXEL_DATA, pieces, description)}
    return without_tables | encapsulated(pieces)


def _native_element(tag: Tag, pieces: Iterable[Buffer], description: PixelDescription) -> list[Buffer]:
    """Return native pixel data as an element (PS3.5 A.2: OW above 8 bits). Raises TooLarge for more than 4 GiB."""
    value = list(pieces)
    length = sum(map(len, value))
    if length > MAX_INSTANCE_BYTES:
        raise TooLarge("uncompressed Pixel Data have no room for more than 4 GiB")
    padding = [b"\0"] if length % 2 else []
    vr = {"7FE00008": "OF", "7FE00009": "OD"}.get(tag, "OW" if description.bits_allocated > 8 else "OB")
    return [header(tag, vr, length + len(padding), EXPLICIT_LITTLE), *value, *padding]


def encapsulated(frames: Sequence[Buffer]) -> dict[Tag, list[Buffer]]:
    """Return compressed frames as Pixel Data, one fragment each, with a table of where they are (PS3.5 A.4).

    The Basic Offset Table, or the Extended one where 32 bits do not reach.
    """
    lengths = [len(frame) for frame in frames]
    offsets = [0, *accumulate(8 + length + length % 2 for length in lengths)][:-1]
    basic = offsets[-1] <= _MAX_BASIC_OFFSET
    table = np.array(offsets if basic else [], "<u4").tobytes()
    pieces: list[Buffer] = [header(PIXEL_DATA, "OB", UNDEFINED_LENGTH, EXPLICIT_LITTLE), _item(len(table)), table]
    for frame, length in zip(frames, lengths, strict=True):
        pieces += [_item(length + length % 2), frame, bytes(length % 2)]
    pieces.append(marker(SEQUENCE_DELIMITER, 0, EXPLICIT_LITTLE))
    if basic:
        return {PIXEL_DATA: pieces}
    return {
        _EXTENDED_OFFSET_TABLE: _table(_EXTENDED_OFFSET_TABLE, offsets),
        _EXTENDED_OFFSET_TABLE_LENGTHS: _table(_EXTENDED_OFFSET_TABLE_LENGTHS, lengths),
        PIXEL_DATA: pieces,
    }


def _item(length: int) -> bytes:
    return marker(ITEM, length, EXPLICIT_LITTLE)


def _table(tag: Tag, numbers: list[int]) -> list[Buffer]:
    value = np.array(numbers, "<u8").tobytes()
    return [header(tag, "OV", len(value), EXPLICIT_LITTLE), value]
