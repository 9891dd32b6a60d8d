"""What each VR can hold: PS3.5 section 6.2, as one table.

Two questions, because archives are full of values that break the standard and are kept all the same: is a value
valid, and could it be stored at all? A date "1970-01-01" is invalid and storable; a backslash in a VR with several
values is not, it would become two of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple

from gateway.dicom.dataset import BulkData, Element, Scalar
from gateway.dicom.dictionary import CHARACTER_SET_VRS, SINGLE_VALUED_VRS, STRING_VRS


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a value, in words that do not quote it.

    storable: whether it could be written to PS3.10 and read back all the same.
    where: "[1]" the second value, "[0].00080100" an attribute in the first item; "" the element itself.
    """

    reason: str
    storable: bool
    where: str = ""


class Text(NamedTuple):
    """A row of PS3.5 Table 6.2-1 for a VR of strings. length: the most characters of one value; None for no limit."""

    length: int | None
    pattern: re.Pattern[str]
    sentence: str


_FRACTION = r"(\.\d{1,6})?"
_TIME = rf"([01]\d|2[0-3])(([0-5]\d)(([0-5]\d|60){_FRACTION})?)?"
_OFFSET = r"([+-](0\d|1[0-4])[0-5]\d)?"
_DATE_TIME = rf"\d{{4}}((0[1-9]|1[0-2])((0[1-9]|[12]\d|3[01])({_TIME})?)?)?{_OFFSET}"

# PS3.5 section 6.1.3: text without control characters, C1 included; in the long text VRs TAB LF FF CR are format.
_LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f\\]*")
_TEXT = re.compile(r"[^\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]*")
_NO_CONTROL = "no control character"

# PS3.5 Table 6.2-1, in its order. The patterns are for values of one character and more: an empty one is valid in all.
TEXT: dict[str, Text] = {
    "AE": Text(16, re.compile(r"(?=.*[^ ])[ -\[\]-~]*"), "AE is 1 to 16 characters of ASCII, not all of them spaces"),
    "AS": Text(4, re.compile(r"\d{3}[DWMY]"), "AS is three digits and D, W, M or Y"),
    "AT": Text(8, re.compile(r"[0-9A-F]{8}"), "AT is a tag, eight hex digits"),
    "CS": Text(16, re.compile(r"[A-Z0-9_ ]*"), "CS is upper-case letters, digits, spaces and underscores"),
    "DA": Text(8, re.compile(r"\d{8}"), "DA is a date, YYYYMMDD"),
    "DS": Text(16, re.compile(r" *[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)? *"), "DS is a decimal number"),
    "DT": Text(26, re.compile(_DATE_TIME + " *"), "DT is a date and time, YYYYMMDDHHMMSS.FFFFFF&ZZXX or its beginning"),
    "IS": Text(12, re.compile(r" *[+-]?\d+ *"), "IS is an integer"),
    "LO": Text(64, _LINE, f"LO has {_NO_CONTROL}"),
    "LT": Text(10240, _TEXT, f"LT has {_NO_CONTROL} but TAB, LF, FF and CR"),
    "PN": Text(None, _LINE, f"PN has {_NO_CONTROL}"),
    "SH": Text(16, _LINE, f"SH has {_NO_CONTROL}"),
    "ST": Text(1024, _TEXT, f"ST has {_NO_CONTROL} but TAB, LF, FF and CR"),
    "TM": Text(14, re.compile(_TIME + " *"), "TM is a time, HHMMSS.FFFFFF or its beginning"),
    "UC": Text(None, _LINE, f"UC has {_NO_CONTROL}"),
    "UI": Text(64, re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))*"), "UI is numbers joined by dots, no leading zeros"),
    "UR": Text(None, re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+ *"), "UR is a URI (RFC 3986)"),
    "UT": Text(None, _TEXT, f"UT has {_NO_CONTROL} but TAB, LF, FF and CR"),
}

# PS3.5 Table 6.2-1: the integers each binary VR holds.
INTEGERS: dict[str, tuple[int, int]] = {
    "SL": (-(2**31), 2**31 - 1),
    "SS": (-(2**15), 2**15 - 1),
    "SV": (-(2**63), 2**63 - 1),
    "UL": (0, 2**32 - 1),
    "US": (0, 2**16 - 1),
    "UV": (0, 2**64 - 1),
}
FLOAT32_MAX = 3.4028234663852886e38
_IS_RANGE = INTEGERS["SL"]

# PS3.5 Table 6.2-1: bytes of one number in a binary value.
WORD_BYTES = {"OB": 1, "OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2, "UN": 1}

# PS3.5 section 7.1.2: these have a length of 16 bits in explicit VR.
SHORT_LENGTH_VRS = frozenset("AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_SHORT_LENGTH = 0xFFFE
_NUMBER_BYTES = {"AT": 4, "FD": 8, "FL": 4, "SL": 4, "SS": 2, "UL": 4, "US": 2}

# PS3.5 section 6.2.1: a person name has up to three component groups of up to five components.
_PN_GROUPS, _PN_COMPONENTS, _PN_GROUP_LENGTH = 3, 5, 64

# What ends a line, or begins an escape sequence of ISO 2022 once the text is written in such a character set.
_LINE_BREAKERS = re.compile(r"[\n\f\r\x1b]")
_LONG_TEXT_VRS = frozenset({"LT", "ST", "UT"})


def value_problems(element: Element) -> list[Problem]:
    """Return everything that is wrong with an element's value, in sequences too; none for an empty one."""
    if element.vr == "SQ":
        return list(_item_problems(element))
    return [*_storage_problems(element), *_validity_problems(element)]


def storage_problem(element: Element) -> Problem | None:
    """Return why an element could not be stored at all, the first reason; None if it could. Not for SQ."""
    return next(_storage_problems(element), None)


def _item_problems(element: Element) -> Iterator[Problem]:
    for position, item in enumerate(element.items):
        for tag, member in item.items():
            for problem in value_problems(member):
                yield replace(problem, where=f"[{position}].{tag}{problem.where}")


def _storage_problems(element: Element) -> Iterator[Problem]:
    """Yield what PS3.10 has no bytes for, or would read back as something else."""
    vr = element.vr
    if vr in SINGLE_VALUED_VRS and len(element.values) > 1:
        yield Problem(f"{vr} has one value", storable=False)
    if isinstance(element.binary, bytes) and len(element.binary) % WORD_BYTES.get(vr, 1):
        yield Problem(f"{vr} is words of {WORD_BYTES[vr]} bytes, and the last is cut short", storable=False)
    if vr in SHORT_LENGTH_VRS and _encoded_length(element) > _SHORT_LENGTH:
        yield Problem(f"{vr} holds at most {_SHORT_LENGTH} bytes", storable=False)
    for position, value in enumerate(element.values):
        reason = _why_not_storable(vr, value)
        if reason:
            yield Problem(reason, storable=False, where=f"[{position}]")


def _encoded_length(element: Element) -> int:
    if element.vr in _NUMBER_BYTES:
        return len(element.values) * _NUMBER_BYTES[element.vr]
    if isinstance(element.binary, BulkData):
        return 0
    return sum(len(str(value).encode("utf-8", "replace")) + 1 for value in element.values) - 1


def _why_not_storable(vr: str, value: Scalar) -> str | None:
    """Return why a value cannot be written and read back as it is; None if it can."""
    if isinstance(value, str):
        return _why_text_not_storable(vr, value)
    if vr in INTEGERS and not INTEGERS[vr][0] <= value <= INTEGERS[vr][1]:
        return f"{vr} is an integer from {INTEGERS[vr][0]} to {INTEGERS[vr][1]}"
    if vr == "FL" and FLOAT32_MAX < abs(value) < float("inf"):
        return "FL is a number of 32 bits, and this is beyond the largest"
    return None


def _why_text_not_storable(vr: str, text: str) -> str | None:
    if vr == "UI" and text.strip("0123456789."):
        return "a UID has only digits and dots"
    if vr == "AT" and not TEXT["AT"].pattern.fullmatch(text):
        return TEXT["AT"].sentence
    if "\0" in text:
        return "NUL cannot be stored in text"
    if vr not in SINGLE_VALUED_VRS and "\\" in text:
        return f"a backslash separates values of {vr}: it cannot be in one"
    if vr not in _LONG_TEXT_VRS and _LINE_BREAKERS.search(text):
        return f"{vr} cannot hold CR, LF, FF or ESC"
    if vr not in CHARACTER_SET_VRS and not text.isascii():
        return f"{vr} is ASCII: no character set has other characters for it"
    return None


def _validity_problems(element: Element) -> Iterator[Problem]:
    """Yield what PS3.5 section 6.2 forbids and PS3.10 could hold all the same."""
    vr = element.vr
    if vr not in STRING_VRS:
        return
    for position, value in enumerate(element.values):
        if isinstance(value, str) and value and not _why_text_not_storable(vr, value):
            for reason in _why_text_not_valid(vr, value):
                yield Problem(reason, storable=True, where=f"[{position}]")


def _why_text_not_valid(vr: str, text: str) -> Iterator[str]:
    row = TEXT[vr]
    if row.length is not None and len(text) > row.length:
        yield f"{vr} is at most {row.length} characters"
    if not row.pattern.fullmatch(text):
        yield row.sentence
    elif vr == "DA" and not _is_date(text):
        yield "DA is a date, and there is no such day"
    elif vr == "IS" and not _IS_RANGE[0] <= int(text.strip()[:24]) <= _IS_RANGE[1]:
        yield f"IS is an integer from {_IS_RANGE[0]} to {_IS_RANGE[1]}"
    if vr == "PN":
        yield from _why_name_not_valid(text)


def _is_date(text: str) -> bool:
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return False
    return True


def _why_name_not_valid(name: str) -> Iterator[str]:
    groups = name.split("=")
    if len(groups) > _PN_GROUPS:
        yield f"PN has at most {_PN_GROUPS} component groups"
    if any(len(group) > _PN_GROUP_LENGTH for group in groups):
        yield f"a component group of PN is at most {_PN_GROUP_LENGTH} characters"
    if any(group.count("^") >= _PN_COMPONENTS for group in groups):
        yield f"a component group of PN has at most {_PN_COMPONENTS} components"
