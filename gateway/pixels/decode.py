"""A frame of any transfer syntax, decoded to its samples.

Samples are what a native frame would hold: all bits allocated, signed where Pixel Representation says so. Colours stay
as they are stored (RGB, YBR_FULL, palette indices), but for lossy JPEG, whose YCbCr becomes RGB, and JPEG 2000, whose
transformation its decoder undoes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gateway.errors import InvalidPart10, NotAcceptable
from gateway.pixels import codecs
from gateway.pixels.codestreams import Codestream, check, codestream_of, read_codestream
from gateway.pixels.description import SUBSAMPLED, Array, PixelDescription, without_upper_bits
from gateway.pixels.frames import Frames
from gateway.pixels.rle import decode_rle
from gateway.pixels.transfer_syntaxes import Family, TransferSyntax


@dataclass(frozen=True, slots=True)
class Decoded:
    """One frame: rows x columns, or rows x columns x samples, little endian, and what the samples mean.

    photometric_interpretation: MONOCHROME1 or MONOCHROME2, PALETTE COLOR, RGB, YBR_FULL, or what else the dataset says.
    """

    pixels: Array
    photometric_interpretation: str


def decode_frame(frames: Frames, number: int) -> Decoded:
    """Return a frame decoded.

    Raises NotFound for a number that no frame has, InvalidPart10 for a frame that is damaged or is not what the
    dataset describes, NotAcceptable for what is not decoded here.
    """
    syntax, description = frames.transfer_syntax, frames.description
    if not syntax.decodes:
        raise NotAcceptable(f"{syntax.name} is not decoded here: ask for it as it is stored")
    if description.samples_per_pixel not in (1, 3):
        raise NotAcceptable(f"{description.samples_per_pixel} samples per pixel are not decoded here")
    if syntax.family == "native":
        return decode_native(frames.frame_little_endian(number), description)
    if description.bits_allocated == 1 or description.is_float:
        raise InvalidPart10("pixels of one bit, or of floating point, cannot be compressed this way")
    return decode_compressed(frames.frame(number), description, syntax)


# --- Native -----------------------------------------------------------------------------------------------------------


def decode_native(frame: memoryview, description: PixelDescription) -> Decoded:
    """Return the samples of a native frame, little endian; of 1-bit ones, a byte each. Raises as decode_frame does."""
    photometric = description.photometric_interpretation
    if len(frame) * 8 < description.frame_bits:
        raise InvalidPart10("a frame has fewer bytes than Rows and Columns ask for")
    if description.bits_allocated == 1:
        bits = np.unpackbits(np.frombuffer(frame, "u1"), bitorder="little")
        return Decoded(bits[: description.rows * description.columns].reshape(_one_sample(description)), photometric)
    samples = np.frombuffer(frame, description.dtype, description.frame_bits // description.bits_allocated)
    if photometric in SUBSAMPLED:
        return Decoded(_full(samples, description), "YBR_FULL")
    if description.samples_per_pixel > 1 and description.planar_configuration == 1:
        planes = samples.reshape(description.samples_per_pixel, description.rows, description.columns)
        return Decoded(np.moveaxis(planes, 0, -1), photometric)
    return Decoded(samples.reshape(description.shape), photometric)


def _one_sample(description: PixelDescription) -> tuple[int, ...]:
    if description.samples_per_pixel != 1:
        raise NotAcceptable("colour of one bit is not decoded here")
    return description.shape


def _full(samples: Array, description: PixelDescription) -> Array:
    """Return YBR_FULL from YBR_FULL_422: of two pixels Y, Y, and their Cb and Cr (PS3.3 C.7.6.3.1.2)."""
    if description.columns % 2 or description.photometric_interpretation != "YBR_FULL_422":
        raise NotAcceptable(f"{description.photometric_interpretation} of this shape is not decoded here")
    pairs = samples.reshape(description.rows, description.columns // 2, 4)
    full = np.empty((*pairs.shape[:2], 2, 3), samples.dtype)
    full[..., 0] = pairs[..., :2]
    full[..., 1] = pairs[..., 2:3]
    full[..., 2] = pairs[..., 3:4]
    return full.reshape(description.shape)


# --- Compressed -------------------------------------------------------------------------------------------------------


def decode_compressed(frame: memoryview, description: PixelDescription, syntax: TransferSyntax) -> Decoded:
    """Return the samples of a compressed frame. Raises InvalidPart10, NotAcceptable."""
    photometric = description.photometric_interpretation
    if syntax.family == "RLE":
        return Decoded(decode_rle(frame, description), "YBR_FULL" if photometric in SUBSAMPLED else photometric)
    stream = read_codestream(syntax.family, frame)
    check(stream, description)
    pixels, photometric = _DECODERS[syntax.family](frame, stream, description, syntax)
    return Decoded(_conformed(pixels, stream, description), photometric)


def _decode_jpeg(
    frame: memoryview, stream: Codestream, description: PixelDescription, syntax: TransferSyntax
) -> tuple[Array, str]:
    """Lossy YCbCr becomes RGB: its samples are approximate anyway, and RGB needs no explanation. Lossless stays."""
    photometric = description.photometric_interpretation
    if stream.samples == 1:
        return codecs.decode_jpeg(frame, ycbcr=False, samples=1), photometric
    if syntax.lossless:
        stored = "YBR_FULL" if photometric in SUBSAMPLED else photometric
        return codecs.decode_jpeg(frame, ycbcr=False, samples=stream.samples), stored
    rgb = stream.rgb if stream.rgb is not None else photometric == "RGB"
    return codecs.decode_jpeg(frame, ycbcr=not rgb, samples=stream.samples), "RGB"


def _decode_jpeg_ls(
    frame: memoryview, stream: Codestream, description: PixelDescription, syntax: TransferSyntax
) -> tuple[Array, str]:
    photometric = description.photometric_interpretation
    return codecs.decode_jpeg_ls(frame), "YBR_FULL" if photometric in SUBSAMPLED else photometric


def _decode_jpeg_2000(
    frame: memoryview, stream: Codestream, description: PixelDescription, syntax: TransferSyntax
) -> tuple[Array, str]:
    photometric = description.photometric_interpretation
    transformed = {"YBR_RCT": "RGB", "YBR_ICT": "RGB", "YBR_FULL_422": "YBR_FULL"}
    return codecs.decode_jpeg_2000(codestream_of(frame)), transformed.get(photometric, photometric)


_DECODERS: dict[Family, Callable[[memoryview, Codestream, PixelDescription, TransferSyntax], tuple[Array, str]]] = {
    "JPEG": _decode_jpeg,
    "JPEG-LS": _decode_jpeg_ls,
    "JPEG-2000": _decode_jpeg_2000,
    "HTJ2K": _decode_jpeg_2000,
}


def _conformed(pixels: Array, stream: Codestream, description: PixelDescription) -> Array:
    """Return decoded samples as a native frame would hold them.

    Codecs know no sign, or another one than the dataset: what they give are the lower bits of the sample, as many as
    the codestream's precision, and the bits above follow from Pixel Representation (PS3.5 section 8.1.1).
    """
    if pixels.ndim == 3 and pixels.shape[0] == description.samples_per_pixel != pixels.shape[2]:
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim == 3 and description.samples_per_pixel == 1:
        pixels = pixels[..., 0]
    if pixels.shape != description.shape:
        raise InvalidPart10("a frame decodes to another size than Rows and Columns say")
    wide = pixels.astype(description.dtype, copy=False)
    if stream.signed == description.signed:
        return wide
    return without_upper_bits(wide, description.bits_allocated - stream.precision)
