"""Answers held against the service model as they come, before botocore parses them and drops what it does not know."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from botocore.model import OperationModel, Shape

# The only member of every exception in the model.
MESSAGE = re.compile(r"[\w -:`]{1,2048}", re.ASCII)


def check_answer(operation_model: OperationModel, response_dict: dict[str, Any], **_: Any) -> None:
    """Assert that an answer is one of the model's: a handler of botocore's event `before-parse`.

    No unknown member, no missing one, every type, length, range, pattern and value. An error is one that the operation
    declares or every operation of AWS can have, with one sentence.
    """
    status, headers, body = response_dict["status_code"], response_dict["headers"], response_dict["body"]
    if isinstance(body, bytes) and len(body) < int(headers.get("Content-Length", 1)):
        return  # cut off by the end of a gateway, which botocore does not notice
    assert headers["x-amzn-RequestId"]
    if status != 200:
        assert json.loads(body).keys() == {"message"}
        assert MESSAGE.fullmatch(json.loads(body)["message"])
        declared = {shape.name: shape.metadata["error"]["httpStatusCode"] for shape in operation_model.error_shapes}
        assert declared.get(headers["x-amzn-ErrorType"], status) == status
        return
    assert headers["Content-Type"]
    if operation_model.output_shape.serialization.get("payload") is None:
        assert [*problems(operation_model.output_shape, json.loads(body), operation_model.name)] == []


def problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """Yield what a JSON value has that its shape does not allow."""
    kind = shape.type_name
    if kind == "structure":
        yield from _of_structure(shape, value, path)
    elif kind == "list":
        yield from _within(shape, len(value), path)
        for number, element in enumerate(value):
            yield from problems(shape.member, element, f"{path}[{number}]")
    elif kind == "map":
        for key, element in value.items():
            yield from problems(shape.key, key, f"{path}[key]")
            yield from problems(shape.value, element, f"{path}[{key}]")
    else:
        yield from _of_scalar(shape, value, path)


def _of_structure(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path} is no object"
        return
    names = {member.serialization.get("name", name): (name, member) for name, member in shape.members.items()}
    yield from (f"{path} has {name}, which the model has not" for name in value.keys() - names.keys())
    missing = {*shape.required_members} - {names[name][0] for name in value.keys() & names.keys()}
    yield from (f"{path} has no {name}" for name in missing)
    for name in value.keys() & names.keys():
        yield from problems(names[name][1], value[name], f"{path}.{name}")


_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
    "timestamp": (int, float),
}


def _of_scalar(shape: Shape, value: Any, path: str) -> Iterator[str]:
    of_type = isinstance(value, _TYPES[shape.type_name])
    if not of_type or isinstance(value, bool) != (shape.type_name == "boolean"):
        yield f"{path} is no {shape.type_name}"
    elif shape.type_name == "string":
        yield from _within(shape, len(value), path)
        if "enum" in shape.metadata and value not in shape.metadata["enum"]:
            yield f"{path} is no value of {shape.name}"
        if "pattern" in shape.metadata and not _fits(shape, value):
            yield f"{path} does not match the pattern of {shape.name}"
    elif shape.type_name == "integer":
        yield from _within(shape, value, path)


def _fits(shape: Shape, value: str) -> bool:
    if shape.name == "S3Uri" and value.startswith("file:///"):  # which a job of ours may have, too
        return True
    pattern = shape.metadata["pattern"].replace(r"\p{ASCII}", r"[\x00-\x7f]")
    return re.fullmatch(pattern, value, re.ASCII) is not None


def _within(shape: Shape, size: int, path: str) -> Iterator[str]:
    if not shape.metadata.get("min", size) <= size <= shape.metadata.get("max", size):
        yield f"{path} is not within the limits of {shape.name}"
