"""QIDO-RS in SQL, over the study and image_set rows.

The head of a study or series is read only when somebody wants to see it. How many there are in all is known to the last
one (PS3.18 section 8.3.4.4): summed by day, or counted, and kept until something is committed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from gateway.metadata.study_summary import StudySummary
from gateway.store.log.contents import Candidate, Filter, SearchLevel, SearchOrder
from gateway.store.log.manifest import unpack_manifest
from gateway.store.log.parts import Part
from gateway.store.sqlite.connection import Connection
from gateway.store.sqlite.qido_statements import (
    SERIES,
    SORTED,
    Search,
    days_of,
    modality_of,
    names_of,
    search_of,
    sorted_by_update,
    studies_of_modality,
    walked,
    walked_by_update,
)
from gateway.store.sqlite.studies import SUMMARY
from gateway.store.sqlite.tables import datastore_key
from gateway.store.sqlite.versions import read_parts

# How many searches' totals are kept.
KEPT_TOTALS = 256


class Totals:
    """How many searches found, in the last state of the database that was searched.

    Threads that read may use it at once. A state is known by the number of versions of studies: nothing that is
    searched changes without one more, and none is ever taken away.
    """

    def __init__(self) -> None:
        self._of_state: tuple[int, dict[Hashable, int]] = 0, {}

    def known(self, connection: Connection, search: Hashable) -> int | None:
        """Return the total that was kept of a search, None where none was or something has been committed since."""
        state, kept = self._of_state
        total = kept.get(search)
        return total if total is not None and state == _state(connection) else None

    def keep(self, connection: Connection, search: Hashable, total: int) -> None:
        now, (state, kept) = _state(connection), self._of_state
        if state != now or len(kept) >= KEPT_TOTALS:
            kept = {}
            self._of_state = now, kept
        kept[search] = total


def _state(connection: Connection) -> int:
    state: int | None = connection.execute("SELECT MAX(rowid) FROM study_version").fetchone()[0]
    return state or 0


_INSTANCES = "(SELECT instance_count FROM version WHERE image_set = image_set.id AND version = image_set.version)"


def find(
    connection: Connection,
    datastore_id: str,
    level: SearchLevel,
    filters: Sequence[Filter],
    visit: Callable[[Candidate], bool],
    page: tuple[int, int | None] | None,
    order: SearchOrder = "study_date",
    totals: Totals | None = None,
) -> int:
    search = search_of(datastore_key(connection, datastore_id), level, filters)
    columns = "study.id, study.image_set" if level == "study" else "study.id, image_set.id"
    rows: Iterable[tuple[Any, ...]]
    if page is not None:
        rows, total = _page(connection, search, columns, page, order, totals or Totals())
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
    totals: Totals | None = None,
) -> tuple[list[StudySummary], int] | None:
    search, totals = search_of(datastore_key(connection, datastore_id), "study", filters), totals or Totals()
    if matches is not None:
        return _matching(connection, search, page, order, matches, totals)
    found, total = _page(connection, search, SUMMARY, page, order, totals)
    rows = list(found)
    if any(row[1] is None for row in rows):
        return None
    return [StudySummary._make(row) for row in rows], total


def _matching(
    connection: Connection,
    search: Search,
    page: tuple[int, int | None],
    order: SearchOrder,
    matches: Callable[[StudySummary], bool],
    totals: Totals,
) -> tuple[list[StudySummary], int] | None:
    """Return the same, of all that the filters leave: to the last, unless it is known how many match."""
    offset, limit = page
    known = totals.known(connection, (search, matches))
    wanted = None if limit is None or known is None else offset + limit
    search_in_order = _in_order(connection, search, order, wanted, known or 0)
    found, total = list[StudySummary](), 0
    for row in connection.execute(
        f"SELECT {SUMMARY} {search_in_order.source} ORDER BY {search_in_order.whole_order}", search_in_order.values
    ):
        if row[1] is None:
            return None
        summary = StudySummary._make(row)
        if matches(summary):
            total += 1
            if total > offset and (limit is None or len(found) < limit):
                found.append(summary)
            if known is not None and wanted is not None and total >= wanted:
                return found, known
    totals.keep(connection, (search, matches), total)
    return found, total


# Where an index finds no more than these in another order than that of the answer, they are read at once, sorted and
# counted: else they would be found twice, for the page and for their number.
_FEW = 1000


def _page(
    connection: Connection,
    search: Search,
    columns: str,
    page: tuple[int, int | None],
    order: SearchOrder,
    totals: Totals,
) -> tuple[Iterable[tuple[Any, ...]], int]:
    """Return columns of a page of studies or series, in the order of an answer, and how many there are in all."""
    offset, limit = page
    few = (totals.known(connection, search) or 0) <= _FEW
    if few and order == "study_date" and search.sought and search.level != "instance":
        found = connection.execute(
            f"SELECT {search.order_key}, {columns} {search.source} LIMIT ?", (*search.values, _FEW + 1)
        ).fetchall()
        if len(found) <= _FEW:
            found.sort(key=lambda row: (row[0], row[1], -row[2]), reverse=True)
            return [row[3:] for row in found[offset:][:limit]], len(found)
    total = _total(connection, search, totals)
    if total <= offset:
        return [], total
    search = _in_order(connection, search, order, None if limit is None else offset + limit, total)
    rows = connection.execute(
        f"SELECT {columns} {search.source} ORDER BY {search.whole_order} LIMIT ? OFFSET ?",
        (*search.values, -1 if limit is None else limit, offset),
    )
    return rows, total


def _in_order(connection: Connection, search: Search, order: SearchOrder, wanted: int | None, total: int) -> Search:
    """Return a search in an order, found the way on which the first of them, as many as are wanted, come soonest."""
    if order == "updated":
        walks = not search.filters or (wanted is not None and _sooner(connection, search, wanted, total))
        return walked_by_update(search) if walks else sorted_by_update(search)
    walks = wanted is not None and search.order == SORTED and _walks(connection, search, wanted, total)
    return walked(search) if walks else search


# -- how many there are

_COUNTED = {"study": "studies", "series": "series", "instance": "instances"}
# ... where all of a study are found or none.
_OF_STUDY = {"study": "COUNT(*)", "series": "SUM(study.series_count)", "instance": "SUM(study.instance_count)"}
# Of one modality, studies and series are counted, each by what says theirs.
_MODALITY_OF = {"study": "modalities", "series": "modality"}


# How many instances of a modality a study has: nearly all studies have no other, and say it themselves.
_OF_MODALITY = (
    "CASE WHEN study_modality.series = study.series_count THEN study.instance_count ELSE"
    f" (SELECT SUM({_INSTANCES}) FROM image_set WHERE {SERIES} AND image_set.modality = study_modality.modality) END"
)


def _total(connection: Connection, search: Search, totals: Totals) -> int:
    """Return how many studies, series or instances there are: summed by day where the filters are of days only."""
    fields = {one.field for one in search.filters}
    of_level = _MODALITY_OF.get(search.level)
    if fields <= {"study_date"} or (fields <= {"study_date", of_level} and modality_of(search.filters)):
        return _summed(connection, search)
    total = totals.known(connection, search)
    if total is None:
        total = _counted(connection, search)
        totals.keep(connection, search, total)
    return total


def _counted(connection: Connection, search: Search) -> int:
    names = names_of(search) if search.level == "study" else None
    if names is not None:
        source, values = names
        statement = f"SELECT COUNT(DISTINCT study) {source}"
    elif search.level == "instance" and (studies := studies_of_modality(search)):
        statement, values = f"SELECT SUM({_OF_MODALITY}) {studies.source}", studies.values
    elif search.of_studies:
        studies = search_of(search.datastore, "study", search.filters)
        statement, values = f"SELECT {_OF_STUDY[search.level]} {studies.source}", studies.values
    else:
        counted = f"SUM({_INSTANCES})" if search.level == "instance" else "COUNT(*)"
        statement, values = f"SELECT {counted} {search.source}", search.values
    total: int | None = connection.execute(statement, values).fetchone()[0]
    return total or 0


def _summed(connection: Connection, search: Search) -> int:
    condition, values = days_of(search)
    total: int | None = connection.execute(
        f"SELECT SUM({_COUNTED[search.level]}) FROM study_count WHERE {condition}", values
    ).fetchone()[0]
    return total or 0


def _walks(connection: Connection, search: Search, wanted: int, total: int) -> bool:
    """Whether to walk all studies in order finds as many as are wanted sooner than to sort all that there are."""
    return all(one.kind in ("like", "words") for one in search.filters) and _sooner(connection, search, wanted, total)


def _sooner(connection: Connection, search: Search, wanted: int, total: int) -> bool:
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
