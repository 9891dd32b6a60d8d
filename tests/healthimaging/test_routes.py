"""What every answer of the API has, whatever the operation, over the whole application without a socket."""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.errors import StorageFailed
from gateway.healthimaging.routes import routes
from gateway.healthimaging.wire import MAX_BODY
from gateway.settings import Settings
from gateway.store.contents import Datastore
from gateway.store.protocol import Store
from tests.conftest import app_client

IMAGE_SET = "0" * 32
PATIENT = "DOE^JANE"


async def test_unsigned_request_is_answered(client: httpx.AsyncClient, datastore_id: str) -> None:
    """A request needs no signature, and one with a signature is answered the same."""
    unsigned = await client.get(f"/datastore/{datastore_id}")
    signed = await client.get(f"/datastore/{datastore_id}", headers={"Authorization": "AWS4-HMAC-SHA256 rubbish"})

    assert unsigned.status_code == signed.status_code == 200
    assert unsigned.json() == signed.json()
    assert unsigned.headers["content-type"] == "application/json"


async def test_every_answer_has_its_own_request_id(client: httpx.AsyncClient, datastore_id: str) -> None:
    """x-amzn-RequestId is on answers and errors, another each time."""
    answers = [await client.get(f"/datastore/{name}") for name in (datastore_id, datastore_id, IMAGE_SET, "short")]

    assert [answer.status_code for answer in answers] == [200, 200, 404, 400]
    assert len({answer.headers["x-amzn-RequestId"] for answer in answers}) == 4


async def test_host_with_the_runtime_prefix_is_the_same_server(client: httpx.AsyncClient, datastore_id: str) -> None:
    """SDKs put runtime- before the host they were given."""
    url = f"http://runtime-gateway.test/datastore/{datastore_id}/searchImageSets"

    assert (await client.post(url)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"/datastore/{IMAGE_SET}/imageSet/{IMAGE_SET}/doTheDishes"),
        ("GET", f"/datastore/{IMAGE_SET}/imageSet/{IMAGE_SET}/getImageSet"),
        ("PATCH", f"/datastore/{IMAGE_SET}"),
        ("PUT", "/datastore"),
    ],
)
async def test_unknown_operation_is_answered_as_the_service_does(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    """A path or method that no operation has is an UnknownOperationException."""
    answer = await client.request(method, path)

    assert answer.status_code == 404
    assert answer.headers["x-amzn-ErrorType"] == "UnknownOperationException"
    assert answer.json() == {"message": "the gateway has no operation with this method and path"}


async def test_body_longer_than_any_input_is_refused(client: httpx.AsyncClient) -> None:
    """What cannot be an input is not read to its end."""
    answer = await client.post("/datastore", content=b" " * (MAX_BODY + 1))

    assert answer.status_code == 413
    assert answer.headers["x-amzn-ErrorType"] == "RequestEntityTooLargeException"


async def test_search_without_a_body_finds_everything(client: httpx.AsyncClient, datastore_id: str) -> None:
    """Criteria are optional, and so is the body they would be."""
    answer = await client.post(f"/datastore/{datastore_id}/searchImageSets")

    assert answer.json() == {
        "imageSetsMetadataSummaries": [],
        "sort": {"sortField": "updatedAt", "sortOrder": "DESC"},
    }


async def test_region_and_account_of_the_settings_are_in_arns(settings: Settings, store: Store) -> None:
    """ARNs are made of the operator's region and account."""
    datastore = await store.default_datastore()
    settings = replace(settings, region="eu-west-1", account="123456789012")

    async with app_client(face(settings, store)) as client:
        answer = await client.get(f"/datastore/{datastore.datastore_id}")

    arn = f"arn:aws:medical-imaging:eu-west-1:123456789012:datastore/{datastore.datastore_id}"
    assert answer.json()["datastoreProperties"]["datastoreArn"] == arn


async def test_force_is_refused_where_it_needs_a_reason(settings: Settings, store: Store) -> None:
    """The API has no place for a reason, so a gateway that asks for one takes no force over it."""
    async with app_client(face(replace(settings, force_needs_reason=True), store)) as client:
        answer = await client.post(
            f"/datastore/{IMAGE_SET}/imageSet/{IMAGE_SET}/updateImageSetMetadata?latestVersion=1&force=true",
            json={"revertToVersionId": "1"},
        )

    assert answer.headers["x-amzn-ErrorType"] == "ValidationException"
    assert "reason" in answer.json()["message"]


async def test_update_above_the_quota_is_refused(settings: Settings, store: Store) -> None:
    """The quota of AWS, 10 KB unless asked for more, can be set; what the model refuses is no valid request."""
    path = f"/datastore/{IMAGE_SET}/imageSet/{IMAGE_SET}/updateImageSetMetadata?latestVersion=1"
    bodies = [
        {"DICOMUpdates": {"updatableAttributes": b64encode(b" " * size).decode()}} for size in (10_240, 10_241, 30_001)
    ]

    async with app_client(face(replace(settings, max_update_document=10_240), store)) as client:
        errors = [(await client.post(path, json=body)).headers["x-amzn-ErrorType"] for body in bodies]

    assert errors == ["ValidationException", "ServiceQuotaExceededException", "ValidationException"]


async def test_unexpected_error_is_logged_without_its_message(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure of ours is a 500 the SDKs know, with its id in the log, and no value in either."""

    class Broken:
        async def datastores(self) -> list[Datastore]:
            raise KeyError(PATIENT)

    async with app_client(face(settings, Broken())) as client:
        with caplog.at_level(logging.ERROR, "gateway.healthimaging"):
            answer = await client.get("/datastore")

    assert answer.status_code == 500
    assert answer.headers["x-amzn-ErrorType"] == "InternalServerException"
    assert json.loads(answer.content) == {"message": "internal error"}
    assert answer.headers["x-amzn-RequestId"] in caplog.text
    assert "KeyError" in caplog.text
    assert PATIENT not in caplog.text


async def test_failure_of_the_disk_is_logged_with_its_cause(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Under the id that the client has."""

    class Broken:
        async def datastores(self) -> list[Datastore]:
            raise StorageFailed("disk I/O error") from OSError(PATIENT)

    async with app_client(face(settings, Broken())) as client:
        with caplog.at_level(logging.ERROR, "gateway.healthimaging"):
            answer = await client.get("/datastore")

    assert answer.headers["x-amzn-ErrorType"] == "InternalServerException"
    assert answer.headers["x-amzn-RequestId"] in caplog.text
    assert "StorageFailed" in caplog.text and "OSError" in caplog.text
    assert PATIENT not in caplog.text


def face(settings: Settings, store: object) -> Starlette:
    """Return the API alone, over a store."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        yield {"settings": settings, "store": store, "imports": None, "clock": None}

    return Starlette(routes=routes(), lifespan=lifespan)
