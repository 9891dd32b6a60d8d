"""tests/newer_dcmtk.sh says why it cannot do its work. What it fetches is tried by dicomweb/test_dcmtk_json.py."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("newer_dcmtk.sh")

pytestmark = pytest.mark.skipif(shutil.which("apt-get") is None, reason="there is no apt here")


def refusal(*arguments: str, **environment: str) -> str:
    """Return what the script says when it fails."""
    run = subprocess.run(
        [SCRIPT, *arguments], capture_output=True, text=True, timeout=60, env={**os.environ, **environment}
    )
    assert run.returncode == 1
    return run.stderr


def test_it_asks_for_a_folder() -> None:
    """There is no default."""
    assert refusal() == "newer_dcmtk.sh: say where to put it: newer_dcmtk.sh FOLDER [RELEASE]\n"


def test_it_takes_an_empty_folder_only(tmp_path: Path) -> None:
    """It would write among somebody's files."""
    (tmp_path / "mine").touch()

    assert refusal(str(tmp_path)) == f"newer_dcmtk.sh: {tmp_path} is not empty\n"


def test_it_needs_an_archive_of_debian(tmp_path: Path) -> None:
    """It takes the one that apt has, and apt has none."""
    config = tmp_path / "apt.conf"
    config.write_text('Dir::Etc::SourceList "/dev/null";\nDir::Etc::SourceParts "/dev/null";\n')

    found = refusal(str(tmp_path / "dcmtk"), APT_CONFIG=str(config))

    assert found == ("newer_dcmtk.sh: apt knows no archive of Debian: is this Debian, and has 'apt-get update' run?\n")
