"""An edit of one study: read it, check, apply, compare, and say what to append.

An edit is made from the versions it names. Whether they are still current is asked here, of one consistent read, and
once more by the append itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from gateway.errors import (
    ConstraintViolations,
    Gone,
    InvalidUpdate,
    NotFound,
    VersionConflict,
    Violation,
)
from gateway.metadata.apply import named_instances
from gateway.metadata.image_set import (
    Delete,
    MetadataUpdates,
    Profile,
    Revert,
)
from gateway.metadata.targets import Target, targets_of
from gateway.store import moving
from gateway.store.contents import Action, ImageSetVersion
from gateway.store.copying import bulk_uris
from gateway.store.edits import Edit, EditResult, Move
from gateway.store.image_set_edits import Step, delete, object_numbers, revert, update
from gateway.store.log.appends import Append, NewStudyVersion, NewVersion, RememberedAnswer
from gateway.store.log.contents import CurrentImageSet, CurrentStudy, StoredVersion
from gateway.store.log.parts import Part, instances_by_uid
from gateway.store.log.protocol import VersionLog
from gateway.store.moving import Moved, destination
from gateway.store.study_rows import Occasion, joined_summary, member_of, new_study_version

Result = TypeVar("Result")

# Work on more instances than this leaves the event loop: they take longer than a thread's hop, and others wait.
INSTANCES_ON_LOOP = 128


@dataclass(frozen=True, slots=True)
class Editor:
    """Carries edits out, up to the append."""

    log: VersionLog
    profile: Profile
    record_original_attributes: bool
    new_id: Callable[[], str]

    async def edit(self, edit: Edit, study_instance_uid: str, at: datetime) -> EditResult:
        """Carry an edit out. Raises as Store.edit does, and StudyChanged where it is worth another try."""
        targets_by_image_set = {
            one.image_set_id: targets_of(one.change)
            for one in edit.image_sets
            if isinstance(one.change, MetadataUpdates)
        }
        choose = _chooser(edit, targets_by_image_set, self.record_original_attributes)
        to_add = any(isinstance(one.change, Move) for one in edit.image_sets)
        study = await self.log.current_study(edit.datastore_id, study_instance_uid, choose, to_add=to_add)
        targets = _targets(edit, study)
        studies = {study.study_instance_uid: study}
        for uid in _moved_to(edit, study):
            studies[uid] = await self.log.current_study(edit.datastore_id, uid, choose, to_add=to_add)
        occasion = Occasion(at, _action(edit), edit.provenance, edit.force)
        steps = [
            step
            for current, change in targets
            for step in await self._steps(
                edit.datastore_id, current, change, targets_by_image_set.get(current.image_set_id), studies, occasion
            )
        ]
        await self._find_studies(edit, studies, steps)
        duplicates = _duplicates(steps, studies)
        refused = [violation for step in steps for violation in (step.left if edit.force else step.violations)]
        if (refused or duplicates) and not edit.dry_run:
            raise ConstraintViolations([*refused, *duplicates])
        append = _append(edit, steps, studies, occasion) if not edit.dry_run else None
        result = _result(edit, study, studies, steps, duplicates)
        if append is not None and (append.versions or edit.idempotency):
            await self.log.append(_with_answer(append, edit, result))
        return result

    async def _steps(
        self,
        datastore_id: str,
        current: CurrentImageSet,
        change: MetadataUpdates | Revert | Delete | Move,
        targets: Sequence[Target] | None,
        studies: Mapping[str, CurrentStudy],
        occasion: Occasion,
    ) -> list[Step]:
        """Return what is done to one image set, and for it to others. targets: of an update that was gone through."""
        if isinstance(change, Revert):
            return [await self._revert(datastore_id, current, change)]
        if isinstance(change, Move):
            return await self._move(datastore_id, current, change, studies, occasion)
        count = sum(part.count for part in current.parts.values())
        if isinstance(change, Delete):
            return [await _off_loop(count, lambda: delete(current))]
        named = targets_of(change) if targets is None else targets
        record = self.record_original_attributes
        return [await _off_loop(count, lambda: update(current, named, occasion, self.profile, record))]

    async def _move(
        self,
        datastore_id: str,
        current: CurrentImageSet,
        move: Move,
        studies: Mapping[str, CurrentStudy],
        occasion: Occasion,
    ) -> list[Step]:
        uid = move.sop_instance_uid
        found = instances_by_uid(current.parts.values(), {uid})
        if uid not in found:
            raise NotFound("instance", uid)
        source = (datastore_id, current.image_set_id)
        moved = Moved(
            current,
            found[uid],
            (await self.log.objects(*source, current.properties.version, {uid}))[uid],
            {uri: await self.log.bulk_data(*source, uri) for uri in dict.fromkeys(bulk_uris(found[uid]["DICOM"]))},
        )
        to = destination(move, studies[move.head.study_instance_uid])
        return moving.steps(move, moved, to, self.new_id(), occasion, self.profile, self.record_original_attributes)

    async def _revert(self, datastore_id: str, current: CurrentImageSet, change: Revert) -> Step:
        target = await self.log.read(datastore_id, current.image_set_id, change.to)
        if target.properties.state == "DELETED":
            raise InvalidUpdate(f"version {change.to} of image set {current.image_set_id} is a deleted one")
        gone = current.properties.state == "DELETED"
        now = set() if gone else {part.number for part in current.manifest}
        then = {part.number for part in target.manifest}
        numbers = sorted((now ^ then) - {0})
        parts = await self.log.parts(datastore_id, current.image_set_id, numbers) if numbers else {}
        only_now = [parts[number] for number in numbers if number in now]
        only_then = [parts[number] for number in numbers if number in then]
        count = sum(part.count for part in parts.values())
        step = await _off_loop(count, lambda: revert(current, target, only_now, only_then))
        step.other_bytes = await self._other_bytes(current, target, only_now, only_then)
        return step

    async def _other_bytes(
        self, current: CurrentImageSet, target: StoredVersion, now: Sequence[Part], then: Sequence[Part]
    ) -> bool:
        """Whether an instance that both versions have was stored as other bytes: its pixels may differ."""
        mine, earlier = object_numbers(now), object_numbers(then)
        uids = [uid for uid in mine.keys() & earlier.keys() if mine[uid] != earlier[uid]]
        if not uids:
            return False
        stored = [
            await self.log.objects(version.datastore_id, version.image_set_id, version.version, uids)
            for version in (current.properties, target.properties)
        ]
        return any(stored[0][uid].sha256 != stored[1][uid].sha256 for uid in uids)

    async def _find_studies(self, edit: Edit, studies: dict[str, CurrentStudy], steps: Sequence[Step]) -> None:
        """Add to `studies` those that image sets move to. Raises VersionConflict for one the edit was not made from."""
        for step in steps:
            uid = step.draft.head.study_instance_uid
            if step.changed and uid not in studies:
                studies[uid] = await self.log.current_study(edit.datastore_id, uid)
        for uid, version in (one.joins for one in edit.image_sets if one.joins):
            if uid in studies and studies[uid].version != version:
                raise VersionConflict(f"study {uid}", version, studies[uid].version)


async def _off_loop(instances: int, work: Callable[[], Result]) -> Result:
    return await asyncio.to_thread(work) if instances > INSTANCES_ON_LOOP else work()


# -- what the edit is about


def _chooser(
    edit: Edit, targets: Mapping[str, Sequence[Target]], everything: bool
) -> Callable[[ImageSetVersion], Collection[str] | None]:
    """Return the choice of instances to read: those an update names, all of what is deleted.

    targets: what the updates name, by image set.
    """
    changes = {one.image_set_id: one.change for one in edit.image_sets}
    named: dict[str, Collection[str] | None] = {
        image_set_id: None if everything else named_instances(of_one) for image_set_id, of_one in targets.items()
    }
    arrivals = {
        one.change.to.image_set_id: {one.change.new_uid}
        for one in edit.image_sets
        if isinstance(one.change, Move) and one.change.to
    }

    def choose(image_set: ImageSetVersion) -> Collection[str] | None:
        if image_set.image_set_id in named:
            return named[image_set.image_set_id]
        change = changes.get(image_set.image_set_id)
        if isinstance(change, Delete):
            return None
        if isinstance(change, Move):
            return {change.sop_instance_uid}
        if image_set.image_set_id in arrivals:
            return arrivals[image_set.image_set_id]
        included = edit.include_study_image_sets and image_set.is_primary
        return None if everything and included else ()

    return choose


def _targets(edit: Edit, study: CurrentStudy) -> list[tuple[CurrentImageSet, MetadataUpdates | Revert | Delete | Move]]:
    """Return the image sets to change. Raises NotFound, Gone, VersionConflict, InvalidUpdate."""
    uid = study.study_instance_uid
    if edit.study_version is not None and edit.study_version != study.version:
        raise VersionConflict(f"study {uid}", edit.study_version, study.version)
    image_sets = {image_set.image_set_id: image_set for image_set in study.image_sets}
    targets: dict[str, tuple[CurrentImageSet, MetadataUpdates | Revert | Delete | Move]] = {}
    for one in edit.image_sets:
        current = image_sets.get(one.image_set_id)
        if current is None:
            raise NotFound("image set", f"{one.image_set_id} of study {uid}")
        if one.image_set_id in targets:
            raise InvalidUpdate(f"image set {one.image_set_id} is there twice")
        version = current.properties.version
        if version != one.latest_version:
            raise VersionConflict(f"image set {one.image_set_id}", one.latest_version, version)
        if current.properties.state == "DELETED" and not isinstance(one.change, Revert):
            raise Gone("image set", one.image_set_id)
        targets[one.image_set_id] = current, one.change
    if edit.include_study_image_sets:
        targets.update(_included(edit, study, targets))
    return list(targets.values())


def _moved_to(edit: Edit, study: CurrentStudy) -> set[str]:
    """Return the other studies that instances move to."""
    uids = {one.change.head.study_instance_uid for one in edit.image_sets if isinstance(one.change, Move)}
    if uids and len(edit.image_sets) > 1:
        raise InvalidUpdate("the move of an instance is an edit of its own")
    return uids - {study.study_instance_uid}


def _included(
    edit: Edit, study: CurrentStudy, named: Collection[str]
) -> dict[str, tuple[CurrentImageSet, MetadataUpdates]]:
    """Return the other primary image sets of the study, with the Patient and Study level of the update."""
    change = edit.image_sets[0].change
    if len(edit.image_sets) != 1 or not isinstance(change, MetadataUpdates):
        raise InvalidUpdate("includeStudyImageSets goes with an update of one image set")
    updates = upper_levels(change)
    if updates is None:
        return {}
    return {
        image_set.image_set_id: (image_set, updates)
        for image_set in study.image_sets
        if image_set.visible and image_set.image_set_id not in named
    }


def upper_levels(updates: MetadataUpdates) -> MetadataUpdates | None:
    """Return what updates say of Patient and Study; None where they say nothing of them."""
    documents = [_upper_levels(updates.updatable), _upper_levels(updates.removable)]
    return MetadataUpdates(*documents) if any(documents) else None


def _upper_levels(document: Mapping[str, object] | None) -> dict[str, object] | None:
    if document is None:
        return None
    upper = {key: value for key, value in document.items() if key != "Study"}
    study = document.get("Study")
    if isinstance(study, dict):
        upper["Study"] = {key: value for key, value in study.items() if key != "Series"}
    return upper if upper.get("Patient") or upper.get("Study") else None


def _action(edit: Edit) -> Action:
    kinds = {type(one.change) for one in edit.image_sets}
    if kinds == {Delete}:
        return "delete"
    return "revert" if Revert in kinds else "update"


# -- what becomes of the study


def _duplicates(steps: Sequence[Step], studies: Mapping[str, CurrentStudy]) -> list[Violation]:
    """Return a violation for each image set that would become the second primary one of its series."""
    edited = {step.draft.image_set_id for step in steps if step.changed}
    taken = {
        (study.study_instance_uid, image_set.properties.series_instance_uid)
        for study in studies.values()
        for image_set in study.image_sets
        if image_set.visible and image_set.image_set_id not in edited
    }
    found: list[Violation] = []
    for step in steps:
        head = step.draft.head
        if not step.changed or not step.draft.is_primary or step.draft.state == "DELETED":
            continue
        key = head.study_instance_uid, head.series_instance_uid
        if key in taken:
            found.append(
                Violation(
                    rule="duplicate",
                    level="Series",
                    message="another primary image set of the study has this SeriesInstanceUID",
                    force_lifts=False,
                    tag="0020000E",
                    keyword="SeriesInstanceUID",
                    series_instance_uid=(step.current.properties if step.current else head).series_instance_uid,
                )
            )
        taken.add(key)
    return found


def _append(edit: Edit, steps: Sequence[Step], studies: Mapping[str, CurrentStudy], occasion: Occasion) -> Append:
    """Return what to write: the new versions, and one of each study they were or are in."""
    versions = {step.draft.image_set_id: step.draft.finish(occasion) for step in steps if step.changed}
    new = (
        [_study_version(study, versions, studies.values(), occasion) for study in studies.values()] if versions else []
    )
    return Append(
        edit.datastore_id, tuple(new), tuple(versions.values()), occasion.at, most_metadata=edit.most_metadata
    )


def _study_version(
    study: CurrentStudy, versions: Mapping[str, NewVersion], studies: Iterable[CurrentStudy], occasion: Occasion
) -> NewStudyVersion:
    """Return a study's next version: what it had and still has, and what is new in it."""
    uid = study.study_instance_uid
    had = [image_set for image_set in study.image_sets if image_set.image_set_id not in versions]
    has = [version for version in versions.values() if version.study_instance_uid == uid]
    left = {image_set.image_set_id for image_set in study.image_sets} & versions.keys()
    concerned = [version for version in versions.values() if version in has or version.image_set_id in left]
    summary = joined_summary([version.changed for version in concerned])
    return new_study_version(uid, study.version, [*map(member_of, had), *map(member_of, has)], occasion, summary)


def _with_answer(append: Append, edit: Edit, result: EditResult) -> Append:
    key = edit.idempotency
    if key is None:
        return append
    return replace(append, remember=RememberedAnswer(key.key, key.digest, key.remember(result)))


def _result(
    edit: Edit,
    study: CurrentStudy,
    studies: Mapping[str, CurrentStudy],
    steps: Sequence[Step],
    duplicates: Sequence[Violation],
) -> EditResult:
    """Return what the edit did. The study is the one the image sets, or the instance, are in afterwards, if one."""
    changed = any(step.changed for step in steps)
    moves = [one.change.head.study_instance_uid for one in edit.image_sets if isinstance(one.change, Move)]
    after = set(moves) or {step.draft.head.study_instance_uid for step in steps}
    now = studies[after.pop()] if len(after) == 1 and changed else study
    return EditResult(
        study_instance_uid=now.study_instance_uid,
        study_version=now.version + (1 if changed else 0),
        changed=changed,
        image_sets=tuple(step.result for step in steps),
        violations=(*(v for step in steps for v in step.violations), *duplicates) if edit.dry_run else (),
        violations_with_force=(*(v for step in steps for v in step.left), *duplicates) if edit.dry_run else (),
    )
