"""What an edit does to one image set: an update, a revert, a delete. Nothing is read or written here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.errors import (
    Violation,
)
from gateway.metadata.apply import apply_to, apply_updates, named_instances
from gateway.metadata.constraints import violations_and_left
from gateway.metadata.diff import changes, summarise
from gateway.metadata.image_set import (
    Change,
    Head,
    ImageSetMetadata,
    InstanceMetadata,
    Profile,
)
from gateway.metadata.targets import Target
from gateway.store.contents import ChangeSummary
from gateway.store.drafts import Draft
from gateway.store.edits import ImageSetResult
from gateway.store.log.contents import CurrentImageSet, StoredVersion
from gateway.store.log.heads import unpack_head
from gateway.store.log.parts import Part, PlacedInstance, unpack_index, unpack_part
from gateway.store.originals import record_originals
from gateway.store.study_rows import Occasion


@dataclass(slots=True)
class Step:
    """What the edit does to one image set. current: None for a new one.

    violations: without force; left: those that force would not lift.
    """

    current: CurrentImageSet | None
    draft: Draft
    changes: tuple[Change, ...] = ()
    violations: tuple[Violation, ...] = ()
    left: tuple[Violation, ...] = ()
    other_bytes: bool = False  # an instance has other stored bytes, whatever its metadata say

    @property
    def changed(self) -> bool:
        state = self.current.properties.state if self.current else "ACTIVE"
        return bool(self.changes) or self.other_bytes or self.draft.state != state

    @property
    def result(self) -> ImageSetResult:
        return ImageSetResult(
            image_set_id=self.draft.image_set_id,
            series_instance_uid=self.draft.head.series_instance_uid,
            version=self.draft.version if self.changed else self.draft.version - 1,
            changed=self.changed,
            changes=self.changes,
        )


def update(
    current: CurrentImageSet, targets: Sequence[Target], occasion: Occasion, profile: Profile, record: bool
) -> Step:
    """Return the step of an update. It changes nothing where constraints are broken that force does not lift.

    targets: what the update names. record: whether prior values go into Original Attributes Sequence; then current has
    all its parts.
    """
    draft = Draft.of(current)
    before = ImageSetMetadata(draft.head, _named(current, None if record else named_instances(targets)))
    primary = current.properties.is_primary
    broken, left = violations_and_left(before, targets, profile=profile, primary=primary)
    step = Step(current, draft, (), tuple(broken), tuple(left))
    if left:
        return step
    applied = apply_updates(before, targets)
    step.changes = changes(before, apply_to(before, applied), applied.renamed)
    if step.changes:
        draft.head = applied.head
        recorded = record_originals(before, applied, occasion) if record else applied.instances
        _edit_instances(draft, recorded)
        draft.changed = _summary(step.changes)
    return step


def _named(current: CurrentImageSet, names: Collection[str] | None) -> dict[str, InstanceMetadata]:
    """Return the instances an update needs, of those in the parts that were read."""
    return {
        placed.sop_instance_uid: placed.metadata
        for part in current.parts.values()
        for placed in unpack_part(part)
        if names is None or placed.sop_instance_uid in names
    }


def _edit_instances(draft: Draft, instances: Mapping[str, tuple[str, InstanceMetadata] | None]) -> None:
    for uid in [uid for uid, edited in instances.items() if edited is None]:
        draft.remove(uid)  # first, so that another one can take its UID
    for uid, edited in instances.items():
        if edited is not None:
            draft.edit(uid, *edited)


def _summary(found: tuple[Change, ...]) -> ChangeSummary:
    instances = {change.sop_instance_uid for change in found if change.level == "Instance"}
    return ChangeSummary({level: tuple(keys) for level, keys in summarise(found).items()}, len(instances))


def delete(current: CurrentImageSet) -> Step:
    """Return the step of a delete. current: with all its parts."""
    draft = Draft.of(current)
    draft.state = "DELETED"
    went = _instances_moved(draft.head, current.parts.values(), "went")
    draft.changed = ChangeSummary(instances=len(went))
    return Step(current, draft, went)


def _instances_moved(head: Head, parts: Iterable[Part], direction: Literal["came", "went"]) -> tuple[Change, ...]:
    """Return a change for each instance in parts, without reading the metadata of any."""
    return tuple(
        Change(
            level="Instance",
            tag=None,
            keyword=None,
            vr=None,
            before={"SOPInstanceUID": uid} if direction == "went" else None,
            after={"SOPInstanceUID": uid} if direction == "came" else None,
            series_instance_uid=head.series_instance_uid,
            sop_instance_uid=uid,
        )
        for part in parts
        for uid in unpack_index(part.index)
    )


def revert(current: CurrentImageSet, target: StoredVersion, now: Sequence[Part], then: Sequence[Part]) -> Step:
    """Return the step to an older version. now, then: the parts that only one of the two versions has."""
    draft = Draft.of(current)
    head, earlier_head = draft.head, unpack_head(target.head)
    draft.become(earlier_head, target.manifest)
    if current.properties.state == "DELETED":
        found = changes(ImageSetMetadata(head, {}), ImageSetMetadata(earlier_head, {}))
        found += _instances_moved(earlier_head, then, "came")
    else:
        mine, earlier = _placed(now), _placed(then)
        uids = {placed.object_number: uid for uid, placed in earlier.items()}
        renamed = {
            uid: uids[placed.object_number]
            for uid, placed in mine.items()
            if uid not in earlier and placed.object_number in uids and uids[placed.object_number] not in mine
        }
        alike = {uid for uid in mine.keys() & earlier.keys() if mine[uid].text == earlier[uid].text}
        before, after = _metadata(head, mine, alike), _metadata(earlier_head, earlier, alike)
        found = changes(before, after, renamed)
    draft.changed = _summary(found)
    return Step(current, draft, found)


def object_numbers(parts: Iterable[Part]) -> dict[str, int]:
    """Return the object numbers of the instances in parts, by SOP Instance UID."""
    return {uid: number for part in parts for uid, number in unpack_index(part.index).items()}


def _placed(parts: Iterable[Part]) -> dict[str, PlacedInstance]:
    return {placed.sop_instance_uid: placed for part in parts for placed in unpack_part(part)}


def _metadata(head: Head, placed: Mapping[str, PlacedInstance], without: Collection[str]) -> ImageSetMetadata:
    return ImageSetMetadata(head, {uid: one.metadata for uid, one in placed.items() if uid not in without})
