"""What a Store says of the files of instances: which of them a version has as they came."""

from __future__ import annotations

import pytest

from gateway.errors import Gone
from gateway.metadata.image_set import Delete, Head, Revert
from gateway.store.protocol import Store
from tests.store.edits import edit_of, instance, one_image_set, patient
from tests.store.received import EXPLICIT_VR_LITTLE_ENDIAN, sent, store_sent


async def received(
    store: Store, datastore_id: str, image_set: str, version: int | None = None
) -> tuple[Head, dict[str, Head | None]]:
    """Return a version's head, and the heads that its instances came with."""
    found = await store.files(datastore_id, image_set, version)
    return found.head, {file.sop_instance_uid: file.received for file in found.instances}


def name(head: Head | None) -> object:
    return head and head.patient["DICOM"]["PatientName"]


class FilesTests:
    async def test_files_that_were_not_edited_are_as_they_came(self, store: Store, datastore_id: str) -> None:
        """Each has the version's very head, its object and its transfer syntax, in document order, across parts."""
        image_set = await one_image_set(store, datastore_id, 130)

        found = await store.files(datastore_id, image_set)

        assert all(file.received is found.head for file in found.instances)
        objects = await store.objects(datastore_id, image_set)
        assert {file.sop_instance_uid: file.stored for file in found.instances} == objects
        assert [file.sop_instance_uid for file in found.instances] == list(objects)
        assert {file.transfer_syntax_uid for file in found.instances} == {EXPLICIT_VR_LITTLE_ENDIAN}
        [one] = (await store.files(datastore_id, image_set, None, ["1.2.90", "9.9"])).instances
        assert one.sop_instance_uid == "1.2.90"

    async def test_after_an_edit_of_the_head_files_say_the_old_one(self, store: Store, datastore_id: str) -> None:
        """The version has the new name and its files the old one; version 1, and a revert to it, are as they came."""
        image_set = await one_image_set(store, datastore_id, 2)
        await store.edit(edit_of(datastore_id, (image_set, 1, patient(PatientName="Roe"))))
        await store.edit(edit_of(datastore_id, (image_set, 2, Revert(1))))

        head, files = await received(store, datastore_id, image_set, 2)
        assert name(head) == "Roe" and [name(file) for file in files.values()] == ["Doe^Jane"] * 2
        for version in (1, 3):
            head, files = await received(store, datastore_id, image_set, version)
            assert all(file is head for file in files.values())

    async def test_a_file_whose_instance_was_edited_is_none_of_them(self, store: Store, datastore_id: str) -> None:
        """Its neighbours in the same part still are, with the head edited as well."""
        image_set = await one_image_set(store, datastore_id, 3)
        await store.edit(edit_of(datastore_id, (image_set, 1, instance("1.2.2", InstanceNumber="7"))))

        head, files = await received(store, datastore_id, image_set)
        assert files == {"1.2.1": head, "1.2.2": None, "1.2.3": head}

        await store.edit(edit_of(datastore_id, (image_set, 2, patient(PatientName="Roe"))))
        head, files = await received(store, datastore_id, image_set)
        assert {uid: name(file) for uid, file in files.items()} == {
            "1.2.1": "Doe^Jane",
            "1.2.2": None,
            "1.2.3": "Doe^Jane",
        }

    async def test_an_instance_stored_again_is_as_it_came_the_second_time(
        self, store: Store, datastore_id: str
    ) -> None:
        """Its file is the second one, and version 1 still has the first."""
        image_set = await one_image_set(store, datastore_id, 2)
        [first, _] = (await store.files(datastore_id, image_set)).instances
        await store_sent(store, datastore_id, [sent("1.2.1", InstanceNumber="8")])

        now = await store.files(datastore_id, image_set)

        assert [file.received is now.head for file in now.instances] == [True, True]
        assert now.instances[0].stored.sha256 != first.stored.sha256
        assert (await store.files(datastore_id, image_set, 1)).instances[0].stored == first.stored

    async def test_an_instance_that_was_coerced_is_not_as_it_came(self, store: Store, datastore_id: str) -> None:
        """It says another name than its image set, which its file does not."""
        image_set = await one_image_set(store, datastore_id, 1)
        await store_sent(store, datastore_id, [sent("1.2.9", PatientName="Doe^Jane^Q")])

        head, files = await received(store, datastore_id, image_set)

        assert files == {"1.2.1": head, "1.2.9": None}

    async def test_a_deleted_version_has_no_files(self, store: Store, datastore_id: str) -> None:
        """It is gone, and the version before still has them."""
        image_set = await one_image_set(store, datastore_id)
        await store.edit(edit_of(datastore_id, (image_set, 1, Delete())))

        with pytest.raises(Gone):
            await store.files(datastore_id, image_set)
        assert len((await store.files(datastore_id, image_set, 1)).instances) == 1
