"""Colours of any Photometric Interpretation as RGB of 8 bits (PS3.3 C.7.6.3.1.2)."""

from __future__ import annotations

import numpy as np

from gateway.errors import NotAcceptable
from gateway.pixels.decode import Decoded
from gateway.pixels.description import Array, PixelDescription
from gateway.pixels.frames import Frames
from gateway.pixels.lookup_tables import lookup_table

# Red, green and blue: descriptor, data, segmented data.
_PALETTES = (
    ("00281101", "00281201", "00281221"),
    ("00281102", "00281202", "00281222"),
    ("00281103", "00281203", "00281223"),
)

# Inverse of the matrix for YBR_FULL, which is ITU-R BT.601's with the full range of values.
_RED_OF_CR, _GREEN_OF_CB, _GREEN_OF_CR, _BLUE_OF_CB = 1.402, -0.344136286, -0.714136286, 1.772


def rgb(decoded: Decoded, frames: Frames) -> Array:
    """Return a decoded frame in colour: rows x columns x 3, 8 bits. Raises NotAcceptable, InvalidPart10."""
    photometric = decoded.photometric_interpretation
    if photometric == "PALETTE COLOR":
        return _palette(decoded.pixels, frames)
    if decoded.pixels.ndim != 3 or photometric not in ("RGB", "YBR_FULL"):
        raise NotAcceptable(f"an image of {photometric} is not rendered here")
    colours = _eight_bits(decoded.pixels, frames.description)
    return ybr_full_to_rgb(colours) if photometric == "YBR_FULL" else colours


def _eight_bits(pixels: Array, description: PixelDescription) -> Array:
    """Return unsigned samples as 8 bits: the uppermost ones of those stored."""
    stored = description.bits_stored
    return (pixels >> (stored - 8) if stored > 8 else pixels << (8 - stored)).astype("u1")


def ybr_full_to_rgb(pixels: Array) -> Array:
    """Return YBR_FULL of 8 bits as RGB of 8 bits."""
    y, cb, cr = np.moveaxis(pixels.astype("f4"), -1, 0)
    cb, cr = cb - 128, cr - 128
    colours = np.stack((y + _RED_OF_CR * cr, y + _GREEN_OF_CB * cb + _GREEN_OF_CR * cr, y + _BLUE_OF_CB * cb), axis=-1)
    return _bytes(np.rint(colours))


def _bytes(colours: Array) -> Array:
    clipped: Array = np.clip(colours, 0, 255)
    return clipped.astype("u1")


def _palette(pixels: Array, frames: Frames) -> Array:
    tables = [lookup_table(frames, frames.dataset, *tags) for tags in _PALETTES]
    planes = [table.of(pixels) >> (table.bits - 8 if table.bits > 8 else 0) for table in tables]
    return np.stack(planes, axis=-1).astype("u1")
