"""The short way from documents to DICOM JSON ends where the long one does."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given

from gateway.dicom.dataset import BulkData, Dataset, Element
from gateway.dicom.json_model import encode_json, to_json
from gateway.dicom.part10 import read_part10
from gateway.metadata import dicom_json
from gateway.metadata.dicom_json import DicomJsonWriter
from gateway.metadata.mapping import to_dataset, to_head, to_instance_metadata
from tests.samples import SAMPLE_IDS, SAMPLES, ct_series
from tests.strategies import datasets

UTF_8 = {"00080005": Element("CS", ("ISO_IR 192",))}

# One for all tests: what it remembers of one instance must not show in another.
WRITER = DicomJsonWriter()


def url(bulk: BulkData) -> str:
    """Return the URL of a bulk value."""
    return f"http://gateway.test/bulkdata/{bulk.uri}"


def long_way(dataset: Dataset) -> bytes:
    """Return the dataset's JSON by way of head, instance and dataset again."""
    head = to_head(dataset)
    whole = to_dataset(head.patient, head.study, head.series, to_instance_metadata(dataset))
    return encode_json(to_json(whole | UTF_8, url))


@pytest.mark.parametrize("path", SAMPLES, ids=SAMPLE_IDS)
def test_every_sample_is_written_as_by_way_of_a_dataset(path: Path) -> None:
    """Byte for byte, with bulk data, private sequences and all."""
    dataset = read_part10(path.read_bytes(), inline_limit=64).dataset

    assert WRITER.instance(to_head(dataset), to_instance_metadata(dataset), url) == long_way(dataset)


@given(dataset=datasets())
def test_any_dataset_is_written_as_by_way_of_a_dataset(dataset: Dataset) -> None:
    """Whatever the writer has written before."""
    assert WRITER.instance(to_head(dataset), to_instance_metadata(dataset), url) == long_way(dataset)


def test_numbers_that_python_takes_for_equal_are_written_as_they_are() -> None:
    """1 of US and 1.0 of FD are one key of a dict, and two texts."""
    writer = DicomJsonWriter()
    head = to_head({})

    rows = writer.instance(head, to_instance_metadata({"00280010": Element("US", (1,))}), url)
    double = writer.instance(head, {"DICOM": {"00191001": 1}, "DICOMVRs": {"00191001": "FD"}}, url)

    assert b'"00280010":{"vr":"US","Value":[1]}' in rows
    assert b'"00191001":{"vr":"FD","Value":[1.0]}' in double


def test_the_url_of_bulk_data_is_never_remembered() -> None:
    """Two instances with the same large value have it at their own addresses."""
    writer = DicomJsonWriter()
    instance = to_instance_metadata({"00191001": Element("OB", binary=BulkData("ab" * 16, 9))})

    first = writer.instance(to_head({}), instance, lambda bulk: f"http://one/{bulk.uri}")
    second = writer.instance(to_head({}), instance, lambda bulk: f"http://two/{bulk.uri}")

    assert (b"http://one/" in first, b"http://two/" in second) == (True, True)


def test_what_is_remembered_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the bound everything is forgotten, and written again as before."""
    monkeypatch.setattr(dicom_json, "MEMORY", 10_000)
    writer = DicomJsonWriter()

    for file in ct_series(20):
        dataset = read_part10(file).dataset
        assert writer.instance(to_head(dataset), to_instance_metadata(dataset), url) == long_way(dataset)
        assert writer._size < 10_000 + 2 * dicom_json.LONGEST_REMEMBERED + 200
