"""VersionLog, seam B: where versions are kept, over a transactional table store.

Everything is an append: a new image set is its version 1, an edit version N+1, a revert N+1 with the head and manifest
of an older one, a delete N+1 in state DELETED. The study is the unit of atomicity, and one row of it the lock: an
append names the study version it was made from. Data stores, jobs and remembered answers are small tables beside it,
because an answer must be kept by the transaction it answers. tests/store/log_suite.py is the contract.

What is written is in appends.py, what is read in contents.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeAlias, TypeVar

from gateway.dicom.part10 import PixelElement
from gateway.errors import VersionConflict
from gateway.metadata.study_summary import StudySummary
from gateway.store.blobs.protocol import Address
from gateway.store.contents import Datastore, Happening, ImageSetVersion, StoredObject, StudyVersion
from gateway.store.edits import Answer, Job
from gateway.store.log.appends import Append
from gateway.store.log.contents import (
    Candidate,
    CurrentStudy,
    Filter,
    FoundImageSet,
    SearchLevel,
    SearchOrder,
    Stored,
    StoredFiles,
    StoredVersion,
)
from gateway.store.log.frame_log import FrameLog
from gateway.store.log.import_log import ImportLog
from gateway.store.log.parts import Part
from gateway.store.searches import ImageSetSearch

Result = TypeVar("Result")


class StudyChanged(VersionConflict):
    """Somebody else appended to the study since it was read: read it again, and see whether the edit still stands."""


# Which instances of an image set are wanted: SOP Instance UIDs, None for all.
Choice: TypeAlias = "Callable[[ImageSetVersion], Collection[str] | None]"


def no_instances(image_set: ImageSetVersion) -> Collection[str]:
    """Choose none."""
    return ()


class VersionLog(Protocol):
    """Versions of image sets and studies, appended and never changed.

    All methods raise NotFound for a data store that does not exist or is deleted, StorageFailed or StorageFull where
    the disk refuses. `instances` is a choice of SOP Instance UIDs whose parts are wanted, None for all parts.
    """

    async def append(self, append: Append) -> None:
        """Write all of it or nothing, durable before it returns.

        Raises StudyChanged where a study's version is not the expected one, VersionConflict where an image set's
        version exists, IdempotencyConflict for a key kept with another digest.
        """

    async def read(
        self,
        datastore_id: str,
        image_set_id: str,
        version: int | None = None,
        instances: Collection[str] | None = (),
    ) -> StoredVersion:
        """Return a version, the latest by default. Raises NotFound."""

    async def parts(self, datastore_id: str, image_set_id: str, numbers: Collection[int]) -> dict[int, Part]:
        """Return parts of an image set, by number."""

    async def current_study(
        self,
        datastore_id: str,
        study_instance_uid: str,
        choose: Choice = no_instances,
        *,
        to_add: bool = False,
    ) -> CurrentStudy:
        """Return a study as it is now, with the parts of the instances chosen in each image set.

        to_add: where any is chosen the last part comes too, because new instances go there. `choose` may run on another
        thread, and more than once; () chooses none.
        """

    async def study_for_store(
        self, datastore_id: str, study_instance_uid: str, arriving: Mapping[str, Collection[str]]
    ) -> tuple[CurrentStudy, dict[str, dict[str, StoredObject]]]:
        """Return a study as it is now, and the stored objects there are of arriving instances, by image set id and UID.

        arriving: SOP Instance UIDs by Series Instance UID. Image sets of these series that are not deleted come with
        the parts of the instances, and with their last part.
        """

    async def store(
        self,
        datastore_id: str,
        study_instance_uid: str,
        arriving: Mapping[str, Collection[str]],
        place: Callable[[CurrentStudy, Stored], tuple[Result, Append | None]],
        before: Callable[[], object],
    ) -> Result:
        """Read a study as `study_for_store` does, append what `place` makes of it, and return what that says beside.

        Nobody appends to the study in between. `place` and `before` are called on a thread, where others wait for them
        to be done, and may raise: then nothing is written. `before` comes first for all who are written together.
        """

    async def study_of(self, datastore_id: str, image_set_id: str) -> str:
        """Return the Study Instance UID an image set has now. Raises NotFound."""

    async def history(self, datastore_id: str, image_set_id: str) -> list[ImageSetVersion]:
        """Return an image set's versions, newest first. Raises NotFound."""

    async def study(self, datastore_id: str, study_instance_uid: str, version: int | None = None) -> StudyVersion:
        """Return a version of a study, the latest by default, a deleted one too. Raises NotFound."""

    async def study_history(self, datastore_id: str, study_instance_uid: str) -> list[StudyVersion]:
        """Return a study's versions, newest first. Raises NotFound."""

    async def find(
        self,
        datastore_id: str,
        level: SearchLevel,
        filters: Sequence[Filter],
        visit: Callable[[Candidate], bool],
        page: tuple[int, int | None] | None = None,
        order: SearchOrder = "study_date",
        anew: Callable[[], object] = tuple,
    ) -> int:
        """Call `visit` for what passes all filters until it returns False, in one consistent read.

        Order: newest StudyDate first, then the study that came last; or the study that was changed last first. In it,
        series as they came, or the one that was changed last first. page: visit only limit candidates
        from offset on, and return how many studies, series or instances there are in all; without one, how many were
        visited. `visit` runs on another thread. A search that takes long may be begun a second time, in a later state:
        `anew` is called before, and what was visited is to be forgotten.
        """

    async def find_summaries(
        self,
        datastore_id: str,
        filters: Sequence[Filter],
        page: tuple[int, int | None],
        order: SearchOrder = "study_date",
        matches: Callable[[StudySummary], bool] | None = None,
    ) -> tuple[list[StudySummary], int] | None:
        """Return a page of what passes all filters, in the order of `find`, and how many studies there are in all.

        matches: says of each what is left to be said, on another thread. None where a study that had to be looked at
        has no summary.
        """

    async def find_image_sets(self, datastore_id: str, search: ImageSetSearch) -> list[FoundImageSet]:
        """Return what SearchImageSets finds."""

    async def studies_of_patient(self, datastore_id: str, patient_id: str) -> list[str]:
        """Return the studies of a PatientID that DICOMweb sees, in the order they came."""

    async def since(self, datastore_id: str, after: int, limit: int) -> list[ImageSetVersion]:
        """Return versions with a greater sequence, in its order. A sequence is visible only when all before it are."""

    async def happenings(self, datastore_id: str, after: tuple[int, int], limit: int) -> list[Happening]:
        """Return versions and changes of status after a cursor, in one order; of a deleted data store too."""

    async def objects(
        self, datastore_id: str, image_set_id: str, version: int | None, instances: Collection[str] | None
    ) -> dict[str, StoredObject]:
        """Return the stored objects of a version's instances, by SOP Instance UID in document order.

        Raises NotFound, and Gone for a deleted version.
        """

    async def pixel_elements(
        self, datastore_id: str, image_set_id: str, version: int | None, instances: Collection[str] | None
    ) -> dict[str, PixelElement | Address]:
        """Return which pixel data each of the same objects has; where that was not kept, the object's address.

        Raises as `objects`.
        """

    async def part_pixel_elements(
        self, datastore_id: str, image_set_id: str, numbers: Collection[int]
    ) -> dict[str, PixelElement | Address]:
        """Return the same of the instances in parts. Raises NotFound, StorageFailed for a part that is not there."""

    async def files(
        self, datastore_id: str, image_set_id: str, version: int | None, instances: Collection[str] | None
    ) -> StoredFiles:
        """Return a version with the stored objects of its instances, in one consistent read. Raises NotFound."""

    async def heads(self, datastore_id: str, image_set_id: str, most: int) -> list[bytes]:
        """Return heads of the first versions of an image set, each once, the oldest first. Raises NotFound."""

    async def bulk_data(self, datastore_id: str, image_set_id: str, uri: str) -> Address:
        """Return where a bulk value lies. Raises NotFound."""

    async def remembered(self, datastore_id: str, key: str, digest: str) -> Answer | None:
        """Return the answer kept for a key, None for a new one. Raises IdempotencyConflict."""

    async def create_datastore(
        self, datastore: Datastore, client_token: str | None, most_active: int | None = None
    ) -> Datastore:
        """Keep a data store; return the one that was kept first with the same client_token.

        Raises IdempotencyConflict where that one has another name or other properties, TooLarge for more than
        most_active active ones.
        """

    async def datastores(self) -> list[Datastore]:
        """Return all data stores, oldest first, deleted ones included."""

    async def delete_datastore(self, datastore_id: str, at: datetime) -> Datastore:
        """Set a data store's status to DELETED. Raises NotEmpty."""

    async def tags(self, datastore_id: str, image_set_id: str | None) -> dict[str, str]:
        """Return the tags of an image set, or of the data store. Raises NotFound."""

    async def retag(
        self, datastore_id: str, image_set_id: str | None, add: Mapping[str, str], remove: Collection[str]
    ) -> None:
        """Set tags and take tags away. Raises NotFound, InvalidRequest for more than MAX_TAGS."""

    async def create_job(self, job: Job, client_token: str | None) -> Job:
        """Keep a job; return the one that was kept first with the same client_token."""

    async def job_kept_under(self, datastore_id: str, client_token: str) -> Job | None:
        """Return the job that was kept with a client_token, None where there is none."""

    async def job(self, datastore_id: str, job_id: str) -> Job:
        """Return a job. Raises NotFound."""

    async def unfinished_jobs(self) -> list[Job]:
        """Return the jobs that are SUBMITTED or IN_PROGRESS, oldest first."""

    async def record_job(self, job_id: str, status: str, result: Mapping[str, Any] | None, at: datetime) -> Job:
        """Set a job's status and append a result to it. Raises NotFound."""

    @property
    def frames(self) -> FrameLog:
        """What is kept of image frames, in the same place."""

    @property
    def imports(self) -> ImportLog:
        """The import jobs of all data stores."""

    async def ready(self) -> None:
        """Return if a transaction can begin and a read come back. Raises StorageFailed or StorageFull."""

    async def close(self) -> None:
        """Finish what is being written and let go of every file."""
