"""Searches in SQL: QIDO-RS over the study and image_set rows, SearchImageSets, the studies of a patient.

A QIDO-RS search walks keys in the order of the answer, in an index where there is one, and reads the head of a study
or series only when somebody wants to see it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, Literal

from gateway.store.log import Candidate, Filter, FoundImageSet
from gateway.store.parts import Part, unpack_manifest
from gateway.store.protocol import ImageSetSearch
from gateway.store.sqlite_database import Connection
from gateway.store.sqlite_tables import datastore_key, to_text
from gateway.store.sqlite_versions import COLUMNS, FROM_VERSION, PROPERTIES, properties, read_parts

# The greatest character: what begins with a prefix sorts before the prefix followed by it.
_LAST = "\U0010ffff"

_COLUMN = {
    "study_instance_uid": "study.study_instance_uid",
    "study_date": "study.study_date",
    "patient_id": "study.patient_id",
    "accession_number": "study.accession_number",
    "study_id": "study.study_id",
    "series_instance_uid": "image_set.series_instance_uid",
    "modality": "image_set.modality",
}
_MODALITIES = "EXISTS (SELECT 1 FROM study_modality WHERE study_modality.study = study.id AND modality IN ({marks}))"
_INSTANCE = "EXISTS (SELECT 1 FROM slot WHERE slot.image_set = image_set.id AND slot.sop_instance_uid IN ({marks}))"
_NAME = (
    "study.id IN (SELECT study FROM study_name WHERE study_name.datastore = ? AND study_name.attribute = ?"
    " AND study_name.name >= ? AND study_name.name < ?)"
)

# Few studies meet these, and their indexes are not in the order of an answer: find, then sort. The plus signs keep
# SQLite from walking all studies in order instead.
_FEW = frozenset({"study_instance_uid", "series_instance_uid", "patient_name", "referring_physician_name"})
_SORTED = ("study.study_date DESC, study.id DESC", "+study.study_date DESC, +study.id DESC")

# These have indexes in the order of an answer, so that only its first page is read.
_ONE_PATIENT = frozenset({"patient_id", "accession_number", "study_id"})

# Modalities in Study (0008,0061) has too, by study_modality.
_BY_MODALITY = ("study.study_date DESC, study.id DESC", "study_modality.study_date DESC, study_modality.study DESC")

# -- QIDO-RS

# The order of an answer is stable: ids do not change, and ties of StudyDate fall by them.
_KEYS = {
    "study": (
        "study JOIN image_set ON image_set.id = study.image_set",
        "study.study_date DESC, study.id DESC",
    ),
    "series": (
        "study JOIN image_set ON image_set.study = study.id AND image_set.is_primary AND image_set.state <> 'DELETED'",
        "study.study_date DESC, study.id DESC, image_set.id",
    ),
}


def find(
    connection: Connection,
    datastore_id: str,
    level: Literal["study", "series"],
    filters: Sequence[Filter],
    visit: Callable[[Candidate], None],
    page: tuple[int, int | None] | None,
) -> int:
    where, order, values = _statement(datastore_key(connection, datastore_id), level, filters)
    offset, limit = page or (0, None)
    keys = connection.execute(
        f"SELECT study.id, image_set.id {where} ORDER BY {order} LIMIT ? OFFSET ?",
        (*values, -1 if limit is None else limit, offset),
    )
    visited = 0
    for study, image_set in keys:
        visit(_candidate(connection, study, image_set))
        visited += 1
    if page is None:
        return visited
    total: int = connection.execute(f"SELECT COUNT(*) {where}", values).fetchone()[0]
    return total


def _statement(
    datastore: int, level: Literal["study", "series"], filters: Sequence[Filter]
) -> tuple[str, str, list[Any]]:
    """Return FROM and WHERE, the order, and the values of the question marks."""
    fields = {one.field for one in filters}
    by_modality = "modalities" in fields and not fields & (_FEW | _ONE_PATIENT)
    tables, order = _KEYS[level]
    conditions, values = ["study.datastore = ?", "study.image_set IS NOT NULL"], [datastore]
    if by_modality:
        tables, order = f"study_modality CROSS JOIN {tables}", order.replace(*_BY_MODALITY)
        conditions += ["study_modality.study = study.id", "study_modality.datastore = ?"]
        values.append(datastore)
    elif fields & _FEW:
        order = order.replace(*_SORTED)
    for one in filters:
        condition, its_values = _condition(one, datastore, by_modality)
        conditions.append(condition)
        values.extend(its_values)
    return f"FROM {tables} WHERE {' AND '.join(conditions)}", order, values


def _condition(one: Filter, datastore: int, by_modality: bool) -> tuple[str, list[Any]]:
    """Return SQL for a filter, and the values of its question marks."""
    values = list(one.values)
    marks = ", ".join("?" * len(values))
    if one.kind == "prefix":
        return _NAME, [datastore, one.field, values[0], values[0] + _LAST]
    if one.field == "sop_instance_uid":
        return _INSTANCE.format(marks=marks), values
    if one.field == "modalities":
        return f"study_modality.modality IN ({marks})" if by_modality else _MODALITIES.format(marks=marks), values
    column = "study_modality.study_date" if by_modality and one.field == "study_date" else _COLUMN[one.field]
    if one.kind == "equal":
        return f"{column} IN ({marks})", values
    lower, upper = values
    return f"{column} BETWEEN ? AND ?", [lower or "0", upper or _LAST]


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

    return Candidate(
        study_instance_uid=row[0],
        head=row[1],
        manifest=unpack_manifest(row[2]),
        modalities=tuple(json.loads(row[3])),
        sop_classes=tuple(json.loads(row[4])),
        series_count=row[5],
        instance_count=row[6],
        parts=parts,
    )


def studies_of_patient(connection: Connection, datastore_id: str, patient_id: str) -> list[str]:
    rows = connection.execute(
        "SELECT study_instance_uid FROM study WHERE datastore = ? AND patient_id = ? AND image_set IS NOT NULL"
        " ORDER BY id",
        (datastore_key(connection, datastore_id), patient_id),
    )
    return [uid for (uid,) in rows]


# -- SearchImageSets

_SEARCHED = {
    "DICOMPatientId": "image_set.patient_id",
    "DICOMAccessionNumber": "image_set.accession_number",
    "DICOMStudyId": "image_set.study_id",
    "DICOMStudyInstanceUID": "study.study_instance_uid",
    "DICOMSeriesInstanceUID": "image_set.series_instance_uid",
    "DICOMStudyDateAndTime": "image_set.study_time",
    "createdAt": "image_set.created_at",
    "updatedAt": "image_set.updated_at",
    "isPrimary": "image_set.is_primary",
}


def find_image_sets(connection: Connection, datastore_id: str, search: ImageSetSearch) -> list[FoundImageSet]:
    conditions, values = (
        ["image_set.datastore = ?", "image_set.state <> 'DELETED'"],
        [datastore_key(connection, datastore_id)],
    )
    for name, value in search.equal.items():
        conditions.append(f"{_SEARCHED[name]} = ?")
        values.append(_comparable(value))
    for name, (lower, upper) in search.between.items():
        conditions.append(f"{_SEARCHED[name]} BETWEEN ? AND ? AND {_SEARCHED[name]} <> ''")
        values.extend((_comparable(lower), _comparable(upper)))
    direction = "ASC" if search.ascending else "DESC"
    rows = connection.execute(
        f"{PROPERTIES}, version.head, study.series_count, study.instance_count {FROM_VERSION}"
        f" WHERE version.version = image_set.version AND {' AND '.join(conditions)}"
        f" ORDER BY {_SEARCHED[search.sort_field]} {direction}, image_set.id {direction} LIMIT ? OFFSET ?",
        (*values, search.limit, search.offset),
    )
    return [FoundImageSet(properties(row), *row[COLUMNS:]) for row in rows]


def _comparable(value: Any) -> Any:
    return to_text(value) if isinstance(value, datetime) else value
