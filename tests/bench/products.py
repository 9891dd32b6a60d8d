"""The servers that are compared, each in a process of its own over an empty folder."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

from tests.conftest import serving


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


ORTHANC = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")
_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


def orthanc_installed() -> bool:
    return ORTHANC is not None and _PLUGIN.exists()


def orthanc_version() -> str:
    """Return what `Orthanc --version` says in its first line."""
    assert ORTHANC is not None
    said = subprocess.run([ORTHANC, "--version"], capture_output=True, text=True).stdout
    return said.splitlines()[0] if said else "unknown"


@contextmanager
def orthanc(folder: Path) -> Iterator[Product]:
    """Run Orthanc with its DICOMweb plugin, with the settings it comes with but for these."""
    assert ORTHANC is not None
    home = folder / "orthanc"
    home.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {
        "StorageDirectory": str(home / "storage"),
        "IndexDirectory": str(home / "index"),
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "OverwriteInstances": True,
        "HttpThreadsCount": 50,
        "Plugins": [str(_PLUGIN)],  # not the folder: orthanc-gdcm crashes while transcoding
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (home / "orthanc.json").write_text(json.dumps(settings))
    process = subprocess.Popen(
        [ORTHANC, str(home / "orthanc.json")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ}
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/system", process)
        yield Product(
            "Orthanc",
            url,
            "/dicom-web",
            process.pid,
            home,
            "files are synced, its index is not (PRAGMA synchronous=NORMAL): the last answers may be lost",
        )
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (URLError, OSError):
            if process.poll() is not None:
                break
            time.sleep(0.1)
    raise RuntimeError(f"{process.args!r} does not answer")


def python_version() -> str:
    return sys.version.split()[0]
