"""The program: its version, its exit statuses."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from gateway.cli import EPILOG, EXIT_STATUS, main
from gateway.settings import Settings


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


def test_help_has_the_default_of_every_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also of those that are zero, and of those that are empty."""
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit, match="0"):
        main(["serve", "--help"])

    shown = dict(re.findall(r"(GATEWAY_\w+), by default (\S+)", capsys.readouterr().out))
    assert len(shown) == len(fields(Settings))
    assert (shown["GATEWAY_THROTTLE_PERCENT"], shown["GATEWAY_CORS_ORIGINS"]) == ("0", "empty")
    assert (shown["GATEWAY_STRICT_ACCEPT"], shown["GATEWAY_PORT"]) == ("false", "8080")
