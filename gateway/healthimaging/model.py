"""The HealthImaging API as data: its operations and shapes, out of the service model that botocore carries.

The AWS CLI and SDKs are made from this model, so an answer that fits it is an answer they read, and an input that does
not fit is refused here for the same reason everywhere. It is read as the JSON it is: importing botocore's own loader
takes a quarter of a second at every start, this a tenth of that, and botocore stays an independent oracle in the tests.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import orjson

Type = Literal["structure", "list", "map", "string", "integer", "boolean", "timestamp", "blob"]
Location = Literal["body", "uri", "querystring", "header"]

# Patterns of the model that Python's re must not be given, and ones that match the same texts; and one that is wider.
_REWRITTEN = {
    # NextToken: re does not know Java's \p{ASCII}.
    r"\p{ASCII}{0,8192}": r"[\x00-\x7f]{0,8192}",
    # S3Uri: an import job may also use a folder, of those the setting import_folders lists.
    r"s3://[a-z0-9][\.\-a-z0-9]{1,61}[a-z0-9](/.*)?": r"s3://[a-z0-9][\.\-a-z0-9]{1,61}[a-z0-9](/.*)?|file:///.*",
    # MetadataFilePath: takes exponential time over a long text that does not match.
    r"[a-zA-Z0-9!-~]+([a-zA-Z0-9!-~ ]*[a-zA-Z0-9!-~]+)*": r"[!-~](?:[ -~]*[!-~])?",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """A type of the API with its limits. minimum and maximum: length, number of elements, or value, as the type has it.

    members: of a structure, in the model's order; of a union exactly one is sent. element: of a list, or the values of
    a map. payload: the member that is the whole body.
    """

    name: str
    type: Type
    members: tuple[Member, ...] = ()
    required: frozenset[str] = frozenset()
    payload: str | None = None
    union: bool = False
    element: Shape | None = None
    key: Shape | None = None
    minimum: int | None = None
    maximum: int | None = None
    pattern: re.Pattern[str] | None = None
    enum: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a structure, where in a request or response it travels, and under which name."""

    name: str
    shape: Shape
    location: Location
    wire_name: str


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation: its HTTP binding, its shapes, and the exceptions it is modelled to raise."""

    name: str
    method: str
    path: str
    status: int
    input: Shape
    output: Shape
    exceptions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Service:
    """The API: operations by name, and the HTTP status of each modelled exception."""

    operations: Mapping[str, Operation]
    exceptions: Mapping[str, int]


@cache
def service() -> Service:
    """Return the API. Read once, at the first call."""
    document = orjson.loads(gzip.decompress(_model_file().read_bytes()))
    shapes = _Shapes(document["shapes"])
    return Service(
        operations={name: _operation(name, entry, shapes) for name, entry in document["operations"].items()},
        exceptions={
            name: entry["error"]["httpStatusCode"]
            for name, entry in document["shapes"].items()
            if entry.get("exception")
        },
    )


def _model_file() -> Path:
    botocore = find_spec("botocore")
    if botocore is None or botocore.origin is None:
        raise ModuleNotFoundError("botocore, which carries the HealthImaging service model", name="botocore")
    versions = (Path(botocore.origin).parent / "data" / "medical-imaging").glob("*/service-2.json.gz")
    return max(versions)


def _operation(name: str, entry: Mapping[str, Any], shapes: _Shapes) -> Operation:
    return Operation(
        name=name,
        method=entry["http"]["method"],
        path=entry["http"]["requestUri"],
        status=entry["http"]["responseCode"],
        input=shapes[entry["input"]["shape"]],
        output=shapes[entry["output"]["shape"]],
        exceptions=frozenset(error["shape"] for error in entry["errors"]),
    )


class _Shapes:
    """The model's shapes by name, each built once. No shape of this API contains itself."""

    def __init__(self, entries: Mapping[str, Mapping[str, Any]]) -> None:
        self._entries = entries
        self._built: dict[str, Shape] = {}

    def __getitem__(self, name: str) -> Shape:
        if name not in self._built:
            self._built[name] = self._build(name, self._entries[name])
        return self._built[name]

    def _build(self, name: str, entry: Mapping[str, Any]) -> Shape:
        element = entry.get("member") or entry.get("value")
        return Shape(
            name=name,
            type=entry["type"],
            members=tuple(self._member(key, member) for key, member in entry.get("members", {}).items()),
            required=frozenset(entry.get("required", ())),
            payload=entry.get("payload"),
            union=entry.get("union", False),
            element=self[element["shape"]] if element else None,
            key=self[entry["key"]["shape"]] if "key" in entry else None,
            minimum=entry.get("min"),
            maximum=entry.get("max"),
            pattern=_compiled(entry["pattern"]) if "pattern" in entry else None,
            enum=tuple(entry.get("enum", ())),
        )

    def _member(self, name: str, entry: Mapping[str, Any]) -> Member:
        return Member(name, self[entry["shape"]], entry.get("location", "body"), entry.get("locationName", name))


def _compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern of the model as Python's; a value has to match it from end to end."""
    return re.compile(_REWRITTEN.get(pattern, pattern), re.ASCII)
