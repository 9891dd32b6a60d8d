"""`gateway history`, `diff` and `revert`, as they are typed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.client import Client
from gateway.commands.versions import value_of
from tests.conftest import Server

pytestmark = pytest.mark.usefixtures("no_settings")

STUDY, SERIES = "1.2.826.0.1.3680043.8.498.1", "1.2.826.0.1.3680043.8.498.1.1"
PATIENT_NAME = {"vr": "PN", "Value": [{"Alphabetic": "MX^MX"}]}


@pytest.fixture
def data(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """A data folder with one study of three instances."""
    folder = str(tmp_path / "data")
    assert main(["import", str(archive), "--data", folder]) == 0
    capsys.readouterr()
    return folder


@pytest.fixture
def edited(archive: Path, server: Server, capsys: pytest.CaptureFixture[str]) -> str:
    """The address of a gateway with the same study in two versions: the patient's name was corrected."""
    assert main(["import", str(archive), "--url", server.url]) == 0
    patch = [{"0020000D": {"vr": "UI", "Value": [STUDY]}, "00100010": PATIENT_NAME}]
    with Client(server.dicomweb) as client:
        body, headers = json.dumps(patch).encode(), {"Content-Type": "application/dicom+json"}
        client.request("PATCH", f"/studies/{STUDY}/metadata", body, query={"reason": "misspelt"}, headers=headers)
    capsys.readouterr()
    return server.url


def test_history_of_a_data_folder(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a gateway running, the folder is enough."""
    assert main(["history", STUDY, "--data", data]) == 0
    assert re.fullmatch(
        r"version 1  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  anonymous  store\n    3 instances\n", capsys.readouterr().out
    )


@pytest.mark.parametrize("root", ["", "/", "/dicomweb"])
def test_history_of_a_server(edited: str, root: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A server's address or its DICOMweb root; newest first, with who, why, and what."""
    assert main(["history", STUDY, "--url", edited + root]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith("version")] == [
        "    misspelt",
        "    Patient: PatientName",
        "    3 instances",
    ]
    assert [line[:9] for line in lines if line.startswith("version")] == ["version 2", "version 1"]


def test_history_of_a_series_is_its_own(edited: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With a Series Instance UID, the versions are those of its image set."""
    assert main(["history", STUDY, SERIES, "--url", edited, "--json"]) == 0

    versions = json.loads(capsys.readouterr().out)
    assert [(version["version"], version["seriesInstanceUID"]) for version in versions] == [(2, SERIES), (1, SERIES)]


@pytest.mark.parametrize("options", [[], ["--to", "2"], ["--from", "1"], ["--from", "1", "--to", "2"]])
def test_diff_shows_what_was_and_what_is(edited: str, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """By default the latest version against the one before it."""
    assert main(["diff", STUDY, "--url", edited, *options]) == 0

    assert capsys.readouterr().out == (
        "Patient\n"
        "  (0010,0010) PN PatientName\n"
        "  - CompressedSamples^CT1\n"
        "  + MX^MX\n"
    )  # fmt: skip


def test_diff_as_json_is_the_gateways_answer(edited: str, capsys: pytest.CaptureFixture[str]) -> None:
    """For scripts, whole values."""
    assert main(["diff", STUDY, "--url", edited, "--json"]) == 0

    (change,) = json.loads(capsys.readouterr().out)["changes"]
    assert (change["keyword"], change["after"]) == ("PatientName", PATIENT_NAME)


def test_diff_of_a_study_with_one_version(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to compare the first version with: status 1, and that is what it says."""
    assert main(["diff", STUDY, "--data", data]) == 1
    assert capsys.readouterr().err == "gateway: version 0, the one before the first, does not exist\n"


def test_revert_makes_a_version_with_the_old_content(edited: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A revert is a version too, and keeps its reason."""
    assert main(["revert", STUDY, "--to", "1", "--reason", "it was right", "--url", edited]) == 0
    assert capsys.readouterr().out == "Version 3 has the content of version 1.\n"

    assert main(["diff", STUDY, "--from", "1", "--to", "3", "--url", edited]) == 0
    assert capsys.readouterr().out == "Versions 1 and 3 are the same.\n"

    assert main(["history", STUDY, "--json", "--url", edited]) == 0
    assert json.loads(capsys.readouterr().out)[0]["reason"] == "it was right"


def test_revert_works_where_edits_have_to_name_their_version(
    data: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Setting require_if_match: the command goes back from whatever is current."""
    monkeypatch.setenv("GATEWAY_REQUIRE_IF_MATCH", "true")

    assert main(["revert", STUDY, "--to", "1", "--data", data]) == 0
    assert capsys.readouterr().out == "Version 1 has the content of version 1 already: nothing was changed.\n"


def test_revert_to_the_current_version_changes_nothing(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    """There is no version without a change."""
    assert main(["revert", STUDY, "--to", "1", "--data", data]) == 0
    assert capsys.readouterr().out == "Version 1 has the content of version 1 already: nothing was changed.\n"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["history", "1.2.3"], 1, "gateway: study 1.2.3 does not exist\n"),
        (["diff", STUDY, "--from", "1", "--to", "7"], 1, None),
        (["revert", STUDY, "--to", "7"], 1, None),
    ],
)
def test_what_is_not_there_is_one_sentence(
    data: str, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, message: str | None
) -> None:
    """Status 1 and what the gateway said."""
    assert main([*arguments, "--data", data]) == status

    said = capsys.readouterr().err
    assert said == message if message else said.startswith("gateway: ") and said.count("\n") == 1


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "ftp://127.0.0.1", "nothing", "http://127.0.0.1:99999", "http://[::1"]
)
def test_no_gateway_at_the_address(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 69, and the address."""
    assert main(["history", STUDY, "--url", url]) == 69
    assert url in capsys.readouterr().err


@pytest.fixture
def access_keys(tmp_path: Path) -> str:
    """A file with one access key."""
    path = tmp_path / "keys"
    path.write_text("[alice]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = example\n")
    return str(path)


def test_access_keys_are_not_asked_for_by_a_data_folder(
    data: str, access_keys: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever may open the folder needs no key to what is in it."""
    monkeypatch.setenv("GATEWAY_ACCESS_KEYS", access_keys)

    assert main(["history", STUDY, "--data", data]) == 0
    assert capsys.readouterr().out.startswith("version 1 ")


@pytest.mark.parametrize("number", ["0", "-1", "one", "1.5"])
def test_version_that_is_no_number_is_a_usage_error(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, as argparse has it."""
    with pytest.raises(SystemExit, match="2"):
        main(["revert", STUDY, "--to", number])

    said = f"argument --to: {number!r} is no version: the first is 1, and `gateway history` lists them\n"
    assert capsys.readouterr().err.endswith(said)


@pytest.mark.parametrize("name", ["x", "", "../../livez"])
def test_what_is_no_uid_is_a_usage_error(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It would be another path of the gateway, and what that answered no help."""
    with pytest.raises(SystemExit, match="2"):
        main(["history", name])

    said = f"argument STUDY: {name!r} is not a UID: only digits and dots, 1 to 256 of them\n"
    assert capsys.readouterr().err.endswith(said)


def test_folder_that_is_none_is_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 66: where a path is misspelt there is no empty folder afterwards, in which no study exists."""
    assert main(["history", STUDY, "--data", str(tmp_path / "no")]) == 66
    assert capsys.readouterr().err == (
        f"gateway: data folder {tmp_path / 'no'} does not exist: name another with --data, or a gateway with --url\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_terminal_gets_no_control_characters_of_a_record() -> None:
    """A value that would move the cursor, or worse, is shown with its bytes replaced."""
    assert value_of({"vr": "LO", "Value": ["\x1b[2Jgone", "A"]}) == "\N{REPLACEMENT CHARACTER}[2Jgone\\A"


def test_pipe_that_closes_early_is_no_error(data: str) -> None:
    """`gateway history … | head -0` ends quietly."""
    command = f"{sys.executable} -m gateway history {STUDY} --data {data} | true"

    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")
