"""What every implementation of Store promises of edits. Part of StoreTests."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from gateway.errors import (
    ConstraintViolations,
    GatewayError,
    InvalidUpdate,
    NotFound,
    TooLarge,
    VersionConflict,
)
from gateway.metadata.image_set import Delete, MetadataUpdates, Revert
from gateway.store.contents import Provenance
from gateway.store.edits import EditResult
from gateway.store.protocol import Store
from tests.store.edits import (
    SERIES_2,
    Change,
    edit_of,
    instance,
    one_image_set,
    patient,
    series,
    study,
    two_series,
    value,
)
from tests.store.received import SERIES, STUDY, sent, store_sent


class EditingTests:
    async def test_an_edit_makes_one_version(self, store: Store, datastore_id: str) -> None:
        """Of the image set and of the study; the old ones stay as they were."""
        image_set = await one_image_set(store, datastore_id)
        who = Provenance("amy", "typing error", "CORRECT", "form 7")

        result = await store.edit(
            edit_of(datastore_id, (image_set, 1, patient(PatientName="Roe^Jane")), provenance=who)
        )

        assert (result.study_instance_uid, result.study_version, result.changed) == (STUDY, 2, True)
        [changed] = result.image_sets
        assert (changed.version, changed.changed, [c.keyword for c in changed.changes]) == (2, True, ["PatientName"])
        assert await value(store, datastore_id, image_set, "PatientName") == "Roe^Jane"
        assert await value(store, datastore_id, image_set, "PatientName", 1) == "Doe^Jane"
        newest, oldest = await store.versions(datastore_id, image_set)
        assert (newest.version, newest.action, newest.workflow_status) == (2, "update", "UPDATED")
        assert (newest.provenance, newest.forced, newest.study_version) == (who, False, 2)
        assert dict(newest.changed.keys) == {"Patient": ("PatientName",)}
        assert oldest.created_at == newest.created_at <= newest.updated_at

    @pytest.mark.parametrize(
        "updates",
        [patient(PatientName="Doe^Jane"), instance("1.2.1", InstanceNumber=" 1 "), study(), patient(PatientID="P1")],
        ids=["same value", "padding", "nothing", "same key"],
    )
    async def test_an_edit_that_changes_nothing_makes_no_version(
        self, store: Store, datastore_id: str, updates: MetadataUpdates
    ) -> None:
        """The answer says so, with the version there is."""
        image_set = await one_image_set(store, datastore_id)

        result = await store.edit(edit_of(datastore_id, (image_set, 1, updates)))

        assert (result.changed, result.study_version, result.image_sets[0].version) == (False, 1, 1)
        assert len(await store.versions(datastore_id, image_set)) == 1
        assert len(await store.study_versions(datastore_id, STUDY)) == 1

    async def test_an_edit_from_an_old_version_conflicts(self, store: Store, datastore_id: str) -> None:
        """Of two edits made from version 1, the first becomes version 2 and the second is told so."""
        image_set = await one_image_set(store, datastore_id)
        await store.edit(edit_of(datastore_id, (image_set, 1, patient(PatientName="Roe"))))

        for version in (1, 3):
            with pytest.raises(VersionConflict) as conflict:
                await store.edit(edit_of(datastore_id, (image_set, version, patient(PatientName="Poe"))))
            assert (conflict.value.expected, conflict.value.actual) == (version, 2)
        assert await value(store, datastore_id, image_set, "PatientName") == "Roe"

    async def test_of_32_edits_from_one_version_one_wins(self, store: Store, datastore_id: str) -> None:
        """One is version 2, 31 conflict, and version 2 is the winner's."""
        image_set = await one_image_set(store, datastore_id)

        outcomes = await asyncio.gather(
            *(store.edit(edit_of(datastore_id, (image_set, 1, patient(PatientName=f"N{n}")))) for n in range(32)),
            return_exceptions=True,
        )

        winners = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, EditResult)]
        assert len(winners) == 1
        assert sum(isinstance(outcome, VersionConflict) for outcome in outcomes) == 31
        assert await value(store, datastore_id, image_set, "PatientName") == f"N{winners[0]}"
        assert len(await store.versions(datastore_id, image_set)) == 2

    async def test_edits_of_different_image_sets_do_not_conflict(self, store: Store, datastore_id: str) -> None:
        """Eight series of one study edited at once, each from its version: all become version 2."""
        outcomes = await store_sent(
            store, datastore_id, [sent(f"1.2.{n}", f"1.3.{n}", SeriesNumber=str(n)) for n in range(1, 9)]
        )

        await asyncio.gather(
            *(
                store.edit(edit_of(datastore_id, (one.image_set_id, 1, series(one.series_instance_uid, Modality="MR"))))
                for one in outcomes
            )
        )

        assert [(await store.image_set(datastore_id, one.image_set_id)).version for one in outcomes] == [2] * 8
        assert (await store.study(datastore_id, STUDY)).version == 9

    async def test_a_study_changes_as_a_whole_or_not_at_all(self, store: Store, datastore_id: str) -> None:
        """One bad edit of several, and nothing of any is written."""
        first, second = await two_series(store, datastore_id)
        good = (first, 1, patient(PatientName="Roe"))

        refused: list[tuple[tuple[str, int, Change], type[GatewayError]]] = [
            ((second, 1, study(PatientName="wrong level")), ConstraintViolations),
            ((second, 2, patient(PatientName="Roe")), VersionConflict),
            (("9" * 32, 1, patient(PatientName="Roe")), NotFound),
            ((first, 1, patient(PatientName="Poe")), InvalidUpdate),
            ((second, 1, Revert(7)), NotFound),
        ]
        for bad, error in refused:
            with pytest.raises(error):
                await store.edit(edit_of(datastore_id, good, bad))

        assert len(await store.changes(datastore_id, 0, 100)) == 2
        assert (await store.study(datastore_id, STUDY)).version == 1

    async def test_the_violations_of_all_image_sets_are_told_at_once(self, store: Store, datastore_id: str) -> None:
        """Not one after the other, a round trip each."""
        first, second = await two_series(store, datastore_id)

        with pytest.raises(ConstraintViolations) as refused:
            await store.edit(
                edit_of(
                    datastore_id,
                    (first, 1, study(PatientName="x")),
                    (second, 1, series(SERIES_2, StudyID="y", PatientID="z")),
                )
            )

        assert [violation.rule for violation in refused.value.violations] == ["level"] * 3

    async def test_the_version_of_the_study_is_checked_where_it_is_named(self, store: Store, datastore_id: str) -> None:
        """An edit made from a study version fails when any image set of the study changed since."""
        first, second = await two_series(store, datastore_id)
        await store.edit(edit_of(datastore_id, (second, 1, series(SERIES_2, Modality="MR"))))

        with pytest.raises(VersionConflict) as conflict:
            await store.edit(edit_of(datastore_id, (first, 1, patient(PatientName="Roe")), study_version=1))
        assert (conflict.value.expected, conflict.value.actual) == (1, 2)

        await store.edit(edit_of(datastore_id, (first, 1, patient(PatientName="Roe")), study_version=2))

    async def test_force_is_recorded_and_lifts_what_force_lifts(self, store: Store, datastore_id: str) -> None:
        """Refused without it; with it, the version says that it was forced."""
        image_set = await one_image_set(store, datastore_id)
        change = (image_set, 1, study(StudyID="S9"))

        with pytest.raises(ConstraintViolations) as refused:
            await store.edit(edit_of(datastore_id, change))
        await store.edit(edit_of(datastore_id, change, force=True))

        assert [violation.force_lifts for violation in refused.value.violations] == [True]
        assert [version.forced for version in await store.versions(datastore_id, image_set)] == [True, False]
        assert (await store.study(datastore_id, STUDY)).forced

    async def test_an_edit_leaves_no_more_metadata_than_may_be(self, store: Store, datastore_id: str) -> None:
        """What would have more is refused and changes nothing; a deletion never has."""
        image_set = await one_image_set(store, datastore_id, 70)
        size = len(gzip.decompress(await store.metadata_gzip(datastore_id, image_set)))
        longer = study(StudyDescription="x" * 60)

        with pytest.raises(TooLarge):
            await store.edit(edit_of(datastore_id, (image_set, 1, longer), most_metadata=size // 2))
        await store.edit(edit_of(datastore_id, (image_set, 1, longer), most_metadata=size + 100))
        await store.edit(edit_of(datastore_id, (image_set, 2, Delete()), most_metadata=1))

        assert [one.state for one in await store.versions(datastore_id, image_set)] == ["DELETED", "ACTIVE", "ACTIVE"]

    async def test_a_dry_run_writes_nothing_and_tells_everything(self, store: Store, datastore_id: str) -> None:
        """The changes it would make, the constraints it meets, and those that force would leave."""
        image_set = await one_image_set(store, datastore_id)

        liftable = await store.edit(edit_of(datastore_id, (image_set, 1, study(StudyID="S9")), dry_run=True))
        never = await store.edit(edit_of(datastore_id, (image_set, 1, study(PatientName="x")), dry_run=True))

        assert [len(liftable.violations), len(liftable.violations_with_force)] == [1, 0]
        assert [change.keyword for change in liftable.image_sets[0].changes] == ["StudyID"]
        assert (liftable.study_version, liftable.image_sets[0].version) == (2, 2)
        assert [len(never.violations), len(never.violations_with_force)] == [1, 1]
        assert (await store.study(datastore_id, STUDY)).version == 1
        assert len(await store.changes(datastore_id, 0, 100)) == 1

    async def test_a_study_edit_goes_to_every_primary_image_set(self, store: Store, datastore_id: str) -> None:
        """includeStudyImageSets: Patient and Study level to all of them, Series level to the one named."""
        first, second = await two_series(store, datastore_id)
        [odd] = await store_sent(store, datastore_id, [sent("1.2.5", PatientID="P2")])
        document = {
            "SchemaVersion": 1.1,
            "Patient": {"DICOM": {"PatientName": "Roe"}},
            "Study": {"DICOM": {"StudyTime": "1200"}, "Series": {SERIES: {"DICOM": {"SeriesDescription": "Thorax"}}}},
        }

        result = await store.edit(
            edit_of(datastore_id, (first, 1, MetadataUpdates(document)), include_study_image_sets=True)
        )

        assert [(one.image_set_id, one.version) for one in result.image_sets] == [(first, 2), (second, 2)]
        assert [await value(store, datastore_id, one, "PatientName") for one in (first, second)] == ["Roe", "Roe"]
        assert [await value(store, datastore_id, one, "StudyTime") for one in (first, second)] == ["1200", "1200"]
        assert [await value(store, datastore_id, one, "SeriesDescription") for one in (first, second)] == [
            "Thorax",
            None,
        ]
        assert (await store.image_set(datastore_id, odd.image_set_id)).version == 1
        with pytest.raises(InvalidUpdate):
            await store.edit(edit_of(datastore_id, (first, 2, Revert(1)), include_study_image_sets=True))
