"""How a target of an update breaks a constraint: a check for each row of the table (constraints.py), in its order.

A check looks at one target of an update, and finds nothing or says why. Whether force lifts what it found, and whether
the target leaves its attribute as it is, is the table's to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from gateway.dicom.dataset import Element
from gateway.dicom.dictionary import entry_named, is_private, is_repeating, is_tag, tag_of, vrs_of
from gateway.dicom.dictionary import multi_valued as is_multi_valued
from gateway.dicom.levels import level_of
from gateway.dicom.values import value_problems
from gateway.errors import Level
from gateway.metadata.cases import Case, bulk_uris_in
from gateway.metadata.pixel_description import PIXEL_DESCRIPTION_TAGS
from gateway.metadata.targets import GENERATED


class Finding(NamedTuple):
    """Why a target breaks a constraint. stands: force does not lift it, although it lifts the constraint elsewhere."""

    message: str
    stands: bool = False


def shape(case: Case) -> Iterator[Finding]:
    if case.target.flaw is not None:
        yield Finding(case.target.flaw)


def generated(case: Case) -> Iterator[Finding]:
    if case.target.key in GENERATED:
        yield Finding(f"{case.target.key} is generated, no update sets or removes it")


def pixel_description(case: Case) -> Iterator[Finding]:
    if case.tag in PIXEL_DESCRIPTION_TAGS:
        yield Finding(f"{case.name} describes the stored pixels or their encoding, which no update changes")


def level(case: Case) -> Iterator[Finding]:
    tag, level = case.tag, case.target.place.level
    if tag is not None and level_of(tag) != level:
        yield Finding(f"{case.name} is an attribute of level {level_of(tag)}, not of {level}")


def absent(case: Case) -> Iterator[Finding]:
    place, metadata = case.target.place, case.edit.metadata
    if case.target.kind == "series" and place.series != metadata.head.series_instance_uid:
        yield Finding(f"the image set has no series {place.series}")
    if case.target.kind == "instance" and place.series == metadata.head.series_instance_uid and case.stored is None:
        yield Finding(f"the image set has no instance {place.instance}")
    named = set(bulk_uris_in(case.target.value)) if case.is_set else set()
    if named and not named <= case.edit.bulk_uris:
        yield Finding(f"{case.name} names bulk data that the image set does not have")


def both(case: Case) -> Iterator[Finding]:
    place = case.target.place
    if (place, case.target.key) in case.edit.set_and_removed:
        yield Finding(f"{case.name} is set and removed in one update")
    if _removes_instance(case) and place in case.edit.instances_set:
        yield Finding(f"instance {place.instance} is updated and removed in one update")


def duplicate(case: Case) -> Iterator[Finding]:
    uid = case.edit.new_uids.get(case.target.place) if case.target.key == "SOPInstanceUID" and case.is_set else None
    if uid is not None and (uid in case.edit.metadata.instances or case.edit.times_given[uid] > 1):
        yield Finding(f"{case.name} is one that another instance of the image set has")


# The three that identify; the level each is of.
_IDENTIFIERS: Mapping[str, Level] = {
    "StudyInstanceUID": "Study",
    "SeriesInstanceUID": "Series",
    "SOPInstanceUID": "Instance",
}


def uid(case: Case) -> Iterator[Finding]:
    if _IDENTIFIERS.get(case.target.key) != case.target.place.level:
        return
    if not case.is_set or (isinstance(case.element, Element) and case.element.empty):
        yield Finding(f"{case.name} identifies, and is never removed", stands=True)
    elif case.edit.primary and case.edit.profile == "2026-06":
        yield Finding(f"{case.name} of a primary image set is never changed", stands=True)
    else:
        yield Finding(f"{case.name} is changed only with force")


def study_id(case: Case) -> Iterator[Finding]:
    if case.target.key == "StudyID" and case.target.place.level == "Study":
        yield Finding(f"{case.name} is changed only with force")


def private(case: Case) -> Iterator[Finding]:
    tag = case.tag
    if tag is not None and is_private(tag) and case.target.place.level == "Instance":
        yield Finding(f"{case.name} is a private element, changed only with force")


def sequence(case: Case) -> Iterator[Finding]:
    if case.target.kind == "attribute" and case.vr == "SQ":
        yield Finding(f"{case.name} is a sequence, changed only with force and as a whole")


def multi_valued(case: Case) -> Iterator[Finding]:
    if case.target.kind != "attribute" or case.vr == "SQ":
        return
    if case.entry and is_multi_valued(case.entry):
        yield Finding(f"{case.name} has VM {case.entry.vm} in PS3.6: what is not 1 is changed only with force")
    elif case.is_set and isinstance(case.target.value, list) and len(case.target.value) > 1:
        yield Finding(f"{case.name} is given several values, which needs force")


def vr(case: Case) -> Iterator[Finding]:
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


def non_standard(case: Case) -> Iterator[Finding]:
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


def instance_removal(case: Case) -> Iterator[Finding]:
    if _removes_instance(case):
        yield Finding(f"instance {case.target.place.instance} is removed only with force")


def private_vr(case: Case) -> Iterator[Finding]:
    if not case.is_set:
        return
    for key in dict.fromkeys(case.without_vr):
        inside = "" if key == case.target.key else f", in {case.name}"
        yield Finding(f"({key[:4]},{key[4:]}){inside} is new: give its VR in DICOMVRs")
