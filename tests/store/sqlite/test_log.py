"""The log in SQLite: the suite, and what only a file has."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from gateway.dicom.matching import name_words, plain
from gateway.errors import StorageFull, VersionConflict
from gateway.store.contents import Datastore
from gateway.store.log.appends import Append, ImageSetColumns, NewVersion, StudyColumns
from gateway.store.log.contents import Candidate, CurrentStudy, Filter, SearchLevel, SearchOrder, Stored
from gateway.store.log.protocol import StudyChanged
from gateway.store.sqlite import database, qido, studies, versions
from gateway.store.sqlite.connection import Connection
from gateway.store.sqlite.kept_parts import KeptParts
from gateway.store.sqlite.log import SqliteLog, open_log
from tests.store.appended import DATASTORE, START, STUDY, A, B, append_of, new_study, new_version
from tests.store.log_suite import LogTests


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SqliteLog]:
    log = await open_log(tmp_path / "gateway.db")
    yield log
    await log.close()


class TestSqliteLog(LogTests):
    """SqliteLog is a VersionLog."""


async def test_the_log_survives_reopening(tmp_path: Path) -> None:
    """What was appended is there after a close, and the database is sound."""
    log = await open_log(tmp_path / "gateway.db")
    await log.create_datastore(Datastore(DATASTORE, "test", "ACTIVE", START, START), None)
    await log.append(append_of(new_version(A, 1, count=70)))
    await log.close()

    log = await open_log(tmp_path / "gateway.db")
    assert (await log.read(DATASTORE, A)).properties.instance_count == 70
    await log.close()
    connection = sqlite3.connect(tmp_path / "gateway.db")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


def by_uid(uid: str) -> list[Filter]:
    return [Filter("study_instance_uid", "equal", (uid,))]


async def test_search_for_a_study_that_was_edited_waits_for_no_read(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who corrects a study and then looks for it by its UID finds what the row says, in pages too."""
    await log.create_datastore(Datastore(DATASTORE, "test", "ACTIVE", START, START), None)
    first = append_of(new_version(A, 1))
    (study,) = first.studies
    columns = replace(study.columns or StudyColumns(A), summary="new", modalities={"CT": 2, "MR": 1}, series_count=3)
    await log.append(first)
    await log.study(DATASTORE, STUDY)
    await log.append(replace(append_of(new_version(A, 2)), studies=(replace(study, expected=1, columns=columns),)))
    read = await log.database.read(
        lambda connection: qido.find_summaries(connection, DATASTORE, by_uid(STUDY), (0, None))
    )
    monkeypatch.setattr(log.database, "read", None)

    found = [await log.find_summaries(DATASTORE, by_uid(STUDY), page) for page in ((0, None), (0, 0), (1, 5))]

    assert found == [read, ([], 1), ([], 1)]
    assert read == ([(STUDY, "new", '["CT","MR"]', 3, 0)], 1)


async def test_search_does_not_find_a_study_that_nobody_sees_any_more(log: SqliteLog) -> None:
    """A study without a primary image set is kept, and no match."""
    await log.create_datastore(Datastore(DATASTORE, "test", "ACTIVE", START, START), None)
    await log.append(append_of(new_version(A, 1)))
    await log.study(DATASTORE, STUDY)
    gone = replace(new_study(1, [(A, 2)]), columns=None)
    await log.append(Append(DATASTORE, (gone,), (new_version(A, 2, is_primary=False),), START))

    assert (await log.study(DATASTORE, STUDY)).version == 2
    assert await log.find_summaries(DATASTORE, by_uid(STUDY), (0, None)) == ([], 0)


async def test_study_that_was_read_is_known_after_an_append(log: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever edits a study again, or looks at what was edited, waits for no read."""
    await log.create_datastore(Datastore(DATASTORE, "test", "ACTIVE", START, START), None)
    await log.append(append_of(new_version(A, 1)))
    await log.study(DATASTORE, STUDY)
    await log.append(append_of(new_version(A, 2), expected=1))
    monkeypatch.setattr(log.database, "read", None)

    assert (await log.study(DATASTORE, STUDY)).version == 2
    assert (await log.current_study(DATASTORE, STUDY)).version == 2
    assert (await log.read(DATASTORE, A)).properties.version == 2


async def test_instance_of_what_was_just_appended_waits_for_no_read(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part it is in is known, in the version that wrote it and in the next one that shares it."""
    await log.create_datastore(Datastore(DATASTORE, "test", "ACTIVE", START, START), None)
    first = new_version(A, 1, count=200)
    await log.append(append_of(first))
    await log.study(DATASTORE, STUDY)
    await log.append(append_of(new_version(A, 2, manifest=first.manifest), expected=1))
    read = await log.database.read(lambda connection: versions.read(connection, DATASTORE, A, 2, ["1.1", "1.70"]))
    monkeypatch.setattr(log.database, "read", None)

    assert await log.read(DATASTORE, A, 2, ["1.1", "1.70"]) == read
    current = await log.current_study(DATASTORE, STUDY, lambda version: ["1.1", "1.70"])
    assert list(read.parts) == [0, 1] and current.image_sets[0].parts == read.parts


async def test_instance_that_is_in_no_part_that_is_kept_is_looked_for(log: SqliteLog) -> None:
    """Of two, one may lie in a part that was written lately and the other in one that was not."""
    await log.create_datastore(Datastore(DATASTORE, "test", "ACTIVE", START, START), None)
    await log.append(append_of(new_version(A, 1, count=200)))
    await log.study(DATASTORE, STUDY)
    log._kept._parts = KeptParts()
    await log.read(DATASTORE, A, 1, ["1.70"])

    assert list((await log.read(DATASTORE, A, 1, ["1.70", "1.200"])).parts) == [1, 3]
    assert (await log.read(DATASTORE, A, 1, ["1.70", "9.9"])).parts.keys() == {1}


@pytest.mark.parametrize(
    "second",
    [
        [new_version(A, 2)],
        [new_version(A, 2, state="DELETED", workflow_status="DELETED")],
        [new_version(A, 2, message="failed", workflow_status="UPDATE_FAILED")],
        [new_version(A, 2, count=70), new_version(B, 1, copied_from=(A, 1), is_primary=False)],
    ],
    ids=["update", "delete", "failure", "copy"],
)
async def test_what_is_known_after_an_append_is_what_is_read(log: SqliteLog, second: Sequence[NewVersion]) -> None:
    """To who reads the study it makes no difference whether it was read before the append."""
    await log.create_datastore(Datastore(DATASTORE, "test", "ACTIVE", START, START), None)
    await log.append(append_of(new_version(A, 1)))
    await log.study(DATASTORE, STUDY)
    await log.append(append_of(*second, expected=1))

    study, current = await log.study(DATASTORE, STUDY), await log.current_study(DATASTORE, STUDY)

    read = await log.database.read(lambda connection: studies.study_now(connection, DATASTORE, STUDY))
    assert (study, current) == (read.version, read.current)
    assert [one.properties.sequence for one in current.image_sets] == [2, 3][: len(second)]


async def test_image_set_that_comes_from_another_study_is_known_where_it_is_read(log: SqliteLog) -> None:
    """It was there before the others: who knows only those cannot say where it belongs."""
    await log.create_datastore(Datastore(DATASTORE, "test", "ACTIVE", START, START), None)
    await log.append(append_of(new_version(A, 1)))
    await log.append(append_of(new_version(B, 1, study="1.9"), study="1.9"))
    await asyncio.gather(log.study(DATASTORE, STUDY), log.study(DATASTORE, "1.9"))
    moved = new_version(A, 2, study="1.9")
    left = replace(new_study(1, [(A, 2)]), members=(), columns=None)
    await log.append(Append(DATASTORE, (left, new_study(1, [(A, 2), (B, 1)], "1.9")), (moved,), START))

    known = [await log.current_study(DATASTORE, uid) for uid in (STUDY, "1.9")]

    assert [[one.image_set_id for one in study.image_sets] for study in known] == [[], [A, B]]


async def test_last_of_appends_that_are_committed_together_is_what_is_known(log: SqliteLog) -> None:
    """Of versions 2 to 9 in one commit, what is known afterwards is 9."""
    await log.create_datastore(Datastore(DATASTORE, "test", "ACTIVE", START, START), None)
    await log.append(append_of(new_version(A, 1)))
    await log.study(DATASTORE, STUDY)

    await asyncio.gather(*(log.append(append_of(new_version(A, v), expected=v - 1)) for v in range(2, 10)))

    assert (await log.study(DATASTORE, STUDY)).version == 9
    assert [one.properties.version for one in (await log.current_study(DATASTORE, STUDY)).image_sets] == [9]


# An instance that the series does not have.
ARRIVING = {"1.2.3.1": ["1.2.840.9"]}


async def stored_into(log: SqliteLog, *, count: int = 1, ahead: int = 0) -> int:
    """Store the next version of the image set A; return the study's version before. ahead: how wrong its number is."""

    def place(study: CurrentStudy, stored: Stored) -> tuple[int, Append]:
        version = new_version(A, study.version + 1 + ahead, count=count)
        return study.version, append_of(version, expected=study.version)

    return await log.store(DATASTORE, STUDY, ARRIVING, place, before=tuple)


async def study_to_store(log: SqliteLog) -> tuple[CurrentStudy, Stored]:
    """Return what a store is given of the study, without storing anything."""

    def place(study: CurrentStudy, stored: Stored) -> tuple[tuple[CurrentStudy, Stored], None]:
        return (study, stored), None

    return await log.store(DATASTORE, STUDY, ARRIVING, place, before=tuple)


async def test_nobody_reads_what_was_before_after_somebody_read_what_is(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit is seen by who reads the database before its writer has heard of it: from then on, by everybody."""
    await log.create_datastore(Datastore(DATASTORE, "test", "ACTIVE", START, START), None)
    await log.append(append_of(new_version(A, 1, 3)))
    assert (await log.study(DATASTORE, STUDY)).version == 1
    committed, heard = threading.Event(), threading.Event()
    commit = database._commit_together

    def commit_and_say_nothing(connection: Connection, batch: Sequence[Any]) -> list[Any]:
        outcomes = commit(connection, batch)
        committed.set()
        heard.wait(30)
        return outcomes

    monkeypatch.setattr(database, "_commit_together", commit_and_say_nothing)
    writing = asyncio.create_task(log.append(append_of(new_version(A, 2, 3), expected=1)))
    await asyncio.to_thread(committed.wait, 30)

    read = await log.history(DATASTORE, A)
    study, image_set = await log.study(DATASTORE, STUDY), await log.read(DATASTORE, A)

    assert [version.version for version in read] == [2, 1]
    assert (study.version, image_set.properties.version) == (2, 2)
    heard.set()
    await writing
    assert (await log.study(DATASTORE, STUDY)).version == 2


async def test_stores_that_share_a_commit_see_each_other_and_nothing_rolled_back(log: SqliteLog) -> None:
    """What is known of the study is no longer so for the second of them; one that is refused was never there."""
    await log.create_datastore(Datastore(DATASTORE, "test", "ACTIVE", START, START), None)
    assert await stored_into(log) == 0

    outcomes = await asyncio.gather(*(stored_into(log, ahead=ahead) for ahead in (0, 5, 0, 5)), return_exceptions=True)

    assert [one if isinstance(one, int) else type(one) for one in outcomes] == [1, VersionConflict, 2, VersionConflict]
    assert await study_to_store(log) == await log.study_for_store(DATASTORE, STUDY, ARRIVING)
    assert await stored_into(log) == 3


async def test_a_study_that_was_just_stored_is_not_read_for_the_next_store(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its first instance on; what the store is given is what would have been read."""
    await log.create_datastore(Datastore(DATASTORE, "test", "ACTIVE", START, START), None)
    await stored_into(log)
    await stored_into(log)
    read = await log.study_for_store(DATASTORE, STUDY, ARRIVING)
    monkeypatch.setattr(studies, "current_study", None)

    assert await study_to_store(log) == read
    assert list(read[0].image_sets[0].parts) == [0]


async def test_a_store_made_of_what_is_no_longer_so_is_refused_and_the_next_reads(
    log: SqliteLog, tmp_path: Path
) -> None:
    """Of a study that somebody else changed, who is not heard of here, what was known is not written over."""
    await log.create_datastore(Datastore(DATASTORE, "test", "ACTIVE", START, START), None)
    await stored_into(log)
    other = await open_log(tmp_path / "gateway.db")
    assert await stored_into(other) == 1
    await other.close()

    with pytest.raises(StudyChanged):
        await stored_into(log)

    assert (await log.study(DATASTORE, STUDY)).version == 2
    assert await stored_into(log) == 2


async def test_a_store_whose_commit_failed_is_not_there_for_the_next(log: SqliteLog) -> None:
    """A disk that is full for a while: the next store goes on from the last that was committed."""
    await log.create_datastore(Datastore(DATASTORE, "test", "ACTIVE", START, START), None)
    await stored_into(log)
    writer = log.database._writer
    pages = await writer.run(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
    await writer.run(lambda connection: connection.execute(f"PRAGMA max_page_count={pages}").fetchall())
    with pytest.raises(StorageFull):
        for _ in range(100):
            await stored_into(log, count=70)
    version = (await log.study(DATASTORE, STUDY)).version
    await writer.run(lambda connection: connection.execute("PRAGMA max_page_count=1000000").fetchall())

    assert await study_to_store(log) == await log.study_for_store(DATASTORE, STUDY, ARRIVING)
    assert await stored_into(log) == version


# PS3.18 Table 10.6.1-5, what a search for a study has to support: the index that answers it.
SEEKS = {
    "nothing": ([], "study_by_date"),
    "StudyDate": ([Filter("study_date", "between", ("20040101", "20041231"))], "study_by_date"),
    "PatientID": ([Filter("patient_id", "equal", ("P1",))], "study_by_patient_id"),
    "AccessionNumber": ([Filter("accession_number", "equal", ("A1",))], "study_by_accession_number"),
    "StudyID": ([Filter("study_id", "equal", ("S1",))], "study_by_study_id"),
    "StudyInstanceUID": ([Filter("study_instance_uid", "equal", ("1.2", "1.3"))], "sqlite_autoindex_study_1"),
    "ModalitiesInStudy": ([Filter("modalities", "equal", ("CT",))], "study_modality USING PRIMARY KEY"),
    "PatientName": ([Filter("patient_name", "like", ("doe*",))], "study_name USING PRIMARY KEY"),
    "part of PatientName": ([Filter("patient_name", "like", ("*oe^j*",))], "study_text VIRTUAL TABLE"),
    "part of StudyDescription": ([Filter("study_description", "like", ("*dome*",))], "study_text VIRTUAL TABLE"),
    "words of PatientName": ([Filter("patient_name", "words", ("doe\njan",))], "study_text VIRTUAL TABLE"),
    "PatientID, its beginning": ([Filter("patient_id", "like", ("P1*",))], "study_by_patient_id"),
    "ReferringPhysicianName": ([Filter("referring_physician_name", "like", ("d*",))], "study_name USING PRIMARY KEY"),
}


def plan_of(
    connection: Connection, level: SearchLevel, filters: Sequence[Filter], order: SearchOrder = "study_date"
) -> list[str]:
    """Return SQLite's plan for the statement that walks the candidates."""
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    qido.find(connection, DATASTORE, level, filters, lambda candidate: True, None, order)
    connection.set_trace_callback(None)
    [statement] = [one for one in statements if "ORDER BY" in one]
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]


@pytest.mark.parametrize("level", ["study", "series"])
@pytest.mark.parametrize("attribute", SEEKS)
async def test_a_search_is_an_index_seek(log: SqliteLog, attribute: str, level: Literal["study", "series"]) -> None:
    """No search for an attribute that QIDO-RS requires reads a table from end to end."""
    filters, index = SEEKS[attribute]
    await log.create_datastore(Datastore(DATASTORE, "test", "ACTIVE", START, START), None)

    plan = await log.database.read(lambda connection: plan_of(connection, level, filters))

    assert any(index in step for step in plan), plan
    scans = [step for step in plan if step.startswith("SCAN") and "study_text VIRTUAL TABLE INDEX" not in step]
    assert not scans, plan


async def test_an_instance_of_which_only_the_uid_is_known_is_an_index_seek(log: SqliteLog) -> None:
    """Also together with what would find many more."""
    await log.create_datastore(Datastore(DATASTORE, "test", "ACTIVE", START, START), None)
    filters = [Filter("sop_instance_uid", "equal", ("1.2.3", "1.2.4")), Filter("modality", "equal", ("CT",))]

    plan = await log.database.read(lambda connection: plan_of(connection, "instance", filters))

    assert "SEARCH instance_key USING PRIMARY KEY (key=?)" in plan
    assert not any(step.startswith("SCAN") for step in plan), plan


async def test_series_of_a_modality_are_counted_without_reading_them(log: SqliteLog) -> None:
    """Nothing is counted but the rows of days, which are as many in a million studies."""
    await log.create_datastore(Datastore(DATASTORE, "test", "ACTIVE", START, START), None)
    await log.append(append_of(new_version(A, 1)))
    filters = [Filter("modality", "equal", ("CT",)), Filter("study_date", "between", ("20040101", ""))]
    statements: list[str] = []

    def find(connection: Connection) -> int:
        connection.set_trace_callback(statements.append)
        total = qido.find(connection, DATASTORE, "series", filters, lambda candidate: True, (0, 1))
        connection.set_trace_callback(None)
        return total

    assert await log.database.read(find) == 1
    counted = [one for one in statements if "COUNT(" in one or "SUM(" in one]
    assert len(counted) == 1 and "FROM study_count" in counted[0]


@pytest.mark.parametrize("attribute", ["nothing", "StudyDate", "PatientID", "AccessionNumber", "ModalitiesInStudy"])
async def test_the_first_page_is_read_without_sorting(log: SqliteLog, attribute: str) -> None:
    """The index has the order of the answer, however many studies there are after the page."""
    filters, _ = SEEKS[attribute]
    await log.create_datastore(Datastore(DATASTORE, "test", "ACTIVE", START, START), None)

    plan = await log.database.read(lambda connection: plan_of(connection, "study", filters))

    assert not any("TEMP B-TREE" in step for step in plan), plan


async def test_first_page_of_what_changed_last_is_read_without_sorting(log: SqliteLog) -> None:
    """The index of changes is walked backwards."""
    await log.create_datastore(Datastore(DATASTORE, "test", "ACTIVE", START, START), None)

    plan = await log.database.read(lambda connection: plan_of(connection, "study", [], "updated"))

    assert any("image_set_by_updated_at" in step for step in plan), plan
    assert not any("TEMP B-TREE" in step or step.startswith("SCAN") for step in plan), plan


@pytest.mark.parametrize("level", ["study", "series"])
@pytest.mark.parametrize("attribute", SEEKS)
async def test_what_changed_last_is_found_alike_on_both_ways(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch, attribute: str, level: Literal["study", "series"]
) -> None:
    """Whether changes are walked or what the filters leave is sorted, which depends on how many there are."""
    filters, _ = SEEKS[attribute]
    await log.create_datastore(Datastore(DATASTORE, "test", "ACTIVE", START, START), None)
    for number in (3, 1, 2):
        one = new_version(f"{number:032}", 1, study=f"1.{number}", updated_at=START + timedelta(seconds=number % 2))
        columns = StudyColumns(
            one.image_set_id,
            study_date="20040119",
            patient_id="P1",
            accession_number="A1",
            study_id="S1",
            study_description="a dome",
            patient_name=("doe^jane",),
            referring_physician_name=("dr^who",),
            names="doe^jane\ndr^who",
            modalities={"CT": 1},
            series_count=1,
        )
        study = replace(new_study(0, [(one.image_set_id, 1)], f"1.{number}"), columns=columns)
        await log.append(Append(DATASTORE, (study,), (one,), START))

    async def found(sooner: bool) -> list[str]:
        seen: list[str] = []

        def note(candidate: Candidate) -> bool:
            seen.append(candidate.study_instance_uid)
            return True

        monkeypatch.setattr(qido, "_sooner", lambda *_: sooner)
        await log.find(DATASTORE, level, filters, note, (0, 9), "updated")
        return seen

    walked = await found(True)

    assert walked == await found(False)
    assert walked == [uid for uid in ["1.1", "1.3", "1.2"] if attribute != "StudyInstanceUID" or uid != "1.1"]


# What is counted in other ways than one row after the other, alone and together with something else: how many studies,
# series and instances. Studies have no modality of a series.
TOTALS: dict[str, tuple[list[Filter], list[int]]] = {
    "a letter of a name": ([Filter("patient_name", "like", ("*o*",))], [3, 5, 60]),
    "any letter and two more": ([Filter("patient_name", "like", ("?oe*",))], [3, 5, 60]),
    "no name": ([Filter("patient_name", "like", ("*q*",))], [0, 0, 0]),
    "how a name begins": ([Filter("patient_name", "like", ("doe*",))], [2, 4, 50]),
    "a whole name": ([Filter("patient_name", "like", ("roe^o",))], [1, 1, 10]),
    "any letter and the rest of a name": ([Filter("patient_name", "like", ("?oe^o",))], [1, 1, 10]),
    "part of a name": ([Filter("patient_name", "like", ("*oe^j*",))], [2, 4, 50]),
    "physician": ([Filter("referring_physician_name", "like", ("*w*",))], [3, 5, 60]),
    "a digit of an ID": ([Filter("patient_id", "like", ("*1*",))], [2, 3, 30]),
    "how a description begins": ([Filter("study_description", "like", ("a *",))], [3, 5, 60]),
    "modality of series": ([Filter("modality", "equal", ("CT",))], [4, 40]),
    "modality of series, name": (
        [Filter("modality", "equal", ("CT",)), Filter("patient_name", "like", ("*j*",))],
        [3, 30],
    ),
    "modality of series, day": (
        [Filter("modality", "equal", ("CT",)), Filter("study_date", "equal", ("20040118",))],
        [1, 10],
    ),
    "modalities": ([Filter("modalities", "equal", ("MR",))], [1, 2, 30]),
    "name, days": (
        [Filter("patient_name", "like", ("*o*",)), Filter("study_date", "between", ("20040119", ""))],
        [2, 4, 50],
    ),
    "name, ID": ([Filter("patient_name", "like", ("*o*",)), Filter("patient_id", "like", ("*2*",))], [1, 2, 30]),
}


async def append_counted(log: SqliteLog) -> None:
    """1.1 has a name of two component groups, a series of CT and one of MR; 1.2 two of CT; 1.3 one; 1.4 is deleted."""
    await log.create_datastore(Datastore(DATASTORE, "test", "ACTIVE", START, START), None)
    for study, date, patient, names, series in (
        ("1.1", "20040119", "P2", ("doe^jo", "jo^doe"), {"CT": (10,), "MR": (20,)}),
        ("1.2", "20040120", "P1", ("doe^ja",), {"CT": (10, 10)}),
        ("1.3", "20040118", "P1", ("roe^o^",), {"CT": (10,)}),
        ("1.4", "20040118", "P1", ("poe^o",), {"CT": (10,)}),
    ):
        versions = [
            new_version(
                f"{study}{modality}{number}".ljust(32, "0"),
                1,
                count,
                study,
                columns=ImageSetColumns(modality, patient, "A1", "S1", f"{date}072730.000000"),
            )
            for modality, counts in series.items()
            for number, count in enumerate(counts)
        ]
        columns = StudyColumns(
            versions[0].image_set_id,
            study_date=date,
            patient_id=patient,
            study_description="a dome",
            patient_name=names,
            referring_physician_name=("dr^who",),
            names="\n".join((*names, "dr^who")),
            modalities={modality: len(counts) for modality, counts in series.items()},
            series_count=len(versions),
            instance_count=sum(map(sum, series.values())),
        )
        members = [(one.image_set_id, 1) for one in versions]
        await log.append(
            Append(DATASTORE, (replace(new_study(0, members, study), columns=columns),), tuple(versions), START)
        )
    deleted = new_version(versions[0].image_set_id, 2, study="1.4", state="DELETED")
    gone = replace(new_study(1, [(deleted.image_set_id, 2)], "1.4"), columns=None)
    await log.append(Append(DATASTORE, (gone,), (deleted,), START))


@pytest.mark.parametrize("sooner", [False, True], ids=["sorted", "walked"])
@pytest.mark.parametrize("name", TOTALS)
async def test_total_is_of_all_that_is_found(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch, name: str, sooner: bool
) -> None:
    """However it is counted, and however the page is read; and it is kept."""
    filters, expected = TOTALS[name]
    await append_counted(log)
    monkeypatch.setattr(qido, "_FEW", 0)
    monkeypatch.setattr(qido, "_sooner", lambda *_: sooner)
    levels: tuple[SearchLevel, ...] = ("study", "series", "instance")

    for _ in range(2):
        found = [await log.find(DATASTORE, one, filters, lambda _: True, (0, 1)) for one in levels[-len(expected) :]]
        assert found == expected

    read = [await log.find(DATASTORE, one, filters, lambda _: True) for one in levels[-len(expected) : 2]]
    assert read == expected[:-1]


async def test_total_is_counted_again_after_a_commit_only(log: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of two searches counts nothing; one after an append does, and finds what was appended."""
    await append_counted(log)
    counted: list[int] = []
    count = qido._counted

    def counting(*given: Any) -> int:
        counted.append(count(*given))
        return counted[-1]

    monkeypatch.setattr(qido, "_FEW", 0)
    monkeypatch.setattr(qido, "_counted", counting)
    filters = [Filter("patient_name", "like", ("*o*",))]

    found = [await log.find(DATASTORE, "study", filters, lambda _: True, (0, 1)) for _ in range(2)]
    columns = StudyColumns(A, study_date="20040121", patient_name=("woe",), names="woe", series_count=1)
    study = replace(new_study(0, [(A, 1)]), columns=columns)
    await log.append(Append(DATASTORE, (study,), (new_version(A, 1),), START))
    found.append(await log.find(DATASTORE, "study", filters, lambda _: True, (0, 1)))

    assert found == [3, 3, 4]
    assert counted == [3, 4]


async def test_words_of_two_letters_begin_after_whatever_parts_words(log: SqliteLog) -> None:
    """SQLite finds them wherever a name is split into words; and not in the middle of one."""
    await log.create_datastore(Datastore(DATASTORE, "test", "ACTIVE", START, START), None)
    parting = [one for one in map(chr, range(0x10000)) if name_words(f"x{one}ba") == ["x", "ba"]]
    names = [f"x{one}ba" for one in parting] + ["ba", "xba"]
    for number, name in enumerate(names, 1):
        one = new_version(f"{number:032}", 1, study=f"1.{number}")
        columns = StudyColumns(one.image_set_id, names="\n".join(dict.fromkeys((name, plain(name)))))
        study = replace(new_study(0, [(one.image_set_id, 1)], f"1.{number}"), columns=columns)
        await log.append(Append(DATASTORE, (study,), (one,), START))

    found = await log.find(DATASTORE, "study", [Filter("patient_name", "words", ("ba",))], lambda _: True)

    assert len(parting) > 20
    assert found == len(names) - 1


COUNTED = "SELECT modality, study_date, studies, series, instances FROM study_count WHERE studies > 0 ORDER BY 1, 2"


async def test_studies_are_counted_by_day_and_modality(log: SqliteLog) -> None:
    """The counts go with every version: a study that is stored, moves to another day, and is deleted."""
    await log.create_datastore(Datastore(DATASTORE, "test", "ACTIVE", START, START), None)
    await log.append(append_of(new_version(A, 1, count=3)))
    stored = await log.database.read(lambda connection: connection.execute(COUNTED).fetchall())
    columns = StudyColumns(A, study_date="20050101", modalities={"MR": 1}, series_count=1, instance_count=2)
    study = replace(new_study(1, [(A, 2)]), columns=columns)
    await log.append(Append(DATASTORE, (study,), (new_version(A, 2),), START))
    moved = await log.database.read(lambda connection: connection.execute(COUNTED).fetchall())
    study = replace(new_study(2, [(A, 3)]), columns=None)
    await log.append(Append(DATASTORE, (study,), (new_version(A, 3, state="DELETED"),), START))

    assert stored == [("", "20040119", 1, 0, 0), ("CT", "20040119", 1, 1, 0)]
    assert moved == [("", "20050101", 1, 1, 2), ("MR", "20050101", 1, 1, 0)]
    assert await log.database.read(lambda connection: connection.execute(COUNTED).fetchall()) == []
