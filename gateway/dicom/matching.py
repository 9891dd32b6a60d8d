"""Attribute matching: what a search asks for, and whether a dataset meets it.

PS3.4 section C.2.2.2. A store may answer a condition from an index; `matches_all` is what it has to agree with.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Literal

from gateway.dicom.dataset import Dataset, Element, Tag
from gateway.dicom.dictionary import FLOAT_VRS, INTEGER_VRS

QueryLevel = Literal["Study", "Series", "Instance"]

# The order of results: newest StudyDate first; changed last first; or by a number, from the lowest on.
Order = Literal["StudyDate", "updated", "SeriesNumber", "InstanceNumber"]

# PS3.4 C.2.2.2.1 single value, .2 list of UID, .4 wild card, .5 range; PS3.18 8.3.4 fuzzy and empty value matching.
# Codes are of no section: see query_string.
Kind = Literal["single", "uids", "codes", "wildcard", "range", "fuzzy", "empty"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One attribute to match. path: its tag, preceded by those of the sequences it lies in.

    vr: the dictionary's; UN for what it does not have. values: one for single, wildcard and fuzzy; those of which
    any will do for uids and codes; (lower, upper), either may be "", for range; none for empty. Bounds of TM and DT are
    written out to the microsecond; a TM or DT that names no seconds is a range, of all times it may mean.
    """

    path: tuple[Tag, ...]
    vr: str
    kind: Kind
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """A QIDO-RS search. A UID in the path is a condition like any other.

    include: paths of `includefield`, beyond those always returned; include_all: `includefield=all`.
    limit None: as many as the server gives. warnings: texts for Warning 299, on what was ignored.
    wanted: the attributes somebody will look at, None for all; a store need not return others.
    summaries: of a search for studies, whether what is always returned will do.
    """

    level: QueryLevel
    conditions: tuple[Condition, ...] = ()
    include: tuple[tuple[Tag, ...], ...] = ()
    include_all: bool = False
    limit: int | None = None
    offset: int = 0
    warnings: tuple[str, ...] = ()
    wanted: frozenset[Tag] | None = None
    order: Order = "StudyDate"
    summaries: bool = False


# PS3.5 Table 6.2-1. A "-" in DT may begin an offset from UTC, which lies between -1200 and +1400.
TIME_VRS = {
    "DA": r"[0-9]{8}",
    "TM": r"[0-9]{2}(?:[0-9]{2}(?:[0-9]{2}(?:\.[0-9]{1,6})?)?)?",
    "DT": (
        r"[0-9]{4}(?:[0-9]{2}(?:[0-9]{2}(?:[0-9]{2}(?:[0-9]{2}(?:[0-9]{2}(?:\.[0-9]{1,6})?)?)?)?)?)?"
        r"(?:[+-](?:0[0-9]|1[0-4])[0-5][0-9])?"
    ),
}
NUMBER_VRS = INTEGER_VRS | FLOAT_VRS | {"DS", "IS"}

_TIME = {vr: re.compile(text) for vr, text in TIME_VRS.items()}


def matches_all(dataset: Dataset, conditions: Sequence[Condition]) -> bool:
    """Whether a dataset meets every condition; those on one sequence, in one and the same item (PS3.4 C.2.2.2.6)."""
    nested: dict[Tag, list[Condition]] = {}
    for condition in conditions:
        if len(condition.path) == 1:
            if not matches(dataset, condition):
                return False
        else:
            inner = Condition(condition.path[1:], condition.vr, condition.kind, condition.values)
            nested.setdefault(condition.path[0], []).append(inner)
    return all(_item_matches(dataset.get(tag), inner) for tag, inner in nested.items())


def _item_matches(sequence: Element | None, conditions: Sequence[Condition]) -> bool:
    items = sequence.items if sequence else ()
    if not items:
        return all(condition.kind == "empty" for condition in conditions)
    return any(matches_all(item, conditions) for item in items)


def matches(dataset: Dataset, condition: Condition) -> bool:
    """Whether a dataset meets a condition: one value of the attribute does, in one item if it lies in a sequence."""
    if len(condition.path) > 1:
        return matches_all(dataset, (condition,))
    element = dataset.get(condition.path[0])
    if condition.kind == "empty":
        return element is None or element.empty or all(value == "" for value in element.values)
    if element is None:
        return False
    return any(_value_matches(value, condition) for value in _texts(element))


def _texts(element: Element) -> tuple[str, ...]:
    """Return the values as text. The bytes of UN are text if they are ASCII: many a private element is."""
    if element.vr == "UN" and isinstance(element.binary, bytes) and element.binary.isascii():
        return tuple(element.binary.decode("ascii").split("\\"))
    return tuple(str(value) for value in element.values)


def _value_matches(value: str, condition: Condition) -> bool:
    if condition.kind == "uids":
        return value.rstrip("\0 ") in condition.values
    if condition.kind == "codes":
        return value.strip(" ") in condition.values
    if condition.kind == "range":
        return _in_range(condition.vr, value, condition.values[0], condition.values[1])
    if condition.kind == "fuzzy":
        return _fuzzy_matches(value, condition.values[0])
    return _literal_matches(condition, value)


def _literal_matches(condition: Condition, value: str) -> bool:
    """Whether a value is equal to, or is like, the one asked for. Case counts, except in names (PS3.4 C.2.2.2.1)."""
    asked = condition.values[0].strip(" ")
    same = like if condition.kind == "wildcard" else str.__eq__
    if condition.vr == "PN":
        return any(same(group, name_key(asked)) for group in _name_groups(value, asked))
    if condition.vr in TIME_VRS and _TIME[condition.vr].fullmatch(value.strip(" ")):
        return earliest(condition.vr, value.strip(" ")) == earliest(condition.vr, asked)
    if condition.vr in NUMBER_VRS:
        number = decimal(value)
        return number is not None and number == decimal(asked)
    return same(value.strip(" \0"), asked)


def like(text: str, pattern: str) -> bool:
    """Whether text is like a pattern, in which * is any sequence of characters and ? any one (PS3.4 C.2.2.2.4).

    No regular expression is made of it: this takes at most len(text) * len(pattern) steps.
    """
    at, asked, star, resume = 0, 0, -1, 0
    while at < len(text):
        if asked < len(pattern) and pattern[asked] == "*":
            star, resume = asked, at
            asked += 1
        elif asked < len(pattern) and pattern[asked] in ("?", text[at]):
            at, asked = at + 1, asked + 1
        elif star >= 0:
            resume += 1
            at, asked = resume, star + 1
        else:
            return False
    return not pattern[asked:].strip("*")


# -- person names


def name_key(name: str) -> str:
    """Return a name for comparison: case folded, and without the empty components at the end of each group."""
    groups = (group.rstrip("^ ").lstrip(" ") for group in unicodedata.normalize("NFC", name).casefold().split("="))
    return "=".join(groups).rstrip("=")


def _name_groups(name: str, asked: str) -> tuple[str, ...]:
    """Return what to compare: the whole name where component groups are asked for, else each of its groups.

    Each with and without its empty components, so that "Doe^*" and "*^John" both find "Doe^John^^".
    """
    names = (name_key(name), unicodedata.normalize("NFC", name).casefold().strip(" "))
    return names if "=" in asked else tuple(group for one in names for group in one.split("="))


def name_words(name: str) -> list[str]:
    """Return the words of a name, case folded, without accents."""
    return [word for word in re.split(r"[\s^=,.\-]+", plain(name)) if word]


def plain(name: str) -> str:
    """Return a name case folded and without accents."""
    if name.isascii():
        return name.casefold()
    folded = unicodedata.normalize("NFKD", name).casefold()
    return "".join(character for character in folded if not unicodedata.combining(character))


def _fuzzy_matches(name: str, asked: str) -> bool:
    """Whether each word asked for begins a word of the name, in any order."""
    words = name_words(name)
    return all(any(word.startswith(start) for word in words) for start in name_words(asked))


# -- numbers and times


def decimal(text: str) -> Decimal | None:
    """Return the number a DS, IS or a number's text says; None where it says none."""
    try:
        number = Decimal(text.strip(" \0"))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _in_range(vr: str, value: str, lower: str, upper: str) -> bool:
    """Whether a stored value lies between two bounds, both included (PS3.4 C.2.2.2.5); an empty value never does."""
    if _TIME[vr].fullmatch(value.strip(" ")) is None:
        return False
    key = earliest(vr, value.strip(" "))
    return (not lower or earliest(vr, lower) <= key) and (not upper or key <= latest(vr, upper))


def earliest(vr: str, text: str) -> str:
    """Return the first instant a DA, TM or DT may mean, such that text order is time order; "" for ""."""
    return _written_out(vr, text, "00010101000000000000")


def latest(vr: str, text: str) -> str:
    """Return the last instant a DA, TM or DT may mean; "" for ""."""
    return _written_out(vr, text, "99991231235959999999")


def _written_out(vr: str, text: str, fill: str) -> str:
    if vr == "DA" or not text:
        return text
    if vr == "TM":
        digits = text.replace(".", "")
        digits += fill[8 + len(digits) :]
        return f"{digits[:6]}.{digits[6:]}"
    moment, offset = (text[:-5], text[-5:]) if text[-5:-4] in ("+", "-") else (text, "")
    digits = moment.replace(".", "")
    full = digits + fill[len(digits) :]
    # Less than a day is not known to the hour, so an offset says nothing.
    return _in_utc(full, offset) if offset and len(digits) >= 8 else f"{full[:14]}.{full[14:]}"


def _in_utc(digits: str, offset: str) -> str:
    """Return YYYYMMDDHHMMSSFFFFFF in UTC, with its dot; as it came where there is no such instant."""
    hours = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:5]))
    try:
        moment = datetime.strptime(digits, "%Y%m%d%H%M%S%f") + (hours if offset[0] == "-" else -hours)
    except (ValueError, OverflowError):
        return f"{digits[:14]}.{digits[14:]}"
    return f"{moment.year:04}{moment:%m%d%H%M%S.%f}"
