"""The servers that are compared, each in a process of its own over an empty folder."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import serving
from tests.orthanc import ORTHANC, running_orthanc


@dataclass(frozen=True, slots=True)
class Product:
    """A server that runs. root: the path of its DICOMweb root. durability: what an acknowledged request survives."""

    name: str
    url: str
    root: str
    process_id: int
    folder: Path
    durability: str

    @property
    def resident_megabytes(self) -> float:
        """The memory the process holds, as the kernel counts it."""
        for line in Path(f"/proc/{self.process_id}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise LookupError("VmRSS")

    @property
    def database_bytes(self) -> int:
        """The size of the gateway's database, what still lies in its write-ahead log included."""
        uri = f"{(self.folder / 'gateway.db').absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            (size,) = connection.execute("PRAGMA page_size").fetchone()
        return int(pages) * int(size)


@contextmanager
def gateway(folder: Path) -> Iterator[Product]:
    """Run `gateway serve`."""
    with serving(folder / "gateway", "--log-level", "warning") as server:
        yield Product(
            "gateway",
            server.url,
            "/dicomweb",
            server.process.pid,
            folder / "gateway",
            "instances and index are synced before the answer: both survive a power failure",
        )


def orthanc_version() -> str:
    """Return what `Orthanc --version` says in its first line."""
    assert ORTHANC is not None
    said = subprocess.run([ORTHANC, "--version"], capture_output=True, text=True).stdout
    return said.splitlines()[0] if said else "unknown"


@contextmanager
def orthanc(folder: Path) -> Iterator[Product]:
    """Run Orthanc with its DICOMweb plugin, with the settings it comes with but for a few."""
    with running_orthanc(folder / "orthanc") as server:
        yield Product(
            "Orthanc",
            server.url,
            "/dicom-web",
            server.process_id,
            folder / "orthanc",
            "files are synced, its index is not (PRAGMA synchronous=NORMAL): the last answers may be lost",
        )


def python_version() -> str:
    return sys.version.split()[0]
