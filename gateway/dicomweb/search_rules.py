"""Searches as HealthImaging limits and orders them, below /datastore/{datastoreId}, the path it uses itself.

devguide, "Searching DICOM data in HealthImaging". The root of our own, /dicomweb, is searched by PS3.18 alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.dicom.dataset import Tag
from gateway.dicom.dictionary import is_private
from gateway.dicom.matching import Order, Query
from gateway.dicom.query_string import attribute_path
from gateway.errors import InvalidQuery

# "Supported DICOMweb query types", Result paging. What is above a maximum is not documented: here it is 400, so that
# nobody takes a part for the whole.
DEFAULT_LIMIT = MAX_LIMIT = 1_000
MAX_OFFSET = 1_000_000

# "Using IncludeField in QIDO-RS queries", Behavior and rules.
MAX_INCLUDE_FIELDS = 50

# "DICOMweb search APIs for HealthImaging": the order of each action's results, by the path of the action.
ORDERS: dict[str, Order] = {
    "/studies": "updated",
    "/series": "SeriesNumber",
    "/instances": "InstanceNumber",
    "/studies/{study}/series": "SeriesNumber",
    "/studies/{study}/instances": "updated",
    "/studies/{study}/series/{series}/instances": "InstanceNumber",
}

Parameters = Sequence[tuple[str, str]]


def with_its_fields(parameters: Parameters) -> list[tuple[str, str]]:
    """Return the parameters of a search with those fields in `includefield` that HealthImaging looks at, each once.

    Without what names no attribute, and without private ones whose creator is not matched. Raises InvalidQuery for too
    many.
    """
    names = {name.strip(): None for key, value in parameters if key == "includefield" for name in value.split(",")}
    if len(names) > MAX_INCLUDE_FIELDS:
        raise InvalidQuery("includefield", f"more than {MAX_INCLUDE_FIELDS} fields")
    creators = {path[-1] for key, value in parameters if value and (path := attribute_path(key))}
    fields = [("includefield", name) for name in names if name == "all" or _is_included(name, creators)]
    return [one for one in parameters if one[0] != "includefield"] + fields


def within_its_limits(query: Query, path: str) -> Query:
    """Return a search in the order of its path, below a root, with a limit. Raises InvalidQuery for one too large."""
    if query.limit is not None and query.limit > MAX_LIMIT:
        raise InvalidQuery("limit", f"more than {MAX_LIMIT}")
    if query.offset > MAX_OFFSET:
        raise InvalidQuery("offset", f"more than {MAX_OFFSET}")
    return replace(query, limit=DEFAULT_LIMIT if query.limit is None else query.limit, order=ORDERS[path])


def _is_included(name: str, creators: set[Tag]) -> bool:
    path = attribute_path(name)
    return path is not None and all(_creator(tag) in {"", *creators} for tag in path)


def _creator(tag: Tag) -> Tag:
    """Return the tag of a private element's creator (PS3.5 section 7.8.1); "" for an element that has none."""
    return f"{tag[:4]}00{tag[4:6]}" if is_private(tag) and tag[4:6] != "00" else ""
