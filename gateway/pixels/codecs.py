"""The codecs, which are imagecodecs' libraries: libjpeg-turbo, CharLS, OpenJPEG, OpenJPH. No other file imports it.

Frames in and arrays out, in the types the library likes. What the samples mean is up to decode.py and encode.py, which
have checked the head of a codestream before it comes here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import imagecodecs
import numpy as np

from gateway.errors import InvalidPart10
from gateway.pixels.description import Array

# A segment is padded to an even length, and some writers pad by more; what is beyond that is damage.
_RLE_PADDING = 256

# ISO 15444-1 allows 32 levels; five is the custom, and PS3.5 section 10.18 asks for a base of 64 pixels at most.
_LEVELS, _BASE = 5, 64


@contextmanager
def _damage(what: str) -> Iterator[None]:
    """Raise InvalidPart10 for what a decoder throws. Each library's error is a RuntimeError; the rest are ours."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:
        raise InvalidPart10(f"a frame is a damaged {what} codestream, or of a kind not decoded here") from error


def decode_jpeg(frame: memoryview, *, ycbcr: bool, samples: int) -> Array:
    """Return a JPEG frame of any process decoded; YCbCr becomes RGB, and anything else stays what it is."""
    stored, wanted = ("YCBCR", "RGB") if ycbcr else ("RGB", "RGB")
    with _damage("JPEG"):
        if samples != 3:
            return imagecodecs.jpeg8_decode(bytes(frame))
        return imagecodecs.jpeg8_decode(bytes(frame), colorspace=stored, outcolorspace=wanted)


def decode_jpeg_ls(frame: memoryview) -> Array:
    with _damage("JPEG-LS"):
        return imagecodecs.jpegls_decode(bytes(frame))


def decode_jpeg_2000(frame: memoryview) -> Array:
    """Return a JPEG 2000 or HTJ2K frame decoded by OpenJPEG.

    OpenJPH would be twice as fast for HTJ2K, but its binding lets an error pass that comes after the head of the
    codestream, and returns what memory holds.
    """
    with _damage("JPEG 2000"):
        return imagecodecs.jpeg2k_decode(bytes(frame), numthreads=1)


def encode_jpeg(pixels: Array, quality: int, *, ycbcr: bool) -> bytes:
    """Return 8-bit samples as baseline JPEG; colours as YCbCr, sampled 4:2:2. ycbcr: whether they are so already."""
    if pixels.ndim == 2:
        return bytes(imagecodecs.jpeg8_encode(pixels, level=quality))
    stored = "YCBCR" if ycbcr else "RGB"
    return bytes(
        imagecodecs.jpeg8_encode(pixels, level=quality, colorspace=stored, outcolorspace="YCBCR", subsampling=(2, 1))
    )


def encode_jpeg_lossless(pixels: Array, *, rgb: bool) -> bytes:
    """Return unsigned samples of 8 or 16 bits as JPEG Lossless, selection value 1. rgb: what colours are labelled.

    Other colours have no label: libjpeg-turbo loses samples of what it labels YCbCr.
    """
    colours = None if pixels.ndim == 2 else "RGB" if rgb else "UNKNOWN"
    return bytes(
        imagecodecs.jpeg8_encode(
            pixels,
            lossless=True,
            predictor=1,
            bitspersample=8 * pixels.dtype.itemsize,
            colorspace=colours,
            outcolorspace=colours,
        )
    )


def encode_jpeg_ls(pixels: Array) -> bytes:
    """Return unsigned samples of 8 or 16 bits as JPEG-LS, without the SPIFF header that CharLS puts before them."""
    # Incompressible samples grow, by four times at the very most (ISO 14495-1 C.2.4.1.1, LIMIT).
    frame = bytes(imagecodecs.jpegls_encode(pixels, out=4 * pixels.nbytes + 1024))
    start = 2
    while frame[start : start + 2] == b"\xff\xe8":
        start += 2 + int.from_bytes(frame[start + 2 : start + 4], "big")
    return frame[:2] + frame[start:]


def encode_jpeg_2000(pixels: Array, *, bits: int, rgb: bool) -> bytes:
    """Return samples as a reversible JPEG 2000 codestream. bits: their precision. rgb: to be turned into YBR_RCT."""
    return bytes(
        imagecodecs.jpeg2k_encode(pixels, reversible=True, codecformat="J2K", bitspersample=bits, mct=rgb, numthreads=1)
    )


def encode_htj2k(pixels: Array, *, rgb: bool) -> bytes:
    """Return samples as a reversible HTJ2K codestream with the RPCL options. rgb: to be turned into YBR_RCT.

    PS3.5 section 10.18: progression RPCL, which is OpenJPH's default, a base of 64 pixels at most, and TLM.
    """
    levels = _LEVELS
    while max(pixels.shape[:2]) >> levels > _BASE:
        levels += 1
    colours = None if pixels.ndim == 2 else rgb
    return bytes(imagecodecs.htj2k_encode(pixels, reversible=True, tlm=True, resolutions=levels, rgb=colours))


def unpack_bits(segment: memoryview, length: int) -> Array:
    """Return the bytes of an RLE segment. Raises InvalidPart10 where they are not as many as they should be."""
    with _damage("RLE"):
        plane = imagecodecs.packbits_decode(bytes(segment), out=length + _RLE_PADDING)
    if len(plane) < length:
        raise InvalidPart10("a frame has an RLE segment that is too short")
    return np.frombuffer(plane, "u1", length)


def pack_bits(plane: Array) -> bytes:
    """Return the bytes of a plane as an RLE segment, each row on its own."""
    return bytes(imagecodecs.packbits_encode(plane, axis=-1))
