"""What every implementation of Store promises. A backend's test file subclasses StoreTests and gives `store`."""

from __future__ import annotations

import gzip
import json

import pytest

from gateway.errors import (
    Gone,
    IdempotencyConflict,
    NotEmpty,
    NotFound,
    TooLarge,
)
from gateway.metadata.document import to_document
from gateway.metadata.image_set import Delete, Revert
from gateway.store.contents import Provenance
from gateway.store.protocol import Store
from gateway.store.searches import ImageSetSearch
from tests.store.content_suite import ContentTests
from tests.store.copying_suite import CopyingTests
from tests.store.editing_suite import EditingTests
from tests.store.edits import (
    Change,
    edit_of,
    instance,
    one_image_set,
    patient,
    query,
)
from tests.store.files_suite import FilesTests
from tests.store.frames_suite import FramesTests
from tests.store.happenings_suite import HappeningsTests
from tests.store.received import STUDY, sent, store_sent
from tests.store.search_suite import SearchTests
from tests.store.storing_suite import StoringTests
from tests.store.tags_suite import TagsTests


class DatastoreTests:
    async def test_there_is_a_default_data_store(self, store: Store) -> None:
        """`/dicomweb` works from the start: it is the oldest active data store."""
        default = await store.default_datastore()

        assert default.status == "ACTIVE"
        assert await store.datastores() == [default]
        assert await store.datastore(default.datastore_id) == default

    async def test_a_client_token_makes_one_data_store(self, store: Store) -> None:
        """A create that is sent again gives the first answer again."""
        first = await store.create_datastore("one", {"kmsKeyArn": "arn"}, {"team": "ct"}, "token")

        assert await store.create_datastore("one", {"kmsKeyArn": "arn"}, {}, "token") == first
        assert (first.name, first.properties, first.tags) == ("one", {"kmsKeyArn": "arn"}, {"team": "ct"})
        assert len(first.datastore_id) == 32
        assert len(await store.datastores()) == 2

    @pytest.mark.parametrize(("name", "properties"), [("two", {"kmsKeyArn": "arn"}), ("one", {})])
    async def test_a_client_token_is_for_one_request(self, store: Store, name: str, properties: dict[str, str]) -> None:
        """With another name or other properties it is refused, and nothing is made."""
        await store.create_datastore("one", {"kmsKeyArn": "arn"}, {}, "token")

        with pytest.raises(IdempotencyConflict):
            await store.create_datastore(name, properties, {}, "token")

        assert len(await store.datastores()) == 2

    async def test_there_are_as_many_data_stores_as_may_be(self, store: Store) -> None:
        """Deleted ones do not count, and one that was made already is given again."""
        first = await store.create_datastore("one", {}, {}, "token", most_active=2)
        with pytest.raises(TooLarge):
            await store.create_datastore("two", {}, {}, "other", most_active=2)

        assert await store.create_datastore("one", {}, {}, "token", most_active=2) == first
        await store.delete_datastore(first.datastore_id)
        assert (await store.create_datastore("two", {}, {}, "other", most_active=2)).name == "two"

    async def test_a_data_store_is_deleted_only_when_empty(self, store: Store, datastore_id: str) -> None:
        """NotEmpty while an image set is active; then it is listed as deleted, and takes no more instances."""
        image_set = await one_image_set(store, datastore_id)
        with pytest.raises(NotEmpty):
            await store.delete_datastore(datastore_id)
        await store.edit(edit_of(datastore_id, (image_set, 1, Delete())))

        assert (await store.delete_datastore(datastore_id)).status == "DELETED"

        assert (await store.datastore(datastore_id)).status == "DELETED"
        with pytest.raises(NotFound):
            await store_sent(store, datastore_id, [sent()])
        with pytest.raises(NotFound):
            await store.default_datastore()

    async def test_an_unknown_data_store_is_not_found(self, store: Store) -> None:
        """By whatever method it is asked for."""
        unknown = "0" * 32
        for asking in (
            store.datastore(unknown),
            store.delete_datastore(unknown),
            store.search(unknown, query("Study")),
            store.search_image_sets(unknown, ImageSetSearch()),
            store.study(unknown, STUDY),
            store.image_set(unknown, "1" * 32),
            store.changes(unknown, 0, 1),
            store.remembered(unknown, "key", "digest"),
            store.create_job(unknown, {}, ()),
            store.edit(edit_of(unknown, ("1" * 32, 1, Delete()))),
            store_sent(store, unknown, [sent()]),
        ):
            with pytest.raises(NotFound):
                await asking


class ReadingTests:
    @pytest.mark.parametrize("count", [1, 65, 200])
    async def test_the_gzip_document_is_the_metadata(self, store: Store, datastore_id: str, count: int) -> None:
        """One gzip member, the same document as the metadata, in every version."""
        image_set = await one_image_set(store, datastore_id, count)
        await store.edit(edit_of(datastore_id, (image_set, 1, instance("1.2.1", InstanceNumber="7"))))

        for version in (1, 2):
            body = await store.metadata_gzip(datastore_id, image_set, version)
            metadata = await store.metadata(datastore_id, image_set, version)
            assert json.loads(gzip.decompress(body)) == to_document(datastore_id, image_set, metadata)
            assert len(metadata.instances) == count

    async def test_a_document_is_its_versions_whatever_was_asked_for_before(
        self, store: Store, datastore_id: str
    ) -> None:
        """Asked for after each change, and then all of them again: each is the metadata of its version."""
        image_set = await one_image_set(store, datastore_id, 70)
        changes: list[Change] = [patient(PatientName="Roe"), instance("1.2.70", InstanceNumber="7"), Revert(1)]
        for version, change in enumerate(changes, 1):
            await store.metadata_gzip(datastore_id, image_set)
            await store.edit(edit_of(datastore_id, (image_set, version, change)))
        await store_sent(store, datastore_id, [sent("1.2.3", InstanceNumber="8"), sent("1.2.71")])

        for asked in (None, 5, 4, 3, 2, 1, None):
            found = json.loads(gzip.decompress(await store.metadata_gzip(datastore_id, image_set, asked)))
            metadata = await store.metadata(datastore_id, image_set, asked)
            assert found == to_document(datastore_id, image_set, metadata), asked

    async def test_a_document_that_was_asked_for_is_gone_with_its_image_set(
        self, store: Store, datastore_id: str
    ) -> None:
        """The latest version is; the one before is still there."""
        image_set = await one_image_set(store, datastore_id)
        before = await store.metadata_gzip(datastore_id, image_set)
        await store.edit(edit_of(datastore_id, (image_set, 1, Delete())))

        with pytest.raises(Gone):
            await store.metadata_gzip(datastore_id, image_set)
        assert await store.metadata_gzip(datastore_id, image_set, 1) == before

    async def test_the_parts_of_a_version_are_its_metadata(self, store: Store, datastore_id: str) -> None:
        """In document order; an edit of one instance gives its part another number, and leaves the others theirs."""
        image_set = await one_image_set(store, datastore_id, 130)
        await store.edit(edit_of(datastore_id, (image_set, 1, instance("1.2.70", InstanceNumber="7"))))

        first, second = [await store.version_parts(datastore_id, image_set, version) for version in (1, 2)]

        read = await store.parts(datastore_id, image_set, second.numbers)
        joined = [(uid, json.loads(text)) for number in second.numbers for uid, text in read[number]().items()]
        metadata = await store.metadata(datastore_id, image_set)
        assert joined == list(metadata.instances.items()) and len(joined) == 130
        assert second.head == metadata.head
        assert [a == b for a, b in zip(first.numbers, second.numbers, strict=True)] == [True, False, True]

    async def test_only_the_instances_named_are_returned(self, store: Store, datastore_id: str) -> None:
        """Those the version has, in document order."""
        image_set = await one_image_set(store, datastore_id, 100)

        metadata = await store.metadata(datastore_id, image_set, None, ["1.2.90", "1.2.5", "9.9"])
        objects = await store.objects(datastore_id, image_set, None, ["1.2.90", "1.2.5", "9.9"])

        assert list(metadata.instances) == list(objects) == ["1.2.5", "1.2.90"]

    async def test_what_is_deleted_is_gone_and_its_past_is_not(self, store: Store, datastore_id: str) -> None:
        """The latest version of the image set and of the study raise Gone; older ones are read as ever."""
        image_set = await one_image_set(store, datastore_id)
        await store.edit(edit_of(datastore_id, (image_set, 1, Delete())))

        for asking in (
            store.metadata(datastore_id, image_set),
            store.metadata(datastore_id, image_set, 2),
            store.metadata_gzip(datastore_id, image_set),
            store.objects(datastore_id, image_set),
            store.study(datastore_id, STUDY),
        ):
            with pytest.raises(Gone):
                await asking
        assert (await store.image_set(datastore_id, image_set)).deleted_at is not None
        assert len((await store.metadata(datastore_id, image_set, 1)).instances) == 1
        assert (await store.study(datastore_id, STUDY, 1)).primary
        assert [one.action for one in await store.study_versions(datastore_id, STUDY)] == ["delete", "store"]

    async def test_the_feed_tells_every_version_once(self, store: Store, datastore_id: str) -> None:
        """In the order of commits, from any cursor on."""
        image_set = await one_image_set(store, datastore_id)
        await store.edit(
            edit_of(datastore_id, (image_set, 1, patient(PatientName="Roe")), provenance=Provenance("amy"))
        )

        first, second = await store.changes(datastore_id, 0, 100)

        assert [(one.version, one.action, one.provenance.who) for one in (first, second)] == [
            (1, "store", "tester"),
            (2, "update", "amy"),
        ]
        assert await store.changes(datastore_id, first.sequence, 100) == [second]
        assert await store.changes(datastore_id, second.sequence, 100) == []

    async def test_the_studies_of_a_patient(self, store: Store, datastore_id: str) -> None:
        """By PatientID, oldest first; NotFound for nobody, without saying whom somebody asked for."""
        for number in (1, 2):
            await store_sent(store, datastore_id, [sent(f"1.2.{number}", study=f"1.{number}")])

        assert await store.studies_of_patient(datastore_id, "P1") == ["1.1", "1.2"]
        with pytest.raises(NotFound) as nobody:
            await store.studies_of_patient(datastore_id, "Secret")
        assert "Secret" not in str(nobody.value)


class JobTests:
    async def test_a_job_is_kept_until_it_is_done(self, store: Store, datastore_id: str) -> None:
        """With what it is to do, and each study's result as it comes."""
        job = await store.create_job(datastore_id, {"patch": {}}, ["1.1", "1.2"], "token")
        assert await store.job_kept_under(datastore_id, "token") == job
        assert await store.job_kept_under(datastore_id, "other") is None
        assert (await store.create_job(datastore_id, {}, [], "token")).job_id == job.job_id

        await store.record_job(job.job_id, "IN_PROGRESS", {"study": "1.1", "status": 200})
        [unfinished] = await store.unfinished_jobs()
        await store.record_job(job.job_id, "COMPLETED", {"study": "1.2", "status": 409})

        assert (unfinished.status, unfinished.studies, len(unfinished.results)) == ("IN_PROGRESS", ("1.1", "1.2"), 1)
        assert [result["status"] for result in (await store.job(datastore_id, job.job_id)).results] == [200, 409]
        assert await store.unfinished_jobs() == []
        with pytest.raises(NotFound):
            await store.job(datastore_id, "9" * 32)

    async def test_a_store_that_works_is_ready(self, store: Store) -> None:
        """/readyz asks for it."""
        await store.ready()


class StoreTests(
    DatastoreTests,
    TagsTests,
    StoringTests,
    ReadingTests,
    FilesTests,
    SearchTests,
    EditingTests,
    CopyingTests,
    FramesTests,
    HappeningsTests,
    ContentTests,
    JobTests,
):
    """All of it."""
