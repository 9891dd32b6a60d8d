"""SearchImageSets: criteria, sort order and pages.

The API has one or two filters of one or two values. What it leaves open: two filters have to be about different
fields, EQUAL takes one value, and BETWEEN takes two of one field of time, both included.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.errors import InvalidRequest
from gateway.healthimaging.context import Context, Input, Output
from gateway.healthimaging.pages import next_token, number_position, page_size
from gateway.store.searches import ImageSetSearch, ImageSetSummary

_DEFAULT_SORT = {"sortField": "updatedAt", "sortOrder": "DESC"}

# PS3.5 Table 6.2-1, DA and TM without what only a range or an old file has.
_DATE = re.compile(r"[0-9]{8}", re.ASCII)
_TIME = re.compile(r"([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:\.([0-9]{1,6}))?)?)?", re.ASCII)

_TIME_FIELDS = ("createdAt", "updatedAt", "DICOMStudyDateAndTime")


async def search_image_sets(context: Context, request: Input) -> Output:
    """Return a page of the latest versions that match, last updated first by default."""
    criteria = request.get("searchCriteria", {})
    sort = criteria.get("sort", _DEFAULT_SORT)
    equal, between = read_filters(criteria.get("filters", ()))
    size, offset = page_size(request), number_position(request) or 0
    found = await context.store.search_image_sets(
        request["datastoreId"],
        ImageSetSearch(equal, between, sort["sortField"], sort["sortOrder"] == "ASC", limit=size + 1, offset=offset),
    )
    return {
        "imageSetsMetadataSummaries": [_summary(match) for match in found[:size]],
        "sort": sort,
        "nextToken": next_token(request, str(offset + size)) if len(found) > size else None,
    }


def read_filters(filters: Sequence[Input]) -> tuple[Mapping[str, Any], Mapping[str, tuple[Any, Any]]]:
    """Return the values that fields have to equal, and the values they have to lie between.

    Raises InvalidRequest for criteria that mean nothing or two things.
    """
    equal: dict[str, Any] = {}
    between: dict[str, tuple[Any, Any]] = {}
    for entry in filters:
        field, values = _field_and_values(entry["values"])
        if field in equal or field in between:
            raise InvalidRequest(f"two filters are about {field}")
        if entry["operator"] == "BETWEEN":
            between[field] = _range(field, values)
        elif len(values) != 1:
            raise InvalidRequest(f"EQUAL takes one value, and {field} has two")
        elif isinstance(values[0], datetime):
            end = _millisecond_end if values[0].microsecond else _second_end
            between[field] = values[0], end(values[0])
        else:
            equal[field] = values[0]
    return equal, between


def _field_and_values(values: Sequence[Input]) -> tuple[str, list[Any]]:
    names = [next(iter(value)) for value in values]
    if len(set(names)) != 1:
        raise InvalidRequest(f"a filter is about one field, and one here has {' and '.join(names)}")
    return names[0], [_value(value[names[0]]) for value in values]


def _value(value: Any) -> Any:
    return _study_date_and_time(value) if isinstance(value, dict) else value


def _range(field: str, values: Sequence[Any]) -> tuple[Any, Any]:
    if field not in _TIME_FIELDS:
        raise InvalidRequest(f"BETWEEN is for {', '.join(_TIME_FIELDS)}, not for {field}")
    if len(values) != 2 or values[0] > values[1]:
        raise InvalidRequest(f"BETWEEN takes two values of {field}, the lower one first")
    lower, upper = values
    return lower, _millisecond_end(upper) if isinstance(upper, datetime) else upper


def _millisecond_end(time: datetime) -> datetime:
    """Return the last moment that answers give as this time: they have milliseconds, and the store has more."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000 + 999)


def _second_end(time: datetime) -> datetime:
    """Return the last moment of a second: botocore sends no more of a time than its seconds."""
    return time.replace(microsecond=999_999)


def _study_date_and_time(value: Mapping[str, str]) -> str:
    """Return a study's date and time as YYYYMMDDHHMMSS.FFFFFF; what is not given is zero."""
    date, time = value["DICOMStudyDate"], _TIME.fullmatch(value.get("DICOMStudyTime") or "00")
    if not _DATE.fullmatch(date) or time is None:
        raise InvalidRequest("DICOMStudyDateAndTime takes a date YYYYMMDD and a time HHMMSS.FFFFFF, or its first parts")
    hours, minutes, seconds, fraction = time.groups(default="")
    return f"{date}{hours}{minutes or '00'}{seconds or '00'}.{fraction:0<6}"


def _summary(match: ImageSetSummary) -> Output:
    version = match.version
    return {
        "imageSetId": version.image_set_id,
        "version": version.version,  # a number here, a string everywhere else
        "createdAt": version.created_at,
        "updatedAt": version.updated_at,
        "storageTier": "FREQUENT_ACCESS",
        "isPrimary": version.is_primary,
        "DICOMTags": match.tags,
    }
