"""From stored values to grey: modality LUT, VOI LUT or window, and the inversion of MONOCHROME1 (PS3.4 N.2.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from gateway.dicom.dataset import Dataset, Tag
from gateway.errors import InvalidPart10
from gateway.pixels.description import Array, stored_values
from gateway.pixels.frames import Frames
from gateway.pixels.lookup_tables import lookup_table
from gateway.pixels.rendering import VoiFunction, Window

_Step: TypeAlias = Callable[[Array], Array]

SHARED_GROUPS, FRAME_GROUPS = "52009229", "52009230"
# Pixel Value Transformation and Frame VOI LUT, the macros of functional groups that matter here.
MACROS = ("00289145", "00289132")

_RESCALE_INTERCEPT, _RESCALE_SLOPE, MODALITY_LUTS = "00281052", "00281053", "00283000"
_WINDOW_CENTER, _WINDOW_WIDTH, _VOI_FUNCTION, VOI_LUTS = "00281050", "00281051", "00281056", "00283010"
_LUT_DESCRIPTOR, _LUT_DATA = "00283002", "00283006"
_PADDING, _PADDING_LIMIT = "00280120", "00280121"

# PS3.3 C.11.2.1.3: what the attribute says, and what PS3.18 calls the same.
_FUNCTIONS: dict[str, VoiFunction] = {"LINEAR": "linear", "LINEAR_EXACT": "linear-exact", "SIGMOID": "sigmoid"}


def grayscale(pixels: Array, frames: Frames, number: int, window: Window | None) -> Array:
    """Return a frame's stored values as grey from 0, black, to 255. Raises InvalidPart10 for a damaged lookup table.

    window: to be used instead of the dataset's. Without either, the smallest value becomes black, the largest white.
    """
    description = frames.description
    dataset = frame_dataset(frames.dataset, number)
    values = stored_values(pixels, description)
    if description.bits_allocated == 1:
        grey = values * np.uint8(255)
    else:
        # Infinities and NaN are black or white at the end, and not worth a warning on the way.
        with np.errstate(all="ignore"):
            modality = _modality(frames, dataset)
            voi = _voi(frames, dataset, window) or _whole_range(modality, values, dataset)
            grey = _through(values, lambda samples: _byte(voi(modality(samples))))
    return 255 - grey if description.photometric_interpretation == "MONOCHROME1" else grey


def frame_dataset(dataset: Dataset, number: int) -> Dataset:
    """Return the dataset with what its functional groups say of one frame at its top level (PS3.3 C.7.6.16)."""
    merged = dict(dataset)
    for tag, index in ((SHARED_GROUPS, 0), (FRAME_GROUPS, number - 1)):
        groups = dataset[tag].items[index : index + 1] if tag in dataset else ()
        for macro in (item[name] for item in groups for name in MACROS if name in item):
            merged |= macro.items[0] if macro.items else {}
    return merged


def _through(values: Array, pipeline: _Step) -> Array:
    """Return the pipeline's result for each value: of up to 16 bits by a table of all values there are."""
    if values.dtype.kind == "f" or values.dtype.itemsize > 2:
        return pipeline(values)
    low, high = int(values.min()), int(values.max())
    return np.take(pipeline(np.arange(low, high + 1)), values.astype("i4") - low)


def _byte(unit: Array) -> Array:
    """Return 0 to 1 as 0 to 255."""
    grey: Array = np.rint(np.clip(np.nan_to_num(unit), 0, 1) * 255)
    return grey.astype("u1")


# --- Modality LUT (PS3.3 C.11.1) --------------------------------------------------------------------------------------


def _modality(frames: Frames, dataset: Dataset) -> _Step:
    if (luts := dataset.get(MODALITY_LUTS)) and luts.items:
        table = lookup_table(frames, luts.items[0], _LUT_DESCRIPTOR, _LUT_DATA)
        return lambda values: table.of(values).astype("f8")
    slope, intercept = _first(dataset, _RESCALE_SLOPE), _first(dataset, _RESCALE_INTERCEPT)
    return lambda values: values.astype("f8") * (1.0 if slope is None else slope) + (intercept or 0.0)


def _first(dataset: Dataset, tag: Tag) -> float | None:
    """Return the first value of an attribute as a number; None where there is none. Raises InvalidPart10."""
    element = dataset.get(tag)
    if element is None or not element.values:
        return None
    try:
        return float(element.values[0])
    except ValueError as error:
        raise InvalidPart10(f"({tag[:4]},{tag[4:]}) is no number") from error


# --- VOI LUT (PS3.3 C.11.2) -------------------------------------------------------------------------------------------


def _voi(frames: Frames, dataset: Dataset, window: Window | None) -> _Step | None:
    """Return the step from modality values to 0..1: the window asked for, or the dataset's first one or first table."""
    window = window or _own_window(dataset)
    if window:
        return _windowed(window)
    if (luts := dataset.get(VOI_LUTS)) and luts.items:
        table = lookup_table(frames, luts.items[0], _LUT_DESCRIPTOR, _LUT_DATA)
        return lambda values: table.of(values) / ((1 << table.bits) - 1)
    return None


def _own_window(dataset: Dataset) -> Window | None:
    center, width = _first(dataset, _WINDOW_CENTER), _first(dataset, _WINDOW_WIDTH)
    function = dataset.get(_VOI_FUNCTION)
    name = str(function.values[0]) if function and function.values else "LINEAR"
    if center is None or width is None or not width > 0 or name not in _FUNCTIONS:
        return None
    return Window(center, max(width, 1) if name == "LINEAR" else width, _FUNCTIONS[name])


def _windowed(window: Window) -> _Step:
    """Return the function of a window, its output from 0 to 1; what is beyond is cut off later.

    PS3.3 C.11.2.1.2.1, C.11.2.1.3.2 and C.11.2.1.3.1. A linear window of width 1 is a threshold.
    """
    center, width = window.center, window.width
    if window.function == "sigmoid":
        return lambda values: 1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -700, 700)))
    if window.function == "linear-exact":
        return lambda values: (values - center) / width + 0.5
    if width == 1:
        return lambda values: (values > center - 0.5).astype("f8")
    return lambda values: (values - (center - 0.5)) / (width - 1) + 0.5


def _whole_range(modality: _Step, values: Array, dataset: Dataset) -> _Step:
    """Return the step that shows all values there are but padding, which is black or white at the ends."""
    shown = values[~_padding(values, dataset)]
    if values.dtype.kind == "f":
        shown = shown[np.isfinite(shown)]
    outcomes = modality(_distinct(shown)) if shown.size else np.zeros(1)
    low, high = outcomes.min(), outcomes.max()
    if low == high:
        return lambda samples: np.zeros(samples.shape)
    return lambda samples: (samples - low) / (high - low)


def _distinct(values: Array) -> Array:
    """Return the values there are, without repetition; of more than 16 bits, which have no table, the two ends."""
    low, high = values.min(), values.max()
    if values.dtype.kind == "f" or values.dtype.itemsize > 2:
        return np.array([low, high])
    return np.flatnonzero(np.bincount(values.ravel().astype("i4") - int(low))) + int(low)


def _padding(values: Array, dataset: Dataset) -> Array:
    """Return where a frame is padding (PS3.3 C.7.5.1.1.2)."""
    one = _first(dataset, _PADDING)
    if one is None:
        return np.zeros(values.shape, bool)
    other = _first(dataset, _PADDING_LIMIT)
    ends = (one, one if other is None else other)
    return (values >= min(ends)) & (values <= max(ends))
