"""A gateway that is killed: whatever it acknowledged is there, and nothing is there by half."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

from gateway.store.versioned import open_store
from tests.store.edits import value
from tests.store.received import sent

ROOT = Path(__file__).parents[2]


def acknowledged_until_killed(folder: Path, lines: int) -> dict[str, int]:
    """Run the writer, kill it after so many acknowledgements, return the last one of each image set."""
    command = [sys.executable, "-m", "tests.store.acknowledging_writer", str(folder), "8"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        read = [writer.stdout.readline() for _ in range(lines)]
        writer.kill()
        read += writer.stdout.readlines()
    whole = [line.split() for line in read if line.endswith("\n")]
    return {image_set_id: int(version) for image_set_id, version in whole}


async def test_every_acknowledged_version_survives_kill_9(tmp_path: Path) -> None:
    """Three kills amid writing: no acknowledged version is lost, no version is missing between, the file is sound."""
    for round_ in range(3):
        folder = tmp_path / str(round_)
        acknowledged = acknowledged_until_killed(folder, 100 + 50 * round_)
        assert len(acknowledged) == 8

        store = await open_store(folder)
        datastore_id = (await store.default_datastore()).datastore_id
        for image_set_id, version in acknowledged.items():
            versions = [one.version for one in await store.versions(datastore_id, image_set_id)]
            assert versions[0] in (version, version + 1)  # the one being written may be there, not acknowledged
            assert versions == list(range(versions[0], 0, -1))
            if version > 1:
                assert await value(store, datastore_id, image_set_id, "PatientName", version) == f"N{version - 1}"
            [(uid, stored)] = (await store.objects(datastore_id, image_set_id)).items()
            study = (await store.image_set(datastore_id, image_set_id)).study_instance_uid
            assert await store.read(stored.address) == sent(uid, study=study).body
        await store.close()

        connection = sqlite3.connect(folder / "gateway.db")
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()
