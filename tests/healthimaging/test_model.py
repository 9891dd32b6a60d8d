"""The service model as the gateway reads it, held against botocore's own reading of it."""

from __future__ import annotations

import re
from typing import Any

import botocore.session
import pytest
from botocore.model import ServiceModel
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.healthimaging.model import Shape, service
from gateway.healthimaging.operations import OPERATIONS

BOTOCORE: ServiceModel = botocore.session.get_session().get_service_model("medical-imaging")


@pytest.mark.parametrize("name", BOTOCORE.operation_names)
def test_operation_has_the_binding_and_exceptions_botocore_reads(name: str) -> None:
    """Method, path, status and modelled exceptions of each operation are those of botocore."""
    ours, theirs = service().operations[name], BOTOCORE.operation_model(name)

    assert (ours.method, ours.path) == (theirs.http["method"], theirs.http["requestUri"])
    assert ours.status == theirs.http["responseCode"]
    assert ours.exceptions == {shape.name for shape in theirs.error_shapes}


@pytest.mark.parametrize("name", BOTOCORE.operation_names)
def test_shapes_of_operation_have_the_members_and_limits_botocore_reads(name: str) -> None:
    """Every shape of input and output is as botocore reads it: members, where they travel, limits."""
    ours, theirs = service().operations[name], BOTOCORE.operation_model(name)

    compare(ours.input, theirs.input_shape)
    compare(ours.output, theirs.output_shape)


def compare(ours: Shape | None, theirs: Any) -> None:
    assert ours is not None
    assert ours.type == theirs.type_name
    assert ours.minimum == theirs.metadata.get("min")
    assert ours.maximum == theirs.metadata.get("max")
    assert (ours.pattern is None) == ("pattern" not in theirs.metadata)
    assert list(ours.enum) == theirs.metadata.get("enum", [])
    if ours.type == "list":
        compare(ours.element, theirs.member)
    if ours.type == "map":
        compare(ours.key, theirs.key)
        compare(ours.element, theirs.value)
    if ours.type == "structure":
        assert sorted(ours.required) == sorted(theirs.required_members)
        assert ours.payload == theirs.serialization.get("payload")
        assert ours.union == theirs.is_tagged_union
        assert [member.name for member in ours.members] == list(theirs.members)
        for member in ours.members:
            shape = theirs.members[member.name]
            assert member.location == shape.serialization.get("location", "body")
            assert member.wire_name == shape.serialization.get("name", member.name)
            compare(member.shape, shape)


def test_status_of_each_exception_is_the_modelled_one() -> None:
    """Each exception has the HTTP status of the service."""
    assert service().exceptions == {
        "AccessDeniedException": 403,
        "BadRequestException": 400,
        "ConflictException": 409,
        "InternalServerException": 500,
        "NotAcceptableException": 406,
        "ResourceNotFoundException": 404,
        "ServiceQuotaExceededException": 402,
        "ThrottlingException": 429,
        "ValidationException": 400,
    }


def test_every_operation_carried_out_is_one_of_the_model() -> None:
    """No operation is registered under a name that the model does not have."""
    assert set(OPERATIONS) <= set(BOTOCORE.operation_names)


def test_pattern_has_to_match_from_end_to_end_in_ascii() -> None:
    """A version id is ASCII digits only, though Python's \\d takes the digits of every script."""
    version = next(m.shape for m in service().operations["GetImageSet"].input.members if m.name == "versionId")

    assert version.pattern is not None
    assert version.pattern.fullmatch("12")
    assert not version.pattern.fullmatch("١٢")
    assert not version.pattern.fullmatch("12\n")


def file_path_pattern() -> re.Pattern[str]:
    """Return the pattern of MetadataFilePath, which is deep in StartDICOMImportJob's input."""
    members = {member.name: member.shape for member in service().operations["StartDICOMImportJob"].input.members}
    mappings = members["importConfiguration"].members[0].shape.members[0].shape.element
    assert mappings is not None
    (pattern,) = (member.shape.pattern for member in mappings.members if member.name == "metadataFilePath")
    assert pattern is not None
    return pattern


@given(st.text(st.sampled_from("aZ0!~ \n\x7f"), max_size=8))
@settings(max_examples=100)
def test_rewritten_file_path_pattern_matches_what_the_model_s_does(text: str) -> None:
    """The pattern of the model and ours take the same texts."""
    modelled = re.compile(BOTOCORE.shape_for("MetadataFilePath").metadata["pattern"])

    assert bool(file_path_pattern().fullmatch(text)) == bool(modelled.fullmatch(text))


def test_long_file_path_that_does_not_match_is_refused_at_once() -> None:
    """The pattern of the model would take longer than anybody waits; the test run's timeout says so."""
    assert not file_path_pattern().fullmatch("a" * 1000 + "\n")
