"""VersionedStore: the Store that keeps versions itself, in a VersionLog and Blobs.

Reading is here. What is more than reading has a file of its own: storing, with importing (placing received instances),
editing, copying, versioned_search.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from gateway.dicom.matching import Query, QueryLevel
from gateway.dicom.part10 import PixelElement
from gateway.errors import GatewayError, Gone, InvalidUpdate, NotFound
from gateway.metadata.image_set import ImageSetMetadata, Profile
from gateway.store.blobs.folder import BlobsFolder
from gateway.store.blobs.protocol import Address, Blobs, Pack
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
from gateway.store.copying import Copier, record_failure
from gateway.store.data_folder import DATABASE, FolderLock
from gateway.store.editing import INSTANCES_ON_LOOP, Editor
from gateway.store.edits import Answer, Copy, CopyResult, Destination, Edit, EditResult, Job
from gateway.store.folders import sync_folder
from gateway.store.frames import FrameKeeper
from gateway.store.importing import SharedLately
from gateway.store.instance_files import Digested
from gateway.store.kept import Kept
from gateway.store.log.contents import Candidate, SearchLevel, SearchOrder, StoredVersion
from gateway.store.log.heads import unpack_head
from gateway.store.log.import_log import ImportLog
from gateway.store.log.parts import instances_by_uid, texts_of
from gateway.store.log.protocol import StudyChanged, VersionLog
from gateway.store.log.version_document import join_gzip
from gateway.store.retrieving import Retriever
from gateway.store.searches import ImageSetSearch, ImageSetSummary, Page
from gateway.store.sqlite.log import open_log
from gateway.store.storing import TRIES, Storer
from gateway.store.study_rows import Occasion
from gateway.store.versioned_search import (
    MOST_NUMBERED,
    NUMBERS,
    Collector,
    SummaryMatches,
    dicom_tags,
    in_summaries,
    plan,
)

# Bytes of metadata documents kept, each as it is sent: of a series of 500 instances some 300 KB.
KEPT_DOCUMENTS = 16 * 1024 * 1024

# Instances of which it is kept what their text and their file are; some 500 bytes each.
KEPT_DIGESTS = 16 * 1024

_SEARCH_LEVEL: Mapping[QueryLevel, SearchLevel] = {"Study": "study", "Series": "series", "Instance": "instance"}


def _go_on(candidate: Candidate) -> bool:
    return True


def _now() -> datetime:
    return datetime.now(UTC)


def _random_id() -> str:
    return uuid.uuid4().hex


async def open_store(
    folder: Path,
    *,
    profile: Profile = "2024-07",
    record_original_attributes: bool = False,
    clock: Callable[[], datetime] = _now,
    new_id: Callable[[], str] = _random_id,
) -> VersionedStore:
    """Open the store in a data folder, made if it is not there, with a data store in it.

    Raises AlreadyServed while another gateway has the folder, StorageFailed, StorageFull.
    """
    lock = FolderLock(folder)
    try:
        blobs = BlobsFolder(folder / "blobs", new_id)
        log = await open_log(folder / DATABASE)
    except GatewayError:
        lock.release()
        raise
    store = VersionedStore(
        log, blobs, Editor(log, profile, record_original_attributes, new_id), clock, new_id, lock.release
    )
    try:
        sync_folder(folder)  # the database's name is durable before anything in it is
        if not any(datastore.status == "ACTIVE" for datastore in await store.datastores()):
            await store.create_datastore("default", {}, {})
    except BaseException:  # also what comes of a damaged row: threads left would keep the process from ending
        await store.close()
        raise
    return store


class VersionedStore:
    """A Store over a log and blobs. `open_store` makes one; `released` is called when both are closed."""

    def __init__(
        self,
        log: VersionLog,
        blobs: Blobs,
        editor: Editor,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        released: Callable[[], None],
    ) -> None:
        self._log = log
        self._blobs = blobs
        self._editor = editor
        self._clock = clock
        self._new_id = new_id
        self._released = released
        self._frames = FrameKeeper(log, blobs)
        self._lately = SharedLately()
        self._digests: Kept[tuple[str, int], dict[str, Digested]] = Kept(KEPT_DIGESTS, len)
        self._retriever = Retriever(log, blobs, self._digests)
        self._documents: Kept[tuple[str, str, int], bytes] = Kept(KEPT_DOCUMENTS, len)
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    # -- data stores

    async def create_datastore(
        self,
        name: str,
        properties: Mapping[str, Any],
        tags: Mapping[str, str],
        client_token: str | None = None,
        most_active: int | None = None,
    ) -> Datastore:
        now = self._clock()
        return await self._log.create_datastore(
            Datastore(self._new_id(), name, "ACTIVE", now, now, properties, tags), client_token, most_active
        )

    async def datastore(self, datastore_id: str) -> Datastore:
        for datastore in await self._log.datastores():
            if datastore.datastore_id == datastore_id:
                return datastore
        raise NotFound("data store", datastore_id)

    async def datastores(self) -> list[Datastore]:
        return await self._log.datastores()

    async def default_datastore(self) -> Datastore:
        for datastore in await self._log.datastores():
            if datastore.status == "ACTIVE":
                return datastore
        raise NotFound("data store", "for /dicomweb")

    async def delete_datastore(self, datastore_id: str) -> Datastore:
        return await self._log.delete_datastore(datastore_id, self._clock())

    # -- tags

    async def tags(self, datastore_id: str, image_set_id: str | None = None) -> dict[str, str]:
        return await self._log.tags(datastore_id, image_set_id)

    async def retag(
        self,
        datastore_id: str,
        image_set_id: str | None = None,
        *,
        add: Mapping[str, str] | None = None,
        remove: Collection[str] = (),
    ) -> None:
        await self._log.retag(datastore_id, image_set_id, add or {}, remove)

    # -- storing

    async def new_pack(self) -> Pack:
        return await self._blobs.new_pack()

    async def store_instances(
        self,
        datastore_id: str,
        received: Sequence[ReceivedInstance],
        provenance: Provenance,
        pack: Pack | None = None,
        most_metadata: int | None = None,
    ) -> list[StoredInstance]:
        storer = Storer(self._log, self._clock, self._new_id, self._lock, self._lately, self._digests)
        return await storer.store_instances(datastore_id, received, provenance, pack, most_metadata)

    # -- finding

    async def search(self, datastore_id: str, query: Query) -> Page:
        if query.order in NUMBERS:
            numbered = await self._search_by_number(datastore_id, query)
            if numbered is not None:
                return numbered
        how = plan(query)
        order: SearchOrder = "updated" if query.order == "updated" else "study_date"
        if query.summaries and in_summaries(query):
            page, matches = (query.offset, query.limit), None if how.complete else SummaryMatches(query.conditions)
            if found_summaries := await self._log.find_summaries(datastore_id, how.filters, page, order, matches):
                summaries, total = found_summaries
                return Page((), max(0, total - query.offset - len(summaries)), tuple(summaries))
        level = _SEARCH_LEVEL[query.level]
        by_log = how.complete and level != "instance"  # a candidate is a match, so the log can skip to the page
        collector = Collector(query, how.complete, 0 if by_log else query.offset, query.limit)
        page = (query.offset, query.limit) if by_log else (0, None)
        found = await self._log.find(
            datastore_id,
            level,
            how.filters,
            collector.visit,
            page if how.complete else None,
            order,
            collector.begin_anew,
        )
        return collector.page(found if how.complete else collector.found)

    async def _search_by_number(self, datastore_id: str, query: Query) -> Page | None:
        """Return a page of all matches by their number; None for too many to sort, for numbers have no index."""
        how, level = plan(query), _SEARCH_LEVEL[query.level]
        everything = Collector(query, how.complete, 0, MOST_NUMBERED + 1)
        if how.complete and await self._log.find(datastore_id, level, how.filters, _go_on, (0, 0)) > MOST_NUMBERED:
            return None
        await self._log.find(datastore_id, level, how.filters, everything.visit, anew=everything.begin_anew)
        return None if everything.found > MOST_NUMBERED else everything.numbered_page()

    async def search_image_sets(self, datastore_id: str, search: ImageSetSearch) -> list[ImageSetSummary]:
        found = await self._log.find_image_sets(datastore_id, search)
        return [ImageSetSummary(image_set.properties, dicom_tags(image_set)) for image_set in found]

    async def study(self, datastore_id: str, study_instance_uid: str, version: int | None = None) -> StudyVersion:
        study = await self._log.study(datastore_id, study_instance_uid, version)
        if version is None and all(member.state == "DELETED" for member in study.members):
            raise Gone("study", study_instance_uid)
        return study

    async def study_versions(self, datastore_id: str, study_instance_uid: str) -> list[StudyVersion]:
        return await self._log.study_history(datastore_id, study_instance_uid)

    async def studies_of_patient(self, datastore_id: str, patient_id: str) -> list[str]:
        studies = await self._log.studies_of_patient(datastore_id, patient_id)
        if not studies:
            raise NotFound("patient", "with that PatientID")  # an error does not say whom somebody asked for
        return studies

    # -- reading

    async def image_set(self, datastore_id: str, image_set_id: str, version: int | None = None) -> ImageSetVersion:
        return (await self._log.read(datastore_id, image_set_id, version)).properties

    async def versions(self, datastore_id: str, image_set_id: str) -> list[ImageSetVersion]:
        return await self._log.history(datastore_id, image_set_id)

    async def metadata(
        self,
        datastore_id: str,
        image_set_id: str,
        version: int | None = None,
        instances: Collection[str] | None = None,
    ) -> ImageSetMetadata:
        stored = await self._read(datastore_id, image_set_id, version, instances)
        parts = list(stored.parts.values())
        if sum(part.count for part in parts) > INSTANCES_ON_LOOP:
            found = await asyncio.to_thread(instances_by_uid, parts, instances)
        else:
            found = instances_by_uid(parts, instances)
        return ImageSetMetadata(unpack_head(stored.head), found)

    async def version_parts(self, datastore_id: str, image_set_id: str, version: int | None = None) -> VersionParts:
        stored = await self._read(datastore_id, image_set_id, version, ())
        numbers = tuple(part.number for part in stored.manifest if part.number)
        return VersionParts(unpack_head(stored.head), numbers)

    async def parts(
        self, datastore_id: str, image_set_id: str, numbers: Collection[int]
    ) -> Mapping[int, Callable[[], Mapping[str, bytes]]]:
        found = await self._log.parts(datastore_id, image_set_id, numbers)
        return {number: partial(texts_of, part) for number, part in found.items()}

    async def metadata_gzip(self, datastore_id: str, image_set_id: str, version: int | None = None) -> bytes:
        stored = await self._read(datastore_id, image_set_id, version, ())
        key = datastore_id, image_set_id, stored.properties.version
        document = self._documents.peek(key)
        if document is None:
            parts = await self._frames.parts(stored)
            document = join_gzip(datastore_id, image_set_id, unpack_head(stored.head), parts)
            self._documents.put(key, document)
        return document

    async def image_frame(self, datastore_id: str, image_set_id: str, image_frame_id: str) -> ImageFrame:
        return await self._frames.frame(datastore_id, image_set_id, image_frame_id)

    async def objects(
        self,
        datastore_id: str,
        image_set_id: str,
        version: int | None = None,
        instances: Collection[str] | None = None,
    ) -> dict[str, StoredObject]:
        if instances is None:
            return await self._log.objects(datastore_id, image_set_id, version, None)
        # Who asks for one asks for the next, and the log is asked for a part at a time.
        stored = await self._read(datastore_id, image_set_id, version, ())
        return {one.sop_instance_uid: one.stored for one in await self._retriever.digested(stored, instances)}

    async def pixel_elements(
        self,
        datastore_id: str,
        image_set_id: str,
        version: int | None = None,
        instances: Collection[str] | None = None,
    ) -> dict[str, PixelElement]:
        stored = await self._read(datastore_id, image_set_id, version, ())
        return await self._retriever.pixel_elements(stored, instances)

    async def part_pixel_elements(
        self, datastore_id: str, image_set_id: str, numbers: Collection[int]
    ) -> dict[str, PixelElement]:
        return await self._retriever.part_pixel_elements(datastore_id, image_set_id, numbers)

    async def files(
        self,
        datastore_id: str,
        image_set_id: str,
        version: int | None = None,
        instances: Collection[str] | None = None,
    ) -> ImageSetFiles:
        return await self._retriever.files(await self._read(datastore_id, image_set_id, version, ()), instances)

    async def bulk_data(self, datastore_id: str, image_set_id: str, uri: str) -> Address:
        return await self._log.bulk_data(datastore_id, image_set_id, uri)

    async def read(self, address: Address) -> memoryview:
        return await self._blobs.read(address)

    async def _read(
        self, datastore_id: str, image_set_id: str, version: int | None, instances: Collection[str] | None
    ) -> StoredVersion:
        stored = await self._log.read(datastore_id, image_set_id, version, instances)
        if stored.properties.state == "DELETED":
            raise Gone("image set", image_set_id)
        return stored

    # -- editing

    async def edit(self, edit: Edit) -> EditResult:
        if not edit.image_sets:
            raise InvalidUpdate("the edit names no image set")
        at = self._clock()
        for _ in range(TRIES):
            study = await self._log.study_of(edit.datastore_id, edit.image_sets[0].image_set_id)
            async with self._lock(edit.datastore_id, study):
                try:
                    return await self._editor.edit(edit, study, at)
                except StudyChanged as error:
                    conflict = error
        raise conflict

    async def copy(self, copy: Copy) -> CopyResult:
        at = self._clock()
        copier = Copier(self._log, self._new_id)
        for _ in range(TRIES):
            study = await copier.study_of(copy)
            async with self._lock(copy.datastore_id, study):
                try:
                    return await copier.copy(copy, study, at)
                except StudyChanged as error:
                    conflict = error
        raise conflict

    async def record_failure(
        self, datastore_id: str, image_set_id: str, latest_version: int, message: str, provenance: Provenance
    ) -> ImageSetVersion:
        occasion = Occasion(self._clock(), "update", provenance)
        for _ in range(TRIES):
            study = await self._log.study_of(datastore_id, image_set_id)
            async with self._lock(datastore_id, study):
                try:
                    return await record_failure(
                        self._log, datastore_id, study, Destination(image_set_id, latest_version), message, occasion
                    )
                except StudyChanged as error:
                    conflict = error
        raise conflict

    async def remembered(self, datastore_id: str, key: str, digest: str) -> Answer | None:
        return await self._log.remembered(datastore_id, key, digest)

    def _lock(self, datastore_id: str, study_instance_uid: str) -> asyncio.Lock:
        """Return the lock of a study: whoever would conflict waits. What is right is decided by the log's row."""
        lock = self._locks.get((datastore_id, study_instance_uid))
        if lock is None:
            lock = self._locks[datastore_id, study_instance_uid] = asyncio.Lock()
        return lock

    # -- telling

    async def changes(self, datastore_id: str, after: int, limit: int) -> list[ImageSetVersion]:
        return await self._log.since(datastore_id, after, limit)

    async def happenings(self, datastore_id: str, after: tuple[int, int], limit: int) -> list[Happening]:
        return await self._log.happenings(datastore_id, after, limit)

    # -- jobs

    async def create_job(
        self,
        datastore_id: str,
        request: Mapping[str, Any],
        studies: Sequence[str],
        client_token: str | None = None,
    ) -> Job:
        now = self._clock()
        job = Job(self._new_id(), datastore_id, "SUBMITTED", now, now, request, tuple(studies))
        return await self._log.create_job(job, client_token)

    async def job_kept_under(self, datastore_id: str, client_token: str) -> Job | None:
        return await self._log.job_kept_under(datastore_id, client_token)

    async def job(self, datastore_id: str, job_id: str) -> Job:
        return await self._log.job(datastore_id, job_id)

    async def unfinished_jobs(self) -> list[Job]:
        return await self._log.unfinished_jobs()

    async def record_job(self, job_id: str, status: str, result: Mapping[str, Any] | None = None) -> Job:
        return await self._log.record_job(job_id, status, result, self._clock())

    # -- import jobs

    @property
    def imports(self) -> ImportLog:
        return self._log.imports

    # -- running

    async def ready(self) -> None:
        await self._log.ready()

    async def close(self) -> None:
        try:
            await self._frames.close()
            await self._log.close()
            await self._blobs.close()
        finally:
            self._released()
