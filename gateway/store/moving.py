"""An instance that goes to another image set: out of the next version of one, into the next version of the other.

It takes its stored bytes and its bulk data along, as a copy does (copying.py), and both versions are one edit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.dicom.dataset import Dataset
from gateway.errors import Gone, NotFound, VersionConflict, Violation
from gateway.metadata.constraints import violations_and_left
from gateway.metadata.image_set import Change, Head, ImageSetMetadata, InstanceMetadata, MetadataUpdates, Profile
from gateway.metadata.mapping import UPDATE_SCHEMA_VERSION, to_dataset
from gateway.metadata.original_attributes import SYSTEM, add_original_attributes, original_attributes_item, prior_values
from gateway.metadata.targets import targets_of
from gateway.store.blobs.protocol import Address
from gateway.store.contents import ChangeSummary, StoredObject
from gateway.store.drafts import Draft
from gateway.store.edits import Move
from gateway.store.image_set_edits import Step
from gateway.store.log.contents import CurrentImageSet, CurrentStudy
from gateway.store.study_rows import Occasion


@dataclass(frozen=True, slots=True)
class Moved:
    """What moves: the instance in its image set as it is now, and what it takes along."""

    source: CurrentImageSet
    metadata: InstanceMetadata
    stored: StoredObject
    bulk: Mapping[str, Address]


def destination(move: Move, study: CurrentStudy) -> CurrentImageSet | None:
    """Return the image set the instance goes to; None for a new one. Raises NotFound, VersionConflict, Gone."""
    if move.to is None:
        return None
    for image_set in study.image_sets:
        if image_set.image_set_id == move.to.image_set_id:
            version = image_set.properties.version
            if version != move.to.latest_version:
                raise VersionConflict(f"image set {image_set.image_set_id}", move.to.latest_version, version)
            if image_set.properties.state == "DELETED":
                raise Gone("image set", image_set.image_set_id)
            return image_set
    raise NotFound("image set", move.to.image_set_id)


def steps(
    move: Move,
    moved: Moved,
    to: CurrentImageSet | None,
    new_id: str,
    occasion: Occasion,
    profile: Profile,
    record: bool,
) -> list[Step]:
    """Return the step of the image set it leaves, and of the one it comes to. new_id: of a new image set.

    record: whether what it said of its patient, study and series goes into Original Attributes Sequence.
    """
    leaves, comes = Draft.of(moved.source), Draft.of(to) if to else Draft(new_id, move.head, True)
    refused, left = _violations(move, moved, leaves.head, comes, profile)
    went = _change(leaves.head, move.sop_instance_uid, came=False)
    if left:
        return [Step(moved.source, leaves, (), tuple(refused), tuple(left)), Step(to, comes)]
    metadata = _metadata(move, moved.metadata)
    if record and (prior := prior_values(_dataset(leaves.head), _dataset(comes.head))):
        item = original_attributes_item(
            prior,
            when=occasion.at,
            system=SYSTEM,
            source=occasion.provenance.source_of_previous_values or "",
            reason=occasion.provenance.reason_for_modification or "CORRECT",
        )
        metadata = add_original_attributes(metadata, item)
    leaves.remove(move.sop_instance_uid)
    comes.put(move.new_uid, metadata, moved.stored, moved.bulk)
    leaves.changed = comes.changed = ChangeSummary(instances=1)
    came = _change(comes.head, move.new_uid, came=True)
    return [Step(moved.source, leaves, (went,), tuple(refused)), Step(to, comes, (came,))]


def _violations(
    move: Move, moved: Moved, head: Head, comes: Draft, profile: Profile
) -> tuple[list[Violation], list[Violation]]:
    """Return what a move breaks without force and with it: what the same UIDs would, set by an update."""
    series: dict[str, object] = {"DICOM": {"SeriesInstanceUID": comes.head.series_instance_uid}}
    if move.new_uid != move.sop_instance_uid:
        series["Instances"] = {move.sop_instance_uid: {"DICOM": {"SOPInstanceUID": move.new_uid}}}
    study: dict[str, object] = {"Series": {head.series_instance_uid: series}}
    if comes.head.study_instance_uid != head.study_instance_uid:
        study["DICOM"] = {"StudyInstanceUID": comes.head.study_instance_uid}
    targets = targets_of(MetadataUpdates({"SchemaVersion": UPDATE_SCHEMA_VERSION, "Study": study}))
    before = ImageSetMetadata(head, {move.sop_instance_uid: moved.metadata})
    primary = moved.source.properties.is_primary
    refused, left = violations_and_left(before, targets, profile=profile, primary=primary)
    if comes.current is not None and comes.instance(move.new_uid) is not None:
        there = Violation(
            rule="duplicate",
            level="Instance",
            message="the series it goes to has an instance with this SOPInstanceUID",
            force_lifts=False,
            tag="00080018",
            keyword="SOPInstanceUID",
            series_instance_uid=comes.head.series_instance_uid,
            sop_instance_uid=move.new_uid,
        )
        refused, left = [*refused, there], [*left, there]
    return refused, left


def _metadata(move: Move, metadata: InstanceMetadata) -> InstanceMetadata:
    """Return the instance's metadata under its new UID, in File Meta Information too."""
    named = {"SOPInstanceUID", "MediaStorageSOPInstanceUID"} & metadata["DICOM"].keys()
    return {**metadata, "DICOM": {**metadata["DICOM"], **dict.fromkeys(named, move.new_uid)}}


def _change(head: Head, uid: str, *, came: bool) -> Change:
    named = {"SOPInstanceUID": uid}
    return Change(
        level="Instance",
        tag=None,
        keyword=None,
        vr=None,
        before=None if came else named,
        after=named if came else None,
        series_instance_uid=head.series_instance_uid,
        sop_instance_uid=uid,
    )


def _dataset(head: Head) -> Dataset:
    return to_dataset(head.patient, head.study, head.series)
