"""What every implementation of Store promises of storing instances. Part of StoreTests."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from gateway.errors import (
    InvalidRequest,
    InvalidUid,
    NotFound,
    StorageFailed,
    TooLarge,
)
from gateway.metadata.image_set import Delete
from gateway.store.contents import Provenance
from gateway.store.protocol import Store
from tests.store.edits import (
    SERIES_2,
    edit_of,
    one_image_set,
    patient,
    query,
    value,
)
from tests.store.received import STUDY, received, sent, store_sent, with_bulk, written_to_pack


class StoringTests:
    async def test_the_instances_of_a_series_are_one_primary_image_set(self, store: Store, datastore_id: str) -> None:
        """Three instances, one image set in version 1, one version of the study."""
        outcomes = await store_sent(store, datastore_id, [sent(f"1.2.{number}") for number in (1, 2, 3)])

        assert {(one.image_set_id, one.version, one.is_primary, one.warnings) for one in outcomes} == {
            (outcomes[0].image_set_id, 1, True, ())
        }
        stored = await store.image_set(datastore_id, outcomes[0].image_set_id)
        assert (stored.version, stored.instance_count, stored.workflow_status) == (1, 3, "CREATED")
        assert list((await store.metadata(datastore_id, stored.image_set_id)).instances) == ["1.2.1", "1.2.2", "1.2.3"]
        assert (await store.study(datastore_id, STUDY)).version == 1

    async def test_instances_that_come_later_join_their_series(self, store: Store, datastore_id: str) -> None:
        """One version more, the old instances first; another series is another image set of the study."""
        image_set = await one_image_set(store, datastore_id, 2)

        later = await store_sent(store, datastore_id, [sent("1.2.3"), sent("1.2.9", SERIES_2, SeriesNumber="2")])

        assert (later[0].image_set_id, later[0].version) == (image_set, 2)
        assert (later[1].image_set_id != image_set, later[1].version) == (True, 1)
        assert list((await store.metadata(datastore_id, image_set)).instances) == ["1.2.1", "1.2.2", "1.2.3"]
        study = await store.study(datastore_id, STUDY)
        assert [(member.image_set_id, member.version) for member in study.members] == [
            (image_set, 2),
            (later[1].image_set_id, 1),
        ]

    async def test_a_series_of_many_parts_grows(self, store: Store, datastore_id: str) -> None:
        """Stored in pieces of any size, a series has every instance once, in the order they came."""
        for start, end in [(1, 60), (60, 70), (70, 71), (71, 300)]:
            await store_sent(store, datastore_id, [sent(f"1.2.{number}") for number in range(start, end)])

        study = await store.study(datastore_id, STUDY)
        metadata = await store.metadata(datastore_id, study.primary[0].image_set_id)
        assert list(metadata.instances) == [f"1.2.{number}" for number in range(1, 300)]
        assert study.version == 4

    async def test_the_same_bytes_again_change_nothing(self, store: Store, datastore_id: str) -> None:
        """A modality that sends twice makes no version, and is told where the instance is."""
        image_set = await one_image_set(store, datastore_id)

        [again] = await store_sent(store, datastore_id, [sent("1.2.1")])

        assert (again.image_set_id, again.version, again.warnings) == (image_set, 1, ())
        assert (await store.study(datastore_id, STUDY)).version == 1

    async def test_the_same_bytes_do_not_undo_a_correction(self, store: Store, datastore_id: str) -> None:
        """An instance sent again after its PatientID was corrected is where it was, corrected."""
        image_set = await one_image_set(store, datastore_id)
        await store.edit(edit_of(datastore_id, (image_set, 1, patient(PatientID="P2"))))

        [again] = await store_sent(store, datastore_id, [sent("1.2.1")])

        assert (again.image_set_id, again.version) == (image_set, 2)
        assert await value(store, datastore_id, image_set, "PatientID") == "P2"

    async def test_another_version_of_an_instance_replaces_it(self, store: Store, datastore_id: str) -> None:
        """The same SOP Instance UID with other bytes: version 2 has the new ones, version 1 the old ones."""
        image_set = await one_image_set(store, datastore_id, 3)

        [again] = await store_sent(store, datastore_id, [sent("1.2.2", InstanceNumber="22")])

        assert (again.image_set_id, again.version) == (image_set, 2)
        numbers = [
            [
                one["DICOM"]["InstanceNumber"]
                for one in (await store.metadata(datastore_id, image_set, v)).instances.values()
            ]
            for v in (1, 2)
        ]
        assert numbers == [["1", "1", "1"], ["1", "22", "1"]]
        old, new = [(await store.objects(datastore_id, image_set, v))["1.2.2"].sha256 for v in (1, 2)]
        assert old != new

    async def test_the_stored_bytes_are_the_bytes_that_came(self, store: Store, datastore_id: str) -> None:
        """Instances and large values are read back byte for byte, in every version."""
        one = with_bulk(sent(), bytes(range(256)) * 100)
        [outcome] = await store_sent(store, datastore_id, [one])
        image_set = outcome.image_set_id

        [stored] = (await store.objects(datastore_id, image_set)).values()
        [(uri, data)] = (one.bulk or {}).items()

        assert await store.read(stored.address) == one.body
        assert await store.read(await store.bulk_data(datastore_id, image_set, uri)) == data
        [metadata] = (await store.metadata(datastore_id, image_set)).instances.values()
        assert metadata["DICOM"]["00091001"] == {"BulkDataURI": uri}
        with pytest.raises(NotFound):
            await store.bulk_data(datastore_id, image_set, "0" * 32)

    # HealthImaging's grouping elements, devguide "understanding-image-sets".
    @pytest.mark.parametrize(
        ("keyword", "other"),
        [
            ("StudyDate", "20040120"),
            ("AccessionNumber", "A2"),
            ("PatientID", "P2"),
            ("StudyID", "S2"),
            ("SeriesNumber", "2"),
        ],
    )
    async def test_an_instance_that_contradicts_the_keys_is_not_primary(
        self, store: Store, datastore_id: str, keyword: str, other: str
    ) -> None:
        """It goes into an image set of its own that DICOMweb does not see, with a warning; its like joins it."""
        image_set = await one_image_set(store, datastore_id)

        odd, like = [
            (await store_sent(store, datastore_id, [sent(uid, **{keyword: other})]))[0] for uid in ("1.2.8", "1.2.9")
        ]

        assert (odd.is_primary, odd.warnings, odd.version) == (False, (0xB020,), 1)
        assert odd.image_set_id != image_set
        assert (like.image_set_id, like.version) == (odd.image_set_id, 2)
        assert [member.image_set_id for member in (await store.study(datastore_id, STUDY)).primary] == [image_set]
        assert len((await store.search(datastore_id, query("Instance"))).matches) == 1

    async def test_an_instance_is_coerced_to_its_image_set(self, store: Store, datastore_id: str) -> None:
        """Where it differs in what is no key, the image set's value stands, and its own is kept and told."""
        image_set = await one_image_set(store, datastore_id)

        [outcome] = await store_sent(store, datastore_id, [sent("1.2.9", PatientName="Doe^J", StudyTime="")])

        assert (outcome.image_set_id, outcome.version) == (image_set, 2)
        assert outcome.warnings == (0xB000,)
        assert outcome.original["00100010"].values == ("Doe^J",)
        metadata = await store.metadata(datastore_id, image_set)
        assert metadata.head.patient["DICOM"]["PatientName"] == "Doe^Jane"
        originals: Any = metadata.instances["1.2.9"]["DICOM"]["OriginalAttributesSequence"]
        assert [one["ModifiedAttributesSequence"][0]["PatientName"] for one in originals] == ["Doe^J"]

    async def test_each_instance_of_a_request_is_coerced_by_itself(self, store: Store, datastore_id: str) -> None:
        """One that says otherwise leaves those before and after it as they came."""
        instances = [sent("1.2.1"), sent("1.2.2", PatientName="Doe^J"), sent("1.2.3"), sent("1.2.4", StudyTime="1200")]

        outcomes = await store_sent(store, datastore_id, instances)

        assert [outcome.warnings for outcome in outcomes] == [(), (0xB000,), (), (0xB000,)]
        metadata = await store.metadata(datastore_id, outcomes[0].image_set_id)
        kept = [uid for uid, one in metadata.instances.items() if "OriginalAttributesSequence" in one["DICOM"]]
        assert kept == ["1.2.2", "1.2.4"]

    @pytest.mark.parametrize("size", [0, 2_000_000], ids=["small", "large"])
    async def test_a_pack_is_committed_before_a_version_names_it(
        self, store: Store, datastore_id: str, size: int
    ) -> None:
        """What is stored can be read; of a pack that cannot be committed nothing is stored."""
        first = with_bulk(sent("1.2.1"), bytes(size) + b"value")
        pack, [instance] = await written_to_pack(store, [first])
        lost, lost_instances = await written_to_pack(store, [sent("1.2.2")])
        await lost.discard()

        await store.store_instances(datastore_id, [instance], Provenance("tester"), pack)
        with pytest.raises(StorageFailed):
            await store.store_instances(datastore_id, lost_instances, Provenance("tester"), lost)

        [member] = (await store.study(datastore_id, STUDY)).members
        [uri] = first.bulk or {}
        stored = (await store.objects(datastore_id, member.image_set_id))["1.2.1"]
        assert await store.read(stored.address) == first.body
        value = await store.read(await store.bulk_data(datastore_id, member.image_set_id, uri))
        assert hashlib.sha256(value).hexdigest()[:32] == uri
        assert [one.sop_instance_uid for one in (await store.search(datastore_id, query("Instance"))).matches] == [
            "1.2.1"
        ]

    async def test_one_refused_instance_does_not_stop_the_others(self, store: Store, datastore_id: str) -> None:
        """Outcomes come in the order of the instances, each with its own error."""
        broken = sent("1.2.2")
        del broken.dataset["0020000D"]
        outcomes = await store_sent(store, datastore_id, [sent("1.2.1"), broken, sent("../etc"), sent("1.2.3")])

        assert [type(outcome.error) for outcome in outcomes] == [type(None), InvalidRequest, InvalidUid, type(None)]
        assert [outcome.version for outcome in outcomes] == [1, 0, 0, 1]

    @pytest.mark.parametrize("uid", ["1.02.3", "1..2", "1." + "2" * 64, ".1", "1."])
    async def test_an_irregular_uid_is_stored_with_a_warning(self, store: Store, datastore_id: str, uid: str) -> None:
        """Archives are full of UIDs that break PS3.5 section 9.1; HealthImaging takes them."""
        [outcome] = await store_sent(store, datastore_id, [sent(uid)])

        assert (outcome.error, outcome.warnings) == (None, (45570,))

    async def test_a_study_whose_metadata_grow_too_large_is_refused(self, store: Store, datastore_id: str) -> None:
        """All of its instances, and none of another study; without the limit they are stored."""
        many = [sent(f"1.2.{number}", study="1.0") for number in range(70)]
        instances = await received(store, [*many, sent("1.3.1", study="1.1")])

        outcomes = await store.store_instances(datastore_id, instances, Provenance(), most_metadata=5000)
        again = await store.store_instances(datastore_id, instances, Provenance())

        assert [type(outcome.error) for outcome in outcomes] == [TooLarge] * 70 + [type(None)]
        assert all(outcome.error is None for outcome in again)

    async def test_stores_that_come_together_are_each_by_itself(self, store: Store, datastore_id: str) -> None:
        """Of three at once, one to a series that there is refused: the others are stored, and what comes next too."""
        await store_sent(store, datastore_id, [sent("1.2.1"), sent("1.4.1", study="1.9")])

        async def refused() -> None:
            pack, written = await written_to_pack(store, [sent("1.2.2")])
            [outcome] = await store.store_instances(datastore_id, written, Provenance(), pack, most_metadata=10)
            assert outcome.error is not None

        for number in (3, 4, 5):
            await asyncio.gather(
                refused(),
                store_sent(store, datastore_id, [sent(f"1.2.{number}")]),
                store_sent(store, datastore_id, [sent(f"1.4.{number}", study="1.9")]),
            )

        for study, begins, version in ((STUDY, "1.2", 4), ("1.9", "1.4", 4)):
            found = await store.study(datastore_id, study)
            metadata = await store.metadata(datastore_id, found.primary[0].image_set_id)
            assert list(metadata.instances) == [f"{begins}.{number}" for number in (1, 3, 4, 5)]
            assert (found.version, found.primary[0].version) == (version, version)

    async def test_one_request_with_several_studies(self, store: Store, datastore_id: str) -> None:
        """Each study gets one version, whatever the order of its instances."""
        outcomes = await store_sent(store, datastore_id, [sent(f"1.2.{n}", study=f"1.{n % 2}") for n in range(6)])

        assert [outcome.study_instance_uid for outcome in outcomes] == ["1.0", "1.1"] * 3
        assert [(await store.study(datastore_id, uid)).version for uid in ("1.0", "1.1")] == [1, 1]

    async def test_requests_at_once_lose_nothing(self, store: Store, datastore_id: str) -> None:
        """A modality with 16 associations: every instance is in the series, each request made one version."""
        await asyncio.gather(*(store_sent(store, datastore_id, [sent(f"1.2.{n}")]) for n in range(1, 17)))

        study = await store.study(datastore_id, STUDY)
        [member] = study.members
        metadata = await store.metadata(datastore_id, member.image_set_id)
        assert sorted(metadata.instances) == sorted(f"1.2.{n}" for n in range(1, 17))
        assert (study.version, member.version) == (16, 16)

    async def test_a_deleted_series_that_comes_again_is_a_new_image_set(self, store: Store, datastore_id: str) -> None:
        """What was deleted stays deleted."""
        image_set = await one_image_set(store, datastore_id)
        await store.edit(edit_of(datastore_id, (image_set, 1, Delete())))

        [again] = await store_sent(store, datastore_id, [sent("1.2.1")])

        assert (again.image_set_id != image_set, again.version, again.is_primary) == (True, 1, True)
        assert (await store.image_set(datastore_id, image_set)).state == "DELETED"
