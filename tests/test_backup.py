"""`gateway backup`, as it is typed: copies of folders that are served, that are not, and that were killed."""

from __future__ import annotations

import asyncio
import errno
import json
import shutil
from pathlib import Path

import httpx
import pytest

from gateway.cli import main
from gateway.errors import StorageFailed
from gateway.store import backup as backup_module
from gateway.store.backup import backup
from gateway.store.verify import verify
from tests.conftest import Server
from tests.durability.flips import fill
from tests.durability.gateway_requests import contents, gateway_over, rename, small_instance, stow, study_path


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two data folders of the same content: one closed, one as a kill leaves it."""
    folder = tmp_path_factory.mktemp("filled")
    asyncio.run(fill(folder / "closed", folder / "crashed"))
    return folder


def files(folder: Path) -> dict[str, bytes]:
    """Return every file with something in it, but the index that SQLite makes anew."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != "gateway.db-shm")
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths if path.stat().st_size}


@pytest.mark.parametrize("state", ["closed", "crashed"])
def test_a_copy_is_sound_and_the_folder_is_left_alone(filled: Path, tmp_path: Path, state: str) -> None:
    """Of a folder that nobody serves; one that was killed is not even brought in order."""
    folder = Path(shutil.copytree(filled / state, tmp_path / state))
    before = files(folder)

    assert main(["backup", str(tmp_path / "copy"), "--data", str(folder)]) == 0

    assert files(folder) == before
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == ["blobs", "gateway.db", "lock"]
    assert main(["verify", "--data", str(tmp_path / "copy")]) == 0


async def test_a_copy_that_is_served_has_everything(filled: Path, tmp_path: Path) -> None:
    """To restore is to serve the copy: every version of every study, and every stored byte."""
    folder = Path(shutil.copytree(filled / "crashed", tmp_path / "data"))

    backup(folder, tmp_path / "copy")

    async with gateway_over(tmp_path / "copy") as copy, gateway_over(folder) as original:
        assert await contents(copy.store) == await contents(original.store)


async def test_a_copy_made_under_load_is_one_state(server: Server, tmp_path: Path) -> None:
    """What was acknowledged before is in it, what is written meanwhile as a whole or not at all, and nobody waits."""
    versions, copied = 1, asyncio.Event()
    async with httpx.AsyncClient(base_url=server.url) as client:
        assert (await stow(client, small_instance(1))).is_success

        async def write() -> None:
            nonlocal versions
            while not copied.is_set():
                assert (await rename(client, 1, f"Doe^{versions}")).is_success
                assert (await stow(client, small_instance(2 + versions))).is_success
                versions += 1

        writing = asyncio.create_task(write())
        while versions < 20:
            await asyncio.sleep(0.01)
        acknowledged = versions
        await asyncio.to_thread(backup, tmp_path / "served", tmp_path / "copy")
        copied.set()
        await writing

    assert (await verify(tmp_path / "copy")).damage == []
    async with gateway_over(tmp_path / "copy") as copy:
        found = (await copy.client.get(f"{study_path(1)}/versions")).json()
    assert [one["version"] for one in found] == list(range(len(found), 0, -1))
    assert acknowledged <= len(found) <= versions


async def test_a_pack_that_grew_is_copied_again(tmp_path: Path) -> None:
    """Small requests share one. Of it a copy has what the database names, and not what is written behind that."""
    async with gateway_over(tmp_path / "served") as gateway:
        await stow(gateway.client, small_instance(1))
        monday = await asyncio.to_thread(backup, tmp_path / "served", tmp_path / "monday")
        pack = await gateway.store.new_pack()
        await pack.write(b"not named yet")
        await asyncio.to_thread(lambda: pack.join().sync())
        again = await asyncio.to_thread(backup, tmp_path / "served", tmp_path / "again", tmp_path / "monday")
        await stow(gateway.client, small_instance(2))
        tuesday = await asyncio.to_thread(backup, tmp_path / "served", tmp_path / "tuesday", tmp_path / "monday")

    size = len(small_instance(1))
    assert [(one.packs, one.linked, one.bytes_copied) for one in (monday, again, tuesday)] == [
        (1, 0, size),
        (1, 1, 0),
        (1, 0, 3 * 4096 + size),
    ]
    assert [(await verify(tmp_path / copy)).damage for copy in ("monday", "again", "tuesday")] == [[], [], []]


def test_a_copy_links_what_the_copy_before_has(
    filled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy each night takes the room of what is new, and each is a whole data folder."""
    data = ["--data", str(filled / "closed")]
    assert main(["backup", str(tmp_path / "monday"), *data]) == 0
    capsys.readouterr()

    assert main(["backup", str(tmp_path / "tuesday"), *data, "--previous", str(tmp_path / "monday"), "--json"]) == 0

    assert json.loads(capsys.readouterr().out) == {"packs": 3, "linked": 3, "bytes_copied": 0, "missing": []}
    shutil.rmtree(tmp_path / "monday")
    assert main(["verify", "--data", str(tmp_path / "tuesday")]) == 0


def test_a_pack_that_is_missing_is_named(filled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged folder is copied as far as it goes, and the status is 1."""
    folder = Path(shutil.copytree(filled / "closed", tmp_path / "data"))
    pack = max((path for path in (folder / "blobs").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    pack.unlink()

    assert main(["backup", str(tmp_path / "copy"), "--data", str(folder)]) == 1
    assert f"pack {pack.name} is not there" in capsys.readouterr().err


def test_a_copy_whose_last_sync_fails_is_taken_back(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its name by then, and may lose it when the power fails: it is no copy, and the command may be repeated."""
    target = tmp_path / "copy"

    def fail_on_the_last(folder: Path) -> None:
        if folder == target:
            raise OSError(errno.EIO, "fsync")

    with monkeypatch.context() as patched, pytest.raises(StorageFailed):
        patched.setattr(backup_module, "sync_folder", fail_on_the_last)
        backup(filled / "closed", target)

    assert list(target.iterdir()) == []
    assert backup(filled / "closed", target).missing == []


def test_a_copy_overwrites_nothing(filled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder with anything in it is refused: it may be somebody's data, or be served."""
    (tmp_path / "precious").write_text("data")

    assert main(["backup", str(tmp_path), "--data", str(filled / "closed")]) == 1

    assert capsys.readouterr().err == f"gateway: {tmp_path} is not empty: take a new folder for each backup\n"
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_what_is_no_data_folder_is_not_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 66, and no copy is begun."""
    assert main(["backup", str(tmp_path / "copy"), "--data", str(tmp_path / "elsewhere")]) == 66

    assert capsys.readouterr().err == f"gateway: data folder {tmp_path / 'elsewhere'} does not exist\n"
    assert list(tmp_path.iterdir()) == []
