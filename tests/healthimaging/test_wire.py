"""The protocol, held against botocore: what it serialises is read back, what is written it parses and validates."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import pytest
from botocore.model import OperationModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.datastructures import QueryParams
from starlette.routing import compile_path

from gateway.errors import InvalidRequest
from gateway.healthimaging.model import service
from gateway.healthimaging.routes import _route_path
from gateway.healthimaging.wire import read_input, write_output
from tests.healthimaging.strategies import values
from tests.healthimaging.test_model import BOTOCORE

ID = "1234567890abcdef1234567890abcdef"
MINE = "abcdef1234567890abcdef1234567890"


def sent(operation: OperationModel, params: dict[str, Any]) -> tuple[dict[str, str], QueryParams, bytes]:
    """Return path parameters, query and body of the request botocore would send."""
    request = create_serializer("rest-json").serialize_to_request(params, operation)
    pattern, _, _ = compile_path(_route_path(service().operations[operation.name]))
    match = pattern.match(unquote(request["url_path"]))
    assert match is not None
    query = [(k, v) for k, vs in request["query_string"].items() for v in (vs if isinstance(vs, list) else [vs])]
    return match.groupdict(), QueryParams([(k, str(v)) for k, v in query]), request["body"] or b""


def read(name: str, body: Any = b"", query: str = "", **path: str) -> Any:
    path = {"datastoreId": ID, "imageSetId": MINE, **path}
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_input(service().operations[name], path, QueryParams(query), encoded)


@pytest.mark.parametrize("name", BOTOCORE.operation_names)
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], deadline=None)
@given(data=st.data())
def test_input_is_what_the_caller_of_botocore_gave(name: str, data: st.DataObject) -> None:
    """Whatever is valid and botocore serialises is read back as the caller's own values."""
    operation = BOTOCORE.operation_model(name)
    params = data.draw(values(operation.input_shape))

    path, query, body = sent(operation, params)

    assert read_input(service().operations[name], path, query, body) == without_empty_payload(operation, params)


def without_empty_payload(operation: OperationModel, params: dict[str, Any]) -> dict[str, Any]:
    """Return what botocore sends: {} for a payload that was not given."""
    payload = operation.input_shape.serialization.get("payload")
    return ({payload: {}} if payload and payload not in params else {}) | params


OUTPUTS: dict[str, dict[str, Any]] = {
    "CreateDatastore": {"datastoreId": ID, "datastoreStatus": "CREATING"},
    "GetDatastore": {
        "datastoreProperties": {
            "datastoreId": ID,
            "datastoreName": "archive",
            "datastoreStatus": "ACTIVE",
            "createdAt": datetime(2023, 3, 28, 18, 13, 46, 436_000, UTC),
        }
    },
    "ListImageSetVersions": {
        "imageSetPropertiesList": [
            {"imageSetId": ID, "versionId": "2", "imageSetState": "ACTIVE", "ImageSetWorkflowStatus": "UPDATED"},
            {"imageSetId": ID, "versionId": "1", "imageSetState": "ACTIVE", "overrides": {"forced": True}},
        ],
        "nextToken": "abc",
    },
    "SearchImageSets": {
        "imageSetsMetadataSummaries": [
            {"imageSetId": ID, "version": 3, "DICOMTags": {"DICOMPatientId": "1CT1", "DICOMSeriesNumber": -1}}
        ],
        "sort": {"sortField": "updatedAt", "sortOrder": "DESC"},
    },
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_response_is_parsed_by_botocore_into_the_output(name: str) -> None:
    """What is written fits the modelled output, and botocore parses it into the same values."""
    operation = BOTOCORE.operation_model(name)

    response = write_output(service().operations[name], OUTPUTS[name], "request-1")

    parsed = create_parser("rest-json").parse(
        {"status_code": response.status_code, "headers": dict(response.headers), "body": response.body},
        operation.output_shape,
    )
    assert parsed.pop("ResponseMetadata")["RequestId"] == "request-1"
    assert parsed == OUTPUTS[name]
    assert not ParamValidator().validate(parsed, operation.output_shape).has_errors()


def test_absent_and_none_members_are_left_out_of_a_response() -> None:
    """A member that is None is not written: clients take null for a value."""
    response = write_output(
        service().operations["ListImageSetVersions"], {"imageSetPropertiesList": [], "nextToken": None}, "r"
    )

    assert response.body == b'{"imageSetPropertiesList":[]}'


def test_time_is_written_as_a_number_of_whole_milliseconds_and_never_later() -> None:
    """Timestamps are numbers, as every SDK reads them; what is finer than a millisecond is cut off."""
    time = datetime(2023, 3, 28, 22, 24, 17, 908_999, UTC)
    output = {"datastoreId": ID, "imageSetId": MINE, "versionId": "1", "imageSetState": "ACTIVE", "createdAt": time}

    response = write_output(service().operations["GetImageSet"], output, "r")

    assert json.loads(bytes(response.body))["createdAt"] == 1680042257.908


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
@settings(max_examples=100)
def test_milliseconds_of_a_time_survive_writing(time: datetime) -> None:
    """A time of whole milliseconds is written as itself, whatever binary fractions do."""
    time = time.replace(microsecond=time.microsecond // 1000 * 1000)
    output = {"datastoreId": ID, "imageSetId": MINE, "versionId": "1", "imageSetState": "ACTIVE", "createdAt": time}

    written = json.loads(bytes(write_output(service().operations["GetImageSet"], output, "r").body))["createdAt"]

    assert datetime.fromtimestamp(written, UTC) == time


def test_payload_is_the_body_and_header_members_are_headers() -> None:
    """The metadata blob is the body as it is, its type and encoding are headers."""
    output = {"imageSetMetadataBlob": b"\x1f\x8b", "contentType": "application/json", "contentEncoding": "gzip"}

    response = write_output(service().operations["GetImageSetMetadata"], output, "r")

    assert response.body == b"\x1f\x8b"
    assert response.headers["content-type"] == "application/json"
    assert response.headers["content-encoding"] == "gzip"


INVALID = [
    pytest.param("GetImageSet", b"", "", {"imageSetId": "short"}, "imageSetId", "pattern of ImageSetId", id="id"),
    pytest.param("GetImageSet", b"", "version=one", {}, "versionId", "pattern of ImageSetExternalVersionId", id="word"),
    pytest.param("GetImageSet", b"", "version=", {}, "versionId", "pattern of ImageSetExternalVersionId", id="empty"),
    pytest.param("GetImageSet", b"", "version=1&version=2", {}, "versionId", "given once", id="twice"),
    pytest.param("ListDatastores", b"", "maxResults=100", {}, "maxResults", "less than or equal to 50", id="100"),
    pytest.param("ListDatastores", b"", "maxResults=0", {}, "maxResults", "greater than or equal to 1", id="0"),
    pytest.param("ListDatastores", b"", "maxResults=1e1", {}, "maxResults", "an integer", id="1e1"),
    pytest.param("ListDatastores", b"", "maxResults=" + "9" * 5000, {}, "maxResults", "an integer", id="5000 digits"),
    pytest.param("ListDatastores", b"", "datastoreStatus=GONE", {}, "datastoreStatus", "enum value set", id="enum"),
    pytest.param("CreateDatastore", b"", "", {}, "clientToken", "not be null", id="required"),
    pytest.param("CreateDatastore", {"clientToken": None}, "", {}, "clientToken", "not be null", id="null"),
    pytest.param("CreateDatastore", {"clientToken": 1}, "", {}, "clientToken", "a string", id="not a string"),
    pytest.param("CreateDatastore", b'{"clientToken":"\\ud800"}', "", {}, "clientToken", "a string", id="surrogate"),
    pytest.param("CreateDatastore", {"clientToken": "a" * 65}, "", {}, "clientToken", "equal to 64", id="long"),
    pytest.param("CreateDatastore", {"clientToken": "a", "tags": []}, "", {}, "tags", "an object", id="map"),
    pytest.param(
        "CreateDatastore",
        {"clientToken": "a", "tags": {"aws:x": ""}},
        "",
        {},
        "tags.key",
        "pattern of TagKey",
        id="tag",
    ),
    pytest.param("SearchImageSets", [1], "", {}, "searchCriteria", "an object", id="criteria"),
    pytest.param("SearchImageSets", {"filters": {}}, "", {}, "searchCriteria.filters", "a list", id="filters"),
    pytest.param("SearchImageSets", {"filters": []}, "", {}, "searchCriteria.filters", "equal to 1", id="no filter"),
    pytest.param("SearchImageSets", {"filters": [0] * 3}, "", {}, "searchCriteria.filters", "equal to 2", id="three"),
    pytest.param(
        "SearchImageSets",
        {"filters": [{"operator": "EQUAL", "values": [{"isPrimary": 1}]}]},
        "",
        {},
        "searchCriteria.filters.0.values.0.isPrimary",
        "true or false",
        id="boolean",
    ),
    pytest.param(
        "SearchImageSets",
        {"filters": [{"operator": "EQUAL", "values": [{"createdAt": 1e300}]}]},
        "",
        {},
        "searchCriteria.filters.0.values.0.createdAt",
        "seconds since 1970",
        id="time",
    ),
    pytest.param(
        "SearchImageSets",
        {"filters": [{"operator": "EQUAL", "values": [{"createdAt": True}]}]},
        "",
        {},
        "searchCriteria.filters.0.values.0.createdAt",
        "seconds since 1970",
        id="time boolean",
    ),
    pytest.param(
        "UpdateImageSetMetadata", {"revertToVersionId": "1"}, "", {}, "latestVersionId", "not be null", id="no version"
    ),
    pytest.param(
        "UpdateImageSetMetadata", b"", "latestVersion=1", {}, "updateImageSetMetadataUpdates", "not be null", id="body"
    ),
    pytest.param(
        "UpdateImageSetMetadata", {}, "latestVersion=1", {}, "updateImageSetMetadataUpdates", "exactly one of", id="{}"
    ),
    pytest.param(
        "UpdateImageSetMetadata",
        {"revertToVersionId": "1", "DICOMUpdates": {}},
        "latestVersion=1",
        {},
        "updateImageSetMetadataUpdates",
        "exactly one of: DICOMUpdates, revertToVersionId",
        id="both",
    ),
    pytest.param(
        "UpdateImageSetMetadata",
        {"revertToVersionId": "1"},
        "latestVersion=1&force=True",
        {},
        "force",
        "true or false",
        id="True",
    ),
    pytest.param(
        "UpdateImageSetMetadata",
        {"DICOMUpdates": {"updatableAttributes": "not base64"}},
        "latestVersion=1",
        {},
        "updateImageSetMetadataUpdates.DICOMUpdates.updatableAttributes",
        "base64",
        id="base64",
    ),
    pytest.param(
        "UpdateImageSetMetadata",
        {"DICOMUpdates": {"updatableAttributes": ""}},
        "latestVersion=1",
        {},
        "updateImageSetMetadataUpdates.DICOMUpdates.updatableAttributes",
        "greater than or equal to 1",
        id="empty blob",
    ),
]


@pytest.mark.parametrize(("name", "body", "query", "path", "member", "constraint"), INVALID)
def test_input_that_breaks_the_model_is_refused(
    name: str, body: Any, query: str, path: dict[str, str], member: str, constraint: str
) -> None:
    """Each violation of the model names the member and what it has to be."""
    with pytest.raises(InvalidRequest) as refused:
        read(name, body, query, **path)

    message = str(refused.value)
    assert message.startswith(f"1 validation error detected: Value at '{member}' failed to satisfy constraint: Member ")
    assert constraint in message


def test_all_violations_are_in_one_message() -> None:
    """Every violation of a request is told at once."""
    with pytest.raises(InvalidRequest) as refused:
        read("UpdateImageSetMetadata", {}, "latestVersion=x&force=1", datastoreId="D")

    message = str(refused.value)
    assert message.startswith("4 validation errors detected: ")
    for member in ("datastoreId", "latestVersionId", "force", "updateImageSetMetadataUpdates"):
        assert f"'{member}'" in message


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b"{}{}",
        b"[" * 100_000,
        b'{"a":NaN}',
        b'{"clientToken":"a","clientToken":"b"}',
        b"[]",
        b"1" * 5000,
    ],
    ids=["cut", "not UTF-8", "two", "deep", "NaN", "same name twice", "array", "long number"],
)
def test_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    """What is not one JSON object of unique names is refused, however it is malformed."""
    with pytest.raises(InvalidRequest, match="the body"):
        read("CreateDatastore", body)


def test_refusal_does_not_quote_the_value() -> None:
    """A refused value may be a patient's, so the message does not have it."""
    criteria = {"filters": [{"operator": "EQUAL", "values": [{"DICOMStudyInstanceUID": "DOE^JANE"}]}]}

    with pytest.raises(InvalidRequest) as refused:
        read("SearchImageSets", criteria)

    assert "DOE" not in str(refused.value)


def test_blob_of_30000_bytes_is_taken_and_one_more_is_not() -> None:
    """The limit of the service model is on the bytes, not on their base64."""
    members = BOTOCORE.operation_model("UpdateImageSetMetadata")

    def read_blob(length: int) -> Any:
        updates = {"DICOMUpdates": {"removableAttributes": b"x" * length}}
        params = {
            "datastoreId": ID,
            "imageSetId": MINE,
            "latestVersionId": "1",
            "updateImageSetMetadataUpdates": updates,
        }
        return read_input(service().operations["UpdateImageSetMetadata"], *sent(members, params))

    assert len(read_blob(30_000)["updateImageSetMetadataUpdates"]["DICOMUpdates"]["removableAttributes"]) == 30_000
    with pytest.raises(InvalidRequest, match="length less than or equal to 30000"):
        read_blob(30_001)


NAMES = sorted({name for shape in BOTOCORE.shape_names for name in getattr(BOTOCORE.shape_for(shape), "members", ())})
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)


@given(
    name=st.sampled_from(BOTOCORE.operation_names),
    body=st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()),
    query=st.lists(st.tuples(st.sampled_from(NAMES + ["version", "latestVersion"]), st.text(max_size=8)), max_size=4),
    segment=st.text(max_size=40),
)
@settings(max_examples=100, deadline=None)
def test_whatever_is_sent_is_an_input_or_refused(
    name: str, body: bytes, query: list[tuple[str, str]], segment: str
) -> None:
    """No request makes reading fail in any other way than by saying what is wrong with it."""
    operation = service().operations[name]
    path = {member.wire_name: segment for member in operation.input.members if member.location == "uri"}

    try:
        checked = read_input(operation, path, QueryParams(query), body)
    except InvalidRequest as refused:
        assert str(refused)
    else:
        assert not ParamValidator().validate(checked, BOTOCORE.operation_model(name).input_shape).has_errors()


def test_members_the_model_does_not_have_are_left_out() -> None:
    """Unknown members and parameters do nothing, as with the service."""
    assert read("CreateDatastore", {"clientToken": "a", "colour": "blue"}, "x=1") == {"clientToken": "a"}
