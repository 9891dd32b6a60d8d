"""Orthanc with its DICOMweb plugin, from Debian: a PACS of another make, as a server and as a client."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

from tests.nginx import free_port

ORTHANC = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")
_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")

MISSING = "there is no Orthanc here: apt-get install orthanc orthanc-dicomweb"


@dataclass(frozen=True, slots=True)
class Orthanc:
    """One that runs."""

    url: str
    process_id: int

    @property
    def dicomweb(self) -> str:
        """Its DICOMweb root."""
        return f"{self.url}/dicom-web"


def orthanc_installed() -> bool:
    return ORTHANC is not None and _PLUGIN.exists()


@contextmanager
def running_orthanc(
    folder: Path, servers: Mapping[str, Mapping[str, Any]] | None = None, users: Mapping[str, str] | None = None
) -> Iterator[Orthanc]:
    """Run Orthanc over an empty folder, with the settings it comes with but for these.

    servers: the DICOMweb servers it is a client of, by name, as its setting DicomWeb.Servers has them. users: who may
    log in, with their passwords; without any nobody has to.
    """
    assert ORTHANC is not None
    folder.mkdir(parents=True)
    port = free_port()
    settings = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": bool(users),
        "RegisteredUsers": dict(users or {}),
        "DicomServerEnabled": False,
        "OverwriteInstances": True,
        "HttpThreadsCount": 50,
        "Plugins": [str(_PLUGIN)],  # not the folder: orthanc-gdcm crashes while transcoding
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "Servers": dict(servers or {})},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([ORTHANC, str(folder / "orthanc.json")], stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/dicom-web/studies", process, folder / "log")
        yield Orthanc(url, process.pid)
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except HTTPError as refused:  # it asks for a password
            refused.close()
            return
        except (URLError, OSError):
            if process.poll() is not None:
                break
            time.sleep(0.1)
    raise RuntimeError(f"{process.args!r} does not answer: {log.read_text(errors='replace')[-2000:]}")
