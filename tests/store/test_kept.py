"""What is kept of studies as they are now, and when it is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.store.kept import Kept


def reader(*values: str) -> tuple[list[str], Callable[[], Awaitable[str]]]:
    """Return a list of what was read, and a read that gives one value after the other."""
    read: list[str] = []

    async def next_value() -> str:
        read.append(values[len(read)])
        return read[-1]

    return read, next_value


async def test_second_read_is_of_what_was_kept() -> None:
    """What was read once is not read again."""
    kept: Kept[str, str] = Kept(10)
    read, next_value = reader("one", "two")

    assert [await kept.get("study", next_value) for _ in range(2)] == ["one", "one"]
    assert read == ["one"]


async def test_what_was_forgotten_is_read_again() -> None:
    """After a write the next read sees it."""
    kept: Kept[str, str] = Kept(10)
    _, next_value = reader("one", "two")
    await kept.get("study", next_value)

    kept.forget("study")

    assert await kept.get("study", next_value) == "two"


@pytest.mark.parametrize(
    ("write", "left"),
    [
        (lambda kept: kept.forget("study"), None),
        (Kept.clear, None),
        (lambda kept: kept.put("study", "after"), "after"),
    ],
    ids=["forget", "clear", "put"],
)
async def test_read_that_a_write_overtook_is_not_kept(
    write: Callable[[Kept[str, str]], None], left: str | None
) -> None:
    """A read began, a write was done, the read came back with the state before: nobody else is given that."""
    kept: Kept[str, str] = Kept(10)
    finish = asyncio.Event()

    async def slow() -> str:
        await finish.wait()
        return "before"

    reading = asyncio.create_task(kept.get("study", slow))
    await asyncio.sleep(0)
    write(kept)
    finish.set()

    assert await reading == "before"
    assert kept.peek("study") == left


async def test_nothing_is_kept_while_somebody_may_have_written() -> None:
    """From before a commit until it is known here, everybody reads: others may have seen what it wrote."""
    kept: Kept[str, str] = Kept(10)
    kept.put("study", "before")
    _, next_value = reader("before", "after", "after")

    kept.hold("study")
    kept.hold("study")
    assert [await kept.get("study", next_value) for _ in range(2)] == ["before", "after"]
    kept.release("study")
    kept.put("study", "after one of two")
    assert kept.peek("study") is None
    kept.release("study")
    kept.put("study", "after")

    assert kept.peek("study") == "after"


async def test_read_that_began_while_it_was_held_is_not_kept() -> None:
    """It may be of the time before the commit."""
    kept: Kept[str, str] = Kept(10)
    finish = asyncio.Event()

    async def slow() -> str:
        await finish.wait()
        return "before"

    kept.hold("study")
    reading = asyncio.create_task(kept.get("study", slow))
    await asyncio.sleep(0)
    kept.release("study")
    finish.set()

    assert await reading == "before"
    assert kept.peek("study") is None


def test_least_lately_used_goes_first() -> None:
    """Where there is no more room, what was asked for longest ago goes."""
    kept: Kept[str, str] = Kept(2)
    kept.put("a", "1")
    kept.put("b", "2")
    kept.peek("a")

    kept.put("c", "3")

    assert [kept.peek(key) for key in "abc"] == ["1", None, "3"]


def test_values_have_weight() -> None:
    """Room is what values weigh together; one that weighs more than all room is not kept, and takes none's place."""
    kept: Kept[str, str] = Kept(5, len)

    kept.put("a", "12")
    kept.put("b", "123")
    assert (kept.peek("a"), kept.peek("b")) == ("12", "123")

    kept.put("c", "1234567")
    assert [kept.peek(key) for key in "abc"] == ["12", "123", None]

    kept.put("c", "1234")
    assert [kept.peek(key) for key in "abc"] == [None, None, "1234"]


async def test_read_that_fails_keeps_nothing() -> None:
    """An error is raised and not kept."""
    kept: Kept[str, str] = Kept(10)

    async def fails() -> str:
        raise LookupError

    with pytest.raises(LookupError):
        await kept.get("study", fails)

    assert kept.peek("study") is None
