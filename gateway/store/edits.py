"""What is to become of image sets, and what became of them: edits, copies, and jobs over several studies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from gateway.errors import Violation
from gateway.metadata.image_set import Change, Delete, Head, MetadataUpdates, Revert
from gateway.store.contents import ImageSetVersion, Provenance

# In one copy (devguide "Endpoints and quotas").
MAX_COPIED_FRAMES = 1000


@dataclass(frozen=True, slots=True)
class Destination:
    """An image set that instances come into, from version `latest_version` of it."""

    image_set_id: str
    latest_version: int


@dataclass(frozen=True, slots=True)
class Move:
    """An instance leaves for another image set, with its stored bytes; the one change of an edit.

    new_uid: its SOP Instance UID there. head: Patient, Study and Series there. to: the image set it comes into, None
    for a new primary one with that head.
    """

    sop_instance_uid: str
    new_uid: str
    head: Head
    to: Destination | None = None


@dataclass(frozen=True, slots=True)
class ImageSetEdit:
    """A change of one image set, made from version `latest_version` of it.

    joins: the study that it or its instance goes to, and the version of that it was made from too; 0 for a new study.
    """

    image_set_id: str
    latest_version: int
    change: MetadataUpdates | Revert | Delete | Move
    joins: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer to give again for the same Idempotency-Key."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Idempotency:
    """digest: SHA-256 of method, path, query and body. remember: makes the answer that is kept with the edit."""

    key: str
    digest: str
    remember: Callable[[EditResult], Answer]


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit of one study, atomic.

    study_version: the version the edit was made from; None where only the image sets' versions are checked.
    include_study_image_sets: Patient and Study level changes go to every other primary image set of the study too
    (UpdateImageSetMetadata includeStudyImageSets; one ImageSetEdit, not with Revert).
    most_metadata: how many bytes of JSON an image set may have afterwards, any number by default.
    dry_run: nothing is written, and the constraints broken are returned rather than raised.
    """

    datastore_id: str
    image_sets: tuple[ImageSetEdit, ...]
    provenance: Provenance = Provenance()
    force: bool = False
    dry_run: bool = False
    study_version: int | None = None
    include_study_image_sets: bool = False
    idempotency: Idempotency | None = None
    most_metadata: int | None = None


@dataclass(frozen=True, slots=True)
class ImageSetResult:
    """One image set after an edit. version: the new one, or the old one where nothing changed."""

    image_set_id: str
    series_instance_uid: str
    version: int
    changed: bool
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class EditResult:
    """What an edit did, or with dry_run would do. violations: without force, and those that force would not lift."""

    study_instance_uid: str
    study_version: int
    changed: bool
    image_sets: tuple[ImageSetResult, ...]
    violations: tuple[Violation, ...] = ()
    violations_with_force: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of instances of an image set: into another, or into a new one that is not primary.

    latest_version: of the source. instances: their SOP Instance UIDs, None for all. promote: into the primary image
    set of the series, by the rules for received instances, or into a new primary one where the series has none;
    without a destination. force: instances whose Patient, Study or Series say otherwise join all the same.
    most_metadata: as for an Edit.
    """

    datastore_id: str
    image_set_id: str
    latest_version: int
    instances: frozenset[str] | None = None
    destination: Destination | None = None
    promote: bool = False
    force: bool = False
    provenance: Provenance = Provenance()
    most_metadata: int | None = None


@dataclass(frozen=True, slots=True)
class CopyResult:
    """The version that was copied, and the one that the copy made: COPIED, or COPY_FAILED with a message."""

    source: ImageSetVersion
    destination: ImageSetVersion


@dataclass(frozen=True, slots=True)
class Job:
    """An edit over several studies, done one study after the other and resumed after a restart.

    request: what to do, JSON. results: one for each study done, in order. status COMPLETED even if some were refused.
    """

    job_id: str
    datastore_id: str
    status: Literal["SUBMITTED", "IN_PROGRESS", "COMPLETED", "FAILED"]
    created_at: datetime
    updated_at: datetime
    request: Mapping[str, Any]
    studies: tuple[str, ...]
    results: tuple[Mapping[str, Any], ...] = ()
