"""Datasets that name what they edit: from their UIDs to the level, from their attributes to edits by level.

The level is the lowest UID named: only StudyInstanceUID means the study, with SeriesInstanceUID the series, with
SOPInstanceUID the instance. Attributes of a higher level edit that level; those of a lower one are left where they
are, for the constraints to refuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.dicom.dataset import MergePatch, Tag
from gateway.dicom.levels import LEVELS, level_of
from gateway.dicomweb.edits.plans import LevelEdit
from gateway.dicomweb.targets import Target
from gateway.errors import InvalidDicomJson

STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID = "0020000D", "0020000E", "00080018"
NAMES = (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID)


def by_level(patches: Sequence[MergePatch], within: Target) -> list[LevelEdit]:
    """Return the edits of an array of patches below a study, series or instance.

    Raises InvalidDicomJson for a patch of something else, and where two of them disagree about one attribute.
    """
    named = [(f"$[{position}]", patch) for position, patch in enumerate(patches)]
    return agreed((path, edit) for path, patch in named for edit in split(target_named(patch, within, path), patch))


def target_named(patch: MergePatch, within: Target, path: str = "$") -> Target:
    """Return what a patch is of: its own UIDs below those of `within`, which may be empty.

    Raises InvalidDicomJson for UIDs that are of something else, that are empty, or that leave out one in between.
    """
    uids = []
    for tag, above in zip(NAMES, (within.study, within.series, within.instance), strict=True):
        uid = _uid(patch, tag, path) or above
        if above and uid != above:
            raise InvalidDicomJson(f"{path}.{tag}", "is not the one in the path of the request")
        uids.append(uid)
    for position, uid in enumerate(uids):
        if not uid and (position == 0 or any(uids[position:])):
            raise InvalidDicomJson(f"{path}.{NAMES[position]}", "is missing: it says what the dataset is of")
    return Target(*uids)


def _uid(patch: MergePatch, tag: Tag, path: str) -> str:
    if tag not in patch:
        return ""
    element = patch[tag]
    if element is None or len(element.values) != 1:
        raise InvalidDicomJson(f"{path}.{tag}", "names what is edited, so it is one UID")
    return str(element.values[0])


def split(target: Target, patch: MergePatch) -> list[LevelEdit]:
    """Return the edits of one patch, by level; one without attributes where it names no more than its target."""
    levels = LEVELS[: LEVELS.index(target.level) + 1]
    by_level: dict[str, MergePatch] = {target.level: {}}
    for tag, element in patch.items():
        if tag not in NAMES:
            level = level_of(tag)
            by_level.setdefault(level if level in levels else target.level, {})[tag] = element
    return [
        LevelEdit(
            level,
            by_level[level],
            target.series if level in ("Series", "Instance") else "",
            target.instance if level == "Instance" else "",
        )
        for level in levels
        if level in by_level
    ]


def agreed(edits: Iterable[tuple[str, LevelEdit]]) -> list[LevelEdit]:
    """Return one edit for each level and target, given edits with the JSON path of each.

    Raises InvalidDicomJson where two say different things about one attribute, with the path of the second.
    """
    merged: dict[tuple[str, str, str], LevelEdit] = {}
    for path, edit in edits:
        of_all = merged.setdefault(
            (edit.level, edit.series, edit.instance), LevelEdit(edit.level, {}, edit.series, edit.instance)
        )
        for tag, element in edit.patch.items():
            if of_all.patch.setdefault(tag, element) != element:
                raise InvalidDicomJson(
                    f"{path}.{tag}", f"is not what another dataset says of the same {edit.level.lower()}"
                )
    return list(merged.values())
