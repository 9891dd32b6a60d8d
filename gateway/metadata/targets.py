"""What an update names, one thing after the other in document order.

An update document is a tree; the constraints, and applying it, are about its leaves. This file knows the shape of the
tree so that neither of them has to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeAlias

from gateway.dicom.dataset import Tag
from gateway.dicom.dictionary import VRS, entry_named, entry_of, is_group_length, is_tag
from gateway.errors import Level
from gateway.metadata.document import is_schema_version
from gateway.metadata.image_set import AttributeValue, ImageSetMetadata, LevelMetadata, MetadataUpdates

Side = Literal["set", "remove"]
Kind = Literal["document", "series", "instance", "attribute"]

# docs.aws.amazon.com/healthimaging/latest/devguide/dicom-metadata-constraints.html, "HealthImaging generated
# attributes"; then what its documents have beside DICOM and that list leaves out, and PixelData's two kin.
GENERATED = frozenset(
    "SchemaVersion DatastoreID ImageSetID PixelData Checksum Width Height MinPixelValue MaxPixelValue FrameSizeInBytes "
    "ImageFrames StoredTransferSyntaxUID ChecksumType FloatPixelData DoubleFloatPixelData".split()
)

# PS3.6 2022b: its longest keyword has 63 characters, and one starts in lower case, dBdt.
_KEYWORD = re.compile(r"[A-Za-z][A-Za-z0-9]{0,62}")
_ANY_TAG = re.compile(r"\(?[0-9A-Fa-f]{4},?[0-9A-Fa-f]{4}\)?")
_UID = re.compile(r"[0-9.]{1,256}")

# PS3.7 section 6.3.1 (commands) and PS3.5 section 7.5 (items and their delimiters).
_NOT_IN_DATASETS = frozenset({"0000", "FFFE"})

# PS3.5 section 7.8.1: odd, and no private group. Files have them all the same, so they can be removed.
_NO_PRIVATE_GROUPS = frozenset("0001 0003 0005 0007 FFFF".split())


@dataclass(frozen=True, slots=True)
class Place:
    """One level of one document: whose attributes."""

    level: Level
    series: str | None = None
    instance: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """One thing an update names.

    attribute  to be set to `value` or removed; `vrs` is the DICOMVRs map beside it
    instance   to be removed, or with side "set" only the one whose attributes follow
    series     the one whose attributes or instances follow, whatever the side
    document   any other member: one that HealthImaging generates, by its name in `key`, or one with a flaw

    flaw: why no sense can be made of it. Neither it nor `key` then holds any text that is not a name.
    """

    side: Side
    kind: Kind
    place: Place
    key: str = ""
    value: AttributeValue = None
    vrs: Mapping[str, str] = field(default_factory=dict)
    flaw: str | None = None


_Descent: TypeAlias = Callable[[Any], Iterator[Target]]


def targets_of(updates: MetadataUpdates) -> tuple[Target, ...]:
    """Return everything the updates name: what is set in document order, then what is removed.

    Every step of an edit asks for it: walk once, and hand it on.
    """
    found: list[Target] = []
    if updates.updatable is not None:
        found += _Walk("set").document(updates.updatable)
    if updates.removable is not None:
        found += _Walk("remove").document(updates.removable)
    return tuple(found)


def stored_level(metadata: ImageSetMetadata, place: Place) -> LevelMetadata | None:
    """Return what the image set has at a place, addressed as the version before the update; None if it has none."""
    if place.series is not None and place.series != metadata.head.series_instance_uid:
        return None
    if place.level == "Instance":
        return metadata.instances.get(place.instance or "")
    return metadata.head.level(place.level)


def vrs_in_force(target: Target, stored: LevelMetadata | None) -> dict[str, str]:
    """Return DICOMVRs as it applies to a target's value: what stands beside it, and what is known of private keys.

    A private element that exists may come without its VR (the guide's example 6). A keyword without one has that of
    the dictionary, whatever is stored: an update means the same for every image set.
    """
    known = stored.get("DICOMVRs", {}) if stored else {}
    keys = (target.key, *keys_in(target.value))
    return {**{key: known[key] for key in keys if key in known and is_tag(key) and not entry_of(key)}, **target.vrs}


def keys_in(value: Any) -> Iterator[str]:
    """Return the keys of attributes, and of attributes in the items of sequences, at any depth."""
    if isinstance(value, dict) and value.keys() != {"BulkDataURI"}:
        for key, member in value.items():
            yield key
            yield from keys_in(member)
    elif isinstance(value, list):
        for member in value:
            yield from keys_in(member)


@dataclass(frozen=True, slots=True)
class _Walk:
    """The way down one document; each method takes a part of it, of whatever JSON type."""

    side: Side

    def document(self, document: Mapping[str, Any]) -> Iterator[Target]:
        top = Place("Patient")
        if not is_schema_version(document.get("SchemaVersion")):
            yield self._flaw(top, "SchemaVersion is not 1.1")
        for key, value in document.items():
            if key == "Patient":
                yield from self._level(top, value)
            elif key == "Study":
                yield from self._level(Place("Study"), value, {"Series": self._all_series})
            elif key != "SchemaVersion":
                yield self._member(top, key, "the document")

    def _all_series(self, found: Any) -> Iterator[Target]:
        return self._by_uid(Place("Study"), "Series", found, self._series)

    def _series(self, uid: str, found: Any) -> Iterator[Target]:
        place = Place("Series", uid)
        yield Target(self.side, "series", place)
        if found == {} and self.side == "remove":
            yield self._flaw(place, "no update removes a series: delete its image set instead")

        def instances(below: Any) -> Iterator[Target]:
            return self._by_uid(place, "Instances", below, partial(self._instance, uid))

        yield from self._level(place, found, {"Instances": instances})

    def _instance(self, series: str, uid: str, found: Any) -> Iterator[Target]:
        place = Place("Instance", series, uid)
        yield Target("remove" if found == {} and self.side == "remove" else "set", "instance", place)
        yield from self._level(place, found)

    def _by_uid(
        self, place: Place, name: str, found: Any, below: Callable[[str, Any], Iterator[Target]]
    ) -> Iterator[Target]:
        """Go down into each member of an object keyed by UIDs."""
        if not isinstance(found, dict):
            yield self._flaw(place, f"{name} is not an object")
            return
        for uid, value in found.items():
            if _UID.fullmatch(uid):
                yield from below(uid, value)
            else:
                yield self._flaw(place, f"a key of {name} is no UID")

    def _level(self, place: Place, found: Any, inside: Mapping[str, _Descent] | None = None) -> Iterator[Target]:
        """Go through the members of one level; `inside` has the way further down by member."""
        if not isinstance(found, dict):
            yield self._flaw(place, f"{place.level} is not an object")
            return
        for key, value in found.items():
            if key == "DICOM":
                yield from self._attributes(place, value, found.get("DICOMVRs"))
            elif key == "DICOMVRs":
                yield from self._vrs(place, value, found.get("DICOM"))
            elif inside and key in inside:
                yield from inside[key](value)
            else:
                yield self._member(place, key, f"level {place.level}")

    def _attributes(self, place: Place, found: Any, vrs: Any) -> Iterator[Target]:
        if not isinstance(found, dict):
            yield self._flaw(place, f"DICOM of level {place.level} is not an object")
            return
        declared = {key: vr for key, vr in vrs.items() if isinstance(vr, str)} if isinstance(vrs, dict) else {}
        for key, value in found.items():
            keys = (key, *keys_in(value)) if self.side == "set" else (key,)
            flaw = next((why for why in map(self._flaw_of_key, keys) if why), None)
            yield Target(self.side, "attribute", place, _name(key), value, declared, flaw)

    def _vrs(self, place: Place, found: Any, dicom: Any) -> Iterator[Target]:
        """Find the flaws of DICOMVRs; what is sound in it goes with the attributes it is about."""
        if not isinstance(found, dict):
            yield self._flaw(place, f"DICOMVRs of level {place.level} is not an object")
        elif any(not isinstance(vr, str) or vr not in VRS for vr in found.values()):
            yield self._flaw(place, f"DICOMVRs of level {place.level} has a value that is no VR")
        elif self.side == "set" and not {key.rpartition(".")[2] for key in found} <= set(keys_in(dicom)):
            yield self._flaw(place, f"DICOMVRs of level {place.level} has a key that DICOM beside it has not")

    def _flaw_of_key(self, key: str) -> str | None:
        """Return why a key is no attribute's; None for a keyword, known or not, a tag without one, a generated key."""
        if entry_named(key) or key in GENERATED:
            return None
        if is_tag(key):
            entry = entry_of(key)
            return f"the key of {key} is its keyword, {entry.keyword}" if entry else self._flaw_of_tag(key)
        if _ANY_TAG.fullmatch(key):
            return "a tag is written as eight upper-case hex digits"
        return None if _KEYWORD.fullmatch(key) else "a key is neither a keyword nor a tag"

    def _flaw_of_tag(self, tag: Tag) -> str | None:
        group = tag[:4]
        if group in _NOT_IN_DATASETS or is_group_length(tag):
            return f"{tag} is the tag of no attribute of a dataset"
        if group in _NO_PRIVATE_GROUPS and self.side == "set":
            return f"{tag} is in no private group: those are the odd ones from 0009 to FFFD"
        return None

    def _member(self, place: Place, key: str, where: str) -> Target:
        """Return the target for a member that is not an update's: a generated one by its name, else a flaw."""
        if key in GENERATED:
            return Target(self.side, "document", place, key)
        if key in ("Series", "Instances"):
            return self._flaw(place, f"{key} stands in {where}: Series belongs in Study, and Instances in a series")
        return self._flaw(place, f"{where} has a member that is none of an update's")

    def _flaw(self, place: Place, flaw: str) -> Target:
        return Target(self.side, "document", place, flaw=flaw)


def _name(key: str) -> str:
    """Return a key that is safe to show; one that is not a name at all may be anything, so it is left out."""
    return key if entry_named(key) or is_tag(key) or _KEYWORD.fullmatch(key) else ""
