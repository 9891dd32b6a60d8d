"""What every Store promises of telling what happened. Part of StoreTests."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.errors import NotFound
from gateway.metadata.image_set import Delete
from gateway.store.contents import Datastore, Happening, ImageSetVersion
from gateway.store.log.import_log import ImportJob
from gateway.store.protocol import Store
from tests.store.edits import edit_of, one_image_set, patient
from tests.store.received import sent, store_sent

REQUEST = {"dataAccessRoleArn": "arn", "inputS3Uri": "s3://in/", "outputS3Uri": "s3://out/"}


def told(happening: Happening) -> tuple[str, str]:
    """Return what it is about, and the status it told of."""
    subject = happening.subject
    if isinstance(subject, ImageSetVersion):
        return f"version {subject.version}", subject.workflow_status
    return type(subject).__name__, subject.status


async def read_all(store: Store, datastore_id: str, limit: int) -> list[Happening]:
    """Return everything that happened, read page by page."""
    found: list[Happening] = []
    cursor = (0, 0)
    while page := await store.happenings(datastore_id, cursor, limit):
        assert len(page) <= limit
        found += page
        cursor = page[-1].cursor
    return found


class HappeningsTests:
    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    async def test_what_happened_has_one_order(self, store: Store, limit: int) -> None:
        """Data store, import job and image sets, as they were committed, in pages of any size."""
        datastore_id = (await store.create_datastore("one", {}, {})).datastore_id
        job = ImportJob("j1", datastore_id, "SUBMITTED", datetime(2026, 1, 1, tzinfo=UTC), REQUEST)
        await store.imports.create(job, "token", 100)
        image_set = await one_image_set(store, datastore_id)
        await store.imports.begin("j1")
        await store.edit(edit_of(datastore_id, (image_set, 1, patient(PatientName="Roe"))))
        await store.imports.end("j1", "COMPLETED", datetime(2026, 1, 2, tzinfo=UTC))
        await store.edit(edit_of(datastore_id, (image_set, 2, Delete())))
        await store.delete_datastore(datastore_id)

        found = await read_all(store, datastore_id, limit)

        assert [told(one) for one in found] == [
            ("Datastore", "ACTIVE"),
            ("ImportJob", "SUBMITTED"),
            ("version 1", "CREATED"),
            ("ImportJob", "IN_PROGRESS"),
            ("version 2", "UPDATED"),
            ("ImportJob", "COMPLETED"),
            ("version 3", "DELETED"),
            ("Datastore", "DELETED"),
        ]
        assert [one.cursor for one in found] == sorted({one.cursor for one in found})

    async def test_a_subject_is_told_as_it_was_then(self, store: Store) -> None:
        """A data store's name, a job's request and its time of each change."""
        datastore_id = (await store.create_datastore("one", {}, {"a": "1"})).datastore_id
        submitted, ended = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
        await store.imports.create(ImportJob("j2", datastore_id, "SUBMITTED", submitted, REQUEST), "token", 100)
        await store.imports.end("j2", "FAILED", ended, "no")

        created, *job = await store.happenings(datastore_id, (0, 0), 10)

        datastore: Any = created.subject
        assert isinstance(datastore, Datastore)
        assert (datastore.name, datastore.created_at) == ("one", created.at)
        assert [(one.at, told(one)) for one in job] == [
            (submitted, ("ImportJob", "SUBMITTED")),
            (ended, ("ImportJob", "FAILED")),
        ]
        assert isinstance(job[0].subject, ImportJob)
        assert (job[0].subject.job_id, job[0].subject.request) == ("j2", REQUEST)

    async def test_a_data_store_tells_of_itself_only(self, store: Store, datastore_id: str) -> None:
        """What happens in another is not in its order, and one that never was has none."""
        other = (await store.create_datastore("other", {}, {})).datastore_id
        await one_image_set(store, other)

        assert [told(one) for one in await store.happenings(datastore_id, (0, 0), 10)] == [("Datastore", "ACTIVE")]
        with pytest.raises(NotFound):
            await store.happenings("0" * 32, (0, 0), 10)

    async def test_a_reader_beside_writers_misses_nothing(self, store: Store, datastore_id: str) -> None:
        """Whoever asks on from the last cursor sees every version once, however the writers overlap."""
        seen: list[Happening] = []

        async def read() -> None:
            while len(seen) < 61:
                page = await store.happenings(datastore_id, seen[-1].cursor if seen else (0, 0), 7)
                seen.extend(page)
                await asyncio.sleep(0)

        async def write(study: int) -> None:
            for series in range(3):
                one = sent(f"1.{study}.{series}.1", f"1.{study}.{series}", f"1.{study}")
                await store_sent(store, datastore_id, [one])

        await asyncio.wait_for(asyncio.gather(read(), *(write(study) for study in range(20))), 60)

        versions = [one.subject for one in seen if isinstance(one.subject, ImageSetVersion)]
        assert len({version.image_set_id for version in versions}) == len(versions) == 60
        assert [version.sequence for version in versions] == sorted(version.sequence for version in versions)
