"""RLE Lossless (PS3.5 annex G): each byte of the samples on its own, packed row by row."""

from __future__ import annotations

from struct import error as StructError
from struct import pack, unpack_from

import numpy as np

from gateway.errors import InvalidPart10, NotAcceptable
from gateway.pixels.codecs import pack_bits, unpack_bits
from gateway.pixels.description import Array, PixelDescription

# PS3.5 G.5: the number of segments and 15 offsets.
_HEADER = "<16L"
_HEADER_LENGTH = 64
_MAX_SEGMENTS = 15


def decode_rle(frame: memoryview, description: PixelDescription) -> Array:
    """Return the samples of an RLE frame. Raises InvalidPart10.

    PS3.5 G.2: the segments go by sample, and within one from the most significant byte to the least.
    """
    dtype, samples = description.dtype, description.samples_per_pixel
    segments = _segments(frame, samples * dtype.itemsize)
    pixels = description.rows * description.columns
    planes = np.empty((samples, dtype.itemsize, pixels), "u1")
    for index, segment in enumerate(segments):
        sample, byte = divmod(index, dtype.itemsize)
        planes[sample, dtype.itemsize - 1 - byte] = unpack_bits(segment, pixels)
    words = np.ascontiguousarray(planes.transpose(2, 0, 1)).view(dtype)
    return words.reshape(description.shape)


def _segments(frame: memoryview, expected: int) -> list[memoryview]:
    try:
        number, *offsets = unpack_from(_HEADER, frame)
    except StructError as error:
        raise InvalidPart10("a frame has no RLE header") from error
    if number != expected:
        raise InvalidPart10("a frame has another number of RLE segments than its samples have bytes")
    ends = [*offsets[1:number], len(frame)]
    if any(not _HEADER_LENGTH <= start <= end for start, end in zip(offsets, ends, strict=False)):
        raise InvalidPart10("a frame has a damaged RLE header")
    return [frame[start:end] for start, end in zip(offsets[:number], ends, strict=True)]


def encode_rle(pixels: Array) -> bytes:
    """Return samples (rows x columns, or with samples) as an RLE frame. Raises NotAcceptable for too many bytes."""
    rows, columns = pixels.shape[:2]
    size = pixels.dtype.itemsize
    planes = np.ascontiguousarray(pixels).view("u1").reshape(rows, columns, -1)
    order = [sample * size + byte for sample in range(planes.shape[2] // size) for byte in reversed(range(size))]
    if len(order) > _MAX_SEGMENTS:
        raise NotAcceptable(f"RLE has room for {_MAX_SEGMENTS} bytes to a pixel, and these have {len(order)}")
    segments = [pack_bits(planes[:, :, index].copy()) for index in order]
    padded = [segment + bytes(len(segment) % 2) for segment in segments]
    offsets, position = [0] * _MAX_SEGMENTS, _HEADER_LENGTH
    for index, segment in enumerate(padded):
        offsets[index] = position
        position += len(segment)
    return pack(_HEADER, len(padded), *offsets) + b"".join(padded)
