"""What the dataset says about the pixels: the Image Pixel Module (PS3.3 C.7.6.3), as a value.

Everything that allocates memory for pixels goes by this description, whose size is bounded here, and never by what a
compressed frame says of itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gateway.dicom.dataset import Dataset, Tag
from gateway.errors import InvalidPart10, NotAcceptable, TooLarge

# Samples of one frame: rows x columns, or rows x columns x samples.
Array: TypeAlias = NDArray[Any]

PIXEL_DATA = "7FE00010"
FLOAT_PIXEL_DATA = "7FE00008"
DOUBLE_FLOAT_PIXEL_DATA = "7FE00009"

# A frame of a hundred megapixels with 16 bits has 200 MiB; nothing that exists is larger than this, decoded.
MAX_FRAME_BYTES = 512 * 2**20
MAX_FRAMES = 10_000_000

_KINDS = {PIXEL_DATA: "", FLOAT_PIXEL_DATA: "f4", DOUBLE_FLOAT_PIXEL_DATA: "f8"}


@dataclass(frozen=True, slots=True)
class PixelDescription:
    """The Image Pixel Module. tag: which of the three kinds of pixel data there is.

    photometric_interpretation: upper case. bits_allocated, bits_stored: of one sample. planar_configuration: 0 where
    absent.
    """

    rows: int
    columns: int
    samples_per_pixel: int
    bits_allocated: int
    bits_stored: int
    pixel_representation: int
    photometric_interpretation: str
    planar_configuration: int
    number_of_frames: int
    tag: Tag = PIXEL_DATA

    @property
    def signed(self) -> bool:
        return self.pixel_representation == 1

    @property
    def is_float(self) -> bool:
        return self.tag != PIXEL_DATA

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns, and samples where there is more than one."""
        shape = (self.rows, self.columns)
        return shape if self.samples_per_pixel == 1 else (*shape, self.samples_per_pixel)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the type of a decoded sample, little endian; one of 1 bit takes a byte. Raises NotAcceptable."""
        if self.is_float:
            return np.dtype(f"<{_KINDS[self.tag]}")
        size = 1 if self.bits_allocated == 1 else self.bits_allocated // 8
        if size not in (1, 2, 4, 8) or self.bits_allocated not in (1, size * 8):
            raise NotAcceptable(f"pixels of {self.bits_allocated} bits allocated are not decoded here")
        return np.dtype(f"<{'i' if self.signed and self.bits_allocated > 1 else 'u'}{size}")

    @property
    def frame_bits(self) -> int:
        """Bits of one native frame. PS3.3 C.7.6.3.1.2: of YBR_FULL_422, every second pixel has colour."""
        bits = self.rows * self.columns * self.samples_per_pixel * self.bits_allocated
        return bits // 3 * 2 if self.photometric_interpretation in SUBSAMPLED else bits

    @property
    def decoded_bytes(self) -> int:
        """Bytes of one frame decoded."""
        return self.rows * self.columns * self.samples_per_pixel * self.dtype.itemsize


SUBSAMPLED = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422"})

# Tag, name, field, and what holds where it is absent; None: it may not be. PS3.3 Table C.7-11b and C.7.6.6.
_FIELDS: tuple[tuple[Tag, str, str, int | None], ...] = (
    ("00280010", "Rows", "rows", None),
    ("00280011", "Columns", "columns", None),
    ("00280002", "Samples per Pixel", "samples_per_pixel", 1),
    ("00280100", "Bits Allocated", "bits_allocated", None),
    ("00280101", "Bits Stored", "bits_stored", 0),
    ("00280103", "Pixel Representation", "pixel_representation", 0),
    ("00280006", "Planar Configuration", "planar_configuration", 0),
    ("00280008", "Number of Frames", "number_of_frames", 1),
)


def pixel_description(dataset: Dataset, tag: Tag = PIXEL_DATA) -> PixelDescription:
    """Return the description of a dataset's pixels. tag: which kind of pixel data it has.

    Raises InvalidPart10 for one that is missing, is no number or describes nothing, TooLarge for a frame of more than
    512 MiB.
    """
    numbers = {field: _number(dataset, attribute, name, default) for attribute, name, field, default in _FIELDS}
    element = dataset.get("00280004")
    photometric = str(element.values[0]).strip().upper() if element and element.values else ""
    description = PixelDescription(**numbers, photometric_interpretation=photometric, tag=tag)
    return _checked(_completed(description))


def _number(dataset: Dataset, tag: Tag, name: str, default: int | None) -> int:
    element = dataset.get(tag)
    value = element.values[0] if element and element.values else default
    if value is None:
        raise InvalidPart10(f"{name} ({tag[:4]},{tag[4:]}) is missing, and Pixel Data need it")
    try:
        return int(value)
    except ValueError as error:
        raise InvalidPart10(f"{name} ({tag[:4]},{tag[4:]}) is no number") from error


def _completed(description: PixelDescription) -> PixelDescription:
    """Return the description with what follows from the rest where it is absent or makes no sense."""
    allocated, stored = description.bits_allocated, description.bits_stored
    default = "MONOCHROME2" if description.samples_per_pixel == 1 else "RGB"
    return replace(
        description,
        bits_stored=stored if 0 < stored <= allocated else allocated,
        number_of_frames=max(1, description.number_of_frames),
        photometric_interpretation=description.photometric_interpretation or default,
    )


def _checked(description: PixelDescription) -> PixelDescription:
    if description.rows < 1 or description.columns < 1 or description.bits_allocated < 1:
        raise InvalidPart10("Rows, Columns or Bits Allocated is zero")
    if description.samples_per_pixel < 1:
        raise InvalidPart10("Samples per Pixel is zero")
    if description.frame_bits > 8 * MAX_FRAME_BYTES or description.rows * description.columns > MAX_FRAME_BYTES:
        raise TooLarge(f"a frame of more than {MAX_FRAME_BYTES} bytes is not read here")
    if description.number_of_frames > MAX_FRAMES:
        raise TooLarge(f"more than {MAX_FRAMES} frames are not read here")
    return description


def stored_values(pixels: Array, description: PixelDescription) -> Array:
    """Return the samples without what lies in the bits above Bits Stored (PS3.5 section 8.1.1).

    Overlays of old scanners lie there, and signs that nobody extended.
    """
    unused = description.bits_allocated - description.bits_stored
    if description.is_float or description.bits_allocated == 1 or unused == 0:
        return pixels
    return without_upper_bits(pixels, unused)


def without_upper_bits(pixels: Array, number: int) -> Array:
    """Return samples with some upper bits overwritten: by the sign of what is below, or by zero in unsigned ones."""
    shifted: Array = np.left_shift(pixels, number)
    return np.right_shift(shifted, number, out=shifted)
