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
from typing import Literal, NamedTuple, TypeAlias

from gateway.dicom.dataset import Element
from gateway.dicom.dictionary import entry_named, is_private, is_repeating, is_tag, multi_valued, tag_of, vrs_of
from gateway.dicom.levels import level_of
from gateway.dicom.values import value_problems
from gateway.errors import Level, Violation
from gateway.metadata.cases import Case, Edit, bulk_uris_in
from gateway.metadata.image_set import ImageSetMetadata, Profile
from gateway.metadata.pixel_description import PIXEL_DESCRIPTION_TAGS
from gateway.metadata.targets import GENERATED, Target

Force: TypeAlias = Literal["lifts", "never", "allowed"]


class Finding(NamedTuple):
    """Why a target breaks a constraint. stands: force does not lift it, although it lifts the constraint elsewhere."""

    message: str
    stands: bool = False


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


# --- The checks, each for one row


def _shape(case: Case) -> Iterator[Finding]:
    if case.target.flaw is not None:
        yield Finding(case.target.flaw)


def _generated(case: Case) -> Iterator[Finding]:
    if case.target.key in GENERATED:
        yield Finding(f"{case.target.key} is generated, no update sets or removes it")


def _pixel_description(case: Case) -> Iterator[Finding]:
    if case.tag in PIXEL_DESCRIPTION_TAGS:
        yield Finding(f"{case.name} describes the stored pixels or their encoding, which no update changes")


def _level(case: Case) -> Iterator[Finding]:
    tag, level = case.tag, case.target.place.level
    if tag is not None and level_of(tag) != level:
        yield Finding(f"{case.name} is an attribute of level {level_of(tag)}, not of {level}")


def _absent(case: Case) -> Iterator[Finding]:
    place, metadata = case.target.place, case.edit.metadata
    if case.target.kind == "series" and place.series != metadata.head.series_instance_uid:
        yield Finding(f"the image set has no series {place.series}")
    if case.target.kind == "instance" and place.series == metadata.head.series_instance_uid and case.stored is None:
        yield Finding(f"the image set has no instance {place.instance}")
    named = set(bulk_uris_in(case.target.value)) if case.is_set else set()
    if named and not named <= case.edit.bulk_uris:
        yield Finding(f"{case.name} names bulk data that the image set does not have")


def _both(case: Case) -> Iterator[Finding]:
    place = case.target.place
    if (place, case.target.key) in case.edit.set_and_removed:
        yield Finding(f"{case.name} is set and removed in one update")
    if _removes_instance(case) and place in case.edit.instances_set:
        yield Finding(f"instance {place.instance} is updated and removed in one update")


def _duplicate(case: Case) -> Iterator[Finding]:
    uid = case.edit.new_uids.get(case.target.place) if case.target.key == "SOPInstanceUID" and case.is_set else None
    if uid is not None and (uid in case.edit.metadata.instances or case.edit.times_given[uid] > 1):
        yield Finding(f"{case.name} is one that another instance of the image set has")


# The three that identify; the level each is of.
_IDENTIFIERS: Mapping[str, Level] = {
    "StudyInstanceUID": "Study",
    "SeriesInstanceUID": "Series",
    "SOPInstanceUID": "Instance",
}


def _uid(case: Case) -> Iterator[Finding]:
    if _IDENTIFIERS.get(case.target.key) != case.target.place.level:
        return
    if not case.is_set or (isinstance(case.element, Element) and case.element.empty):
        yield Finding(f"{case.name} identifies, and is never removed", stands=True)
    elif case.edit.primary and case.edit.profile == "2026-06":
        yield Finding(f"{case.name} of a primary image set is never changed", stands=True)
    else:
        yield Finding(f"{case.name} is changed only with force")


def _study_id(case: Case) -> Iterator[Finding]:
    if case.target.key == "StudyID" and case.target.place.level == "Study":
        yield Finding(f"{case.name} is changed only with force")


def _private(case: Case) -> Iterator[Finding]:
    tag = case.tag
    if tag is not None and is_private(tag) and case.target.place.level == "Instance":
        yield Finding(f"{case.name} is a private element, changed only with force")


def _sequence(case: Case) -> Iterator[Finding]:
    if case.target.kind == "attribute" and case.vr == "SQ":
        yield Finding(f"{case.name} is a sequence, changed only with force and as a whole")


def _multi_valued(case: Case) -> Iterator[Finding]:
    if case.target.kind != "attribute" or case.vr == "SQ":
        return
    if case.entry and multi_valued(case.entry):
        yield Finding(f"{case.name} has VM {case.entry.vm} in PS3.6: what is not 1 is changed only with force")
    elif case.is_set and isinstance(case.target.value, list) and len(case.target.value) > 1:
        yield Finding(f"{case.name} is given several values, which needs force")


def _vr(case: Case) -> Iterator[Finding]:
    if not case.is_set:
        return
    for key in dict.fromkeys(case.keys):
        yield from _vr_against_dictionary(case, key)
    element = case.element
    if case.tag is None and isinstance(case.target.value, bool):
        yield Finding(f"{case.name}: no VR is true or false", stands=True)
    if isinstance(element, str):
        yield Finding(f"{case.name}: {element}", stands=True)
    elif element is not None:
        problems = value_problems(element)
        reasons = [f"at {problem.where}: {problem.reason}" if element.items else problem.reason for problem in problems]
        # PS3.5 section 9.1: what an edit sets is a UID or is refused; copied within a sequence, it may be old.
        stands = element.vr == "UI" or not all(problem.storable for problem in problems)
        if problems:
            yield Finding(f"{case.name}: {'; '.join(dict.fromkeys(reasons))}", stands)


def _vr_against_dictionary(case: Case, key: str) -> Iterator[Finding]:
    """Find where DICOMVRs gives a keyword a VR that PS3.6 does not."""
    given = {vr for path, vr in case.target.vrs.items() if path.rpartition(".")[2] == key}
    entry = entry_named(key) if given else None
    if entry and not given <= vrs_of(entry.tag):
        wanted = " or ".join(sorted(vrs_of(entry.tag)))
        yield Finding(f"{case.name}: DICOMVRs has another VR for {key} than PS3.6, {wanted}", stands=entry.vr == "UI")


def _non_standard(case: Case) -> Iterator[Finding]:
    if case.target.kind != "attribute":
        return
    unknown = [key for key in dict.fromkeys(case.keys) if entry_named(key) is None]
    if unknown and case.is_set and case.unchanged:
        return
    for key in unknown:
        inside = "" if key == case.target.key else f", in {case.name}"
        if tag_of(key) is None:
            yield Finding(f"{key}{inside}: PS3.6 2022b has no such keyword")
        elif is_tag(key) and not (is_private(key) or is_repeating(key) or case.unchanged):
            yield Finding(f"({key[:4]},{key[4:]}){inside}: PS3.6 2022b has no such tag")


def _removes_instance(case: Case) -> bool:
    return case.target.kind == "instance" and case.target.side == "remove"


def _instance_removal(case: Case) -> Iterator[Finding]:
    if _removes_instance(case):
        yield Finding(f"instance {case.target.place.instance} is removed only with force")


def _private_vr(case: Case) -> Iterator[Finding]:
    if not case.is_set:
        return
    for key in dict.fromkeys(case.without_vr):
        inside = "" if key == case.target.key else f", in {case.name}"
        yield Finding(f"({key[:4]},{key[4:]}){inside} is new: give its VR in DICOMVRs")


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
        broken_by=_shape,
        of_values=False,
    ),
    Constraint(
        rule="generated",
        forbids="a key HealthImaging generates: the image set's own, those of frames, pixel data",
        source="constraints page, item 2",
        force=_NEVER,
        broken_by=_generated,
        of_values=False,
    ),
    Constraint(
        rule="pixel-description",
        forbids="an attribute that describes the stored pixels or their encoding",
        source="ours: metadata that says something else than the stored bytes are is damage (PS3.3 C.7.6.3)",
        force=_NEVER,
        broken_by=_pixel_description,
    ),
    Constraint(
        rule="level",
        forbids="an attribute at a level that is not its own; private elements are of the instance",
        source="constraints page, item 8; normalization page",
        force=_NEVER,
        broken_by=_level,
        of_values=False,
    ),
    Constraint(
        rule="absent",
        forbids="a series, an instance or bulk data that the image set does not have",
        source="constraints page, item 9",
        force=_NEVER,
        broken_by=_absent,
        of_values=False,
    ),
    Constraint(
        rule="both",
        forbids="the same attribute, or an instance, updated and removed in one update",
        source="ours: the guide names no order of the two documents, so there is no telling what is meant",
        force=_NEVER,
        broken_by=_both,
        of_values=False,
    ),
    Constraint(
        rule="duplicate",
        forbids="a SOP Instance UID that another instance of the image set has, or is given",
        source="copy page: SOP Instance UIDs are unique within an image set",
        force=_NEVER,
        broken_by=_duplicate,
    ),
    Constraint(
        rule="uid",
        forbids="a change or removal of StudyInstanceUID, SeriesInstanceUID or SOPInstanceUID",
        source="constraints page, item 3; update page",
        force=_LIFTS,
        but="never a removal; in 2026-06, nothing on a primary image set",
        broken_by=_uid,
    ),
    Constraint(
        rule="study-id",
        forbids="a change or removal of StudyID",
        source="constraints page, item 3",
        force=_LIFTS,
        broken_by=_study_id,
    ),
    Constraint(
        rule="private",
        forbids="a change or removal of a private element of an instance",
        source="constraints page, item 1; update page",
        force=_LIFTS,
        broken_by=_private,
    ),
    Constraint(
        rule="sequence",
        forbids="a change or removal of an attribute of VR SQ",
        source="constraints page, item 4",
        force=_LIFTS,
        broken_by=_sequence,
    ),
    Constraint(
        rule="multi-valued",
        forbids="a change or removal of an attribute whose VM in PS3.6 is not 1, or several values for any other",
        source="constraints page, item 5",
        force=_LIFTS,
        broken_by=_multi_valued,
    ),
    Constraint(
        rule="vr",
        forbids="a value its VR cannot hold, or a VR that PS3.6 does not give the attribute",
        source="constraints page, item 6; PS3.5 sections 6.2 and 9.1",
        force=_LIFTS,
        but="never a value that could not be stored, nor one of VR UI that is no UID",
        broken_by=_vr,
    ),
    Constraint(
        rule="non-standard",
        forbids="a keyword, or a tag that is not private, which PS3.6 2022b does not have",
        source="constraints page, item 7",
        force=_LIFTS,
        broken_by=_non_standard,
        of_values=False,
    ),
    Constraint(
        rule="instance-removal",
        forbids="the removal of an instance",
        source="update page, from 2026 on",
        force={"2024-07": "allowed", "2026-06": "lifts"},
        broken_by=_instance_removal,
    ),
    Constraint(
        rule="private-vr",
        forbids="a new element that PS3.6 does not name, such as a private one, without its VR in DICOMVRs",
        source="ours: without a VR there is no writing it (PS3.5 section 7.1.2)",
        force=_NEVER,
        broken_by=_private_vr,
    ),
)

_BY_RULE = {constraint.rule: constraint for constraint in CONSTRAINTS}
