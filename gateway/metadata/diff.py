"""What changed between two versions of an image set, attribute by attribute.

A difference is one of value, not of writing: the order of keys, an empty value written as null or as [], and the
spaces around a decimal or integer string (PS3.5 section 6.2, DS and IS) are none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.dicom.dataset import BulkData, Element
from gateway.dicom.dictionary import FLOAT_VRS, STRING_VRS, entry_of, tag_of
from gateway.dicom.json_model import element_to_json
from gateway.errors import InvalidUpdate, Level
from gateway.metadata.image_set import AttributeValue, Change, ImageSetMetadata, LevelMetadata
from gateway.metadata.mapping import element_of, vr_of

_NO_VRS: Mapping[str, str] = {}
# Of these, other texts are other values.
_TEXT_VRS = STRING_VRS - {"DS", "IS"}
_HEAD_LEVELS: tuple[Level, ...] = ("Patient", "Study", "Series")


def changes(
    before: ImageSetMetadata, after: ImageSetMetadata, renamed: Mapping[str, str] | None = None
) -> tuple[Change, ...]:
    """Return every attribute that differs and every instance that came or went, by level, then by tag.

    renamed: SOP Instance UIDs that an edit changed, old to new; what the two have in common is then no change, and the
    new UID is the change of an attribute. An instance that came or went is one change, not one for each attribute.
    """
    return tuple([*_head_changes(before, after), *_instance_changes(before, after, renamed or {})])


def summarise(found: tuple[Change, ...]) -> dict[Level, list[str]]:
    """Return the keywords that changed by level, tags where there is no keyword; levels without any are left out."""
    keys: dict[Level, dict[str, None]] = {}
    for change in found:
        key = change.keyword or change.tag
        if key:
            keys.setdefault(change.level, {})[key] = None
    return {level: list(named) for level, named in keys.items()}


def same_element(one: Element, other: Element) -> bool:
    """Whether two elements have the same VR and the same value, in sequences too."""
    if one == other:
        return True
    if one.vr != other.vr:
        return False
    if one.vr == "SQ":
        return len(one.items) == len(other.items) and all(
            mine.keys() == theirs.keys() and all(same_element(mine[tag], theirs[tag]) for tag in mine)
            for mine, theirs in zip(one.items, other.items, strict=True)
        )
    if isinstance(one.binary, BulkData) and isinstance(other.binary, BulkData):
        return one.binary.uri == other.binary.uri
    if one.vr in FLOAT_VRS:
        return list(map(repr, one.values)) == list(map(repr, other.values))  # a NaN is not equal to itself
    return one.vr in ("DS", "IS") and _unpadded(one) == _unpadded(other)


def same_attribute(key: str, one: LevelMetadata, other: LevelMetadata) -> bool:
    """Whether both levels have an attribute with the same value and VR."""
    if key not in one["DICOM"] or key not in other["DICOM"]:
        return False
    value, other_value = one["DICOM"][key], other["DICOM"][key]
    if value == other_value and _same_vrs(key, value, one, other):
        return True
    if _are_other_texts(value, other_value) and vr_of(key, one.get("DICOMVRs", _NO_VRS), key) in _TEXT_VRS:
        return False
    element, other_element = stored_element(key, one), stored_element(key, other)
    if element is None or other_element is None:
        return element is other_element and value == other_value
    return same_element(element, other_element)


def _are_other_texts(value: AttributeValue, other: AttributeValue) -> bool:
    return isinstance(value, str) and isinstance(other, str) and value != "" != other and value != other


def _same_vrs(key: str, value: AttributeValue, one: LevelMetadata, other: LevelMetadata) -> bool:
    """Whether equal values have equal VRs, as far as can be said without going into sequences."""
    vrs, other_vrs = one.get("DICOMVRs", _NO_VRS), other.get("DICOMVRs", _NO_VRS)
    return vrs == other_vrs or (not isinstance(value, list) and vrs.get(key) == other_vrs.get(key))


def _unpadded(element: Element) -> tuple[str, ...]:
    return tuple(str(value).strip(" ") for value in element.values)


def stored_element(key: str, level: LevelMetadata) -> Element | None:
    """Return the element of an attribute; None for a key that DICOM has no attribute for, or no VR."""
    vrs = level.get("DICOMVRs", {})
    vr = vr_of(key, vrs, key)
    if vr is None or tag_of(key) is None:
        return None
    try:
        return element_of(key, level["DICOM"][key], vr, vrs=vrs)
    except InvalidUpdate:
        return None


def _head_changes(before: ImageSetMetadata, after: ImageSetMetadata) -> Iterator[Change]:
    for level in _HEAD_LEVELS:
        series = after.head.series_instance_uid if level == "Series" else None
        yield from _level_changes(level, before.head.level(level), after.head.level(level), series)


def _instance_changes(
    before: ImageSetMetadata, after: ImageSetMetadata, renamed: Mapping[str, str]
) -> Iterator[Change]:
    old_uid_of = {new: old for old, new in renamed.items() if old in before.instances and new in after.instances}
    kept = {old_uid_of.get(uid, uid) for uid in after.instances}
    for uid in before.instances:
        if uid not in kept:
            yield _came_or_went(before, uid, before={"SOPInstanceUID": uid})
    for uid, now in after.instances.items():
        was = before.instances.get(old_uid_of.get(uid, uid))
        if was is None:
            yield _came_or_went(after, uid, after={"SOPInstanceUID": uid})
        elif was is not now:
            yield from _level_changes("Instance", was, now, after.head.series_instance_uid, uid)


def _came_or_went(
    metadata: ImageSetMetadata,
    uid: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> Change:
    return Change("Instance", None, None, None, before, after, metadata.head.series_instance_uid, uid)


def _level_changes(
    level: Level, before: LevelMetadata, after: LevelMetadata, series: str | None = None, instance: str | None = None
) -> Iterator[Change]:
    if before is after or before == after:
        return
    for key in sorted(_differing(before, after), key=lambda key: (tag_of(key) or "~", key)):
        tag = tag_of(key)
        entry = entry_of(tag) if tag else None
        keyword = entry.keyword if entry else None if tag else key
        latest = after if key in after["DICOM"] else before
        vr = vr_of(key, latest.get("DICOMVRs", {}), key)
        yield Change(level, tag, keyword, vr, _shown(key, before), _shown(key, after), series, instance)


def _differing(one: LevelMetadata, other: LevelMetadata) -> set[str]:
    """Return the keys of attributes that only one of two levels has, or that the two have with another value or VR."""
    mine, theirs = one["DICOM"], other["DICOM"]
    keys = {*mine, *theirs}
    if one.get("DICOMVRs", _NO_VRS) == other.get("DICOMVRs", _NO_VRS):
        keys -= {key for key in mine.keys() & theirs.keys() if mine[key] == theirs[key]}
    return {key for key in keys if not same_attribute(key, one, other)}


def _shown(key: str, level: LevelMetadata) -> dict[str, Any] | None:
    """Return an attribute in the DICOM JSON Model, without a vr where there is no knowing it; None where absent."""
    if key not in level["DICOM"]:
        return None
    element = stored_element(key, level)
    if element is not None:
        return element_to_json(element)
    value = level["DICOM"][key]
    return {"Value": value if isinstance(value, list) else [value]}
