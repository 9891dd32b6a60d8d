"""What an update may not do, and what force lifts: one table, a row for each constraint.

The rules are HealthImaging's (devguide, "DICOM metadata constraints" and "Updating image set metadata"), in two
profiles because they changed; where its pages are silent the source of the row says who decided. Every row looks at
every target of the update, so that all violations are told at once. What leaves the image set as it is breaks none of
the rules about values: a client may post a whole QIDO result back with one attribute changed.

docs/constraints.md shows this table to people, and a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from gateway.errors import Violation
from gateway.metadata import checks
from gateway.metadata.cases import Case, Edit
from gateway.metadata.checks import Finding
from gateway.metadata.image_set import ImageSetMetadata, Profile
from gateway.metadata.targets import GENERATED, Target

Force: TypeAlias = Literal["lifts", "never", "allowed"]


@dataclass(frozen=True, slots=True)
class Constraint:
    """A row. force: what it does in each profile, "allowed" where that profile has no such constraint.

    but: what force does not lift all the same. of_values: whether it is about what a value becomes, so that an update
    which leaves an attribute as it is cannot break it.
    """

    rule: str
    forbids: str
    source: str
    force: Mapping[Profile, Force]
    broken_by: Callable[[Case], Iterator[Finding]]
    but: str = ""
    of_values: bool = True


def violations(
    metadata: ImageSetMetadata, targets: Sequence[Target], *, profile: Profile, primary: bool, force: bool
) -> list[Violation]:
    """Return every constraint an update breaks, in document order, each once; with force those that it leaves.

    metadata: the version to update, with at least the instances the update names. targets: all that it names, as
    `targets_of` gives it. primary: whether the image set is.
    Without force, `force_lifts` tells which of them would go. One rule is told late: `private-vr`, when nothing else
    stands in the way of the element.
    """
    without, left = violations_and_left(metadata, targets, profile=profile, primary=primary)
    return left if force else without


def violations_and_left(
    metadata: ImageSetMetadata, targets: Sequence[Target], *, profile: Profile, primary: bool
) -> tuple[list[Violation], list[Violation]]:
    """Return `violations` without force, and those that force leaves."""
    edit = Edit(metadata, tuple(targets), profile, primary)
    without: dict[Violation, None] = {}
    left: dict[Violation, None] = {}
    for target in edit.targets:
        case = Case(target, edit)
        broken = _broken(case)
        without.update(dict.fromkeys(_told(broken)))
        left.update(dict.fromkeys(_told([violation for violation in broken if not violation.force_lifts])))
    return list(without), list(left)


def _told(broken: Sequence[Violation]) -> Sequence[Violation]:
    return [violation for violation in broken if violation.rule != "private-vr"] or broken


def _rows_for(target: Target) -> tuple[Constraint, ...]:
    """Return the rows that a target can break: of what makes no sense, or is generated, there is no more to say."""
    if target.flaw is not None:
        return (_BY_RULE["shape"],)
    if target.key in GENERATED:
        return (_BY_RULE["generated"],)
    return CONSTRAINTS


def _broken(case: Case) -> list[Violation]:
    """Return what a target breaks. Whether it leaves its attribute as it is comes last: most checks are quicker."""
    return [
        _violation(row, case, finding)
        for row in _rows_for(case.target)
        if row.force[case.edit.profile] != "allowed"
        for finding in row.broken_by(case)
        if not (row.of_values and case.unchanged)
    ]


def _violation(row: Constraint, case: Case, finding: Finding) -> Violation:
    target = case.target
    return Violation(
        rule=row.rule,
        level=target.place.level,
        message=finding.message,
        force_lifts=row.force[case.edit.profile] == "lifts" and not finding.stands,
        tag=case.tag,
        keyword=None if case.tag == target.key else target.key or None,
        series_instance_uid=target.place.series,
        sop_instance_uid=target.place.instance,
    )


# --- The table

_GUIDE = "https://docs.aws.amazon.com/healthimaging/latest/devguide"

# The pages that the rows cite, by the name they do it by. "ours" is a decision of this project.
SOURCES: Mapping[str, str] = {
    "update command": "https://docs.aws.amazon.com/cli/latest/reference/medical-imaging/update-image-set-metadata.html",
    "constraints page": f"{_GUIDE}/dicom-metadata-constraints.html",
    "update page": f"{_GUIDE}/update-image-set-metadata.html",
    "normalization page": f"{_GUIDE}/metadata-normalization.html",
    "copy page": f"{_GUIDE}/copy-image-set.html",
}

_NEVER: Mapping[Profile, Force] = {"2024-07": "never", "2026-06": "never"}
_LIFTS: Mapping[Profile, Force] = {"2024-07": "lifts", "2026-06": "lifts"}

CONSTRAINTS: tuple[Constraint, ...] = (
    Constraint(
        rule="shape",
        forbids="what is not a SchemaVersion 1.1 update document, or has a key that is neither keyword nor tag",
        source="update command",
        force=_NEVER,
        broken_by=checks.shape,
        of_values=False,
    ),
    Constraint(
        rule="generated",
        forbids="a key HealthImaging generates: the image set's own, those of frames, pixel data",
        source="constraints page, item 2",
        force=_NEVER,
        broken_by=checks.generated,
        of_values=False,
    ),
    Constraint(
        rule="pixel-description",
        forbids="an attribute that describes the stored pixels or their encoding",
        source="ours: metadata that says something else than the stored bytes are is damage (PS3.3 C.7.6.3)",
        force=_NEVER,
        broken_by=checks.pixel_description,
    ),
    Constraint(
        rule="level",
        forbids="an attribute at a level that is not its own; private elements are of the instance",
        source="constraints page, item 8; normalization page",
        force=_NEVER,
        broken_by=checks.level,
        of_values=False,
    ),
    Constraint(
        rule="absent",
        forbids="a series, an instance or bulk data that the image set does not have",
        source="constraints page, item 9",
        force=_NEVER,
        broken_by=checks.absent,
        of_values=False,
    ),
    Constraint(
        rule="both",
        forbids="the same attribute, or an instance, updated and removed in one update",
        source="ours: the guide names no order of the two documents, so there is no telling what is meant",
        force=_NEVER,
        broken_by=checks.both,
        of_values=False,
    ),
    Constraint(
        rule="duplicate",
        forbids="a SOP Instance UID that another instance of the image set has, or is given",
        source="copy page: SOP Instance UIDs are unique within an image set",
        force=_NEVER,
        broken_by=checks.duplicate,
    ),
    Constraint(
        rule="uid",
        forbids="a change or removal of StudyInstanceUID, SeriesInstanceUID or SOPInstanceUID",
        source="constraints page, item 3; update page",
        force=_LIFTS,
        but="never a removal; in 2026-06, nothing on a primary image set",
        broken_by=checks.uid,
    ),
    Constraint(
        rule="study-id",
        forbids="a change or removal of StudyID",
        source="constraints page, item 3",
        force=_LIFTS,
        broken_by=checks.study_id,
    ),
    Constraint(
        rule="private",
        forbids="a change or removal of a private element of an instance",
        source="constraints page, item 1; update page",
        force=_LIFTS,
        broken_by=checks.private,
    ),
    Constraint(
        rule="sequence",
        forbids="a change or removal of an attribute of VR SQ",
        source="constraints page, item 4",
        force=_LIFTS,
        broken_by=checks.sequence,
    ),
    Constraint(
        rule="multi-valued",
        forbids="a change or removal of an attribute whose VM in PS3.6 is not 1, or several values for any other",
        source="constraints page, item 5",
        force=_LIFTS,
        broken_by=checks.multi_valued,
    ),
    Constraint(
        rule="vr",
        forbids="a value its VR cannot hold, or a VR that PS3.6 does not give the attribute",
        source="constraints page, item 6; PS3.5 sections 6.2 and 9.1",
        force=_LIFTS,
        but="never a value that could not be stored, nor one of VR UI that is no UID",
        broken_by=checks.vr,
    ),
    Constraint(
        rule="non-standard",
        forbids="a keyword, or a tag that is not private, which PS3.6 2022b does not have",
        source="constraints page, item 7",
        force=_LIFTS,
        broken_by=checks.non_standard,
        of_values=False,
    ),
    Constraint(
        rule="instance-removal",
        forbids="the removal of an instance",
        source="update page, from 2026 on",
        force={"2024-07": "allowed", "2026-06": "lifts"},
        broken_by=checks.instance_removal,
    ),
    Constraint(
        rule="private-vr",
        forbids="a new element that PS3.6 does not name, such as a private one, without its VR in DICOMVRs",
        source="ours: without a VR there is no writing it (PS3.5 section 7.1.2)",
        force=_NEVER,
        broken_by=checks.private_vr,
    ),
)

_BY_RULE = {constraint.rule: constraint for constraint in CONSTRAINTS}
