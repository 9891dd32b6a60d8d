"""What a page shows in headless Chromium, by the scripts beside this file."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
CHROMIUM = shutil.which("chromium")
CAN_BROWSE = bool(CHROMIUM and shutil.which("node"))


def printed_by(script: str, packages: Path, *arguments: str | Path) -> str:
    """Return what a script for node prints of a page. packages: the node_modules that have playwright-core."""
    done = subprocess.run(
        ["node", str(HERE / script), str(CHROMIUM), *map(str, arguments)],
        env={**os.environ, "NODE_PATH": str(packages)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout
