"""The memory of a process that serves: what the C library keeps of it, and when it is looked through for garbage."""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections.abc import Callable

# <malloc.h>: blocks above the threshold are mapped, and given back to the kernel, one by one.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEEP_UP_TO = 32 * 1024 * 1024

# It is quiet when fewer requests than these came within so many seconds: some of them ask whether the gateway lives.
QUIET_REQUESTS = 100
QUIET_SECONDS = 10.0


def collect_garbage_seldom() -> None:
    """Leave what is there at the start out of garbage collection, and collect less often.

    A request makes some thousand objects, none of them in a cycle: by default the collector looks at all of them time
    and again, and at every module's. A look at everything that is kept takes a tenth of a second, in which all wait.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 1000)


def keep_freed_memory() -> None:
    """Have the C library keep blocks of up to 32 MiB for reuse, where it is glibc.

    By default it maps and unmaps each large body anew: uploads are then four to five times slower.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _KEEP_UP_TO)
        mallopt(_M_TRIM_THRESHOLD, _KEEP_UP_TO)


def give_back_freed_memory() -> None:
    """Have the C library give the kernel back what it keeps, where it is glibc. It takes 10 to 20 ms for 100 MB."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


async def give_back_when_quiet(served: Callable[[], int], seconds: float = QUIET_SECONDS) -> None:
    """Give freed memory back each time it is quiet and a request was served since; served: how many there were. Does
    not return."""
    seen = given_back = served()
    while True:
        await asyncio.sleep(seconds)
        before, seen = seen, served()
        if seen - before < QUIET_REQUESTS and seen > given_back:
            await asyncio.to_thread(give_back_freed_memory)
            given_back = seen
