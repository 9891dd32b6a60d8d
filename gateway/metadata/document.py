"""The two kinds of SchemaVersion 1.1 document as JSON: an image set's metadata, and an update of it.

What is not JSON at all is refused here. What is JSON and no update document is a violation of rule `shape`, told
together with all the others (constraints.py), so `parse_updates` looks no deeper than the outermost braces.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, cast

from gateway.dicom.json_text import Json, Number, member_path, read_json
from gateway.errors import InvalidDicomJson, InvalidDocument, InvalidUpdate
from gateway.metadata.image_set import (
    SCHEMA_VERSION,
    Head,
    ImageSetMetadata,
    InstanceMetadata,
    LevelMetadata,
    MetadataUpdates,
    UpdateDocument,
)

# Objects and arrays in each other: more than any real dataset has, and far from where a parser overflows its stack.
MAX_DEPTH = 64


def parse_updates(updatable: bytes | None, removable: bytes | None) -> MetadataUpdates:
    """Return the updates for updatableAttributes and removableAttributes, each UTF-8 JSON text of one object.

    Raises InvalidUpdate for anything else: other JSON, a byte order mark, a key twice in one object, NaN, Infinity and
    numbers too large for either, a lone surrogate, more than 64 levels, or neither document.
    """
    if updatable is None and removable is None:
        raise InvalidUpdate("there is neither updatableAttributes nor removableAttributes")
    return MetadataUpdates(
        _parse("updatableAttributes", updatable) if updatable is not None else None,
        _parse("removableAttributes", removable) if removable is not None else None,
    )


def parse_copiable(text: str) -> tuple[str, frozenset[str]]:
    """Return the Series Instance UID and the SOP Instance UIDs in CopyImageSet's copiableAttributes.

    {"SchemaVersion": "1.1", "Study": {"Series": {"1.2": {"Instances": {"1.2.3": {}}}}}} -> "1.2", {"1.2.3"}
    Raises InvalidUpdate for anything else.
    """
    document = _parse("copiableAttributes", text.encode("utf-8"))
    version = document.pop("SchemaVersion", None)
    series = _only(_only(document, "Study"), "Series")
    if not is_schema_version(version) or not isinstance(series, dict) or len(series) != 1:
        raise InvalidUpdate("copiableAttributes has the SchemaVersion 1.1 and one series")
    [(uid, members)] = series.items()
    instances = _only(members, "Instances")
    if not isinstance(instances, dict) or not instances or any(instance != {} for instance in instances.values()):
        raise InvalidUpdate("copiableAttributes names at least one instance, each with an empty object")
    return uid, frozenset(instances)


def _only(value: object, name: str) -> object:
    """Return the one member of a JSON object. Raises InvalidUpdate where it is not the one, or no object."""
    if not isinstance(value, dict) or value.keys() != {name}:
        raise InvalidUpdate(f"copiableAttributes lacks {name}, or has something beside it")
    return value[name]


def is_schema_version(value: object) -> bool:
    """Whether a document's SchemaVersion is 1.1: the number in AWS's updates, the string in its documents."""
    return value == SCHEMA_VERSION or (isinstance(value, float) and value == float(SCHEMA_VERSION))


def _parse(name: str, blob: bytes) -> UpdateDocument:
    try:
        value = _decoded(read_json(blob, max_brackets=MAX_DEPTH, max_string=max(len(blob), 1)), "$")
    except InvalidDicomJson as error:
        raise InvalidUpdate(f"{name}: {error}") from error
    if not isinstance(value, dict):
        raise InvalidUpdate(f"{name} is not a JSON object")
    return value


def _decoded(value: Json, path: str) -> Any:
    """Return the value with Python's numbers in it. Raises InvalidDicomJson for one that no attribute can have."""
    if isinstance(value, Number):
        return _number(value, path)
    if isinstance(value, list):
        return [_decoded(member, f"{path}[{position}]") for position, member in enumerate(value)]
    if isinstance(value, dict):
        return {key: _decoded(member, member_path(path, key)) for key, member in value.items()}
    return value


def _number(literal: Number, path: str) -> int | float:
    """Return an integer of 64 bits, or a finite double where there is a fraction or an exponent (US … UV, FL, FD)."""
    if literal.lstrip("-").isdigit():
        if len(literal) <= 20 and -(2**63) <= int(literal) < 2**64:
            return int(literal)
    elif isfinite(float(literal)):
        return float(literal)
    raise InvalidDicomJson(path, "no VR holds a number as large as this")


def read_document(document: Mapping[str, Any]) -> ImageSetMetadata:
    """Return the metadata in a document, as GetImageSetMetadata gives it, decoded from JSON.

    Unique identifiers missing beside their own map key are filled in. Raises InvalidDocument for another SchemaVersion
    than 1.1, another number of series than one, and where a part has the wrong JSON type. Values are not looked at.
    """
    if not is_schema_version(document.get("SchemaVersion")):
        raise InvalidDocument("SchemaVersion", "is not 1.1")
    study = _member(document, "Study", "Study")
    all_series = _member(study, "Series", "Study.Series")
    if len(all_series) != 1:
        raise InvalidDocument("Study.Series", f"an image set has one series, not {len(all_series)}")
    series_uid = next(iter(all_series))
    series = _member(all_series, series_uid, "Study.Series.*")
    head = Head(
        patient=_level(_member(document, "Patient", "Patient"), "Patient"),
        study=_level(study, "Study"),
        series=_identified(_level(series, "Study.Series.*"), "SeriesInstanceUID", series_uid, "Study.Series.*"),
    )
    if not isinstance(head.study["DICOM"].get("StudyInstanceUID"), str):
        raise InvalidDocument("Study.DICOM", "has no StudyInstanceUID")
    instances = _member(series, "Instances", "Study.Series.*.Instances")
    return ImageSetMetadata(head, {uid: _instance(instances, uid) for uid in instances})


def to_document(datastore_id: str, image_set_id: str, metadata: ImageSetMetadata) -> dict[str, Any]:
    """Return the document GetImageSetMetadata gives; it shares its values with the metadata."""
    head = metadata.head
    series = {**head.series, "Instances": dict(metadata.instances)}
    return {
        "SchemaVersion": SCHEMA_VERSION,
        "DatastoreID": datastore_id,
        "ImageSetID": image_set_id,
        "Patient": head.patient,
        "Study": {**head.study, "Series": {head.series_instance_uid: series}},
    }


def _member(parent: Mapping[str, Any], key: str, path: str) -> dict[str, Any]:
    value = parent.get(key)
    if not isinstance(value, dict):
        raise InvalidDocument(path, "is not an object")
    return value


def _level(found: Mapping[str, Any], path: str) -> LevelMetadata:
    level = LevelMetadata(DICOM=_member(found, "DICOM", f"{path}.DICOM"))
    if found.get("DICOMVRs"):
        level["DICOMVRs"] = _member(found, "DICOMVRs", f"{path}.DICOMVRs")
    return level


def _instance(instances: Mapping[str, Any], uid: str) -> InstanceMetadata:
    path = "Study.Series.*.Instances.*"
    found = _member(instances, uid, path)
    _identified(_level(found, path), "SOPInstanceUID", uid, path)
    vrs = found.get("DICOMVRs") or {}
    dicom = {**found["DICOM"], "SOPInstanceUID": uid}
    return cast(InstanceMetadata, {**found, "DICOM": dicom, "DICOMVRs": vrs})


def _identified(level: LevelMetadata, key: str, uid: str, path: str) -> LevelMetadata:
    """Return the level with its identifier in it. Raises InvalidDocument where it has another than its map key."""
    if level["DICOM"].get(key, uid) != uid:
        raise InvalidDocument(f"{path}.DICOM.{key}", "is not the key it stands under")
    return cast(LevelMetadata, {**level, "DICOM": {**level["DICOM"], key: uid}})
