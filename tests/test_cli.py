"""The program: its version, its exit statuses."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from dataclasses import fields
from functools import partial
from pathlib import Path

import pytest

from gateway.cli import EPILOG, EXIT_STATUS, INTERRUPTED, main
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

    assert in_page == in_help == {"0", "2", "66", str(INTERRUPTED), *(str(status) for _, status in EXIT_STATUS)}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["import", "."], "interrupted: what was stored stays, and the same command goes on from there"),
        (["history", "1.2"], "interrupted"),
    ],
)
def test_interrupted_command_says_so(arguments: list[str], said: str, archive: Path) -> None:
    """Ctrl-C is status 130 and a sentence, here while a gateway does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command = [sys.executable, "-m", "gateway", *arguments, "--url", address]
        # Who runs the tests in the background of a shell has SIGINT ignored, and what they start inherits that.
        heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        with subprocess.Popen(command, cwd=archive, stderr=subprocess.PIPE, text=True, preexec_fn=heard) as process:
            connection, _ = silent.accept()
            with connection:
                connection.recv(1)
                process.send_signal(signal.SIGINT)
                _, output = process.communicate(timeout=30)

    assert (process.returncode, output) == (130, f"gateway: {said}\n")


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
