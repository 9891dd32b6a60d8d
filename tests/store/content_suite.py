"""What every implementation of Store promises of edits of instances and UIDs, of reverts and deletes.

Part of StoreTests.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest

from gateway.errors import (
    ConstraintViolations,
    GatewayError,
    Gone,
    IdempotencyConflict,
    InvalidUpdate,
    VersionConflict,
)
from gateway.metadata.image_set import Delete, Revert
from gateway.store.edits import Answer, Edit, EditResult, Idempotency
from gateway.store.protocol import Store
from tests.store.edits import (
    SERIES_2,
    Change,
    edit_of,
    instance,
    one_image_set,
    patient,
    query,
    series,
    study,
    two_series,
    without,
)
from tests.store.received import STUDY, Sent, sent, store_sent


class ContentTests:
    # -- instances

    async def test_one_instance_of_many_is_edited(self, store: Store, datastore_id: str) -> None:
        """The others, and their order, stay."""
        image_set = await one_image_set(store, datastore_id, 200)

        await store.edit(edit_of(datastore_id, (image_set, 1, instance("1.2.150", InstanceNumber="9"))))

        instances = (await store.metadata(datastore_id, image_set)).instances
        assert list(instances) == [f"1.2.{number}" for number in range(1, 201)]
        assert [uid for uid, one in instances.items() if one["DICOM"]["InstanceNumber"] == "9"] == ["1.2.150"]
        assert (await store.versions(datastore_id, image_set))[0].changed.instances == 1

    async def test_a_removed_instance_is_not_in_the_new_version(self, store: Store, datastore_id: str) -> None:
        """It stays in the old one; stored again, it comes after the others."""
        image_set = await one_image_set(store, datastore_id, 3)

        await store.edit(edit_of(datastore_id, (image_set, 1, without("1.2.2"))))
        assert list((await store.metadata(datastore_id, image_set)).instances) == ["1.2.1", "1.2.3"]
        await store_sent(store, datastore_id, [sent("1.2.2")])

        assert list((await store.objects(datastore_id, image_set)).keys()) == ["1.2.1", "1.2.3", "1.2.2"]
        assert list((await store.metadata(datastore_id, image_set, None, ["1.2.2"])).instances) == ["1.2.2"]
        assert list((await store.metadata(datastore_id, image_set, 1, ["1.2.2"])).instances) == ["1.2.2"]
        assert (await store.metadata(datastore_id, image_set, 2, ["1.2.2"])).instances == {}

    async def test_an_image_set_without_instances_is_deleted(self, store: Store, datastore_id: str) -> None:
        """Removing the last one deletes it; reverting brings it back."""
        image_set = await one_image_set(store, datastore_id)

        await store.edit(edit_of(datastore_id, (image_set, 1, without("1.2.1"))))
        assert (await store.image_set(datastore_id, image_set)).state == "DELETED"
        await store.edit(edit_of(datastore_id, (image_set, 2, Revert(1))))

        assert list((await store.metadata(datastore_id, image_set)).instances) == ["1.2.1"]

    async def test_a_renamed_instance_is_found_by_both_names(self, store: Store, datastore_id: str) -> None:
        """By the new one in the new version, by the old one in the old; its stored bytes are the same."""
        image_set = await one_image_set(store, datastore_id, 100)
        await store.edit(
            edit_of(datastore_id, (image_set, 1, instance("1.2.70", SOPInstanceUID="1.2.700")), force=True)
        )

        new = await store.metadata(datastore_id, image_set, None, ["1.2.70", "1.2.700"])
        old = await store.metadata(datastore_id, image_set, 1, ["1.2.70", "1.2.700"])

        assert (list(new.instances), list(old.instances)) == (["1.2.700"], ["1.2.70"])
        objects = [await store.objects(datastore_id, image_set, version) for version in (1, 2)]
        assert objects[0]["1.2.70"] == objects[1]["1.2.700"]
        assert list(objects[1])[69] == "1.2.700"

    # -- revert and delete

    async def test_a_revert_is_a_new_version_with_the_old_content(self, store: Store, datastore_id: str) -> None:
        """History grows, nothing in it is rewritten."""
        image_set = await one_image_set(store, datastore_id, 3)
        await store.edit(edit_of(datastore_id, (image_set, 1, patient(PatientName="Roe"))))
        await store.edit(edit_of(datastore_id, (image_set, 2, without("1.2.2"))))

        result = await store.edit(edit_of(datastore_id, (image_set, 3, Revert(1))))

        assert result.image_sets[0].version == 4
        assert await store.metadata(datastore_id, image_set, 4) == await store.metadata(datastore_id, image_set, 1)
        assert [(change.level, change.keyword) for change in result.image_sets[0].changes] == [
            ("Patient", "PatientName"),
            ("Instance", None),
        ]
        assert [one.action for one in await store.versions(datastore_id, image_set)][0] == "revert"

    async def test_a_revert_to_what_is_there_makes_no_version(self, store: Store, datastore_id: str) -> None:
        """To the current version, or to one with the same content."""
        image_set = await one_image_set(store, datastore_id)
        await store.edit(edit_of(datastore_id, (image_set, 1, patient(PatientName="Roe"))))
        await store.edit(edit_of(datastore_id, (image_set, 2, Revert(1))))

        for version in (1, 3):
            assert not (await store.edit(edit_of(datastore_id, (image_set, 3, Revert(version))))).changed

    async def test_a_revert_over_instances_that_say_the_same_tells_the_others(
        self, store: Store, datastore_id: str
    ) -> None:
        """Of a part written anew twice, what was edited and edited back is no change; what was edited is one."""
        image_set = await one_image_set(store, datastore_id, 70)
        edits = [("1.2.5", "7"), ("1.2.6", "8"), ("1.2.5", "1"), ("1.2.69", "9"), ("1.2.69", "1")]
        for version, (uid, number) in enumerate(edits, 1):
            await store.edit(edit_of(datastore_id, (image_set, version, instance(uid, InstanceNumber=number))))

        result = await store.edit(edit_of(datastore_id, (image_set, 6, Revert(1))))

        [change] = result.image_sets[0].changes
        assert (change.sop_instance_uid, change.keyword) == ("1.2.6", "InstanceNumber")
        assert orjson.dumps([change.before, change.after]) == b'[{"vr":"IS","Value":[8]},{"vr":"IS","Value":[1]}]'
        assert await store.metadata(datastore_id, image_set) == await store.metadata(datastore_id, image_set, 1)

    async def test_a_revert_to_what_was_edited_back_is_no_change(self, store: Store, datastore_id: str) -> None:
        """Another part has the same text: nothing to see in it, and the instances stay what they are."""
        image_set = await one_image_set(store, datastore_id, 3)
        for version, number in enumerate(("7", "1"), 1):
            await store.edit(edit_of(datastore_id, (image_set, version, instance("1.2.2", InstanceNumber=number))))

        result = await store.edit(edit_of(datastore_id, (image_set, 3, Revert(1))))

        assert [one.changes for one in result.image_sets] in ([], [()])
        assert await store.metadata(datastore_id, image_set) == await store.metadata(datastore_id, image_set, 1)
        assert await store.objects(datastore_id, image_set) == await store.objects(datastore_id, image_set, 1)

    async def test_a_revert_brings_back_the_bytes_too(self, store: Store, datastore_id: str) -> None:
        """An instance sent again with other pixels and the same attributes: nothing to see in the metadata."""
        first, second = sent(), sent()
        image_set = (await store_sent(store, datastore_id, [first]))[0].image_set_id
        await store_sent(store, datastore_id, [Sent(second.dataset, second.body + b"other pixels")])

        result = await store.edit(edit_of(datastore_id, (image_set, 2, Revert(1))))

        assert (result.changed, result.image_sets[0].changes) == (True, ())
        [stored] = (await store.objects(datastore_id, image_set)).values()
        assert await store.read(stored.address) == first.body

    async def test_a_deleted_image_set_can_only_be_reverted(self, store: Store, datastore_id: str) -> None:
        """To a version in which it was there; then everything is as it was."""
        image_set = await one_image_set(store, datastore_id, 2)
        result = await store.edit(edit_of(datastore_id, (image_set, 1, Delete())))
        assert [change.before for change in result.image_sets[0].changes] == [
            {"SOPInstanceUID": "1.2.1"},
            {"SOPInstanceUID": "1.2.2"},
        ]
        assert (await store.search(datastore_id, query("Study"))).matches == ()

        refused: list[tuple[Change, type[GatewayError]]] = [
            (Delete(), Gone), (patient(PatientName="x"), Gone), (Revert(2), InvalidUpdate)
        ]  # fmt: skip
        for change, error in refused:
            with pytest.raises(error):
                await store.edit(edit_of(datastore_id, (image_set, 2, change)))
        await store.edit(edit_of(datastore_id, (image_set, 2, Revert(1))))

        assert await store.metadata(datastore_id, image_set) == await store.metadata(datastore_id, image_set, 1)
        assert len((await store.search(datastore_id, query("Study"))).matches) == 1

    async def test_a_revert_that_would_double_a_series_is_refused(self, store: Store, datastore_id: str) -> None:
        """Two primary image sets of one series cannot be told apart by DICOMweb."""
        image_set = await one_image_set(store, datastore_id)
        await store.edit(edit_of(datastore_id, (image_set, 1, Delete())))
        await store_sent(store, datastore_id, [sent("1.2.1")])

        with pytest.raises(ConstraintViolations) as refused:
            await store.edit(edit_of(datastore_id, (image_set, 2, Revert(1))))

        assert [violation.rule for violation in refused.value.violations] == ["duplicate"]

    # -- UIDs

    async def test_a_series_uid_that_is_taken_is_refused(self, store: Store, datastore_id: str) -> None:
        """With force too: that would not be an edit but a merge."""
        first, _ = await two_series(store, datastore_id)

        with pytest.raises(ConstraintViolations) as refused:
            await store.edit(edit_of(datastore_id, (first, 1, series(SeriesInstanceUID=SERIES_2)), force=True))

        assert [(one.rule, one.force_lifts) for one in refused.value.violations] == [("duplicate", False)]

    async def test_a_study_uid_moves_an_image_set(self, store: Store, datastore_id: str) -> None:
        """Out of the one study and into the other, both with one version more, and back by a revert."""
        first, second = await two_series(store, datastore_id)
        change = (second, 1, study(StudyInstanceUID="1.9.9"))

        result = await store.edit(edit_of(datastore_id, change, force=True))

        assert (result.study_instance_uid, result.study_version) == ("1.9.9", 1)
        assert [m.image_set_id for m in (await store.study(datastore_id, STUDY)).members] == [first]
        assert [m.image_set_id for m in (await store.study(datastore_id, "1.9.9")).members] == [second]
        assert (await store.study(datastore_id, STUDY)).version == 2
        assert [m.image_set_id for m in (await store.study(datastore_id, STUDY, 1)).members] == [first, second]
        await store.edit(edit_of(datastore_id, (second, 2, Revert(1))))
        assert [m.image_set_id for m in (await store.study(datastore_id, STUDY)).members] == [first, second]
        with pytest.raises(Gone):
            await store.study(datastore_id, "1.9.9")

    async def test_a_whole_study_moves_into_another(self, store: Store, datastore_id: str) -> None:
        """All image sets at once, in one version of each study; the empty one is gone and keeps its past."""
        first, second = await two_series(store, datastore_id)
        [other] = await store_sent(store, datastore_id, [sent("1.5", "1.5.5", "1.9.9")])
        changes = [(one, 1, study(StudyInstanceUID="1.9.9")) for one in (first, second)]

        result = await store.edit(edit_of(datastore_id, *changes, force=True))

        assert (result.study_instance_uid, result.study_version) == ("1.9.9", 2)
        members = {member.image_set_id for member in (await store.study(datastore_id, "1.9.9")).members}
        assert members == {first, second, other.image_set_id}
        with pytest.raises(Gone):
            await store.study(datastore_id, STUDY)
        matches = (await store.search(datastore_id, query("Study"))).matches
        assert [match.study_instance_uid for match in matches] == ["1.9.9"]

    # -- idempotency

    async def test_an_answer_is_remembered_with_its_edit(self, store: Store, datastore_id: str) -> None:
        """Made from the result, kept under the key, given again for the same request only."""
        image_set = await one_image_set(store, datastore_id)

        def remember(result: EditResult) -> Answer:
            return Answer(200, {"ETag": f'"{result.study_version}"'}, b"done")

        key = Idempotency("key", "digest", remember)
        assert await store.remembered(datastore_id, "key", "digest") is None

        await store.edit(edit_of(datastore_id, (image_set, 1, patient(PatientName="Roe")), idempotency=key))

        assert await store.remembered(datastore_id, "key", "digest") == Answer(200, {"ETag": '"2"'}, b"done")
        with pytest.raises(IdempotencyConflict):
            await store.remembered(datastore_id, "key", "other")

    async def test_an_edit_that_changes_nothing_is_remembered_too(self, store: Store, datastore_id: str) -> None:
        """A refused one is not, nor is a dry run."""
        image_set = await one_image_set(store, datastore_id)

        async def kept(name: str, *change: Any, **options: Any) -> bool:
            key = Idempotency(name, "digest", lambda result: Answer(200, {}, b""))
            with suppress(VersionConflict):
                await store.edit(edit_of(datastore_id, (image_set, *change), idempotency=key, **options))
            return await store.remembered(datastore_id, name, "digest") is not None

        assert await kept("same", 1, patient(PatientName="Doe^Jane"))
        assert not await kept("stale", 7, patient(PatientName="Roe"))
        assert not await kept("dry", 1, patient(PatientName="Roe"), dry_run=True)

    async def test_an_edit_of_no_image_set_is_refused(self, store: Store, datastore_id: str) -> None:
        """There is no study it would be about."""
        with pytest.raises(InvalidUpdate):
            await store.edit(Edit(datastore_id, ()))
