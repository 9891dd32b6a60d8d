"""What every implementation of Blobs promises. A backend's test file subclasses BlobsTests and gives `blobs`."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.errors import StorageFailed
from gateway.store.blobs.protocol import Address, Blobs, Pack


async def written(blobs: Blobs, *pieces: bytes) -> Pack:
    """Return a pack with pieces written to it, not committed."""
    pack = await blobs.new_pack()
    for piece in pieces:
        await pack.write(piece)
    return pack


class BlobsTests:
    async def test_what_was_committed_is_read_back(self, blobs: Blobs) -> None:
        """The bytes at an address are the bytes that were written there."""
        pack = await written(blobs, b"first", b"second")
        await pack.commit()

        assert bytes(await blobs.read(Address(pack.name, 0, 5))) == b"first"
        assert bytes(await blobs.read(Address(pack.name, 5, 6))) == b"second"
        assert bytes(await blobs.read(Address(pack.name, 3, 4))) == b"stse"

    async def test_the_size_of_a_pack_is_the_offset_of_the_next_write(self, blobs: Blobs) -> None:
        """A writer learns from `size` where its bytes will lie."""
        pack = await blobs.new_pack()
        assert pack.size == 0

        await pack.write(bytearray(b"abc"))
        await pack.write(memoryview(b"de"))

        assert pack.size == 5
        await pack.discard()

    async def test_packs_have_names_of_their_own(self, blobs: Blobs) -> None:
        """A name is 32 hex digits, and no two packs share one."""
        packs = [await blobs.new_pack() for _ in range(3)]

        assert len({pack.name for pack in packs}) == 3
        assert all(len(pack.name) == 32 and int(pack.name, 16) >= 0 for pack in packs)
        for pack in packs:
            await pack.discard()

    async def test_bytes_can_be_viewed_before_the_commit(self, blobs: Blobs) -> None:
        """A STOW request is parsed while it is being stored."""
        pack = await written(blobs, b"x" * 10_000, b"needle", b"y" * 10)

        assert bytes(await pack.view(10_000, 6)) == b"needle"
        await pack.write(b"more")
        assert bytes(await pack.view(10_016, 4)) == b"more"
        await pack.discard()

    async def test_a_thread_writes_and_looks_as_others_do(self, blobs: Blobs) -> None:
        """Small and large pieces, by both ways in turn, lie one after the other."""
        pack = await written(blobs, b"a" * 3)

        pack.append(b"b" * 70_000)
        pack.append(memoryview(b"cc"))
        await pack.write(b"d" * 2_000_000)
        pack.append(b"ee")

        assert (pack.size, bytes(pack.look(70_003, 2)), bytes(pack.look(2_070_005, 2))) == (2_070_007, b"cc", b"ee")
        assert bytes(pack.look(2, 2)) == bytes(await pack.view(2, 2)) == b"ab"
        await pack.commit()
        assert bytes(await blobs.read(Address(pack.name, 70_002, 4))) == b"bccd"

    async def test_a_view_outlives_the_commit(self, blobs: Blobs) -> None:
        """What was parsed from a view stays what it was."""
        pack = await written(blobs, b"abcdef")
        view = await pack.view(2, 3)

        await pack.commit()

        assert bytes(view) == b"cde"

    async def test_a_view_stays_what_it_was_while_more_is_written(self, blobs: Blobs) -> None:
        """However much comes after it, and whatever becomes of the pack."""
        pack = await written(blobs, b"abcdef")
        view = await pack.view(2, 3)

        for size in (1, 1000, 70_000, 2_000_000):
            await pack.write(b"x" * size)
            assert bytes(view) == b"cde"

        assert bytes(await pack.view(2, 5)) == b"cdefx"
        with pytest.raises(TypeError):
            view[0] = 0
        await pack.discard()
        assert bytes(view) == b"cde"

    async def test_bytes_not_written_yet_cannot_be_viewed(self, blobs: Blobs) -> None:
        """A view beyond the end is an error, not zeros."""
        pack = await written(blobs, b"abc")

        with pytest.raises(StorageFailed):
            await pack.view(1, 3)
        await pack.discard()

    async def test_a_discarded_pack_is_forgotten(self, blobs: Blobs) -> None:
        """Nothing of a request that failed can be read."""
        pack = await written(blobs, b"abc")

        await pack.discard()

        with pytest.raises(StorageFailed):
            await blobs.read(Address(pack.name, 0, 3))

    async def test_a_pack_is_not_readable_before_its_commit(self, blobs: Blobs) -> None:
        """An address means something only when the bytes are durable."""
        pack = await written(blobs, b"abc")

        with pytest.raises(StorageFailed):
            await blobs.read(Address(pack.name, 0, 3))
        await pack.discard()

    async def test_discarding_a_committed_pack_does_nothing(self, blobs: Blobs) -> None:
        """A handler can discard in `finally`, whatever happened before."""
        pack = await written(blobs, b"abc")
        await pack.commit()

        await pack.discard()

        assert bytes(await blobs.read(Address(pack.name, 0, 3))) == b"abc"

    async def test_committing_twice_does_nothing_more(self, blobs: Blobs) -> None:
        """The second commit finds everything done."""
        pack = await written(blobs, b"abc")

        await pack.commit()
        await pack.commit()

        assert bytes(await blobs.read(Address(pack.name, 0, 3))) == b"abc"

    async def test_an_address_beyond_the_end_of_a_pack_is_an_error(self, blobs: Blobs) -> None:
        """A pack that is shorter than the log says is damage, and said so."""
        pack = await written(blobs, b"abc")
        await pack.commit()

        with pytest.raises(StorageFailed):
            await blobs.read(Address(pack.name, 1, 3))

    @pytest.mark.parametrize("name", ["0" * 32, "../../../../etc/passwd", "", "0" * 31, "A" * 32, "0" * 31 + "/"])
    async def test_a_pack_that_is_not_there_is_an_error(self, blobs: Blobs, name: str) -> None:
        """Neither an unknown name nor one that is no name reaches another file."""
        with pytest.raises(StorageFailed):
            await blobs.read(Address(name, 0, 1))

    async def test_nothing_of_a_pack_can_be_read_as_nothing(self, blobs: Blobs) -> None:
        """An address of length 0 is an empty value."""
        pack = await written(blobs, b"abc")
        await pack.commit()

        assert bytes(await blobs.read(Address(pack.name, 3, 0))) == b""

    async def test_many_packs_can_be_read_in_turn(self, blobs: Blobs) -> None:
        """Reading is not bounded by how many packs are kept open."""
        packs = [await written(blobs, b"%03d" % number) for number in range(80)]
        for pack in packs:
            await pack.commit()

        for _ in range(2):
            for number, pack in enumerate(packs):
                assert await blobs.read(Address(pack.name, 0, 3)) == b"%03d" % number

    # -- small packs that join others

    async def test_a_small_pack_joins_others(self, blobs: Blobs) -> None:
        """Its bytes lie where it says, whoever joined before, and no write of others changes them."""
        packs = [await written(blobs, b"%d" % number * (number * 1000 + 7)) for number in range(6)]
        addresses = []
        for pack in packs:
            assert pack.is_small
            joined = await asyncio.to_thread(pack.join)
            await asyncio.to_thread(joined.sync)
            addresses.append(joined.moved(Address(pack.name, 2, pack.size - 2)))
            assert await blobs.read(addresses[-1]) == b"%d" % (len(addresses) - 1) * (pack.size - 2)

        assert [bytes(await blobs.read(address)) for address in addresses] == [
            b"%d" % number * (number * 1000 + 5) for number in range(6)
        ]
        assert len({address.pack for address in addresses}) == 1

    async def test_packs_that_join_at_once_do_not_mix(self, blobs: Blobs) -> None:
        """Four threads; one sync of the last serves all that joined before it."""
        packs = [await written(blobs, bytes([number]) * 5000) for number in range(64)]

        with ThreadPoolExecutor(4) as threads:
            joined = list(threads.map(lambda pack: pack.join(), packs))
            list(threads.map(lambda one: one.sync(), joined))

        for number, (pack, one) in enumerate(zip(packs, joined, strict=True)):
            assert await blobs.read(one.moved(Address(pack.name, 0, 5000))) == bytes([number]) * 5000

    async def test_other_addresses_do_not_move(self, blobs: Blobs) -> None:
        """An instance may lie in a pack that was committed before."""
        before, pack = await written(blobs, b"before"), await written(blobs, b"abc")
        await before.commit()

        joined = pack.join()

        assert joined.moved(Address(before.name, 0, 6)) == Address(before.name, 0, 6)
        joined.sync()

    async def test_joining_again_tells_where_the_bytes_lie(self, blobs: Blobs) -> None:
        """Nothing is written twice, and nothing can be written or taken back any more."""
        pack = await written(blobs, b"abc")
        address = Address(pack.name, 0, 3)
        joined = pack.join()

        assert pack.join().moved(address) == joined.moved(address)
        assert not pack.is_small
        joined.sync()
        await pack.commit()
        await pack.discard()
        assert bytes(await blobs.read(joined.moved(address))) == b"abc"

    async def test_a_large_pack_joins_nobody(self, blobs: Blobs) -> None:
        """Nor does one that was discarded or committed."""
        large, discarded, committed = [await written(blobs, b"abc") for _ in range(3)]
        await large.write(b"x" * 2_000_000)
        await discarded.discard()
        await committed.commit()

        for pack in (large, discarded, committed):
            assert not pack.is_small
            with pytest.raises(StorageFailed):
                pack.join()
        await large.discard()
