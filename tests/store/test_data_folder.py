"""One gateway at a time has a data folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.errors import AlreadyServed, StorageFailed
from gateway.store.data_folder import FolderLock


def test_a_folder_is_held_by_one_gateway(tmp_path: Path) -> None:
    """The second one is refused, in this process or another, until the first lets go."""
    lock = FolderLock(tmp_path / "data")
    program = "import sys, pathlib, gateway.store.data_folder as f; f.FolderLock(pathlib.Path(sys.argv[1]))"
    other = [sys.executable, "-c", program, str(tmp_path / "data")]

    with pytest.raises(AlreadyServed, match="another gateway serves"):
        FolderLock(tmp_path / "data")
    assert b"AlreadyServed" in subprocess.run(other, capture_output=True).stderr

    lock.release()
    FolderLock(tmp_path / "data").release()


def test_a_file_is_no_data_folder(tmp_path: Path) -> None:
    """A path that cannot be a folder is told as such."""
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageFailed):
        FolderLock(tmp_path / "file")
