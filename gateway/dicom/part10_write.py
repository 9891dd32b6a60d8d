"""From a dataset to the bytes of data elements, and of a whole PS3.10 file."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from struct import error as StructError
from struct import pack
from typing import TypeAlias

from gateway.dicom.characters import (
    PERSON_NAME_DELIMITERS,
    UTF_8,
    VALUE_DELIMITERS,
    CharacterSet,
    DoesNotFit,
    character_set,
)
from gateway.dicom.dataset import BulkData, Dataset, Element, Tag, in_tag_order
from gateway.dicom.dictionary import CHARACTER_SET_VRS, PIXEL_DATA, SINGLE_VALUED_VRS, STRING_VRS, is_group_length
from gateway.dicom.encoding import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    ITEM,
    LONG_VRS,
    NUMBER_FORMATS,
    SEQUENCE_DELIMITER,
    UNDEFINED_LENGTH,
    WORD_SIZES,
    Buffer,
    Encoding,
    encoding_of,
    swapped,
)
from gateway.dicom.part10_read import FILE_META_GROUP_LENGTH, PREAMBLE_LENGTH, PREFIX, SPECIFIC_CHARACTER_SET
from gateway.errors import InvalidPart10

ReadBulk: TypeAlias = Callable[[BulkData], Buffer]

# Ours, from a UUID as PS3.5 annex B.2 makes UIDs; for the files we write from nothing.
IMPLEMENTATION_CLASS_UID = "2.25.57838389455205268316901821868439703012"

# The most that a length of 16 bits can say and an even number of bytes have.
_LONGEST_SHORT = 0xFFFE


@dataclass(frozen=True, slots=True)
class Target:
    """How elements of one dataset are to be written. read_bulk gives the bytes of a BulkData, little endian."""

    encoding: Encoding
    characters: CharacterSet
    read_bulk: ReadBulk

    def within(self, dataset: Dataset) -> Target:
        """Return the target for a dataset, given that of the one it is an item of (PS3.5 section 7.5.3)."""
        own = dataset.get(SPECIFIC_CHARACTER_SET)
        if own is None or own.vr not in STRING_VRS:
            return self
        return replace(self, characters=character_set(tuple(map(str, own.values))))


def no_bulk(bulk: BulkData) -> Buffer:
    """The `read_bulk` for datasets that have none. Raises InvalidPart10."""
    raise InvalidPart10("a binary value is elsewhere, and nobody says where")


def target_for(dataset: Dataset, encoding: Encoding, read_bulk: ReadBulk) -> Target:
    """Return the target for a file's own dataset."""
    return Target(encoding, character_set(()), read_bulk).within(dataset)


def write_part10(
    dataset: Dataset,
    transfer_syntax_uid: str,
    pixel_data: Element | None = None,
    read_bulk: ReadBulk = no_bulk,
) -> bytes:
    """Return a dataset as a PS3.10 file.

    pixel_data: PixelData, its bytes little endian; of a compressed transfer syntax all items, without the delimiter.
    File meta information is taken from group 0002 of the dataset, and what it must have is added. If a text does not
    fit into the dataset's character set, the file is in ISO_IR 192. Raises InvalidPart10 for a value no VR can have.
    """
    encoding = encoding_of(transfer_syntax_uid)
    pixels: dict[Tag, list[Buffer]] = {}
    if pixel_data:
        pixels["7FE00010"] = encoded_element("7FE00010", pixel_data, target_for({}, encoding, read_bulk))
    head, *data = part10_pieces(dataset, transfer_syntax_uid, pixels, read_bulk)
    if transfer_syntax_uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        data = [deflated(data)]
    return b"".join([head, *data])


def part10_pieces(
    dataset: Dataset, transfer_syntax_uid: str, encoded: Mapping[Tag, list[Buffer]], read_bulk: ReadBulk = no_bulk
) -> list[Buffer]:
    """Return a PS3.10 file in pieces, its head the first; bulk data and what is encoded already are not copied.

    encoded: elements as bytes, in place of those of the dataset: pixel data. Nothing is deflated here. Raises
    InvalidPart10.
    """
    encoding = encoding_of(transfer_syntax_uid)
    body = dataset_body(dataset)
    try:
        elements = _by_tag(body, target_for(body, encoding, read_bulk))
    except DoesNotFit:
        body = in_utf_8(body)
        elements = _by_tag(body, target_for(body, encoding, read_bulk))
    elements |= encoded
    meta = {tag: element for tag, element in dataset.items() if tag.startswith("0002")}
    head = file_head(_complete_meta(meta, dataset, transfer_syntax_uid))
    return [head, *(piece for tag in sorted(elements) for piece in elements[tag])]


def _by_tag(dataset: Dataset, target: Target) -> dict[Tag, list[Buffer]]:
    return {tag: encoded_element(tag, element, target) for tag, element in dataset.items()}


def dataset_body(dataset: Dataset) -> Dataset:
    """Return what of a dataset stands after the file meta information; pixel data comes from elsewhere."""
    return {
        tag: element
        for tag, element in in_tag_order(dataset).items()
        if not (tag.startswith("0002") or is_group_length(tag) or tag in PIXEL_DATA)
    }


def in_utf_8(dataset: Dataset) -> Dataset:
    """Return the dataset with ISO_IR 192 as its character set, and as that of each item that names one."""
    return in_tag_order(_items_in_utf_8(dataset) | {SPECIFIC_CHARACTER_SET: Element("CS", (UTF_8,))})


def _items_in_utf_8(dataset: Dataset) -> Dataset:
    return {
        tag: Element("CS", (UTF_8,))
        if tag == SPECIFIC_CHARACTER_SET
        else replace(element, items=tuple(map(_items_in_utf_8, element.items)))
        if element.items
        else element
        for tag, element in dataset.items()
    }


def _complete_meta(meta: Dataset, dataset: Dataset, transfer_syntax_uid: str) -> Dataset:
    """Return file meta information with what PS3.10 section 7.1 requires."""
    empty = Element("UI")
    required = {
        "00020001": Element("OB", binary=b"\0\1"),
        "00020002": dataset.get("00080016", empty),
        "00020003": dataset.get("00080018", empty),
        "00020012": Element("UI", (IMPLEMENTATION_CLASS_UID,)),
    }
    return required | meta | {"00020010": Element("UI", (transfer_syntax_uid,))}


def file_head(meta: Dataset) -> bytes:
    """Return preamble, prefix and file meta information, its group length counted (PS3.10 section 7.1)."""
    rest = {tag: meta[tag] for tag in sorted(meta) if tag != FILE_META_GROUP_LENGTH}
    return head_of(b"".join(encoded_dataset(rest, target_for({}, EXPLICIT_LITTLE, no_bulk))))


def head_of(meta: bytes) -> bytes:
    """Return preamble, prefix and group length before the rest of group 0002."""
    length = header(FILE_META_GROUP_LENGTH, "UL", 4, EXPLICIT_LITTLE) + pack("<L", len(meta))
    return bytes(PREAMBLE_LENGTH) + PREFIX + length + meta


def deflated(pieces: Iterable[Buffer]) -> bytes:
    """Return a dataset deflated, with a NUL if that makes it even (PS3.5 A.5)."""
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = b"".join([*map(stream.compress, pieces), stream.flush()])
    return data + bytes(len(data) % 2)


def encoded_dataset(dataset: Dataset, target: Target) -> list[Buffer]:
    """Return the elements of a dataset as bytes. Raises DoesNotFit, InvalidPart10."""
    return [piece for tag, element in dataset.items() for piece in encoded_element(tag, element, target)]


def encoded_element(tag: Tag, element: Element, target: Target) -> list[Buffer]:
    """Return one element as bytes, its header first. Raises DoesNotFit, InvalidPart10."""
    encoding = target.encoding
    if element.vr == "SQ":
        return encoded_sequence(tag, [encoded_item(item, target) for item in element.items], encoding)
    value = encoded_value(tag, element, target)
    if tag in PIXEL_DATA and _are_fragments(value, encoding):
        opening = header(tag, element.vr, UNDEFINED_LENGTH, encoding)
        return [opening, value, marker(SEQUENCE_DELIMITER, 0, encoding)]
    vr = element.vr
    if len(value) > _LONGEST_SHORT and vr not in LONG_VRS and not encoding.implicit:
        # PS3.5 section 6.2.2: too long for 16 bits is UN, which is implicit VR little endian.
        vr, value = "UN", encoded_value(tag, element, replace(target, encoding=IMPLICIT_LITTLE))
    return [header(tag, vr, len(value), encoding), value]


def _are_fragments(value: Buffer, encoding: Encoding) -> bool:
    """Whether a value is nothing but items, as encapsulated pixel data is (PS3.5 A.4)."""
    position, item = 0, encoding.tag_bytes(ITEM)
    while position + 8 <= len(value) and value[position : position + 4] == item:
        position += 8 + encoding.long_length.unpack_from(value, position + 4)[0]
    return position == len(value) > 0


def encoded_sequence(tag: Tag, items: list[list[Buffer]], encoding: Encoding) -> list[Buffer]:
    """Return a sequence, given its items with their headers: of defined length, but in implicit VR.

    There, undefined length is what tells a private sequence from UN.
    """
    pieces = [piece for item in items for piece in item]
    if encoding.implicit:
        return [marker(tag, UNDEFINED_LENGTH, encoding), *pieces, marker(SEQUENCE_DELIMITER, 0, encoding)]
    return [header(tag, "SQ", sum(map(len, pieces)), encoding), *pieces]


def encoded_item(item: Dataset, target: Target) -> list[Buffer]:
    """Return an item of defined length. Raises DoesNotFit, InvalidPart10."""
    return with_item_header(encoded_dataset(item, target.within(item)), target.encoding)


def with_item_header(pieces: list[Buffer], encoding: Encoding) -> list[Buffer]:
    return [marker(ITEM, sum(map(len, pieces)), encoding), *pieces]


def header(tag: Tag, vr: str, length: int, encoding: Encoding) -> bytes:
    """Return what stands before a value (PS3.5 section 7.1)."""
    if encoding.implicit:
        return marker(tag, length, encoding)
    if vr in LONG_VRS:
        return encoding.tag_bytes(tag) + vr.encode("ascii") + b"\0\0" + encoding.long_length.pack(length)
    return encoding.tag_bytes(tag) + vr.encode("ascii") + pack(encoding.order + "H", length)


def marker(tag: Tag, length: int, encoding: Encoding) -> bytes:
    """Return an item's header or a delimiter; in implicit VR, any header."""
    return encoding.tag_bytes(tag) + encoding.long_length.pack(length)


def encoded_value(tag: Tag, element: Element, target: Target) -> Buffer:
    """Return a value padded to an even length. Raises DoesNotFit, InvalidPart10."""
    value = _unpadded(tag, element, target)
    if len(value) % 2 == 0:
        return value
    text = element.values and element.vr != "UI"
    return bytes(value) + (b" " if text else b"\0")


def _unpadded(tag: Tag, element: Element, target: Target) -> Buffer:
    vr, order = element.vr, target.encoding.order
    if not element.values:
        return _binary(element, target)
    if vr == "AT":
        return b"".join(target.encoding.tag_bytes(str(value)) for value in element.values)
    if vr in NUMBER_FORMATS:
        try:
            return pack(f"{order}{len(element.values)}{NUMBER_FORMATS[vr]}", *element.values)
        except (StructError, OverflowError) as error:
            raise InvalidPart10(f"{tag}: a value that {vr} cannot have") from error
    text = "\\".join(map(str, element.values))
    if vr not in CHARACTER_SET_VRS:
        return _plain(text)
    delimiters = "" if vr in SINGLE_VALUED_VRS else PERSON_NAME_DELIMITERS if vr == "PN" else VALUE_DELIMITERS
    return target.characters.encode(text, delimiters)


def _plain(text: str) -> bytes:
    """Return text of the default repertoire. Latin-1 as it is read; what has no place there is still not lost."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _binary(element: Element, target: Target) -> Buffer:
    value = target.read_bulk(element.binary) if isinstance(element.binary, BulkData) else element.binary
    if target.encoding.big_endian and element.vr in WORD_SIZES:
        return swapped(memoryview(value), WORD_SIZES[element.vr])
    return value
