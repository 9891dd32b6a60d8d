"""Every operation of the API, every paginator and every exception that the service model declares, by boto3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore import xform_name
from botocore.client import BaseClient

from gateway.healthimaging.model import service
from gateway.healthimaging.operations import OPERATIONS
from tests.conftest import Server
from tests.healthimaging.conftest import SERIES, ImageSet, patient, stow
from tests.healthimaging.test_image_sets import assert_modelled
from tests.healthimaging.test_model import BOTOCORE
from tests.samples import instance

NOBODY = "0" * 32
ROLE = "arn:aws:iam::123456789012:role/ImportJobDataAccessRole"
FRAME = {"imageFrameId": NOBODY}
UPDATE = {"DICOMUpdates": {"updatableAttributes": b'{"SchemaVersion":1.1,"Patient":{"DICOM":{"PatientName":"A"}}}'}}
COPY = {"sourceImageSet": {"latestVersionId": "1"}}
JOB = {"dataAccessRoleArn": ROLE, "inputS3Uri": "s3://input/a", "outputS3Uri": "s3://output/a"}


def request(operation: str, datastore_id: str, image_set_id: str, job_id: str = "0") -> dict[str, Any]:
    """Return a request of an operation that the service model takes."""
    image_set = {"datastoreId": datastore_id, "imageSetId": image_set_id}
    arn = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{datastore_id}"
    requests: dict[str, dict[str, Any]] = {
        "CreateDatastore": {"datastoreName": "every"},
        "GetDatastore": {"datastoreId": datastore_id},
        "ListDatastores": {},
        "DeleteDatastore": {"datastoreId": datastore_id},
        "StartDICOMImportJob": {"datastoreId": datastore_id, **JOB},
        "GetDICOMImportJob": {"datastoreId": datastore_id, "jobId": job_id},
        "ListDICOMImportJobs": {"datastoreId": datastore_id},
        "SearchImageSets": {"datastoreId": datastore_id},
        "GetImageSet": image_set,
        "GetImageSetMetadata": image_set,
        "GetImageFrame": {**image_set, "imageFrameInformation": FRAME},
        "ListImageSetVersions": image_set,
        "UpdateImageSetMetadata": {**image_set, "latestVersionId": "1", "updateImageSetMetadataUpdates": UPDATE},
        "CopyImageSet": {
            "datastoreId": datastore_id,
            "sourceImageSetId": image_set_id,
            "copyImageSetInformation": COPY,
        },
        "DeleteImageSet": image_set,
        "TagResource": {"resourceArn": arn, "tags": {"a": "1"}},
        "UntagResource": {"resourceArn": arn, "tagKeys": ["a"]},
        "ListTagsForResource": {"resourceArn": arn},
    }
    return requests[operation]


def call(boto: BaseClient, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = getattr(boto, xform_name(operation))(**arguments)
    return answer


def test_every_operation_of_the_model_is_carried_out(ct: ImageSet) -> None:
    """All 18, one after the other on one data store, each with an answer as the model has it."""
    assert OPERATIONS.keys() == service().operations.keys() == set(BOTOCORE.operation_names)
    job_id = call(ct.boto, "StartDICOMImportJob", request("StartDICOMImportJob", *ct.ids.values()))["jobId"]
    [series] = ct.document()["Study"]["Series"].values()
    frame = next(iter(series["Instances"].values()))["ImageFrames"][0]["ID"]
    last = ["CopyImageSet", "UpdateImageSetMetadata", "DeleteImageSet", "DeleteDatastore"]
    for operation in [*(name for name in OPERATIONS if name not in last), *last]:
        arguments = request(operation, ct.datastore_id, ct.image_set_id, job_id)
        if operation == "GetImageFrame":
            arguments["imageFrameInformation"] = {"imageFrameId": frame}
        if operation == "DeleteDatastore":
            arguments["datastoreId"] = ct.boto.create_datastore()["datastoreId"]

        answer = call(ct.boto, operation, arguments)

        for blob in ("imageSetMetadataBlob", "imageFrameBlob"):
            if blob in answer:
                answer[blob] = answer[blob].read()
        assert_modelled(operation, answer)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert answer["ResponseMetadata"]["RequestId"]


# -- paginators


def datastores(ct: ImageSet, server: Server) -> dict[str, Any]:
    for _ in range(2):
        ct.boto.create_datastore()
    return {}


def jobs(ct: ImageSet, server: Server) -> dict[str, Any]:
    for _ in range(3):
        ct.boto.start_dicom_import_job(datastoreId=ct.datastore_id, **JOB)
    return {"datastoreId": ct.datastore_id}


def versions(ct: ImageSet, server: Server) -> dict[str, Any]:
    for version in ("1", "2"):
        ct.update(patient(PatientName=version), latest=version)
    return ct.ids


def image_sets(ct: ImageSet, server: Server) -> dict[str, Any]:
    stow(server, ct.datastore_id, [instance(series=f"{SERIES}.{number}") for number in (1, 2)])
    return {"datastoreId": ct.datastore_id, "searchCriteria": {}}


@pytest.mark.parametrize(
    ("operation", "key", "prepare", "identity"),
    [
        ("list_datastores", "datastoreSummaries", datastores, "datastoreId"),
        ("list_dicom_import_jobs", "jobSummaries", jobs, "jobId"),
        ("list_image_set_versions", "imageSetPropertiesList", versions, "versionId"),
        ("search_image_sets", "imageSetsMetadataSummaries", image_sets, "imageSetId"),
    ],
)
def test_every_paginator_walks_to_the_end(
    session_server: Server,
    ct: ImageSet,
    operation: str,
    key: str,
    prepare: Callable[[ImageSet, Server], dict[str, Any]],
    identity: str,
) -> None:
    """In pages of one, everything comes once, and as in one page."""
    arguments = prepare(ct, session_server)

    pages = list(ct.boto.get_paginator(operation).paginate(**arguments, PaginationConfig={"PageSize": 1}))

    found = [entry[identity] for page in pages for entry in page[key]]
    assert len(found) == len(set(found)) >= 3
    assert {len(page[key]) for page in pages} == {1}
    assert "nextToken" not in pages[-1]
    whole = ct.boto.get_paginator(operation).paginate(**arguments).build_full_result()[key]
    assert found == [entry[identity] for entry in whole]
