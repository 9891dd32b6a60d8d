"""The program: its version, its exit statuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.cli import EPILOG, EXIT_STATUS, main


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    """`gateway --version` names the distribution."""
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])

    assert capsys.readouterr().out == "dicomweb-gateway 0.1.0\n"


def test_every_exit_status_is_in_the_operators_page(capsys: pytest.CaptureFixture[str]) -> None:
    """docs/operations.md and `gateway --help` have the same statuses, and every one the program ends with."""
    page = (Path(__file__).parents[1] / "docs" / "operations.md").read_text()
    in_page = set(re.findall(r"^\| (\d+) \|", page, re.MULTILINE))
    in_help = set(re.findall(r"^  (\d+) ", EPILOG, re.MULTILINE))

    assert in_page == in_help == {"0", "2", "66", *(str(status) for _, status in EXIT_STATUS)}
