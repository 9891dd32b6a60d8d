"""The API's protocol, rest-json: a request becomes an operation's input, its output becomes a response.

Where a member travels, its type, length, range, pattern and values are in the service model. The AWS CLI and SDKs check
almost none of that before they send, so all of it is checked here; every violation is in the one message, worded as the
service words its own, but for the value, which may be a patient's.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from starlette.datastructures import QueryParams
from starlette.responses import Response

from gateway.errors import InvalidRequest
from gateway.healthimaging.context import Input, Output
from gateway.healthimaging.faults import MalformedBody
from gateway.healthimaging.model import Operation, Shape

# The longest input of the API is CopyImageSet's 260,000 characters, of at most six bytes each when escaped.
MAX_BODY = 2 * 1024 * 1024

_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BOOLEANS = {"true": True, "false": False}


# -- requests


def read_input(operation: Operation, path: Mapping[str, str], query: QueryParams, body: bytes) -> Input:
    """Return an operation's input: blobs as bytes, timestamps as aware datetimes, absent members absent.

    Members that the model does not have are left out. Raises InvalidRequest with every violation.
    """
    problems: list[str] = []
    sent = _body_members(operation.input, body)
    for member in operation.input.members:
        if member.location == "uri":
            sent[member.name] = path[member.wire_name]
        elif member.location == "querystring":
            texts = query.getlist(member.wire_name)
            # A query cannot tell an empty list from none, and botocore sends the first for UntagResource.
            if texts or (member.shape.type == "list" and member.name in operation.input.required):
                sent[member.name] = _from_query(member.shape, member.name, texts, problems)
    checked: Input = _structure(operation.input, sent, "", problems)
    if problems:
        raise InvalidRequest(_validation_message(problems))
    return checked


def _body_members(shape: Shape, body: bytes) -> dict[str, Any]:
    """Return what the body has of an input: its one payload member, or its members that travel nowhere else."""
    names = [member.name for member in shape.members if member.location == "body"]
    if not names or not body.strip():
        return {}
    document = _json(body)
    if shape.payload is not None:
        return {shape.payload: document}
    if not isinstance(document, dict):
        raise MalformedBody("the body is not a JSON object")
    return {name: document[name] for name in names if name in document}


def _json(body: bytes) -> Any:
    """Return a JSON body. Names that come twice are refused: one reader takes the first, another the last."""
    try:
        return json.loads(body, object_pairs_hook=_unique, parse_constant=_no_constant)
    except MalformedBody:
        raise
    except (ValueError, RecursionError) as error:
        raise MalformedBody("the body is not JSON") from error


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise MalformedBody("the body has an object with the same name twice")
    return members


def _no_constant(name: str) -> Any:
    raise MalformedBody("the body is not JSON: it has NaN or Infinity")


def _from_query(shape: Shape, name: str, texts: Sequence[str], problems: list[str]) -> Any:
    if shape.type == "list":
        return list(texts)
    if len(texts) > 1:
        problems.append(_problem(name, "Member must be given once"))
    if shape.type == "integer" and _INTEGER.fullmatch(texts[0]):
        return int(texts[0])
    return _BOOLEANS.get(texts[0], texts[0]) if shape.type == "boolean" else texts[0]


# -- the model's types. Each returns the value it checked, and what it returns after a problem is never used.


def _structure(shape: Shape, value: Any, path: str, problems: list[str]) -> Any:
    if not isinstance(value, dict):
        return problems.append(_problem(path, "Member must be an object"))
    prefix = f"{path}." if path else ""
    checked: dict[str, Any] = {}
    for member in shape.members:
        if value.get(member.name) is not None:
            checked[member.name] = _check(member.shape, value[member.name], prefix + member.name, problems)
        elif member.name in shape.required:
            problems.append(_problem(prefix + member.name, "Member must not be null"))
    if shape.union and len(checked) != 1:
        names = ", ".join(member.name for member in shape.members)
        problems.append(_problem(path, f"Member must have exactly one of: {names}"))
    return checked


def _list(shape: Shape, value: Any, path: str, problems: list[str]) -> Any:
    if not isinstance(value, list) or shape.element is None:
        return problems.append(_problem(path, "Member must be a list"))
    _within(shape, len(value), "length", path, problems)
    if shape.maximum is not None and len(value) > shape.maximum:
        return value
    return [_check(shape.element, element, f"{path}.{index}", problems) for index, element in enumerate(value)]


def _map(shape: Shape, value: Any, path: str, problems: list[str]) -> Any:
    if not isinstance(value, dict) or shape.key is None or shape.element is None:
        return problems.append(_problem(path, "Member must be an object"))
    return {
        _check(shape.key, key, f"{path}.key", problems): _check(shape.element, element, f"{path}.value", problems)
        for key, element in value.items()
    }


def _string(shape: Shape, value: Any, path: str, problems: list[str]) -> Any:
    if not isinstance(value, str) or not _is_text(value):
        return problems.append(_problem(path, "Member must be a string"))
    _within(shape, len(value), "length", path, problems)
    if shape.pattern is not None and not shape.pattern.fullmatch(value):
        problems.append(_problem(path, f"Member must satisfy the pattern of {shape.name}"))
    if shape.enum and value not in shape.enum:
        problems.append(_problem(path, f"Member must satisfy enum value set: {', '.join(shape.enum)}"))
    return value


def _is_text(value: str) -> bool:
    """Return whether a string can be written: JSON can escape half a surrogate pair, which no encoding has."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _integer(shape: Shape, value: Any, path: str, problems: list[str]) -> Any:
    if not isinstance(value, int) or isinstance(value, bool):
        return problems.append(_problem(path, "Member must be an integer"))
    _within(shape, value, "value", path, problems)
    return value


def _boolean(shape: Shape, value: Any, path: str, problems: list[str]) -> Any:
    if not isinstance(value, bool):
        return problems.append(_problem(path, "Member must be true or false"))
    return value


def _timestamp(shape: Shape, value: Any, path: str, problems: list[str]) -> Any:
    """Seconds since 1970, as every SDK sends them in a body."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("not a number")
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return problems.append(_problem(path, "Member must be a time in seconds since 1970"))


def _blob(shape: Shape, value: Any, path: str, problems: list[str]) -> Any:
    try:
        content = binascii.a2b_base64(value, strict_mode=True) if isinstance(value, str) else None
    except ValueError:
        content = None
    if content is None:
        return problems.append(_problem(path, "Member must be base64"))
    _within(shape, len(content), "length", path, problems)
    return content


_CHECKS: Mapping[str, Callable[[Shape, Any, str, list[str]], Any]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "integer": _integer,
    "boolean": _boolean,
    "timestamp": _timestamp,
    "blob": _blob,
}


def _check(shape: Shape, value: Any, path: str, problems: list[str]) -> Any:
    return _CHECKS[shape.type](shape, value, path, problems)


def _within(shape: Shape, size: int, what: str, path: str, problems: list[str]) -> None:
    if shape.minimum is not None and size < shape.minimum:
        problems.append(_problem(path, f"Member must have {what} greater than or equal to {shape.minimum}"))
    if shape.maximum is not None and size > shape.maximum:
        problems.append(_problem(path, f"Member must have {what} less than or equal to {shape.maximum}"))


def _problem(path: str, constraint: str) -> str:
    return f"Value at '{path}' failed to satisfy constraint: {constraint}"


def _validation_message(problems: Sequence[str]) -> str:
    errors = "error" if len(problems) == 1 else "errors"
    return f"{len(problems)} validation {errors} detected: {'; '.join(problems)}"


# -- responses


def write_output(operation: Operation, output: Output, request_id: str) -> Response:
    """Return the response for an operation's output."""
    headers = {"Content-Type": "application/json", "x-amzn-RequestId": request_id}
    for member in operation.output.members:
        if member.location == "header" and output.get(member.name) is not None:
            headers[member.wire_name] = output[member.name]
    payload = operation.output.payload
    body = output[payload] if payload else orjson.dumps(_to_json(operation.output, output))
    return Response(body, operation.status, headers)


def _to_json(shape: Shape, value: Any) -> Any:
    """Return an output value as JSON has it: absent members left out, timestamps as seconds since 1970."""
    if shape.type == "structure":
        return {
            member.wire_name: _to_json(member.shape, value[member.name])
            for member in shape.members
            if value.get(member.name) is not None
        }
    if shape.type == "list" and shape.element is not None:
        return [_to_json(shape.element, element) for element in value]
    return _seconds(value) if shape.type == "timestamp" else value


def _seconds(time: datetime) -> float:
    """Return seconds since 1970 in whole milliseconds, as the service gives them; never later than the time was."""
    return (time - _EPOCH) // timedelta(milliseconds=1) / 1000
