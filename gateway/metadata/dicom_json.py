"""Documents to the DICOM JSON Model in one step, for metadata of whole series.

By way of a dataset an instance of 265 attributes takes about a millisecond. But the instances of a series differ in a
few attributes and agree in the rest, so a writer keeps each element it has written, by key and value, and mostly joins
bytes. What it writes is what `to_json(to_dataset(…))` gives, byte for byte: tests/metadata/test_dicom_json.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import orjson

from gateway.dicom.dictionary import STRING_VRS, is_group_length, tag_of
from gateway.dicom.json_model import CHARACTER_SET, BulkUri, element_to_json, encode_json
from gateway.dicom.json_values import value_to_json
from gateway.errors import InvalidUpdate
from gateway.metadata.image_set import AttributeValue, Head, LevelMetadata
from gateway.metadata.mapping import element_of, vr_of

# The elements remembered are forgotten when they come to this many bytes, and one longer than the other is not kept.
MEMORY = 16 * 1024 * 1024
LONGEST_REMEMBERED = 16 * 1024

# What a dictionary entry costs beside its bytes, roughly.
_OVERHEAD = 200

# Of so many keys it is known how they are shown: more than all instances of an archive have, but for private ones.
_KEYS = 4096

# The text is UTF-8, and says so whether the instance names a character set or not.
_UTF_8 = b'"00080005":{"vr":"CS","Value":["ISO_IR 192"]}'

_NO_VRS: Mapping[str, str] = {}


class DicomJsonWriter:
    """Writes instances; one for a process is enough, and threads may share it."""

    def __init__(self) -> None:
        self._written: dict[object, bytes] = {}
        self._size = 0

    def instance(self, head: Head, instance: LevelMetadata, bulk_uri: BulkUri, more: Sequence[bytes] = ()) -> bytes:
        """Return an instance's dataset, the attributes of all four levels, without group 0002, tags ascending.

        more: elements beside them, as `"tag":{element}`. Raises InvalidUpdate as `to_dataset` does.
        """
        return merged(self.shared(head, bulk_uri), self.own(instance, bulk_uri), more)

    def shared(self, head: Head, bulk_uri: BulkUri) -> list[bytes]:
        """Return `"tag":{element}` for each attribute that instances share, and their character set, tags ascending."""
        levels = (head.patient, head.study, head.series)
        return sorted([_UTF_8, *(element for level in levels for element in self.own(level, bulk_uri))])

    def own(self, level: LevelMetadata, bulk_uri: BulkUri) -> list[bytes]:
        """Return `"tag":{element}` for each attribute of one level that DICOM JSON has, tags ascending."""
        return sorted(filter(None, self.elements(level, bulk_uri)))

    def elements(self, level: LevelMetadata, bulk_uri: BulkUri) -> list[bytes]:
        """Return the same for each key of a level, in their order; nothing for what DICOM JSON has not."""
        vrs = level.get("DICOMVRs") or _NO_VRS
        # What DICOMVRs says of a key counts inside sequences too, so all of it belongs to what is remembered.
        beside = orjson.dumps(vrs) if vrs else b""
        dumps, known = orjson.dumps, self._written.get
        found = []
        for name in level["DICOM"].items():
            key, value = name
            if value.__class__ is str or value is None:
                element = known(name) if key not in vrs else known((key, value, vrs[key]))
            else:
                # A list is no key of a dict, and 1, 1.0 and True are one key, as 0.0 and -0.0 are: hence their text.
                element = known((key, dumps(value), beside if value.__class__ is list else vrs.get(key)))
            found.append(self._write(key, value, vrs, beside, bulk_uri) if element is None else element)
        return found

    def _write(
        self, key: str, value: AttributeValue, vrs: Mapping[str, str], beside: bytes, bulk_uri: BulkUri
    ) -> bytes:
        """Return an element that is not known yet, and remember it unless it has a URL, which is the instance's own."""
        element = _element(key, value, vrs, bulk_uri)
        if value.__class__ is str or value is None:
            self._remember((key, value, vrs[key]) if key in vrs else (key, value), element)
        elif b'"BulkDataURI"' not in (text := orjson.dumps(value)):
            self._remember((key, text, beside if isinstance(value, list) else vrs.get(key)), element)
        return element

    def _remember(self, name: object, element: bytes) -> None:
        if len(element) > LONGEST_REMEMBERED:
            return
        if self._size > MEMORY:
            self._written.clear()
            self._size = 0
        self._written[name] = element
        self._size += 2 * len(element) + _OVERHEAD


def merged(shared: list[bytes], own: list[bytes], more: Sequence[bytes] = ()) -> bytes:
    """Return a dataset of the elements that instances share and its own, both in order, and maybe some more."""
    # Every element begins with its tag, so their order as bytes is that of the tags (PS3.18 section F.2.2).
    return b"{%b}" % b",".join(sorted([*shared, *own, *more]))


def _element(key: str, value: AttributeValue, vrs: Mapping[str, str], bulk_uri: BulkUri) -> bytes:
    """Return `"tag":{element}`; nothing for a key without a tag, file meta information and group lengths."""
    tag, vr, opening = _shown(key, vrs.get(key))
    if not tag:
        return b""
    if not vr:
        raise InvalidUpdate(f"{key}: DICOMVRs has no VR for it")
    if value and isinstance(value, str) and vr in STRING_VRS:
        return b"%b%b]}" % (opening, encode_json(value_to_json(vr, value)))
    element = element_of(key, value, vr, vrs=vrs)
    return encode_json({tag: element_to_json(element, bulk_uri)})[1:-1]


@lru_cache(_KEYS)
def _shown(key: str, said: str | None) -> tuple[str, str, bytes]:
    """Return a key's tag, "" where it is not shown, its VR, "" where nobody says it, and how it begins with a value.

    said: its VR by DICOMVRs.
    """
    tag, vr = tag_of(key), said or vr_of(key) or ""
    if not tag or tag.startswith("0002") or tag == CHARACTER_SET or is_group_length(tag):
        return "", vr, b""
    return tag, vr, b'"%b":{"vr":"%b","Value":[' % (tag.encode(), vr.encode())
