"""docs/healthimaging.md and docs/import-jobs.md, held against the code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from gateway.access import signed_requests
from gateway.errors import RIGHTS
from gateway.healthimaging import faults, import_run
from gateway.healthimaging.import_report import WARNINGS
from gateway.healthimaging.model import service
from gateway.healthimaging.operations import OPERATIONS
from gateway.settings import Settings
from tests.conftest import Server

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "healthimaging.md").read_text()
IMPORT_JOBS = (DOCS / "import-jobs.md").read_text()


def rows(heading: str, page: str = PAGE) -> list[list[str]]:
    """Return the cells of the table whose first heading cell this is."""
    table = page.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_page_lists_the_operations_there_are() -> None:
    """Every operation of the API is on the page, and those that are carried out say yes."""
    listed = {name: cells[1] == "yes" for cells in rows("Operation") for name in cells[0].split(", ")}

    assert listed == {name: name in OPERATIONS for name in service().operations}


def test_page_has_the_status_of_every_exception_that_is_raised() -> None:
    """The exceptions the gateway raises are on the page with their status."""
    listed = {cells[0]: int(cells[1]) for cells in rows("Exception")}

    statuses = {**service().exceptions, **faults.COMMON_STATUS}
    assert listed == {name: statuses[name] for name in faults.EXCEPTIONS.values()}


def test_page_has_the_status_of_every_refusal_of_a_signature() -> None:
    """What a request without a valid signature is answered with."""
    listed = {cells[0]: int(cells[1]) for cells in rows("Refused as")}

    assert listed == dict(signed_requests.EXCEPTIONS.values())


def test_page_has_every_right() -> None:
    """And no other."""
    assert tuple(cells[0].strip("`") for cells in rows("Right")) == RIGHTS


def test_import_page_has_every_warning() -> None:
    """Its code and type, as they stand in warning.ndjson."""
    listed = {int(cells[0]): cells[1] for cells in rows("Code", IMPORT_JOBS)}

    assert listed == {code: kind for code, (kind, _) in WARNINGS.items()}


def test_import_page_has_every_way_for_a_job_to_fail() -> None:
    """By the word that its message begins with."""
    listed = {cells[0].strip("`") for cells in rows("The message begins with", IMPORT_JOBS)}

    sources = "".join(path.read_text() for path in Path(import_run.__file__).parent.glob("import_*.py"))
    assert listed == {*re.findall(r'ImportFailed\(\s*"([A-Z_]+)"', sources), "INTERNAL_ERROR"}


@pytest.mark.parametrize("page", [PAGE, IMPORT_JOBS], ids=["healthimaging", "import-jobs"])
def test_settings_of_the_pages_are_settings(page: str) -> None:
    """Whatever is written as one."""
    words = set(re.findall(r"`([a-z][a-z0-9]*(?:_[a-z0-9]+)+)`", page))

    assert words
    assert words <= {field.name for field in fields(Settings)}


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_python_of_the_page_runs(code: str) -> None:
    """The client of the page is made, and would not put the prefix before the host."""
    names: dict[str, Any] = {}
    exec(code, names)

    assert names["client"].meta.config.inject_host_prefix is False
    names["client"].close()


@pytest.mark.parametrize("settings", ["environment", "profile"])
def test_cli_with_the_settings_of_the_page_reaches_the_gateway(
    settings: str, session_server: Server, tmp_path: Path
) -> None:
    """The variables, and the profile, send control plane and image set operations to the gateway."""
    page = PAGE.replace("http://127.0.0.1:8080", session_server.endpoint)
    (tmp_path / ".aws").mkdir()
    if settings == "environment":
        exports = re.findall(r"export (.*)", page)
        variables = dict(pair.split("=", 1) for line in exports for pair in line.split())
    else:
        (tmp_path / ".aws" / "config").write_text(re.findall(r"```ini\n(.*?)```", page, re.DOTALL)[0])
        variables = {"AWS_PROFILE": "gateway"}
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONWARNINGS": "ignore"} | variables

    def aws(*arguments: str) -> str:
        command = [sys.executable, "-m", "awscli", "medical-imaging", *arguments, "--output", "text"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    datastore_id = aws("list-datastores", "--no-paginate", "--query", "datastoreSummaries[0].datastoreId").strip()
    assert re.fullmatch("[0-9a-z]{32}", datastore_id)
    assert "updatedAt" in aws("search-image-sets", "--datastore-id", datastore_id)
