"""The layer of disk_layer.c: compiled, loaded into a program, and steered from inside it."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = Path(__file__).with_name("disk_layer.c")
CHANGE, SYNC = 0, 1  # as in disk_layer.c


@dataclass(frozen=True, slots=True)
class Fault:
    """How a disk fails. kind: which calls are counted and fail; error: with what."""

    name: str
    kind: int
    error: int


FAULTS = (
    Fault("ENOSPC", CHANGE, errno.ENOSPC),
    Fault("EIO at write", CHANGE, errno.EIO),
    Fault("EIO at fsync", SYNC, errno.EIO),
)


def can_be_loaded() -> bool:
    """Whether there is a compiler for the layer, and a loader that takes it."""
    return sys.platform == "linux" and shutil.which("gcc") is not None


def library() -> Path:
    """Return the compiled layer; compiled once for each state of its source."""
    name = f"disk-layer-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]}-{os.getuid()}.so"
    path = Path(tempfile.gettempdir()) / name
    if not path.exists():
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".so", delete=False) as unfinished:
            command = ["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", str(SOURCE)]
            subprocess.run([*command, "-o", unfinished.name, "-ldl", "-lpthread"], check=True)
        os.replace(unfinished.name, path)
    return path


def run_with_layer(module: str, arguments: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run a module of the tests with the layer loaded, and return how it ended. Its stderr is the caller's."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )


def environment() -> dict[str, str]:
    """Return the environment of a program with the layer loaded, and without settings of the gateway's."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    return {**clean, "LD_PRELOAD": str(library())}


class Disk:
    """The layer in this process, which `run_with_layer` started."""

    def __init__(self) -> None:
        loaded = os.environ.get("LD_PRELOAD", "")
        if not loaded:
            raise RuntimeError("this program has to be started with the layer loaded")
        self._layer = ctypes.CDLL(loaded)
        self._layer.disk_count.restype = ctypes.c_long

    def watch(self, folder: Path) -> None:
        """Watch a folder and all below it from now on."""
        self._layer.disk_watch(os.fsencode(folder))

    def fail(self, fault: Fault, number: int, *, from_then_on: bool) -> None:
        """Let the call of that number fail, counted from now; or that one and all after it."""
        self._layer.disk_fail(fault.kind, ctypes.c_long(number), int(from_then_on), fault.error)

    def repair(self) -> None:
        """Let nothing fail, and count from zero."""
        self._layer.disk_fail(CHANGE, ctypes.c_long(0), 0, 0)

    def count(self, kind: int) -> int:
        """Return how many calls of a kind there were since the last `fail` or `repair`."""
        return int(self._layer.disk_count(kind))

    def record(self, journal: Path | None) -> None:
        """Write down in a file what is done to the folder from now on; None to stop."""
        self._layer.disk_record(os.fsencode(journal) if journal else b"")

    def mark(self, text: str) -> None:
        """Write down that something was said to the world now."""
        self._layer.disk_mark(text.encode())
