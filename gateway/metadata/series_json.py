"""The instances of a series to the DICOM JSON Model, from their JSON text, each by what differs from the one before.

To decode an instance of 265 attributes and look each of them up takes a hundred microseconds, and some ten of them are
other ones than those of the instance before. What is the same text is the same element, so that is not decoded at all.
What comes out is what DicomJsonWriter.own makes of each: tests/metadata/test_series_json.py.
"""

from __future__ import annotations

import itertools

import orjson

from gateway.dicom.json_model import BulkUri
from gateway.metadata.dicom_json import DicomJsonWriter
from gateway.metadata.image_set import AttributeValue, InstanceMetadata

_OPENING = b'{"DICOM":{'

# Between two members, or two strings of an array, or at the end of a string that ends in a comma. Where a text is cut
# does not matter as long as it is cut alike: what differs has to be a member by itself.
_BETWEEN = b',"'


class SeriesWriter:
    """Writes one instance after the other. Not for several threads at a time."""

    def __init__(self, writer: DicomJsonWriter, bulk_uri: BulkUri) -> None:
        self._writer = writer
        self._bulk_uri = bulk_uri
        self._before: _Before | None = None

    def own(self, text: bytes) -> list[bytes]:
        """Return `"tag":{element}` for each attribute of an instance, tags ascending, given its JSON.

        Raises InvalidUpdate as `to_dataset` does.
        """
        before = self._before
        changed = before.changed(text) if before is not None else None
        if before is None or changed is None:
            return self._anew(text)
        written = self._writer.elements({"DICOM": changed, "DICOMVRs": before.vrs}, self._bulk_uri)
        before.elements = before.elements.copy()
        for key, element in zip(changed, written, strict=True):
            if element:
                before.elements[before.places[key]] = element
        return before.elements

    def _anew(self, text: bytes) -> list[bytes]:
        instance: InstanceMetadata = orjson.loads(text)
        attributes, vrs = instance["DICOM"], instance.get("DICOMVRs") or {}
        written = dict(zip(attributes, self._writer.elements(instance, self._bulk_uri), strict=True))
        in_order = sorted((element, key) for key, element in written.items() if element)
        elements = [element for element, _ in in_order]
        members = [orjson.dumps({key: value})[1:-1] for key, value in attributes.items()]
        self._before = None
        if members and text.startswith(b"%b%b}" % (_OPENING, b",".join(members))):
            places = {key: place for place, (_, key) in enumerate(in_order)}
            self._before = _Before(text, list(attributes), members, vrs, places, elements)
        return elements


class _Before:
    """The instance before, taken apart. places: where in `elements` a key's is.

    The members that were seen to change are told from the next text by what stands between them, which did not. Where
    that is another than it was, all of the text is held against that of the instance before.
    """

    def __init__(
        self,
        text: bytes,
        keys: list[str],
        members: list[bytes],
        vrs: dict[str, str],
        places: dict[str, int],
        elements: list[bytes],
    ) -> None:
        self.vrs = vrs
        self.places = places
        self.elements = elements
        self._text = text
        self._keys = keys
        self._ends = list(itertools.accumulate(member.count(_BETWEEN) + 1 for member in members))
        self._rest = text[len(_OPENING) + sum(map(len, members)) + len(members) - 1 :]
        self._changing: set[str] = set()
        self._constants: list[bytes] = []
        self._groups: list[tuple[list[str], bytes]] = []

    def changed(self, text: bytes) -> dict[str, AttributeValue] | None:
        """Return the attributes of an instance that are other ones than before; None where its keys are others."""
        found = self._between_constants(text)
        if found is None:
            found = self._piece_by_piece(text)
        if found is not None:
            self._text = text
        return found

    def _between_constants(self, text: bytes) -> dict[str, AttributeValue] | None:
        """Return the same by the constants; None where they do not all stand in the text, in order and to its end."""
        constants = self._constants
        if not self._groups or not (text.startswith(constants[0]) and text.endswith(constants[-1])):
            return None
        found: dict[str, AttributeValue] = {}
        groups, at, last = [], len(constants[0]), len(text) - len(constants[-1])
        for place, (keys, before) in enumerate(self._groups, 1):
            end = text.find(constants[place], at) if place < len(self._groups) else last
            group = text[at:end]
            if end < at or (group != before and not _read(group, keys, found)):
                return None
            groups.append((keys, group))
            at = end + len(constants[place])
        self._groups = groups
        return found

    def _piece_by_piece(self, text: bytes) -> dict[str, AttributeValue] | None:
        """Return the same by all pieces of the texts; what is found to change is from then on told by the constants."""
        if not (text.startswith(_OPENING) and text.endswith(self._rest)):
            return None
        pieces = text[len(_OPENING) : -len(self._rest)].split(_BETWEEN)
        if len(pieces) != self._ends[-1]:
            return None
        before = self._text[len(_OPENING) : -len(self._rest)].split(_BETWEEN)
        found: dict[str, AttributeValue] = {}
        start, members = 0, []
        for key, end in zip(self._keys, self._ends, strict=True):
            member = b"%b%b" % (b'"' if start else b"", _BETWEEN.join(pieces[start:end]))
            if pieces[start:end] != before[start:end] and not _read(member, [key], found):
                return None
            members.append(member)
            start = end
        self._changing.update(found)
        self._cut(members)
        return found

    def _cut(self, members: list[bytes]) -> None:
        """Part an instance's text into the members that change, neighbours together, and what is between them."""
        self._constants, self._groups = [], []
        constant, comma = _OPENING, b""
        of_keys = zip(self._keys, members, strict=True)
        for changes, run in itertools.groupby(of_keys, lambda of_key: of_key[0] in self._changing):
            keys, texts = zip(*run, strict=True)
            if changes:
                self._constants.append(constant + comma)
                self._groups.append((list(keys), b",".join(texts)))
                constant = b""
            else:
                constant += comma + b",".join(texts)
            comma = b","
        self._constants.append(constant + self._rest)


def _read(members: bytes, keys: list[str], found: dict[str, AttributeValue]) -> bool:
    """Add the attributes of some members to those found, and return whether they are of these keys and no others.

    Each group is members by itself, and so they are the members of the whole.
    """
    try:
        attributes = orjson.loads(b"{%b}" % members)
    except orjson.JSONDecodeError:
        return False
    found.update(attributes)
    return list(attributes) == keys
