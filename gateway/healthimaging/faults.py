"""Errors as HealthImaging answers them: the modelled exception, its status, and one sentence.

The AWS clients choose their exception class by the header x-amzn-ErrorType; without it they raise a bare ClientError.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import orjson
from starlette.responses import Response

from gateway.errors import (
    AccessDenied,
    ConstraintViolations,
    GatewayError,
    IdempotencyConflict,
    InvalidRequest,
    NotAcceptable,
    NotEmpty,
    NotFound,
    NotReady,
    TooLarge,
    VersionConflict,
    Violation,
)
from gateway.healthimaging.model import service


class RequestEntityTooLarge(TooLarge):
    """A body longer than any input of this API."""


class UnknownOperation(GatewayError):
    """No operation has this method and path, or the gateway does not have it."""

    def __init__(self) -> None:
        super().__init__("the gateway has no operation with this method and path")


class MalformedBody(InvalidRequest):
    """A body that is no JSON object, before anything the service model says of it."""


class Throttled(GatewayError):
    """An operation was asked for more often than the settings allow. retry_after: in seconds."""

    retry_after = 1

    def __init__(self, operation: str, retry_after: int) -> None:
        super().__init__(f"Rate exceeded: ask for {operation} again in {retry_after} s")
        self.retry_after = retry_after


# By class; of an error the nearest in its own order of inheritance, of those that the operation declares.
EXCEPTIONS: Mapping[type[BaseException], str] = {
    RequestEntityTooLarge: "RequestEntityTooLargeException",
    UnknownOperation: "UnknownOperationException",
    Throttled: "ThrottlingException",
    MalformedBody: "BadRequestException",
    InvalidRequest: "ValidationException",
    ConstraintViolations: "ValidationException",
    AccessDenied: "AccessDeniedException",
    NotFound: "ResourceNotFoundException",
    NotAcceptable: "NotAcceptableException",
    VersionConflict: "ConflictException",
    NotEmpty: "ConflictException",
    NotReady: "ConflictException",
    IdempotencyConflict: "ConflictException",
    TooLarge: "ServiceQuotaExceededException",
    Exception: "InternalServerException",
}

# Common Errors of the API reference; the service model does not have them.
COMMON_STATUS = {"UnknownOperationException": 404, "RequestEntityTooLargeException": 413}

# Message of the service model: [\w -:`]+, at most 2048 characters. What stands outside is spelled with what is inside.
_SPELLING = str.maketrans({";": ",", "[": "(", "]": ")", "{": "(", "}": ")", "<": "(", ">": ")", "=": ":"})
_UNSPEAKABLE = re.compile(r"[^\w -:`]", re.ASCII)
_LONGEST = 2048


def fault(error: Exception, request_id: str, declared: Collection[str] | None = None) -> Response:
    """Return the answer to a request that failed with this error.

    declared: the exceptions of its operation, any by default. All declare InternalServerException, so there is one.
    """
    names = [EXCEPTIONS[kind] for kind in type(error).__mro__ if kind in EXCEPTIONS]
    name = next(name for name in names if declared is None or name in declared or name in COMMON_STATUS)
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": name, "x-amzn-RequestId": request_id}
    if isinstance(error, Throttled):
        headers["Retry-After"] = str(error.retry_after)
    status = COMMON_STATUS.get(name) or service().exceptions[name]
    return Response(orjson.dumps({"message": to_message(_sentence(error))}), status, headers)


def to_message(sentence: str) -> str:
    """Return a sentence in the characters and the length that the service model allows a message."""
    spelled = _UNSPEAKABLE.sub("_", sentence.translate(_SPELLING)) or "unknown"
    return spelled if len(spelled) <= _LONGEST else f"{spelled[: _LONGEST - 4]} ..."


def _sentence(error: Exception) -> str:
    if isinstance(error, ConstraintViolations):
        return "; ".join(dict.fromkeys(_violation(violation) for violation in error.violations))
    # What is not ours may quote a value in its message, and a value may be a patient's.
    return str(error) if isinstance(error, GatewayError) else "internal error"


def _violation(violation: Violation) -> str:
    lifted = " (force lifts it)" if violation.force_lifts else ""
    return f"{violation.rule}: {violation.message}{lifted}"
