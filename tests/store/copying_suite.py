"""What every Store promises of copying instances between image sets. Part of StoreTests."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest

from gateway.errors import Gone, InvalidRequest, NotFound, TooLarge, VersionConflict
from gateway.metadata.document import to_document
from gateway.metadata.image_set import Delete
from gateway.store.contents import Provenance
from gateway.store.edits import Copy, Destination
from gateway.store.protocol import Store
from tests.store.edits import (
    SERIES_2,
    edit_of,
    instance,
    one_image_set,
    patient,
    query,
    study,
    two_series,
    value,
)
from tests.store.received import STUDY, sent, store_sent, with_bulk

AMY = Provenance("amy", "merge")


async def copied(store: Store, datastore_id: str, source: str, latest: int = 1, **options: Any) -> Any:
    """Copy, and return the result's destination."""
    return (await store.copy(Copy(datastore_id, source, latest, provenance=AMY, **options))).destination


async def contradicting(store: Store, datastore_id: str) -> tuple[str, str]:
    """Store two instances of a series whose PatientID differ; return the primary image set and the other one."""
    first, second = await store_sent(store, datastore_id, [sent("1.2.1"), sent("1.2.2", PatientID="P9")])
    assert (first.is_primary, second.is_primary) == (True, False)
    return first.image_set_id, second.image_set_id


class CopyingTests:
    async def test_a_copy_is_an_image_set_of_its_own(self, store: Store, datastore_id: str) -> None:
        """It has the source's content and bytes, is COPIED, version 1, not primary, and says where it is from."""
        source = await one_image_set(store, datastore_id, 70)

        result = await store.copy(Copy(datastore_id, source, 1, provenance=AMY))

        copy = result.destination
        assert (copy.version, copy.state, copy.workflow_status) == (1, "ACTIVE", "COPIED")
        assert (copy.is_primary, copy.forced, copy.action, copy.provenance) == (False, False, "copy", AMY)
        assert (copy.copied_from, copy.message, copy.instance_count) == ((source, 1), None, 70)
        assert (result.source.image_set_id, result.source.version) == (source, 1)
        assert await content(store, datastore_id, copy.image_set_id) == await content(store, datastore_id, source)
        assert await bytes_of(store, datastore_id, copy.image_set_id) == await bytes_of(store, datastore_id, source)

    async def test_a_copy_makes_one_version_of_the_study(self, store: Store, datastore_id: str) -> None:
        """The study has one member more; DICOMweb sees nothing of it."""
        source = await one_image_set(store, datastore_id, 2)

        copy = await copied(store, datastore_id, source)

        now = await store.study(datastore_id, STUDY)
        assert (now.version, now.action) == (2, "copy")
        assert [(member.image_set_id, member.version) for member in now.members] == [
            (source, 1),
            (copy.image_set_id, 1),
        ]
        assert [member.image_set_id for member in now.primary] == [source]
        page = await store.search(datastore_id, query("Instance"))
        assert len(page.matches) == 2

    async def test_a_copy_and_its_source_are_edited_apart(self, store: Store, datastore_id: str) -> None:
        """What is said of one is not said of the other, and the latest version is what is copied."""
        source = await one_image_set(store, datastore_id)
        await store.edit(edit_of(datastore_id, (source, 1, patient(PatientName="Roe"))))
        copy = await copied(store, datastore_id, source, 2)

        await store.edit(edit_of(datastore_id, (copy.image_set_id, 1, patient(PatientName="Poe"))))
        await store.edit(edit_of(datastore_id, (source, 2, Delete())))

        assert await value(store, datastore_id, copy.image_set_id, "PatientName", 1) == "Roe"
        assert await value(store, datastore_id, copy.image_set_id, "PatientName") == "Poe"

    async def test_bulk_data_goes_with_its_instance(self, store: Store, datastore_id: str) -> None:
        """A large value of an instance that was copied is read under the copy."""
        big = b"\x07" * 9000
        [one] = await store_sent(store, datastore_id, [with_bulk(sent(), big)])
        copy = await copied(store, datastore_id, one.image_set_id)

        [metadata] = (await store.metadata(datastore_id, copy.image_set_id)).instances.values()
        uri: Any = metadata["DICOM"]["00091001"]
        address = await store.bulk_data(datastore_id, copy.image_set_id, uri["BulkDataURI"])

        assert await store.read(address) == big

    async def test_some_instances_are_copied(self, store: Store, datastore_id: str) -> None:
        """Those that are named, in the order of the document; one that is not there copies none."""
        source = await one_image_set(store, datastore_id, 130)

        copy = await copied(store, datastore_id, source, instances=frozenset({"1.2.129", "1.2.3"}))
        with pytest.raises(InvalidRequest):
            await copied(store, datastore_id, source, instances=frozenset({"1.2.3", "1.2.999"}))

        assert list((await store.metadata(datastore_id, copy.image_set_id)).instances) == ["1.2.3", "1.2.129"]
        assert (await store.study(datastore_id, STUDY)).version == 2

    async def test_a_copy_joins_a_destination(self, store: Store, datastore_id: str) -> None:
        """The destination has one version more, its own instances first."""
        source = await one_image_set(store, datastore_id, 3)
        split = await copied(store, datastore_id, source, instances=frozenset({"1.2.2"}))

        merged = await copied(
            store,
            datastore_id,
            source,
            instances=frozenset({"1.2.1", "1.2.3"}),
            destination=Destination(split.image_set_id, 1),
        )

        assert (merged.image_set_id, merged.version, merged.workflow_status) == (split.image_set_id, 2, "COPIED")
        assert list((await store.metadata(datastore_id, split.image_set_id)).instances) == ["1.2.2", "1.2.1", "1.2.3"]
        assert len((await store.metadata(datastore_id, split.image_set_id, 1)).instances) == 1

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            (
                {"series": SERIES_2, "SeriesNumber": "2"},
                "INVALID_REQUEST:  Series of SourceImageSet and DestinationImageSet don't match.",
            ),
            (
                {"study": f"{STUDY}.9"},
                "INVALID_REQUEST:  Study of SourceImageSet and DestinationImageSet don't match.",
            ),
            (
                {"PatientID": "P9"},
                "INVALID_REQUEST:  Metadata of SourceImageSet and DestinationImageSet is not consistent: "
                "Patient PatientID",
            ),
        ],
        ids=["series", "study", "attribute"],
    )
    async def test_a_copy_that_contradicts_its_destination_fails_there(
        self, store: Store, datastore_id: str, source: dict[str, str], message: str
    ) -> None:
        """A version of the destination says so and has the content it had; the source has none."""
        first, second = await store_sent(store, datastore_id, [sent("1.2.1"), sent("1.2.2", **source)])
        before = await content(store, datastore_id, first.image_set_id)

        failed = await copied(store, datastore_id, second.image_set_id, destination=Destination(first.image_set_id, 1))

        assert (failed.version, failed.state, failed.workflow_status) == (2, "ACTIVE", "COPY_FAILED")
        assert failed.message == message
        assert await content(store, datastore_id, first.image_set_id) == before
        assert len(await store.versions(datastore_id, second.image_set_id)) == 1
        await store.edit(edit_of(datastore_id, (first.image_set_id, 2, patient(PatientName="Roe"))))

    async def test_force_keeps_what_the_destination_says(self, store: Store, datastore_id: str) -> None:
        """Patient, Study and Series stay; the instance keeps what it said in Original Attributes Sequence."""
        primary, other = await contradicting(store, datastore_id)

        merged = await copied(store, datastore_id, other, destination=Destination(primary, 1), force=True)

        assert (merged.workflow_status, merged.forced) == ("COPIED", True)
        assert await value(store, datastore_id, primary, "PatientID") == "P1"
        instances: Any = (await store.metadata(datastore_id, primary)).instances
        [item] = instances["1.2.2"]["DICOM"]["OriginalAttributesSequence"]
        assert item["ModifiedAttributesSequence"] == [{"PatientID": "P9"}]
        assert item["ReasonForTheAttributeModification"] == "COERCE"
        assert "OriginalAttributesSequence" not in instances["1.2.1"]["DICOM"]

    async def test_an_instance_that_is_there_already_fails_even_with_force(
        self, store: Store, datastore_id: str
    ) -> None:
        """SOP Instance UIDs are unique in an image set."""
        source = await one_image_set(store, datastore_id, 2)
        split = await copied(store, datastore_id, source, instances=frozenset({"1.2.1"}))

        failed = await copied(store, datastore_id, source, destination=Destination(split.image_set_id, 1), force=True)

        assert failed.workflow_status == "COPY_FAILED"
        assert failed.message == (
            "INVALID_REQUEST:  SOP Instance UIDs are not unique: 1 of SourceImageSet are in DestinationImageSet"
        )

    async def test_a_stale_version_is_refused(self, store: Store, datastore_id: str) -> None:
        """Of the source or of the destination; then nothing is done."""
        first, second = await two_series(store, datastore_id)
        await store.edit(edit_of(datastore_id, (first, 1, patient(PatientName="Roe"))))
        before = await store.study(datastore_id, STUDY)

        with pytest.raises(VersionConflict):
            await copied(store, datastore_id, first, 1)
        with pytest.raises(VersionConflict):
            await copied(store, datastore_id, second, 1, destination=Destination(first, 1), force=True)

        assert await store.study(datastore_id, STUDY) == before

    async def test_what_is_not_there_is_not_copied(self, store: Store, datastore_id: str) -> None:
        """An unknown or deleted image set is neither source nor destination, and one is not copied into itself."""
        first, second = await two_series(store, datastore_id)
        await store.edit(edit_of(datastore_id, (first, 1, Delete())))

        with pytest.raises(NotFound):
            await copied(store, datastore_id, "0" * 32)
        with pytest.raises(Gone):
            await copied(store, datastore_id, first, 2)
        with pytest.raises(Gone):
            await copied(store, datastore_id, second, destination=Destination(first, 2))
        with pytest.raises(NotFound):
            await copied(store, datastore_id, second, destination=Destination("0" * 32, 1))
        with pytest.raises(InvalidRequest):
            await copied(store, datastore_id, second, destination=Destination(second, 1))

    async def test_a_copy_has_no_more_metadata_than_it_may(self, store: Store, datastore_id: str) -> None:
        """Of the copy, or of the destination afterwards; what would have is refused, and nothing is made."""
        source = await one_image_set(store, datastore_id, 70)
        size = len(gzip.decompress(await store.metadata_gzip(datastore_id, source)))

        with pytest.raises(TooLarge):
            await store.copy(Copy(datastore_id, source, 1, most_metadata=size // 2))
        await store.copy(Copy(datastore_id, source, 1, most_metadata=size))

        assert len(await store.changes(datastore_id, 0, 10)) == 2

    async def test_a_copy_takes_a_thousand_frames(self, store: Store, datastore_id: str) -> None:
        """Frames of multi-frame instances count, each; of many instances some can still be copied."""
        at_most = [sent("1.2.1", NumberOfFrames="999 "), sent("1.2.2")]
        [fits, _] = await store_sent(store, datastore_id, at_most)
        [large] = await store_sent(store, datastore_id, [sent("1.2.3", SERIES_2, NumberOfFrames="1001")])
        many = await store_sent(store, datastore_id, [sent(f"1.3.{n}", study=f"{STUDY}.3") for n in range(1001)])

        await copied(store, datastore_id, fits.image_set_id)
        for image_set in (large.image_set_id, many[0].image_set_id):
            with pytest.raises(TooLarge):
                await copied(store, datastore_id, image_set)
        some = await copied(store, datastore_id, many[0].image_set_id, instances=frozenset({"1.3.1000"}))

        assert some.instance_count == 1

    # -- promotion

    async def test_an_image_set_that_was_corrected_is_promoted(self, store: Store, datastore_id: str) -> None:
        """It joins the primary image set of its series, and DICOMweb sees its instances."""
        primary, other = await contradicting(store, datastore_id)
        await store.edit(edit_of(datastore_id, (other, 1, patient(PatientID="P1"))))

        promoted = await copied(store, datastore_id, other, 2, promote=True)

        assert (promoted.image_set_id, promoted.version, promoted.is_primary) == (primary, 2, True)
        assert promoted.workflow_status == "COPIED"
        assert list((await store.metadata(datastore_id, primary)).instances) == ["1.2.1", "1.2.2"]
        assert (await store.image_set(datastore_id, other)).is_primary is False

    async def test_the_first_image_set_of_a_series_becomes_a_new_primary_one(
        self, store: Store, datastore_id: str
    ) -> None:
        """With an id of its own: that of the source stays what it is."""
        await one_image_set(store, datastore_id)
        [other] = await store_sent(store, datastore_id, [sent("1.2.9", SERIES_2, PatientID="P9")])
        await store.edit(edit_of(datastore_id, (other.image_set_id, 1, patient(PatientID="P1"))))

        promoted = await copied(store, datastore_id, other.image_set_id, 2, promote=True)

        assert (promoted.version, promoted.is_primary) == (1, True)
        assert promoted.image_set_id != other.image_set_id
        primary = (await store.study(datastore_id, STUDY)).primary
        assert promoted.image_set_id in {member.image_set_id for member in primary}

    async def test_a_contradiction_is_not_promoted(self, store: Store, datastore_id: str) -> None:
        """What differs is named, and nothing is done; of a primary image set there is nothing to promote."""
        primary, other = await contradicting(store, datastore_id)

        with pytest.raises(InvalidRequest, match="another PatientID$"):
            await copied(store, datastore_id, other, promote=True)
        with pytest.raises(InvalidRequest):
            await copied(store, datastore_id, primary, promote=True)
        with pytest.raises(InvalidRequest):
            await copied(store, datastore_id, other, promote=True, destination=Destination(primary, 1))

        assert (await store.study(datastore_id, STUDY)).version == 1

    async def test_force_promotes_a_contradiction(self, store: Store, datastore_id: str) -> None:
        """The instances say then what the study says, a series without a primary image set gets one."""
        primary, other = await contradicting(store, datastore_id)
        [lone] = await store_sent(store, datastore_id, [sent("1.2.9", SERIES_2, PatientID="P9")])

        joined = await copied(store, datastore_id, other, promote=True, force=True)
        made = await copied(store, datastore_id, lone.image_set_id, promote=True, force=True)

        assert (joined.image_set_id, joined.is_primary, joined.forced) == (primary, True, True)
        assert (made.version, made.is_primary, made.forced) == (1, True, True)
        assert await value(store, datastore_id, made.image_set_id, "PatientID") == "P1"

    async def test_a_promoted_instance_replaces_its_older_self(self, store: Store, datastore_id: str) -> None:
        """As one that is received again does; the version before still has the older one."""
        first, again = await store_sent(
            store, datastore_id, [sent("1.2.1"), sent("1.2.1", PatientID="P9", InstanceNumber="7")]
        )
        await store.edit(edit_of(datastore_id, (again.image_set_id, 1, patient(PatientID="P1"))))

        await copied(store, datastore_id, again.image_set_id, 2, promote=True)

        numbers = [
            (await store.metadata(datastore_id, first.image_set_id, version)).instances["1.2.1"]["DICOM"]
            for version in (1, 2)
        ]
        assert [attributes["InstanceNumber"] for attributes in numbers] == ["1", "7"]

    async def test_what_the_keys_do_not_say_is_coerced(self, store: Store, datastore_id: str) -> None:
        """Another PatientName is no contradiction: the instance takes the primary image set's, and keeps its own."""
        primary, other = await contradicting(store, datastore_id)
        await store.edit(edit_of(datastore_id, (other, 1, patient(PatientID="P1", PatientName="Roe"))))

        await copied(store, datastore_id, other, 2, promote=True)

        instances: Any = (await store.metadata(datastore_id, primary)).instances
        [item] = instances["1.2.2"]["DICOM"]["OriginalAttributesSequence"]
        assert item["ModifiedAttributesSequence"] == [{"PatientName": "Roe"}]

    # -- races, failures

    async def test_of_two_copies_into_one_version_one_wins(self, store: Store, datastore_id: str) -> None:
        """The destination's version is what both were made for."""
        source = await one_image_set(store, datastore_id, 3)
        split = await copied(store, datastore_id, source, instances=frozenset({"1.2.1"}))
        into = Destination(split.image_set_id, 1)

        outcomes = await asyncio.gather(
            *(
                copied(store, datastore_id, source, instances=frozenset({uid}), destination=into)
                for uid in ("1.2.2", "1.2.3")
            ),
            return_exceptions=True,
        )

        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ImageSetVersion", "VersionConflict"]
        assert (await store.image_set(datastore_id, split.image_set_id)).instance_count == 2

    async def test_a_failure_is_a_version_with_the_content_there_was(self, store: Store, datastore_id: str) -> None:
        """UPDATE_FAILED, ACTIVE, with its message; the next edit is made from it."""
        image_set = await one_image_set(store, datastore_id)
        before = await content(store, datastore_id, image_set)

        failed = await store.record_failure(datastore_id, image_set, 1, "it does not fit", AMY)
        with pytest.raises(VersionConflict):
            await store.record_failure(datastore_id, image_set, 1, "again", AMY)
        await store.edit(edit_of(datastore_id, (image_set, 2, instance("1.2.1", InstanceNumber="2"))))

        assert (failed.version, failed.state, failed.workflow_status) == (2, "ACTIVE", "UPDATE_FAILED")
        assert (failed.message, failed.provenance, failed.instance_count) == ("it does not fit", AMY, 1)
        assert await content(store, datastore_id, image_set, 2) == before
        assert (await store.image_set(datastore_id, image_set)).version == 3

    async def test_a_copy_is_moved_and_searched_like_any_other(self, store: Store, datastore_id: str) -> None:
        """An edit of the copy's study UID takes it out of the study it was copied in."""
        source = await one_image_set(store, datastore_id)
        copy = await copied(store, datastore_id, source)

        await store.edit(edit_of(datastore_id, (copy.image_set_id, 1, study(StudyInstanceUID="1.9")), force=True))

        assert [member.image_set_id for member in (await store.study(datastore_id, STUDY)).members] == [source]
        assert [member.image_set_id for member in (await store.study(datastore_id, "1.9")).members] == [
            copy.image_set_id
        ]


async def content(store: Store, datastore_id: str, image_set_id: str, version: int | None = None) -> dict[str, Any]:
    """Return a version's document without its ids."""
    return to_document("", "", await store.metadata(datastore_id, image_set_id, version))


async def bytes_of(store: Store, datastore_id: str, image_set_id: str) -> dict[str, bytes]:
    """Return the stored bytes of every instance."""
    objects = await store.objects(datastore_id, image_set_id)
    return {uid: bytes(await store.read(stored.address)) for uid, stored in objects.items()}
