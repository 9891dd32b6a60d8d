"""What every implementation of VersionLog promises. A backend's test file subclasses LogTests and gives `log`."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import NoReturn

import pytest

from gateway.dicom.part10 import NO_PIXELS, PixelElement
from gateway.errors import Gone, IdempotencyConflict, InvalidRequest, NotEmpty, NotFound, VersionConflict
from gateway.store.blobs.protocol import Address
from gateway.store.contents import Datastore, ImageSetVersion, StoredObject
from gateway.store.edits import Answer, Job
from gateway.store.log.appends import Append, RememberedAnswer, StudyColumns
from gateway.store.log.contents import Candidate, CurrentStudy, Filter, Stored
from gateway.store.log.protocol import Choice, StudyChanged, VersionLog
from tests.store.appended import DATASTORE, START, STUDY, WHO, A, B, append_of, head_of, new_study, new_version


def only(uid: str) -> Choice:
    return lambda image_set: [uid]


class LogTests:
    @pytest.fixture(autouse=True)
    async def with_datastore(self, log: VersionLog) -> None:
        await log.create_datastore(Datastore(DATASTORE, "test", "ACTIVE", START, START, {"k": 1}, {"t": "v"}), None)

    # -- append and read

    async def test_study_is_read_as_it_is_whoever_waited_for_the_append(self, log: VersionLog) -> None:
        """A client that goes away while its append is written leaves no reader with the state before."""
        await log.append(append_of(new_version(A, 1)))
        assert (await log.study(DATASTORE, STUDY)).version == 1

        for version in range(2, 22):
            appending = asyncio.create_task(log.append(append_of(new_version(A, version), expected=version - 1)))
            await asyncio.sleep(0.0005 * (version % 4))
            appending.cancel()
            await asyncio.gather(appending, return_exceptions=True)
            await log.ready()  # writes are committed in the order they came
            study = await log.study(DATASTORE, STUDY)
            current = await log.current_study(DATASTORE, STUDY)

            assert study.version == current.version == version
            assert (await log.read(DATASTORE, A)).properties.version == version

    async def test_a_version_is_read_as_it_was_appended(self, log: VersionLog) -> None:
        """Properties, head, manifest and parts come back."""
        new = new_version(A, 1, count=70)
        await log.append(append_of(new))

        stored = await log.read(DATASTORE, A, instances=None)

        assert (stored.head, stored.manifest) == (new.head, new.manifest)
        assert list(stored.parts.values()) == list(new.parts.values())
        properties = stored.properties
        assert (properties.datastore_id, properties.image_set_id, properties.version) == (DATASTORE, A, 1)
        assert (properties.state, properties.workflow_status, properties.action) == ("ACTIVE", "CREATED", "store")
        assert (properties.created_at, properties.updated_at) == (START, START + timedelta(seconds=1))
        assert (properties.study_instance_uid, properties.series_instance_uid) == (STUDY, "1.2.3.1")
        assert (properties.study_version, properties.instance_count) == (1, 70)
        assert (properties.is_primary, properties.forced, properties.deleted_at) == (True, False, None)
        assert properties.provenance == WHO
        assert {level: tuple(keys) for level, keys in properties.changed.keys.items()} == {"Study": ("StudyID",)}
        assert properties.changed.instances == 2

    async def test_only_the_parts_of_the_instances_named_are_read(self, log: VersionLog) -> None:
        """An instance is found without reading the others' parts, and an unknown one finds none."""
        await log.append(append_of(new_version(A, 1, count=200)))

        assert list((await log.read(DATASTORE, A, instances=["1.70"])).parts) == [1]
        assert list((await log.read(DATASTORE, A, instances=["1.1", "1.200"])).parts) == [0, 3]
        assert (await log.read(DATASTORE, A, instances=["9.9"])).parts == {}
        assert (await log.read(DATASTORE, A)).parts == {}

    async def test_old_versions_stay_readable(self, log: VersionLog) -> None:
        """A version is what it was, whatever was appended after it."""
        first, second = new_version(A, 1, count=3), new_version(A, 2, count=5)
        await log.append(append_of(first))
        await log.append(append_of(second, expected=1))

        assert (await log.read(DATASTORE, A, 1, None)).manifest == first.manifest
        assert (await log.read(DATASTORE, A, 2, None)).manifest == second.manifest
        assert (await log.read(DATASTORE, A)).properties.version == 2

    async def test_versions_share_parts(self, log: VersionLog) -> None:
        """A version that adds no part names those there are."""
        first = new_version(A, 1, count=3)
        await log.append(append_of(first))
        await log.append(append_of(new_version(A, 2, manifest=first.manifest), expected=1))

        assert (await log.read(DATASTORE, A, 2, None)).parts == (await log.read(DATASTORE, A, 1, None)).parts

    @pytest.mark.parametrize(("image_set_id", "version"), [(A, 2), (A, 0), (B, None)])
    async def test_what_was_never_appended_is_not_found(
        self, log: VersionLog, image_set_id: str, version: int | None
    ) -> None:
        """Neither a version that is not there, nor an image set that is not there."""
        await log.append(append_of(new_version(A, 1)))

        with pytest.raises(NotFound):
            await log.read(DATASTORE, image_set_id, version)

    async def test_another_data_store_does_not_have_it(self, log: VersionLog) -> None:
        """An image set belongs to one data store: a tenant does not see another's."""
        await log.append(append_of(new_version(A, 1, count=1)))
        other = "e" * 32
        await log.create_datastore(Datastore(other, "other", "ACTIVE", START, START), None)

        for reading in (
            log.read(other, A),
            log.history(other, A),
            log.study(other, STUDY),
            log.study_history(other, STUDY),
            log.objects(other, A, None, None),
            log.bulk_data(other, A, "0" * 32),
            log.study_of(other, A),
            log.parts(other, A, [100]),
            log.read("f" * 32, A),
            log.since("f" * 32, 0, 10),
        ):
            with pytest.raises(NotFound):
                await reading
        assert (await log.current_study(other, STUDY)).version == 0
        assert await log.since(other, 0, 10) == []
        assert await log.find(other, "study", [], lambda candidate: True) == 0
        assert await log.studies_of_patient(other, "P1") == []

    # -- compare and swap

    async def test_an_append_from_a_study_version_that_is_not_current_is_refused(self, log: VersionLog) -> None:
        """The second of two appends from version 1 finds version 2, and nothing of it is written."""
        await log.append(append_of(new_version(A, 1)))
        await log.append(append_of(new_version(A, 2), expected=1))

        with pytest.raises(StudyChanged) as conflict:
            await log.append(append_of(new_version(A, 3), new_version(B, 1), expected=1))

        assert (conflict.value.expected, conflict.value.actual) == (1, 2)
        assert len(await log.history(DATASTORE, A)) == 2
        with pytest.raises(NotFound):
            await log.history(DATASTORE, B)

    async def test_a_study_is_created_once(self, log: VersionLog) -> None:
        """Of two appends that begin the same study, one does."""
        outcomes = await asyncio.gather(
            log.append(append_of(new_version(A, 1))), log.append(append_of(new_version(B, 1))), return_exceptions=True
        )

        assert [isinstance(outcome, StudyChanged) for outcome in outcomes] == [False, True]
        assert (await log.current_study(DATASTORE, STUDY)).version == 1

    @pytest.mark.parametrize("version", [1, 3])
    async def test_an_image_set_version_follows_the_one_before(self, log: VersionLog, version: int) -> None:
        """Versions have no gaps and no doubles, and an append that would make one changes nothing."""
        await log.append(append_of(new_version(A, 1)))

        with pytest.raises(VersionConflict):
            await log.append(append_of(new_version(B, 1), new_version(A, version), expected=1))

        assert (await log.current_study(DATASTORE, STUDY)).version == 1
        with pytest.raises(NotFound):
            await log.read(DATASTORE, B)

    async def test_of_many_appends_from_one_version_one_wins(self, log: VersionLog) -> None:
        """32 at once from version 1: one becomes version 2, the others conflict."""
        await log.append(append_of(new_version(A, 1)))

        outcomes = await asyncio.gather(
            *(log.append(append_of(new_version(A, 2), expected=1)) for _ in range(32)), return_exceptions=True
        )

        assert sum(outcome is None for outcome in outcomes) == 1
        assert sum(isinstance(outcome, StudyChanged) for outcome in outcomes) == 31
        assert [version.version for version in await log.history(DATASTORE, A)] == [2, 1]

    # -- studies

    async def test_a_study_version_names_the_versions_it_consists_of(self, log: VersionLog) -> None:
        """Each study version keeps its own list, newest first in the history."""
        await log.append(append_of(new_version(A, 1), new_version(B, 1)))
        await log.append(
            Append(DATASTORE, (new_study(1, [(B, 2), (A, 1)]),), (new_version(B, 2, state="DELETED"),), START)
        )

        newest, oldest = await log.study_history(DATASTORE, STUDY)

        assert [(m.image_set_id, m.version, m.state) for m in newest.members] == [(A, 1, "ACTIVE"), (B, 2, "DELETED")]
        assert [(m.image_set_id, m.version) for m in oldest.members] == [(A, 1), (B, 1)]
        assert await log.study(DATASTORE, STUDY) == newest
        assert await log.study(DATASTORE, STUDY, 1) == oldest
        assert (newest.version, newest.action, newest.provenance) == (2, "update", WHO)
        with pytest.raises(NotFound):
            await log.study(DATASTORE, STUDY, 3)
        with pytest.raises(NotFound):
            await log.study(DATASTORE, "9.9")

    async def test_the_current_study_is_read_with_the_parts_chosen(self, log: VersionLog) -> None:
        """A writer reads the study, the instances it changes, and the last part if it adds some."""
        await log.append(append_of(new_version(A, 1, count=200), new_version(B, 1, count=200)))

        def choose(one: ImageSetVersion) -> list[str]:
            return ["1.1"] if one.image_set_id == A else []

        study = await log.current_study(DATASTORE, STUDY, choose)
        to_add_to = await log.current_study(DATASTORE, STUDY, choose, to_add=True)

        assert [image_set.image_set_id for image_set in study.image_sets] == [A, B]
        assert [list(image_set.parts) for image_set in study.image_sets] == [[0], []]
        assert [list(image_set.parts) for image_set in to_add_to.image_sets] == [[0, 3], []]
        assert [(one.next_part, one.next_object, one.modality) for one in study.image_sets] == [(200, 1001, "CT")] * 2
        assert await log.study_of(DATASTORE, A) == STUDY

    async def test_a_study_is_read_as_it_is_after_its_instances_were_looked_at(self, log: VersionLog) -> None:
        """Whoever looked at an instance in one version gets it in the next one as it is there."""
        first, second = new_version(A, 1, count=70), new_version(A, 2, count=70)
        for expected, version in enumerate((first, second)):
            await log.append(append_of(version, expected=expected))
            uid = f"{version.version}.1"
            looked_at = await log.read(DATASTORE, A, instances=[uid])

            study = await log.current_study(DATASTORE, STUDY, only(uid))

            [current] = study.image_sets
            assert (study.version, current.properties) == (version.version, looked_at.properties)
            assert current.parts == looked_at.parts == {0: version.parts[100 * version.version]}

    async def test_a_study_is_read_for_a_store_with_what_is_stored(self, log: VersionLog) -> None:
        """The objects of arriving instances and the last part, of the series they arrive in, if it is not deleted."""
        objects = {n: StoredObject(Address("0f" * 16, n, 10), f"{n:064x}") for n in range(1, 201)}
        await log.append(append_of(new_version(A, 1, count=200, objects=objects), new_version(B, 1, state="DELETED")))

        study, stored = await log.study_for_store(DATASTORE, STUDY, {"1.2.3.1": {"1.2", "9.9"}})
        elsewhere, nothing = await log.study_for_store(DATASTORE, STUDY, {"7.7": {"1.2"}})

        assert [list(image_set.parts) for image_set in study.image_sets] == [[0, 3], []]
        assert stored == {A: {"1.2": objects[2]}}
        assert [list(image_set.parts) for image_set in elsewhere.image_sets] == [[], []]
        assert nothing == {}

    async def test_a_study_is_read_and_appended_to_at_once(self, log: VersionLog) -> None:
        """What is placed in it is placed in the study as it is then, of however many that come together."""
        seen: list[int] = []

        def place(study: CurrentStudy, stored: Stored) -> tuple[str, Append]:
            seen.append(study.version)
            version = study.version + 1
            made = new_version(A, version, count=1, objects={version: StoredObject(Address("0f" * 16, 0, 1), "0" * 64)})
            return f"made {version}", append_of(made, expected=study.version)

        told = await asyncio.gather(
            *(log.store(DATASTORE, STUDY, {"1.2.3.1": {"1.1"}}, place, tuple) for _ in range(9))
        )

        assert seen == list(range(9))
        assert told == [f"made {version}" for version in range(1, 10)]
        assert (await log.study(DATASTORE, STUDY)).version == 9

    async def test_what_cannot_be_placed_is_not_stored(self, log: VersionLog) -> None:
        """Whatever is raised before or while it is placed; who comes together with it is stored all the same."""

        def refuse(*study: object) -> NoReturn:
            raise InvalidRequest("not so")

        def place(study: CurrentStudy, stored: Stored) -> tuple[None, Append]:
            return None, append_of(new_version(A, study.version + 1), expected=study.version)

        outcomes = await asyncio.gather(
            log.store(DATASTORE, STUDY, {}, place, tuple),
            log.store(DATASTORE, STUDY, {}, refuse, tuple),
            log.store(DATASTORE, STUDY, {}, place, refuse),
            log.store(DATASTORE, STUDY, {}, place, tuple),
            return_exceptions=True,
        )

        assert [type(outcome) for outcome in outcomes] == [type(None), InvalidRequest, InvalidRequest, type(None)]
        assert [version.version for version in await log.history(DATASTORE, A)] == [2, 1]

    async def test_what_changes_nothing_appends_nothing(self, log: VersionLog) -> None:
        """The outcome is told all the same, and before the first is placed all are prepared."""
        steps: list[str] = []

        def place(study: CurrentStudy, stored: Stored) -> tuple[str, None]:
            steps.append("placed")
            return "nothing new", None

        told = await asyncio.gather(
            *(log.store(DATASTORE, STUDY, {}, place, lambda: steps.append("before")) for _ in range(3))
        )

        assert told == ["nothing new"] * 3
        assert steps == ["before"] * 3 + ["placed"] * 3
        with pytest.raises(NotFound):
            await log.study(DATASTORE, STUDY)

    async def test_an_image_set_moves_between_studies(self, log: VersionLog) -> None:
        """One append takes it out of the one and into the other; its history says which study it was in."""
        await log.append(append_of(new_version(A, 1), new_version(B, 1)))
        moved = new_version(B, 2, study="7.8.9")
        await log.append(Append(DATASTORE, (new_study(1, [(A, 1)]), new_study(0, [(B, 2)], "7.8.9")), (moved,), START))

        assert [m.image_set_id for m in (await log.study(DATASTORE, STUDY)).members] == [A]
        assert [m.image_set_id for m in (await log.study(DATASTORE, "7.8.9")).members] == [B]
        assert [v.study_instance_uid for v in await log.history(DATASTORE, B)] == ["7.8.9", STUDY]
        assert await log.study_of(DATASTORE, B) == "7.8.9"
        assert [i.image_set_id for i in (await log.current_study(DATASTORE, STUDY)).image_sets] == [A]

    # -- stored bytes

    async def test_stored_objects_are_found_by_instance(self, log: VersionLog) -> None:
        """By SOP Instance UID, in document order, all or those named."""
        objects = {n: StoredObject(Address("0f" * 16, n, 10), f"{n:064x}") for n in (1, 2, 3)}
        await log.append(append_of(new_version(A, 1, count=3, objects=objects)))

        found = await log.objects(DATASTORE, A, None, None)

        assert list(found.items()) == [("1.1", objects[1]), ("1.2", objects[2]), ("1.3", objects[3])]
        assert await log.objects(DATASTORE, A, 1, ["1.2", "9.9"]) == {"1.2": objects[2]}

    async def test_which_pixel_data_an_object_has_is_kept_with_it(self, log: VersionLog) -> None:
        """A tag and a VR, or that there are none; the address of an object that nobody looked at."""
        kinds = {1: PixelElement("7FE00010", "OB"), 2: NO_PIXELS, 3: None}
        objects = {n: StoredObject(Address("0f" * 16, n, 10), f"{n:064x}", pixels=kinds[n]) for n in kinds}
        await log.append(append_of(new_version(A, 1, count=3, objects=objects)))

        found = await log.pixel_elements(DATASTORE, A, None, None)

        assert list(found.items()) == [("1.1", kinds[1]), ("1.2", NO_PIXELS), ("1.3", Address("0f" * 16, 3, 10))]
        assert await log.pixel_elements(DATASTORE, A, 1, ["1.2", "9.9"]) == {"1.2": NO_PIXELS}
        assert await log.part_pixel_elements(DATASTORE, A, [100]) == found
        assert [one.pixels for one in (await log.objects(DATASTORE, A, 1, None)).values()] == list(kinds.values())
        with pytest.raises(NotFound):
            await log.pixel_elements(DATASTORE, A, 9, None)

    async def test_a_deleted_version_has_no_stored_objects(self, log: VersionLog) -> None:
        """It says so, and the version before still has them."""
        objects = {1: StoredObject(Address("0f" * 16, 0, 10), "0" * 64)}
        first = new_version(A, 1, count=1, objects=objects)
        await log.append(append_of(first))
        await log.append(append_of(new_version(A, 2, state="DELETED", manifest=first.manifest), expected=1))

        with pytest.raises(Gone):
            await log.objects(DATASTORE, A, None, None)
        assert await log.objects(DATASTORE, A, 1, None) == {"1.1": objects[1]}
        deleted = (await log.read(DATASTORE, A)).properties
        assert (deleted.instance_count, deleted.deleted_at) == (0, START + timedelta(seconds=2))

    async def test_a_version_comes_with_its_files_in_one_read(self, log: VersionLog) -> None:
        """The parts of the instances named, and the objects of what is in them, however far apart their numbers."""
        far = {n: StoredObject(Address("0f" * 16, n, 10), f"{n:064x}") for n in (*range(1, 71), 900)}
        await log.append(append_of(new_version(A, 1, count=70, objects=far)))

        all_of_it = await log.files(DATASTORE, A, None, None)
        one = await log.files(DATASTORE, A, 1, ["1.70"])

        assert {number: all_of_it.objects[number] for number in range(1, 71)} == {n: far[n] for n in range(1, 71)}
        assert all_of_it.version == await log.read(DATASTORE, A, instances=None)
        assert list(one.version.parts) == [1] and one.objects[70] == far[70]
        with pytest.raises(NotFound):
            await log.files(DATASTORE, A, 9, None)

    async def test_heads_come_once_each_and_the_oldest_first(self, log: VersionLog) -> None:
        """Those of the first versions, as many as are asked for."""
        one, two = head_of(STUDY), head_of("7.8.9")
        for version, head in enumerate((one, two, one), 1):
            await log.append(append_of(new_version(A, version, head=head), expected=version - 1))

        assert await log.heads(DATASTORE, A, 8) == [one, two]
        assert await log.heads(DATASTORE, A, 1) == [one]

    async def test_bulk_data_is_found_by_its_uri(self, log: VersionLog) -> None:
        """An address for each URI; the same value again is not kept twice."""
        address, again = Address("0f" * 16, 5, 6), Address("1e" * 16, 7, 6)
        await log.append(append_of(new_version(A, 1, bulk={"c" * 32: address})))
        await log.append(append_of(new_version(A, 2, bulk={"c" * 32: again}), expected=1))

        assert await log.bulk_data(DATASTORE, A, "c" * 32) == address
        with pytest.raises(NotFound):
            await log.bulk_data(DATASTORE, A, "d" * 32)

    # -- the feed

    async def test_the_feed_has_every_version_once_in_order(self, log: VersionLog) -> None:
        """Read in pages by cursor, nothing is lost, doubled or out of order."""
        await log.append(append_of(new_version(A, 1), new_version(B, 1)))
        await log.append(append_of(new_version(A, 2), expected=1))

        feed, cursor = [], 0
        while page := await log.since(DATASTORE, cursor, 1):
            feed += [(one.image_set_id, one.version) for one in page]
            cursor = page[-1].sequence

        assert feed == [(A, 1), (B, 1), (A, 2)]
        assert len(await log.since(DATASTORE, 0, 2)) == 2

    # -- searches

    async def test_candidates_come_newest_study_first(self, log: VersionLog) -> None:
        """By StudyDate, then the one stored last; the same on every call, whole or in pages."""
        for number, date in enumerate(["20200101", "20220101", "", "20220101"], 1):
            study = new_study(0, [(f"{number:032}", 1)], f"1.{number}")
            columns = StudyColumns(f"{number:032}", study_date=date)
            study = replace(study, columns=columns)
            new = new_version(f"{number:032}", 1, study=f"1.{number}")
            await log.append(Append(DATASTORE, (study,), (new,), START))
        seen: list[str] = []

        def note(candidate: Candidate) -> bool:
            seen.append(candidate.study_instance_uid)
            return True

        assert await log.find(DATASTORE, "study", [], note) == 4
        assert seen == ["1.4", "1.2", "1.1", "1.3"]
        for offset in range(4):
            assert await log.find(DATASTORE, "study", [], note, (offset, 1)) == 4
        assert seen[4:] == seen[:4]

    @pytest.mark.parametrize(
        ("one", "found"),
        [
            (Filter("patient_id", "equal", ("P1",)), True),
            (Filter("patient_id", "equal", ("P",)), False),
            (Filter("study_instance_uid", "equal", ("9.9", STUDY)), True),
            (Filter("study_date", "between", ("20040101", "20040131")), True),
            (Filter("study_date", "between", ("20040120", "")), False),
            (Filter("study_date", "between", ("", "20040119")), True),
            (Filter("modalities", "equal", ("CT",)), True),
            (Filter("modalities", "equal", ("MR",)), False),
            (Filter("modality", "equal", ("CT",)), True),
            (Filter("series_instance_uid", "equal", ("1.2.3.2",)), False),
            (Filter("sop_instance_uid", "equal", ("1.2",)), True),
            (Filter("sop_instance_uid", "equal", ("1.4",)), False),
            (Filter("patient_name", "like", ("doe*",)), False),
        ],
        ids=lambda value: f"{value.field} {value.kind} {value.values}" if isinstance(value, Filter) else "",
    )
    async def test_filters_let_through_what_they_say(self, log: VersionLog, one: Filter, found: bool) -> None:
        """Each field of a filter looks where its name says."""
        await log.append(append_of(new_version(A, 1, count=3)))

        assert await log.find(DATASTORE, "series", [one], lambda candidate: True) == int(found)

    async def test_what_dicomweb_does_not_see_is_no_candidate(self, log: VersionLog) -> None:
        """Neither non-primary nor deleted image sets, nor a study that has no other."""
        await log.append(append_of(new_version(A, 1), new_version(B, 1, is_primary=False)))
        assert await log.find(DATASTORE, "series", [], lambda candidate: True) == 1

        hidden = replace(new_study(1, [(A, 2), (B, 1)]), columns=None)
        await log.append(Append(DATASTORE, (hidden,), (new_version(A, 2, state="DELETED"),), START))

        assert await log.find(DATASTORE, "series", [], lambda candidate: True) == 0
        assert await log.find(DATASTORE, "study", [], lambda candidate: True) == 0
        assert await log.studies_of_patient(DATASTORE, "P1") == []

    # -- small tables

    async def test_data_stores_come_oldest_first(self, log: VersionLog) -> None:
        """A client token gives the data store it made, not another one."""
        first = await log.create_datastore(Datastore("1" * 32, "one", "ACTIVE", START, START), "token")
        again = await log.create_datastore(Datastore("2" * 32, "one", "ACTIVE", START, START), "token")

        assert again == first
        assert [one.datastore_id for one in await log.datastores()] == [DATASTORE, "1" * 32]
        assert (await log.datastores())[0].properties == {"k": 1}
        assert (await log.datastores())[0].tags == {"t": "v"}

    async def test_a_data_store_is_deleted_when_it_is_empty(self, log: VersionLog) -> None:
        """Not while an image set in it is not deleted; then it stays listed, and is used no more."""
        await log.append(append_of(new_version(A, 1)))
        with pytest.raises(NotEmpty):
            await log.delete_datastore(DATASTORE, START)
        await log.append(append_of(new_version(A, 2, state="DELETED"), expected=1))

        deleted = await log.delete_datastore(DATASTORE, START + timedelta(days=1))

        assert (deleted.status, deleted.updated_at) == ("DELETED", START + timedelta(days=1))
        assert await log.datastores() == [deleted]
        with pytest.raises(NotFound):
            await log.append(append_of(new_version(A, 3), expected=2))

    async def test_an_answer_is_kept_with_the_append(self, log: VersionLog) -> None:
        """The same key and digest give it again; another digest conflicts, and undoes the append it came with."""
        answer = Answer(200, {"ETag": '"1"'}, b"\x00body")
        await log.append(append_of(new_version(A, 1), remember=RememberedAnswer("key", "one", answer)))

        assert await log.remembered(DATASTORE, "key", "one") == answer
        assert await log.remembered(DATASTORE, "other", "one") is None
        with pytest.raises(IdempotencyConflict):
            await log.remembered(DATASTORE, "key", "two")
        with pytest.raises(IdempotencyConflict):
            await log.append(append_of(new_version(A, 2), expected=1, remember=RememberedAnswer("key", "two", answer)))
        assert (await log.read(DATASTORE, A)).properties.version == 1

    async def test_an_append_that_conflicts_keeps_no_answer(self, log: VersionLog) -> None:
        """An answer is remembered if, and only if, what it says was done."""
        await log.append(append_of(new_version(A, 1)))

        with pytest.raises(StudyChanged):
            await log.append(
                append_of(new_version(B, 1), remember=RememberedAnswer("key", "one", Answer(200, {}, b"")))
            )

        assert await log.remembered(DATASTORE, "key", "one") is None

    async def test_jobs_are_kept_with_their_results(self, log: VersionLog) -> None:
        """Results come in the order they were recorded; a finished job is not taken up again."""
        job = Job("1" * 32, DATASTORE, "SUBMITTED", START, START, {"patch": {"a": 1}}, ("1.1", "1.2"))
        assert await log.create_job(job, "token") == job
        assert (await log.create_job(Job("2" * 32, DATASTORE, "SUBMITTED", START, START, {}, ()), "token")) == job

        await log.record_job(job.job_id, "IN_PROGRESS", {"study": "1.1"}, START + timedelta(seconds=1))
        assert [one.job_id for one in await log.unfinished_jobs()] == [job.job_id]
        await log.record_job(job.job_id, "COMPLETED", {"study": "1.2"}, START + timedelta(seconds=2))

        done = await log.job(DATASTORE, job.job_id)
        assert (done.status, done.results) == ("COMPLETED", ({"study": "1.1"}, {"study": "1.2"}))
        assert (done.request, done.studies) == ({"patch": {"a": 1}}, ("1.1", "1.2"))
        assert done.updated_at == START + timedelta(seconds=2)
        assert await log.unfinished_jobs() == []

    async def test_an_unknown_job_is_not_found(self, log: VersionLog) -> None:
        """Neither to read nor to record."""
        with pytest.raises(NotFound):
            await log.job(DATASTORE, "9" * 32)
        with pytest.raises(NotFound):
            await log.record_job("9" * 32, "COMPLETED", None, START)

    async def test_a_log_says_that_it_is_ready(self, log: VersionLog) -> None:
        """And changes nothing by it."""
        await log.ready()

        assert await log.since(DATASTORE, 0, 10) == []
