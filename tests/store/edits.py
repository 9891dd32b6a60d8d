"""Edits for the tests of the store, and the image sets they are made on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from gateway.dicom.matching import Condition, Query, QueryLevel
from gateway.metadata.image_set import Delete, MetadataUpdates, Revert
from gateway.store.edits import Edit, ImageSetEdit
from gateway.store.protocol import Store
from tests.store.received import INSTANCE, SERIES, STUDY, sent, store_sent

SERIES_2 = f"{STUDY}.2"


def patient(**attributes: Any) -> MetadataUpdates:
    """Return an update of Patient level attributes."""
    return MetadataUpdates({"SchemaVersion": 1.1, "Patient": {"DICOM": attributes}})


def study(**attributes: Any) -> MetadataUpdates:
    """Return an update of Study level attributes."""
    return MetadataUpdates({"SchemaVersion": 1.1, "Study": {"DICOM": attributes}})


def series(uid: str = SERIES, **attributes: Any) -> MetadataUpdates:
    """Return an update of Series level attributes."""
    return MetadataUpdates({"SchemaVersion": 1.1, "Study": {"Series": {uid: {"DICOM": attributes}}}})


def instance(uid: str = INSTANCE, **attributes: Any) -> MetadataUpdates:
    """Return an update of one instance."""
    document = {"Study": {"Series": {SERIES: {"Instances": {uid: {"DICOM": attributes}}}}}}
    return MetadataUpdates({"SchemaVersion": 1.1, **document})


def without(*uids: str) -> MetadataUpdates:
    """Return an update that removes instances."""
    document: dict[str, Any] = {"Study": {"Series": {SERIES: {"Instances": {uid: {} for uid in uids}}}}}
    return MetadataUpdates(None, {"SchemaVersion": 1.1, **document})


Change: TypeAlias = MetadataUpdates | Revert | Delete


def edit_of(datastore_id: str, *edits: tuple[str, int, Change], **options: Any) -> Edit:
    return Edit(datastore_id, tuple(ImageSetEdit(*one) for one in edits), **options)


async def value(store: Store, datastore_id: str, image_set_id: str, keyword: str, version: int | None = None) -> Any:
    """Return a Patient, Study or Series attribute of a version."""
    head = (await store.metadata(datastore_id, image_set_id, version, ())).head
    levels: list[Mapping[str, Any]] = [head.patient["DICOM"], head.study["DICOM"], head.series["DICOM"]]
    return next((level[keyword] for level in levels if keyword in level), None)


async def one_image_set(store: Store, datastore_id: str, count: int = 1) -> str:
    """Store a series of `count` instances and return its image set."""
    outcomes = await store_sent(store, datastore_id, [sent(f"1.2.{number}") for number in range(1, count + 1)])
    assert {outcome.error for outcome in outcomes} == {None}
    return outcomes[0].image_set_id


async def two_series(store: Store, datastore_id: str) -> tuple[str, str]:
    """Store a study of two series and return their image sets."""
    first, second = await store_sent(store, datastore_id, [sent(), sent("1.2.9", SERIES_2, SeriesNumber="2")])
    return first.image_set_id, second.image_set_id


def query(level: QueryLevel, *conditions: Condition, **options: Any) -> Query:
    return Query(level, conditions, **options)
