"""The elements of a dataset in explicit VR little endian, whatever they are encoded in.

Values are copied byte for byte wherever the two encodings have the same bytes for them: text always, numbers unless
they come from big endian. What is odd about a value stays odd.
"""

from __future__ import annotations

from operator import itemgetter

from gateway.dicom.dataset import Tag
from gateway.dicom.dictionary import BINARY_VRS, PIXEL_DATA, STRING_VRS, VRS, is_group_length
from gateway.dicom.encoding import EXPLICIT_LITTLE, LONG_VRS, WORD_SIZES, Buffer
from gateway.dicom.part10_read import Context, Decoder, Layout
from gateway.dicom.part10_walk import Item, Raw
from gateway.dicom.part10_write import (
    encoded_element,
    encoded_sequence,
    header,
    no_bulk,
    target_for,
    with_item_header,
)

# The same bytes in either byte order. UN is little endian in every file (PS3.5 section 6.2.2).
_ORDERLESS = (STRING_VRS | BINARY_VRS) - WORD_SIZES.keys() - {"AT"}

_LONGEST_SHORT = 0xFFFE


def explicit_elements(layout: Layout) -> dict[Tag, list[Buffer]]:
    """Return the elements of a file's dataset as bytes, by tag: all but pixel data and retired group lengths."""
    decoder = Decoder(layout.data, len(layout.data), in_file=True)
    if layout.encoding != EXPLICIT_LITTLE:
        return _Writer(decoder).dataset(layout.elements, decoder.context(layout.elements, layout.encoding, None))
    data = memoryview(layout.data)
    return {raw[0]: [data[raw[2] : raw[5]]] for raw in layout.elements if not _left_out(raw[0])}


def _left_out(tag: Tag) -> bool:
    return is_group_length(tag) or tag in PIXEL_DATA


class _Writer:
    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.data = memoryview(decoder.data)

    def dataset(self, elements: list[Raw], context: Context) -> dict[Tag, list[Buffer]]:
        """Return the elements of one dataset, in order of their tags."""
        copied = {raw[0] for raw in elements if _same_bytes(raw, context)}
        decoded = self.decoder.dataset(elements, context, skip=PIXEL_DATA | copied)
        target = target_for({}, EXPLICIT_LITTLE, no_bulk)
        written: dict[Tag, list[Buffer]] = {}
        for raw in sorted(elements, key=itemgetter(0)):
            tag, vr, _, start, stop, _, items = raw
            if _left_out(tag):
                continue
            if tag in copied:
                written[tag] = [_header(tag, vr, stop - start), self.data[start:stop]]
            elif items is not None:
                written[tag] = encoded_sequence(tag, [self.item(item, context) for item in items], EXPLICIT_LITTLE)
            else:
                written[tag] = encoded_element(tag, decoded[tag], target)
        return written

    def item(self, item: Item, outer: Context) -> list[Buffer]:
        elements = self.dataset(item.elements, self.decoder.context(item.elements, item.encoding, outer))
        return with_item_header([piece for pieces in elements.values() for piece in pieces], EXPLICIT_LITTLE)


def _same_bytes(raw: Raw, context: Context) -> bool:
    """Whether a value has the same bytes in explicit VR little endian. No text is ever decoded: all of it has."""
    _, vr, _, _, _, _, items = raw
    return items is None and vr in VRS and (vr in _ORDERLESS or not context.encoding.big_endian)


def _header(tag: Tag, vr: str, length: int) -> bytes:
    """Return an element's header. PS3.5 section 6.2.2: a value too long for 16 bits is UN."""
    return header(tag, vr if vr in LONG_VRS or length <= _LONGEST_SHORT else "UN", length, EXPLICIT_LITTLE)
