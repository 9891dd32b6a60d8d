"""What every Store promises of tags."""

from __future__ import annotations

import pytest

from gateway.errors import InvalidRequest, NotFound
from gateway.metadata.image_set import Delete
from gateway.store.contents import MAX_TAGS
from gateway.store.protocol import Store
from tests.store.edits import edit_of, one_image_set


class TagsTests:
    async def test_tags_are_set_and_taken_away(self, store: Store, datastore_id: str) -> None:
        """A tag that is there gets its new value; one that is not there can be taken away all the same."""
        image_set = await one_image_set(store, datastore_id)
        await store.retag(datastore_id, image_set, add={"a": "1", "b": "2"})

        await store.retag(datastore_id, image_set, add={"b": "3", "c": ""}, remove=["a", "z"])

        assert await store.tags(datastore_id, image_set) == {"b": "3", "c": ""}

    async def test_a_data_store_and_its_image_sets_have_their_own_tags(self, store: Store) -> None:
        """Those of a data store are the ones it was created with, until they are changed."""
        datastore_id = (await store.create_datastore("one", {}, {"team": "ct"})).datastore_id
        image_set = await one_image_set(store, datastore_id)
        await store.retag(datastore_id, image_set, add={"team": "mr"})
        await store.retag(datastore_id, add={"site": "B"})

        assert await store.tags(datastore_id) == {"team": "ct", "site": "B"}
        assert (await store.datastore(datastore_id)).tags == {"team": "ct", "site": "B"}
        assert await store.tags(datastore_id, image_set) == {"team": "mr"}

    async def test_tags_make_no_version_and_survive_deletion(self, store: Store, datastore_id: str) -> None:
        """They are of the image set, not of a version of it."""
        image_set = await one_image_set(store, datastore_id)
        await store.retag(datastore_id, image_set, add={"a": "1"})
        await store.edit(edit_of(datastore_id, (image_set, 1, Delete())))

        assert await store.tags(datastore_id, image_set) == {"a": "1"}
        assert [version.version for version in await store.versions(datastore_id, image_set)] == [2, 1]

    async def test_there_is_a_limit_to_tags(self, store: Store, datastore_id: str) -> None:
        """Fifty fit; of one request that has too many, none is set. Replacing one is no more than there were."""
        full = {f"k{number}": "" for number in range(MAX_TAGS)}
        await store.retag(datastore_id, add=full)

        await store.retag(datastore_id, add={"k0": "new", "new": ""}, remove=["k1"])
        with pytest.raises(InvalidRequest):
            await store.retag(datastore_id, add={"k1": "", "k2": "other"})

        assert len(await store.tags(datastore_id)) == 50
        assert (await store.tags(datastore_id))["k2"] == ""

    async def test_what_is_not_there_has_no_tags(self, store: Store, datastore_id: str) -> None:
        """An unknown data store or image set is not found, and one of another data store neither."""
        other = (await store.create_datastore("other", {}, {})).datastore_id
        image_set = await one_image_set(store, other)

        for resource in [("0" * 32, None), (datastore_id, "0" * 32), (datastore_id, image_set)]:
            with pytest.raises(NotFound):
                await store.tags(*resource)
            with pytest.raises(NotFound):
                await store.retag(*resource, add={"a": "1"})
