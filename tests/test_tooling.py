"""`pytest` is the one command: it runs the linter, the formatter and the type checker as well."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["ruff", "check", "--quiet", "."], id="ruff-check"),
        pytest.param(["ruff", "format", "--quiet", "--check", "."], id="ruff-format"),
        pytest.param(["mypy", "--no-error-summary"], id="mypy-strict"),
    ],
)
def test_checker_has_nothing_to_say(command: list[str]) -> None:
    """The tree is lint-free, formatted, and typed."""
    checked = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)

    assert checked.returncode == 0, checked.stdout + checked.stderr
