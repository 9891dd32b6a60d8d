"""Import jobs from S3 to S3, against a real S3 server: what the devguide's example does, by boto3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.client import BaseClient

from tests.conftest import Server, serving
from tests.healthimaging.clients import boto3_client, through_cli_v1
from tests.healthimaging.imports import ROLE
from tests.healthimaging.test_image_sets import refused
from tests.healthimaging.test_import_jobs import wait
from tests.s3 import KEYS, S3Server
from tests.samples import ct_series, ct_study


@pytest.fixture(scope="module")
def importing(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A gateway whose S3 is that server."""
    data = tmp_path_factory.mktemp("imports") / "data"
    with serving(data, "--s3-endpoint-url", s3.url, **KEYS) as server:
        yield server


@pytest.fixture
def boto(importing: Server) -> Iterator[BaseClient]:
    client = boto3_client(importing.endpoint)
    yield client
    client.close()


def test_manifest_of_a_job_is_read_back_from_s3(boto: BaseClient, s3: S3Server) -> None:
    """From the bucket, over image sets, to the bucket."""
    source, target = s3.bucket(), s3.bucket()
    s3.put(source, "dicom_input/", b"")
    for number, file in enumerate(ct_study()):
        s3.put(source, f"dicom_input/series {number % 2}/{number}.dcm", file)
    s3.put(source, "dicom_input/invalidDicomFile1.dcm", b"x" * 3_000_000)
    s3.put(source, "other/1.dcm", b"not in the job")
    datastore_id = boto.create_datastore(datastoreName="archive")["datastoreId"]

    started = boto.start_dicom_import_job(
        jobName="my-job",
        datastoreId=datastore_id,
        inputS3Uri=f"s3://{source}/dicom_input/",
        outputS3Uri=f"s3://{target}/job_output/",
        dataAccessRoleArn=ROLE,
        inputOwnerAccountId="123456789012",
    )
    done = wait(boto, datastore_id, started["jobId"])

    folder = f"job_output/{datastore_id}-DicomImport-{started['jobId']}/"
    assert done["jobStatus"] == "COMPLETED"
    assert done["outputS3Uri"] == f"s3://{target}/{folder}"
    assert sorted(s3.keys(target)) == [
        f"{folder}FAILURE/failure.ndjson",
        f"{folder}SUCCESS/success.ndjson",
        f"{folder}WARNING/warning.ndjson",
        f"{folder}job-output-manifest.json",
    ]
    summary = json.loads(s3.get(target, f"{folder}job-output-manifest.json"))["jobSummary"]
    assert summary["successOutputS3Uri"] == f"s3://{target}/{folder}SUCCESS/"
    assert (summary["numberOfScannedFiles"], summary["numberOfImportedFiles"]) == (8, 7)
    assert sorted(one["numberOfMatchedSOPInstances"] for one in summary["imageSetsSummary"]) == [2, 5]
    assert json.loads(s3.get(target, f"{folder}FAILURE/failure.ndjson")) == {
        "inputFile": "dicom_input/invalidDicomFile1.dcm",
        "exception": {"exceptionType": "ValidationException", "message": "DICOM attributes does not exist"},
    }


def test_input_is_matched_by_prefix(boto: BaseClient, s3: S3Server) -> None:
    """As the service does it: without a slash at the end, ct is also ct-old."""
    source, target = s3.bucket(), s3.bucket()
    for number, file in enumerate(ct_series(2)):
        s3.put(source, f"ct{'-old' * number}/{number}.dcm", file)
    datastore_id = boto.create_datastore()["datastoreId"]

    started = boto.start_dicom_import_job(
        datastoreId=datastore_id,
        inputS3Uri=f"s3://{source}/ct",
        outputS3Uri=f"s3://{target}",
        dataAccessRoleArn=ROLE,
    )
    wait(boto, datastore_id, started["jobId"])

    manifest = f"{datastore_id}-DicomImport-{started['jobId']}/job-output-manifest.json"
    assert json.loads(s3.get(target, manifest))["jobSummary"]["numberOfImportedFiles"] == 2


def test_bucket_that_is_not_there_fails_the_job(boto: BaseClient, s3: S3Server) -> None:
    """With S3's word for it."""
    datastore_id = boto.create_datastore()["datastoreId"]

    started = boto.start_dicom_import_job(
        datastoreId=datastore_id,
        inputS3Uri="s3://no-such-bucket/in/",
        outputS3Uri="s3://no-such-bucket/out/",
        dataAccessRoleArn=ROLE,
    )

    done = wait(boto, datastore_id, started["jobId"])
    assert (done["jobStatus"], done["message"]) == ("FAILED", "INPUT_NOT_READABLE: S3 refused: NoSuchBucket")


def test_folder_is_refused_where_none_is_open(boto: BaseClient, tmp_path: Path) -> None:
    """The setting import_folders is empty."""
    datastore_id = boto.create_datastore()["datastoreId"]

    with refused("ValidationException"):
        boto.start_dicom_import_job(
            datastoreId=datastore_id,
            inputS3Uri=f"file://{tmp_path}/",
            outputS3Uri="s3://job-output/",
            dataAccessRoleArn=ROLE,
        )


def test_example_of_the_cli_runs(importing: Server, boto: BaseClient, s3: S3Server, tmp_path: Path) -> None:
    """start-dicom-import-job as `aws help` prints it, with identifiers and buckets in place."""
    source, target = s3.bucket(), s3.bucket()
    s3.put(source, "dicom_input/1.dcm", ct_series(1)[0])
    datastore_id = boto.create_datastore()["datastoreId"]

    answer = through_cli_v1(importing.endpoint)(
        'aws medical-imaging start-dicom-import-job --job-name "my-job" '
        f'--datastore-id "{datastore_id}" --input-s3-uri "s3://{source}/dicom_input/" '
        f'--output-s3-uri "s3://{target}/job_output/" '
        '--data-access-role-arn "arn:aws:iam::123456789012:role/ImportJobDataAccessRole"',
        tmp_path,
    )

    assert answer.keys() == {"datastoreId", "jobId", "jobStatus", "submittedAt"}
    assert answer["jobStatus"] == "SUBMITTED"
    assert wait(boto, datastore_id, answer["jobId"])["jobStatus"] == "COMPLETED"
