"""Samples encoded in a transfer syntax; what is lossless is decoded again and compared before anybody sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from gateway.errors import InvalidPart10, NotAcceptable
from gateway.pixels import codecs
from gateway.pixels.decode import Decoded, decode_compressed
from gateway.pixels.description import Array, PixelDescription
from gateway.pixels.rle import encode_rle
from gateway.pixels.transfer_syntaxes import (
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    JPEG_LOSSLESS,
    JPEG_LOSSLESS_SV1,
    JPEG_LS_LOSSLESS,
    RLE_LOSSLESS,
    can_encode,
    has_room,
)


@dataclass(frozen=True, slots=True)
class Encoded:
    """One frame as bytes, without padding, and the Photometric Interpretation that belongs to them."""

    data: bytes
    photometric_interpretation: str


def encode_frame(decoded: Decoded, description: PixelDescription, uid: str, *, quality: int | None = None) -> Encoded:
    """Return a decoded frame in a transfer syntax.

    quality: 1 to 100, for JPEG Baseline, which is lossy and written only if it is given.
    Raises NotAcceptable for a transfer syntax that is not written here, or that has no room for these samples.
    """
    syntax = can_encode(uid)
    if syntax.family == "native":
        pixels = decoded.pixels
        if description.bits_allocated == 1:
            return Encoded(np.packbits(pixels, bitorder="little").tobytes(), decoded.photometric_interpretation)
        return Encoded(pixels.tobytes(), decoded.photometric_interpretation)
    if uid == JPEG_BASELINE:
        return _encode_baseline(decoded, description, quality)
    _check_room(description, uid, syntax.name)
    encoded = _ENCODERS[uid](decoded, description)
    _prove_lossless(encoded, decoded, description, uid)
    return encoded


def _check_room(description: PixelDescription, uid: str, name: str) -> None:
    """Raise NotAcceptable for samples that a transfer syntax has no room for (PS3.5 section 8.2)."""
    if description.is_float or description.bits_allocated == 1:
        raise NotAcceptable(f"pixels of one bit, or of floating point, cannot be compressed as {name}")
    if not has_room(uid, description.bits_allocated):
        raise NotAcceptable(f"pixels of {description.bits_allocated} bits allocated are not compressed as {name}")


def _prove_lossless(encoded: Encoded, decoded: Decoded, description: PixelDescription, uid: str) -> None:
    """Raise NotAcceptable if a frame does not decode to what it was made of. HTJ2K is decoded by another library."""
    after = replace(description, photometric_interpretation=encoded.photometric_interpretation)
    try:
        again = decode_compressed(memoryview(encoded.data), after, can_encode(uid))
    except InvalidPart10 as error:
        raise NotAcceptable(f"{can_encode(uid).name} cannot hold this frame without loss") from error
    if not np.array_equal(again.pixels, decoded.pixels):
        raise NotAcceptable(f"{can_encode(uid).name} cannot hold this frame without loss")


def _encode_baseline(decoded: Decoded, description: PixelDescription, quality: int | None) -> Encoded:
    """Return 8-bit samples as JPEG Baseline (PS3.5 section 8.2.1). Raises NotAcceptable."""
    photometric = decoded.photometric_interpretation
    if quality is None:
        raise NotAcceptable("JPEG Baseline loses detail, and is written only where a quality is asked for")
    if description.bits_allocated != 8 or description.signed:
        raise NotAcceptable("JPEG Baseline has room for unsigned samples of 8 bits only")
    if photometric == "PALETTE COLOR":
        raise NotAcceptable("the indices of a palette cannot be compressed with loss")
    pixels = np.ascontiguousarray(decoded.pixels)
    data = codecs.encode_jpeg(pixels, quality, ycbcr=photometric == "YBR_FULL")
    return Encoded(data, "YBR_FULL_422" if pixels.ndim == 3 else photometric)


def _encode_rle(decoded: Decoded, description: PixelDescription) -> Encoded:
    return Encoded(encode_rle(decoded.pixels), decoded.photometric_interpretation)


def _encode_jpeg_lossless(decoded: Decoded, description: PixelDescription) -> Encoded:
    photometric = decoded.photometric_interpretation
    return Encoded(codecs.encode_jpeg_lossless(_unsigned(decoded.pixels), rgb=photometric == "RGB"), photometric)


def _encode_jpeg_ls(decoded: Decoded, description: PixelDescription) -> Encoded:
    return Encoded(codecs.encode_jpeg_ls(_unsigned(decoded.pixels)), decoded.photometric_interpretation)


def _encode_jpeg_2000(decoded: Decoded, description: PixelDescription) -> Encoded:
    """The precision is Bits Stored, unless old overlays or the like lie in the bits above (PS3.5 section 8.2.4)."""
    rgb = decoded.photometric_interpretation == "RGB"
    pixels = np.ascontiguousarray(decoded.pixels)
    bits = description.bits_stored if _fits(pixels, description) else description.bits_allocated
    data = codecs.encode_jpeg_2000(pixels, bits=bits, rgb=rgb)
    return Encoded(data, "YBR_RCT" if rgb else decoded.photometric_interpretation)


def _encode_htj2k(decoded: Decoded, description: PixelDescription) -> Encoded:
    rgb = decoded.photometric_interpretation == "RGB"
    data = codecs.encode_htj2k(np.ascontiguousarray(decoded.pixels), rgb=rgb)
    return Encoded(data, "YBR_RCT" if rgb else decoded.photometric_interpretation)


_ENCODERS: dict[str, Callable[[Decoded, PixelDescription], Encoded]] = {
    RLE_LOSSLESS: _encode_rle,
    JPEG_LOSSLESS: _encode_jpeg_lossless,
    JPEG_LOSSLESS_SV1: _encode_jpeg_lossless,
    JPEG_LS_LOSSLESS: _encode_jpeg_ls,
    JPEG_2000_LOSSLESS: _encode_jpeg_2000,
    HTJ2K_LOSSLESS: _encode_htj2k,
    HTJ2K_LOSSLESS_RPCL: _encode_htj2k,
}


def _unsigned(pixels: Array) -> Array:
    """Return signed samples as the unsigned numbers of the same bits: JPEG and JPEG-LS know no sign."""
    return np.ascontiguousarray(pixels).view(f"<u{pixels.dtype.itemsize}")


def _fits(pixels: Array, description: PixelDescription) -> bool:
    bits = description.bits_stored
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if description.signed else (0, (1 << bits) - 1)
    return bool(pixels.min() >= low and pixels.max() <= high)
