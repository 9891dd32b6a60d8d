"""Data folders as older gateways left them: stored, edited, deleted, frames read."""

from __future__ import annotations

import tarfile
from pathlib import Path

_FOLDERS = Path(__file__).parent / "folders"


def unpack_older(schema: int, folder: Path) -> Path:
    """Make a data folder as the gateway with so many schema steps left it, and return it."""
    with tarfile.open(_FOLDERS / f"schema-{schema}.tar.gz") as archive:
        # Debian 12's Python 3.11.2 does not know `extractall(filter=…)`, and from 3.12 on it has to be said.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(folder)
    return folder
