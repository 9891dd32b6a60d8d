"""Store, seam A: the image set actions that both faces are written against.

Two implementations are meant: VersionedStore keeps versions itself, an upstream store has AWS HealthImaging carry the
same actions out. AWS takes "apply this update to version N" and never "append this document", so the seam is cut at
actions, above the rules. tests/store/store_suite.py is the contract.

Every edit of a study is atomic: all of it or nothing, and an acknowledged one survives power loss. `datastore_id`,
`image_set_id`: 32 characters, HealthImaging's pattern. Versions count from 1. Times are aware, in UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from gateway.dicom.dataset import Dataset
from gateway.dicom.matching import Query
from gateway.errors import GatewayError, Level, Violation
from gateway.metadata.image_set import (
    Change,
    Delete,
    Head,
    ImageSetMetadata,
    MetadataUpdates,
    Revert,
)
from gateway.metadata.study_summary import StudySummary
from gateway.store.blobs import Address, Pack
from gateway.store.import_log import ImportJob, ImportLog

DatastoreStatus = Literal["CREATING", "CREATE_FAILED", "ACTIVE", "DELETING", "DELETED"]
ImageSetState = Literal["ACTIVE", "LOCKED", "DELETED"]
WorkflowStatus = Literal["CREATED", "UPDATED", "DELETED", "COPIED", "UPDATE_FAILED", "COPY_FAILED"]
Action = Literal["store", "update", "revert", "delete", "copy"]

# Of one data store or image set (devguide "Understanding image sets").
MAX_TAGS = 50

# In one copy (devguide "Endpoints and quotas").
MAX_COPIED_FRAMES = 1000


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


@dataclass(frozen=True, slots=True)
class ImageSetVersion:
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


@dataclass(frozen=True, slots=True)
class Member:
    """One image set in one version of a study."""

    image_set_id: str
    version: int
    series_instance_uid: str
    is_primary: bool
    state: ImageSetState
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class StudyVersion:
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
    warnings: Warning Reasons (0008,1196) of what was seen in it.
    """

    dataset: Dataset
    address: Address
    sha256: str
    bulk: Mapping[str, Address] = field(default_factory=dict)
    warnings: tuple[int, ...] = ()


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
    warnings: the Warning Reasons (0008,1196) they were stored with, ascending.
    """

    address: Address
    sha256: str
    fingerprint: bytes = b""
    warnings: tuple[int, ...] = ()


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


class Store(Protocol):
    """Everything the faces ask of storage. All raise NotFound for a data store that does not exist."""

    # -- data stores

    async def create_datastore(
        self,
        name: str,
        properties: Mapping[str, Any],
        tags: Mapping[str, str],
        client_token: str | None = None,
        most_active: int | None = None,
    ) -> Datastore:
        """Create a data store. The same client_token gives the same data store again.

        most_active: how many active ones there may be. Raises TooLarge, IdempotencyConflict for the client_token of
        another data store.
        """

    async def datastore(self, datastore_id: str) -> Datastore:
        """Return one data store, a deleted one too."""

    async def datastores(self) -> list[Datastore]:
        """Return every data store, oldest first, deleted ones included."""

    async def default_datastore(self) -> Datastore:
        """Return the data store that `/dicomweb` stands for: the oldest active one."""

    async def delete_datastore(self, datastore_id: str) -> Datastore:
        """Delete a data store. Raises NotEmpty while it has image sets that are not deleted."""

    # -- tags

    async def tags(self, datastore_id: str, image_set_id: str | None = None) -> dict[str, str]:
        """Return the tags of an image set, a deleted one too; without image_set_id those of the data store.

        Raises NotFound.
        """

    async def retag(
        self,
        datastore_id: str,
        image_set_id: str | None = None,
        *,
        add: Mapping[str, str] | None = None,
        remove: Collection[str] = (),
    ) -> None:
        """Set some tags and take others away. Raises NotFound, InvalidRequest for more than MAX_TAGS."""

    # -- storing

    async def new_pack(self) -> Pack:
        """Open a pack to put instances in, before `store_instances`."""

    async def store_instances(
        self,
        datastore_id: str,
        received: Sequence[ReceivedInstance],
        provenance: Provenance,
        pack: Pack | None = None,
        most_metadata: int | None = None,
    ) -> list[StoredInstance]:
        """Place instances of committed packs in image sets; one outcome for each, in their order.

        pack: one that is not committed yet; it is while the instances are placed, and before any version names it. A
        small one joins others instead, and what lies in it gets other addresses.

        most_metadata: how many bytes of JSON an image set may have afterwards, any number by default; where one would
        have more, the instances of its study are refused with TooLarge.

        Atomic for each study. The same SOP instance again is a new version of it; the same bytes again change nothing.
        """

    # -- finding

    async def search(self, datastore_id: str, query: Query) -> Page:
        """Return what matches a QIDO-RS query among primary image sets, in the query's order.

        By a number only what has few enough matches to be sorted; newest StudyDate first what has more.
        """

    async def search_image_sets(self, datastore_id: str, search: ImageSetSearch) -> list[ImageSetSummary]:
        """Return latest versions that match and are not deleted, at most search.limit from search.offset on."""

    async def study(self, datastore_id: str, study_instance_uid: str, version: int | None = None) -> StudyVersion:
        """Return a version of a study, the latest by default.

        Raises NotFound for an unknown study or version, Gone where no version was named and the latest is deleted.
        """

    async def study_versions(self, datastore_id: str, study_instance_uid: str) -> list[StudyVersion]:
        """Return a study's history, newest first, of a deleted study too. Raises NotFound."""

    async def studies_of_patient(self, datastore_id: str, patient_id: str) -> list[str]:
        """Return the Study Instance UIDs of a PatientID, oldest first. Raises NotFound where there is none."""

    # -- reading

    async def image_set(self, datastore_id: str, image_set_id: str, version: int | None = None) -> ImageSetVersion:
        """Return the properties of a version, the latest by default, a deleted one too. Raises NotFound."""

    async def versions(self, datastore_id: str, image_set_id: str) -> list[ImageSetVersion]:
        """Return an image set's history, newest first. Raises NotFound."""

    async def metadata(
        self,
        datastore_id: str,
        image_set_id: str,
        version: int | None = None,
        instances: Collection[str] | None = None,
    ) -> ImageSetMetadata:
        """Return a version's metadata: all instances, or those of the SOP Instance UIDs named that it has.

        Raises NotFound for an unknown version, Gone for a deleted one.
        """

    async def version_parts(self, datastore_id: str, image_set_id: str, version: int | None = None) -> VersionParts:
        """Return a version's head and parts, for whoever keeps what it makes of a part. Raises NotFound, Gone."""

    async def parts(
        self, datastore_id: str, image_set_id: str, numbers: Collection[int]
    ) -> Mapping[int, Callable[[], Mapping[str, bytes]]]:
        """Return parts by number: each as what reads the JSON text of an InstanceMetadata by SOP Instance UID from it,
        in document order, on whatever thread.

        Reading raises StorageFailed for a damaged part.
        """

    async def metadata_gzip(self, datastore_id: str, image_set_id: str, version: int | None = None) -> bytes:
        """Return a version's 1.1 document as one gzip member, with what is said of its image frames.

        Raises like `metadata`, and NotReady while that is being made.
        """

    async def image_frame(self, datastore_id: str, image_set_id: str, image_frame_id: str) -> ImageFrame:
        """Return an image frame by the ID it has in the document of any version.

        Raises NotFound, Gone for an image set that is deleted now, NotReady.
        """

    async def objects(
        self,
        datastore_id: str,
        image_set_id: str,
        version: int | None = None,
        instances: Collection[str] | None = None,
    ) -> dict[str, StoredObject]:
        """Return where the PS3.10 bytes of a version's instances lie, by SOP Instance UID, in document order."""

    async def files(
        self,
        datastore_id: str,
        image_set_id: str,
        version: int | None = None,
        instances: Collection[str] | None = None,
    ) -> ImageSetFiles:
        """Return the files of a version's instances, and which of them are as they came.

        Raises NotFound, Gone for a deleted version.
        """

    async def bulk_data(self, datastore_id: str, image_set_id: str, uri: str) -> Address:
        """Return where a BulkData value of an image set lies. Raises NotFound."""

    async def read(self, address: Address) -> memoryview:
        """Return stored bytes."""

    # -- editing

    async def edit(self, edit: Edit) -> EditResult:
        """Check, apply and append: one version more of each image set that changes, and one of the study.

        Raises ConstraintViolations (all of all image sets), VersionConflict, NotFound, InvalidUpdate, TooLarge,
        IdempotencyConflict; then nothing was changed.
        """

    async def copy(self, copy: Copy) -> CopyResult:
        """Copy instances, and append a version of the image set they go to, and one of its study.

        What the destination is not fit for makes a version of it that says so, COPY_FAILED, with the content it had.
        Raises VersionConflict, NotFound, Gone, TooLarge for more than MAX_COPIED_FRAMES or
        most_metadata, InvalidRequest for a copy
        that means nothing, or a promotion that the primary image sets of the study contradict; then nothing was done.
        """

    async def record_failure(
        self, datastore_id: str, image_set_id: str, latest_version: int, message: str, provenance: Provenance
    ) -> ImageSetVersion:
        """Append a version UPDATE_FAILED with the content there was. Raises VersionConflict, NotFound, Gone."""

    async def remembered(self, datastore_id: str, key: str, digest: str) -> Answer | None:
        """Return the answer kept for an Idempotency-Key, None for a new key. Raises IdempotencyConflict."""

    # -- telling

    async def changes(self, datastore_id: str, after: int, limit: int) -> list[ImageSetVersion]:
        """Return versions in the order they were committed, those with a greater sequence than `after`."""

    async def happenings(self, datastore_id: str, after: tuple[int, int], limit: int) -> list[Happening]:
        """Return what happened in a data store after a cursor, of a deleted data store too, (0, 0) for all."""

    # -- jobs

    async def create_job(
        self,
        datastore_id: str,
        request: Mapping[str, Any],
        studies: Sequence[str],
        client_token: str | None = None,
    ) -> Job:
        """Keep a job, durable before it returns. The same client_token gives the job that was kept first."""

    async def job(self, datastore_id: str, job_id: str) -> Job:
        """Return a job. Raises NotFound."""

    async def job_kept_under(self, datastore_id: str, client_token: str) -> Job | None:
        """Return the job that was kept with this client_token, None where there is none."""

    async def unfinished_jobs(self) -> list[Job]:
        """Return the jobs of all data stores that are SUBMITTED or IN_PROGRESS, oldest first."""

    async def record_job(self, job_id: str, status: str, result: Mapping[str, Any] | None = None) -> Job:
        """Set a job's status and append one study's result."""

    # -- import jobs

    @property
    def imports(self) -> ImportLog:
        """The import jobs of all data stores."""

    # -- running

    async def ready(self) -> None:
        """Return if the store can read and write. Raises StorageFailed or StorageFull."""

    async def close(self) -> None:
        """Finish what is being written and let go of every file."""
