"""The judge of answers, judged: what it is there to find, it finds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from tests.healthimaging.clients import boto3_client
from tests.healthimaging.modelled import problems
from tests.healthimaging.test_model import BOTOCORE

ID = "0" * 32
GOOD = {"datastoreId": ID, "imageSetId": ID, "versionId": "1", "imageSetState": "ACTIVE", "createdAt": 1.5}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, []),
        ({"colour": "blue"}, ["x has colour, which the model has not"]),
        ({"versionId": None}, ["x.versionId is no string"]),
        ({"versionId": 1}, ["x.versionId is no string"]),
        ({"versionId": "one"}, ["x.versionId does not match the pattern of ImageSetExternalVersionId"]),
        ({"imageSetState": "GONE"}, ["x.imageSetState is no value of ImageSetState"]),
        ({"createdAt": "2023"}, ["x.createdAt is no timestamp"]),
        (
            {"message": ""},
            ["x.message is not within the limits of Message", "x.message does not match the pattern of Message"],
        ),
        ({"overrides": {"forced": 1}}, ["x.overrides.forced is no boolean"]),
        ({"overrides": True}, ["x.overrides is no object"]),
    ],
    ids=str,
)
def test_answer_that_is_not_modelled_is_found(change: dict[str, Any], found: list[str]) -> None:
    """Each kind of mistake by itself."""
    shape = BOTOCORE.operation_model("GetImageSet").output_shape

    assert [*problems(shape, GOOD | change, "x")] == found


def test_missing_member_is_found() -> None:
    """What the model requires."""
    shape = BOTOCORE.operation_model("GetImageSet").output_shape

    assert [*problems(shape, {name: GOOD[name] for name in GOOD if name != "versionId"}, "x")] == ["x has no versionId"]


@pytest.mark.parametrize(
    ("status", "name", "body"),
    [
        (200, "", {"datastoreSummaries": [], "colour": "blue"}),
        (200, "", {"datastoreSummaries": [{"datastoreId": ID}]}),
        (409, "ValidationException", {"message": "no"}),
        (400, "ValidationException", {"message": "no", "colour": "blue"}),
        (400, "ValidationException", {"message": "<no>"}),
    ],
    ids=["unknown member", "missing member", "other status", "more than a message", "other characters"],
)
def test_every_client_of_the_tests_judges(status: int, name: str, body: dict[str, Any]) -> None:
    """Whatever boto3 would make of the answer."""
    client = boto3_client("http://127.0.0.1:1")

    def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        content = json.dumps(body).encode()
        headers = {"x-amzn-RequestId": "1", "Content-Type": "application/json", "x-amzn-ErrorType": name}
        return AWSResponse(request.url, status, headers | {"Content-Length": str(len(content))}, Raw(content))

    client.meta.events.register("before-send.medical-imaging", answer)

    with pytest.raises(AssertionError):
        client.list_datastores()
    client.close()


class Raw:
    """A body as urllib3 has it."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def stream(self) -> list[bytes]:
        return [self.content]
