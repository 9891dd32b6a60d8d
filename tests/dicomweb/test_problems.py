"""Problem documents: every error class has a status, and none says more than it should. RFC 9457."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import errors
from gateway.dicomweb.problems import endpoint, problem, problem_response
from gateway.dicomweb.routes import merge
from gateway.errors import GatewayError, Violation
from tests.dicomweb.edits import CANARY

VIOLATION = Violation("study-id", "Study", "StudyID is changed only with force", True, "00200010", "StudyID")

STATUSES: list[tuple[GatewayError, int, dict[str, Any]]] = [
    (errors.InvalidRequest("x"), 400, {}),
    (errors.InvalidDicomJson("$[0].00100010", "x"), 400, {"path": "$[0].00100010"}),
    (errors.InvalidUpdate("x"), 400, {}),
    (errors.InvalidPart10("x", 132), 400, {"offset": 132}),
    (errors.InvalidMultipart("x"), 400, {}),
    (errors.InvalidQuery("force", "x"), 400, {"parameter": "force"}),
    (errors.InvalidHeader("If-Match", "x"), 400, {"header": "If-Match"}),
    (errors.InvalidUid("StudyInstanceUID"), 400, {}),
    (errors.AccessDenied("write"), 403, {}),
    (errors.NotFound("study", "1.2.3"), 404, {}),
    (errors.Gone("study", "1.2.3"), 410, {}),
    (errors.NotAcceptable("x"), 406, {}),
    (errors.ConstraintViolations([VIOLATION]), 409, {}),
    (errors.VersionConflict("study 1.2.3", 1, 2), 409, {"expected": 1, "actual": 2}),
    (errors.PreconditionFailed("study 1.2.3", '"1"', 2, '"2"'), 412, {"current": '"2"'}),
    (errors.TooLarge("x"), 413, {}),
    (errors.UnsupportedMediaType("x"), 415, {}),
    (errors.IdempotencyConflict(), 422, {}),
    (errors.PreconditionRequired(), 428, {}),
    (errors.StorageFailed("x"), 503, {}),
    (errors.StorageFull("x"), 507, {}),
]


@pytest.mark.parametrize(("error", "status", "members"), STATUSES, ids=[type(row[0]).__name__ for row in STATUSES])
def test_an_error_has_its_status_and_its_fields(error: GatewayError, status: int, members: dict[str, Any]) -> None:
    """The status in the document is the one of the answer, and what the error knows is a member."""
    response = problem_response(error)

    body = json.loads(bytes(response.body))
    assert response.status_code == body["status"] == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert body["detail"] == str(error)
    assert members.items() <= body.items()


def test_a_type_and_a_title_name_the_class() -> None:
    """`type` is an identifier that a program can compare, `title` the same in words."""
    body = problem(errors.InvalidDicomJson("$", "x"))

    assert (body["type"], body["title"]) == ("urn:dicomweb-gateway:problem:invalid-dicom-json", "Invalid DICOM JSON")


def test_violations_are_listed_in_full() -> None:
    """Each violation has rule, level, tag, keyword, a sentence, and whether force lifts it; UIDs where it has them."""
    assert problem(errors.ConstraintViolations([VIOLATION]))["violations"] == [
        {
            "rule": "study-id",
            "level": "Study",
            "tag": "00200010",
            "keyword": "StudyID",
            "message": "StudyID is changed only with force",
            "forceLifts": True,
        }
    ]


@pytest.mark.parametrize(("error", "after"), [(errors.StorageFailed("x"), "10"), (errors.StorageFull("x"), "60")])
def test_a_failing_disk_says_when_to_come_back(error: GatewayError, after: str) -> None:
    """503 and 507 have Retry-After."""
    assert problem_response(error).headers["Retry-After"] == after


def test_the_cause_of_a_failing_disk_is_logged_without_its_message(caplog: pytest.LogCaptureFixture) -> None:
    """An operator sees which code failed; a driver's message may quote a patient's values, and stays out."""
    try:
        try:
            raise OSError(CANARY)
        except OSError as cause:
            raise errors.StorageFailed("the disk refused") from cause
    except errors.StorageFailed as error:
        with caplog.at_level(logging.ERROR):
            problem_response(error)

    assert "OSError" in caplog.text
    assert "test_problems.py" in caplog.text
    assert CANARY not in caplog.text


async def test_what_nobody_expected_is_not_answered_here() -> None:
    """Another exception than a GatewayError goes on, to the one place that logs it and answers 500."""

    @endpoint
    async def broken(request: Request[Any]) -> Response:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await broken(Request({"type": "http", "method": "GET"}))


def test_routes_of_one_path_are_merged() -> None:
    """Two modules that give one path different methods make one route, so that 405 can list them all."""

    async def handler(request: Request[Any]) -> Response:
        return Response()

    [route] = merge([Route("/a", handler, methods=["GET"]), Route("/a", handler, methods=["PATCH"])])

    assert route.methods == {"GET", "HEAD", "PATCH"}
    assert Starlette(routes=[route]).routes == [route]
