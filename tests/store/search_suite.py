"""What every implementation of Store promises of its two searches. Part of StoreTests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.dicom.matching import Condition, Kind, Order, Query, QueryLevel, matches_all
from gateway.errors import Level
from gateway.metadata.image_set import Delete, MetadataUpdates, Revert
from gateway.store import versioned
from gateway.store.contents import Provenance
from gateway.store.edits import Copy, Edit, ImageSetEdit
from gateway.store.protocol import Store
from gateway.store.searches import ImageSetSearch, Match
from tests.store.received import Sent, received, sent, store_sent

# Two patients with the same name but for case and a group, dates missing and odd, several series and modalities.
JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"
STUDIES: list[Sent] = [
    sent("1.1.1.1", "1.1.1", "1.1", StudyDate="20200101", PatientName="Doe^Jane", Modality="CT"),
    sent("1.1.1.2", "1.1.1", "1.1", StudyDate="20200101", PatientName="Doe^Jane", Modality="CT", InstanceNumber="2"),
    sent("1.1.2.1", "1.1.2", "1.1", StudyDate="20200101", PatientName="Doe^Jane", Modality="SR", SeriesNumber="2"),
    sent("1.2.1.1", "1.2.1", "1.2", StudyDate="20200301", PatientName="DOE^JANE^^", PatientID="P2", Modality="MR"),
    sent(
        "1.3.1.1",
        "1.3.1",
        "1.3",
        StudyDate="20200201",
        PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう",
        PatientID="P3",
    ),
    sent(
        *("1.4.1.1", "1.4.1", "1.4"),
        StudyDate="",
        PatientName="",
        PatientID="P4",
        AccessionNumber="A4",
        StudyDescription='CT "Abdomen" [native]*',
    ),
    sent("1.5.1.1", "1.5.1", "1.5", StudyDate="2020.02", PatientName="Dörte", PatientID="P 5", StudyID="S5"),
    sent("1.6.1.1", "1.6.1", "1.6", StudyDate="20200201", PatientName="Doe", PatientID="p1", StudyTime="1200"),
]
ORDER = ["1.2", "1.6", "1.3", "1.1", "1.5", "1.4"]

PATIENT_NAME, PATIENT_ID, STUDY_DATE = ("00100010",), ("00100020",), ("00080020",)
STUDY_UID, SERIES_UID, INSTANCE_UID = ("0020000D",), ("0020000E",), ("00080018",)
MODALITIES, MODALITY = ("00080061",), ("00080060",)
WARNING = ("00081196",)

# A condition, and the studies that meet it, in the order of an answer.
STUDY_CONDITIONS: dict[str, tuple[Condition, list[str]]] = {
    "one UID": (Condition(STUDY_UID, "UI", "uids", ("1.3",)), ["1.3"]),
    "UIDs": (Condition(STUDY_UID, "UI", "uids", ("1.1", "1.2", "9.9")), ["1.2", "1.1"]),
    "PatientID": (Condition(PATIENT_ID, "LO", "single", ("P1",)), ["1.1"]),
    "PatientID with a space": (Condition(PATIENT_ID, "LO", "single", ("P 5",)), ["1.5"]),
    "PatientID wildcard": (Condition(PATIENT_ID, "LO", "wildcard", ("P?",)), ["1.2", "1.3", "1.1", "1.4"]),
    "PatientID infix": (Condition(PATIENT_ID, "LO", "wildcard", ("*1*",)), ["1.6", "1.1"]),
    "PatientID by case": (Condition(PATIENT_ID, "LO", "wildcard", ("p*",)), ["1.6"]),
    "description infix": (Condition(("00081030",), "LO", "wildcard", ("*Abdomen*",)), ["1.4"]),
    "description infix by case": (Condition(("00081030",), "LO", "wildcard", ("*ABDOMEN*",)), []),
    "description in other order": (Condition(("00081030",), "LO", "wildcard", ("*native*Abdomen*",)), []),
    "description with a bracket": (Condition(("00081030",), "LO", "wildcard", ("*[nat?ve]*",)), ["1.4"]),
    "description with a quotation mark": (Condition(("00081030",), "LO", "wildcard", ('*"Abd*',)), ["1.4"]),
    "description": (Condition(("00081030",), "LO", "single", ('CT "Abdomen" [native]*',)), ["1.4"]),
    "AccessionNumber infix": (Condition(("00080050",), "SH", "wildcard", ("*4",)), ["1.4"]),
    "AccessionNumber": (Condition(("00080050",), "SH", "single", ("A4",)), ["1.4"]),
    "StudyID": (Condition(("00200010",), "SH", "single", ("S5",)), ["1.5"]),
    "day": (Condition(STUDY_DATE, "DA", "single", ("20200201",)), ["1.6", "1.3"]),
    "days": (Condition(STUDY_DATE, "DA", "range", ("20200101", "20200201")), ["1.6", "1.3", "1.1"]),
    "from a day on": (Condition(STUDY_DATE, "DA", "range", ("20200202", "")), ["1.2"]),
    "up to a day": (Condition(STUDY_DATE, "DA", "range", ("", "20200131")), ["1.1"]),
    "no StudyDate": (Condition(STUDY_DATE, "DA", "empty"), ["1.4"]),
    "time": (Condition(("00080030",), "TM", "range", ("110000.000000", "130000.000000")), ["1.6"]),
    "name": (Condition(PATIENT_NAME, "PN", "single", ("doe^jane",)), ["1.2", "1.1"]),
    "name wildcard": (Condition(PATIENT_NAME, "PN", "wildcard", ("Doe*",)), ["1.2", "1.6", "1.1"]),
    "name wildcard inside": (Condition(PATIENT_NAME, "PN", "wildcard", ("*jane",)), ["1.2", "1.1"]),
    "name infix": (Condition(PATIENT_NAME, "PN", "wildcard", ("*E^jAn*",)), ["1.2", "1.1"]),
    "name infix of two letters": (Condition(PATIENT_NAME, "PN", "wildcard", ("*an*",)), ["1.2", "1.1"]),
    "name infix with an accent": (Condition(PATIENT_NAME, "PN", "wildcard", ("*ört*",)), ["1.5"]),
    "name infix without the accent": (Condition(PATIENT_NAME, "PN", "wildcard", ("*ort*",)), []),
    "name infix of the physician's": (Condition(PATIENT_NAME, "PN", "wildcard", ("*curi*",)), []),
    "two names fuzzy": (Condition(PATIENT_NAME, "PN", "fuzzy", ("jane doe",)), ["1.2", "1.1"]),
    "name with an empty component": (Condition(PATIENT_NAME, "PN", "wildcard", ("doe^jane^*",)), ["1.2"]),
    "ideographic name": (Condition(PATIENT_NAME, "PN", "wildcard", ("山田*",)), ["1.3"]),
    "phonetic name": (Condition(PATIENT_NAME, "PN", "single", ("やまだ^たろう",)), ["1.3"]),
    "fuzzy name": (Condition(PATIENT_NAME, "PN", "fuzzy", ("dorte",)), ["1.5"]),
    "no name": (Condition(PATIENT_NAME, "PN", "empty"), ["1.4"]),
    "referring physician": (Condition(("00080090",), "PN", "wildcard", ("curie*",)), ORDER),
    "modality": (Condition(MODALITIES, "CS", "single", ("SR",)), ["1.1"]),
    "modality wildcard": (Condition(MODALITIES, "CS", "wildcard", ("?R",)), ["1.2", "1.1"]),
    "number of series": (Condition(("00201206",), "IS", "single", ("2",)), ["1.1"]),
    "an attribute nobody has": (Condition(("00081030",), "LO", "single", ("x",)), []),
}


# Level, attribute, what study 1.3 says of it, what it is edited to and back from, and a search for a value of it.
EDITED_AND_BACK: dict[str, tuple[Level, str, str, str, Callable[[str], Condition]]] = {
    "date": (
        "Study",
        "StudyDate",
        "20200201",
        "20210101",
        lambda value: Condition(STUDY_DATE, "DA", "single", (value,)),
    ),
    "time": ("Study", "StudyTime", "072730", "", lambda value: _time(value)),
    "modality": ("Series", "Modality", "CT", "MR", lambda value: Condition(MODALITIES, "CS", "single", (value,))),
    "patient": ("Patient", "PatientID", "P3", "P1", lambda value: Condition(PATIENT_ID, "LO", "single", (value,))),
    "name": ("Patient", "PatientName", JAPANESE, "Roe", lambda value: _name(value)),
    "accession": ("Study", "AccessionNumber", "A1", "A4", lambda value: _short("00080050", value)),
    "study ID": ("Study", "StudyID", "S1", "S5", lambda value: _short("00200010", value)),
}


def _short(tag: str, value: str) -> Condition:
    return Condition((tag,), "SH", "single", (value,))


def _time(value: str) -> Condition:
    return Condition(("00080030",), "TM", "single" if value else "empty", (value,) if value else ())


def _name(value: str) -> Condition:
    return Condition(PATIENT_NAME, "PN", "wildcard", (f"{value.split('^')[0]}*",))


def _update(level: Level, keyword: str, value: str) -> MetadataUpdates:
    attribute = {"DICOM": {keyword: value or None}}
    levels: dict[Level, dict[str, Any]] = {
        "Patient": {"Patient": attribute},
        "Study": {"Study": attribute},
        "Series": {"Study": {"Series": {"1.3.1": attribute}}},
    }
    return MetadataUpdates({"SchemaVersion": 1.1, **levels[level]})


class SearchTests:
    @pytest.fixture
    async def filled(self, store: Store, datastore_id: str) -> Store:
        for one in STUDIES:
            [outcome] = await store_sent(store, datastore_id, [one])
            assert outcome.error is None and outcome.is_primary
        return store

    @pytest.mark.parametrize("name", STUDY_CONDITIONS)
    async def test_studies_are_found_by(self, filled: Store, datastore_id: str, name: str) -> None:
        """What meets the condition, newest first, and no more."""
        condition, expected = STUDY_CONDITIONS[name]

        page = await filled.search(datastore_id, Query("Study", (condition,)))

        assert [match.study_instance_uid for match in page.matches] == expected
        assert page.remaining == 0

    @pytest.mark.parametrize("level", ["Study", "Series", "Instance"])
    @pytest.mark.parametrize("name", STUDY_CONDITIONS)
    async def test_an_index_answers_as_matching_does(
        self, filled: Store, datastore_id: str, name: str, level: QueryLevel
    ) -> None:
        """A search is what is left of everything when `matches` has looked at it, at each level."""
        condition, _ = STUDY_CONDITIONS[name]
        everything = (await filled.search(datastore_id, Query(level))).matches

        page = await filled.search(datastore_id, Query(level, (condition,)))

        assert page.matches == tuple(match for match in everything if matches_all(match.dataset, (condition,)))

    @pytest.mark.parametrize(
        ("level", "conditions", "expected"),
        [
            ("Series", [Condition(MODALITY, "CS", "single", ("SR",))], ["1.1.2"]),
            ("Series", [Condition(SERIES_UID, "UI", "uids", ("1.1.1", "1.2.1"))], ["1.2.1", "1.1.1"]),
            ("Series", [Condition(STUDY_UID, "UI", "uids", ("1.1",))], ["1.1.1", "1.1.2"]),
            ("Series", [Condition(("00200011",), "IS", "single", ("2",))], ["1.1.2"]),
            ("Series", [Condition(MODALITIES, "CS", "single", ("SR",))], ["1.1.1", "1.1.2"]),
            ("Instance", [Condition(INSTANCE_UID, "UI", "uids", ("1.1.1.2",))], ["1.1.1.2"]),
            ("Instance", [Condition(SERIES_UID, "UI", "uids", ("1.1.1",))], ["1.1.1.1", "1.1.1.2"]),
            ("Instance", [Condition(("00200013",), "IS", "single", ("2",))], ["1.1.1.2"]),
            (
                "Instance",
                [Condition(STUDY_UID, "UI", "uids", ("1.1",)), Condition(MODALITY, "CS", "single", ("CT",))],
                ["1.1.1.1", "1.1.1.2"],
            ),
        ],
    )
    async def test_series_and_instances_are_found(
        self, filled: Store, datastore_id: str, level: QueryLevel, conditions: list[Condition], expected: list[str]
    ) -> None:
        """By their own attributes and by those of the levels above."""
        page = await filled.search(datastore_id, Query(level, tuple(conditions)))

        assert [_uid(match) for match in page.matches] == expected

    @pytest.mark.parametrize("level", ["Study", "Series", "Instance"])
    @pytest.mark.parametrize(
        "conditions",
        [(), (Condition(PATIENT_NAME, "PN", "wildcard", ("*",)),), (Condition(STUDY_DATE, "DA", "range", ("2", "")),)],
        ids=["all", "read", "indexed"],
    )
    async def test_pages_are_exact(
        self, filled: Store, datastore_id: str, level: QueryLevel, conditions: tuple[Condition, ...]
    ) -> None:
        """Pages of any size join into the whole answer, and each says how many matches come after it."""
        whole = (await filled.search(datastore_id, Query(level, conditions))).matches
        assert len(whole) > 3

        for size in (1, 2, len(whole)):
            joined: list[Match] = []
            while True:
                page = await filled.search(datastore_id, Query(level, conditions, limit=size, offset=len(joined)))
                joined += page.matches
                assert page.remaining == len(whole) - len(joined)
                if not page.remaining:
                    break
            assert tuple(joined) == whole
        beyond = await filled.search(datastore_id, Query(level, conditions, limit=5, offset=100))
        assert (beyond.matches, beyond.remaining) == ((), 0)

    async def test_last_change_comes_first_where_that_is_asked(self, filled: Store, datastore_id: str) -> None:
        """By the edit of any series, with and without conditions, whole and in pages; within a study too."""
        first = (await filled.study(datastore_id, "1.1")).primary[0].image_set_id
        name = {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "A"}}}
        await filled.edit(Edit(datastore_id, (ImageSetEdit(first, 2, MetadataUpdates(name)),)))
        some = (Condition(STUDY_DATE, "DA", "range", ("20200101", "20200201")),)
        of_one = (Condition(STUDY_UID, "UI", "uids", ("1.1",)),)

        async def found(level: QueryLevel, conditions: tuple[Condition, ...] = (), **page: Any) -> list[str]:
            matches = (await filled.search(datastore_id, Query(level, conditions, order="updated", **page))).matches
            return [match.sop_instance_uid or match.study_instance_uid for match in matches]

        assert await found("Study") == ["1.1", "1.6", "1.5", "1.4", "1.3", "1.2"]
        assert await found("Study", limit=2, offset=1) == ["1.6", "1.5"]
        assert await found("Study", some) == ["1.1", "1.6", "1.3"]
        assert await found("Instance", of_one) == ["1.1.1.1", "1.1.1.2", "1.1.2.1"]

    @pytest.mark.parametrize(
        ("level", "conditions", "expected"),
        [
            ("Series", (), ["1.2.1", "1.6.1", "1.3.1", "1.1.1", "1.5.1", "1.4.1", "1.1.2"]),
            ("Series", (Condition(STUDY_UID, "UI", "uids", ("1.1",)),), ["1.1.1", "1.1.2"]),
            ("Series", (Condition(MODALITY, "CS", "wildcard", ("?R",)),), ["1.2.1", "1.1.2"]),
            ("Instance", (Condition(STUDY_UID, "UI", "uids", ("1.1",)),), ["1.1.1.1", "1.1.2.1", "1.1.1.2"]),
        ],
    )
    async def test_matches_come_by_number_where_that_is_asked(
        self,
        filled: Store,
        datastore_id: str,
        level: QueryLevel,
        conditions: tuple[Condition, ...],
        expected: list[str],
    ) -> None:
        """From the lowest on, in pages too; as ever where two have the same."""
        order: Order = "SeriesNumber" if level == "Series" else "InstanceNumber"
        wanted = frozenset({"0020000D"})  # without the number itself
        asked = Query(level, conditions, order=order, wanted=wanted)

        whole = await filled.search(datastore_id, asked)
        pages = [
            await filled.search(datastore_id, replace(asked, limit=1, offset=offset)) for offset in range(len(expected))
        ]

        assert [_uid(match) for match in whole.matches] == expected
        assert [_uid(match) for page in pages for match in page.matches] == expected
        assert [page.remaining for page in pages] == list(range(len(expected)))[::-1]

    @pytest.mark.parametrize("conditions", [(), (Condition(MODALITY, "CS", "wildcard", ("*T",)),)])
    async def test_too_many_to_sort_come_newest_first(
        self,
        filled: Store,
        datastore_id: str,
        monkeypatch: pytest.MonkeyPatch,
        conditions: tuple[Condition, ...],
    ) -> None:
        """All of them are read to be sorted, and there is a limit to that."""
        monkeypatch.setattr(versioned, "MOST_NUMBERED", 1)
        newest_first = await filled.search(datastore_id, Query("Series", conditions))

        assert await filled.search(datastore_id, Query("Series", conditions, order="SeriesNumber")) == newest_first

    async def test_instances_are_found_by_what_they_were_stored_with_a_warning_for(
        self, filled: Store, datastore_id: str
    ) -> None:
        """One code of several, or any; what was replaced by bytes without one is not, and an edit changes nothing."""
        await store_sent(filled, datastore_id, [sent("1.7.1.1", "1.7.1", "1.7"), sent("1.7.1.2", "1.7.1", "1.7")])
        [one, _] = await received(filled, [sent("1.7.1.3", "1.7.1", "1.7"), sent("1.7.1.4", "1.7.1", "1.7")])
        odd = [replace(one, warnings=(45328, 45571))]
        [outcome] = await filled.store_instances(datastore_id, odd, Provenance("tester"))
        image_set_id = outcome.image_set_id
        name = {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "A"}}}
        await filled.edit(Edit(datastore_id, (ImageSetEdit(image_set_id, outcome.version, MetadataUpdates(name)),)))

        async def found(kind: Kind, *values: str) -> list[tuple[str | None, tuple[Any, ...]]]:
            query = Query("Instance", (Condition(WARNING, "US" if kind == "single" else "CS", kind, values),))
            matches = (await filled.search(datastore_id, query)).matches
            return [(one.sop_instance_uid, one.dataset["00081196"].values) for one in matches]

        assert await found("single", "45571") == [("1.7.1.3", (45328, 45571))]
        assert await found("wildcard", "*") == [("1.7.1.3", (45328, 45571))]
        assert await found("wildcard", "453??") == [("1.7.1.3", (45328, 45571))]
        assert await found("single", "45056") == []
        await store_sent(filled, datastore_id, [sent("1.7.1.3", "1.7.1", "1.7", PatientName="A", ImageComments="new")])
        assert await found("wildcard", "*") == []

    async def test_coercion_and_uids_are_warnings_to_be_found(self, filled: Store, datastore_id: str) -> None:
        """What the store itself warns of."""
        one = sent("1.1.1.03", "1.1.1", "1.1", StudyDate="20200101", PatientName="Roe")
        [outcome] = await store_sent(filled, datastore_id, [one])

        condition = Condition(WARNING, "CS", "wildcard", ("*",))
        [match] = (await filled.search(datastore_id, Query("Instance", (condition,)))).matches

        assert outcome.warnings == (45056, 45570)
        assert (match.sop_instance_uid, match.dataset["00081196"].values) == ("1.1.1.03", (45056, 45570))

    async def test_a_copy_has_the_warnings_of_its_source(self, filled: Store, datastore_id: str) -> None:
        """Nothing that was stored with a warning becomes sound by being copied."""
        [one] = await received(filled, [sent("1.7.1.1", "1.7.1", "1.7")])
        [outcome] = await filled.store_instances(datastore_id, [replace(one, warnings=(45330,))], Provenance("tester"))

        objects = await filled.objects(datastore_id, outcome.image_set_id)
        copied = await filled.copy(Copy(datastore_id, outcome.image_set_id, 1))
        of_copy = await filled.objects(datastore_id, copied.destination.image_set_id)

        assert [one.warnings for one in (*objects.values(), *of_copy.values())] == [(45330,), (45330,)]

    async def test_a_match_has_its_level_and_those_above(self, filled: Store, datastore_id: str) -> None:
        """With what PS3.18 Tables 10.6.3-3 to 10.6.3-5 add, in ascending order of tags."""
        condition = Condition(STUDY_UID, "UI", "uids", ("1.1",))

        [study] = (await filled.search(datastore_id, Query("Study", (condition,)))).matches
        first, second = (await filled.search(datastore_id, Query("Series", (condition,)))).matches
        instance = (await filled.search(datastore_id, Query("Instance", (condition,)))).matches[1]

        assert {
            tag: study.dataset[tag].values for tag in ("00080056", "00080061", "00080062", "00201206", "00201208")
        } == {
            "00080056": ("ONLINE",),
            "00080061": ("CT", "SR"),
            "00080062": ("1.2.840.10008.5.1.4.1.1.2",),
            "00201206": ("2",),
            "00201208": ("3",),
        }
        assert [one.dataset["00201209"].values for one in (first, second)] == [("2",), ("1",)]
        assert ("00080060" in study.dataset, "00080018" in first.dataset) == (False, False)
        assert instance.dataset["00080018"].values == ("1.1.1.2",)
        assert instance.dataset["00080060"].values == ("CT",)
        assert (instance.study_instance_uid, instance.series_instance_uid) == ("1.1", "1.1.1")
        for match in (study, first, instance):
            assert list(match.dataset) == sorted(match.dataset)

    async def test_an_edit_is_found_at_once(self, filled: Store, datastore_id: str) -> None:
        """By the new value and no longer by the old one."""
        study = await filled.study(datastore_id, "1.3")
        updates = MetadataUpdates(
            {
                "SchemaVersion": 1.1,
                "Patient": {"DICOM": {"PatientID": "P9", "PatientName": "Roe"}},
                "Study": {"DICOM": {"StudyDate": "20210101"}},
            }
        )
        await filled.edit(Edit(datastore_id, (ImageSetEdit(study.primary[0].image_set_id, 1, updates),)))

        for old, new in [
            (Condition(PATIENT_ID, "LO", "single", ("P3",)), Condition(PATIENT_ID, "LO", "single", ("P9",))),
            (Condition(PATIENT_NAME, "PN", "wildcard", ("山*",)), Condition(PATIENT_NAME, "PN", "single", ("roe",))),
        ]:
            assert (await filled.search(datastore_id, Query("Study", (old,)))).matches == ()
            assert len((await filled.search(datastore_id, Query("Study", (new,)))).matches) == 1
        newest = (await filled.search(datastore_id, Query("Study"))).matches[0]
        assert newest.study_instance_uid == "1.3"
        assert await filled.studies_of_patient(datastore_id, "P9") == ["1.3"]

    @pytest.mark.parametrize("name", EDITED_AND_BACK)
    async def test_what_is_edited_and_edited_back_is_found_by_what_it_says(
        self, filled: Store, datastore_id: str, name: str
    ) -> None:
        """Each time by the value it has then, and by no other: study 1.3, among others that stay as they are."""
        level, keyword, first, second, condition = EDITED_AND_BACK[name]
        [member] = (await filled.study(datastore_id, "1.3")).primary

        async def found(value: str) -> bool:
            sought = Query("Study", (condition(value),))
            return "1.3" in [m.study_instance_uid for m in (await filled.search(datastore_id, sought)).matches]

        assert (await found(first), await found(second)) == (True, False)
        for version, now, other in ((1, second, first), (2, first, second), (3, second, first)):
            updates = _update(level, keyword, now)
            await filled.edit(Edit(datastore_id, (ImageSetEdit(member.image_set_id, version, updates),), force=True))
            assert (await found(now), await found(other)) == (True, False), version
        await filled.edit(Edit(datastore_id, (ImageSetEdit(member.image_set_id, 4, Revert(1)),)))
        assert (await found(first), await found(second)) == (True, False)

    async def test_an_edit_and_its_undoing_keep_the_order(self, filled: Store, datastore_id: str) -> None:
        """Newest StudyDate first, whatever was edited between."""
        [member] = (await filled.study(datastore_id, "1.3")).primary

        for version, date, place in ((1, "20990101", 0), (2, "19000101", 3), (3, "20200201", 2)):
            updates = _update("Study", "StudyDate", date)
            await filled.edit(Edit(datastore_id, (ImageSetEdit(member.image_set_id, version, updates),)))
            order = [m.study_instance_uid for m in (await filled.search(datastore_id, Query("Study"))).matches]
            assert order.index("1.3") == place
        assert order == ORDER

    @pytest.mark.parametrize(
        "conditions",
        [
            (),
            (Condition(PATIENT_NAME, "PN", "wildcard", ("*a*",)),),
            (Condition(("00200013",), "IS", "single", ("1",)),),
        ],
        ids=["all", "of a name", "read one by one"],
    )
    @pytest.mark.parametrize(("size", "offset"), [(1, 63), (2, 63), (10, 60), (64, 64), (70, 0), (100, 100), (5, 148)])
    async def test_a_page_of_instances_crosses_parts(
        self, store: Store, datastore_id: str, conditions: tuple[Condition, ...], size: int, offset: int
    ) -> None:
        """Of 150 instances, which lie in three parts, just those of the page, and how many come after it."""
        uids = [f"1.9.1.{number}" for number in range(1, 151)]
        await store_sent(store, datastore_id, [sent(uid, "1.9.1", "1.9") for uid in uids])

        page = await store.search(datastore_id, Query("Instance", conditions, limit=size, offset=offset))

        assert [match.sop_instance_uid for match in page.matches] == uids[offset : offset + size]
        assert page.remaining == max(0, 150 - offset - size)
        assert all(match.dataset["00080018"].values == (match.sop_instance_uid,) for match in page.matches)

    async def test_a_series_that_is_deleted_is_not_counted(self, filled: Store, datastore_id: str) -> None:
        """Modalities and counts are those of what is left."""
        study = await filled.study(datastore_id, "1.1")
        await filled.edit(Edit(datastore_id, (ImageSetEdit(study.primary[1].image_set_id, 1, Delete()),)))

        [match] = (
            await filled.search(datastore_id, Query("Study", (Condition(STUDY_UID, "UI", "uids", ("1.1",)),)))
        ).matches

        assert [match.dataset[tag].values for tag in ("00080061", "00201206", "00201208")] == [("CT",), ("1",), ("2",)]
        assert (
            await filled.search(datastore_id, Query("Study", (Condition(MODALITIES, "CS", "single", ("SR",)),)))
        ).matches == ()

    # -- SearchImageSets

    @pytest.mark.parametrize(
        ("search", "expected"),
        [
            (ImageSetSearch(equal={"DICOMPatientId": "P1"}), ["1.1.2", "1.1.1"]),
            (ImageSetSearch(equal={"DICOMAccessionNumber": "A4"}), ["1.4.1"]),
            (ImageSetSearch(equal={"DICOMStudyId": "S5"}), ["1.5.1"]),
            (ImageSetSearch(equal={"DICOMStudyInstanceUID": "1.1"}, ascending=True), ["1.1.1", "1.1.2"]),
            (ImageSetSearch(equal={"DICOMSeriesInstanceUID": "1.3.1"}), ["1.3.1"]),
            (ImageSetSearch(equal={"isPrimary": False}), []),
            (
                ImageSetSearch(
                    between={"DICOMStudyDateAndTime": ("20200201000000.000000", "20200201110000.000000")},
                    sort_field="DICOMStudyDateAndTime",
                ),
                ["1.3.1"],
            ),
            (ImageSetSearch(sort_field="createdAt", ascending=True, limit=2, offset=1), ["1.1.2", "1.2.1"]),
        ],
        ids=lambda value: (
            next(iter([*value.equal, *value.between]), "page") if isinstance(value, ImageSetSearch) else ""
        ),
    )
    async def test_image_sets_are_found_by(
        self, filled: Store, datastore_id: str, search: ImageSetSearch, expected: list[str]
    ) -> None:
        """Each field HealthImaging searches by, in the order asked for."""
        found = await filled.search_image_sets(datastore_id, search)

        assert [one.version.series_instance_uid for one in found] == expected

    async def test_image_sets_are_found_by_time(self, filled: Store, datastore_id: str) -> None:
        """Both bounds included."""
        newest = (await filled.search_image_sets(datastore_id, ImageSetSearch(limit=1)))[0].version
        at, before = newest.updated_at, newest.updated_at - timedelta(microseconds=1)

        exactly = await filled.search_image_sets(datastore_id, ImageSetSearch(between={"updatedAt": (at, at)}))
        earlier = await filled.search_image_sets(
            datastore_id, ImageSetSearch(between={"updatedAt": (at - timedelta(days=1), before)})
        )

        assert [one.version.image_set_id for one in exactly] == [newest.image_set_id]
        assert newest.image_set_id not in [one.version.image_set_id for one in earlier]
        assert len(earlier) == 6

    async def test_a_match_has_the_tags_that_are_not_empty(self, filled: Store, datastore_id: str) -> None:
        """Spelled as HealthImaging spells them, numbers as numbers."""
        [found] = await filled.search_image_sets(datastore_id, ImageSetSearch(equal={"DICOMPatientId": "P4"}))

        assert found.tags == {
            "DICOMPatientId": "P4",
            "DICOMStudyInstanceUID": "1.4",
            "DICOMStudyId": "S1",
            "DICOMAccessionNumber": "A4",
            "DICOMStudyTime": "072730",
            "DICOMStudyDescription": 'CT "Abdomen" [native]*',
            "DICOMSeriesInstanceUID": "1.4.1",
            "DICOMSeriesModality": "CT",
            "DICOMSeriesNumber": 1,
            "DICOMNumberOfStudyRelatedSeries": 1,
            "DICOMNumberOfStudyRelatedInstances": 1,
        }


def _uid(match: Match) -> str | None:
    return match.sop_instance_uid or match.series_instance_uid
