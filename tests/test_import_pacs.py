"""`gateway import https://…`: from another gateway always, from Orthanc where it is installed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.cli import main
from tests.conftest import Server, serving
from tests.dicomweb.edits import STUDY_UID
from tests.dicomweb.wire import STOW, multipart, parts
from tests.orthanc import MISSING, orthanc_installed, running_orthanc
from tests.samples import ct_series, instance

OTHER_UID = "1.2.826.0.1.3680043.8.498.2"


@pytest.fixture(params=["gateway", "orthanc"])
def pacs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The DICOMweb root of an archive with two studies of one patient and one of another."""
    if request.param == "orthanc":
        if not orthanc_installed():
            pytest.skip(MISSING)
        with running_orthanc(tmp_path / "orthanc") as other:
            store(other.dicomweb)
            yield other.dicomweb
    else:
        with serving(tmp_path / "pacs") as server:
            store(server.dicomweb)
            yield server.dicomweb


def store(root: str) -> None:
    files = [*ct_series(3), instance(study=OTHER_UID), instance(study="1.2.3", PatientID="2CT2")]
    httpx.post(f"{root}/studies", content=multipart(files), headers={"Content-Type": STOW}).raise_for_status()


def imported(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    """Run the command with --json; return its exit status and its report."""
    status = main(["import", "--json", *map(str, arguments)])
    return status, json.loads(capsys.readouterr().out)


def test_matching_studies_come_over(
    pacs: str, tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """All instances of the studies that match, and no other; each file has the bytes it has in the archive."""
    status, summary = imported(capsys, pacs, "--filter", "PatientID=1CT1", "--url", server.url)

    assert (status, summary["stored"], summary["studies"]) == (0, 4, 2)
    path, accept = f"/studies/{OTHER_UID}", {"Accept": 'multipart/related; type="application/dicom"'}
    [(_, there)] = parts(httpx.get(pacs + path, headers=accept))
    [(_, here)] = parts(httpx.get(server.dicomweb + path, headers=accept))
    assert here[128:] == there[128:]
    assert httpx.get(f"{server.dicomweb}/studies?PatientID=2CT2").status_code == 204


def test_several_filters_narrow(pacs: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every filter has to match, into a data folder too."""
    options = ["--filter", "PatientID=1CT1", "--filter", f"StudyInstanceUID={OTHER_UID}"]

    status, summary = imported(capsys, pacs, *options, "--data", tmp_path / "data")

    assert (status, summary["stored"], summary["studies"]) == (0, 1, 1)


def test_it_goes_on_where_it_stopped(pacs: str, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """A series that is here in full is not fetched again; one of which a part is here is."""
    first, *_ = ct_series(3)
    body = multipart([first, instance(study=OTHER_UID)])
    httpx.post(f"{server.dicomweb}/studies", content=body, headers={"Content-Type": STOW}).raise_for_status()

    status, summary = imported(capsys, pacs, "--url", server.url)

    assert (status, summary["series"]) == (0, {"fetched": 2, "present": 1})
    assert len(httpx.get(f"{server.dicomweb}/studies/{STUDY_UID}/instances").json()) == 3
    assert imported(capsys, pacs, "--url", server.url)[1]["series"] == {"fetched": 0, "present": 3}


def test_a_pacs_that_does_not_answer_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 69, as for a gateway that does not answer."""
    status = main(["import", "http://127.0.0.1:9/dicom-web", "--data", str(tmp_path / "data")])

    assert status == 69
    assert "http://127.0.0.1:9/dicom-web does not answer" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["folder", "--filter", "PatientID=1"], ["http://pacs/a", "folder"]])
def test_a_filter_goes_with_one_server(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong command line is exit status 2."""
    assert main(["import", *arguments]) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("PatientId=P1", "PatientId is no attribute of DICOM: did you mean PatientID?"),
        ("limit=1", "limit is no attribute of DICOM: it takes keywords and tags, as PatientID and 00100020"),
        ("PatientID", "'PatientID' is not ATTRIBUTE=VALUE, as PatientID=P1"),
        ("PatientID=", "'PatientID=' is not ATTRIBUTE=VALUE, as PatientID=P1"),
    ],
)
def test_a_filter_is_of_an_attribute(text: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A server ignores a name that it does not know: a misspelt one would fetch the whole archive."""
    with pytest.raises(SystemExit, match="2"):
        main(["import", "http://127.0.0.1:9/dicom-web", "--filter", text])

    assert capsys.readouterr().err.endswith(f"argument --filter: {message}\n")


def test_what_the_pacs_says_of_a_filter_is_told(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1."""
    filters = ["--filter", "StudyDate=tuesday"]

    assert main(["import", server.dicomweb, *filters, "--data", str(tmp_path / "data")]) == 1
    assert capsys.readouterr().err == (
        f"gateway: {server.dicomweb} answered 400: query parameter StudyDate: neither a value of VR DA nor a range of "
        "them\n"
    )


def test_without_the_library_it_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """dicomweb-client is an extra: folders are imported without it."""
    monkeypatch.setitem(__import__("sys").modules, "dicomweb_client.api", None)

    assert main(["import", "http://127.0.0.1:9/dicom-web", "--data", str(tmp_path / "data")]) == 78
    assert "pip install 'dicomweb-gateway[pacs]'" in capsys.readouterr().err
