"""What a store holds, as values: data stores, studies and image sets in their versions, instances, files.

Versions count from 1. Times are aware, in UTC. `datastore_id`, `image_set_id`: 32 characters, HealthImaging's pattern.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from gateway.dicom.dataset import Dataset
from gateway.dicom.part10 import PixelElement
from gateway.errors import GatewayError, Level
from gateway.metadata.image_set import Head
from gateway.store.blobs.protocol import Address
from gateway.store.log.import_log import ImportJob

DatastoreStatus = Literal["CREATING", "CREATE_FAILED", "ACTIVE", "DELETING", "DELETED"]
ImageSetState = Literal["ACTIVE", "LOCKED", "DELETED"]
WorkflowStatus = Literal["CREATED", "UPDATED", "DELETED", "COPIED", "UPDATE_FAILED", "COPY_FAILED"]
Action = Literal["store", "update", "revert", "delete", "copy"]

# Of one data store or image set (devguide "Understanding image sets").
MAX_TAGS = 50


@dataclass(frozen=True, slots=True)
class Datastore:
    """A data store: the unit of tenancy, HealthImaging's and ours."""

    datastore_id: str
    name: str
    status: DatastoreStatus
    created_at: datetime
    updated_at: datetime
    properties: Mapping[str, Any] = field(default_factory=dict)  # kmsKeyArn, losslessStorageFormat, …: kept, given back
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who edited and why. reason_for_modification: (0400,0565); source_of_previous_values: (0400,0564)."""

    who: str = "anonymous"
    reason: str | None = None
    reason_for_modification: Literal["COERCE", "CORRECT"] | None = None
    source_of_previous_values: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeSummary:
    """What a version changed, small enough to keep with it: keywords (or tags) by level, and how many instances."""

    keys: Mapping[Level, Sequence[str]] = field(default_factory=dict)
    instances: int = 0


class ImageSetVersion(NamedTuple):
    """One version of an image set: HealthImaging's GetImageSet, and our history.

    created_at is the image set's, updated_at this version's. sequence: its place in the change feed. message: why an
    update or copy failed that made this version, and nothing else. copied_from: an image set and a version of it.
    """

    datastore_id: str
    image_set_id: str
    version: int
    state: ImageSetState
    workflow_status: WorkflowStatus
    created_at: datetime
    updated_at: datetime
    is_primary: bool
    forced: bool
    study_instance_uid: str
    series_instance_uid: str
    study_version: int
    action: Action
    provenance: Provenance
    changed: ChangeSummary
    sequence: int
    instance_count: int
    deleted_at: datetime | None = None
    message: str | None = None
    copied_from: tuple[str, int] | None = None

    @property
    def member(self) -> Member:
        """This version as a study's version lists it."""
        return Member(
            self.image_set_id, self.version, self.series_instance_uid, self.is_primary, self.state, self.updated_at
        )


class Member(NamedTuple):
    """One image set in one version of a study."""

    image_set_id: str
    version: int
    series_instance_uid: str
    is_primary: bool
    state: ImageSetState
    updated_at: datetime


class StudyVersion(NamedTuple):
    """One version of a study: which version of which image set it consists of, deleted ones included.

    Members are in the order their image sets were created. `primary` are those DICOMweb sees.
    """

    datastore_id: str
    study_instance_uid: str
    version: int
    updated_at: datetime
    action: Action
    forced: bool
    provenance: Provenance
    changed: ChangeSummary
    members: tuple[Member, ...]

    @property
    def primary(self) -> tuple[Member, ...]:
        return tuple(member for member in self.members if member.is_primary and member.state != "DELETED")


@dataclass(frozen=True, slots=True)
class ReceivedInstance:
    """An instance that lies in a pack and waits for its place in an image set.

    dataset: group 0002 included, pixel data left out, large binary values as BulkData whose bytes lie at bulk[uri].
    warnings: Warning Reasons (0008,1196) of what was seen in it. pixels: which pixel data it has, NO_PIXELS for none,
    None where nobody looked.
    """

    dataset: Dataset
    address: Address
    sha256: str
    bulk: Mapping[str, Address] = field(default_factory=dict)
    warnings: tuple[int, ...] = ()
    pixels: PixelElement | None = None


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """What became of one ReceivedInstance. error: why it was refused; then only the UIDs that could be read are set.

    warnings: Warning Reasons (0008,1196), docs/conformance.md. original: the attributes coerced, as they came.
    """

    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    image_set_id: str = ""
    version: int = 0
    is_primary: bool = True
    warnings: tuple[int, ...] = ()
    original: Dataset = field(default_factory=dict)
    error: GatewayError | None = None


@dataclass(frozen=True, slots=True)
class StoredObject:
    """The PS3.10 bytes an instance came as, before any edit.

    fingerprint: of their attributes (metadata/fingerprint.py); while a version has the same, these bytes are it.
    warnings: the Warning Reasons (0008,1196) they were stored with, ascending. pixels: which pixel data there are in
    them, NO_PIXELS for none, None where they were stored before that was kept.
    """

    address: Address
    sha256: str
    fingerprint: bytes = b""
    warnings: tuple[int, ...] = ()
    pixels: PixelElement | None = None


@dataclass(frozen=True, slots=True)
class VersionParts:
    """A version's head, and the numbers of the parts its instances lie in, in document order.

    A part of an image set never changes: the same number is the same instances with the same attributes, in every
    version that has it.
    """

    head: Head
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class InstanceFile:
    """An instance's file, and what is known of it without reading it or the instance's metadata.

    received: the head that the file says at Patient, Study and Series level, where the instance's own attributes are
    those of the file: the version's very head (`is`) where nothing was edited. None where they are not, or where that
    is unknown.
    """

    sop_instance_uid: str
    stored: StoredObject
    transfer_syntax_uid: str
    received: Head | None


@dataclass(frozen=True, slots=True)
class ImageSetFiles:
    """A version's head, and the files of its instances in document order."""

    head: Head
    instances: Sequence[InstanceFile]


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that clients may want to hear of: a version was made, or a data store or import job changed status.

    cursor: its place in the order of all that happened. subject: as it was then.
    """

    cursor: tuple[int, int]
    at: datetime
    subject: ImageSetVersion | Datastore | ImportJob


@dataclass(frozen=True, slots=True)
class ImageFrame:
    """A frame as HealthImaging keeps it: in the data store's format, or as it came."""

    data: memoryview
    transfer_syntax_uid: str
