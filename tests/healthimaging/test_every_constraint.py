"""Every constraint of the service model on every input, on a running gateway: just outside is refused, just inside not.

botocore's reading of the model is walked, its serialiser writes the requests, and nothing of the client checks them. A
shape that a later model brings, and that has no line in TEXTS, fails here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import pytest
from botocore.client import BaseClient
from botocore.model import Shape
from botocore.serialize import create_serializer

from tests.conftest import Server, serving
from tests.healthimaging.clients import boto3_client
from tests.healthimaging.conftest import SERIES, ImageSet, image_set, stow
from tests.healthimaging.test_every_operation import ROLE
from tests.healthimaging.test_exceptions import silent_s3
from tests.healthimaging.test_model import BOTOCORE
from tests.s3 import KEYS
from tests.samples import ct_series

DATASTORE, IMAGE_SET = "d" * 32, "e" * 32  # real ids come into their places

# What a text of a shape begins with, what it can be lengthened by, and one that breaks the shape's pattern.
TEXTS: dict[str, tuple[str, str, str | None]] = {
    "Arn": (f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{DATASTORE}", "", "arn:aws:s3:::bucket"),
    "AwsAccountId": ("", "1", "12345678901a"),
    "ClientToken": ("", "a", "a b"),
    "CopiableAttributes": ("", " ", None),
    "DICOMAccessionNumber": ("", "a", None),
    "DICOMPatientId": ("", "a", None),
    "DICOMSeriesInstanceUID": ("", "1", "1.a"),
    "DICOMStudyDate": ("", "1", None),
    "DICOMStudyId": ("", "a", None),
    "DICOMStudyInstanceUID": ("", "1", "1.a"),
    "DICOMStudyTime": ("", "1", None),
    "DatastoreId": (DATASTORE, "", "d" * 31 + "D"),
    "DatastoreName": ("", "a", "a?"),
    "ImageFrameId": ("f" * 32, "", "f" * 31 + "F"),
    "ImageSetExternalVersionId": ("1", "", "1a"),
    "ImageSetId": (IMAGE_SET, "", "e" * 31 + "E"),
    "JobId": ("", "a", "A"),
    "JobName": ("", "a", "a?"),
    # Its pattern ends before its length does.
    "KmsKeyArn": ("arn:aws:kms:us-east-1:123456789012:alias/" + "a" * 256, "", "arn:aws:kms:us-east-1:1:alias/a"),
    "LambdaArn": ("arn:aws:lambda:us-east-1:123456789012:function:a", "", "arn:aws:lambda:us-east-1:1:function:a"),
    "MetadataFilePath": ("", "a", " a"),
    "NextToken": ("", "a", "\u00e9"),
    "RoleArn": (ROLE, "a", ROLE.replace("123456789012", "12345678901")),
    "S3Uri": ("s3://bucket/", "a", "s3://Bucket/a"),
    "TagKey": ("", "a", "aws:a"),
    "TagValue": ("", "a", None),
}
# The lengths of what has them in its pattern.
FIXED = {"DatastoreId": 32, "ImageSetId": 32, "ImageFrameId": 32}


def text(name: str, length: int) -> str:
    """Return a text of a shape with that length, or of the nearest one that the shape has."""
    start, more, _ = TEXTS[name]
    return start + more * (length - len(start))


def text_cut(name: str, length: int) -> str:
    """Return a text with that length, whatever the shape says of it."""
    return (text(name, length) + "a" * length)[:length]


@dataclass(frozen=True)
class Case:
    """A request that breaks a constraint, or just does not. member: as the gateway calls it in its message."""

    operation: str
    member: str
    what: str
    params: dict[str, Any]
    inside: bool

    def __str__(self) -> str:
        return f"{self.operation} {self.member or 'input'} {self.what}"


Wrap = Callable[[Any], dict[str, Any]]
Found = tuple[str, str, dict[str, Any], bool]  # member, what of it, the request, and whether it is inside


def usual(shape: Shape) -> Any:
    """Return a value that a shape takes: of structures the required members, of unions the first."""
    if shape.type_name == "structure":
        first = list(shape.members)[:1] if shape.is_tagged_union else shape.required_members
        return {name: usual(shape.members[name]) for name in first}
    if shape.type_name == "list":
        return [usual(shape.member)]
    if shape.type_name == "map":
        return {usual(shape.key): usual(shape.value)}
    return next(value for what, value, inside in scalars(shape) if inside)


def scalars(shape: Shape) -> Iterator[tuple[str, Any, bool]]:
    """Yield values of a shape just inside and just outside its constraints, the first one inside."""
    limits = shape.metadata
    if "enum" in limits:
        yield from ((f"is {value}", value, True) for value in limits["enum"])
        yield "is no value", "NO_VALUE", False
    elif shape.type_name == "string":
        yield from _texts(shape)
    elif shape.type_name == "blob":
        yield from ((f"has {size} bytes", b"x" * size, True) for size in (limits["min"], limits["max"]))
        yield from ((f"has {size} bytes", b"x" * size, False) for size in (limits["min"] - 1, limits["max"] + 1))
    elif shape.type_name == "integer":
        yield from ((f"is {value}", value, True) for value in (limits["min"], limits["max"]))
        yield from ((f"is {value}", value, False) for value in (limits["min"] - 1, limits["max"] + 1))
    else:
        yield "is one", {"boolean": True, "timestamp": 0}[shape.type_name], True


def _texts(shape: Shape) -> Iterator[tuple[str, str, bool]]:
    limits, name = shape.metadata, shape.name
    least, most = limits.get("min", FIXED.get(name)), limits.get("max", FIXED.get(name))
    for length in dict.fromkeys((max(least or 1, 1), most or 1)):
        value = text(name, length)
        yield f"has {len(value)} characters", value, True
    if least:
        yield f"has {least - 1} characters", text_cut(name, least - 1), False
    if most is not None:
        yield f"has {most + 1} characters", text_cut(name, most + 1), False
    assert ("pattern" in limits) == (TEXTS[name][2] is not None)
    if broken := TEXTS[name][2]:
        yield "breaks the pattern", broken, False


def found(shape: Shape, member: str, wrap: Wrap) -> Iterator[Found]:
    """Yield what to send for each constraint at and below a member. wrap: puts a value of it into a whole request."""
    if shape.type_name == "structure":
        yield from _of_structure(shape, member, wrap)
    elif shape.type_name == "list":
        yield from _of_list(shape, member, wrap)
    elif shape.type_name == "map":
        yield from found(shape.key, f"{member}.key", lambda key: wrap({key: usual(shape.value)}))
        yield from found(shape.value, f"{member}.value", lambda value: wrap({usual(shape.key): value}))
    else:
        yield from ((member, what, wrap(value), inside) for what, value, inside in scalars(shape))


def _of_structure(shape: Shape, member: str, wrap: Wrap) -> Iterator[Found]:
    prefix, whole = f"{member}." if member else "", usual(shape)
    others = {} if shape.is_tagged_union else whole

    def of(name: str, value: Any) -> dict[str, Any]:
        return wrap({**others, name: value})

    for name, inner in shape.members.items():
        yield from found(inner, f"{prefix}{name}", partial(of, name))
        if name in shape.required_members and inner.serialization.get("location") != "uri":
            yield f"{prefix}{name}", "is missing", wrap({k: v for k, v in whole.items() if k != name}), False
    if shape.is_tagged_union:
        yield member, "has no member", wrap({}), False
        if len(shape.members) > 1:
            yield member, "has two members", wrap({k: usual(v) for k, v in list(shape.members.items())[:2]}), False


def _of_list(shape: Shape, member: str, wrap: Wrap) -> Iterator[Found]:
    element = usual(shape.member)

    def of(count: int) -> list[Any]:
        return [f"{element}{number}" if isinstance(element, str) else element for number in range(count)]

    least, most = shape.metadata["min"], shape.metadata["max"]
    yield from ((member, f"has {count} elements", wrap(of(count)), True) for count in (max(least, 1), most))
    outside = [most + 1] if least == 0 else [least - 1, most + 1]
    yield from ((member, f"has {count} elements", wrap(of(count)), False) for count in outside)
    yield from found(shape.member, f"{member}.0", lambda value: wrap([value]))


CASES = [
    Case(operation, member, what, params, inside)
    for operation in BOTOCORE.operation_names
    for member, what, params, inside in found(BOTOCORE.operation_model(operation).input_shape, "", lambda value: value)
    # No path has an empty step, and in a query an empty list, which may be, is no different from none.
    if (operation, member, what) != ("UntagResource", "tagKeys", "is missing")
    and "" not in [params.get(name) for name in ("datastoreId", "imageSetId", "sourceImageSetId", "jobId")]
]
INSIDE, OUTSIDE = ([case for case in CASES if case.inside is inside] for inside in (True, False))


# -- a gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A gateway whose import jobs get no answer, so that they change nothing."""
    options = ("--max-datastores", "10000", "--s3-endpoint-url")
    with silent_s3() as s3, serving(tmp_path_factory.mktemp("constraints"), *options, s3, **KEYS) as server:
        yield server


@pytest.fixture(scope="module")
def boto(gateway: Server) -> Iterator[BaseClient]:
    client = boto3_client(gateway.endpoint)
    yield client
    client.close()


def stored(gateway: Server, boto: BaseClient) -> ImageSet:
    datastore_id = boto.create_datastore()["datastoreId"]
    stow(gateway, datastore_id, ct_series(1))
    return image_set(boto, datastore_id, SERIES)


@pytest.fixture(scope="module")
def unchanged(gateway: Server, boto: BaseClient) -> ImageSet:
    """An image set that requests are refused for."""
    return stored(gateway, boto)


def send(gateway: Server, case: Case, one: ImageSet) -> httpx.Response:
    """Send a request as botocore writes it, with the ids of an image set in the places of those that it has."""
    params = {**case.params}
    for name, printed in (("datastoreId", DATASTORE), ("imageSetId", IMAGE_SET), ("sourceImageSetId", IMAGE_SET)):
        if params.get(name) == printed:
            params[name] = one.ids["datastoreId" if name == "datastoreId" else "imageSetId"]
    if "resourceArn" in params:
        params["resourceArn"] = params["resourceArn"].replace(DATASTORE, one.datastore_id)
    model = BOTOCORE.operation_model(case.operation)
    request = create_serializer("rest-json", include_validation=False).serialize_to_request(params, model)
    query = {
        name: [str(one) for one in value] if isinstance(value, list) else str(value)
        for name, value in request["query_string"].items()
    }
    return httpx.request(
        request["method"],
        gateway.endpoint + request["url_path"],
        params=query,
        content=request["body"] or b"",
        headers={"Content-Type": "application/json"},
        timeout=30,
        verify=False,  # or httpx reads all certificates there are, for each request
    )


def state(boto: BaseClient, one: ImageSet) -> Any:
    """Return all that a request of the API can change of an image set and what it is in, and which data stores there
    are."""
    properties = boto.get_datastore(datastoreId=one.datastore_id)["datastoreProperties"]
    arns = (properties["datastoreArn"], one.properties()["imageSetArn"])
    jobs = boto.list_dicom_import_jobs(datastoreId=one.datastore_id)["jobSummaries"]
    pages = boto.get_paginator("list_datastores").paginate()
    return (
        [found["datastoreId"] for page in pages for found in page["datastoreSummaries"]],
        properties,
        one.versions(),
        [job["jobId"] for job in jobs],
        [boto.list_tags_for_resource(resourceArn=arn)["tags"] for arn in arns],
        len(boto.search_image_sets(datastoreId=one.datastore_id)["imageSetsMetadataSummaries"]),
    )


MODEL_REFUSAL = re.compile(r"[0-9]+ validation errors? detected: ")


@pytest.mark.parametrize("case", OUTSIDE, ids=str)
def test_what_is_just_outside_is_refused(gateway: Server, boto: BaseClient, unchanged: ImageSet, case: Case) -> None:
    """A ValidationException that names the member, and nothing is changed."""
    before = state(boto, unchanged)

    answer = send(gateway, case, unchanged)

    assert (answer.status_code, answer.headers["x-amzn-ErrorType"]) == (400, "ValidationException")
    message = answer.json()["message"]
    assert MODEL_REFUSAL.match(message)
    # A payload that is missing is sent as {}, which lacks its members.
    within = r"\.\w+" if case.what == "is missing" and "." not in case.member else ""
    assert re.search(f"Value at '{case.member}({within})?' failed", message)
    assert state(boto, unchanged) == before


@pytest.mark.parametrize("case", INSIDE, ids=str)
def test_what_is_just_inside_is_taken(gateway: Server, boto: BaseClient, case: Case) -> None:
    """By the model; what it is about need not be there, nor mean anything."""
    answer = send(gateway, case, stored(gateway, boto))

    assert answer.status_code in (200, 400, 404, 409), answer.text
    assert answer.headers.get("x-amzn-ErrorType") != "UnknownOperationException"
    if answer.status_code != 200:
        assert not MODEL_REFUSAL.match(answer.json()["message"]), answer.text


def test_every_constraint_is_tried() -> None:
    """Each that botocore knows of, of every operation that has any."""
    tried = {(case.operation, case.member) for case in OUTSIDE}

    assert {operation for operation, _ in tried} == set(BOTOCORE.operation_names)
    assert tried == constrained()
    assert len(CASES) > 250


def constrained() -> set[tuple[str, str]]:
    """Return operation and member wherever the model itself has a constraint, by another way through it."""
    places = set()
    for operation in BOTOCORE.operation_names:
        waiting = [("", BOTOCORE.operation_model(operation).input_shape, False)]
        while waiting:
            member, shape, required = waiting.pop()
            limits = {**shape.metadata}
            if limits.get("min") == 0:
                del limits["min"]  # which nothing can be below
            limited = limits.keys() & {"min", "max", "pattern", "enum"} or getattr(shape, "is_tagged_union", False)
            if member and (limited or required):
                places.add((operation, member))
            prefix = f"{member}." if member else ""
            waiting += [
                (prefix + name, inner, name in shape.required_members and inner.serialization.get("location") != "uri")
                for name, inner in getattr(shape, "members", {}).items()
            ]
            if shape.type_name == "list":
                waiting.append((f"{member}.0", shape.member, False))
            if shape.type_name == "map":
                waiting += [(f"{member}.key", shape.key, False), (f"{member}.value", shape.value, False)]
    return places
