"""The file of access keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.access.keys import read_access_keys
from gateway.access.sigv4 import AccessKey
from gateway.errors import InvalidSettings

SECRET = "wJalrXUtnFEMI/K7MDENG"


def test_keys_are_read_as_aws_clients_read_theirs(tmp_path: Path) -> None:
    """A section for each key; its name is whose it is, and what else is in it does not matter."""
    file = tmp_path / "keys"
    file.write_text(
        f"# a comment\n[alice]\naws_access_key_id = AKIDA\naws_secret_access_key = {SECRET}%s\nregion = us-east-1\n\n"
        "[viewer gateway]\naws_access_key_id=AKIDB\naws_secret_access_key=other\n"
    )

    assert read_access_keys(file) == {
        "AKIDA": AccessKey("AKIDA", f"{SECRET}%s", "alice"),
        "AKIDB": AccessKey("AKIDB", "other", "viewer gateway"),
    }


@pytest.mark.parametrize(
    ("line", "rights"),
    [
        ("", {"read", "write", "force"}),
        ("rights = read", {"read"}),
        ("rights = write", {"write"}),
        ("rights = read, write", {"read", "write"}),
        ("rights = force write read", {"read", "write", "force"}),
    ],
)
def test_key_has_the_rights_its_section_says(tmp_path: Path, line: str, rights: set[str]) -> None:
    """All of them where it says nothing."""
    file = tmp_path / "keys"
    file.write_text(f"[alice]\naws_access_key_id = AKIDA\naws_secret_access_key = {SECRET}\n{line}\n")

    assert read_access_keys(file)["AKIDA"].rights == rights


@pytest.mark.parametrize("rights", ["", "admin", "read wirte", "READ", "force", "read force"])
def test_rights_that_mean_nothing_are_refused(tmp_path: Path, rights: str) -> None:
    """A misspelt right is no right; force lifts constraints of what is written, and needs write."""
    file = tmp_path / "keys"
    file.write_text(f"[alice]\naws_access_key_id = A\naws_secret_access_key = {SECRET}\nrights = {rights}\n")

    with pytest.raises(InvalidSettings, match="rights of section alice .* are not one or more of"):
        read_access_keys(file)


@pytest.mark.parametrize(
    "content",
    [
        "",
        f"aws_access_key_id = A\naws_secret_access_key = {SECRET}\n",
        f"[a]\naws_secret_access_key = {SECRET}\n",
        "[a]\naws_access_key_id = AKIDA\n",
        f"[a]\naws_access_key_id = A/B\naws_secret_access_key = {SECRET}\n",
        f"[a]\naws_access_key_id = A\naws_secret_access_key = {SECRET}\n"
        f"[b]\naws_access_key_id = A\naws_secret_access_key = {SECRET}\n",
        f"[a]\n{SECRET}\n",
    ],
    ids=["empty", "no section", "no id", "no secret", "slash in id", "same id twice", "no key and value"],
)
def test_file_that_is_wrong_is_refused_without_its_secrets(tmp_path: Path, content: str) -> None:
    """The sentence names the file and the section, never a line of it."""
    file = tmp_path / "keys"
    file.write_text(content)

    with pytest.raises(InvalidSettings, match="access_keys: ") as refused:
        read_access_keys(file)

    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None


def test_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A gateway that should check signatures and cannot does not start."""
    with pytest.raises(InvalidSettings, match="cannot be read"):
        read_access_keys(tmp_path / "nothing")
