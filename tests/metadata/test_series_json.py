"""The short way through a series ends where its instances one by one do."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicom.dataset import BulkData, Dataset, in_tag_order
from gateway.dicom.part10 import read_part10
from gateway.metadata.dicom_json import DicomJsonWriter
from gateway.metadata.image_set import InstanceMetadata
from gateway.metadata.mapping import to_instance_metadata
from gateway.metadata.series_json import SeriesWriter
from tests.samples import ct_series
from tests.strategies import datasets

WRITER = DicomJsonWriter()


def url(bulk: BulkData) -> str:
    """Return the URL of a bulk value."""
    return f"http://gateway.test/bulkdata/{bulk.uri}"


def check(instances: list[InstanceMetadata]) -> None:
    series = SeriesWriter(WRITER, url)
    written = [series.own(orjson.dumps(instance)) for instance in instances]
    assert written == [WRITER.own(instance, url) for instance in instances]


def test_a_series_is_written_as_its_instances_one_by_one() -> None:
    """A CT, forth and back."""
    instances = [to_instance_metadata(read_part10(file).dataset) for file in ct_series(40)]

    check(instances + instances[::-1])


@st.composite
def series(draw: st.DrawFn) -> list[Dataset]:
    """Return instances that have most attributes and values of another, as those of a series do."""
    first, other = draw(datasets(odd_vrs=True)), draw(datasets(odd_vrs=True))
    found = []
    for _ in range(draw(st.integers(2, 4))):
        kept = {tag: element for tag, element in first.items() if draw(st.integers(0, 9))}
        found.append(in_tag_order({**other, **kept} if draw(st.booleans()) else kept))
    return found


@given(instances=series())
def test_any_series_is_written_as_its_instances_one_by_one(instances: list[Dataset]) -> None:
    """Whatever comes and goes from one to the next."""
    check([to_instance_metadata(one) for one in instances])


# Values like JSON: one may look like what stands around it.
TEXTS = st.sampled_from(["a", "b", "ab", '"', "\\", '"Rows":1', "a,"])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "ImageComments": TEXTS,
    "ImageType": st.lists(TEXTS, min_size=2, max_size=2),
    "InstanceNumber": TEXTS,
    "ReferencedImageSequence": st.fixed_dictionaries({"InstanceNumber": TEXTS, "Rows": st.integers(1, 3)}).map(
        lambda item: [item]
    ),
    "Rows": st.integers(1, 3),
    "SeriesDescription": TEXTS,
}


@st.composite
def alike(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Return instances of the same attributes, of which each has one of two values: it is soon as it was before."""
    pairs = {key: st.sampled_from([draw(values), draw(values)]) for key, values in VALUES.items()}
    return [{key: draw(pair) for key, pair in pairs.items()} for _ in range(draw(st.integers(3, 8)))]


@given(instances=alike())
def test_instances_of_the_same_attributes_are_written_one_by_one(instances: list[dict[str, Any]]) -> None:
    """Some of them change and some do not, and no text is taken for what stands around it."""
    check([{"DICOM": attributes, "DICOMVRs": {}} for attributes in instances])


# Attributes of one instance and of the next, which as text can be taken for each other.
LIKE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "another value": ({"InstanceNumber": "1", "Rows": 1}, {"InstanceNumber": "2", "Rows": 1}),
    "first and last": ({"ImageType": ["A"], "Rows": 1}, {"ImageType": ["B"], "Rows": 2}),
    "numbers that are equal": ({"DiffusionBValue": 1, "Rows": 1}, {"DiffusionBValue": 1.0, "Rows": 1}),
    "a comma in a text": ({"ImageComments": 'a,"b', "Rows": 1}, {"ImageComments": 'a","b', "Rows": 1}),
    "a text like a key": ({"ImageComments": '","Rows":2', "Rows": 1}, {"ImageComments": "x", "Rows": 1}),
    "another attribute": ({"InstanceNumber": "1", "Rows": 1}, {"ImageComments": "1", "Rows": 1}),
    "one value more": ({"ImageType": ["A"], "Rows": 1}, {"ImageType": ["A", "B"], "Rows": 1}),
    "one value more and an attribute less": (
        {"ImageType": ["A"], "InstanceNumber": "1", "Rows": 1},
        {"ImageType": ["A", "B"], "Rows": 1},
    ),
    "text and nothing": ({"ImageComments": "a", "Rows": 1}, {"ImageComments": None, "Rows": 1}),
    "text and several": ({"ImageType": "A", "Rows": 1}, {"ImageType": ["A"], "Rows": 1}),
    "none at all": ({}, {"Rows": 1}),
    "items": (
        {"ReferencedImageSequence": [{"ReferencedSOPInstanceUID": "1.2"}, {"ReferencedSOPInstanceUID": "1.3"}]},
        {"ReferencedImageSequence": [{"ReferencedSOPInstanceUID": "1.2"}, {"ReferencedSOPInstanceUID": "1.4"}]},
    ),
    "an item that was an attribute": (
        {"ReferencedImageSequence": [{"Rows": 1}], "Columns": 1},
        {"ReferencedImageSequence": [{"Rows": 1, "Columns": 1}]},
    ),
    "what DICOM has no place for": ({"Remark": "a", "Rows": 1}, {"Remark": "b", "Rows": 1}),
    "bulk data": (
        {"PixelData": {"BulkDataURI": "aa"}, "Rows": 1},
        {"PixelData": {"BulkDataURI": "bb"}, "Rows": 1},
    ),
}


@pytest.mark.parametrize("case", LIKE)
def test_an_instance_is_not_taken_for_the_one_before(case: str) -> None:
    """Forth and back, each is written as if it were the first."""
    of_case: list[InstanceMetadata] = [{"DICOM": attributes, "DICOMVRs": {}} for attributes in LIKE[case]]
    one, other = of_case

    check([one, other, one, one])


def test_other_vrs_are_other_elements() -> None:
    """The same private value of another VR."""
    of_vr: list[InstanceMetadata] = [{"DICOM": {"00191001": "1"}, "DICOMVRs": {"00191001": vr}} for vr in ("LO", "SH")]

    check([*of_vr, *of_vr])
