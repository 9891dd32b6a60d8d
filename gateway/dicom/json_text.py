"""JSON text, read strictly: whatever two parsers could read differently is refused.

RFC 8259 leaves open what becomes of a name that comes twice, of a number no double holds and of half a surrogate
pair; Python's parser also takes NaN, and recurses as deep as it is told to. None of that may decide what a record
says, so it ends here, with the path to it. Numbers keep their text, for the VRs that are text (DS, IS).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from gateway.errors import InvalidDicomJson


class Number(str):
    """The text of a JSON number, as it was sent: "70.50", "1E2", thousands of digits."""

    __slots__ = ()


Json: TypeAlias = "str | Number | bool | list[Json] | dict[str, Json] | None"


@dataclass(frozen=True, slots=True)
class _Defect:
    """Stands in the parsed value where the text is refused, so that its path can be told."""

    reason: str
    name: str = ""


# A string (to its end, or to that of the text: possessive, so in linear time) or one bracket.
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")

# A name that can be shown in an error: a tag, a keyword, a member of an attribute. Others may be a patient's.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9]{1,64}")


def read_json(body: bytes, *, max_brackets: int, max_string: int) -> Json:
    """Return the value of a JSON text: strings, `Number`s, booleans, None, lists and dicts.

    max_brackets: how many arrays and objects may lie in each other. max_string: the most characters of one string.

    Raises InvalidDicomJson, with the path of the first thing refused.
    """
    text = _decode(body)
    _check_brackets(text, max_brackets)
    value, defective = _parse(text)
    if defective or len(text) > max_string or _SURROGATE_ESCAPE.search(text):
        for path, reason in _defects(value, "$", max_string):
            raise InvalidDicomJson(path, reason)
    return value


def member_path(path: str, name: str) -> str:
    """Return the JSON path of an object's member; of the object itself where the name is better not repeated."""
    return f"{path}.{name}" if _PLAIN_NAME.fullmatch(name) else path


def _decode(body: bytes) -> str:
    if body.startswith(b"\xef\xbb\xbf"):
        raise InvalidDicomJson("$", "begins with a byte order mark: JSON is UTF-8 without one (RFC 8259 section 8.1)")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidDicomJson("$", f"is not UTF-8 at byte {error.start}") from error


def _check_brackets(text: str, most: int) -> None:
    """Raise InvalidDicomJson where brackets lie too deep in each other, before a recursive parser meets them."""
    if text.count("[") + text.count("{") <= most:
        return
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        bracket = match[0]
        if bracket in "[{":
            depth += 1
            if depth > most:
                where = _position(text, match.start())
                raise InvalidDicomJson("$", f"is nested too deep, in more than {most} arrays and objects {where}")
        elif bracket in "]}":
            depth -= 1


def _position(text: str, offset: int) -> str:
    line_start = text.rfind("\n", 0, offset) + 1
    return f"(line {text.count(chr(10), 0, offset) + 1}, column {offset - line_start + 1})"


class _Defective(Exception):
    """There is something to refuse: read again, to find out where."""


def _members_named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Defective
    return found


def _no_constant(_: str) -> None:
    raise _Defective


# To make one takes longer than to read a short text with it.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_members_named_once, parse_int=Number, parse_float=Number, parse_constant=_no_constant
)


def _parse(text: str) -> tuple[Json, bool]:
    """Return the value, and whether there are `_Defect`s in it."""
    try:
        return _DECODER.decode(text), False
    except (_Defective, json.JSONDecodeError):
        return _parse_to_tell(text)


def _parse_to_tell(text: str) -> tuple[Json, bool]:
    defects = []

    def defect(reason: str, name: str = "") -> _Defect:
        defects.append(reason)
        return _Defect(reason, name)

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Defect:
        found: dict[str, Any] = {}
        for name, member in pairs:
            if name in found:
                return defect("the name is there twice", name)
            found[name] = member
        return found

    def constant(_: str) -> _Defect:
        return defect("NaN and Infinity are no JSON; as values of FL and FD they are strings")

    try:
        value = json.loads(
            text, object_pairs_hook=members, parse_int=Number, parse_float=Number, parse_constant=constant
        )
    except json.JSONDecodeError as error:
        raise InvalidDicomJson("$", f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from error
    return value, bool(defects)


def _defects(value: Any, path: str, max_string: int) -> Iterator[tuple[str, str]]:
    """Yield path and reason of what is refused, in the order of the text."""
    if isinstance(value, _Defect):
        yield member_path(path, value.name), value.reason
    elif isinstance(value, str):
        if len(value) > max_string:
            yield path, f"is longer than {max_string} characters"
        elif _SURROGATE.search(value):
            yield path, "has half a surrogate pair, which is no character"
    elif isinstance(value, list):
        for position, member in enumerate(value):
            yield from _defects(member, f"{path}[{position}]", max_string)
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from _defects(name, path, max_string)
            yield from _defects(member, member_path(path, name), max_string)
