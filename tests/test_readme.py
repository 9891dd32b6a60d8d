"""The README's commands are the ones that are run, and its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
CI = (ROOT / ".ci" / "run").read_text()
PAGES = [ROOT / "README.md", ROOT / "tests" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def shell_blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_first_block_sets_up_and_runs_the_main_job() -> None:
    """Nothing but Python and its venv module is needed before it."""
    assert shell_blocks()[0] == (
        "python3 -m venv .venv\n"
        ".venv/bin/pip install -c deploy/constraints.txt .\n"
        ".venv/bin/gateway demo\n"
    )  # fmt: skip


def test_second_block_sets_up_and_runs_the_tests() -> None:
    """It does not lean on the first."""
    assert shell_blocks()[1] == (
        "python3 -m venv .venv\n"
        ".venv/bin/pip install -c deploy/constraints.txt -e '.[dev]'\n"
        ".venv/bin/python -m pytest -n auto\n"
    )


def test_ci_runs_the_second_block() -> None:
    """What CI runs is what the README tells people to run, to the letter; after that, viewers and durability."""
    before, block, after = CI.partition("\n\n" + shell_blocks()[1] + "\n")

    assert "pytest" not in before and block
    assert ".venv/bin/python -m pytest tests/e2e" in after
    assert after.endswith("\n\ntimeout 30m .venv/bin/python -m tests.durability.bounded\n")


@pytest.mark.parametrize("script", [".ci/run", "tests/newer_dcmtk.sh"])
def test_script_is_sound(script: str) -> None:
    """shellcheck has nothing to say about it."""
    checked = subprocess.run(
        [Path(sys.executable).parent / "shellcheck", ROOT / script], capture_output=True, text=True
    )

    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file there is."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_page_is_in_the_index(page: Path) -> None:
    """A page that nobody finds is not there."""
    assert page.name == "README.md" or f"]({page.name})" in (ROOT / "docs" / "README.md").read_text()


@pytest.mark.parametrize("page", ["gateway/__init__.py", "docs/architecture.md"])
def test_files_on_the_contents_page_are_there(page: str) -> None:
    """The road of an edit leads through files that exist."""
    named = re.findall(r"\b(?:\w+/)*\w+\.py\b", (ROOT / page).read_text())

    assert named
    assert [name for name in named if not (ROOT / name).exists() and not (ROOT / "gateway" / name).exists()] == []
