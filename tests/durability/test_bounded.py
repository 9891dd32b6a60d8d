"""The harnesses work: a few seconds of each in every test run. `python -m tests.durability.bounded` is what CI runs
after the tests, and docs/durability.md has the long runs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.durability.disk import ROOT, can_be_loaded

needs_the_layer = pytest.mark.skipif(
    not can_be_loaded(), reason="gcc compiles the layer between the program and the disk"
)


def run(*arguments: str, status: int = 0) -> str:
    """Return what a harness prints; it fails where it finds a loss."""
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


@needs_the_layer
def test_no_power_cut_loses_what_was_acknowledged() -> None:
    """Twenty cuts at random points, with what was not synced dropped or torn."""
    assert "20 cuts" in run("tests.durability.power_loss", "--seeds", "20")


@needs_the_layer
@pytest.mark.parametrize(
    ("misbehaviour", "seeds", "found"),
    [
        (("--synchronous", "NORMAL"), 20, "acknowledged, and lost"),
        (("--no-pack-sync",), 20, "with a loss"),  # a damaged folder is not asked for what was acknowledged
        (("--no-log-again", "--failed", "0"), 40, "with a loss"),
        (("--copy-at-close", "--failed", "2"), 40, "with a loss"),
        (("--write-on",), 100, "with a loss"),
    ],
    ids=lambda value: value[0].strip("-") if isinstance(value, tuple) else None,
)
def test_power_cuts_find_a_gateway_that_misbehaves(misbehaviour: tuple[str, ...], seeds: int, found: str) -> None:
    """One that does not sync, names what is not durable, or trusts a log or a copy of it whose fsync failed is found
    out by the same cuts: the harness can see a loss."""
    assert found in run("tests.durability.power_loss", "--seeds", str(seeds), *misbehaviour, status=1)


def test_no_kill_loses_what_was_acknowledged() -> None:
    """Five kills under load, every acknowledged version there, none doubled, no gap."""
    assert "5 kills" in run("tests.durability.kills", "--kills", "5")


@needs_the_layer
def test_a_failing_disk_leaves_nothing_half_done() -> None:
    """Some calls to the disk fail in an edit, with ENOSPC or EIO, once or for good."""
    assert ", 0 wrong" in run("tests.durability.faults", "--every", "40", "--path", "edit")


def test_flipped_bytes_are_found() -> None:
    """Fifty bytes, changed one after the other all over a folder."""
    assert "50 flips" in run("tests.durability.flips", "--flips", "50")


def test_histories_check_out() -> None:
    """Two processes append tokens while the server is killed and paused."""
    assert "0 anomalies" in run("tests.durability.histories", "--operations", "200")
