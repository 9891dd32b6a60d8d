"""docs/dependencies.md and deploy/constraints.txt against pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import gateway

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONSTRAINTS = (ROOT / "deploy" / "constraints.txt").read_text().splitlines()


def name_of(requirement: str) -> str:
    """Return a requirement's name, normalised as PyPI does it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]).lower()


def names_on_page(heading: str) -> list[str]:
    """Return the libraries in the table below a heading."""
    page = (ROOT / "docs" / "dependencies.md").read_text()
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def test_page_says_why_of_each_library() -> None:
    """Nobody adds a library without saying what it is for."""
    assert names_on_page("To run") == [name_of(requirement) for requirement in PROJECT["dependencies"]]
    assert names_on_page("To develop") == [
        name_of(requirement) for requirement in PROJECT["optional-dependencies"]["dev"]
    ]


def test_constraints_pin_every_dependency() -> None:
    """What was tested is what gets installed."""
    pinned = {name_of(line) for line in CONSTRAINTS if not line.startswith("#")}
    wanted = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]

    assert {name_of(requirement) for requirement in wanted} - pinned == set()


def test_constraints_are_versions_and_nothing_else() -> None:
    """No address, no path, no hash of one registry: they hold wherever packages come from."""
    lines = [line for line in CONSTRAINTS if not line.startswith("#")]

    assert [line for line in lines if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*==[0-9][0-9a-z.]*", line)] == []


def test_changelog_is_about_this_version() -> None:
    """The newest entry is the version in gateway/__init__.py."""
    changelog = (ROOT / "docs" / "changelog.md").read_text()

    newest = re.search(r"^## (\S+?),", changelog, re.MULTILINE)

    assert newest is not None and newest[1] == gateway.__version__
