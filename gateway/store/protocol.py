"""Store, seam A: the image set actions that both faces are written against.

Two implementations are meant: VersionedStore keeps versions itself, an upstream store has AWS HealthImaging carry the
same actions out. AWS takes "apply this update to version N" and never "append this document", so the seam is cut at
actions, above the rules. tests/store/store_suite.py is the contract.

Every edit of a study is atomic: all of it or nothing, and an acknowledged one survives power loss.
What it speaks of stands in contents, edits and searches.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from gateway.dicom.matching import Query
from gateway.dicom.part10 import PixelElement
from gateway.metadata.image_set import ImageSetMetadata
from gateway.store.blobs.protocol import Address, Pack
from gateway.store.contents import (
    Datastore,
    Happening,
    ImageFrame,
    ImageSetFiles,
    ImageSetVersion,
    Provenance,
    ReceivedInstance,
    StoredInstance,
    StoredObject,
    StudyVersion,
    VersionParts,
)
from gateway.store.edits import (
    Answer,
    Copy,
    CopyResult,
    Edit,
    EditResult,
    Job,
)
from gateway.store.log.import_log import ImportLog
from gateway.store.searches import ImageSetSearch, ImageSetSummary, Page


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

    async def pixel_elements(
        self,
        datastore_id: str,
        image_set_id: str,
        version: int | None = None,
        instances: Collection[str] | None = None,
    ) -> Mapping[str, PixelElement]:
        """Return which pixel data the instances of a version have, by SOP Instance UID; those without are left out.

        Raises NotFound, Gone for a deleted version.
        """

    async def part_pixel_elements(
        self, datastore_id: str, image_set_id: str, numbers: Collection[int]
    ) -> Mapping[str, PixelElement]:
        """Return the same of the instances in parts of an image set."""

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
