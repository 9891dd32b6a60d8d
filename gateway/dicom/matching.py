"""QIDO-RS queries: reading the query string, and matching a dataset against it.

PS3.18 section 8.3.4 (the parameters), PS3.4 section C.2.2.2 (the kinds of matching).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.dicom.dataset import Tag

QueryLevel = Literal["Study", "Series", "Instance"]

# PS3.4 C.2.2.2.1 single value, .2 list of UID, .4 wild card, .5 range; PS3.18 8.3.4 fuzzy and empty value matching.
Kind = Literal["single", "uids", "wildcard", "range", "fuzzy", "empty"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One attribute to match. path: its tag, preceded by those of the sequences it lies in.

    values: one for single, wildcard and fuzzy; the UIDs for uids; (lower, upper), either may be "", for range;
    none for empty.
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
    """

    level: QueryLevel
    conditions: tuple[Condition, ...] = ()
    include: tuple[tuple[Tag, ...], ...] = ()
    include_all: bool = False
    limit: int | None = None
    offset: int = 0
    warnings: tuple[str, ...] = ()
