"""docs/editing.md: every command on the page works, pasted one after the other into a shell."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.conftest import Server
from tests.dicomweb.edits import INSTANCE_UID, SERIES_UID, STUDY_UID
from tests.dicomweb.wire import STOW, multipart
from tests.samples import ct_series

PAGE = Path(__file__).parents[2] / "docs" / "editing.md"
BLOCKS = re.findall(r"(<!-- refused -->\n)?```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)

# curl as people have it says nothing of a 409; here it is its exit status 22.
SHELL = 'set -e -o pipefail; curl() { command curl -sS --fail-with-body "$@"; }\n'


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_every_command_on_the_page_works(server: Server) -> None:
    """Each block of commands succeeds on a fresh gateway with one study; those marked as refused are refused."""
    body = multipart(ct_series(2))
    httpx.post(f"{server.dicomweb}/studies", content=body, headers={"Content-Type": STOW}).raise_for_status()
    names = {"ROOT": server.dicomweb, "STUDY": STUDY_UID, "SERIES": SERIES_UID, "INSTANCE": INSTANCE_UID}

    for refused, block in BLOCKS:
        done = subprocess.run(
            ["bash", "-c", SHELL + block],
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "PATIENT": "1CT1", **names},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == (22 if refused else 0), f"{block}\n{done.stdout}\n{done.stderr}"


def test_the_page_has_commands() -> None:
    """A page whose blocks were not found would pass unread."""
    assert len(BLOCKS) > 15
