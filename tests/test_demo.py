"""`gateway demo`: the main job in one command."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "gateway", "demo"]


@pytest.fixture(scope="module")
def shown() -> str:
    """What the demo prints, run as people run it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    ended = subprocess.run(COMMAND, capture_output=True, text=True, timeout=60, env=environment)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def step(shown: str, title: str) -> str:
    """Return what a step printed below its title."""
    return re.split(r"\n\n\d+\. |\n\nDone", shown.partition(title)[2])[0].partition("\n")[2]


def test_it_stores_a_real_study_and_finds_it(shown: str) -> None:
    """Seven CT instances go in over STOW-RS, and QIDO-RS finds their study."""
    assert step(shown, "with STOW-RS") == "7 instances stored."
    assert 'PatientName: {"Alphabetic": "Doe^Peter"}' in step(shown, "with QIDO-RS")


def test_it_prints_the_document_an_edit_becomes(shown: str) -> None:
    """Tags become keywords on their levels, a person name its three component groups in one string."""
    document = step(shown, "Ask what a correction would become").partition("1.1 document:\n")[2]

    assert json.loads(document) == {
        "SchemaVersion": 1.1,
        "Patient": {"DICOM": {"PatientName": "Doe^Jane=土井^ジェーン"}},
        "Study": {"DICOM": {"StudyDescription": "CT of the head"}},
    }


def test_it_is_refused_without_force_and_accepted_with_it(shown: str) -> None:
    """The rule is named, and that force lifts it; then it does."""
    refused = step(shown, "Change what HealthImaging protects")

    assert "Refused, 409:" in refused
    assert refused.endswith("  study-id: StudyID (0020,0010) is changed only with force (force lifts it)")
    assert step(shown, "Insist") == "Accepted: version 3."


def test_it_lists_compares_and_reverts_versions(shown: str) -> None:
    """Three versions with who and why; what differs, before and after; and a fourth that is the first again."""
    assert re.findall(r"^version (\d)  .*  anonymous  (.*)$", step(shown, "List the versions"), re.MULTILINE) == [
        ("3", "update forced"),
        ("2", "update"),
        ("1", "store"),
    ]
    assert "  (0020,0010) SH StudyID\n  - 2\n  + 2026-17" in step(shown, "Compare two")
    assert step(shown, "Go back") == "Version 4, the same as version 1."


def test_healthimaging_has_the_same_history(shown: str) -> None:
    """ListImageSetVersions says of an image set what DICOMweb says of its study."""
    assert step(shown, "through the HealthImaging API").splitlines()[1:] == [
        "  version 4  UPDATED",
        "  version 3  UPDATED forced",
        "  version 2  UPDATED",
        "  version 1  CREATED",
    ]


def test_it_is_coloured_on_a_terminal(shown: str) -> None:
    """What was is red and what is is green there, and plain everywhere else; script(1) is a terminal."""
    script = shutil.which("script")
    if script is None:
        pytest.skip("script is not installed")
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}

    coloured = subprocess.run(
        [script, "-qec", " ".join(COMMAND), "/dev/null"], capture_output=True, text=True, timeout=60, env=environment
    ).stdout

    assert "\x1b[31m  - Doe^Peter\x1b[0m" in coloured
    assert "\x1b[32m  + Doe^Jane=土井^ジェーン\x1b[0m" in coloured
    assert "\x1b" not in shown
