"""The instances of a series to the DICOM JSON Model, from their JSON text, each by what differs from the one before.

To decode an instance of 265 attributes and look each of them up takes a hundred microseconds, and some ten of them are
other ones than those of the instance before. What is the same text is the same element, so that is not decoded at all.
What comes out is what DicomJsonWriter.own makes of each: tests/metadata/test_series_json.py.
"""

from __future__ import annotations

import itertools
import operator
from dataclasses import dataclass

import orjson

from gateway.dicom.json_model import BulkUri
from gateway.metadata.dicom_json import DicomJsonWriter
from gateway.metadata.image_set import InstanceMetadata

_OPENING = b'{"DICOM":{'

# Between two members, or two strings of an array, or at the end of a string that ends in a comma. Where a text is cut
# does not matter as long as it is cut alike: what differs has to be a member by itself.
_BETWEEN = b',"'


@dataclass(slots=True)
class _Instance:
    """An instance taken apart. pieces: of the attributes' text; keys: whose each piece is; spans: from which to which.

    rest: the text after the attributes, of their DICOMVRs among others. places: where in `elements` a key's is.
    """

    pieces: list[bytes]
    keys: list[str]
    spans: dict[str, tuple[int, int]]
    rest: bytes
    vrs: dict[str, str]
    places: dict[str, int]
    elements: list[bytes]


class SeriesWriter:
    """Writes one instance after the other. Not for several threads at a time."""

    def __init__(self, writer: DicomJsonWriter, bulk_uri: BulkUri) -> None:
        self._writer = writer
        self._bulk_uri = bulk_uri
        self._before: _Instance | None = None

    def own(self, text: bytes) -> list[bytes]:
        """Return `"tag":{element}` for each attribute of an instance, tags ascending, given its JSON.

        Raises InvalidUpdate as `to_dataset` does.
        """
        elements = self._like(self._before, text) if self._before is not None else None
        return self._anew(text) if elements is None else elements

    def _anew(self, text: bytes) -> list[bytes]:
        instance: InstanceMetadata = orjson.loads(text)
        attributes, vrs = instance["DICOM"], instance.get("DICOMVRs") or {}
        written = dict(zip(attributes, self._writer.elements(instance, self._bulk_uri), strict=True))
        in_order = sorted((element, key) for key, element in written.items() if element)
        elements = [element for element, _ in in_order]
        members = [orjson.dumps({key: value})[1:-1] for key, value in attributes.items()]
        body = b",".join(members)
        self._before = None
        if members and text.startswith(b"%b%b}" % (_OPENING, body)):
            counts = [member.count(_BETWEEN) + 1 for member in members]
            ends = list(itertools.accumulate(counts))
            self._before = _Instance(
                pieces=body.split(_BETWEEN),
                keys=[key for key, count in zip(attributes, counts, strict=True) for _ in range(count)],
                spans={key: (end - count, end) for key, count, end in zip(attributes, counts, ends, strict=True)},
                rest=text[len(_OPENING) + len(body) :],
                vrs=vrs,
                places={key: place for place, (_, key) in enumerate(in_order)},
                elements=elements,
            )
        return elements

    def _like(self, before: _Instance, text: bytes) -> list[bytes] | None:
        """Return the elements of an instance that has the attributes of the one before; None for another."""
        if not (text.startswith(_OPENING) and text.endswith(before.rest)):
            return None
        pieces = text[len(_OPENING) : -len(before.rest)].split(_BETWEEN)
        if len(pieces) != len(before.pieces):
            return None
        differing = itertools.compress(before.keys, map(operator.ne, pieces, before.pieces))
        changed = {}
        for key in dict.fromkeys(differing):
            start, end = before.spans[key]
            member = b"%b%b" % (b'"' if start else b"", _BETWEEN.join(pieces[start:end]))
            try:
                attribute = orjson.loads(b"{%b}" % member)
            except orjson.JSONDecodeError:
                return None
            # Each is one member by itself, and so they are the members of the whole.
            if list(attribute) != [key]:
                return None
            changed[key] = attribute[key]
        elements = before.elements.copy()
        written = self._writer.elements({"DICOM": changed, "DICOMVRs": before.vrs}, self._bulk_uri)
        for key, element in zip(changed, written, strict=True):
            if element:
                elements[before.places[key]] = element
        before.pieces, before.elements = pieces, elements
        return elements
