"""QIDO-RS as SQL: FROM, WHERE and ORDER BY for the filters of a search. Nothing is executed here.

A search walks keys in the order of the answer, in an index where there is one. The same search may be said in several
ways: found where its filters leave least to look at; walked in an order, each study looked at where it comes by.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.store.log.contents import Filter, SearchLevel
from gateway.store.sqlite.instance_key import instance_key

# The greatest character: what begins with a prefix sorts before the prefix followed by it.
_LAST = "\U0010ffff"

_COLUMN = {
    "study_instance_uid": "study.study_instance_uid",
    "study_date": "study.study_date",
    "patient_id": "study.patient_id",
    "accession_number": "study.accession_number",
    "study_id": "study.study_id",
    "study_description": "study.study_description",
    "series_instance_uid": "image_set.series_instance_uid",
    "modality": "image_set.modality",
}
_NAMES = frozenset({"patient_name", "referring_physician_name"})

# Filters that look at more than a study: the others say of all its series alike whether they are found.
_BELOW_STUDY = frozenset({"series_instance_uid", "modality", "sop_instance_uid", "warning_reason"})

# These have indexes in the order of an answer, so that only its first page is read.
_ONE_PATIENT = frozenset({"patient_id", "accession_number", "study_id"})

_MODALITIES = "EXISTS (SELECT 1 FROM study_modality WHERE study_modality.study = study.id AND modality IN ({marks}))"
_INSTANCE = "EXISTS (SELECT 1 FROM slot WHERE slot.image_set = image_set.id AND slot.sop_instance_uid IN ({marks}))"
_KEYED = "image_set.id IN (SELECT image_set FROM instance_key WHERE key IN ({marks}))"
_WARNED = "EXISTS (SELECT 1 FROM object WHERE object.image_set = image_set.id AND object.warnings IS NOT NULL)"
_TEXT = "study.id IN (SELECT rowid FROM study_text WHERE study_text MATCH ?)"
_OF_NAMES = "study_name.datastore = ? AND study_name.attribute = ?"
_BEGINS = " AND study_name.name >= ? AND study_name.name < ?"
_OF_STUDY = (
    "EXISTS (SELECT 1 FROM study_name WHERE study_name.study = study.id AND study_name.attribute = ? AND {like})"
)
# How a word begins that is too short for three letters in a row: where a line of names does, or after what parts the
# words of a name (matching.name_words), of which a hyphen stands last. The first pattern is the quick one.
_WORD = "study.names GLOB ? AND char(10) || study.names GLOB ?"
_BEFORE_WORD = "*[\n\t\v\f\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000 =,.^-]{word}*"

SERIES = "image_set.study = study.id AND image_set.is_primary AND image_set.state <> 'DELETED'"

# The order of an answer is stable: ids do not change, and ties of StudyDate fall by them. Plus signs keep SQLite from
# walking all studies in that order: it shall find the few there are, and sort them.
WALKED = "study.study_date DESC, study.id DESC"
SORTED = "+study.study_date DESC, +study.id DESC"
_BY_MODALITY = "study_modality.study_date DESC, study_modality.study DESC"

# The order by the last change: of a study, that of its image set which was changed last. It has an index, too.
_UPDATED = "latest.updated_at DESC, latest.id DESC"
_LATEST = (
    "NOT EXISTS (SELECT 1 FROM image_set AS later WHERE later.study = latest.study"
    " AND (later.updated_at, later.id) > (latest.updated_at, latest.id))"
)


@dataclass(frozen=True, slots=True)
class Search:
    """A search as SQL: FROM and WHERE with the values of their question marks, and ORDER BY by study."""

    datastore: int
    level: SearchLevel
    filters: tuple[Filter, ...]
    tables: str
    conditions: tuple[str, ...]
    values: tuple[Any, ...]
    order: str

    @property
    def source(self) -> str:
        return f"FROM {self.tables} WHERE {' AND '.join(self.conditions)}"

    @property
    def order_key(self) -> str:
        """What `whole_order` sorts by: the greatest come first, of the third the least."""
        return f"study.study_date, study.id, {'0' if self.level == 'study' else 'image_set.id'}"

    @property
    def whole_order(self) -> str:
        if self.level == "study":
            return self.order
        within = "+image_set.updated_at DESC, +image_set.id DESC" if "latest." in self.order else "image_set.id"
        return f"{self.order}, {within}"

    @property
    def of_studies(self) -> bool:
        """Whether the filters are of studies, and all series of a study are found or none."""
        return not any(one.field in _BELOW_STUDY for one in self.filters)

    @property
    def sought(self) -> bool:
        """Whether it is found in an index that has not the order of the answer."""
        return self.order == SORTED and not any(map(_of_any_part, self.filters))


def search_of(datastore: int, level: SearchLevel, filters: Sequence[Filter]) -> Search:
    """Return the search, begun where its filters leave least to look at."""
    first = [one for one in filters if not _of_any_part(one)] or filters
    fields = {one.field for one in first}
    by_id = any(map(_by_id, first))
    conditions = ["+study.datastore = ?" if by_id else "study.datastore = ?", "study.image_set IS NOT NULL"]
    # Any index would do for SQLite, and lead it to the rows one by one.
    study = "study NOT INDEXED" if first and all(map(_of_any_row, first)) else "study"
    tables, order, values = f"{study}{_and_series(level)}", WALKED, [datastore]
    if "sop_instance_uid" in fields or "series_instance_uid" in fields:
        tables, order = f"image_set CROSS JOIN study ON {SERIES}", SORTED
        by_key = "sop_instance_uid" in fields
        conditions.append("+image_set.datastore = ?" if by_key else "image_set.datastore = ?")
        values.append(datastore)
    elif "study_instance_uid" in fields or any(one.kind in ("like", "words") for one in first):
        order = SORTED
    elif modality_of(filters) and not fields & _ONE_PATIENT:
        tables, order = f"study_modality CROSS JOIN {tables}", _BY_MODALITY
        conditions += ["study_modality.study = study.id", "study_modality.datastore = ?"]
        values.append(datastore)
    return _with(Search(datastore, level, tuple(filters), tables, tuple(conditions), tuple(values), order), first)


def walked(search: Search) -> Search:
    """Return a search that walks the studies in the order of the answer, and looks at each where it comes by."""
    conditions = ("study.datastore = ?", "study.image_set IS NOT NULL")
    tables = f"study{_and_series(search.level)}"
    return _with(
        replace(search, tables=tables, conditions=conditions, values=(search.datastore,), order=WALKED), first=()
    )


def sorted_by_update(search: Search) -> Search:
    """Return a search that finds what its filters leave, and sorts that by the last change."""
    tables = f"{search.tables} CROSS JOIN image_set AS latest ON latest.study = study.id AND {_LATEST}"
    return replace(search, tables=tables, order="+latest.updated_at DESC, +latest.id DESC")


def walked_by_update(search: Search) -> Search:
    """Return a search that walks the changes, the last one first, and looks at each study where it comes by."""
    series = "" if search.level == "study" else f" CROSS JOIN image_set ON {SERIES}"
    tables = f"image_set AS latest CROSS JOIN study ON study.id = latest.study{series}"
    conditions = ("latest.datastore = ?", _LATEST, "study.image_set IS NOT NULL")
    return _with(
        replace(search, tables=tables, conditions=conditions, values=(search.datastore,), order=_UPDATED), first=()
    )


def days_of(search: Search) -> tuple[str, list[Any]]:
    """Return the condition for the days of a search, on `study_count`, and the values of its question marks."""
    conditions, values = ["datastore = ?", "modality = ?"], [search.datastore, modality_of(search.filters)]
    for one in search.filters:
        if one.field == "study_date":
            ((condition, its_values),) = _conditions(one, search.datastore, search.order)
            conditions.append(condition.replace("study_modality.", "").replace("study.", ""))
            values += its_values
    return " AND ".join(conditions), values


def names_of(search: Search) -> tuple[str, Sequence[Any]] | None:
    """Return FROM and WHERE of the rows of names whose studies a search finds; None where it is about more than one.

    Only what DICOMweb sees has such rows. Those of all studies are taken as the studies come, so that those of one can
    be counted as one without sorting.
    """
    if len(search.filters) != 1 or search.filters[0].field not in _NAMES or search.filters[0].kind != "like":
        return None
    (one,) = search.filters
    if _by_text(one):
        return None
    condition, values = _named(one, search.datastore)
    table = "study_name INDEXED BY study_name_by_study" if _of_any_part(one) else "study_name"
    return f"FROM {table} WHERE {condition}", values


def studies_of_modality(search: Search) -> Search | None:
    """Return a search for the studies of a modality, of which `search` is for the series; None for any other.

    Only where it is by `study_modality`, whose columns can then be asked for.
    """
    below = [one.field for one in search.filters if one.field in _BELOW_STUDY]
    if below != ["modality"] or not modality_of(search.filters):
        return None
    filters = [replace(one, field="modalities") if one.field == "modality" else one for one in search.filters]
    studies = search_of(search.datastore, "study", filters)
    return studies if studies.order == _BY_MODALITY else None


def modality_of(filters: Sequence[Filter]) -> str:
    """Return the one modality of studies or series that is asked for, "" where there is none, or more than one."""
    asked = [one.values for one in filters if one.field in ("modalities", "modality")]
    return asked[0][0] if len(asked) == 1 and len(asked[0]) == 1 else ""


def _and_series(level: SearchLevel) -> str:
    return "" if level == "study" else f" JOIN image_set ON {SERIES}"


def _with(search: Search, first: Sequence[Filter]) -> Search:
    """Return a search with the conditions of its filters: of those that come first, what an index finds.

    The others look at each study that these leave.
    """
    conditions, values = list(search.conditions), list(search.values)
    for one in search.filters:
        for condition, its_values in _conditions(one, search.datastore, search.order, by_row=one not in first):
            conditions.append(condition)
            values.extend(its_values)
    return replace(search, conditions=tuple(conditions), values=tuple(values))


def _conditions(
    one: Filter, datastore: int, order: str, *, by_row: bool = False
) -> Iterator[tuple[str, Sequence[Any]]]:
    """Yield SQL for a filter, and the values of its question marks."""
    marks = ", ".join("?" * len(one.values))
    if one.kind == "words":
        yield from _words(one, by_row=by_row)
    elif one.kind == "like":
        yield from _like_by_row(one) if by_row else _like(one, datastore)
    elif one.kind == "present":
        yield _WARNED, ()
    elif one.field == "sop_instance_uid":
        yield _KEYED.format(marks=marks), [instance_key(uid) for uid in one.values]
        yield _INSTANCE.format(marks=marks), one.values
    elif one.field in ("modalities", "modality") and order == _BY_MODALITY:
        yield f"study_modality.modality IN ({marks})", one.values
        if one.field == "modality":
            yield f"image_set.modality IN ({marks})", one.values
    elif one.field == "modalities":
        yield _MODALITIES.format(marks=marks), one.values
    else:
        column = _COLUMN[one.field]
        if one.field == "study_date" and order == _BY_MODALITY:
            column = "study_modality.study_date"
        if one.kind == "equal":
            yield f"{column} IN ({marks})", one.values
        else:
            yield f"{column} BETWEEN ? AND ?", (one.values[0] or "0", one.values[1] or _LAST)


# -- wild cards


def _words(one: Filter, *, by_row: bool) -> Iterator[tuple[str, Sequence[Any]]]:
    if not by_row and (terms := _terms(one.values[0])):
        yield _TEXT, (terms,)
    else:
        for word in filter(None, one.values[0].split("\n")):
            yield _WORD, (f"*{_glob(word)}*", _BEFORE_WORD.format(word=_glob(word)))


def _like(one: Filter, datastore: int) -> Iterator[tuple[str, Sequence[Any]]]:
    """Yield what narrows first: how the value begins, or else three letters in a row that it has."""
    (pattern,) = one.values
    if _by_text(one):
        yield _TEXT, (_terms(pattern),)
    if one.field in _NAMES and not _by_text(one):
        condition, values = _named(one, datastore)
        yield f"study.id IN (SELECT study FROM study_name WHERE {condition})", values
    elif one.field in _NAMES:
        yield from _like_by_row(one)
    else:
        prefix, column = _prefix(pattern), _COLUMN[one.field]
        if prefix and not _by_text(one):
            yield f"{column} >= ? AND {column} < ?", (prefix, prefix + _LAST)
        yield f"{column} GLOB ?", (_glob(pattern),)


def _like_by_row(one: Filter) -> Iterator[tuple[str, Sequence[Any]]]:
    """Yield what looks at a study that is there. The plus sign keeps SQLite from going by the column's index."""
    if one.field in _NAMES:
        like, values = _like_name(one.values[0])
        yield _OF_STUDY.format(like=like), (one.field, *values)
    else:
        yield f"+{_COLUMN[one.field]} GLOB ?", (_glob(one.values[0]),)


def _named(one: Filter, datastore: int) -> tuple[str, Sequence[Any]]:
    """Return the condition of a pattern on rows of names, by how they begin where the pattern says it."""
    (pattern,) = one.values
    prefix = _prefix(pattern)
    like, values = _like_name(pattern)
    between = (prefix, prefix + _LAST) if prefix else ()
    return f"{_OF_NAMES}{_BEGINS if prefix else ''} AND {like}", (datastore, one.field, *between, *values)


def _like_name(pattern: str) -> tuple[str, Sequence[str]]:
    """Return the condition that a name is like a pattern, with or without the empty components at its end.

    As matching has it. A pattern that ends in * takes them for a part of what the * stands for.
    """
    glob = _glob(pattern)
    if pattern.endswith("*"):
        return "study_name.name GLOB ?", (glob,)
    return "(study_name.name GLOB ? OR rtrim(study_name.name, '^ ') GLOB ?)", (glob, glob)


def _by_id(one: Filter) -> bool:
    """Whether the keys of studies are what an index finds: then it is no use to go by the data store first.

    Nor where none does, of words of two letters or of any part of a value: all rows are read, as they lie.
    """
    if one.kind == "like":
        return one.field in _NAMES or _by_text(one) or _of_any_part(one)
    return one.kind == "words"


def _by_text(one: Filter) -> bool:
    """Whether of a pattern three letters in a row are what narrows most."""
    return bool(_terms(one.values[0])) and len(_prefix(one.values[0])) < 3


def _of_any_part(one: Filter) -> bool:
    """Whether no index narrows: there are no three letters in a row, nor a beginning of what is kept in order."""
    if one.kind not in ("like", "words") or _terms(one.values[0]):
        return False
    return one.kind == "words" or not _prefix(one.values[0]) or one.field == "study_description"


def _of_any_row(one: Filter) -> bool:
    """Whether the rows of studies are looked at from end to end."""
    return _of_any_part(one) and (one.kind == "words" or one.field not in _NAMES)


def _prefix(pattern: str) -> str:
    return re.split(r"[*?]", pattern, maxsplit=1)[0]


def _glob(pattern: str) -> str:
    return pattern.replace("[", "[[]")


# More would not narrow further.
_MOST_TERMS = 16


def _terms(pattern: str) -> str:
    """Return the FTS5 query for three letters in a row of a pattern, and the next three; "" where it has none.

    Not for every three: FTS5 reads all studies of each, and one that shares two letters with its neighbour narrows
    little beside it.
    """
    runs = re.split(r"[*?\n]", pattern)
    found = dict.fromkeys(
        run[at : at + 3] for run in runs for at in (*range(0, len(run) - 3, 3), len(run) - 3) if at >= 0
    )
    return " AND ".join('"{}"'.format(term.replace('"', '""')) for term in list(found)[:_MOST_TERMS])
