"""Waits until the processor is as fast as it was: others may share the machine's host, and what it does is not seen."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass, field

# Where a loop takes this much longer than it did at best, somebody else is using the processor.
SAME = 1.15

# What a run says of its pace, by this name.
PACE = "a million turns of a loop in Python, before each measurement"


def loop() -> float:
    """Return the milliseconds of a million turns."""
    began, turns = time.perf_counter(), 0
    for turn in range(10**6):
        turns += turn & 1
    return (time.perf_counter() - began) * 1000


@dataclass(slots=True)
class Pace:
    """How fast the processor was, time and again. most: the seconds to wait for it, before one measurement."""

    most: float
    loops: list[float] = field(default_factory=list)
    waited: float = 0

    async def steady(self) -> None:
        """Return when the loop takes no longer than it did at best, or when that does not come.

        Of what is measured nothing is left out: this waits before anybody knows what will come of it.
        """
        began = time.perf_counter()
        while True:
            self.loops.append(loop())
            if self.loops[-1] <= SAME * min(self.loops) or time.perf_counter() - began > self.most:
                break
            await asyncio.sleep(1)
        self.waited += time.perf_counter() - began

    def __str__(self) -> str:
        least, most = min(self.loops), max(self.loops)
        return f"{statistics.median(self.loops):.0f} ms ({least:.0f}–{most:.0f}); waited {self.waited:.0f} s in all"
