"""What a process that serves keeps of its memory."""

from __future__ import annotations

import asyncio
import ctypes
import subprocess
import sys
from itertools import chain, repeat

import pytest

from gateway.commands import memory
from gateway.commands.memory import give_back_when_quiet

PEAK = """
from gateway.commands.memory import give_back_freed_memory, keep_freed_memory

def resident():
    with open("/proc/self/statm") as pages:
        return int(pages.read().split()[1]) * 4096

keep_freed_memory()
bodies = [b"x" * 100_000 for _ in range(2000)]
last = bodies[::100]
del bodies
print(resident(), give_back_freed_memory(), resident())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is not glibc")
def test_what_was_freed_goes_back_to_the_kernel() -> None:
    """Of 200 MB of bodies, of which one in a hundred is still there and keeps the heap long."""
    said = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True).stdout.split()
    before, after = int(said[0]), int(said[2])

    assert before > 200_000_000
    assert before - after > 150_000_000


async def test_memory_is_given_back_once_after_each_busy_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not while many requests come, and not again before another was served."""
    looks, given_back = list[int](), list[int]()
    # At the start, while it is busy, when only probes come, when nobody does, after one more.
    totals = chain([0, 5000, 9000, 9002, 9002, 9003], repeat(9003))

    def served() -> int:
        looks.append(next(totals))
        return looks[-1]

    monkeypatch.setattr(memory, "give_back_freed_memory", lambda: given_back.append(looks[-1]))
    watching = asyncio.create_task(give_back_when_quiet(served, seconds=0))
    while len(looks) < 10:
        await asyncio.sleep(0.001)
    watching.cancel()

    assert given_back == [9002, 9003]
