"""One value in JSON, by VR: PS3.18 Table F.2.3-1, in both directions.

Reading refuses, with the JSON path, what the VR has no form for; SQ and binary are not values (`json_model`).
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from typing import Any, NoReturn, TypeGuard

import orjson

from gateway.dicom.dataset import Scalar
from gateway.dicom.dictionary import FLOAT_VRS, INTEGER_VRS
from gateway.dicom.json_text import Json, Number
from gateway.dicom.values import FLOAT32_MAX, INTEGERS
from gateway.errors import InvalidDicomJson

# Above this, a JSON number is no longer exact in a client that reads it as a double (RFC 8259 section 6).
MAX_EXACT_INTEGER = 2**53

# JSON has no numbers for these: strings of FL and FD, in both directions.
NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")

# An integer, also as writers that know only doubles print it.
_INTEGER = re.compile(r"(-?\d{1,24})(?:\.0+)?", re.ASCII)

# RFC 8259 section 6. DS and IS have forms that are no JSON numbers: "+5", "05", ".5".
_JSON_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


def refuse(path: str, reason: str) -> NoReturn:
    """Raise InvalidDicomJson."""
    raise InvalidDicomJson(path, reason)


def is_string(value: Json) -> TypeGuard[str]:
    """Whether a JSON value is a string, and not the text of a number."""
    return isinstance(value, str) and not isinstance(value, Number)


def value_from_json(vr: str, value: Json, path: str) -> Scalar:
    """Return one value of a VR that is neither binary nor SQ."""
    if vr in INTEGER_VRS:
        return _integer(vr, value, path)
    if vr in FLOAT_VRS:
        return _float(vr, value, path)
    if value is None:
        return ""
    if vr == "PN":
        return _person_name(value, path)
    if isinstance(value, Number):
        return _number_text(vr, value, path)
    if not is_string(value):
        refuse(path, "is not a string")
    return value.upper() if vr == "AT" and value.isascii() else value


def _integer(vr: str, value: Json, path: str) -> int:
    # PS3.18 Table F.2.3-1: 64-bit integers may be strings, since many readers have doubles only.
    readable = isinstance(value, Number) or (vr in ("SV", "UV") and isinstance(value, str))
    literal = _INTEGER.fullmatch(str(value)) if readable else None
    lowest, highest = INTEGERS[vr]
    if not literal:
        refuse(path, f"is not an integer, which {vr} is, from {lowest} to {highest}")
    return int(literal[1])


def _float(vr: str, value: Json, path: str) -> float:
    if isinstance(value, Number):
        number = float(value)
        if math.isinf(number) or (vr == "FL" and abs(number) > FLOAT32_MAX):
            refuse(path, f"is beyond the largest number of {vr}")
        # What PS3.10 will hold: a version must not differ from the file retrieved of it.
        return float(struct.unpack("<f", struct.pack("<f", number))[0]) if vr == "FL" else number
    if is_string(value) and value in NON_FINITE:
        return NON_FINITE[value]
    refuse(path, 'is neither a number nor one of the strings "NaN", "Infinity" and "-Infinity"')


def _number_text(vr: str, value: Number, path: str) -> str:
    if vr not in ("DS", "IS"):
        refuse(path, f"is a number, and {vr} has strings")
    if math.isinf(float(value)):
        refuse(path, "is a number beyond the largest double")
    return str(value)


def _person_name(value: Json, path: str) -> str:
    """Return the PN string of an object of component groups; empty groups at its end are dropped.

    {"Alphabetic": "Wang^XiaoDong", "Ideographic": "王^小東"} -> "Wang^XiaoDong=王^小東"

    PS3.18 F.2.2, PS3.5 6.2.1.
    """
    if not isinstance(value, dict):
        refuse(path, "is not an object with Alphabetic, Ideographic or Phonetic")
    if not set(_GROUPS).issuperset(value):
        refuse(path, "has another member than Alphabetic, Ideographic and Phonetic")
    for name, group in value.items():
        if not is_string(group):
            refuse(f"{path}.{name}", "is not a string")
        if "=" in group or "\\" in group:
            refuse(f"{path}.{name}", "holds = or a backslash, which separate component groups and values")
    return "=".join(str(value.get(name, "")) for name in _GROUPS).rstrip("=")


def value_to_json(vr: str, value: Scalar) -> Any:
    """Return one value as JSON, for `encode_json`; None for an empty one among several."""
    write: Callable[[Any], Any] = _WRITERS.get(vr, _text_to_json)
    return write(value)


def integer_to_json(value: int) -> int | str:
    """Return an integer as JSON: a string where a double would not hold it."""
    return value if -MAX_EXACT_INTEGER <= value <= MAX_EXACT_INTEGER else str(value)


def float_to_json(value: float) -> float | str:
    """Return a float as JSON: "NaN", "Infinity" and "-Infinity" are strings."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _text_to_json(value: Any) -> str | None:
    return value or None


def _number_to_json(value: Any) -> Any:
    """Return DS or IS as a JSON number with the very text of the value, or the string where that is no JSON number."""
    text = value.strip(" ")
    if _JSON_NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return orjson.Fragment(text)
    return value or None


def _person_name_to_json(value: Any) -> dict[str, str] | None:
    groups = zip(_GROUPS, value.split("=", len(_GROUPS) - 1), strict=False)
    return {name: group for name, group in groups if group} or None


_WRITERS: dict[str, Callable[[Any], Any]] = {
    "DS": _number_to_json,
    "IS": _number_to_json,
    "PN": _person_name_to_json,
    **dict.fromkeys(INTEGER_VRS, integer_to_json),
    **dict.fromkeys(FLOAT_VRS, float_to_json),
}
