"""What Objects promises, run against every implementation."""

from __future__ import annotations

import pytest

from gateway.errors import ObjectRefused, ObjectsFailed
from gateway.store.objects.protocol import PIECE, Objects


async def listed(objects: Objects, prefix: str = "") -> list[tuple[str, int]]:
    return [(entry.key, entry.size) async for entry in objects.entries(prefix)]


async def content(objects: Objects, key: str) -> bytes:
    return b"".join([piece async for piece in objects.read(key)])


class ObjectsTests:
    """A subclass gives `objects`, an empty bucket; `missing`, one that is not there; and `put`, which writes an object
    without any method of Objects."""

    async def put(self, objects: Objects, key: str, value: bytes) -> None:
        raise NotImplementedError

    async def test_object_is_read_as_it_was_put(self, objects: Objects) -> None:
        """Byte for byte, in pieces that are not too large."""
        value = bytes(range(256)) * 10_000
        await self.put(objects, "ct/1.dcm", value)

        pieces = [piece async for piece in objects.read("ct/1.dcm")]

        assert b"".join(pieces) == value
        assert max(map(len, pieces)) <= PIECE

    async def test_empty_object_has_no_bytes(self, objects: Objects) -> None:
        """It is listed, and read."""
        await self.put(objects, "empty.dcm", b"")

        assert await listed(objects) == [("empty.dcm", 0)]
        assert await content(objects, "empty.dcm") == b""

    async def test_everything_below_a_prefix_is_listed(self, objects: Objects) -> None:
        """Folders within folders too, with their sizes. Not every S3 has an order."""
        for key in ("in/b.dcm", "in/a/2.dcm", "in/a/1.dcm", "in/a.dcm", "other/c.dcm"):
            await self.put(objects, key, b"x" * len(key))

        assert sorted(await listed(objects, "in/")) == [
            ("in/a.dcm", 8),
            ("in/a/1.dcm", 10),
            ("in/a/2.dcm", 10),
            ("in/b.dcm", 8),
        ]

    async def test_prefix_of_one_object_lists_it(self, objects: Objects) -> None:
        """A prefix need not be a folder."""
        await self.put(objects, "in/b.dcm", b"b")

        assert await listed(objects, "in/b.dcm") == [("in/b.dcm", 1)]

    @pytest.mark.parametrize("key", ["a b.dcm", "ü%41+&=?#.dcm", "検査/1.dcm"])
    async def test_keys_are_texts(self, objects: Objects, key: str) -> None:
        """No character of a key means anything but itself."""
        await self.put(objects, key, b"x")

        assert await listed(objects) == [(key, 1)]
        assert await content(objects, key) == b"x"

    async def test_entry_knows_its_folder(self, objects: Objects) -> None:
        """The folder is what comes before the last slash."""
        await self.put(objects, "in/a/1.dcm", b"x")

        assert [entry.folder async for entry in objects.entries("in/")] == ["in/a"]

    async def test_object_that_is_not_there_is_refused(self, objects: Objects) -> None:
        """Others can be read, so this is no failure of the bucket; and its name is not told."""
        await self.put(objects, "there.dcm", b"x")

        with pytest.raises(ObjectRefused) as refused:
            await content(objects, "DOE^JANE.dcm")

        assert "DOE" not in str(refused.value)

    async def test_written_object_is_there_and_replaces(self, objects: Objects) -> None:
        """Written whole; the folders above it need not be there before."""
        await objects.write("out/SUCCESS/success.ndjson", b"first")
        await objects.write("out/SUCCESS/success.ndjson", b"second")

        assert await listed(objects) == [("out/SUCCESS/success.ndjson", 6)]
        assert await content(objects, "out/SUCCESS/success.ndjson") == b"second"

    async def test_bucket_that_is_not_there_fails(self, missing: Objects) -> None:
        """Neither listing nor writing."""
        with pytest.raises(ObjectsFailed):
            await listed(missing)
        with pytest.raises(ObjectsFailed):
            await missing.write("a.txt", b"x")
