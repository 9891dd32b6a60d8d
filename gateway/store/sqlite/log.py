"""VersionLog in one SQLite file: the methods, each one hop to a connection's thread.

What is known of a study is not read again (kept_studies.py): every edit and every retrieve begins with one.

The SQL is in files by subject: appending writes versions; studies, versions and stored_bytes read them; qido has
QIDO-RS, as qido_statements says it, image_set_search SearchImageSets, tables data stores and jobs. database.py has the
connections.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from gateway.dicom.part10 import PixelElement
from gateway.errors import NotFound
from gateway.metadata.study_summary import StudySummary
from gateway.store.blobs.protocol import Address
from gateway.store.contents import Datastore, Happening, ImageSetVersion, StoredObject, StudyVersion
from gateway.store.edits import Answer, Job
from gateway.store.kept import Kept
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
from gateway.store.log.protocol import Choice, no_instances
from gateway.store.searches import ImageSetSearch
from gateway.store.sqlite import (
    appending,
    changes,
    image_set_search,
    qido,
    stored_bytes,
    studies,
    tables,
    tags,
    versions,
)
from gateway.store.sqlite.connection import Connection
from gateway.store.sqlite.database import Database, open_database
from gateway.store.sqlite.frame_log import SqliteFrameLog
from gateway.store.sqlite.import_log import SqliteImportLog
from gateway.store.sqlite.kept_studies import KeptStudies
from gateway.store.sqlite.study_now import StudyNow, after_append

Result = TypeVar("Result")

# Image sets of a study that is read back by who appends to it; for more of them every store would wait.
READ_BACK = 16


def _append(connection: Connection, append: Append, before: Sequence[StudyNow | None]) -> list[StudyNow | None]:
    """Write it and return its studies as it leaves them, None for those of which it is not known how they were before.

    A study that was looked at will be again: how it is now comes back with the commit.
    """
    sequences = appending.append(connection, append)
    return [
        after_append(now, append, study, sequences)
        or _read_back(connection, now, append.datastore_id, study.study_instance_uid)
        if now
        else None
        for now, study in zip(before, append.studies, strict=True)
    ]


def _read_back(connection: Connection, before: StudyNow, datastore_id: str, study_instance_uid: str) -> StudyNow | None:
    """Return how a study is now, None where that takes too long to have others wait for it."""
    if len(before.current.image_sets) > READ_BACK:
        return None
    return studies.study_now(connection, datastore_id, study_instance_uid)


async def open_log(path: Path) -> SqliteLog:
    """Open the log in a database file, new or not. Raises StorageFailed."""
    return SqliteLog(await open_database(path))


class SqliteLog:
    """A VersionLog. Only this process may have the file open."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.frames: FrameLog = SqliteFrameLog(database)
        self.imports: ImportLog = SqliteImportLog(database)
        self._kept = KeptStudies()
        self._datastores: Kept[None, list[Datastore]] = Kept(1)
        self._totals = qido.Totals()

    async def append(self, append: Append) -> None:
        uids = [study.study_instance_uid for study in append.studies]
        before, release = self._kept.hold(append.datastore_id, uids)

        def written(after: list[StudyNow | None] | None) -> None:
            release()
            if after is not None:
                self._kept.keep(append, after)

        await self.database.write(lambda connection: _append(connection, append, before), written)

    async def store(
        self,
        datastore_id: str,
        study_instance_uid: str,
        arriving: Mapping[str, Collection[str]],
        place: Callable[[CurrentStudy, Stored], tuple[Result, Append | None]],
        before: Callable[[], object],
    ) -> Result:
        [lately], release = self._kept.hold(datastore_id, [study_instance_uid])

        def write(connection: Connection) -> tuple[Result, Append | None, list[StudyNow | None]]:
            study, stored = studies.study_for_store(connection, datastore_id, study_instance_uid, arriving, lately)
            result, append = place(study, stored)
            # A new study is known as well, and the next instance of it comes at once.
            before = lately if study.version else StudyNow(None, study)
            return result, append, [] if append is None else _append(connection, append, [before])

        def written(done: tuple[Result, Append | None, list[StudyNow | None]] | None) -> None:
            release()
            if done is not None and done[1] is not None:
                self._kept.keep(done[1], done[2])

        result, _, _ = await self.database.write(write, written, before)
        return result

    async def read(
        self,
        datastore_id: str,
        image_set_id: str,
        version: int | None = None,
        instances: Collection[str] | None = (),
    ) -> StoredVersion:
        if instances is not None:
            if kept := self._kept.version(datastore_id, image_set_id, version, instances):
                return kept
            if version is None and not instances:
                await self._study_now(datastore_id, await self.study_of(datastore_id, image_set_id))
                if kept := self._kept.version(datastore_id, image_set_id, version, instances):
                    return kept
        found = await self.database.read(
            lambda connection: versions.read(connection, datastore_id, image_set_id, version, instances)
        )
        if instances:
            self._kept.keep_parts(found, instances)
        return found

    async def parts(self, datastore_id: str, image_set_id: str, numbers: Collection[int]) -> dict[int, Part]:
        return await self.database.read(
            lambda connection: versions.parts(connection, datastore_id, image_set_id, numbers)
        )

    async def current_study(
        self,
        datastore_id: str,
        study_instance_uid: str,
        choose: Choice = no_instances,
        *,
        to_add: bool = False,
    ) -> CurrentStudy:
        current = (await self._study_now(datastore_id, study_instance_uid)).current
        chosen = [choose(image_set.properties) for image_set in current.image_sets]
        if all(instances is not None and not instances for instances in chosen):
            return current
        if not to_add and (known := self._kept.with_parts(current, chosen)):
            return known
        return await self.database.read(
            lambda connection: studies.current_study(connection, datastore_id, study_instance_uid, choose, to_add)
        )

    async def study_for_store(
        self, datastore_id: str, study_instance_uid: str, arriving: Mapping[str, Collection[str]]
    ) -> tuple[CurrentStudy, dict[str, dict[str, StoredObject]]]:
        return await self.database.read(
            lambda connection: studies.study_for_store(connection, datastore_id, study_instance_uid, arriving)
        )

    async def _study_now(self, datastore_id: str, study_instance_uid: str) -> StudyNow:
        return await self._kept.now(
            datastore_id,
            study_instance_uid,
            lambda: self.database.read(
                lambda connection: studies.study_now(connection, datastore_id, study_instance_uid)
            ),
        )

    async def study_of(self, datastore_id: str, image_set_id: str) -> str:
        return await self._kept.study_of(
            datastore_id,
            image_set_id,
            lambda: self.database.read(lambda connection: versions.study_of(connection, datastore_id, image_set_id)),
        )

    async def history(self, datastore_id: str, image_set_id: str) -> list[ImageSetVersion]:
        return await self.database.read(lambda connection: versions.history(connection, datastore_id, image_set_id))

    async def study(self, datastore_id: str, study_instance_uid: str, version: int | None = None) -> StudyVersion:
        if version is None:
            now = await self._study_now(datastore_id, study_instance_uid)
            if now.version is None:
                raise NotFound("study", study_instance_uid)
            return now.version
        return await self.database.read(
            lambda connection: studies.study_versions(connection, datastore_id, study_instance_uid, version, limit=1)[0]
        )

    async def study_history(self, datastore_id: str, study_instance_uid: str) -> list[StudyVersion]:
        return await self.database.read(
            lambda connection: studies.study_versions(connection, datastore_id, study_instance_uid)
        )

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
        return await self.database.search(
            lambda connection: qido.find(connection, datastore_id, level, filters, visit, page, order, self._totals),
            anew,
        )

    async def find_summaries(
        self,
        datastore_id: str,
        filters: Sequence[Filter],
        page: tuple[int, int | None],
        order: SearchOrder = "study_date",
        matches: Callable[[StudySummary], bool] | None = None,
    ) -> tuple[list[StudySummary], int] | None:
        kept = self._kept.summary(datastore_id, filters) if matches is None else None
        if kept is not None:
            offset, limit = page
            return [kept][offset:][:limit], 1
        return await self.database.search(
            lambda connection: qido.find_summaries(
                connection, datastore_id, filters, page, order, matches, self._totals
            )
        )

    async def find_image_sets(self, datastore_id: str, search: ImageSetSearch) -> list[FoundImageSet]:
        return await self.database.search(
            lambda connection: image_set_search.find_image_sets(connection, datastore_id, search)
        )

    async def studies_of_patient(self, datastore_id: str, patient_id: str) -> list[str]:
        return await self.database.read(
            lambda connection: image_set_search.studies_of_patient(connection, datastore_id, patient_id)
        )

    async def since(self, datastore_id: str, after: int, limit: int) -> list[ImageSetVersion]:
        return await self.database.read(lambda connection: versions.since(connection, datastore_id, after, limit))

    async def happenings(self, datastore_id: str, after: tuple[int, int], limit: int) -> list[Happening]:
        return await self.database.read(lambda connection: changes.happenings(connection, datastore_id, after, limit))

    async def objects(
        self, datastore_id: str, image_set_id: str, version: int | None, instances: Collection[str] | None
    ) -> dict[str, StoredObject]:
        return await self.database.read(
            lambda connection: stored_bytes.objects(connection, datastore_id, image_set_id, version, instances)
        )

    async def pixel_elements(
        self, datastore_id: str, image_set_id: str, version: int | None, instances: Collection[str] | None
    ) -> dict[str, PixelElement | Address]:
        return await self.database.read(
            lambda connection: stored_bytes.pixel_elements(connection, datastore_id, image_set_id, version, instances)
        )

    async def part_pixel_elements(
        self, datastore_id: str, image_set_id: str, numbers: Collection[int]
    ) -> dict[str, PixelElement | Address]:
        return await self.database.read(
            lambda connection: stored_bytes.part_pixel_elements(connection, datastore_id, image_set_id, numbers)
        )

    async def files(
        self, datastore_id: str, image_set_id: str, version: int | None, instances: Collection[str] | None
    ) -> StoredFiles:
        return await self.database.read(
            lambda connection: stored_bytes.files(connection, datastore_id, image_set_id, version, instances)
        )

    async def heads(self, datastore_id: str, image_set_id: str, most: int) -> list[bytes]:
        return await self.database.read(lambda connection: versions.heads(connection, datastore_id, image_set_id, most))

    async def bulk_data(self, datastore_id: str, image_set_id: str, uri: str) -> Address:
        return await self.database.read(
            lambda connection: stored_bytes.bulk_data(connection, datastore_id, image_set_id, uri)
        )

    async def remembered(self, datastore_id: str, key: str, digest: str) -> Answer | None:
        return await self.database.read(lambda connection: tables.remembered(connection, datastore_id, key, digest))

    async def create_datastore(
        self, datastore: Datastore, client_token: str | None, most_active: int | None = None
    ) -> Datastore:
        return await self.database.write(
            lambda connection: tables.create_datastore(connection, datastore, client_token, most_active),
            lambda _: self._datastores.clear(),
        )

    async def datastores(self) -> list[Datastore]:
        return list(await self._datastores.get(None, lambda: self.database.read(tables.datastores)))

    async def delete_datastore(self, datastore_id: str, at: datetime) -> Datastore:
        def written(deleted: Datastore | None) -> None:
            self._datastores.clear()
            self._kept.clear()

        return await self.database.write(
            lambda connection: tables.delete_datastore(connection, datastore_id, at), written
        )

    async def tags(self, datastore_id: str, image_set_id: str | None) -> dict[str, str]:
        return await self.database.read(lambda connection: tags.tags(connection, datastore_id, image_set_id))

    async def retag(
        self, datastore_id: str, image_set_id: str | None, add: Mapping[str, str], remove: Collection[str]
    ) -> None:
        await self.database.write(
            lambda connection: tags.retag(connection, datastore_id, image_set_id, add, remove),
            lambda _: self._datastores.clear(),
        )

    async def create_job(self, job: Job, client_token: str | None) -> Job:
        return await self.database.write(lambda connection: tables.create_job(connection, job, client_token))

    async def job_kept_under(self, datastore_id: str, client_token: str) -> Job | None:
        return await self.database.read(
            lambda connection: tables.job_kept_under(connection, datastore_id, client_token)
        )

    async def job(self, datastore_id: str, job_id: str) -> Job:
        return await self.database.read(lambda connection: tables.job(connection, datastore_id, job_id))

    async def unfinished_jobs(self) -> list[Job]:
        return await self.database.read(tables.unfinished_jobs)

    async def record_job(self, job_id: str, status: str, result: Mapping[str, Any] | None, at: datetime) -> Job:
        return await self.database.write(lambda connection: tables.record_job(connection, job_id, status, result, at))

    async def ready(self) -> None:
        await self.database.write(tables.touch)
        await self.database.read(tables.datastores)

    async def close(self) -> None:
        await self.database.close()
