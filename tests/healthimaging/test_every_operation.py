"""Every operation of the API, every paginator and every exception that the service model declares, by boto3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore import xform_name
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from gateway.healthimaging.model import service
from gateway.healthimaging.operations import OPERATIONS
from tests.conftest import Server
from tests.healthimaging.conftest import SERIES, ImageSet, patient, stow
from tests.healthimaging.test_copying import copy
from tests.healthimaging.test_image_sets import assert_modelled, refused
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
    return {
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
    }[operation]


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
        arguments = request(operation, *ct.ids.values(), job_id)
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


# -- exceptions

# docs/healthimaging.md: nothing is throttled or denied, and every frame is served as it is kept.
NEVER = {"ThrottlingException", "AccessDeniedException", "BadRequestException", "NotAcceptableException"}


def declaring(exception: str) -> list[str]:
    """Return the operations that declare an exception."""
    return sorted(name for name, operation in service().operations.items() if exception in operation.exceptions)


@pytest.mark.parametrize(
    "operation", [name for name in declaring("ResourceNotFoundException") if name != "CreateDatastore"]
)
def test_every_operation_says_what_is_not_there(boto: BaseClient, operation: str) -> None:
    """A data store that does not exist is a ResourceNotFoundException of every operation that declares it."""
    with refused("ResourceNotFoundException"):
        call(boto, operation, request(operation, NOBODY, NOBODY))


@pytest.mark.parametrize("operation", declaring("ValidationException"))
def test_every_operation_checks_its_input(boto: BaseClient, operation: str) -> None:
    """What breaks the model's patterns and ranges is a ValidationException, which clients leave to the service."""
    broken = {"datastoreId": "short", "resourceArn": "arn:aws:s3:::bucket", "datastoreName": "?", "maxResults": 51}
    arguments = request(operation, NOBODY, NOBODY)
    member = next((name for name in broken if name in arguments), "maxResults")

    with refused("ValidationException"):
        call(boto, operation, arguments | {member: broken[member]})


def test_every_declared_exception_is_provoked(ct: ImageSet, boto: BaseClient, session_server: Server) -> None:
    """Each class that boto3 makes of the model is raised by the gateway, those aside that never are."""
    copied = copy(ct)["destinationImageSetProperties"]["imageSetId"]
    large = ImageSet(boto, boto.create_datastore()["datastoreId"], NOBODY)
    stow(session_server, large.datastore_id, [instance(NumberOfFrames=1001)])
    found = boto.search_image_sets(datastoreId=large.datastore_id)["imageSetsMetadataSummaries"][0]["imageSetId"]
    provoked = set()

    for asking in (
        lambda: boto.delete_datastore(datastoreId=ct.datastore_id),
        lambda: boto.get_image_set(**ct.ids | {"imageSetId": NOBODY}),
        lambda: ct.update(b"no document"),
        lambda: copy(ImageSet(boto, large.datastore_id, found)),
        lambda: copy(ct, into=(copied, "7")),
    ):
        with pytest.raises(ClientError) as error:
            asking()
        code = error.value.response["Error"]["Code"]
        assert isinstance(error.value, getattr(boto.exceptions, code))
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == service().exceptions[code]
        provoked.add(code)

    # test_routes.py provokes the one of a failure of ours
    assert provoked | NEVER | {"InternalServerException"} == service().exceptions.keys()
