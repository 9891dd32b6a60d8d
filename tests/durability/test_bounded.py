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
def test_power_cuts_find_a_gateway_that_does_not_sync() -> None:
    """With synchronous=NORMAL the same cuts lose what was acknowledged: the harness can see a loss."""
    assert "acknowledged, and lost" in run(
        "tests.durability.power_loss", "--seeds", "20", "--synchronous", "NORMAL", status=1
    )


@needs_the_layer
def test_power_cuts_find_a_gateway_that_names_what_is_not_durable() -> None:
    """Of a shared pack that nobody syncs the same cuts lose what was acknowledged."""
    assert "with a loss" in run("tests.durability.power_loss", "--seeds", "20", "--no-pack-sync", status=1)


@needs_the_layer
def test_power_cuts_find_a_gateway_that_trusts_a_log_whose_fsync_failed() -> None:
    """One that begins with a checkpoint of bytes that the disk may not have is damaged by cuts of that moment."""
    assert "with a loss" in run("tests.durability.power_loss", "--seeds", "60", "--no-log-again", status=1)


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
