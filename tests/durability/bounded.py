"""Every harness once, in a few minutes: what CI runs after the tests. The long runs are in docs/durability.md.

python -m tests.durability.bounded
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.durability.disk import ROOT, can_be_loaded

MOST = 1200  # seconds for one harness


@dataclass(frozen=True, slots=True)
class Run:
    """A short run of a harness. layer: whether it needs the compiled layer. finds: whether it is to find losses,
    because the program it looks at does what no gateway may."""

    arguments: Sequence[str]
    layer: bool = False
    finds: bool = False


RUNS = (
    Run(["kills", "--kills", "200"]),
    Run(["power_loss", "--seeds", "200"], layer=True),
    Run(["power_loss", "--seeds", "40", "--synchronous", "NORMAL"], layer=True, finds=True),
    Run(["power_loss", "--seeds", "40", "--no-folder-sync"], layer=True, finds=True),
    Run(["power_loss", "--seeds", "40", "--no-pack-sync"], layer=True, finds=True),
    Run(["power_loss", "--seeds", "40", "--no-log-again", "--failed", "0"], layer=True, finds=True),
    Run(["power_loss", "--seeds", "40", "--copy-at-close", "--failed", "2"], layer=True, finds=True),
    Run(["power_loss", "--seeds", "100", "--write-on"], layer=True, finds=True),
    Run(["faults", "--every", "29"], layer=True),
    Run(["flips", "--flips", "1000"]),
    Run(["histories", "--operations", "3000"]),
)


def carry_out(run: Run) -> str:
    """Return what was wrong with a run, empty where nothing was; print its last line."""
    name, started = " ".join(run.arguments), time.monotonic()
    if run.layer and not can_be_loaded():
        print(f"{name}: skipped, there is no gcc for the layer between the program and the disk", flush=True)
        return ""
    module, *options = run.arguments
    command = [sys.executable, "-m", f"tests.durability.{module}", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=MOST, check=False)
    said = done.stdout.strip().splitlines() or ["nothing was said"]
    meant = ", as it has to" if run.finds else ""
    print(f"{name}: {said[-1]}{meant} ({time.monotonic() - started:.0f} s)", flush=True)
    if done.returncode == int(run.finds) and (not run.finds or said[-1].endswith("with a loss")):
        return ""
    return f"{name} ended with {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"


def main() -> int:
    wrong = [found for run in RUNS if (found := carry_out(run))]
    for one in wrong:
        print(one)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
