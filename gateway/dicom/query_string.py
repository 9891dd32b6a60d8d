"""Reading a QIDO-RS query string: PS3.18 section 8.3.4, and the attributes of results, section 10.6.3."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from gateway.dicom.dataset import Tag
from gateway.dicom.dictionary import entry_named, entry_of, is_private
from gateway.dicom.levels import level_of
from gateway.dicom.matching import NUMBER_VRS, TIME_VRS, Condition, Query, QueryLevel, decimal, earliest, latest
from gateway.errors import InvalidQuery, InvalidUid


class Returned(NamedTuple):
    """An attribute of a search result. always: empty if it has no value; else it is left out then."""

    tag: Tag
    always: bool = True


# PS3.18 Tables 10.6.3-3, 10.6.3-4, 10.6.3-5: what a result has whether it was asked for or not. What the tables ask for
# "if known", and what an instance without pixels cannot have, is not always there; nor is ModalitiesInStudy, of
# which OHIF takes a value for granted: one study that has the attribute empty, and it lists none.
RETURNED: dict[QueryLevel, tuple[Returned, ...]] = {
    "Study": (
        Returned("00080005", always=False),  # SpecificCharacterSet
        Returned("00080020"),  # StudyDate
        Returned("00080030"),  # StudyTime
        Returned("00080050"),  # AccessionNumber
        Returned("00080056"),  # InstanceAvailability
        Returned("00080061", always=False),  # ModalitiesInStudy
        Returned("00080090"),  # ReferringPhysicianName
        Returned("00080201", always=False),  # TimezoneOffsetFromUTC
        Returned("00081190"),  # RetrieveURL
        Returned("00100010"),  # PatientName
        Returned("00100020"),  # PatientID
        Returned("00100030"),  # PatientBirthDate
        Returned("00100040"),  # PatientSex
        Returned("0020000D"),  # StudyInstanceUID
        Returned("00200010"),  # StudyID
        Returned("00201206"),  # NumberOfStudyRelatedSeries
        Returned("00201208"),  # NumberOfStudyRelatedInstances
    ),
    "Series": (
        Returned("00080005", always=False),  # SpecificCharacterSet
        Returned("00080060"),  # Modality
        Returned("00080201", always=False),  # TimezoneOffsetFromUTC
        Returned("0008103E", always=False),  # SeriesDescription
        Returned("00081190"),  # RetrieveURL
        Returned("0020000E"),  # SeriesInstanceUID
        Returned("00200011"),  # SeriesNumber
        Returned("00201209"),  # NumberOfSeriesRelatedInstances
        Returned("00400244", always=False),  # PerformedProcedureStepStartDate
        Returned("00400245", always=False),  # PerformedProcedureStepStartTime
        Returned("00400275", always=False),  # RequestAttributesSequence
    ),
    "Instance": (
        Returned("00080005", always=False),  # SpecificCharacterSet
        Returned("00080016"),  # SOPClassUID
        Returned("00080018"),  # SOPInstanceUID
        Returned("00080056"),  # InstanceAvailability
        Returned("00080201", always=False),  # TimezoneOffsetFromUTC
        Returned("00081190"),  # RetrieveURL
        Returned("00200013"),  # InstanceNumber
        Returned("00280008", always=False),  # NumberOfFrames
        Returned("00280010", always=False),  # Rows
        Returned("00280011", always=False),  # Columns
        Returned("00280100", always=False),  # BitsAllocated
    ),
}

# PS3.18 Table 10.6.1-5 searches series by PerformedProcedureStepStartDate and -Time, which HealthImaging keeps with the
# instances: those of a series are those of its first instance. To read it costs, so that it is done only for a query
# that asks for them.
FROM_INSTANCES = frozenset({"00400244", "00400245"})

# Attributes a store computes for a result of a level.
COMPUTED: dict[QueryLevel, frozenset[Tag]] = {
    "Study": frozenset({"00080056", "00080061", "00080062", "00201206", "00201208"}),
    "Series": frozenset({"00080056", "00201209"}) | FROM_INSTANCES,
    "Instance": frozenset({"00080056"}),
}

_LEVELS_SEEN: dict[QueryLevel, frozenset[str]] = {
    "Study": frozenset({"Patient", "Study"}),
    "Series": frozenset({"Patient", "Study", "Series"}),
    "Instance": frozenset({"Patient", "Study", "Series", "Instance"}),
}
_ABOVE: dict[QueryLevel, tuple[QueryLevel, ...]] = {
    "Study": ("Study",),
    "Series": ("Study", "Series"),
    "Instance": ("Study", "Series", "Instance"),
}

# PS3.4 C.2.2.2.4.
WILDCARD_VRS = frozenset("AE CS LO LT PN SH ST UC UN UR UT".split())

# Parameters of a request that are no part of its search: PS3.18 section 8.3.3, our own, and what keeps caches away.
_NOT_OF_SEARCH = frozenset(
    "accept charset _ version dryRun force reason reasonForModification sourceOfPreviousValues".split()
)

# Warning Reason (0008,1196), a number, is searched with wild cards too, and "*" is any: so HealthImaging finds what was
# imported with a warning (devguide, "Searching for DICOM instances").
_WARNING_REASON = ("00081196",)

# Where several codes may be asked for with commas between them, any of which will do: Weasis sends the modalities of
# its dialog so. No code has a comma in it (PS3.5 Table 6.2-1).
_CODES = frozenset({"00080060", "00080061"})

MAX_CONDITIONS = 64
# As many Warning fields as a client can be expected to read.
MAX_WARNINGS = 20
_MAX_VALUE = 1024
_MAX_DEPTH = 8
_MAX_NUMBER = 2**31 - 1
# PS3.18 Table 8.3.4-1, beside the attributes themselves.
PARAMETERS = ("fuzzymatching", "emptyvaluematching", "multiplevaluematching", "includefield", "limit", "offset")

# Before "=" where a component group of a name is left empty: who asks for "=山田*" says nothing of the alphabetic one.
_EMPTY_GROUP = re.compile(r"(?:^|(?<==))(?==)")

_UID = re.compile(r"[0-9.]{1,256}")
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_ATTRIBUTE_ID = r"(?:[0-9A-Fa-f]{8}|[A-Z][A-Za-z0-9]{2,63})"
_ATTRIBUTE_LIKE = re.compile(rf"{_ATTRIBUTE_ID}(?:\.{_ATTRIBUTE_ID})*")
# A name that can be repeated in a header field.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SINGLE = {vr: re.compile(text) for vr, text in TIME_VRS.items()}
_RANGE = {vr: re.compile(f"({text})?-({text})?") for vr, text in TIME_VRS.items()}


def parse_query(level: QueryLevel, parents: Mapping[Tag, str], parameters: Iterable[tuple[str, str]]) -> Query:
    """Return the search that a path and a query string ask for.

    parents: the UIDs in the path by tag. parameters: name and value, percent-decoded, in order, repeated ones too.
    Raises InvalidUid for the path, InvalidQuery for a supported parameter with a value it cannot have.
    """
    search, attributes, ignored = _split(parameters)
    fuzzy = _flag(search, "fuzzymatching")
    empty = _flag(search, "emptyvaluematching")
    multiple = _flag(search, "multiplevaluematching")
    include, include_all, warnings = _include(search.get("includefield", ()))
    warnings += ignored

    conditions = [_uid_condition(tag, uid) for tag, uid in parents.items()]
    for name, values in attributes.items():
        path = attribute_path(name)
        if path is None or not matchable(level, path, any(values)):
            warnings.append(f"The {name} attribute cannot be matched in this search and was ignored.")
            continue
        include.append(path)
        if _vr(path[-1]) == "UI":
            values = [",".join(values)]
        for value in values:
            conditions += _conditions(name, path, value, fuzzy=fuzzy, empty=empty, multiple=multiple)
    conditions = list(dict.fromkeys(conditions))
    if len(conditions) > MAX_CONDITIONS:
        raise InvalidQuery("match", f"more than {MAX_CONDITIONS} conditions")
    return Query(
        level,
        tuple(conditions),
        tuple(dict.fromkeys(include)),
        include_all,
        _number(search, "limit"),
        _number(search, "offset") or 0,
        tuple(dict.fromkeys(warnings))[:MAX_WARNINGS],
    )


def attribute_path(name: str) -> tuple[Tag, ...] | None:
    """Return the tags of an attribute ID: tags or keywords, joined by dots (PS3.18 8.3.4.1); None if unknown."""
    tags = tuple(_tag(part) for part in name.split("."))
    if len(tags) > _MAX_DEPTH or "" in tags:
        return None
    return tags


def matchable(level: QueryLevel, path: Sequence[Tag], with_value: bool = True) -> bool:
    """Whether a search at this level can match the attribute: it is of this level or one above, or computed there.

    Sequences and bytes have no value to match, and Specific Character Set is never matched (PS3.4 C.2.2.2).
    """
    known = level_of(path[0]) in _LEVELS_SEEN[level] or any(path[0] in COMPUTED[above] for above in _ABOVE[level])
    valued = _vr(path[-1]) != "SQ" and not _vr(path[-1]).startswith("O") and path[-1] != "00080005"
    return known and all(_vr(tag) in ("SQ", "UN") for tag in path[:-1]) and (valued or not with_value)


def is_uid(text: str) -> bool:
    """Whether a store takes the text for a UID: 1 to 256 digits and dots."""
    return _UID.fullmatch(text) is not None


def _tag(part: str) -> Tag:
    """Return the tag a part of an attribute ID names; "" for none."""
    entry = entry_named(part)
    if entry:
        return entry.tag
    return part.upper() if _TAG.fullmatch(part) else ""


def _vr(tag: Tag) -> str:
    entry = entry_of(tag)
    if entry is None:
        return "LO" if is_private(tag) and tag[4:6] == "00" else "UN"
    return entry.vr


def _split(
    parameters: Iterable[tuple[str, str]],
) -> tuple[dict[str, list[str]], dict[str, list[str]], list[str]]:
    """Return the values of the search parameters, those of attributes to match, by name, and warnings.

    What is neither is ignored, as PS3.18 section 8.3 says; a warning says so, for `patientid=` was meant to narrow.
    """
    search: dict[str, list[str]] = {}
    attributes: dict[str, list[str]] = {}
    warnings: list[str] = []
    for name, value in parameters:
        if name in PARAMETERS:
            search.setdefault(name, []).append(value)
        elif _ATTRIBUTE_LIKE.fullmatch(name):
            attributes.setdefault(name, []).append(value)
        elif name not in _NOT_OF_SEARCH:
            shown = f"The {name} parameter" if _PLAIN_NAME.fullmatch(name) else "A parameter"
            warnings.append(f"{shown} is not supported and was ignored.")
    return search, attributes, warnings


def _once(search: Mapping[str, Sequence[str]], name: str) -> str | None:
    values = search.get(name, ())
    if len(values) > 1:
        raise InvalidQuery(name, "given more than once")
    return values[0] if values else None


def _flag(search: Mapping[str, Sequence[str]], name: str) -> bool:
    value = _once(search, name)
    if value not in (None, "true", "false"):
        raise InvalidQuery(name, "neither true nor false")
    return value == "true"


def _number(search: Mapping[str, Sequence[str]], name: str) -> int | None:
    value = _once(search, name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit()):
        raise InvalidQuery(name, "not a number from 0 on")
    return min(int(value), _MAX_NUMBER) if len(value) < 20 else _MAX_NUMBER


def _include(fields: Sequence[str]) -> tuple[list[tuple[Tag, ...]], bool, list[str]]:
    """Return the paths of `includefield`, whether it says all, and warnings (PS3.18 section 8.3.4.3)."""
    names = [name.strip() for field in fields for name in field.split(",")]
    paths: list[tuple[Tag, ...]] = []
    warnings: list[str] = []
    for name in dict.fromkeys(names):
        path = attribute_path(name)
        if path is not None:
            paths.append(path)
        elif _ATTRIBUTE_LIKE.fullmatch(name):
            warnings.append(f"The {name} attribute is unknown and is not included.")
        elif name not in ("", "all"):
            raise InvalidQuery("includefield", "neither a tag, nor a keyword, nor a path of them, nor all")
    return paths, "all" in names, warnings


def _conditions(
    name: str, path: tuple[Tag, ...], value: str, *, fuzzy: bool, empty: bool, multiple: bool
) -> list[Condition]:
    """Return the conditions one parameter sets: none for a universal match (PS3.4 C.2.2.2.3), else one, or several of
    which all have to hold (PS3.4 C.2.2.2.8)."""
    vr = _vr(path[-1])
    if len(value) > _MAX_VALUE and vr != "UI":
        raise InvalidQuery(name, f"longer than {_MAX_VALUE} characters")
    if path == _WARNING_REASON and ("*" in value or "?" in value):
        return [Condition(path, "CS", "wildcard", (value,))]
    if empty and value == '""':  # PS3.4 C.2.2.2.7
        return [Condition(path, vr, "empty")]
    if not value.strip("* "):
        return []
    if vr == "UI":
        return [_uid_list(name, path, value)]
    if path[0] in _CODES and "," in value:
        return [Condition(path, vr, "codes", tuple(dict.fromkeys(code.strip(" ") for code in value.split(","))))]
    values = value.split("\\") if multiple else [value]
    return [_condition(name, path, vr, one, fuzzy) for one in values]


def _condition(name: str, path: tuple[Tag, ...], vr: str, value: str, fuzzy: bool) -> Condition:
    """Return the condition for one value: its kind follows from the VR and the characters in it."""
    if vr in _SINGLE:
        # A "+" of an offset from UTC, which may stand in a URL as it is (RFC 3986), arrives as a space from a form.
        return _time_condition(name, path, vr, value.strip(" ").replace(" ", "+"))
    if vr in WILDCARD_VRS and ("*" in value or "?" in value):
        asked = _EMPTY_GROUP.sub("*", value) if vr == "PN" else value
        return Condition(path, vr, "wildcard", (asked,))
    if vr == "PN" and fuzzy:
        return Condition(path, vr, "fuzzy", (value,))
    if vr in NUMBER_VRS and decimal(value) is None:
        raise InvalidQuery(name, "not a number")
    return Condition(path, vr, "single", (value,))


def _time_condition(name: str, path: tuple[Tag, ...], vr: str, value: str) -> Condition:
    if _SINGLE[vr].fullmatch(value):
        lower, upper = earliest(vr, value), latest(vr, value)
        return Condition(path, vr, *(("single", (value,)) if lower == upper else ("range", (lower, upper))))
    bounds = _RANGE[vr].fullmatch(value)
    if bounds is None or value == "-":
        raise InvalidQuery(name, f"neither a value of VR {vr} nor a range of them")
    return Condition(path, vr, "range", (earliest(vr, bounds[1] or ""), latest(vr, bounds[2] or "")))


def _uid_condition(tag: Tag, uid: str) -> Condition:
    if not is_uid(uid):
        entry = entry_of(tag)
        raise InvalidUid(entry.keyword if entry else tag)
    return Condition((tag,), "UI", "uids", (uid,))


def _uid_list(name: str, path: tuple[Tag, ...], value: str) -> Condition:
    """Return a list-of-UID match. The standard's separator is a comma; a backslash is PS3.4's and common."""
    uids = [uid.strip() for uid in re.split(r"[,\\]", value)]
    uids = [uid for uid in uids if uid]
    if not uids or not all(is_uid(uid) for uid in uids):
        raise InvalidQuery(name, "not a UID or a list of them")
    return Condition(path, "UI", "uids", tuple(dict.fromkeys(uids)))
