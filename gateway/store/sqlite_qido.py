"""QIDO-RS in SQL, over the study and image_set rows.

A search walks keys in the order of the answer, in an index where there is one, and reads the head of a study or series
only when somebody wants to see it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.metadata.study_summary import StudySummary
from gateway.store.instance_key import instance_key
from gateway.store.log import Candidate, Filter, SearchLevel, SearchOrder
from gateway.store.parts import Part, unpack_manifest
from gateway.store.sqlite_database import Connection
from gateway.store.sqlite_tables import datastore_key
from gateway.store.sqlite_versions import SUMMARY, read_parts

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

# These have indexes in the order of an answer, so that only its first page is read.
_ONE_PATIENT = frozenset({"patient_id", "accession_number", "study_id"})

_MODALITIES = "EXISTS (SELECT 1 FROM study_modality WHERE study_modality.study = study.id AND modality IN ({marks}))"
_INSTANCE = "EXISTS (SELECT 1 FROM slot WHERE slot.image_set = image_set.id AND slot.sop_instance_uid IN ({marks}))"
_KEYED = "image_set.id IN (SELECT image_set FROM instance_key WHERE key IN ({marks}))"
_WARNED = "EXISTS (SELECT 1 FROM object WHERE object.image_set = image_set.id AND object.warnings IS NOT NULL)"
_TEXT = "study.id IN (SELECT rowid FROM study_text WHERE study_text MATCH ?)"
# Each name with and without the empty components at its end, as matching has it.
_LIKE_NAME = "(study_name.name GLOB ? OR rtrim(study_name.name, '^ ') GLOB ?)"
_OF_NAMES = "FROM study_name WHERE study_name.datastore = ? AND study_name.attribute = ?"
_OF_STUDY = (
    "EXISTS (SELECT 1 FROM study_name WHERE study_name.study = study.id AND study_name.attribute = ? AND {like})"
)

_SERIES = "image_set.study = study.id AND image_set.is_primary AND image_set.state <> 'DELETED'"
_INSTANCES = "(SELECT instance_count FROM version WHERE image_set = image_set.id AND version = image_set.version)"

# The order of an answer is stable: ids do not change, and ties of StudyDate fall by them. Plus signs keep SQLite from
# walking all studies in that order: it shall find the few there are, and sort them.
_WALKED = "study.study_date DESC, study.id DESC"
_SORTED = "+study.study_date DESC, +study.id DESC"
_BY_MODALITY = "study_modality.study_date DESC, study_modality.study DESC"

# The order by the last change: of a study, that of its image set which was changed last. It has an index, too.
_UPDATED = "latest.updated_at DESC, latest.id DESC"
_LATEST = (
    "NOT EXISTS (SELECT 1 FROM image_set AS later WHERE later.study = latest.study"
    " AND (later.updated_at, later.id) > (latest.updated_at, latest.id))"
)


def find(
    connection: Connection,
    datastore_id: str,
    level: SearchLevel,
    filters: Sequence[Filter],
    visit: Callable[[Candidate], bool],
    page: tuple[int, int | None] | None,
    order: SearchOrder = "study_date",
) -> int:
    search = _search(datastore_key(connection, datastore_id), level, filters)
    columns = "study.id, study.image_set" if level == "study" else "study.id, image_set.id"
    rows: Iterable[tuple[Any, ...]]
    if page is not None:
        rows, total = _page(connection, search, columns, page, order)
    else:
        search = _in_order(connection, search, order, None, 0)
        rows = connection.execute(f"SELECT {columns} {search.source} ORDER BY {search.whole_order}", search.values)
    visited = 0
    for study, image_set in rows:
        visited += 1
        if not visit(_candidate(connection, study, image_set)):
            break
    return visited if page is None else total


def find_summaries(
    connection: Connection,
    datastore_id: str,
    filters: Sequence[Filter],
    page: tuple[int, int | None],
    order: SearchOrder = "study_date",
    matches: Callable[[StudySummary], bool] | None = None,
) -> tuple[list[StudySummary], int] | None:
    search = _search(datastore_key(connection, datastore_id), "study", filters)
    if matches is not None:
        return _matching(connection, _in_order(connection, search, order, None, 0), page, matches)
    rows, total = _page(connection, search, SUMMARY, page, order)
    if any(row[1] is None for row in rows):
        return None
    return [StudySummary._make(row) for row in rows], total


def _matching(
    connection: Connection, search: _Search, page: tuple[int, int | None], matches: Callable[[StudySummary], bool]
) -> tuple[list[StudySummary], int] | None:
    """Return the same, of all that the filters leave."""
    offset, limit = page
    found, total = list[StudySummary](), 0
    for row in connection.execute(f"SELECT {SUMMARY} {search.source} ORDER BY {search.whole_order}", search.values):
        if row[1] is None:
            return None
        summary = StudySummary._make(row)
        if matches(summary):
            total += 1
            if total > offset and (limit is None or len(found) < limit):
                found.append(summary)
    return found, total


# Where an index finds no more than these in another order than that of the answer, they are read at once, sorted and
# counted: else they would be found twice, for the page and for their number.
_FEW = 1000


def _page(
    connection: Connection, search: _Search, columns: str, page: tuple[int, int | None], order: SearchOrder
) -> tuple[list[tuple[Any, ...]], int]:
    """Return columns of a page of studies or series, in the order of an answer, and how many there are in all."""
    offset, limit = page
    if order == "study_date" and search.order == _SORTED and search.level != "instance":
        found = connection.execute(
            f"SELECT {search.order_key}, {columns} {search.source} LIMIT ?", (*search.values, _FEW + 1)
        ).fetchall()
        if len(found) <= _FEW:
            found.sort(key=lambda row: (row[0], row[1], -row[2]), reverse=True)
            return [row[3:] for row in found[offset:][:limit]], len(found)
    total = _total(connection, search)
    if total <= offset:
        return [], total
    search = _in_order(connection, search, order, None if limit is None else offset + limit, total)
    rows = connection.execute(
        f"SELECT {columns} {search.source} ORDER BY {search.whole_order} LIMIT ? OFFSET ?",
        (*search.values, -1 if limit is None else limit, offset),
    )
    return rows.fetchall(), total


def _in_order(connection: Connection, search: _Search, order: SearchOrder, wanted: int | None, total: int) -> _Search:
    """Return a search in an order, found the way on which the first of them, as many as are wanted, come soonest."""
    if order == "updated":
        walks = not search.filters or (wanted is not None and _sooner(connection, search, wanted, total))
        return _walked_by_update(search) if walks else _sorted_by_update(search)
    walks = wanted is not None and search.order == _SORTED and _walks(connection, search, wanted, total)
    return replace(search, order=_WALKED) if walks else search


# -- statements


@dataclass(frozen=True, slots=True)
class _Search:
    """A search as SQL: FROM and WHERE with the values of their question marks, and ORDER BY by study."""

    datastore: int
    level: SearchLevel
    filters: Sequence[Filter]
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


def _search(datastore: int, level: SearchLevel, filters: Sequence[Filter]) -> _Search:
    """Return the search, begun where its filters leave least to look at."""
    fields = {one.field for one in filters}
    series = "" if level == "study" else f" JOIN image_set ON {_SERIES}"
    by_id = any(one.kind in ("like", "words") and _by_id(one) for one in filters)
    conditions = ["+study.datastore = ?" if by_id else "study.datastore = ?", "study.image_set IS NOT NULL"]
    tables, order, values = f"study{series}", _WALKED, [datastore]
    if "sop_instance_uid" in fields or "series_instance_uid" in fields:
        tables, order = f"image_set CROSS JOIN study ON {_SERIES}", _SORTED
        by_key = "sop_instance_uid" in fields
        conditions.append("+image_set.datastore = ?" if by_key else "image_set.datastore = ?")
        values.append(datastore)
    elif "study_instance_uid" in fields or any(_sought(one) for one in filters):
        order = _SORTED
    elif _modality(filters) and not fields & _ONE_PATIENT:
        tables, order = f"study_modality CROSS JOIN {tables}", _BY_MODALITY
        conditions += ["study_modality.study = study.id", "study_modality.datastore = ?"]
        values.append(datastore)
    for one in filters:
        for condition, its_values in _conditions(one, datastore, order):
            conditions.append(condition)
            values.extend(its_values)
    return _Search(datastore, level, filters, tables, tuple(conditions), tuple(values), order)


def _sorted_by_update(search: _Search) -> _Search:
    """Return a search that finds what its filters leave, and sorts that by the last change."""
    tables = f"{search.tables} CROSS JOIN image_set AS latest ON latest.study = study.id AND {_LATEST}"
    return replace(search, tables=tables, order="+latest.updated_at DESC, +latest.id DESC")


def _walked_by_update(search: _Search) -> _Search:
    """Return a search that walks the changes, the last one first, and looks at each study where it comes by."""
    series = "" if search.level == "study" else f" CROSS JOIN image_set ON {_SERIES}"
    conditions, values = ["latest.datastore = ?", _LATEST, "study.image_set IS NOT NULL"], [search.datastore]
    for one in search.filters:
        for condition, its_values in _conditions(one, search.datastore, _UPDATED):
            conditions.append(condition)
            values.extend(its_values)
    return replace(
        search,
        tables=f"image_set AS latest CROSS JOIN study ON study.id = latest.study{series}",
        conditions=tuple(conditions),
        values=tuple(values),
        order=_UPDATED,
    )


def _modality(filters: Sequence[Filter]) -> str:
    """Return the one modality of studies or series that is asked for, "" where there is none, or more than one."""
    asked = [one.values for one in filters if one.field in ("modalities", "modality")]
    return asked[0][0] if len(asked) == 1 and len(asked[0]) == 1 else ""


def _conditions(one: Filter, datastore: int, order: str) -> Iterator[tuple[str, Sequence[Any]]]:
    """Yield SQL for a filter, and the values of its question marks."""
    marks = ", ".join("?" * len(one.values))
    if one.kind == "words":
        if terms := _terms(one.values[0]):
            yield _TEXT, (terms,)
        else:
            for word in filter(None, one.values[0].split("\n")):
                yield "study.names GLOB ?", (f"*{word.replace('[', '[[]')}*",)
    elif one.kind == "like":
        yield from _like(one, datastore)
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


def _by_id(one: Filter) -> bool:
    """Whether the keys of studies are what an index finds: then it is no use to go by the data store first.

    Nor where none does, of words of two letters: all rows are read, as they lie.
    """
    if one.kind == "words":
        return True
    (pattern,) = one.values
    return bool(_terms(pattern)) and len(_prefix(pattern)) < 3 or (one.field in _NAMES and bool(_prefix(pattern)))


def _like(one: Filter, datastore: int) -> Iterator[tuple[str, Sequence[Any]]]:
    """Yield what narrows first: how the value begins, or else three letters in a row that it has."""
    (pattern,) = one.values
    glob, prefix, terms = pattern.replace("[", "[[]"), _prefix(pattern), _terms(pattern)
    if terms and len(prefix) < 3:
        yield _TEXT, (terms,)
        if one.field in _NAMES:
            yield _OF_STUDY.format(like=_LIKE_NAME), (one.field, glob, glob)
            return
    between = (prefix, prefix + _LAST) if prefix else ()
    if one.field in _NAMES:
        begins = " AND study_name.name >= ? AND study_name.name < ?" if prefix else ""
        yield (
            f"study.id IN (SELECT study {_OF_NAMES}{begins} AND {_LIKE_NAME})",
            (datastore, one.field, *between, glob, glob),
        )
        return
    column = _COLUMN[one.field]
    if prefix:
        yield f"{column} >= ? AND {column} < ?", between
    yield f"{column} GLOB ?", (glob,)


def _sought(one: Filter) -> bool:
    """Whether what a filter lets through is found in another order than that of the answer."""
    if one.kind != "like":
        return one.kind == "words"
    (pattern,) = one.values
    return bool(_terms(pattern)) or (bool(_prefix(pattern)) and one.field != "study_description")


def _prefix(pattern: str) -> str:
    return re.split(r"[*?]", pattern, maxsplit=1)[0]


# More would not narrow further.
_MOST_TERMS = 16


def _terms(pattern: str) -> str:
    """Return the FTS5 query for every three letters in a row of a pattern; "" where it has none."""
    runs = re.split(r"[*?\n]", pattern)
    found = dict.fromkeys(run[at : at + 3] for run in runs for at in range(len(run) - 2))
    return " AND ".join('"{}"'.format(term.replace('"', '""')) for term in list(found)[:_MOST_TERMS])


# -- how many there are

_COUNTED = {"study": "studies", "series": "series", "instance": "instances"}
# Of one modality, studies and series are counted, each by what says theirs.
_MODALITY_OF = {"study": "modalities", "series": "modality"}


def _total(connection: Connection, search: _Search) -> int:
    """Return how many studies, series or instances there are: summed by day where the filters are of days only."""
    fields = {one.field for one in search.filters}
    of_level = _MODALITY_OF.get(search.level)
    if fields <= {"study_date"} or (fields <= {"study_date", of_level} and _modality(search.filters)):
        return _summed(connection, search)
    counted = f"SUM({_INSTANCES})" if search.level == "instance" else "COUNT(*)"
    total: int | None = connection.execute(f"SELECT {counted} {search.source}", search.values).fetchone()[0]
    return total or 0


def _summed(connection: Connection, search: _Search) -> int:
    conditions = ["datastore = ?", "modality = ?"]
    values: list[Any] = [search.datastore, _modality(search.filters)]
    for one in search.filters:
        if one.field == "study_date":
            ((condition, its_values),) = _conditions(one, search.datastore, search.order)
            conditions.append(condition.replace("study_modality.", "").replace("study.", ""))
            values += its_values
    total: int | None = connection.execute(
        f"SELECT SUM({_COUNTED[search.level]}) FROM study_count WHERE {' AND '.join(conditions)}", values
    ).fetchone()[0]
    return total or 0


def _walks(connection: Connection, search: _Search, wanted: int, total: int) -> bool:
    """Whether to walk all studies in order finds as many as are wanted sooner than to sort all that there are."""
    return all(one.kind == "like" for one in search.filters) and _sooner(connection, search, wanted, total)


def _sooner(connection: Connection, search: _Search, wanted: int, total: int) -> bool:
    if total < 1000:
        return False
    everything = _summed(connection, replace(search, filters=()))
    return wanted * everything < total * total


# -- candidates


def _candidate(connection: Connection, study: int, image_set: int) -> Candidate:
    row = connection.execute(
        "SELECT study_instance_uid, head, manifest, modalities, sop_classes, series_count, study.instance_count"
        " FROM study, image_set JOIN version"
        " ON version.image_set = image_set.id AND version.version = image_set.version"
        " WHERE study.id = ? AND image_set.id = ?",
        (study, image_set),
    ).fetchone()

    def parts(numbers: Collection[int]) -> list[Part]:
        return list(read_parts(connection, image_set, numbers).values())

    def warnings() -> dict[int, tuple[int, ...]]:
        rows = connection.execute(
            "SELECT number, warnings FROM object WHERE image_set = ? AND warnings IS NOT NULL", (image_set,)
        )
        return {number: tuple(json.loads(codes)) for number, codes in rows}

    return Candidate(
        study_instance_uid=row[0],
        head=row[1],
        manifest=unpack_manifest(row[2]),
        modalities=tuple(json.loads(row[3])),
        sop_classes=tuple(json.loads(row[4])),
        series_count=row[5],
        instance_count=row[6],
        parts=parts,
        warnings=warnings,
    )
