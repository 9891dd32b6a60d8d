"""Datasets and merge patches to SchemaVersion 1.1 and back, without loss (docs/mapping.md).

A document names attributes by keyword and says no VR; the dictionary does. Where it does not (a private element, the
other VR of "US or SS", a file that disagrees with PS3.6), DICOMVRs says it: by key for a whole level, its sequences
included, and by path ("SharedFunctionalGroupsSequence[0].00191005") for an occurrence that differs from the others.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.dicom.dataset import BulkData, Dataset, Element, MergePatch, Scalar, Tag, in_tag_order
from gateway.dicom.dictionary import (
    BINARY_VRS,
    FLOAT_VRS,
    INTEGER_VRS,
    SINGLE_VALUED_VRS,
    STRING_VRS,
    entry_of,
    key_of,
    naming_of,
    tag_of,
)
from gateway.dicom.json_values import NON_FINITE, float_to_json, integer_to_json
from gateway.dicom.levels import LEVELS, NORMALISED_TAGS, shared_attributes, split_by_level
from gateway.errors import InvalidUpdate, Level
from gateway.metadata.image_set import (
    Attributes,
    AttributeValue,
    Head,
    InstanceMetadata,
    LevelMetadata,
    MetadataUpdates,
    UpdateDocument,
)

# The number, as AWS's own update examples have it; metadata documents have the string.
UPDATE_SCHEMA_VERSION = 1.1

# Specific Character Set "ISO_IR 192" in a DICOM JSON edit says how that JSON is encoded, nothing about the instance.
_CHARACTER_SET = "00080005"
_UTF_8 = Element("CS", ("ISO_IR 192",))

_NO_VRS: Mapping[str, str] = {}

# Their values are in a document what they are in an element: text, and integers that a double holds.
_AS_THEY_ARE = STRING_VRS | {"US", "SS", "UL", "SL"}


# --- Datasets to documents


def to_level_metadata(dataset: Dataset) -> LevelMetadata:
    """Return the attributes by key, in the order they came in; DICOMVRs only where the dictionary does not say it."""
    attributes: Attributes = {}
    vrs: dict[str, str] = {}
    items: list[Dataset] = []
    for tag, element in dataset.items():
        key, vr, several = naming_of(tag)
        values = element.values
        # What _value_in_document does, again: most attributes come by here.
        if len(values) == 1 and not several and element.vr in _AS_THEY_ARE:
            attributes[key] = values[0]
        else:
            attributes[key] = _value_in_document(element, several)
        if element.vr != vr:
            vrs[key] = element.vr
        if element.items:
            items += element.items
    if items and not all(_as_the_dictionary_says(item, vrs) for item in items):
        vrs = _vrs_beside(dataset)
    return {"DICOM": attributes, "DICOMVRs": vrs} if vrs else {"DICOM": attributes}


def to_head(dataset: Dataset) -> Head:
    """Return Patient, Study and Series of a dataset, keys in alphabetical order; what is the instance's is left out."""
    levels = split_by_level(shared_attributes(dataset))
    patient, study, series = (to_level_metadata(_by_keyword(levels[level])) for level in LEVELS[:3])
    return Head(patient, study, series)


def to_instance_metadata(dataset: Dataset) -> InstanceMetadata:
    """Return the instance's attributes of a dataset in tag order, DICOMVRs always beside them."""
    tags = [tag for tag in dataset if tag not in NORMALISED_TAGS]
    tags.sort()
    metadata = to_level_metadata({tag: dataset[tag] for tag in tags})
    return {"DICOM": metadata["DICOM"], "DICOMVRs": metadata.get("DICOMVRs", {})}


def attribute_of(tag: Tag, element: Element) -> AttributeValue:
    """Return an attribute's value as a document has it.

    None where it is empty. An array for a sequence, for a VM that is not 1 whatever the number of values, and for
    several values where the VM is 1 or unknown. Binary is never an array: it has no multiplicity.
    """
    return _value_in_document(element, naming_of(tag).several)


def _value_in_document(element: Element, several: bool) -> AttributeValue:
    values = element.values
    if values:
        shown = list(values) if element.vr in _AS_THEY_ARE else [_scalar(element.vr, value) for value in values]
        return shown if several or len(shown) > 1 else shown[0]
    if element.items:
        return [_attributes(item) for item in element.items]
    if isinstance(element.binary, BulkData):
        return {"BulkDataURI": element.binary.uri}
    return base64.b64encode(element.binary).decode("ascii") if element.binary else None


def _attributes(dataset: Dataset) -> Attributes:
    return {key_of(tag): attribute_of(tag, element) for tag, element in dataset.items()}


def _by_keyword(dataset: Dataset) -> Dataset:
    return dict(sorted(dataset.items(), key=lambda attribute: key_of(attribute[0])))


def _scalar(vr: str, value: Scalar) -> str | int | float:
    if isinstance(value, str):
        return value
    return integer_to_json(int(value)) if vr in INTEGER_VRS else float_to_json(value)


def _as_the_dictionary_says(item: Dataset, but: Mapping[str, str]) -> bool:
    """Whether all VRs in an item are the dictionary's, and none of its keys has another one at the level itself."""
    for tag, element in item.items():
        key, vr, _ = naming_of(tag)
        if element.vr != vr or key in but:
            return False
        if element.items and not all(_as_the_dictionary_says(inner, but) for inner in element.items):
            return False
    return True


def _vrs_beside(dataset: Dataset) -> dict[str, str]:
    """Return DICOMVRs of a level: by key where all occurrences agree, by path for those that differ."""
    occurrences: dict[str, dict[str, str]] = {}
    for path, key, vr in _occurrences(dataset, ""):
        occurrences.setdefault(key, {})[path] = vr
    beside = {}
    for key, found in occurrences.items():
        default = _dictionary_vr(key)
        usual = _usual_vr(key, found, default)
        if usual != default:
            beside[key] = usual
        beside.update({path: vr for path, vr in found.items() if vr != usual})
    return beside


def _usual_vr(key: str, found: Mapping[str, str], default: str | None) -> str:
    # The path of an attribute of the level itself is its key, so its VR has to be the one that the key stands for.
    if key in found:
        return found[key]
    return default if default in found.values() and default else next(iter(found.values()))


def _occurrences(dataset: Dataset, prefix: str) -> Iterator[tuple[str, str, str]]:
    """Yield path, key and VR of every attribute, those in sequences included."""
    for tag, element in dataset.items():
        key = key_of(tag)
        path = prefix + key
        yield path, key, element.vr
        for position, item in enumerate(element.items):
            yield from _occurrences(item, f"{path}[{position}].")


@functools.lru_cache(maxsize=16384)
def _dictionary_vr(key: str) -> str | None:
    tag = tag_of(key)
    entry = entry_of(tag) if tag else None
    return entry.vr if entry else None


# --- Documents to datasets


def to_dataset(*levels: LevelMetadata, only: frozenset[Tag] | None = None) -> Dataset:
    """Return the attributes of all the levels given as one dataset, tags ascending. only: those to return.

    Keys that are neither keyword nor tag are left out: a forced update can add some, and DICOM has no place for them.

    Raises InvalidUpdate for a value that its VR has no form for, and for a tag without a VR.
    """
    dataset: Dataset = {}
    for level in levels:
        attributes = level["DICOM"]
        if only is not None:
            attributes = {key: attributes[key] for key in _keys(only) if key in attributes}
        dataset.update(_dataset(attributes, level.get("DICOMVRs", _NO_VRS), ""))
    return in_tag_order(dataset)


@functools.lru_cache(128)
def _keys(tags: frozenset[Tag]) -> tuple[str, ...]:
    """Return the keys that a document may have attributes under: by keyword, or by their tag."""
    return tuple(sorted(tags | {key_of(tag) for tag in tags}))


def vr_of(key: str, vrs: Mapping[str, str] = _NO_VRS, path: str = "") -> str | None:
    """Return the VR of a document's key: what DICOMVRs says of its path, or of the key, or what the dictionary says."""
    return (vrs and (vrs.get(path) or vrs.get(key))) or _dictionary_vr(key)


def element_of(
    key: str, value: AttributeValue, vr: str, *, vrs: Mapping[str, str] = _NO_VRS, path: str = ""
) -> Element:
    """Return the element of a document's value.

    vrs: DICOMVRs of the level, for what lies in a sequence. path: where the value is, if not at the level itself.

    Raises InvalidUpdate, naming the path, where a value of this JSON type cannot be one of the VR.
    """
    if isinstance(value, str) and vr in STRING_VRS:
        return Element(vr, (value,)) if value else Element(vr)
    at = path or key
    if value is None or value == []:
        return Element(vr)
    if vr == "SQ":
        return Element(vr, items=_items(value, vrs, at))
    if vr in BINARY_VRS:
        return Element(vr, binary=_binary(vr, value, at))
    values = value if isinstance(value, list) else [value]
    if vr in SINGLE_VALUED_VRS and len(values) > 1:
        raise InvalidUpdate(f"{at}: {vr} has one value")
    read = tuple(_value(vr, member, at) for member in values)
    return Element(vr, () if read == ("",) else read)


def _dataset(attributes: Attributes, vrs: Mapping[str, str], prefix: str) -> Dataset:
    dataset = {}
    for key, value in attributes.items():
        tag = tag_of(key)
        if not tag:
            continue
        path = prefix + key
        vr = vr_of(key, vrs, path)
        if not vr:
            raise InvalidUpdate(f"{path}: DICOMVRs has no VR for it")
        dataset[tag] = element_of(key, value, vr, vrs=vrs, path=path)
    return dataset


def _items(value: AttributeValue, vrs: Mapping[str, str], path: str) -> tuple[Dataset, ...]:
    if not (isinstance(value, list) and all(isinstance(item, dict) for item in value)):
        raise InvalidUpdate(f"{path}: a sequence is an array of objects")
    return tuple(in_tag_order(_dataset(item, vrs, f"{path}[{position}].")) for position, item in enumerate(value))


def _binary(vr: str, value: AttributeValue, path: str) -> bytes | BulkData:
    if isinstance(value, dict) and value.keys() == {"BulkDataURI"} and isinstance(value["BulkDataURI"], str):
        return BulkData(value["BulkDataURI"])
    if not isinstance(value, str):
        raise InvalidUpdate(f"{path}: {vr} is a base64 string")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidUpdate(f"{path}: is not base64 (RFC 4648 section 4)") from error


def _value(vr: str, value: Any, path: str) -> Scalar:
    if isinstance(value, bool):
        raise InvalidUpdate(f"{path}: no VR is true or false")
    if vr in INTEGER_VRS:
        return _integer(vr, value, path)
    if vr in FLOAT_VRS:
        return _float(vr, value, path)
    if value is None:
        return ""
    if isinstance(value, (int, float)) and vr in ("DS", "IS"):
        return repr(value)
    if not isinstance(value, str):
        raise InvalidUpdate(f"{path}: {vr} is a string")
    return value


_INTEGER = re.compile(r"-?\d{1,24}", re.ASCII)


def _integer(vr: str, value: Any, path: str) -> int:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and vr in ("SV", "UV") and _INTEGER.fullmatch(value):
        return int(value)
    if not isinstance(value, int):
        raise InvalidUpdate(f"{path}: {vr} is an integer")
    return value


def _float(vr: str, value: Any, path: str) -> float:
    if isinstance(value, str) and value in NON_FINITE:
        return NON_FINITE[value]
    if not isinstance(value, (int, float)):
        raise InvalidUpdate(f"{path}: {vr} is a number")
    try:
        return float(value)
    except OverflowError as error:
        raise InvalidUpdate(f"{path}: is beyond the largest double") from error


# --- Edits to updates


@dataclass(frozen=True, slots=True)
class LevelPatch:
    """A merge patch and what it is of. The UIDs are those the target has before the edit; "" above its level."""

    level: Level
    patch: MergePatch
    series_instance_uid: str = ""
    sop_instance_uid: str = ""


def to_updates(patches: Sequence[LevelPatch]) -> MetadataUpdates:
    """Return one update for all the patches: what they set as one document, what they remove as the other.

    Raises InvalidUpdate where two patches of the same level and target disagree on an attribute.
    """
    updatable: UpdateDocument = {}
    removable: UpdateDocument = {}
    for target in sorted(_merged(patches), key=lambda patch: LEVELS.index(patch.level)):
        values = {tag: element for tag, element in target.patch.items() if element is not None}
        if values:
            _place(updatable, target).update(to_level_metadata(values))
        removed: Attributes = {key_of(tag): None for tag, element in target.patch.items() if element is None}
        if removed:
            _place(removable, target)["DICOM"] = removed
    return MetadataUpdates(_document(updatable), _document(removable))


def _document(levels: UpdateDocument) -> UpdateDocument | None:
    return {"SchemaVersion": UPDATE_SCHEMA_VERSION, **levels} if levels else None


def _merged(patches: Sequence[LevelPatch]) -> list[LevelPatch]:
    """Return one patch for each target."""
    merged: dict[tuple[Level, str, str], LevelPatch] = {}
    for patch in patches:
        target = (patch.level, patch.series_instance_uid, patch.sop_instance_uid)
        known = merged.setdefault(target, LevelPatch(patch.level, {}, *target[1:])).patch
        for tag, element in patch.patch.items():
            if tag == _CHARACTER_SET and element == _UTF_8:
                continue
            if known.setdefault(tag, element) != element:
                raise InvalidUpdate(f"{key_of(tag)} is given two values at {patch.level} level")
    return list(merged.values())


def _place(document: UpdateDocument, target: LevelPatch) -> dict[str, Any]:
    """Return the object of a document that a target's DICOM belongs into, made where it is missing."""
    if target.level == "Patient":
        return _within(document, "Patient")
    place = _within(document, "Study")
    if target.level in ("Series", "Instance"):
        place = _within(place, "Series", target.series_instance_uid)
    if target.level == "Instance":
        place = _within(place, "Instances", target.sop_instance_uid)
    return place


def _within(place: dict[str, Any], *keys: str) -> dict[str, Any]:
    for key in keys:
        place = place.setdefault(key, {})
    return place
