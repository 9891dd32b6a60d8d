"""VersionedStore over SQLite and a folder: the suite, what it costs, and what a reopened folder has."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.dicom.matching import Condition, Query
from gateway.errors import AlreadyServed, IdempotencyConflict, NotFound, StorageFailed, StorageFull
from gateway.metadata.image_set import Revert
from gateway.store.contents import Provenance, StoredInstance
from gateway.store.edits import Answer, EditResult, Idempotency
from gateway.store.instance_files import digested
from gateway.store.log.appends import Append
from gateway.store.sqlite.log import SqliteLog
from gateway.store.sqlite.studies import study_now
from gateway.store.verify import verify
from gateway.store.versioned import VersionedStore, open_store
from tests.store.edits import edit_of, instance, one_image_set, patient, query, study, value
from tests.store.received import STUDY, sent, store_sent
from tests.store.store_suite import StoreTests


@pytest.fixture
async def versioned(tmp_path: Path) -> AsyncIterator[VersionedStore]:
    store = await open_store(tmp_path / "data")
    yield store
    await store.close()


class TestVersionedStore(StoreTests):
    """VersionedStore is a Store."""

    @pytest.fixture(autouse=True)
    def known_is_what_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever is appended, what is known of its studies afterwards is what anybody would read."""
        append, store = SqliteLog.append, SqliteLog.store

        async def check(log: SqliteLog, *key: str) -> None:
            known = log._kept.known(key[0], key[1])
            if known is not None:
                assert known == await log.database.read(lambda connection: study_now(connection, *key))

        async def append_checked(log: SqliteLog, what: Append) -> None:
            await append(log, what)
            for new in what.studies:
                await check(log, what.datastore_id, new.study_instance_uid)

        async def store_checked(
            log: SqliteLog, datastore_id: str, study_instance_uid: str, *rest: Any, **more: Any
        ) -> Any:
            result = await store(log, datastore_id, study_instance_uid, *rest, **more)
            await check(log, datastore_id, study_instance_uid)
            return result

        monkeypatch.setattr(SqliteLog, "append", append_checked)
        monkeypatch.setattr(SqliteLog, "store", store_checked)

    @pytest.fixture(autouse=True)
    def left_is_what_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever is stored, what a store leaves of files for a retrieve is what that would read."""
        store_instances = VersionedStore.store_instances

        async def checked(store: VersionedStore, datastore_id: str, *rest: Any, **more: Any) -> list[StoredInstance]:
            outcomes = await store_instances(store, datastore_id, *rest, **more)
            for image_set_id in {image_set_id for image_set_id, _ in store._digests._values}:
                try:
                    read = digested(await store._log.files(datastore_id, image_set_id, None, None))
                except NotFound:  # of another data store
                    continue
                for number, found in read.items():
                    assert store._digests.peek((image_set_id, number)) in (None, found)
            return outcomes

        monkeypatch.setattr(VersionedStore, "store_instances", checked)


async def test_a_retrieve_after_stores_reads_no_part(
    versioned: VersionedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever stored left what it has to know, also where a part was filled by several requests, one of them large."""
    [datastore_id] = [one.datastore_id for one in await versioned.datastores()]
    numbers = iter(range(1, 200))
    for count in (1, 2, 60, 3):
        await store_sent(versioned, datastore_id, [sent(f"{STUDY}.1.{next(numbers)}") for _ in range(count)])
    [image_set] = (await versioned.study(datastore_id, STUDY)).members

    async def read_none(*arguments: object) -> None:
        raise AssertionError("parts are read")

    monkeypatch.setattr(SqliteLog, "files", read_none)
    files = (await versioned.files(datastore_id, image_set.image_set_id)).instances

    assert [file.sop_instance_uid for file in files] == [f"{STUDY}.1.{number}" for number in range(1, 67)]
    assert all(file.received is not None for file in files)


# -- what an edit writes


async def written(store: VersionedStore) -> dict[str, int]:
    """Return how many rows the tables of versions have, and how many bytes their contents."""
    log = store._log
    assert isinstance(log, SqliteLog)
    sums = {
        "versions": "SELECT COUNT(*) FROM version",
        "version bytes": "SELECT SUM(LENGTH(head) + LENGTH(manifest) + LENGTH(changed)) FROM version",
        "parts": "SELECT COUNT(*) FROM part",
        "slots": "SELECT COUNT(*) FROM slot",
        "objects": "SELECT COUNT(*) FROM object",
    }
    return await log.database.read(
        lambda connection: {name: connection.execute(sql).fetchone()[0] for name, sql in sums.items()}
    )


async def difference(store: VersionedStore, before: dict[str, int]) -> dict[str, int]:
    after = await written(store)
    return {name: after[name] - before[name] for name in before}


async def test_what_edits_of_2000_instances_write(versioned: VersionedStore) -> None:
    """A study-level edit and a revert write one small row, an edit of one instance one part as well."""
    datastore_id = (await versioned.default_datastore()).datastore_id
    image_set = await one_image_set(versioned, datastore_id, 2000)
    before = await written(versioned)
    assert (before["parts"], before["slots"], before["objects"]) == (32, 2000, 2000)

    await versioned.edit(edit_of(datastore_id, (image_set, 1, patient(PatientName="Roe"))))
    study_level = await difference(versioned, before)
    await versioned.edit(edit_of(datastore_id, (image_set, 2, instance("1.2.1000", InstanceNumber="7"))))
    one_instance = await difference(versioned, before)
    await versioned.edit(edit_of(datastore_id, (image_set, 3, Revert(1))))
    reverted = await difference(versioned, before)

    assert study_level.pop("version bytes") < 2048
    assert study_level == {"versions": 1, "parts": 0, "slots": 0, "objects": 0}
    assert one_instance["parts"] == 1
    assert reverted.pop("version bytes") < 3 * 2048
    assert reverted == {"versions": 3, "parts": 1, "slots": 0, "objects": 0}


async def test_an_instance_that_joins_a_series_rewrites_its_last_part_only(versioned: VersionedStore) -> None:
    """However many instances the series has."""
    datastore_id = (await versioned.default_datastore()).datastore_id
    await one_image_set(versioned, datastore_id, 150)
    before = await written(versioned)

    await store_sent(versioned, datastore_id, [sent("1.2.151")])

    added = await difference(versioned, before)
    assert (added["parts"], added["slots"], added["objects"]) == (1, 1, 1)


async def test_edits_of_different_studies_share_commits(
    versioned: VersionedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a slow disk commits one edit, the others gather: 32 edits take at most six commits."""
    datastore_id = (await versioned.default_datastore()).datastore_id
    outcomes = await store_sent(versioned, datastore_id, [sent(f"1.2.{n}", study=f"1.{n}") for n in range(32)])
    log = versioned._log
    assert isinstance(log, SqliteLog)
    run, before = log.database._writer.run, log.database.commits

    async def slow(work: Callable[[Any], Any]) -> Any:
        await asyncio.sleep(0.05)
        return await run(work)

    monkeypatch.setattr(log.database._writer, "run", slow)
    await asyncio.gather(
        *(versioned.edit(edit_of(datastore_id, (one.image_set_id, 1, patient(PatientName="Roe")))) for one in outcomes)
    )

    assert log.database.commits - before <= 6
    assert {await value(versioned, datastore_id, one.image_set_id, "PatientName") for one in outcomes} == {"Roe"}


# -- reopening


async def test_everything_survives_reopening(tmp_path: Path) -> None:
    """The default data store, every version, stored bytes, and the answers that were remembered."""
    folder = tmp_path / "data"
    store = await open_store(folder)
    datastore = await store.default_datastore()
    image_set = await one_image_set(store, datastore.datastore_id)
    key = Idempotency("key", "digest", lambda result: Answer(200, {"ETag": "x"}, b"body"))
    await store.edit(edit_of(datastore.datastore_id, (image_set, 1, patient(PatientName="Roe")), idempotency=key))
    await store.close()

    store = await open_store(folder)

    assert await store.default_datastore() == datastore
    names = [await value(store, datastore.datastore_id, image_set, "PatientName", version) for version in (1, 2)]
    assert names == ["Doe^Jane", "Roe"]
    [stored] = (await store.objects(datastore.datastore_id, image_set)).values()
    assert await store.read(stored.address) == sent("1.2.1").body
    assert await store.remembered(datastore.datastore_id, "key", "digest") == Answer(200, {"ETag": "x"}, b"body")
    with pytest.raises(IdempotencyConflict):
        await store.remembered(datastore.datastore_id, "key", "other")
    await store.close()


async def test_a_folder_is_served_once(versioned: VersionedStore, tmp_path: Path) -> None:
    """A second store over the same folder is refused while the first is open."""
    with pytest.raises(AlreadyServed):
        await open_store(tmp_path / "data")

    await versioned.ready()


async def test_a_data_store_is_made_only_where_there_is_none(tmp_path: Path) -> None:
    """Opening again makes no second default."""
    for _ in range(2):
        store = await open_store(tmp_path / "data")
        assert len(await store.datastores()) == 1
        await store.close()


async def test_a_folder_that_cannot_be_served_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails while opening, files, threads and the lock are given back, and the next start works."""

    async def refuse(*_: Any) -> None:
        raise StorageFull("no room")

    monkeypatch.setattr(VersionedStore, "create_datastore", refuse)
    with pytest.raises(StorageFull):
        await open_store(tmp_path / "data")
    monkeypatch.undo()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "gateway.db").write_bytes(b"no database" * 1000)
    for _ in range(2):
        with pytest.raises(StorageFailed):
            await open_store(tmp_path / "other")

    await (await open_store(tmp_path / "data")).close()


async def test_a_disk_that_fills_up_between_studies_is_told_for_the_rest(
    versioned: VersionedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was stored is said to be stored; if nothing was, the request fails as a whole."""
    datastore_id = (await versioned.default_datastore()).datastore_id
    log = versioned._log
    store, room = log.store, [True]

    async def fill_up(*one: Any, **more: Any) -> Any:
        if not room.pop():
            raise StorageFull("no room")
        room.append(False)
        return await store(*one, **more)

    monkeypatch.setattr(log, "store", fill_up)
    first, second = await store_sent(versioned, datastore_id, [sent("1.1", study="1.1"), sent("1.2", study="1.2")])

    assert (first.error, first.version) == (None, 1)
    assert isinstance(second.error, StorageFull) and second.sop_instance_uid == "1.2"
    room.append(False)
    with pytest.raises(StorageFull):
        await store_sent(versioned, datastore_id, [sent("1.3", study="1.3")])


# -- what is given from outside


async def test_times_and_ids_come_from_outside(tmp_path: Path) -> None:
    """A version's times are the clock's, to the microsecond; ids are those that were given."""
    at = datetime(2026, 1, 2, 3, 4, 5, 67, UTC)
    numbers = iter(range(1, 1000))
    store = await open_store(tmp_path / "data", clock=lambda: at, new_id=lambda: f"{next(numbers):032x}")
    datastore_id = (await store.default_datastore()).datastore_id

    image_set = await store.image_set(datastore_id, await one_image_set(store, datastore_id))

    assert (datastore_id, image_set.image_set_id) == (
        f"{1:032x}",
        f"{4:032x}",
    )  # after two packs: the request's, and the one it joined
    assert (image_set.created_at, image_set.updated_at) == (at, at)
    await store.close()


async def test_the_profile_decides_what_may_be_edited(tmp_path: Path) -> None:
    """Under 2026-06 the UIDs of a primary image set cannot be changed, force or not."""
    store = await open_store(tmp_path / "data", profile="2026-06")
    datastore_id = (await store.default_datastore()).datastore_id
    image_set = await one_image_set(store, datastore_id)

    result = await store.edit(
        edit_of(datastore_id, (image_set, 1, study(StudyInstanceUID="1.9")), dry_run=True, force=True)
    )

    assert [violation.force_lifts for violation in result.violations_with_force] == [False]
    await store.close()


# -- Original Attributes Sequence


async def test_edits_are_recorded_in_the_instances_where_the_settings_ask(tmp_path: Path) -> None:
    """An edit of the patient is written into every instance, one of an instance into that one."""
    store = await open_store(tmp_path / "data", record_original_attributes=True)
    datastore_id = (await store.default_datastore()).datastore_id
    image_set = await one_image_set(store, datastore_id, 3)
    who = Provenance("amy", "typing error", "CORRECT", "Form 7")

    await store.edit(edit_of(datastore_id, (image_set, 1, patient(PatientName="Roe")), provenance=who))
    await store.edit(edit_of(datastore_id, (image_set, 2, instance("1.2.2", InstanceNumber="7")), provenance=who))

    instances: Any = (await store.metadata(datastore_id, image_set)).instances
    recorded = {uid: one["DICOM"]["OriginalAttributesSequence"] for uid, one in instances.items()}
    assert {uid: len(items) for uid, items in recorded.items()} == {"1.2.1": 1, "1.2.2": 2, "1.2.3": 1}
    first, second = recorded["1.2.2"]
    assert first["ModifiedAttributesSequence"] == [{"PatientName": "Doe^Jane"}]
    assert second["ModifiedAttributesSequence"] == [{"InstanceNumber": "1"}]
    assert (first["ReasonForTheAttributeModification"], first["SourceOfPreviousValues"]) == ("CORRECT", "Form 7")
    await store.close()


# -- races that one process has


async def test_an_edit_that_meets_another_writer_of_the_study_is_tried_again(
    versioned: VersionedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The study changed between reading and appending, the image set did not: the edit still stands."""
    datastore_id = (await versioned.default_datastore()).datastore_id
    image_set = await one_image_set(versioned, datastore_id)
    log = versioned._log
    current_study, meddled = log.current_study, list[bool]()

    async def meddle(*arguments: Any, **options: Any) -> Any:
        found = await current_study(*arguments, **options)
        if not meddled:
            meddled.append(True)
            monkeypatch.setattr(versioned, "_lock", lambda *_: asyncio.Lock())  # as if in another process
            await store_sent(versioned, datastore_id, [sent("1.5", "1.5.5", SeriesNumber="5")])
        return found

    monkeypatch.setattr(log, "current_study", meddle)
    result: EditResult = await versioned.edit(edit_of(datastore_id, (image_set, 1, patient(PatientName="Roe"))))

    assert (result.study_version, result.image_sets[0].version) == (3, 2)
    assert (await versioned.study(datastore_id, STUDY)).version == 3
    assert len((await versioned.search(datastore_id, query("Series"))).matches) == 2


_WITHOUT_STEP_6 = """
DROP TABLE instance_key; ALTER TABLE study DROP COLUMN summary;
DROP INDEX object_with_warnings; ALTER TABLE object DROP COLUMN warnings; ALTER TABLE object DROP COLUMN pixels;
DROP TABLE study_text; DROP TABLE study_count; DROP VIEW study_searched; DROP TRIGGER study_counted;
DROP TRIGGER study_modality_counted; DROP TRIGGER study_modality_uncounted;
ALTER TABLE study_modality DROP COLUMN series;
ALTER TABLE study DROP COLUMN names; ALTER TABLE study DROP COLUMN study_description; PRAGMA user_version=5;
"""


async def test_a_folder_from_before_wild_cards_had_an_index_gets_it(tmp_path: Path) -> None:
    """Names, descriptions and counts of what is stored already are as if it came now; damage in them is found."""
    store = await open_store(tmp_path)
    datastore_id = (await store.default_datastore()).datastore_id
    await store_sent(store, datastore_id, [sent(PatientName="Dörte", StudyDescription="Knee")])
    await store.close()
    with closing(sqlite3.connect(tmp_path / "gateway.db")) as older:
        older.executescript(_WITHOUT_STEP_6)

    store = await open_store(tmp_path)
    for condition in (
        Condition(("00081030",), "LO", "wildcard", ("*nee*",)),
        Condition(("00100010",), "PN", "fuzzy", ("dort",)),
    ):
        assert len((await store.search(datastore_id, Query("Study", (condition,), limit=1))).matches) == 1
    await store.close()

    assert (await verify(tmp_path)).damage == []
    with closing(sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)) as damaged:
        damaged.execute("INSERT INTO study_text (rowid, text) VALUES (1, 'knife')")
        damaged.execute("UPDATE study_count SET studies = 2 WHERE modality = ''")
    found = (await verify(tmp_path)).damage
    assert [sentence.partition(" is not ")[0] for sentence in found] == [
        "gateway.db: how many studies there are of a day",
        "gateway.db: what searches with wild cards find",
    ]
