"""What is found: matches of QIDO-RS and of SearchImageSets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.dicom.dataset import Dataset
from gateway.metadata.study_summary import StudySummary
from gateway.store.contents import ImageSetVersion


@dataclass(frozen=True, slots=True)
class Match:
    """One QIDO-RS match: the datasets of its level and those above, computed attributes included, tags ascending.

    RetrieveURL is not among them: only a face knows its own address.
    """

    study_instance_uid: str
    series_instance_uid: str | None
    sop_instance_uid: str | None
    dataset: Dataset


@dataclass(frozen=True, slots=True)
class Page:
    """A page of matches. remaining: how many more matches there are after it, for Warning 299 (PS3.18 8.3.4.4).

    summaries: in place of matches, where the query takes them and they say all of it.
    """

    matches: tuple[Match, ...]
    remaining: int
    summaries: tuple[StudySummary, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageSetSearch:
    """SearchImageSets. equal: field to value; between: field to (lower, upper), both included.

    Fields are HealthImaging's: DICOMPatientId, DICOMAccessionNumber, DICOMStudyId, DICOMStudyInstanceUID,
    DICOMSeriesInstanceUID, createdAt, updatedAt, DICOMStudyDateAndTime (a string YYYYMMDDHHMMSS.FFFFFF), isPrimary.
    """

    equal: Mapping[str, Any] = field(default_factory=dict)
    between: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    sort_field: Literal["updatedAt", "createdAt", "DICOMStudyDateAndTime"] = "updatedAt"
    ascending: bool = False
    limit: int = 50
    offset: int = 0


@dataclass(frozen=True, slots=True)
class ImageSetSummary:
    """One match of SearchImageSets. tags: DICOMTags as HealthImaging spells them, absent where empty."""

    version: ImageSetVersion
    tags: Mapping[str, str | int]
