"""`gateway verify`, as it is typed, over folders that are sound and folders that are not."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.store.sqlite import search_damage
from gateway.store.sqlite.schema_steps import schemas
from tests.conftest import serving
from tests.durability.flips import fill, flipped, texts_found
from tests.store.older_folders import unpack_older


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two data folders of the same content: one closed, one as a kill leaves it."""
    folder = tmp_path_factory.mktemp("filled")
    asyncio.run(fill(folder / "closed", folder / "crashed"))
    return folder


@pytest.fixture
def folder(filled: Path, tmp_path: Path) -> Path:
    """A data folder with some of everything, left as a gateway leaves it that is stopped."""
    return Path(shutil.copytree(filled / "closed", tmp_path / "data"))


def verified(capsys: pytest.CaptureFixture[str], folder: Path, *options: str) -> tuple[int, list[str]]:
    """Run `gateway verify` over a folder; return its status and its lines."""
    status = main(["verify", "--data", str(folder), *options])
    return status, capsys.readouterr().out.splitlines()


def packs(folder: Path) -> Iterable[Path]:
    return sorted(path for path in (folder / "blobs").rglob("*") if path.is_file())


def test_a_sound_folder_is_said_to_be_sound(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 0, and what was looked at."""
    status, lines = verified(capsys, folder)

    assert (status, len(lines)) == (0, 1)
    assert lines[0].startswith("5 image sets, 13 versions, 7 stored instances, ")
    assert lines[0].endswith(" bytes of them read: sound")


def test_what_a_kill_leaves_is_sound(filled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A write-ahead log that nobody closed is no damage, and is looked at too."""
    crashed = Path(shutil.copytree(filled / "crashed", tmp_path / "crashed"))
    assert verified(capsys, crashed)[0] == 0

    with flipped(crashed / "gateway.db-wal", 5000, 0x01):
        status, lines = verified(capsys, crashed)

    assert status == 1
    assert lines[0].startswith("damaged  gateway.db-wal: frame 2 is damaged and hides ")


def test_a_changed_byte_of_a_stored_instance_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1, the pack, and where in it."""
    pack = max(packs(folder), key=lambda path: path.stat().st_size)

    with flipped(pack, 1000, 0x01):
        status, lines = verified(capsys, folder)

    assert status == 1
    assert lines[0].startswith(f"damaged  pack {pack.name}: ") and "bytes at 0 are not those that came" in lines[0]
    assert lines[-1].endswith(": 1 damaged")


def test_a_changed_value_of_the_database_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What SQLite itself cannot see: a version says something else than the gateway wrote."""
    with closing(sqlite3.connect(folder / "gateway.db")) as connection:
        connection.execute("UPDATE version SET updated_at = '2020' || substr(updated_at, 5) WHERE sequence = 3")
        connection.commit()

    assert verified(capsys, folder)[1][0] == "damaged  version 3: the checksum of the row is wrong"


def test_no_bit_of_what_wild_cards_go_by_changes_what_they_find_unseen(folder: Path) -> None:
    """What FTS5 keeps for looking terms up is not what it goes through from end to end: both are compared."""
    chance, whole = random.Random(7), closed_copy(folder, texts_found)
    blocks = closed_copy(folder, lambda copy: copy.execute("SELECT id, block FROM study_text_data").fetchall())
    seen = 0
    for _ in range(800):
        number, block = chance.choice(blocks)
        damaged = bytearray(block)
        damaged[chance.randrange(len(block))] ^= 1 << chance.randrange(8)
        changed = (damaged, number)
        if closed_copy(folder, is_damaged, changed):
            seen += 1
        else:
            assert closed_copy(folder, texts_found, changed) == whole

    assert seen > 600


def closed_copy(
    folder: Path, look: Callable[[sqlite3.Connection], Any], changed: tuple[bytes | bytearray, int] | None = None
) -> Any:
    """Return what is found in a copy of the database in memory, with a block of what FTS5 keeps changed."""
    with (
        closing(sqlite3.connect(folder / "gateway.db")) as connection,
        closing(sqlite3.connect(":memory:", isolation_level=None)) as copy,
    ):
        connection.backup(copy)
        if changed:
            copy.execute("UPDATE study_text_data SET block = ? WHERE id = ?", changed)
        return look(copy)


def is_damaged(connection: sqlite3.Connection) -> bool:
    """Whether a check finds damage, or cannot go to its end."""
    try:
        return bool([*search_damage.texts(connection), *search_damage.text_index(connection)])
    except sqlite3.Error:
        return True


def test_a_part_that_would_end_a_document_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The bit of a deflate block that says it is the last: the part can be read, and nothing that is joined to it."""
    with closing(sqlite3.connect(folder / "gateway.db")) as connection:
        number, body = connection.execute("SELECT rowid, body FROM part").fetchone()
        damaged = bytes([body[0] ^ 0x01, *body[1:]])
        connection.execute("UPDATE part SET body = ? WHERE rowid = ?", (damaged, number))
        connection.commit()

    assert "part 1 cannot stand before another" in verified(capsys, folder)[1][0]


def test_json_says_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json, for a script: the counts, and the damage as sentences."""
    missing = max(packs(folder), key=lambda path: path.stat().st_size)
    missing.unlink()

    status, lines = verified(capsys, folder, "--json")

    found: dict[str, Any] = json.loads("\n".join(lines))
    assert (status, found["image_sets"], found["instances"]) == (1, 5, 7)
    assert found["damage"] == [f"pack {missing.name}: cannot be read (FileNotFoundError)"]


@pytest.mark.parametrize(("level", "status"), [("exists", 0), ("size", 0), ("checksum", 1)])
def test_a_level_below_the_checksum_reads_no_stored_byte(
    folder: Path, capsys: pytest.CaptureFixture[str], level: str, status: int
) -> None:
    """For a look that takes no time: whether the packs are there, and have all their bytes."""
    with flipped(max(packs(folder), key=lambda path: path.stat().st_size), 1000, 0x01):
        assert verified(capsys, folder, "--level", level)[0] == status


def test_what_is_no_data_folder_is_no_sound_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 66, and nothing is made there."""
    assert main(["verify", "--data", str(tmp_path / "elsewhere")]) == 66
    assert capsys.readouterr().err == f"gateway: data folder {tmp_path / 'elsewhere'} does not exist\n"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_served_is_not_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 75: what is being written would look like damage."""
    with serving(tmp_path / "data"):
        assert main(["verify", "--data", str(tmp_path / "data")]) == 75
    assert "another gateway serves" in capsys.readouterr().err


# older folders


@pytest.fixture(params=[3, 6, 7])
def schema(request: pytest.FixtureRequest) -> int:
    """How many steps of the schema an older folder has."""
    return int(request.param)


@pytest.fixture
def older(tmp_path: Path, schema: int) -> Path:
    """A data folder as the gateway with so many schema steps left it: stored, edited, deleted, frames read."""
    return unpack_older(schema, tmp_path / "older")


def test_an_older_folder_has_to_be_served_once(older: Path, schema: int, capsys: pytest.CaptureFixture[str]) -> None:
    """`verify` writes nothing, so it brings no schema up to date either."""
    status, lines = verified(capsys, older)

    assert status == 1
    assert (
        lines[0] == f"damaged  gateway.db: has schema {schema}, and this gateway knows {len(schemas())}: serve it once"
    )


# Step 4 forgets where encoded frames lie.
UNUSED = {3: ["2 packs that nothing refers to"], 6: [], 7: []}


def test_an_older_folder_verifies_once_it_was_opened(
    older: Path, schema: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The steps it lacks are taken, and every row of it gets its checksum."""
    assert main(["history", "1.2.826.0.1.3680043.8.498.1", "--data", str(older)]) == 0
    capsys.readouterr()

    status, lines = verified(capsys, older)

    assert (status, [line[:30] for line in lines[1:]]) == (0, UNUSED[schema])
    with closing(sqlite3.connect(older / "gateway.db")) as connection:
        unfilled = connection.execute(
            "SELECT (SELECT COUNT(*) FROM frame WHERE checksum = x'00000000'), (SELECT COUNT(*) FROM frame)"
        )
        assert unfilled.fetchall() == [(0, 4)]
