"""What of a dataset pictures are made of: little enough to be kept, where the functional groups of a slide are not."""

from __future__ import annotations

from gateway.dicom.dataset import BulkData, Dataset, Element, Tag
from gateway.pixels.grayscale import FRAME_GROUPS, MACROS, MODALITY_LUTS, SHARED_GROUPS, VOI_LUTS

# The image pixel, palette and lookup table attributes, and the offset tables; of other groups no binary value counts.
_PIXEL_GROUPS = ("0028", "7FE0")

# About how many bytes of memory an element takes, with what it lies in.
_ELEMENT = 400


def picture_dataset(dataset: Dataset) -> Dataset:
    """Return the attributes that rendering looks at, and others that take no room."""
    return {tag: kept for tag, element in dataset.items() if (kept := _kept(tag, element)) is not None}


def _kept(tag: Tag, element: Element) -> Element | None:
    if tag in (SHARED_GROUPS, FRAME_GROUPS):
        return Element("SQ", items=tuple(_macros(item) for item in element.items))
    if element.vr == "SQ":
        return element if tag in (MODALITY_LUTS, VOI_LUTS) else None
    return element if tag.startswith(_PIXEL_GROUPS) or not element.binary else None


_NOTHING: Dataset = {}


def _macros(groups: Dataset) -> Dataset:
    """Return the macros that matter of one frame's groups. Mostly there are none, for a hundred thousand frames."""
    return {tag: groups[tag] for tag in MACROS if tag in groups} or _NOTHING


def memory_of(dataset: Dataset) -> int:
    """Return about how many bytes of memory a dataset takes."""
    size = 0
    for element in dataset.values():
        size += _ELEMENT + (0 if isinstance(element.binary, BulkData) else len(element.binary))
        size += sum(8 + memory_of(item) if item else 8 for item in element.items)
    return size
