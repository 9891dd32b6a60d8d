"""How long a client may take with what only it can do: send the head of a request, bring a body on.

Who opens connections and says nothing, or a byte now and then, costs a gateway as much as one who works. While an
answer is awaited nobody is timed here, nor while a client may not send because the gateway is behind. What a client
does not read the kernel times: commands/serve.py tells it how long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

# A body has to bring so many bytes for each second; less is no line that a study would ever come through.
LEAST_RATE = 1024

# What is awaited of a client, and in which message of its connection.
Turn = tuple[Literal["head", "body"], int]


class SlowClients:
    """The time of one connection's client.

    head: seconds for a whole head. stall: seconds in which a body has to bring LEAST_RATE for each. held_back: whether
    the client has to wait for us. late: what to do with one whose time is over.
    """

    def __init__(self, head: float, stall: float, held_back: Callable[[], bool], late: Callable[[Turn], None]) -> None:
        self._seconds = {"head": head, "body": stall}
        self._held_back = held_back
        self._late = late
        self._turn: Turn | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._received = 0
        self._excused = False

    def awaited(self, turn: Turn | None, received: int = 0) -> None:
        """Take note of what is awaited now, None for nothing, and of how many bytes have just come."""
        self._received += received
        self._excused = self._excused or self._held_back()
        if turn != self._turn:
            self._turn = turn
            self._begin()

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._turn is not None:
            self._received, self._excused = 0, self._held_back()
            self._timer = asyncio.get_running_loop().call_later(self._seconds[self._turn[0]], self._over)

    def _over(self) -> None:
        """The time is over: it begins anew for a body that goes on, and for who could not send."""
        assert self._turn is not None
        goes_on = self._turn[0] == "body" and self._received >= LEAST_RATE * self._seconds["body"]
        if goes_on or self._excused or self._held_back():
            self._begin()
        else:
            self._late(self._turn)
