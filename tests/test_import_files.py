"""`gateway import` of folders, as it is typed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.client import Client
from gateway.commands import import_files
from tests.conftest import Server, serving
from tests.samples import ct_series, instance

pytestmark = pytest.mark.usefixtures("no_settings")

STUDY = "1.2.826.0.1.3680043.8.498.1"


def imported(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    """Run `gateway import --json`; return its status and its summary."""
    status = main(["import", "--json", *map(str, arguments)])
    return status, json.loads(capsys.readouterr().out)


def test_import_stores_a_folder_into_a_data_folder(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All instances below the folder are stored, status 0; the data folder is made."""
    status = main(["import", str(archive), "--data", str(tmp_path / "data")])

    assert status == 0
    assert capsys.readouterr().out.startswith("Stored 3 instances of 1 study, ")


def test_import_stores_into_a_server(archive: Path, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """With --url the instances go to a gateway that runs."""
    assert imported(capsys, archive, "--url", server.url) == (
        0,
        {"stored": 3, "studies": 1, "warnings": {}, "skipped": {}, "unreadable": [], "refused": []},
    )


def test_import_into_a_folder_that_is_served_says_to_go_through_the_server(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A data folder has one gateway at a time: status 75, and the way out."""
    with serving(tmp_path / "data"):
        status = main(["import", str(archive), "--data", str(tmp_path / "data")])

    assert status == 75
    assert capsys.readouterr().err.endswith(": stop it, or take another folder, or go through it with --url\n")


def test_import_again_changes_nothing(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same files twice are one version."""
    data = ("--data", str(tmp_path / "data"))
    assert main(["import", str(archive), *data]) == 0
    assert main(["import", str(archive), *data]) == 0
    capsys.readouterr()

    assert main(["history", STUDY, "--json", *data]) == 0

    assert [version["version"] for version in json.loads(capsys.readouterr().out)] == [1]


def test_import_skips_what_is_no_dicom_and_counts_why(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Links in a circle, FIFOs, DICOMDIRs, texts and links to nothing do not stop an import, or hang it."""
    (archive / "more" / "circle").symlink_to(archive)
    os.mkfifo(archive / "fifo")
    (archive / "DICOMDIR").write_bytes(instance())
    (archive / "notes.txt").write_text("no DICOM")
    (archive / "empty").touch()

    status, summary = imported(capsys, archive, "--data", tmp_path / "data")

    assert status == 0
    assert summary["stored"] == 3
    assert summary["skipped"] == {
        "not a regular file": 1,
        "a link to a folder that was seen before": 1,
        "a DICOMDIR": 1,
        "not a DICOM file (PS3.10)": 2,
    }


def test_import_names_what_it_cannot_read(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that may be DICOM and cannot be read is a failure: status 1, by name; the rest is stored."""
    (archive / "gone.dcm").symlink_to(archive / "nowhere")

    status, summary = imported(capsys, archive, "--data", tmp_path / "data")

    assert (status, summary["stored"]) == (1, 3)
    assert summary["unreadable"] == [str(archive / "gone.dcm")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_import_names_what_it_may_not_read(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for a folder whose rights forbid it."""
    (archive / "more").chmod(0)

    status, summary = imported(capsys, archive, "--data", tmp_path / "data")

    (archive / "more").chmod(0o700)
    assert (status, summary["stored"], summary["unreadable"]) == (1, 1, [str(archive / "more")])


def test_import_names_what_is_refused(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One file that is cut short does not take the others of its batch with it: status 1, and its name."""
    (archive / "cut.dcm").write_bytes(instance(instance_number=9)[:700])

    status, summary = imported(capsys, archive, "--data", tmp_path / "data")

    assert (status, summary["stored"]) == (1, 3)
    assert [refused["path"] for refused in summary["refused"]] == [str(archive / "cut.dcm")]


def test_import_of_more_than_one_batch_stores_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """120 files are three requests and one study."""
    folder = tmp_path / "archive"
    folder.mkdir()
    for number, file in enumerate(ct_series(120)):
        (folder / f"{number:03}").write_bytes(file)

    status, summary = imported(capsys, folder, "--data", tmp_path / "data")

    assert (status, summary["stored"], summary["studies"]) == (0, 120, 1)


def test_import_whose_gateway_ends_tells_what_was_stored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of three requests is stored, then nothing answers: status 69, and the summary says what is there."""
    folder = tmp_path / "archive"
    folder.mkdir()
    for number, file in enumerate(ct_series(120)):
        (folder / f"{number:03}").write_bytes(file)
    with serving(tmp_path / "data") as server:

        def store_and_end(client: Client, batch: Sequence[import_files.Found], summary: import_files.Summary) -> None:
            store(client, batch, summary)
            server.process.kill()
            server.process.wait()

        store = import_files.store
        monkeypatch.setattr(import_files, "store", store_and_end)
        status = main(["import", str(folder), "--url", server.url])

    told = capsys.readouterr()
    assert status == 69
    assert told.out.startswith("Stored 50 instances of 1 study, ")
    assert told.err.count("\n") == 1


def test_import_of_a_path_that_is_not_there_stores_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 66, before anything is done."""
    status = main(["import", str(tmp_path / "nowhere"), "--data", str(tmp_path / "data")])

    assert status == 66
    assert capsys.readouterr().err == f"gateway: {tmp_path}/nowhere does not exist\n"
    assert not (tmp_path / "data").exists()


def test_import_shows_progress_on_a_terminal(archive: Path, tmp_path: Path) -> None:
    """On a terminal a bar fills; script(1) is one."""
    script = shutil.which("script")
    if script is None:
        pytest.skip("script is not installed")
    command = f"{sys.executable} -m gateway import {archive} --data {tmp_path / 'data'}"

    shown = subprocess.run([script, "-qec", command, "/dev/null"], capture_output=True, text=True, timeout=60).stdout

    assert "░] 0/3 files" in shown and "█] 3/3 files" in shown
