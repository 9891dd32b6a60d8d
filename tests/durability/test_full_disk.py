"""A disk that is full: a file system of some MB, filled by storing, with a gateway that runs on it all the while."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.cli import main
from gateway.store.verify import verify
from tests.conftest import serving
from tests.dicomweb.wire import STOW, multipart
from tests.durability.gateway_requests import JSON, named, study_path, study_uid
from tests.samples import instance

MEBIBYTES = 8


def large_instance(study: int) -> bytes:
    """Return an instance of 512 KB."""
    uid = study_uid(study)
    return instance(study=uid, series=f"{uid}.1", Rows=512, Columns=512, PixelData=os.urandom(512 * 512 * 2))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own. Elsewhere tests/durability/faults.py does the same with a layer before the disk."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MEBIBYTES}m", "small", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root can mount a small file system, and not in every container")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def store(client: httpx.Client, study: int) -> int:
    content = multipart([large_instance(study)])
    return client.post("/dicomweb/studies", content=content, headers={"Content-Type": STOW}).status_code


def rename(client: httpx.Client, study: int, name: str) -> int:
    return client.patch(f"{study_path(study)}/metadata", json=named(study, name), headers=JSON).status_code


async def test_a_full_disk_is_507_and_over_when_there_is_room(small_disk: Path) -> None:
    """Storing is refused with 507 and edits as soon as there is no room for them; everything stored can be read, and
    when there is room, writing goes on in the same process."""
    data = small_disk / "data"
    filler = small_disk / "filler"
    with serving(data) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        stored = 0
        while (status := store(client, stored + 1)) == 200:
            stored += 1
        assert (status, stored > 5) == (507, True)
        fill(filler)
        edited = [rename(client, 1, f"Doe^{number}") for number in range(50)]
        assert set(edited) == {200, 507} or set(edited) == {507}
        assert client.get("/livez").status_code == 200

        for study in range(1, stored + 1):
            assert client.get(f"{study_path(study)}/metadata").status_code == 200
            assert len(client.get(study_path(study)).content) > 512 * 1024
        assert len(client.get("/dicomweb/studies").json()) == stored

        filler.unlink()
        subprocess.run(["mount", "-o", f"remount,size={2 * MEBIBYTES}m", str(small_disk)], check=True)
        assert (store(client, stored + 1), rename(client, 1, "Doe^After")) == (200, 200)
        assert client.get("/readyz").status_code == 200
        versions = client.get(f"{study_path(1)}/versions").json()
    assert len(versions) == 1 + edited.count(200) + 1
    assert (await verify(data)).damage == []


def test_a_disk_that_storing_filled_is_served_after_a_restart_too(small_disk: Path) -> None:
    """What the database needs to be opened it gave back when it was closed."""
    data = small_disk / "data"
    with serving(data) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        for study in range(1, 100):
            if (status := store(client, study)) != 200:
                break
        assert status == 507

    with serving(data) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        assert client.get(f"{study_path(1)}/metadata").status_code == 200
        subprocess.run(["mount", "-o", f"remount,size={2 * MEBIBYTES}m", str(small_disk)], check=True)
        assert store(client, 100) == 200


def test_without_any_room_the_start_says_so(small_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where something else took the last page a database cannot even be opened: status 74, and later it can."""
    history = ["history", study_uid(1), "--data", str(small_disk / "data")]
    with serving(small_disk / "data"):
        pass  # it makes the folder
    assert main(history) == 1
    fill(small_disk / "filler")
    capsys.readouterr()

    assert main(history) == 74

    assert capsys.readouterr().err == "gateway: no room left on the disk of the data folder\n"
    (small_disk / "filler").unlink()
    assert main(history) == 1


def fill(filler: Path) -> None:
    """Take all the room there is."""
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
