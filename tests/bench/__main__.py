"""`python -m tests.bench`: measure, print the table, and with --write-docs put it into docs/performance.md."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sqlite3
import sys
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from tests.bench import limits, products, searches, work
from tests.bench.pace import PACE, Pace
from tests.bench.page import write_docs
from tests.bench.products import Product
from tests.bench.report import Results, limits_table, missed, table
from tests.bench.work import QUICK, Measured, Run, Scale
from tests.orthanc import orthanc_installed

Work = Callable[[Product, Run], Awaitable[Measured]]

# What is measured of every product, and of the gateway alone.
COMPARED: dict[str, Work] = {"stow": work.stow, "study": work.study}
OWN: dict[str, Work] = {"edits": work.edits, "small_edits": work.small_edits, "documents": work.documents}
ONLY = (*COMPARED, *OWN, "qido", "growth")

DISK, TMPFS = Path(tempfile.gettempdir()), Path("/dev/shm")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.quick and options.write_docs:
        parser.error("a quick run measures next to nothing: its figures are not for the docs")
    scale = QUICK if options.quick else Scale()
    if options.rounds:
        scale = replace(scale, rounds=options.rounds)
    if options.large:
        scale = replace(scale, qido_sizes=(10**4, 10**5, 10**6))
    only = set(options.only or ONLY)
    results = _run(measure(scale, only, Path(options.folder), with_orthanc=not options.without_orthanc))
    equal = None
    if options.equal_durability:
        equal = _run(measure(scale, only & COMPARED.keys(), TMPFS, with_orthanc=not options.without_orthanc))
    if options.add:
        results.add_earlier(Results(**json.loads(Path(options.add).read_text("utf-8"))["results"]))
    if options.json:
        kept = {"results": results.to_json(), "equal_durability": equal.to_json() if equal else None}
        Path(options.json).write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    if options.write_docs:
        write_docs(results, equal)
    print(table(results), limits_table(results), sep="\n")
    if equal:
        print("At equal durability (both folders in memory, where nothing has to be synced):\n", table(equal), sep="\n")
    for sentence in missed(results):
        print(f"not met: {sentence}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, help="how often everything is measured, the products in turn")
    parser.add_argument("--quick", action="store_true", help="a little of everything: whether it works, not how fast")
    parser.add_argument("--only", nargs="+", choices=ONLY, help="the groups of figures to measure")
    parser.add_argument("--large", action="store_true", help="searches among 100,000 and 1,000,000 studies as well")
    parser.add_argument("--equal-durability", action="store_true", help="STOW and edits in memory as well")
    parser.add_argument("--without-orthanc", action="store_true", help="the gateway alone, also where Orthanc is")
    parser.add_argument("--folder", default=str(DISK), help="where the data folders are made, and removed afterwards")
    parser.add_argument("--json", metavar="FILE", help="keep every value measured")
    parser.add_argument("--add", metavar="FILE", help="show what an earlier run kept of the groups not measured now")
    parser.add_argument("--write-docs", action="store_true", help="rewrite docs/performance.md and what it shows")
    return parser


def _run(measuring: Coroutine[None, None, Results]) -> Results:
    """Return what a run found. On uvloop: asyncio's own loop copies what of a body the socket does not take at once."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measuring)


async def measure(scale: Scale, only: set[str], folder: Path, *, with_orthanc: bool = True) -> Results:
    """Return the results of a run in folders of its own below `folder`."""
    results, pace = Results(_about(scale, folder), {}, {}), Pace(scale.wait)
    both = with_orthanc and orthanc_installed()
    if only - {"qido"}:
        with tempfile.TemporaryDirectory(prefix="bench-", dir=folder) as own:
            await _measure_work(scale, only, Path(own), both, results, pace)
    if "qido" in only:
        with tempfile.TemporaryDirectory(prefix="bench-", dir=folder) as own:
            await _measure_searches(scale, Path(own), both, results, pace)
    results.about[PACE] = str(pace)
    return results


async def _measure_work(scale: Scale, only: set[str], folder: Path, both: bool, results: Results, pace: Pace) -> None:
    run = Run(scale, folder)
    with ExitStack() as stack:
        servers = [stack.enter_context(products.gateway(folder))]
        if both:
            servers.append(stack.enter_context(products.orthanc(folder)))
        results.about |= {f"durability of {one.name}": one.durability for one in servers}
        for _ in range(scale.rounds):
            for name, of in COMPARED.items():
                for product in servers if name in only else ():
                    await pace.steady()
                    _tell(name, product.name)
                    results.add(product.name, await of(product, run))
            for name, of in OWN.items():
                if name in only:
                    await pace.steady()
                    _tell(name, "gateway")
                    results.add("gateway", await of(servers[0], run))
            await pace.steady()
            _tell("limits", "machine")
            results.add("limits", await work.machine(run))
        if "growth" in only:
            _tell("growth", "gateway")
            results.growth["versions of a study"] = await work.versions(servers[0], run)
            sizes = [(size, results.values("gateway", f"edit of {size}")) for size in scale.sizes]
            results.growth["instances of the study"] = [(size, sorted(ms)[len(ms) // 2]) for size, ms in sizes if ms]
        for product in servers:
            results.add(product.name, await work.memory(product, run))


async def _measure_searches(scale: Scale, folder: Path, both: bool, results: Results, pace: Pace) -> None:
    """Search among each number of studies, in turn: what grows with them is a ratio of the same minutes."""
    with ExitStack() as stack:
        filled = {size: await _filled(scale, size, folder / str(size), both, stack) for size in scale.qido_sizes}
        for seed in range(scale.rounds):
            for size, servers in filled.items():
                for product in servers:
                    await pace.steady()
                    _tell(f"qido among {size}", product.name)
                    results.add(product.name, await searches.search(product, size, scale.searches, seed))
        for size, servers in filled.items():
            among = results.growth.setdefault("studies in the data store", [])
            among.append((size, await searches.edit_among(servers[0], size, scale.edits)))


async def _filled(scale: Scale, size: int, folder: Path, both: bool, stack: ExitStack) -> list[Product]:
    """Return the servers that have so many studies, which run for as long as the stack is open."""
    folder.mkdir()
    _tell(f"filling {size} studies", "gateway")
    await searches.fill_gateway(folder, size)
    servers = [stack.enter_context(products.gateway(folder))]
    if both and size <= scale.qido_orthanc:
        servers.append(stack.enter_context(products.orthanc(folder)))
        _tell(f"filling {size} studies", "Orthanc")
        await searches.fill_over_http(servers[1], size)
    return servers


def _tell(what: str, whose: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {what}: {whose}", file=sys.stderr, flush=True)


def _about(scale: Scale, folder: Path) -> dict[str, str]:
    """Return where and how the run was: without it, its figures mean nothing."""
    first, again = (limits.use_memory(folder, 256) for _ in range(2))
    return {
        "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "processors": str(os.cpu_count()),
        "load average at the start (above 0.5, the machine was shared with other work)": ", ".join(
            f"{load:.2f}" for load in os.getloadavg()
        ),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "a page of memory (4 KB) filled": f"{first:.1f} µs; once more, {again:.1f} µs",
        "Python": products.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "Orthanc": products.orthanc_version() if orthanc_installed() else "not installed",
        "rounds": str(scale.rounds),
        "data folders": "in memory" if folder == TMPFS else "on disk",
    }


if __name__ == "__main__":
    sys.exit(main())
