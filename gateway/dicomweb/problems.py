"""Every error as an HTTP answer: `application/problem+json`, RFC 9457.

The one table from error class to status is here. Endpoints raise, `endpoint` answers. What nobody expected is not
caught: request_log.py answers it with 500, and tells the client nothing but the request's id.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, TypeAlias

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway import errors
from gateway.errors import GatewayError, Violation
from gateway.state import State, require

logger = logging.getLogger("gateway.dicomweb")

PROBLEM_JSON = "application/problem+json"

# RFC 9110 section 9.2.1, those that are answered here.
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

Handler: TypeAlias = Callable[[Request[State]], Awaitable[Response]]

# The nearest class in the error's line of ancestors decides.
STATUS: dict[type[Exception], HTTPStatus] = {
    errors.InvalidRequest: HTTPStatus.BAD_REQUEST,
    errors.ConstraintViolations: HTTPStatus.CONFLICT,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Gone: HTTPStatus.GONE,
    errors.VersionConflict: HTTPStatus.CONFLICT,
    errors.PreconditionFailed: HTTPStatus.PRECONDITION_FAILED,
    errors.PreconditionRequired: HTTPStatus.PRECONDITION_REQUIRED,
    errors.IdempotencyConflict: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NotEmpty: HTTPStatus.CONFLICT,
    errors.NotReady: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.AccessDenied: HTTPStatus.FORBIDDEN,
    errors.UnsupportedMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.NotAcceptable: HTTPStatus.NOT_ACCEPTABLE,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.StorageFull: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.StorageFailed: HTTPStatus.SERVICE_UNAVAILABLE,
    GatewayError: HTTPStatus.INTERNAL_SERVER_ERROR,
}

# In seconds: a full or failing disk wants a person, a lost race is over at once.
RETRY_AFTER: dict[type[Exception], int] = {errors.StorageFailed: 10, errors.StorageFull: 60, errors.VersionConflict: 1}

# Fields of an error that become members of the problem, under the same name in camel case.
_MEMBERS = {
    "path": "path",
    "offset": "offset",
    "parameter": "parameter",
    "header": "header",
    "expected": "expected",
    "actual": "actual",
    "current": "current",
    "changes": "changes",
}

_TERMS = {"Dicom": "DICOM", "Json": "JSON", "Xml": "XML", "Uid": "UID", "Part10": "PS3.10"}


def endpoint(handler: Handler) -> Handler:
    """Return the handler for who has the right to its method, with every GatewayError answered as a problem."""

    @functools.wraps(handler)
    async def answered(request: Request[State]) -> Response:
        try:
            require(request.scope, "read" if request.method in SAFE else "write")
            return await handler(request)
        except GatewayError as error:
            return problem_response(error)

    return answered


def problem_response(error: GatewayError) -> Response:
    """Return the answer to an error; 5xx are logged with the lines of code their causes passed through."""
    body = problem(error)
    headers = {}
    retry_after = _nearest(RETRY_AFTER, error)
    if retry_after is not None and not isinstance(error, errors.PreconditionFailed):
        headers["Retry-After"] = str(retry_after)
    if body["status"] >= 500:
        logger.error("%s", errors.without_messages(error))
    return Response(orjson.dumps(body), body["status"], headers, PROBLEM_JSON)


def problem(error: GatewayError) -> dict[str, Any]:
    """Return the problem document of an error, RFC 9457 section 3.

    Beside type, title, status and detail it has the error's own fields: `violations`, `path` of InvalidDicomJson,
    `current` and `changes` of PreconditionFailed, and so on.
    """
    status = _nearest(STATUS, error) or HTTPStatus.INTERNAL_SERVER_ERROR
    body: dict[str, Any] = {
        "type": f"urn:dicomweb-gateway:problem:{_title(error).lower().replace(' ', '-')}",
        "title": _title(error),
        "status": int(status),
        "detail": str(error),
    }
    if isinstance(error, errors.ConstraintViolations):
        body["violations"] = [violation_json(violation) for violation in error.violations]
    for field, member in _MEMBERS.items():
        value = getattr(error, field, None)
        if value is not None:
            body[member] = value
    return body


def violation_json(violation: Violation) -> dict[str, Any]:
    """Return a violation as it stands in problems and dry runs; what it does not have is left out."""
    members = {
        "rule": violation.rule,
        "level": violation.level,
        "tag": violation.tag,
        "keyword": violation.keyword,
        "message": violation.message,
        "forceLifts": violation.force_lifts,
        "seriesInstanceUID": violation.series_instance_uid,
        "sopInstanceUID": violation.sop_instance_uid,
    }
    return {name: value for name, value in members.items() if value is not None}


def _nearest(table: dict[type[Exception], Any], error: GatewayError) -> Any:
    return next((table[kind] for kind in type(error).__mro__ if kind in table), None)


def _title(error: GatewayError) -> str:
    """Return the class name in words: InvalidDicomJson -> "Invalid DICOM JSON"."""
    first, *rest = re.findall(r"[A-Z][a-z0-9]*", type(error).__name__)
    return " ".join([first, *(_TERMS.get(word, word.lower()) for word in rest)])
