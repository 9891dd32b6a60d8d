"""Copying instances into another image set, or into one of their own (CopyImageSet).

A copy shares the stored bytes and the bulk data of what it was made from, and nothing else: its metadata is its own.
What is wrong with the request is raised. What is wrong between two image sets makes a version of the destination that
says so and has the content it had, because that is how the service tells of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.dicom.dataset import Dataset
from gateway.dicom.dictionary import key_of
from gateway.dicom.levels import level_of
from gateway.errors import Gone, InvalidRequest, NotFound, TooLarge, VersionConflict
from gateway.metadata.image_set import Head, InstanceMetadata
from gateway.metadata.mapping import to_dataset
from gateway.metadata.organise import GroupingKeys, grouping_keys, place
from gateway.metadata.original_attributes import SYSTEM, add_original_attributes, original_attributes_item, prior_values
from gateway.store.blobs.protocol import Address
from gateway.store.contents import ChangeSummary, ImageSetVersion, StoredObject, WorkflowStatus
from gateway.store.drafts import Draft
from gateway.store.edits import MAX_COPIED_FRAMES, Copy, CopyResult, Destination
from gateway.store.log.appends import Append, NewVersion
from gateway.store.log.contents import CurrentImageSet, CurrentStudy, StoredVersion
from gateway.store.log.heads import unpack_head
from gateway.store.log.parts import instances_by_uid, unpack_index
from gateway.store.log.protocol import VersionLog
from gateway.store.study_rows import Occasion, member_of, new_study_version

# What the service's own messages of this kind begin with, two spaces after it included.
_FAILED = "INVALID_REQUEST:  "


@dataclass(frozen=True, slots=True)
class Copied:
    """The instances to copy, read from the source."""

    properties: ImageSetVersion
    head: Head
    instances: Mapping[str, InstanceMetadata]
    objects: Mapping[str, StoredObject]
    bulk: Mapping[str, Address]


@dataclass(frozen=True, slots=True)
class Target:
    """Where they go. current: None for a new image set, whose head and kind the others are."""

    head: Head
    is_primary: bool
    current: CurrentImageSet | None = None
    replaces: bool = False  # instances that are there already give way, as to received ones


@dataclass(frozen=True, slots=True)
class _Member:
    """An image set of the series, as `place` looks at it."""

    keys: GroupingKeys
    is_primary: bool
    current: CurrentImageSet


@dataclass(frozen=True, slots=True)
class Copier:
    """Carries a copy out, up to the append."""

    log: VersionLog
    new_id: Callable[[], str]

    async def study_of(self, copy: Copy) -> str:
        """Return the study the copy changes. Raises NotFound."""
        image_set_id = copy.destination.image_set_id if copy.destination else copy.image_set_id
        return await self.log.study_of(copy.datastore_id, image_set_id)

    async def copy(self, copy: Copy, study_instance_uid: str, at: datetime) -> CopyResult:
        """Carry a copy out. Raises as Store.copy does, and StudyChanged where it is worth another try."""
        source = await self._read(copy)
        study = await self._study(copy, study_instance_uid, source)
        occasion = Occasion(at, "copy", copy.provenance, copy.force)
        target = _target(copy, study, source)
        problem = "" if target.current is None else _unfit(copy, target, source)
        if problem and target.current is not None:
            made = _failed(target.current, occasion, "COPY_FAILED", _FAILED + problem)
        else:
            made = await asyncio.to_thread(_made, target, source, occasion, self.new_id)
        made = made._replace(copied_from=(copy.image_set_id, copy.latest_version))
        await self.log.append(_append(copy.datastore_id, study, made, occasion, copy.most_metadata))
        stored = await self.log.read(copy.datastore_id, made.image_set_id, made.version)
        return CopyResult(source.properties, stored.properties)

    async def _study(self, copy: Copy, study_instance_uid: str, source: Copied) -> CurrentStudy:
        """Return the study as it is, with the parts that the instances may be in already."""
        series = source.head.series_instance_uid

        def choose(image_set: ImageSetVersion) -> frozenset[str]:
            if copy.destination is not None:
                joins = image_set.image_set_id == copy.destination.image_set_id
            else:
                joins = copy.promote and image_set.is_primary and image_set.series_instance_uid == series
            return frozenset(source.instances) if joins and image_set.state != "DELETED" else frozenset()

        def chosen(image_set: ImageSetVersion) -> frozenset[str] | tuple[()]:
            return choose(image_set) or ()

        return await self.log.current_study(copy.datastore_id, study_instance_uid, chosen, to_add=True)

    # -- the source

    async def _read(self, copy: Copy) -> Copied:
        """Return what is to be copied. Raises VersionConflict, Gone, InvalidRequest, TooLarge."""
        stored = await self.log.read(copy.datastore_id, copy.image_set_id, None, copy.instances)
        _require_latest(stored.properties, copy.latest_version)
        found = _instances(stored, copy.instances)
        if missing := (copy.instances or frozenset()) - found.keys():
            raise InvalidRequest(f"the image set does not have {len(missing)} of the instances to copy")
        _require_few(sum(_frames_of(instance) for instance in found.values()))
        uris = dict.fromkeys(uri for instance in found.values() for uri in bulk_uris(instance["DICOM"]))
        return Copied(
            stored.properties,
            unpack_head(stored.head),
            found,
            await self.log.objects(copy.datastore_id, copy.image_set_id, copy.latest_version, copy.instances),
            {uri: await self.log.bulk_data(copy.datastore_id, copy.image_set_id, uri) for uri in uris},
        )


async def record_failure(
    log: VersionLog,
    datastore_id: str,
    study_instance_uid: str,
    failed: Destination,
    message: str,
    occasion: Occasion,
) -> ImageSetVersion:
    """Append a version UPDATE_FAILED with the content there is. Raises VersionConflict, Gone, NotFound."""
    study = await log.current_study(datastore_id, study_instance_uid)
    made = _failed(_named(study, failed), occasion, "UPDATE_FAILED", message)
    await log.append(_append(datastore_id, study, made, occasion))
    return (await log.read(datastore_id, made.image_set_id, made.version)).properties


def _instances(stored: StoredVersion, chosen: frozenset[str] | None) -> Mapping[str, InstanceMetadata]:
    """Return the instances chosen, in document order. Raises TooLarge before it reads more than any copy takes."""
    if chosen is None:
        _require_few(sum(part.count for part in stored.parts.values()))
    found = instances_by_uid(stored.parts.values())
    return {uid: instance for uid, instance in found.items() if chosen is None or uid in chosen}


def _require_few(frames: int) -> None:
    if frames > MAX_COPIED_FRAMES:
        raise TooLarge(f"a copy takes at most {MAX_COPIED_FRAMES} image frames, and these are {frames}")


def _frames_of(instance: InstanceMetadata) -> int:
    """Return how many image frames an instance has; an instance without any counts as one."""
    number = instance["DICOM"].get("NumberOfFrames")
    text = str(number).strip() if number is not None else ""
    return max(int(text), 1) if text.isdecimal() else 1


def bulk_uris(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if value.keys() == {"BulkDataURI"}:
            yield value["BulkDataURI"]
        else:
            for member in value.values():
                yield from bulk_uris(member)
    elif isinstance(value, list):
        for member in value:
            yield from bulk_uris(member)


# -- the destination


def _require_latest(properties: ImageSetVersion, latest_version: int) -> None:
    if properties.version != latest_version:
        raise VersionConflict(f"image set {properties.image_set_id}", latest_version, properties.version)
    if properties.state == "DELETED":
        raise Gone("image set", properties.image_set_id)


def _named(study: CurrentStudy, destination: Destination) -> CurrentImageSet:
    """Return the image set of a study that a request names. Raises NotFound, VersionConflict, Gone."""
    for image_set in study.image_sets:
        if image_set.image_set_id == destination.image_set_id:
            _require_latest(image_set.properties, destination.latest_version)
            return image_set
    raise NotFound("image set", destination.image_set_id)


def _target(copy: Copy, study: CurrentStudy, source: Copied) -> Target:
    """Return where a copy goes. Raises InvalidRequest, NotFound, VersionConflict, Gone."""
    if copy.promote:
        if copy.destination is not None:
            raise InvalidRequest("a promotion goes to the primary image set of the series: name no destination")
        return _promotion(copy, study, source)
    if copy.destination is None:
        return Target(source.head, is_primary=False)
    if copy.destination.image_set_id == copy.image_set_id:
        raise InvalidRequest("the source and the destination are the same image set")
    current = _named(study, copy.destination)
    return Target(unpack_head(current.head), current.properties.is_primary, current)


def _promotion(copy: Copy, study: CurrentStudy, source: Copied) -> Target:
    """Return where the instances would go if they were received now as they are."""
    if source.properties.is_primary:
        raise InvalidRequest("the image set is primary")
    visible = [image_set for image_set in study.image_sets if image_set.visible]
    study_head = unpack_head(visible[0].head) if visible else None
    series = [
        _Member(grouping_keys(unpack_head(image_set.head)), True, image_set)
        for image_set in visible
        if image_set.properties.series_instance_uid == source.head.series_instance_uid
    ]
    keys = grouping_keys(source.head)
    _, fits = place(keys, grouping_keys(study_head).study if study_head else None, series)
    if not fits and not copy.force:
        found = series[0].keys if series else grouping_keys(study_head) if study_head else keys
        raise InvalidRequest(f"the primary image sets of the study have another {_differing(keys, found)}")
    if series:
        current = series[0].current
        return Target(unpack_head(current.head), True, current, replaces=True)
    if study_head is not None and not fits:
        return Target(Head(study_head.patient, study_head.study, source.head.series), is_primary=True)
    return Target(source.head, is_primary=True)


# Keywords of the grouping keys (devguide "Understanding image sets").
_KEYWORDS = {
    "study_instance_uid": "StudyInstanceUID",
    "study_id": "StudyID",
    "study_date": "StudyDate",
    "accession_number": "AccessionNumber",
    "patient_id": "PatientID",
    "series_number": "SeriesNumber",
}


def _differing(one: GroupingKeys, other: GroupingKeys) -> str:
    return ", ".join(word for name, word in _KEYWORDS.items() if getattr(one, name) != getattr(other, name))


def _unfit(copy: Copy, target: Target, source: Copied) -> str:
    """Return why the instances cannot join an image set, "" where they can."""
    if target.replaces:
        return ""
    if not copy.force:
        if source.head.study_instance_uid != target.head.study_instance_uid:
            return "Study of SourceImageSet and DestinationImageSet don't match."
        if source.head.series_instance_uid != target.head.series_instance_uid:
            return "Series of SourceImageSet and DestinationImageSet don't match."
        if different := prior_values(_dataset(source.head), _dataset(target.head)):
            names = ", ".join(f"{level_of(tag)} {key_of(tag)}" for tag in different)
            return f"Metadata of SourceImageSet and DestinationImageSet is not consistent: {names}"
    assert target.current is not None
    there = {uid for part in target.current.parts.values() for uid in unpack_index(part.index)}
    if both := there & source.instances.keys():
        return f"SOP Instance UIDs are not unique: {len(both)} of SourceImageSet are in DestinationImageSet"
    return ""


def _dataset(head: Head) -> Dataset:
    return to_dataset(head.patient, head.study, head.series)


# -- what is appended


def _made(target: Target, source: Copied, occasion: Occasion, new_id: Callable[[], str]) -> NewVersion:
    """Return the version with the instances in it.

    Those that said otherwise of their patient, study or series keep what they said, as received ones do.
    """
    draft = Draft.of(target.current) if target.current else Draft(new_id(), target.head, target.is_primary)
    original = prior_values(_dataset(source.head), _dataset(target.head))
    item = original_attributes_item(original, when=occasion.at, system=SYSTEM, source="", reason="COERCE")
    for uid, instance in source.instances.items():
        metadata = add_original_attributes(instance, item) if original else instance
        bulk = {uri: source.bulk[uri] for uri in bulk_uris(instance["DICOM"])}
        draft.put(uid, metadata, source.objects[uid], bulk)
    draft.changed = ChangeSummary(instances=len(source.instances))
    return draft.finish(occasion)._replace(workflow_status="COPIED")


def _failed(current: CurrentImageSet, occasion: Occasion, status: WorkflowStatus, message: str) -> NewVersion:
    """Return a version that has the content of the one before and says what failed."""
    return Draft.of(current).finish(occasion)._replace(workflow_status=status, message=message)


def _append(
    datastore_id: str, study: CurrentStudy, made: NewVersion, occasion: Occasion, most_metadata: int | None = None
) -> Append:
    members = [member_of(one) for one in study.image_sets if one.image_set_id != made.image_set_id]
    new = new_study_version(
        study.study_instance_uid, study.version, [*members, member_of(made)], occasion, made.changed
    )
    return Append(datastore_id, (new,), (made,), occasion.at, most_metadata=most_metadata)
