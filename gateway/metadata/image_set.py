"""The metadata of an image set, and updates of it, as values that cross every seam.

A document of HealthImaging is a `Head` (Patient, Study, Series) and instances by SOP Instance UID; an image set has
one series. Values are as reference pages of HealthImaging show them: keys are keywords or, for what PS3.6 2022b does
not name, eight hex digits whose VR stands in DICOMVRs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

from gateway.errors import Level

SCHEMA_VERSION = "1.1"

# str: strings, DS, IS, PN, AT, base64. dict: {"BulkDataURI": uri}, a binary value kept in a blob.
# list: several values, or the items of a sequence (each a dict of attributes). None: a zero-length value.
AttributeValue: TypeAlias = "str | int | float | dict[str, Any] | list[Any] | None"
Attributes: TypeAlias = dict[str, AttributeValue]


class LevelMetadata(TypedDict):
    """One level's attributes. DICOMVRs: the VRs that the dictionary does not give (docs/mapping.md)."""

    DICOM: Attributes
    DICOMVRs: NotRequired[dict[str, str]]


class InstanceMetadata(LevelMetadata):
    """One instance's attributes, file meta information and private elements included; what follows is generated."""

    StoredTransferSyntaxUID: NotRequired[str]
    ImageFrames: NotRequired[list[dict[str, Any]]]


_FIELDS: Mapping[Level, str] = {"Patient": "patient", "Study": "study", "Series": "series"}


@dataclass(frozen=True, slots=True)
class Head:
    """What the instances of an image set share."""

    patient: LevelMetadata
    study: LevelMetadata
    series: LevelMetadata

    def level(self, level: Level) -> LevelMetadata:
        """Return the metadata of one level, Patient, Study or Series. Raises KeyError for Instance."""
        found: LevelMetadata = getattr(self, _FIELDS[level])
        return found

    @property
    def study_instance_uid(self) -> str:
        return str(self.study["DICOM"]["StudyInstanceUID"])

    @property
    def series_instance_uid(self) -> str:
        return str(self.series["DICOM"]["SeriesInstanceUID"])


@dataclass(frozen=True, slots=True)
class ImageSetMetadata:
    """One version's metadata. `instances` maps SOP Instance UIDs, and may hold only those somebody asked for."""

    head: Head
    instances: Mapping[str, InstanceMetadata]


UpdateDocument: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MetadataUpdates:
    """HealthImaging's MetadataUpdates: documents to set and to remove by, decoded from JSON; either may be None."""

    updatable: UpdateDocument | None = None
    removable: UpdateDocument | None = None


@dataclass(frozen=True, slots=True)
class Revert:
    """MetadataUpdates' other member: a new version with the content of version `to`."""

    to: int


@dataclass(frozen=True, slots=True)
class Delete:
    """A new version in state DELETED; older versions stay readable, and Revert brings them back."""


@dataclass(frozen=True, slots=True)
class Change:
    """One attribute that differs between two versions. before and after are DICOM JSON elements; None where absent.

    At level Instance with tag None, the instance itself came or went, and before and after say {"SOPInstanceUID": …}.
    """

    level: Level
    tag: str | None
    keyword: str | None
    vr: str | None
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None


# docs/constraints.md: the rules by date, because AWS's changed.
Profile = Literal["2024-07", "2026-06"]
PROFILES: tuple[Profile, ...] = ("2024-07", "2026-06")
