"""A PS3.10 file with other attributes in it: what an edit did not touch stays byte for byte, the pixels above all.

The original is walked, and each element whose decoded value equals the dataset's is copied as it lies in the file,
whatever is odd about it. The rest is written in the original's encoding. An item of a sequence is treated likewise,
so that an edit deep in a sequence leaves its neighbours alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

from gateway.dicom.characters import DoesNotFit
from gateway.dicom.dataset import BulkData, Dataset, Element, Tag
from gateway.dicom.dictionary import CHARACTER_SET_VRS, PIXEL_DATA, is_group_length
from gateway.dicom.encoding import EXPLICIT_LITTLE, Buffer
from gateway.dicom.part10_read import (
    FILE_META_GROUP_LENGTH,
    PREAMBLE_LENGTH,
    TRANSFER_SYNTAX_UID,
    Context,
    Decoder,
    Layout,
    bulk_uri,
    decoded_meta,
    walk_part10,
)
from gateway.dicom.part10_walk import Item, Raw
from gateway.dicom.part10_write import (
    ReadBulk,
    Target,
    dataset_body,
    deflated,
    encoded_element,
    encoded_item,
    encoded_sequence,
    head_of,
    in_utf_8,
    no_bulk,
    target_for,
    with_item_header,
)
from gateway.errors import InvalidPart10

# PS3.10 Table 7.1-1, type 1: kept whatever the dataset says of them.
_REQUIRED_META = ("00020001", "00020002", "00020003", TRANSFER_SYNTAX_UID, "00020012")


def rewrite(original: Buffer, dataset: Dataset, read_bulk: ReadBulk) -> list[bytes | memoryview]:
    """Return a PS3.10 file with the dataset's attributes in place of its own, as pieces to send one after another.

    Transfer syntax and pixel data are the original's, byte for byte; the preamble is zeros. Media Storage SOP Instance
    UID follows SOP Instance UID. If a text does not fit into the dataset's Specific Character Set, all text is written
    in ISO_IR 192, and Specific Character Set says so. Nothing different: the original's bytes.

    read_bulk gives the bytes of a BulkData, little endian, wherever one is in an element that differs.
    Raises InvalidPart10 if the original is no PS3.10 file, or for a value that its VR cannot have.
    """
    layout = walk_part10(original)
    after = dataset_body(dataset)
    try:
        body = _body(layout, after, read_bulk)
    except DoesNotFit:
        body = _body_in_utf_8(layout, after, read_bulk)
    return [*_head(layout, dataset), *body]


def _body_in_utf_8(layout: Layout, after: Dataset, read_bulk: ReadBulk) -> list[bytes | memoryview]:
    try:
        return _body(layout, in_utf_8(after), read_bulk)
    except DoesNotFit as error:
        raise InvalidPart10("a text has a character that no character set has") from error


def _body(layout: Layout, after: Dataset, read_bulk: ReadBulk) -> list[bytes | memoryview]:
    """Return what follows the file meta information. Raises DoesNotFit."""
    merge = _Merge(layout, read_bulk)
    pieces = merge.top(layout, after)
    if pieces is None:
        return [memoryview(layout.file)[layout.meta_end :]]
    if layout.deflated:
        return [deflated(pieces)]
    return [piece if isinstance(piece, bytes) else memoryview(piece) for piece in _joined(pieces)]


def _joined(pieces: list[Buffer]) -> list[Buffer]:
    """Return the pieces with runs of small ones joined: a file is written in a few calls, and no pixel is copied."""
    joined: list[Buffer] = []
    small: list[Buffer] = []
    for piece in [*pieces, None]:
        if piece is not None and len(piece) <= _SMALL:
            small.append(piece)
            continue
        if small:
            joined.append(b"".join(small))
            small = []
        if piece is not None:
            joined.append(piece)
    return joined


_SMALL = 64 * 1024


def _head(layout: Layout, dataset: Dataset) -> list[bytes | memoryview]:
    """Return preamble, prefix and file meta information."""
    before = decoded_meta(layout)
    after = _meta_after(before, layout, dataset)
    if same_dataset(_countless(before), after):
        prefix = memoryview(layout.file)[PREAMBLE_LENGTH : layout.meta_end]
        return [bytes(PREAMBLE_LENGTH), prefix]
    kept = {raw[0]: memoryview(layout.file)[raw[2] : raw[5]] for raw in layout.meta}
    target = target_for({}, EXPLICIT_LITTLE, no_bulk)
    pieces: list[Buffer] = []
    for tag in sorted(after):
        unchanged = tag in before and same(before[tag], after[tag])
        pieces += [kept[tag]] if unchanged else encoded_element(tag, after[tag], target)
    return [head_of(b"".join(pieces))]


def _meta_after(before: Dataset, layout: Layout, dataset: Dataset) -> Dataset:
    """Return group 0002 as it is to be: the dataset's, but the transfer syntax and what must not be missing."""
    asked = {tag: element for tag, element in dataset.items() if tag.startswith("0002")}
    after = _countless({tag: before[tag] for tag in _REQUIRED_META if tag in before} | asked)
    after[TRANSFER_SYNTAX_UID] = before[TRANSFER_SYNTAX_UID]
    now = dataset.get("00080018")
    if now and now.values and now != _sop_instance_uid(layout):
        after["00020003"] = now
    return after


def _sop_instance_uid(layout: Layout) -> Element | None:
    elements = [raw for raw in layout.elements if raw[0] == "00080018"]
    decoder = Decoder(layout.data, _INLINE_LIMIT, in_file=True)
    return decoder.dataset(elements, decoder.context(elements, layout.encoding, None)).get("00080018")


def _countless(meta: Dataset) -> Dataset:
    return {tag: element for tag, element in meta.items() if tag != FILE_META_GROUP_LENGTH}


# Longer binary values are compared by their digests.
_INLINE_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class _Level:
    """One dataset of the original and what is to become of it."""

    elements: list[Raw]
    before: Dataset
    after: Dataset
    context: Context
    target: Target


class _Merge:
    """Writes the datasets of one file anew, copying what did not change."""

    def __init__(self, layout: Layout, read_bulk: ReadBulk) -> None:
        self.data = memoryview(layout.data)
        self.read_bulk = read_bulk
        self.decoder = Decoder(layout.data, _INLINE_LIMIT, in_file=True)

    def top(self, layout: Layout, after: Dataset) -> list[Buffer] | None:
        """Return the file's dataset with `after` in it; None where nothing changes. Raises DoesNotFit."""
        context = self.decoder.context(layout.elements, layout.encoding, None)
        before = self.decoder.dataset(layout.elements, context, skip=PIXEL_DATA)
        target = target_for(after, layout.encoding, self.read_bulk)
        level = _Level(layout.elements, before, after, context, target)
        changed = self.changed(level)
        return self.merged(level, changed) if changed else None

    def changed(self, level: _Level) -> set[Tag]:
        """Return the tags that are new, gone, or to be written anew.

        An element is copied if it has the same value, in text that means the same.
        """
        same_text = level.context.characters == level.target.characters
        kept = set()
        for raw in level.elements:
            tag = raw[0]
            before, after = level.before.get(tag), level.after.get(tag)
            if before and after and same(before, after) and (same_text or self.means_the_same(raw, before.vr)):
                kept.add(tag)
        return (level.before.keys() | level.after.keys()) - kept

    def means_the_same(self, raw: Raw, vr: str) -> bool:
        """Whether a value is the same in every character set: no text, or ASCII without escape sequences."""
        _, _, _, start, stop, _, items = raw
        if items is not None:
            return all(self.means_the_same(inner, inner[1]) for item in items for inner in item.elements)
        if vr not in CHARACTER_SET_VRS and vr != "UN":
            return True
        value = bytes(self.data[start:stop])
        return value.isascii() and b"\x1b" not in value

    def merged(self, level: _Level, changed: set[Tag]) -> list[Buffer]:
        """Return a dataset's elements in order of their tags. Raises DoesNotFit."""
        groups = {tag[:4] for tag in changed}
        copied: dict[Tag, list[Buffer]] = {}
        originals: dict[Tag, Raw] = {}
        for raw in level.elements:
            tag = raw[0]
            originals[tag] = raw
            stale = is_group_length(tag) and tag[:4] in groups
            if tag not in changed and not stale:
                copied.setdefault(tag, []).append(self.data[raw[2] : raw[5]])
        for tag in changed & level.after.keys():
            copied[tag] = self.written(tag, originals.get(tag), level)
        return list(chain.from_iterable(copied[tag] for tag in sorted(copied)))

    def written(self, tag: Tag, raw: Raw | None, level: _Level) -> list[Buffer]:
        """Return an element that differs. Of a sequence, what did not change in it is copied."""
        element = level.after[tag]
        if raw is None or raw[6] is None or element.vr != "SQ":
            return encoded_element(tag, element, level.target)
        items = [self.item(index, item, tag, raw[6], level) for index, item in enumerate(element.items)]
        return encoded_sequence(tag, items, level.target.encoding)

    def item(self, index: int, after: Dataset, tag: Tag, originals: tuple[Item, ...], level: _Level) -> list[Buffer]:
        """Return one item of a sequence that differs: merged with the original's item that it was, as far as known.

        That is the same one, or else the one at the same place. Items in another encoding than the file's (UN, and
        writers that mix) cannot be copied from.
        """
        before = level.before[tag].items
        equal = [number for number, old in enumerate(before) if same_dataset(old, after)]
        number = index if index in equal or not equal else equal[0]
        if number >= len(originals) or originals[number].encoding != level.target.encoding:
            return encoded_item(after, level.target)
        original = originals[number]
        context = self.decoder.context(original.elements, original.encoding, level.context)
        inner = _Level(original.elements, before[number], after, context, level.target.within(after))
        if changed := self.changed(inner):
            return with_item_header(self.merged(inner, changed), level.target.encoding)
        return [self.data[original.start : original.end]]


def same(before: Element, after: Element) -> bool:
    """Whether two elements are the same value. NaN is the same as NaN here, and 0.0 is not -0.0."""
    if before.vr != after.vr:
        return False
    if before.vr in ("FL", "FD"):
        return list(map(repr, before.values)) == list(map(repr, after.values))
    if before.vr == "SQ":
        return len(before.items) == len(after.items) and all(map(same_dataset, before.items, after.items))
    return before.values == after.values and _digest(before.binary, after.binary) == _digest(
        after.binary, before.binary
    )


def same_dataset(before: Dataset, after: Dataset) -> bool:
    """Whether two datasets have the same elements."""
    return before.keys() == after.keys() and all(same(element, after[tag]) for tag, element in before.items())


def _digest(binary: bytes | BulkData, other: bytes | BulkData) -> bytes | str:
    """Return what a binary value is compared by: its bytes, or the digest of them if the other one is BulkData."""
    if isinstance(binary, BulkData):
        return binary.uri
    return bulk_uri(binary) if isinstance(other, BulkData) else binary
