"""SchemaVersion 1.1 documents as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import InvalidDocument, InvalidUpdate
from gateway.metadata.document import is_schema_version, parse_updates, read_document, to_document
from gateway.metadata.image_set import MetadataUpdates
from tests.metadata.examples import DOCUMENT, FIRST, SECOND, SERIES, STUDY, image_set

# --- Updates


def test_both_documents_are_read() -> None:
    """updatableAttributes and removableAttributes may come together."""
    assert parse_updates(b'{"SchemaVersion":1.1}', b' {"SchemaVersion": "1.1"}\n') == MetadataUpdates(
        {"SchemaVersion": 1.1}, {"SchemaVersion": "1.1"}
    )


def test_either_document_may_be_missing() -> None:
    """An update that only removes has no updatableAttributes."""
    assert parse_updates(None, b"{}") == MetadataUpdates(None, {})
    assert parse_updates(b"{}", None) == MetadataUpdates({}, None)


def test_numbers_are_integers_and_doubles() -> None:
    """US to UV are integers, FL and FD doubles; the largest and smallest integers of 64 bits are kept exactly."""
    blob = b'{"a": [1, -5, 1.0, 1e2, -9223372036854775808, 18446744073709551615]}'

    assert parse_updates(blob, None).updatable == {"a": [1, -5, 1.0, 100.0, -(2**63), 2**64 - 1]}


@pytest.mark.parametrize(
    ("blob", "sentence"),
    [
        pytest.param(b"", "not JSON", id="nothing"),
        pytest.param(b"{", "not JSON", id="cut short"),
        pytest.param(b"[]", "not a JSON object", id="an array"),
        pytest.param(b"null", "not a JSON object", id="null"),
        pytest.param(b'\xef\xbb\xbf{"SchemaVersion":1.1}', "byte order mark", id="byte order mark"),
        pytest.param(b'{"a": "\xff"}', "not UTF-8", id="not UTF-8"),
        pytest.param(b'{"Patient": {"DICOM": {"PatientID": "A", "PatientID": "B"}}}', "there twice", id="key twice"),
        pytest.param(b'{"a": NaN}', "no JSON", id="NaN"),
        pytest.param(b'{"a": -Infinity}', "no JSON", id="infinity"),
        pytest.param(b'{"a": 1e400}', "number as large", id="infinite number"),
        pytest.param(b'{"a": 18446744073709551616}', "number as large", id="65 bits"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b"}", "number as large", id="5,000 digits"),
        pytest.param(b'{"a": "\\ud800"}', "surrogate", id="half a surrogate pair"),
        pytest.param(b'{"a":' * 65 + b"1" + b"}" * 65, "nested too deep", id="65 levels"),
        pytest.param(b'{"a":' * 100_000, "nested too deep", id="100,000 levels"),
    ],
)
def test_what_is_not_one_object_of_plain_json_is_refused(blob: bytes, sentence: str) -> None:
    """The error says which document it is, and what is wrong with it."""
    with pytest.raises(InvalidUpdate, match=f"^removableAttributes.*{sentence}"):
        parse_updates(None, blob)


def test_an_error_does_not_repeat_a_value() -> None:
    """A value may be a patient's."""
    with pytest.raises(InvalidUpdate) as caught:
        parse_updates(b'{"Patient": {"DICOM": {"PatientName": "DOE^JANE\\ud800"}}}', None)

    assert str(caught.value) == (
        "updatableAttributes: $.Patient.DICOM.PatientName: has half a surrogate pair, which is no character"
    )


def test_64_levels_are_read() -> None:
    """The limit itself is allowed."""
    assert parse_updates(b'{"a":' * 64 + b"1" + b"}" * 64, None).updatable is not None


def test_an_update_of_nothing_at_all_is_refused() -> None:
    """DICOMUpdates with neither member."""
    with pytest.raises(InvalidUpdate, match="neither"):
        parse_updates(None, None)


@pytest.mark.parametrize(
    ("value", "accepted"), [(1.1, True), ("1.1", True), (1.0, False), (1, False), ("1.10", False), (None, False)]
)
def test_schema_version_is_1_1_as_a_number_or_a_string(value: object, accepted: bool) -> None:
    """Updates have the number, stored documents the string."""
    assert is_schema_version(value) is accepted


# --- Metadata documents


def test_a_document_is_read_into_head_and_instances() -> None:
    """The one series' attributes are part of the head."""
    metadata = read_document(DOCUMENT)

    assert metadata.head.patient["DICOM"]["PatientName"] == "DOE^JANE"
    assert (metadata.head.study_instance_uid, metadata.head.series_instance_uid) == (STUDY, SERIES)
    assert list(metadata.instances) == [FIRST, SECOND]


def test_a_document_has_the_members_of_healthimagings_in_their_order() -> None:
    """SchemaVersion is the string "1.1"; the series is keyed by its UID and holds the instances."""
    document = to_document("d" * 32, "i" * 32, image_set())

    assert list(document) == ["SchemaVersion", "DatastoreID", "ImageSetID", "Patient", "Study"]
    assert document["SchemaVersion"] == "1.1"
    assert (document["DatastoreID"], document["ImageSetID"]) == ("d" * 32, "i" * 32)
    assert list(document["Study"]["Series"][SERIES]) == ["DICOM", "Instances"]


def test_identifiers_that_are_only_keys_are_filled_in() -> None:
    """The UIDs of series and instances stand twice in a document; once is enough to read it."""
    document = changed(lambda study: study["Series"][SERIES]["DICOM"].pop("SeriesInstanceUID"))
    document["Study"]["Series"][SERIES]["Instances"][FIRST]["DICOM"].pop("SOPInstanceUID")

    metadata = read_document(document)

    assert metadata.head.series_instance_uid == SERIES
    assert metadata.instances[FIRST]["DICOM"]["SOPInstanceUID"] == FIRST


def changed(change: Any) -> dict[str, Any]:
    """Return the example document with a change in its Study."""
    document: dict[str, Any] = json.loads(json.dumps(DOCUMENT))
    change(document["Study"])
    return document


@pytest.mark.parametrize(
    ("change", "path"),
    [
        pytest.param(lambda study: study.pop("Series"), "Study.Series", id="no series"),
        pytest.param(lambda study: study["Series"].clear(), "Study.Series", id="no series in Series"),
        pytest.param(lambda study: study["Series"].update({"1.2": {}}), "Study.Series", id="two series"),
        pytest.param(lambda study: study.update(DICOM=[]), "Study.DICOM", id="attributes in an array"),
        pytest.param(lambda study: study["DICOM"].pop("StudyInstanceUID"), "Study.DICOM", id="no Study Instance UID"),
        pytest.param(
            lambda study: study["Series"][SERIES]["DICOM"].update(SeriesInstanceUID="1.2"),
            r"Study.Series.\*.DICOM.SeriesInstanceUID",
            id="series under another key",
        ),
        pytest.param(
            lambda study: study["Series"][SERIES]["Instances"].update({FIRST: None}),
            r"Study.Series.\*.Instances.\*",
            id="an instance that is null",
        ),
    ],
)
def test_what_is_no_metadata_document_is_refused(change: Any, path: str) -> None:
    """The error says where."""
    with pytest.raises(InvalidDocument, match=f"^{path} "):
        read_document(changed(change))


def test_another_schema_version_is_refused() -> None:
    """A later version may mean something else by the same keys."""
    with pytest.raises(InvalidDocument, match="^SchemaVersion "):
        read_document({**DOCUMENT, "SchemaVersion": "1.2"})
