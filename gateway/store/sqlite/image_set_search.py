"""Searches in SQL beside QIDO-RS: SearchImageSets, and the studies of a patient."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gateway.store.log.contents import FoundImageSet
from gateway.store.searches import ImageSetSearch
from gateway.store.sqlite.connection import Connection
from gateway.store.sqlite.tables import datastore_key, to_text
from gateway.store.sqlite.versions import COLUMNS, FROM_VERSION, PROPERTIES, properties


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
