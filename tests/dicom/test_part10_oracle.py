"""Every file of pydicom's test data, read by us and by pydicom. What is expected is built from pydicom alone.

Known differences, on purpose: pydicom reads private UN by its private dictionary, and we leave it; pydicom does not
swap words of big endian files, and we do; pydicom strips the padding of DS and IS, and we keep it.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence

from gateway.dicom.dataset import BulkData, Element
from gateway.dicom.part10 import Part10, Span, read_part10
from gateway.errors import InvalidPart10
from tests.samples import READ_BY_PYDICOM, REFUSED, SAMPLE_IDS, SAMPLES

PIXEL_DATA = {0x7FE00008, 0x7FE00009, 0x7FE00010}
WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}


def test_what_is_refused_is_listed_by_name() -> None:
    """Of all files pydicom reads without force, the gateway refuses those of the list, and no other."""
    refused = set()
    for path in READ_BY_PYDICOM:
        try:
            read_part10(path.read_bytes())
        except InvalidPart10:
            refused.add(path.name)

    assert refused == set(REFUSED)


@pytest.mark.parametrize("path", SAMPLES, ids=SAMPLE_IDS)
def test_values_are_those_pydicom_reads(path: Path) -> None:
    """Tags, VRs and values of a real file are pydicom's, in sequences too, and every binary value byte for byte."""
    data = path.read_bytes()

    part10 = read_part10(data)

    read = pydicom_reads(path)
    assert read["file"] == plain(part10, data)
    assert list(part10.dataset) == sorted(part10.dataset)
    assert part10.transfer_syntax_uid == read["transfer syntax"]


@pytest.mark.parametrize("path", SAMPLES, ids=SAMPLE_IDS)
def test_pixel_data_is_where_pydicom_finds_it(path: Path) -> None:
    """The spans of pixel data are the bytes of pydicom's PixelData, fragments and all."""
    data = path.read_bytes()

    pixel_data = read_part10(data).pixel_data

    found = {int(one.tag, 16): bytes_at(one.value, data) for one in pixel_data}
    assert found == pydicom_reads(path)["pixel data"]


def bytes_at(value: Span | memoryview, data: bytes) -> bytes:
    return data[value.offset : value.offset + value.length] if isinstance(value, Span) else bytes(value)


def pydicom_reads(path: Path | BinaryIO) -> dict[str, Any]:
    """Return what pydicom makes of a file, in the form of `plain`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = pydicom.dcmread(path)
        big_endian = not file.original_encoding[1]
        pixel_data = {tag: file.get_item(tag).value for tag in PIXEL_DATA if tag in file}
        for tag in pixel_data:
            del file[tag]
        dataset = expected(file.file_meta, big_endian=False) | expected(file, big_endian=big_endian)
    return {
        "file": dataset,
        "pixel data": {tag: value or b"" for tag, value in pixel_data.items()},
        "transfer syntax": str(file.file_meta.TransferSyntaxUID),
    }


def expected(dataset: pydicom.Dataset, *, big_endian: bool) -> dict[str, Any]:
    """Return tag -> (VR, values) for pydicom's elements."""
    return {
        f"{int(tag):08X}": expected_element(dataset, tag, big_endian=big_endian)
        for tag in list(dataset.keys())
        if tag.element != 0 or tag.group == 2
    }


def expected_element(dataset: pydicom.Dataset, tag: Any, *, big_endian: bool) -> tuple[str, Any]:
    raw = dataset.get_item(tag)
    raw_value = (raw.value or b"") if isinstance(raw, RawDataElement) else b""
    if isinstance(raw, RawDataElement) and raw.VR == "UN" and tag.is_private and not tag.is_private_creator:
        return "UN", raw_value
    element = dataset[tag]
    value = element.value
    if isinstance(value, Sequence):
        return "SQ", [expected(item, big_endian=big_endian) for item in value]
    if element.VR in ("DS", "IS"):
        texts = raw_value.rstrip(b"\0").decode("ascii").split("\\")
        return element.VR, [text if text.strip() else "" for text in texts] if "".join(texts).strip() else []
    if isinstance(value, bytes | None) and element.VR in (*WORDS, "OB", "UN"):
        return element.VR, swapped(value or b"", WORDS.get(element.VR, 1)) if big_endian else value or b""
    values = (
        [] if value in (None, "") else list(value) if isinstance(value, list | pydicom.multival.MultiValue) else [value]
    )
    return element.VR, [expected_value(one, element.VR, tag, n) for n, one in enumerate(values)]


def expected_value(value: Any, vr: str, tag: Any, position: int) -> Any:
    if vr == "AT":
        return f"{int(value):08X}"
    if vr in ("FL", "FD"):
        return repr(value)
    if isinstance(value, int) and vr == "SS" and value > 0x7FFF:
        return value - 0x10000  # pydicom's first value of a LUT Descriptor, which is unsigned whatever the VR
    return value if isinstance(value, int) else str(value).rstrip(" \0")


def swapped(value: bytes, size: int) -> bytes:
    return b"".join(value[start : start + size][::-1] for start in range(0, len(value), size))


def plain(part10: Part10, data: bytes) -> dict[str, Any]:
    """Return a dataset of ours in the same form."""
    return {tag: plain_element(element, part10, data) for tag, element in part10.dataset.items()}


def plain_element(element: Element, part10: Part10, data: bytes) -> tuple[str, Any]:
    if element.vr == "SQ":
        return "SQ", [
            {tag: plain_element(inner, part10, data) for tag, inner in item.items()} for item in element.items
        ]
    if element.vr in (*WORDS, "OB", "UN"):
        return element.vr, binary_of(element, part10, data)
    if element.vr in ("FL", "FD"):
        return element.vr, list(map(repr, element.values))
    if element.vr == "AE":
        return element.vr, [str(value).strip() for value in element.values]
    return element.vr, list(element.values)


def binary_of(element: Element, part10: Part10, data: bytes) -> bytes:
    if isinstance(element.binary, BulkData):
        place = part10.bulk[element.binary.uri]
        return place if isinstance(place, bytes) else data[place.offset : place.offset + place.length]
    return element.binary
