"""The commands, as they are typed."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import EPILOG, EXIT_STATUS, main
from gateway.client import Client
from gateway.commands.versions import value_of

from .conftest import Server, serving
from .samples import ct_series, instance

STUDY, SERIES = "1.2.826.0.1.3680043.8.498.1", "1.2.826.0.1.3680043.8.498.1.1"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine the tests run on."""
    for name in [name for name in os.environ if name.startswith("GATEWAY_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A folder with three CT instances, two of them below a folder of their own."""
    folder = tmp_path / "archive"
    (folder / "more").mkdir(parents=True)
    first, second, third = ct_series(3)
    (folder / "1.dcm").write_bytes(first)
    (folder / "more" / "2.dcm").write_bytes(second)
    (folder / "more" / "3").write_bytes(third)
    return folder


def imported(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    """Run `gateway import --json`; return its status and its summary."""
    status = main(["import", "--json", *map(str, arguments)])
    return status, json.loads(capsys.readouterr().out)


# import
# ------


def test_import_stores_a_folder_into_a_data_folder(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All instances below the folder are stored, status 0; the data folder is made."""
    status = main(["import", str(archive), "--data", str(tmp_path / "data")])

    assert status == 0
    assert capsys.readouterr().out.startswith("Stored 3 instances of 1 study, ")


def test_import_stores_into_a_server(archive: Path, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """With --url the instances go to a gateway that runs."""
    assert imported(capsys, archive, "--url", server.url) == (
        0,
        {"stored": 3, "studies": 1, "warnings": {}, "skipped": {}, "unreadable": [], "refused": []},
    )


def test_import_into_a_folder_that_is_served_says_to_go_through_the_server(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A data folder has one gateway at a time: status 75, and the way out."""
    with serving(tmp_path / "data"):
        status = main(["import", str(archive), "--data", str(tmp_path / "data")])

    assert status == 75
    assert capsys.readouterr().err.endswith(": to go through it, give its address with --url\n")


def test_import_again_changes_nothing(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same files twice are one version."""
    data = ("--data", str(tmp_path / "data"))
    assert main(["import", str(archive), *data]) == 0
    assert main(["import", str(archive), *data]) == 0
    capsys.readouterr()

    assert main(["history", STUDY, "--json", *data]) == 0

    assert [version["version"] for version in json.loads(capsys.readouterr().out)] == [1]


def test_import_skips_what_is_no_dicom_and_counts_why(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Links in a circle, FIFOs, DICOMDIRs, texts and links to nothing do not stop an import, or hang it."""
    (archive / "more" / "circle").symlink_to(archive)
    os.mkfifo(archive / "fifo")
    (archive / "DICOMDIR").write_bytes(instance())
    (archive / "notes.txt").write_text("no DICOM")
    (archive / "empty").touch()

    status, summary = imported(capsys, archive, "--data", tmp_path / "data")

    assert status == 0
    assert summary["stored"] == 3
    assert summary["skipped"] == {
        "not a regular file": 1,
        "a link to a folder that was seen before": 1,
        "a DICOMDIR": 1,
        "not a DICOM file (PS3.10)": 2,
    }


def test_import_names_what_it_cannot_read(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that may be DICOM and cannot be read is a failure: status 1, by name; the rest is stored."""
    (archive / "gone.dcm").symlink_to(archive / "nowhere")

    status, summary = imported(capsys, archive, "--data", tmp_path / "data")

    assert (status, summary["stored"]) == (1, 3)
    assert summary["unreadable"] == [str(archive / "gone.dcm")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_import_names_what_it_may_not_read(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for a folder whose rights forbid it."""
    (archive / "more").chmod(0)

    status, summary = imported(capsys, archive, "--data", tmp_path / "data")

    (archive / "more").chmod(0o700)
    assert (status, summary["stored"], summary["unreadable"]) == (1, 1, [str(archive / "more")])


def test_import_names_what_is_refused(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One file that is cut short does not take the others of its batch with it: status 1, and its name."""
    (archive / "cut.dcm").write_bytes(instance(instance_number=9)[:700])

    status, summary = imported(capsys, archive, "--data", tmp_path / "data")

    assert (status, summary["stored"]) == (1, 3)
    assert [refused["path"] for refused in summary["refused"]] == [str(archive / "cut.dcm")]


def test_import_of_more_than_one_batch_stores_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """120 files are three requests and one study."""
    folder = tmp_path / "archive"
    folder.mkdir()
    for number, file in enumerate(ct_series(120)):
        (folder / f"{number:03}").write_bytes(file)

    status, summary = imported(capsys, folder, "--data", tmp_path / "data")

    assert (status, summary["stored"], summary["studies"]) == (0, 120, 1)


def test_import_of_a_path_that_is_not_there_stores_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 66, before anything is done."""
    status = main(["import", str(tmp_path / "nowhere"), "--data", str(tmp_path / "data")])

    assert status == 66
    assert capsys.readouterr().err == f"gateway: {tmp_path}/nowhere does not exist\n"
    assert not (tmp_path / "data").exists()


def test_import_shows_progress_on_a_terminal(archive: Path, tmp_path: Path) -> None:
    """On a terminal a bar fills; script(1) is one."""
    script = shutil.which("script")
    if script is None:
        pytest.skip("script is not installed")
    command = f"{sys.executable} -m gateway import {archive} --data {tmp_path / 'data'}"

    shown = subprocess.run([script, "-qec", command, "/dev/null"], capture_output=True, text=True, timeout=60).stdout

    assert "░] 0/3 files" in shown and "█] 3/3 files" in shown


# translate
# ---------

PATIENT_NAME = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "MX^MX"}]}}
DESCRIPTION = {"0008103E": {"vr": "LO", "Value": ["CHEST"]}}
OF_STUDY = {"0020000D": {"vr": "UI", "Value": [STUDY]}}
OF_SERIES = OF_STUDY | {"0020000E": {"vr": "UI", "Value": [SERIES]}}
OF_INSTANCE = OF_SERIES | {"00080018": {"vr": "UI", "Value": [f"{SERIES}.1"]}}


def translated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], edit: object, *options: str
) -> tuple[int, dict[str, Any]]:
    """Run `gateway translate`; return its status and the documents in its output, decoded."""
    path = tmp_path / "edit.json"
    path.write_text(json.dumps(edit))
    status = main(["translate", str(path), *options])
    blobs = json.loads(capsys.readouterr().out)["DICOMUpdates"]
    return status, {name: json.loads(text) for name, text in blobs.items()}


@pytest.mark.parametrize(
    ("edit", "documents"),
    [
        pytest.param(
            PATIENT_NAME,
            {"updatableAttributes": {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "MX^MX"}}}},
            id="a patch without UIDs is of a study",
        ),
        pytest.param(
            {"00081030": None},
            {"removableAttributes": {"SchemaVersion": 1.1, "Study": {"DICOM": {"StudyDescription": None}}}},
            id="null removes",
        ),
        pytest.param(
            [OF_SERIES | DESCRIPTION | {"00100010": {"vr": "PN"}}],
            {
                "updatableAttributes": {
                    "SchemaVersion": 1.1,
                    "Patient": {"DICOM": {"PatientName": None}},
                    "Study": {"Series": {SERIES: {"DICOM": {"SeriesDescription": "CHEST"}}}},
                }
            },
            id="a dataset of a series edits the levels above",
        ),
        pytest.param(
            [
                OF_INSTANCE | {"00191010": {"vr": "DS", "Value": [97.0]}},
                OF_STUDY | {"00081190": {"vr": "UR", "Value": ["http://pacs/studies/1"]}, "00081030": None},
            ],
            {
                "updatableAttributes": {
                    "SchemaVersion": 1.1,
                    "Study": {
                        "Series": {
                            SERIES: {
                                "Instances": {
                                    f"{SERIES}.1": {"DICOM": {"00191010": "97.0"}, "DICOMVRs": {"00191010": "DS"}}
                                }
                            }
                        }
                    },
                },
                "removableAttributes": {"SchemaVersion": 1.1, "Study": {"DICOM": {"StudyDescription": None}}},
            },
            id="an array is one update, and what QIDO-RS computes is left out",
        ),
    ],
)
def test_translate_writes_the_update_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], edit: object, documents: dict[str, Any]
) -> None:
    """An edit becomes what is set and what is removed, each on its level."""
    assert translated(tmp_path, capsys, edit) == (0, documents)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "gateway: $"),
        ("[]", "gateway: $: is an empty array"),
        ('{"00100010": {"vr": "LO"}}', "gateway: $.00100010"),
        (
            json.dumps(OF_STUDY | DESCRIPTION),
            "gateway: $.0008103E: is of the series, and the edit does not name which",
        ),
        (json.dumps({"0020000E": OF_SERIES["0020000E"]} | DESCRIPTION), "gateway: $.0020000D: is missing"),
        (json.dumps(OF_STUDY), "gateway: the edit says what it is of, and changes nothing"),
        (
            json.dumps([OF_STUDY | PATIENT_NAME, PATIENT_NAME | {"0020000D": {"vr": "UI", "Value": ["1.2"]}}]),
            "gateway: an update is of one image set",
        ),
    ],
)
def test_translate_of_what_is_no_edit_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    """Status 65, where in the JSON, and nothing on standard output."""
    path = tmp_path / "edit.json"
    path.write_text(text)

    status = main(["translate", str(path)])

    written = capsys.readouterr()
    assert (status, written.out) == (65, "")
    assert written.err.startswith(message) and written.err.count("\n") == 1


def test_translate_of_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 66 and the name."""
    assert main(["translate", str(tmp_path / "nowhere")]) == 66
    assert capsys.readouterr().err == f"gateway: {tmp_path}/nowhere: No such file or directory\n"


def test_translate_reads_standard_input() -> None:
    """`-` is standard input, as everywhere."""
    command = [sys.executable, "-m", "gateway", "translate", "-"]

    done = subprocess.run(command, input=json.dumps(PATIENT_NAME), capture_output=True, text=True, timeout=60)

    assert json.loads(json.loads(done.stdout)["DICOMUpdates"]["updatableAttributes"])["Patient"] == {
        "DICOM": {"PatientName": "MX^MX"}
    }


DOCUMENT = {
    "SchemaVersion": "1.1",
    "DatastoreID": "12345678901234567890123456789012",
    "ImageSetID": "ea92b0d8838c72a3f25d00d13616f87e",
    "Patient": {"DICOM": {"PatientName": "CompressedSamples^CT1", "PatientID": "1CT1"}},
    "Study": {
        "DICOM": {"StudyInstanceUID": STUDY, "StudyID": "1CT1"},
        "Series": {
            SERIES: {
                "DICOM": {"SeriesInstanceUID": SERIES, "Modality": "CT"},
                "Instances": {f"{SERIES}.1": {"DICOM": {"SOPInstanceUID": f"{SERIES}.1"}, "DICOMVRs": {}}},
            }
        },
    },
}
STUDY_ID = {"00200010": {"vr": "SH", "Value": ["2"]}}


@pytest.fixture(params=["plain", "gzip"])
def document(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file with what GetImageSetMetadata answers, as some clients unpack it and others do not."""
    text = json.dumps(DOCUMENT).encode()
    path = tmp_path / "metadata"
    path.write_bytes(gzip.compress(text) if request.param == "gzip" else text)
    return path


def test_translate_says_what_the_constraints_forbid(
    tmp_path: Path, document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Against the image set's metadata: status 1, each rule on standard error, and whether force would lift it."""
    path = tmp_path / "edit.json"
    path.write_text(json.dumps(STUDY_ID))

    status = main(["translate", str(path), "--metadata", str(document)])

    (line,) = capsys.readouterr().err.splitlines()
    assert status == 1
    assert "StudyID" in line and line.endswith("(force lifts this)")


def test_translate_with_force_lifts_what_force_lifts(
    tmp_path: Path, document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same edit with --force meets nothing."""
    status, _ = translated(tmp_path, capsys, STUDY_ID, "--metadata", str(document), "--force")

    assert status == 0


def test_translate_against_another_study(tmp_path: Path, document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An edit that names its study is not checked against another one's metadata: status 65."""
    (tmp_path / "edit.json").write_text(json.dumps(PATIENT_NAME | {"0020000D": {"vr": "UI", "Value": ["1.2"]}}))

    assert main(["translate", str(tmp_path / "edit.json"), "--metadata", str(document)]) == 65
    assert capsys.readouterr().err == "gateway: the edit is of another study than the metadata\n"


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"no JSON", b"{}", gzip.compress(b"{}", mtime=0)[:-9], b"\x1f\x8b"],
    ids="empty array text object cut-gzip gzip-head".split(),
)
def test_translate_against_what_is_no_metadata(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    """Status 65 and a sentence, for a document that is none."""
    (tmp_path / "edit.json").write_text(json.dumps(PATIENT_NAME))
    (tmp_path / "metadata").write_bytes(content)

    status = main(["translate", str(tmp_path / "edit.json"), "--metadata", str(tmp_path / "metadata")])

    assert status == 65
    assert "Traceback" not in capsys.readouterr().err


def test_translated_document_is_what_the_aws_command_takes(session_server: Server, tmp_path: Path) -> None:
    """What translate writes goes into `aws medical-imaging` as it is, and the image set has the edit."""
    assert main(["import", str(written(tmp_path, "in", instance(study="1.2.3.99"))), "--url", session_server.url]) == 0
    edit = {"0020000D": {"vr": "UI", "Value": ["1.2.3.99"]}, "00081030": None} | PATIENT_NAME
    (tmp_path / "edit.json").write_text(json.dumps(edit))
    updates = subprocess.run(
        [sys.executable, "-m", "gateway", "translate", str(tmp_path / "edit.json")], capture_output=True, timeout=60
    )
    (tmp_path / "updates.json").write_bytes(updates.stdout)
    aws = AwsCommand(session_server.endpoint, tmp_path)
    criteria = {"filters": [{"values": [{"DICOMStudyInstanceUID": "1.2.3.99"}], "operator": "EQUAL"}]}
    (datastore,) = aws("list-datastores")["datastoreSummaries"][:1]
    store = ("--datastore-id", datastore["datastoreId"])
    (found,) = aws("search-image-sets", *store, "--search-criteria", json.dumps(criteria))["imageSetsMetadataSummaries"]
    image_set = (*store, "--image-set-id", found["imageSetId"])

    sent = ("--latest-version-id", "1", "--update-image-set-metadata-updates", "file://updates.json")
    answered = aws("update-image-set-metadata", *image_set, *sent)

    assert answered["latestVersionId"] == "2"
    aws("get-image-set-metadata", *image_set, "metadata.gz")
    document = json.loads(gzip.decompress((tmp_path / "metadata.gz").read_bytes()))
    assert document["Patient"]["DICOM"]["PatientName"] == "MX^MX"
    assert "StudyDescription" not in document["Study"]["DICOM"]


class AwsCommand:
    """The real `aws medical-imaging`, in a folder, against an endpoint."""

    def __init__(self, endpoint: str, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "example",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_MEDICAL_IMAGING": endpoint,
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        }

    def __call__(self, *arguments: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "awscli", "medical-imaging", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, cwd=self.folder, env=self.environment
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


def written(folder: Path, name: str, content: bytes) -> Path:
    """Write a file below a folder; return its path."""
    path = folder / name
    path.write_bytes(content)
    return path


# history, diff, revert
# ---------------------


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
    patch = [OF_STUDY | PATIENT_NAME]
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
    assert (change["keyword"], change["after"]) == ("PatientName", PATIENT_NAME["00100010"])


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


def test_revert_to_the_current_version_changes_nothing(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    """There is no version without a change."""
    assert main(["revert", STUDY, "--to", "1", "--data", data]) == 0
    assert capsys.readouterr().out == "Version 1 has the content of version 1 already: nothing was changed.\n"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["history", "1.2.3"], 1, "gateway: study 1.2.3 does not exist\n"),
        (
            ["history", "x"],
            1,
            "gateway: the study in the path is not a UID: only digits and dots, 1 to 256 of them\n",
        ),
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


@pytest.mark.parametrize("number", ["0", "-1", "one", "1.5"])
def test_version_that_is_no_number_is_a_usage_error(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, as argparse has it."""
    with pytest.raises(SystemExit, match="2"):
        main(["revert", STUDY, "--to", number])

    assert "argument --to: invalid version value" in capsys.readouterr().err


def test_terminal_gets_no_control_characters_of_a_record() -> None:
    """A value that would move the cursor, or worse, is shown with its bytes replaced."""
    assert value_of({"vr": "LO", "Value": ["\x1b[2Jgone", "A"]}) == "\N{REPLACEMENT CHARACTER}[2Jgone\\A"


# The program
# -----------


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    """`gateway --version` names the distribution."""
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])

    assert capsys.readouterr().out == "dicomweb-gateway 0.1.0\n"


def test_every_exit_status_is_in_the_operators_page(capsys: pytest.CaptureFixture[str]) -> None:
    """docs/operations.md and `gateway --help` have the same statuses, and every one the program ends with."""
    page = (Path(__file__).parents[1] / "docs" / "operations.md").read_text()
    in_page = set(re.findall(r"^\| (\d+) \|", page, re.MULTILINE))
    in_help = set(re.findall(r"^  (\d+) ", EPILOG, re.MULTILINE))

    assert in_page == in_help == {"0", "2", "66", *(str(status) for _, status in EXIT_STATUS)}


def test_pipe_that_closes_early_is_no_error(data: str) -> None:
    """`gateway history … | head -0` ends quietly."""
    command = f"{sys.executable} -m gateway history {STUDY} --data {data} | true"

    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")
