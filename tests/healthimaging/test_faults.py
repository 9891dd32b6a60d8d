"""Errors as modelled exceptions."""

from __future__ import annotations

import json
import re

import pytest
from botocore.parsers import create_parser

from gateway.errors import (
    AccessDenied,
    ConstraintViolations,
    GatewayError,
    Gone,
    InvalidDicomJson,
    InvalidUpdate,
    NotAcceptable,
    NotEmpty,
    NotFound,
    StorageFailed,
    StorageFull,
    TooLarge,
    VersionConflict,
    Violation,
)
from gateway.healthimaging.faults import (
    COMMON_STATUS,
    MalformedBody,
    RequestEntityTooLarge,
    Throttled,
    UnknownOperation,
    fault,
    to_message,
)
from gateway.healthimaging.model import Operation, service
from tests.healthimaging.test_model import BOTOCORE

EXCEPTIONS = [
    (InvalidUpdate("x"), "ValidationException", 400),
    (InvalidDicomJson("$", "x"), "ValidationException", 400),
    (ConstraintViolations([Violation("level", "Study", "x", False)]), "ValidationException", 400),
    (AccessDenied("write"), "AccessDeniedException", 403),
    (NotFound("image set", "x"), "ResourceNotFoundException", 404),
    (Gone("image set", "x"), "ResourceNotFoundException", 404),
    (VersionConflict("image set x", 1, 2), "ConflictException", 409),
    (NotEmpty("x"), "ConflictException", 409),
    (NotAcceptable("x"), "NotAcceptableException", 406),
    (MalformedBody("x"), "BadRequestException", 400),
    (Throttled("GetImageSet", 4), "ThrottlingException", 429),
    (TooLarge("x"), "ServiceQuotaExceededException", 402),
    (StorageFull("x"), "InternalServerException", 500),
    (StorageFailed("x"), "InternalServerException", 500),
    (KeyError("x"), "InternalServerException", 500),
    (UnknownOperation(), "UnknownOperationException", 404),
    (RequestEntityTooLarge("x"), "RequestEntityTooLargeException", 413),
]


@pytest.mark.parametrize(("error", "name", "status"), EXCEPTIONS, ids=[type(row[0]).__name__ for row in EXCEPTIONS])
def test_error_is_the_exception_clients_raise(error: Exception, name: str, status: int) -> None:
    """botocore reads each error's answer as the exception's name, with its status, message and request id."""
    response = fault(error, "request-1")

    parsed = create_parser("rest-json").parse(
        {"status_code": response.status_code, "headers": dict(response.headers), "body": response.body}, None
    )
    assert parsed["Error"]["Code"] == name
    assert parsed["Error"]["Message"]
    assert parsed["ResponseMetadata"]["HTTPStatusCode"] == status
    assert parsed["ResponseMetadata"]["RequestId"] == "request-1"


@pytest.mark.parametrize("operation", service().operations.values(), ids=lambda operation: operation.name)
def test_error_is_an_exception_that_the_operation_declares(operation: Operation) -> None:
    """What only GetImageFrame calls a BadRequestException is a ValidationException elsewhere; nothing is undeclared."""
    for error, _, _ in EXCEPTIONS:
        name = fault(error, "r", operation.exceptions).headers["x-amzn-ErrorType"]
        assert name in operation.exceptions | COMMON_STATUS.keys()
    malformed = fault(MalformedBody("x"), "r", operation.exceptions).headers["x-amzn-ErrorType"]
    assert malformed == ("BadRequestException" if operation.name == "GetImageFrame" else "ValidationException")


def test_throttled_client_is_told_when_to_come_back() -> None:
    """In seconds, as RFC 9110 has it."""
    assert fault(Throttled("GetImageSet", 4), "r").headers["Retry-After"] == "4"


def test_every_gateway_error_has_an_exception() -> None:
    """No class of our error tree is left without an answer."""

    def tree(kind: type[GatewayError]) -> set[type[GatewayError]]:
        return {kind}.union(*(tree(child) for child in kind.__subclasses__()))

    for kind in tree(GatewayError):
        error = kind.__new__(kind)
        error.args = ("it failed",)
        if isinstance(error, ConstraintViolations):
            error.violations = ()
        assert fault(error, "r").status_code >= 400


def test_constraint_violations_are_told_by_rule_with_what_force_lifts() -> None:
    """All violations are in the message, each once, with its rule, and whether force lifts it."""
    violations = [
        Violation("uid", "Instance", "SOPInstanceUID is changed", True),
        Violation("generated", "Instance", "PixelData is generated", False),
        Violation("generated", "Instance", "PixelData is generated", False),
    ]

    body = json.loads(bytes(fault(ConstraintViolations(violations), "r").body))

    assert body == {
        "message": "uid: SOPInstanceUID is changed (force lifts it), generated: PixelData is generated",
    }


def test_unexpected_error_keeps_its_message_to_itself() -> None:
    """The message of an error that is not ours may quote a patient's value."""
    body = json.loads(bytes(fault(UnicodeEncodeError("ascii", "DOE^JANE", 0, 1, "x"), "r").body))

    assert body == {"message": "internal error"}


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        ("version 4 is current, not 3", "version 4 is current, not 3"),
        ("$[0].00100010: a; b = {c}", "$(0).00100010: a, b : (c)"),
        ("王^小東 @\n", "____ __"),
        ("", "unknown"),
    ],
)
def test_message_is_spelled_with_the_characters_of_the_model(sentence: str, message: str) -> None:
    """Characters that the service model does not allow in a message are spelled with those it does."""
    assert to_message(sentence) == message


def test_message_fits_the_model() -> None:
    """The longest and strangest message has the modelled length and pattern."""
    shape = BOTOCORE.shape_for("Message")

    message = to_message("".join(map(chr, range(5000))))

    assert len(message) == shape.metadata["max"]
    assert re.fullmatch(shape.metadata["pattern"], message, re.ASCII)
