"""Where OHIF is, and what tests of it begin with."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest

from tests.conftest import Server
from tests.dicomweb.wire import STOW, multipart
from tests.e2e.browser import CAN_BROWSE

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "ohif" / "app-config.js"
PACKAGES = Path(os.environ.get("OHIF", "")) / "node_modules"
OHIF = Path(os.environ.get("OHIF", "")) / "package" / "dist"

NEEDS_OHIF = pytest.mark.skipif(
    not (os.environ.get("OHIF") and OHIF.is_dir() and CAN_BROWSE),
    reason="there is no OHIF, Chromium or Node here: tests/README.md says how to have them",
)


def put(server: Server, *files: bytes) -> None:
    """Store PS3.10 files that nothing is wrong with."""
    body, headers = multipart(files), {"Content-Type": STOW}
    response = httpx.post(f"{server.dicomweb}/studies", content=body, headers=headers)
    assert response.status_code == 200, response.text
