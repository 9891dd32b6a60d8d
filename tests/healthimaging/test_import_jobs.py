"""Import jobs of a running gateway, asked by boto3 and the AWS CLI, from a folder."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient

from tests.conftest import Server, serving
from tests.healthimaging.clients import boto3_client, through_cli_v1
from tests.healthimaging.imports import ROLE, records, summary
from tests.healthimaging.test_image_sets import NOBODY, assert_modelled, refused
from tests.samples import ct_series, instance


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the gateway may use, with a CT series and a text in it."""
    folder = tmp_path_factory.mktemp("imports")
    (folder / "ct").mkdir()
    for number, file in enumerate(ct_series(3)):
        (folder / "ct" / f"{number}.dcm").write_bytes(file)
    (folder / "ct" / "notes.txt").write_text("not DICOM")
    return folder


@pytest.fixture(scope="module")
def importing(folder: Path) -> Iterator[Server]:
    """A gateway that has the folder open to import jobs."""
    with serving(folder / "data", "--import-folders", str(folder)) as server:
        yield server


@pytest.fixture
def boto(importing: Server) -> Iterator[BaseClient]:
    client = boto3_client(importing.endpoint)
    yield client
    client.close()


@pytest.fixture
def start(boto: BaseClient, folder: Path) -> dict[str, Any]:
    """The arguments of StartDICOMImportJob for a new data store."""
    return {
        "datastoreId": boto.create_datastore(datastoreName="archive")["datastoreId"],
        "dataAccessRoleArn": ROLE,
        "inputS3Uri": f"file://{folder}/ct/",
        "outputS3Uri": f"file://{folder}/out/",
    }


def wait(boto: BaseClient, datastore_id: str, job_id: str) -> dict[str, Any]:
    """Return a job's properties when it is done."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        properties: dict[str, Any] = boto.get_dicom_import_job(datastoreId=datastore_id, jobId=job_id)["jobProperties"]
        assert_modelled("GetDICOMImportJob", {"jobProperties": properties})
        if properties["jobStatus"] in ("COMPLETED", "FAILED"):
            return properties
        time.sleep(0.05)
    raise AssertionError("the job is not done after a minute")


def test_job_is_submitted_and_completed(boto: BaseClient, start: dict[str, Any], folder: Path) -> None:
    """From StartDICOMImportJob to the image set."""
    answer = boto.start_dicom_import_job(**start, jobName="nightly")
    assert_modelled("StartDICOMImportJob", answer)
    assert answer["jobStatus"] == "SUBMITTED"

    properties = wait(boto, start["datastoreId"], answer["jobId"])

    output = f"{start['datastoreId']}-DicomImport-{answer['jobId']}/"
    assert properties.pop("endedAt") >= properties.pop("submittedAt") == answer["submittedAt"]
    assert properties == {
        "jobId": answer["jobId"],
        "jobName": "nightly",
        "jobStatus": "COMPLETED",
        "datastoreId": start["datastoreId"],
        "dataAccessRoleArn": ROLE,
        "inputS3Uri": start["inputS3Uri"],
        "outputS3Uri": start["outputS3Uri"] + output,
    }
    found = boto.search_image_sets(datastoreId=start["datastoreId"])["imageSetsMetadataSummaries"]
    told = summary(folder / "out" / output)
    assert told["outputS3Uri"] == properties["outputS3Uri"]
    assert told["imageSetsSummary"] == [
        {
            "imageSetId": found[0]["imageSetId"],
            "imageSetVersion": 1,
            "isPrimary": True,
            "numberOfMatchedSOPInstances": 3,
        }
    ]
    assert [one["inputFile"] for one in records(folder / "out" / output, "FAILURE/failure.ndjson")] == ["ct/notes.txt"]


def test_job_without_a_name_is_shown_by_its_id(boto: BaseClient, start: dict[str, Any]) -> None:
    """A name is optional in the request and required in the answer."""
    job_id = boto.start_dicom_import_job(**start)["jobId"]

    assert wait(boto, start["datastoreId"], job_id)["jobName"] == job_id


def test_configuration_is_given_back(boto: BaseClient, start: dict[str, Any], folder: Path) -> None:
    """And carried out."""
    (folder / "ris").mkdir()
    (folder / "ris" / "1.dcm").write_bytes(instance())
    (folder / "ris" / "study.json").write_text('{"00081030": {"vr": "LO", "Value": ["FROM THE RIS"]}}')
    mapping = {"studyInstanceUID": "1.2.826.0.1.3680043.8.498.1", "metadataFilePath": "study.json"}
    configuration = {"dicomJsonMetadataImportConfiguration": {"dicomMetadataMappings": [mapping]}}
    start["inputS3Uri"] = f"file://{folder}/ris/"

    job_id = boto.start_dicom_import_job(**start, importConfiguration=configuration)["jobId"]

    assert wait(boto, start["datastoreId"], job_id)["importConfiguration"] == configuration
    [found] = boto.search_image_sets(datastoreId=start["datastoreId"])["imageSetsMetadataSummaries"]
    assert found["DICOMTags"]["DICOMStudyDescription"] == "FROM THE RIS"


@pytest.mark.parametrize("path", ["../study.json", "a/../../study.json", "/etc/study.json"])
def test_mapping_that_leads_out_of_the_input_is_refused(boto: BaseClient, start: dict[str, Any], path: str) -> None:
    """metadataFilePath is relative to inputS3Uri."""
    mapping = {"studyInstanceUID": "1.2.3", "metadataFilePath": path}

    with refused("ValidationException"):
        boto.start_dicom_import_job(
            **start,
            importConfiguration={"dicomJsonMetadataImportConfiguration": {"dicomMetadataMappings": [mapping]}},
        )


def test_same_client_token_is_the_same_job(boto: BaseClient, start: dict[str, Any]) -> None:
    """And with another request it is a conflict."""
    first = boto.start_dicom_import_job(**start, clientToken="once-only")
    again = boto.start_dicom_import_job(**start, clientToken="once-only")

    assert first["jobId"] == again["jobId"]
    with refused("ConflictException"):
        boto.start_dicom_import_job(**start, clientToken="once-only", jobName="another")


def test_jobs_are_listed_in_pages_newest_first(boto: BaseClient, start: dict[str, Any], folder: Path) -> None:
    """Of all statuses, or of one."""
    made = [boto.start_dicom_import_job(**start)["jobId"] for _ in range(2)]
    made.append(boto.start_dicom_import_job(**start | {"inputS3Uri": f"file://{folder}/nothing/"})["jobId"])
    for job_id in made:
        wait(boto, start["datastoreId"], job_id)
    lister = boto.get_paginator("list_dicom_import_jobs")

    pages = list(lister.paginate(datastoreId=start["datastoreId"], PaginationConfig={"PageSize": 2}))
    failed = boto.list_dicom_import_jobs(datastoreId=start["datastoreId"], jobStatus="FAILED")

    assert [[job["jobId"] for job in page["jobSummaries"]] for page in pages] == [made[:0:-1], made[:1]]
    assert_modelled("ListDICOMImportJobs", failed)
    assert "nextToken" not in failed
    [summary_of_failed] = failed["jobSummaries"]
    assert summary_of_failed["jobId"] == made[2]
    assert summary_of_failed["message"].startswith("INPUT_NOT_READABLE: ")
    assert isinstance(summary_of_failed["endedAt"], datetime)


def test_unknown_job_is_not_found(boto: BaseClient, start: dict[str, Any]) -> None:
    """Nor is one of another data store, nor anything of an unknown data store."""
    job_id = boto.start_dicom_import_job(**start)["jobId"]
    other = boto.create_datastore()["datastoreId"]

    for datastore_id, asked in ((start["datastoreId"], NOBODY), (other, job_id), (NOBODY, job_id)):
        with refused("ResourceNotFoundException"):
            boto.get_dicom_import_job(datastoreId=datastore_id, jobId=asked)
    with refused("ResourceNotFoundException"):
        boto.list_dicom_import_jobs(datastoreId=NOBODY)
    with refused("ResourceNotFoundException"):
        boto.start_dicom_import_job(**start | {"datastoreId": NOBODY})


@pytest.mark.parametrize(
    "wrong",
    [
        {"inputS3Uri": "file:///etc/"},
        {"outputS3Uri": "file:///etc/"},
        {"inputS3Uri": "s3://UPPER/"},
        {"inputS3Uri": "https://bucket/"},
        {"inputS3Uri": "s3://" + "b" * 1020},
        {"dataAccessRoleArn": "arn:aws:iam::1:role/too-short-an-account"},
        {"jobName": "a name"},
        {"clientToken": "a b"},
        {"inputOwnerAccountId": "12345678901x"},
    ],
)
def test_job_that_breaks_the_model_is_not_started(
    boto: BaseClient, start: dict[str, Any], wrong: dict[str, str]
) -> None:
    """Patterns and lengths, which boto3 does not check, and folders that are not open."""
    with refused("ValidationException"):
        boto.start_dicom_import_job(**start | wrong)

    assert boto.list_dicom_import_jobs(datastoreId=start["datastoreId"])["jobSummaries"] == []


def test_cli_takes_a_folder_from_json(importing: Server, start: dict[str, Any], tmp_path: Path) -> None:
    """`--input-s3-uri file://…` would be replaced by what is in that file before it is sent."""
    run = through_cli_v1(importing.endpoint)
    (tmp_path / "job.json").write_text(json.dumps(start))

    answer = run("aws medical-imaging start-dicom-import-job --cli-input-json file://job.json", tmp_path)

    ids = f"--datastore-id {start['datastoreId']}"
    told = run(f"aws medical-imaging get-dicom-import-job {ids} --job-id {answer['jobId']}", tmp_path)
    assert told["jobProperties"]["inputS3Uri"] == start["inputS3Uri"]
    listed = run(f"aws medical-imaging list-dicom-import-jobs {ids}", tmp_path)
    assert [job["jobId"] for job in listed["jobSummaries"]] == [answer["jobId"]]


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 40 studies of 15 instances: more than one pack of an import job."""
    folder = tmp_path_factory.mktemp("studies") / "in"
    folder.mkdir()
    for study in range(40):
        for number in range(15):
            file = instance(study=f"1.2.3.{study}", instance_number=number)
            (folder / f"{study:02}-{number:02}.dcm").write_bytes(file)
    return folder


# How many rows there are when a job is killed: of files that were read, and of files that were placed.
MOMENTS = {
    "submitted": "SELECT COUNT(*) FROM import_job",
    "received": "SELECT COUNT(*) FROM import_file",
    "placed": "SELECT COUNT(*) FROM import_file WHERE outcome IS NOT NULL",
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_job_goes_on_after_the_gateway_was_killed(tmp_path: Path, studies: Path, moment: str) -> None:
    """SIGKILL when it was just submitted, between its packs, and between its studies: every file is imported once, and
    every image set has one version."""
    options = ("--import-folders", f"{tmp_path}:{studies.parent}")
    with serving(tmp_path / "data", *options) as server:
        boto = boto3_client(server.endpoint)
        datastore_id = boto.list_datastores()["datastoreSummaries"][0]["datastoreId"]
        started = boto.start_dicom_import_job(
            datastoreId=datastore_id,
            dataAccessRoleArn=ROLE,
            inputS3Uri=f"file://{studies}/",
            outputS3Uri=f"file://{tmp_path}/out/",
        )
        with closing(sqlite3.connect(f"file:{tmp_path}/data/gateway.db?mode=ro", uri=True)) as database:
            while not database.execute(MOMENTS[moment]).fetchone()[0]:
                time.sleep(0.002)
        server.process.kill()
        boto.close()
    assert not (tmp_path / "out").exists()

    with serving(tmp_path / "data", *options) as server:
        boto = boto3_client(server.endpoint)
        done = wait(boto, datastore_id, started["jobId"])
        boto.close()

    assert done["jobStatus"] == "COMPLETED"
    [output] = (tmp_path / "out").iterdir()
    found = summary(output)["imageSetsSummary"]
    assert [(one["imageSetVersion"], one["numberOfMatchedSOPInstances"]) for one in found] == [(1, 15)] * 40
