"""Search criteria as fields and values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.errors import InvalidRequest
from gateway.healthimaging.search import read_filters

NOON = datetime(2024, 3, 11, 12, 0, 5, tzinfo=UTC)
LATER = datetime(2024, 3, 11, 12, 0, 6, 908_000, UTC)


def equal(**value: Any) -> dict[str, Any]:
    return {"operator": "EQUAL", "values": [value]}


def between(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    return {"operator": "BETWEEN", "values": [lower, upper]}


def study(date: str, time: str | None = None) -> dict[str, Any]:
    return {"DICOMStudyDateAndTime": {"DICOMStudyDate": date} | ({} if time is None else {"DICOMStudyTime": time})}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("DICOMPatientId", "1CT1"),
        ("DICOMAccessionNumber", ""),
        ("DICOMStudyId", "1CT1"),
        ("DICOMStudyInstanceUID", "1.2.3"),
        ("DICOMSeriesInstanceUID", "1.2.3.4"),
        ("isPrimary", False),
    ],
)
def test_equal_filter_is_a_field_and_its_value(field: str, value: Any) -> None:
    """EQUAL on every field that is not a time asks for that value."""
    assert read_filters([equal(**{field: value})]) == ({field: value}, {})


@pytest.mark.parametrize(
    ("time", "normal"),
    [
        (None, "20240311000000.000000"),
        ("", "20240311000000.000000"),
        ("08", "20240311080000.000000"),
        ("0835", "20240311083500.000000"),
        ("083501", "20240311083501.000000"),
        ("083501.5", "20240311083501.500000"),
        ("083501.123456", "20240311083501.123456"),
    ],
)
def test_study_date_and_time_is_one_text_in_which_what_is_missing_is_zero(time: str | None, normal: str) -> None:
    """A study's time is 00:00 where it is not given, and its last parts are zero."""
    assert read_filters([equal(**study("20240311", time))]) == ({"DICOMStudyDateAndTime": normal}, {})


def test_equal_time_is_the_second_where_only_seconds_are_given() -> None:
    """botocore drops the fraction of a second, so EQUAL on the time an answer gave finds what it was given for."""
    assert read_filters([equal(updatedAt=NOON)]) == (
        {},
        {"updatedAt": (NOON, datetime(2024, 3, 11, 12, 0, 5, 999_999, UTC))},
    )


def test_equal_time_is_the_millisecond_where_a_fraction_is_given() -> None:
    """Answers have milliseconds, the store has more."""
    assert read_filters([equal(createdAt=LATER)]) == (
        {},
        {"createdAt": (LATER, datetime(2024, 3, 11, 12, 0, 6, 908_999, UTC))},
    )


def test_between_includes_the_whole_millisecond_of_its_upper_bound() -> None:
    """The time an answer gave is not later than itself, though the store knows it finer."""
    filters = [between({"updatedAt": NOON}, {"updatedAt": LATER}), equal(isPrimary=True)]

    assert read_filters(filters) == (
        {"isPrimary": True},
        {"updatedAt": (NOON, datetime(2024, 3, 11, 12, 0, 6, 908_999, UTC))},
    )


def test_between_study_times_is_a_range_of_texts() -> None:
    """A range of study times is compared as the normal texts."""
    filters = [between(study("19900101", "000000"), study("20230101"))]

    assert read_filters(filters) == (
        {},
        {"DICOMStudyDateAndTime": ("19900101000000.000000", "20230101000000.000000")},
    )


@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        ([equal(DICOMPatientId="a"), equal(DICOMPatientId="b")], "two filters are about DICOMPatientId"),
        ([{"operator": "EQUAL", "values": [{"isPrimary": True}, {"isPrimary": False}]}], "EQUAL takes one value"),
        ([between({"DICOMPatientId": "a"}, {"DICOMPatientId": "b"})], "BETWEEN is for"),
        ([between({"createdAt": NOON}, {"updatedAt": LATER})], "about one field"),
        ([between({"createdAt": LATER}, {"createdAt": NOON})], "the lower one first"),
        ([{"operator": "BETWEEN", "values": [{"createdAt": NOON}]}], "BETWEEN takes two values"),
        ([equal(**study("2024-03-11"))], "YYYYMMDD"),
        ([equal(**study("20240311", "8:35"))], "HHMMSS"),
    ],
)
def test_criteria_that_mean_nothing_are_refused(filters: list[dict[str, Any]], reason: str) -> None:
    """What would match nothing or anything by accident is refused with the reason."""
    with pytest.raises(InvalidRequest, match=reason):
        read_filters(filters)


def test_no_filters_match_everything() -> None:
    """Criteria are optional."""
    assert read_filters([]) == ({}, {})
