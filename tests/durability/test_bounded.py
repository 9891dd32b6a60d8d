"""Short runs of the harnesses, in every test run; docs/durability.md has the long ones."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> str:
    """Return what a harness prints; it fails where it finds a loss."""
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc compiles the layer between the program and the disk")
def test_no_power_cut_loses_what_was_acknowledged() -> None:
    """Sixty cuts at random points, with what was not synced dropped or torn."""
    assert "60 cuts" in run("tests.durability.power_loss", "--seeds", "60")


def test_no_kill_loses_what_was_acknowledged() -> None:
    """Ten kills under load, every acknowledged version there, none doubled, no gap."""
    assert "10 kills" in run("tests.durability.kills", "--kills", "10")
