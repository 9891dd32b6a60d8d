"""`gateway translate`, as it is typed, and its document as the AWS CLI takes it."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from tests.conftest import Server
from tests.samples import instance

pytestmark = pytest.mark.usefixtures("no_settings")

STUDY, SERIES = "1.2.826.0.1.3680043.8.498.1", "1.2.826.0.1.3680043.8.498.1.1"
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
        pytest.param(
            OF_INSTANCE
            | {
                "00204000": {"vr": "LT", "Value": ["edited"]},
                "7FE00010": {"vr": "OW", "BulkDataURI": "http://pacs/bulkdata/7FE00010"},
            },
            {
                "updatableAttributes": {
                    "SchemaVersion": 1.1,
                    "Study": {
                        "Series": {SERIES: {"Instances": {f"{SERIES}.1": {"DICOM": {"ImageComments": "edited"}}}}}
                    },
                }
            },
            id="the address of pixels, in metadata that were retrieved, is left out",
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
        ("{", "$"),
        ("[]", "$: is an empty array"),
        ('{"00100010": {"vr": "LO"}}', "$.00100010"),
        (
            json.dumps(OF_STUDY | DESCRIPTION),
            "$.0008103E: is of the series, and the edit does not name which",
        ),
        (json.dumps({"0020000E": OF_SERIES["0020000E"]} | DESCRIPTION), "$.0020000D: is missing"),
        (json.dumps(OF_STUDY), "the edit says what it is of, and changes nothing"),
        (
            json.dumps([OF_STUDY | PATIENT_NAME, PATIENT_NAME | {"0020000D": {"vr": "UI", "Value": ["1.2"]}}]),
            "an update is of one image set",
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
    assert written.err.startswith(f"gateway: {path}: {message}") and written.err.count("\n") == 1


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
    said = f"gateway: {tmp_path}/edit.json: the edit is of another study than the metadata\n"
    assert capsys.readouterr().err == said


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
