"""Version N of an image set and an update, to version N+1.

Updates first, then removals, each addressed by the UIDs of version N. A value replaces the whole attribute, a sequence
with all its items; null stores it empty. An attribute that is set to what it is stays as it is written. The constraints
have been checked before (constraints.py), so there is nothing here that can be refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from gateway.dicom.dictionary import tag_of
from gateway.metadata.diff import same_attribute
from gateway.metadata.image_set import (
    Attributes,
    AttributeValue,
    Head,
    ImageSetMetadata,
    InstanceMetadata,
    LevelMetadata,
)
from gateway.metadata.mapping import attribute_of, element_of, to_dataset, to_level_metadata, vr_of
from gateway.metadata.targets import Place, Target, keys_in, stored_level, vrs_in_force

# PS3.10 Table 7.1-1: it says again what SOPInstanceUID says.
_MEDIA_STORAGE_SOP_INSTANCE_UID = "MediaStorageSOPInstanceUID"


@dataclass(frozen=True, slots=True)
class Applied:
    """What an update makes of an image set.

    head: the same object where it did not change. instances: those that did, by the SOP Instance UID they had, as the
    one they have now with their metadata; None where removed. What is not named is as it was.
    """

    head: Head
    instances: dict[str, tuple[str, InstanceMetadata] | None]

    @property
    def renamed(self) -> dict[str, str]:
        """The SOP Instance UIDs that changed, old to new: what `diff.changes` asks for."""
        return {old: found[0] for old, found in self.instances.items() if found and found[0] != old}


def named_instances(targets: Sequence[Target]) -> set[str]:
    """Return the SOP Instance UIDs an update addresses or newly gives: those to load to check and to apply it."""
    named: set[str] = set()
    for target in targets:
        if target.place.instance is not None:
            named.add(target.place.instance)
            if target.side == "set" and target.key == "SOPInstanceUID" and isinstance(target.value, str):
                named.add(target.value)
    return named


def apply_updates(metadata: ImageSetMetadata, targets: Sequence[Target]) -> Applied:
    """Return the image set with an update in it; neither argument is changed, and values are shared with both.

    metadata: version N, with at least the instances the update names. It breaks no constraint that force does not
    lift.
    """
    attributes: dict[Place, list[Target]] = {}
    removed: dict[str, None] = {}
    for target in targets:
        if target.kind == "attribute":
            attributes.setdefault(target.place, []).append(target)
        elif target.kind == "instance" and target.side == "remove":
            removed[cast(str, target.place.instance)] = None

    head, instances = metadata.head, dict[str, tuple[str, InstanceMetadata] | None]()
    for place, of_place in attributes.items():
        level = stored_level(metadata, place)
        after = _updated(level, place, of_place) if level is not None else None
        if after is None or after is level:
            continue
        if place.level == "Instance":
            uid = cast(str, place.instance)
            instances[uid] = _identified(uid, cast(InstanceMetadata, after))
        else:
            head = _with_level(head, place, after)
    return Applied(head, {**instances, **removed})


def apply_to(metadata: ImageSetMetadata, applied: Applied) -> ImageSetMetadata:
    """Return the whole of version N+1: the instances in their order, the touched ones as they are now."""
    instances: dict[str, InstanceMetadata] = {}
    for uid, instance in metadata.instances.items():
        now = applied.instances.get(uid, (uid, instance))
        if now is not None:
            instances[now[0]] = now[1]
    return ImageSetMetadata(applied.head, instances)


def _with_level(head: Head, place: Place, level: LevelMetadata) -> Head:
    if place.level == "Patient":
        return replace(head, patient=level)
    return replace(head, study=level) if place.level == "Study" else replace(head, series=level)


def _identified(uid: str, instance: InstanceMetadata) -> tuple[str, InstanceMetadata]:
    """Return the UID an instance has now, and the instance with its file meta information in step."""
    now = str(instance["DICOM"]["SOPInstanceUID"])
    if now == uid or _MEDIA_STORAGE_SOP_INSTANCE_UID not in instance["DICOM"]:
        return now, instance
    dicom = {**instance["DICOM"], _MEDIA_STORAGE_SOP_INSTANCE_UID: now}
    return now, cast(InstanceMetadata, {**instance, "DICOM": dicom})


def _updated(level: LevelMetadata, place: Place, targets: Iterable[Target]) -> LevelMetadata:
    """Return a level with its targets set and removed; the same object where that changes nothing."""
    dicom = dict(level["DICOM"])
    touched: dict[str, LevelMetadata | None] = {}
    for target in targets:
        if target.side == "remove":
            if target.key in dicom:
                del dicom[target.key]
                touched[target.key] = None
            continue
        given: LevelMetadata = {"DICOM": {target.key: target.value}, "DICOMVRs": vrs_in_force(target, level)}
        if not same_attribute(target.key, given, level):
            dicom[target.key] = _as_stored(target, given["DICOMVRs"])
            touched[target.key] = given
    if not touched:
        return level
    if dicom.keys() != level["DICOM"].keys():
        dicom = _in_order(dicom, place)
    after = {**level, "DICOM": dicom, "DICOMVRs": _vrs_after(level, dicom, touched)}
    if not after["DICOMVRs"] and place.level != "Instance":
        del after["DICOMVRs"]
    return cast(LevelMetadata, after)


def _as_stored(target: Target, vrs: Mapping[str, str]) -> AttributeValue:
    """Return the value as the mapping writes it, arrays where the VM is not 1; what it does not know, as it came."""
    tag, vr = tag_of(target.key), vr_of(target.key, vrs, target.key)
    if tag is None or vr is None:
        return target.value
    value = attribute_of(tag, element_of(target.key, target.value, vr, vrs=vrs))
    return value if set(keys_in(value)) == set(keys_in(target.value)) else target.value


def _in_order(dicom: Attributes, place: Place) -> Attributes:
    """Return the attributes in the order documents have them: of an instance by tag, else by key."""
    if place.level == "Instance":
        return dict(sorted(dicom.items(), key=lambda attribute: (tag_of(attribute[0]) or "~", attribute[0])))
    return dict(sorted(dicom.items()))


def _vrs_after(level: LevelMetadata, dicom: Attributes, touched: Mapping[str, LevelMetadata | None]) -> dict[str, str]:
    """Return DICOMVRs of a level whose attributes are now `dicom`.

    touched: by key, None where removed, else the value with the VRs it came with. An entry stands for every occurrence
    of its key in the level, so of the entries concerned all attributes that have the key within are looked at.
    """
    stored = level.get("DICOMVRs", {})
    concerned, entries = set(touched), set(map(_leaf, stored))
    for given in touched.values():
        entries.update(map(_leaf, given.get("DICOMVRs", {}) if given else ()))
    if not entries or all(_has_the_vr(key, given, level) for key, given in touched.items()):
        return stored
    for key in touched:
        concerned.update(keys_in(level["DICOM"].get(key)), keys_in(dicom.get(key)))
    concerned &= entries
    if not concerned:
        return stored
    holders = {key for key, value in dicom.items() if not concerned.isdisjoint((key, *keys_in(value)))}
    untouched: Attributes = {key: value for key, value in dicom.items() if key in holders and key not in touched}
    dataset = to_dataset({"DICOM": untouched, "DICOMVRs": stored}, *(given for given in touched.values() if given))
    tags = [tag for key in dicom if key in holders and (tag := tag_of(key))]
    again = to_level_metadata({tag: dataset[tag] for tag in tags}).get("DICOMVRs", {})
    return _in_order_of_keys(
        {path: vr for path, vr in stored.items() if _leaf(path) not in concerned}
        | {path: vr for path, vr in again.items() if _leaf(path) in concerned},
        dicom,
    )


def _has_the_vr(key: str, given: LevelMetadata | None, level: LevelMetadata) -> bool:
    """Whether an attribute was there and is no sequence, before and after, and is given the VR that it has."""
    if given is None or key not in level["DICOM"]:
        return False
    plain = not any(isinstance(value, (list, dict)) for value in (given["DICOM"][key], level["DICOM"][key]))
    return plain and given.get("DICOMVRs", {}).get(key) == level.get("DICOMVRs", {}).get(key)


def _in_order_of_keys(vrs: dict[str, str], dicom: Attributes) -> dict[str, str]:
    """Return DICOMVRs in the order in which its keys first occur, as the mapping writes it."""
    place = {key: position for position, key in enumerate(dict.fromkeys(keys_in(dicom)))}
    return dict(sorted(vrs.items(), key=lambda entry: (place.get(_leaf(entry[0]), len(place)), entry[0] not in place)))


def _leaf(path: str) -> str:
    """Return the key at the end of a path of DICOMVRs: of "00191004[0].00191005" the latter."""
    return path.rpartition(".")[2]
