"""What is appended to the log, as values: versions of image sets and of studies, with what searches go by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from gateway.store.blobs.protocol import Address
from gateway.store.contents import Action, ChangeSummary, ImageSetState, Provenance, StoredObject, WorkflowStatus
from gateway.store.edits import Answer
from gateway.store.log.manifest import Manifest
from gateway.store.log.parts import Part


@dataclass(frozen=True, slots=True)
class ImageSetColumns:
    """What SearchImageSets searches for. study_time: YYYYMMDDHHMMSS.FFFFFF, "" without a StudyDate."""

    modality: str = ""
    patient_id: str = ""
    accession_number: str = ""
    study_id: str = ""
    study_time: str = ""


@dataclass(frozen=True, slots=True)
class StudyColumns:
    """What QIDO-RS searches for. image_set_id: the one whose head speaks for the study.

    study_date: YYYYMMDD or "". Names: case folded, one for each component group.
    names: all of them, a line for each, with and without accents. modalities: sorted, with how many series of each.
    summary: the values of a StudySummary.
    """

    image_set_id: str
    study_date: str = ""
    study_time: str = ""
    patient_id: str = ""
    accession_number: str = ""
    study_id: str = ""
    study_description: str = ""
    patient_name: tuple[str, ...] = ()
    referring_physician_name: tuple[str, ...] = ()
    names: str = ""
    modalities: Mapping[str, int] = field(default_factory=dict)
    sop_classes: tuple[str, ...] = ()
    series_count: int = 0
    instance_count: int = 0
    summary: str | None = None


class NewVersion(NamedTuple):
    """A version of an image set to append.

    parts: those this version adds, by number. slots: (SOP Instance UID, slot) pairs it adds. next_part, next_object:
    the first numbers still free after it.
    """

    image_set_id: str
    version: int
    study_instance_uid: str
    series_instance_uid: str
    created_at: datetime
    updated_at: datetime
    state: ImageSetState
    workflow_status: WorkflowStatus
    is_primary: bool
    action: Action
    provenance: Provenance
    forced: bool
    changed: ChangeSummary
    head: bytes
    manifest: Manifest
    columns: ImageSetColumns
    next_part: int
    next_object: int
    parts: Mapping[int, Part] = MappingProxyType({})
    slots: Sequence[tuple[str, int]] = ()
    objects: Mapping[int, StoredObject] = MappingProxyType({})
    bulk: Mapping[str, Address] = MappingProxyType({})
    message: str | None = None
    copied_from: tuple[str, int] | None = None

    @property
    def modality(self) -> str:
        return self.columns.modality


@dataclass(frozen=True, slots=True)
class NewStudyVersion:
    """A version of a study to append. expected: the version it was made from, 0 for a new study.

    members: image set ids and versions, in the order the image sets were created. columns: None where no primary
    image set is left, so that DICOMweb sees nothing.
    """

    study_instance_uid: str
    expected: int
    updated_at: datetime
    action: Action
    forced: bool
    provenance: Provenance
    changed: ChangeSummary
    members: tuple[tuple[str, int], ...]
    columns: StudyColumns | None

    @property
    def version(self) -> int:
        return self.expected + 1


@dataclass(frozen=True, slots=True)
class RememberedAnswer:
    """An answer to keep for an Idempotency-Key."""

    key: str
    digest: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class Append:
    """What one transaction writes: versions of one study, or of two where an image set moves between them.

    most_metadata: how many bytes of JSON the metadata of each new version may have; TooLarge otherwise.
    """

    datastore_id: str
    studies: tuple[NewStudyVersion, ...]
    versions: tuple[NewVersion, ...]
    at: datetime
    remember: RememberedAnswer | None = None
    most_metadata: int | None = None
