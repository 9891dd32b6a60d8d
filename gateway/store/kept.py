"""What was read of something that changes, kept for as long as nothing is written to it.

Only where one process has the database to itself, as it has a data folder. Whoever writes holds the key from before the
commit until they know of it: others may have read the new state meanwhile, and nobody is shown the old one after that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


def _one(value: object) -> int:
    return 1


class Kept(Generic[Key, Value]):
    """Values by key, the least lately used dropped first. most: how much all of them may weigh together."""

    def __init__(self, most: int, weigh: Callable[[Value], int] = _one) -> None:
        self._most = most
        self._weigh = weigh
        self._values: dict[Key, tuple[Value, int]] = {}
        self._weight = 0
        self._reading: dict[Key, object] = {}
        self._held: Counter[Key] = Counter()

    async def get(self, key: Key, read: Callable[[], Awaitable[Value]]) -> Value:
        """Return what is kept, or what `read` returns; raises what it raises.

        A read under way while its key was forgotten or put may be of the time before: it is returned and not kept.
        """
        found = self.peek(key)
        if found is not None:
            return found
        reading = self._reading.setdefault(key, object())
        try:
            value = await read()
            if self._reading.get(key) is reading:
                self.put(key, value)
        finally:
            if self._reading.get(key) is reading:
                del self._reading[key]
        return value

    def peek(self, key: Key) -> Value | None:
        """Return what is kept, None where nothing is."""
        found = self._values.pop(key, None)
        if found is None:
            return None
        self._values[key] = found  # the lately used come last
        return found[0]

    def put(self, key: Key, value: Value) -> None:
        """Keep a value in the place of what was kept, unless its key is held or it weighs more than all may."""
        self.forget(key)
        weight = self._weigh(value)
        if weight > self._most or key in self._held:
            return
        self._values[key] = value, weight
        self._weight += weight
        while self._weight > self._most:
            self._drop(next(iter(self._values)))

    def hold(self, key: Key) -> None:
        """Keep nothing under the key until `release`, as often as it is held: somebody is about to change it."""
        self.forget(key)
        self._held[key] += 1

    def release(self, key: Key) -> None:
        self.forget(key)
        self._held[key] -= 1
        if not self._held[key]:
            del self._held[key]

    def forget(self, key: Key) -> None:
        """Keep nothing under the key, neither what is there nor what is being read."""
        self._reading.pop(key, None)
        self._drop(key)

    def clear(self) -> None:
        """Keep nothing at all."""
        self._reading.clear()
        self._values.clear()
        self._weight = 0

    def _drop(self, key: Key) -> None:
        _, weight = self._values.pop(key, (None, 0))
        self._weight -= weight
