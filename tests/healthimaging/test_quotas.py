"""AWS's quotas that can be adjusted, over boto3: how large an image set's metadata may be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.client import BaseClient

from tests.conftest import Server, serving
from tests.healthimaging.clients import boto3_client
from tests.healthimaging.conftest import SERIES, ImageSet, image_set, patient, stow
from tests.healthimaging.imports import ROLE, records, summary
from tests.healthimaging.test_copying import copy
from tests.healthimaging.test_image_sets import refused
from tests.healthimaging.test_import_jobs import wait
from tests.samples import instance

# Two instances of CT_small are below, three above.
MOST = 30_000


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Server]:
    """A gateway with a quota that a few instances reach."""
    options = ("--max-image-set-metadata", str(MOST), "--import-folders", str(tmp_path))
    with serving(tmp_path / "data", *options) as server:
        yield server


@pytest.fixture
def boto(small: Server) -> Iterator[BaseClient]:
    client = boto3_client(small.endpoint)
    yield client
    client.close()


def stored(boto: BaseClient, server: Server, count: int) -> ImageSet:
    """Return an image set of some instances, stored over DICOMweb, which has no quota."""
    datastore_id = boto.create_datastore()["datastoreId"]
    stow(server, datastore_id, [instance(instance_number=number) for number in range(count)])
    return image_set(boto, datastore_id, SERIES)


def test_update_and_copy_stay_within_the_quota(boto: BaseClient, small: Server) -> None:
    """ServiceQuotaExceededException, and nothing is made; below the quota both are done."""
    below, above = (stored(boto, small, count) for count in (2, 3))

    with refused("ServiceQuotaExceededException"):
        above.update(patient(PatientName="A^A"))
    with refused("ServiceQuotaExceededException"):
        copy(above)
    below.update(patient(PatientName="A^A"))
    copy(below, "2")

    assert [version["versionId"] for version in above.versions()] == ["1"]
    assert [version["versionId"] for version in below.versions()] == ["2", "1"]


def test_large_study_of_an_import_job_is_a_failure_of_its_files(
    boto: BaseClient, small: Server, tmp_path: Path
) -> None:
    """The job is COMPLETED, the files of other studies are imported."""
    (tmp_path / "in").mkdir()
    for study, count in (("1.2.1", 3), ("1.2.2", 1)):
        for number in range(count):
            (tmp_path / "in" / f"{study}.{number}").write_bytes(instance(study=study, instance_number=number))
    datastore_id = boto.create_datastore()["datastoreId"]

    uris = {"inputS3Uri": f"file://{tmp_path}/in/", "outputS3Uri": f"file://{tmp_path}/out/"}
    job = boto.start_dicom_import_job(datastoreId=datastore_id, dataAccessRoleArn=ROLE, **uris)
    done = wait(boto, datastore_id, job["jobId"])

    [output] = (tmp_path / "out").iterdir()
    assert done["jobStatus"] == "COMPLETED"
    assert [one["inputFile"] for one in records(output, "SUCCESS/success.ndjson")] == ["in/1.2.2.0"]
    failures = records(output, "FAILURE/failure.ndjson")
    assert {one["exception"]["exceptionType"] for one in failures} == {"ServiceQuotaExceededException"}
    told = summary(output)
    assert (told["numberOfFilesWithCustomerError"], told["numberOfFilesWithServerError"]) == (3, 0)
