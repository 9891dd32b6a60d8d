"""Laws of PS3.10: what is written is read again, in every encoding and character set, by us and by pydicom."""

from __future__ import annotations

import io
import warnings
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dicom.dataset import BulkData, Dataset, Element, in_tag_order
from gateway.dicom.dictionary import is_private, vrs_of
from gateway.dicom.part10 import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    named_in_meta,
    read_part10,
    rewrite,
    write_part10,
)
from gateway.dicom.part10_write import no_bulk
from gateway.errors import InvalidPart10
from tests.dicom.test_part10_oracle import binary_of
from tests.samples import SAMPLE_IDS, SAMPLES
from tests.strategies import datasets

EXPLICIT = [EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN]
EXPLICIT_IDS = ["little endian", "big endian", "deflated"]

CHARACTER_SETS = st.sampled_from(
    [
        (),
        ("ISO_IR 100",),
        ("ISO_IR 144",),
        ("ISO_IR 13",),
        ("", "ISO 2022 IR 87"),
        ("ISO 2022 IR 13", "ISO 2022 IR 87", "ISO 2022 IR 159"),
        ("", "ISO 2022 IR 149"),
        ("", "ISO 2022 IR 58"),
        ("ISO 2022 IR 100", "ISO 2022 IR 126", "ISO 2022 IR 144"),
        ("GB18030",),
        ("ISO_IR 192",),
    ]
)


def without_character_set(dataset: Dataset) -> Dataset:
    """The dataset without Specific Character Set, in items too."""
    return {
        tag: replace(element, items=tuple(map(without_character_set, element.items)))
        for tag, element in dataset.items()
        if tag != "00080005"
    }


def padded(dataset: Dataset) -> Dataset:
    """What reading gives for a written dataset: padding to an even length is part of DS, IS and binary values."""
    return {tag: padded_element(element) for tag, element in dataset.items()}


def padded_element(element: Element) -> Element:
    if element.vr in ("DS", "IS") and len("\\".join(map(str, element.values))) % 2:
        values = (*element.values[:-1], f"{element.values[-1]} " if element.values[-1] else "")
        return replace(element, values=values)
    if isinstance(element.binary, bytes) and len(element.binary) % 2:
        return replace(element, binary=element.binary + b"\0")
    return replace(element, items=tuple(map(padded, element.items)))


def body(data: bytes) -> Dataset:
    """The dataset of a file without its group 0002."""
    return {tag: element for tag, element in read_part10(data).dataset.items() if not tag.startswith("0002")}


def utf_8(dataset: Dataset) -> Dataset:
    return in_tag_order(dataset | {"00080005": Element("CS", ("ISO_IR 192",))})


@pytest.mark.parametrize("transfer_syntax_uid", EXPLICIT, ids=EXPLICIT_IDS)
@settings(max_examples=60, deadline=None)
@given(dataset=datasets().map(without_character_set), terms=CHARACTER_SETS)
def test_what_is_written_is_read(transfer_syntax_uid: str, dataset: Dataset, terms: tuple[str, ...]) -> None:
    """Every VR comes back as it was, in its character set or, where it does not fit, in UTF-8."""
    if terms:
        dataset = in_tag_order(dataset | {"00080005": Element("CS", terms)})

    read = body(write_part10(dataset, transfer_syntax_uid))

    # repr, because NaN is not equal to itself.
    assert repr(read) in (repr(padded(dataset)), repr(padded(utf_8(dataset))))


def unambiguous(dataset: Dataset) -> Dataset:
    """What implicit VR can say: standard attributes whose VR is not a choice."""
    return {
        tag: replace(element, items=tuple(map(unambiguous, element.items)))
        for tag, element in dataset.items()
        if not is_private(tag) and len(vrs_of(tag)) == 1
    }


@settings(max_examples=60, deadline=None)
@given(dataset=datasets().map(without_character_set).map(unambiguous), terms=CHARACTER_SETS)
def test_what_is_written_without_vrs_is_read(dataset: Dataset, terms: tuple[str, ...]) -> None:
    """In implicit VR too, for what the dictionary knows."""
    if terms:
        dataset = in_tag_order(dataset | {"00080005": Element("CS", terms)})

    read = body(write_part10(dataset, IMPLICIT_VR_LITTLE_ENDIAN))

    assert repr(read) in (repr(padded(dataset)), repr(padded(utf_8(dataset))))


@settings(max_examples=60, deadline=None)
@given(dataset=datasets(), uid=st.sampled_from([*EXPLICIT, IMPLICIT_VR_LITTLE_ENDIAN]))
def test_reading_is_stable(dataset: Dataset, uid: str) -> None:
    """Whatever a file says, once read and written it says the same for ever, private elements without a VR too."""
    read = body(write_part10(dataset, uid))

    assert repr(body(write_part10(read, uid))) == repr(read)


@settings(max_examples=60, deadline=None)
@given(before=datasets(), after=datasets(), uid=st.sampled_from(EXPLICIT))
def test_rewriting_gives_the_dataset_asked_for(before: Dataset, after: Dataset, uid: str) -> None:
    """Any dataset in place of any other: reading the result gives it, or it in UTF-8 where text asks for it.

    Sequences common to both are merged item by item, so this is also about lengths.
    """
    original = write_part10(before, uid)
    merged = in_tag_order(without_character_set(before | after))

    rewritten = b"".join(rewrite(original, merged, no_bulk))

    assert repr(body(rewritten)) in (repr(padded(merged)), repr(padded(utf_8(merged))))


@settings(max_examples=40, deadline=None)
@given(dataset=datasets(depth=3), uid=st.sampled_from([*EXPLICIT, IMPLICIT_VR_LITTLE_ENDIAN]))
def test_pydicom_reads_what_is_written(dataset: Dataset, uid: str) -> None:
    """pydicom finds the same tags and VRs in a file of ours, items included."""
    data = write_part10(unambiguous(dataset), uid)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = pydicom.dcmread(io.BytesIO(data))
        tags = {f"{int(element.tag):08X}": element.VR for element in read}

    assert tags == {tag: element.vr for tag, element in body(data).items()}
    assert read.file_meta.TransferSyntaxUID == uid


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([*EXPLICIT[:2], IMPLICIT_VR_LITTLE_ENDIAN]))
def test_no_bytes_break_the_reader(noise: bytes, uid: str) -> None:
    """Noise is refused or read, never anything else; what is read can be written back unchanged."""
    data = write_part10({}, uid) + noise
    try:
        dataset = read_part10(data).dataset
    except InvalidPart10:
        return

    assert b"".join(rewrite(data, dataset, no_bulk)) == data


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 400), st.integers(132, 400), st.integers(0, 255))
def test_a_damaged_file_is_named_or_not(length: int, place: int, byte: int) -> None:
    """Cut anywhere and with a byte changed: two UIDs at most, and nothing else is said."""
    data = bytearray(SMALL[0].read_bytes())
    data[place] = byte

    assert named_in_meta(bytes(data[:length])).keys() <= {"00080016", "00080018"}


@given(st.data())
def test_no_flipped_byte_breaks_the_reader(data: st.DataObject) -> None:
    """One byte of a real file changed: it is refused or read, and rewriting it unchanged gives the same bytes."""
    original = bytearray(data.draw(st.sampled_from(SMALL)).read_bytes())
    original[data.draw(st.integers(132, len(original) - 1))] = data.draw(st.integers(0, 255))
    try:
        dataset = read_part10(original).dataset
    except InvalidPart10:
        return

    assert b"".join(rewrite(original, dataset, no_bulk))[128:] == original[128:]


def test_a_character_set_that_is_no_text_names_none() -> None:
    """Two flipped bytes made Specific Character Set five numbers: rewriting it unchanged gives the same bytes."""
    [arabic] = [path for path in SMALL if path.name == "chrArab.dcm"]
    original = arabic.read_bytes().replace(b"\x08\x00\x05\x00CS", b"\x08\x00\x05\x00SS")

    dataset = read_part10(original).dataset

    assert dataset["00080005"].vr == "SS"
    assert b"".join(rewrite(original, dataset, no_bulk))[128:] == original[128:]


SMALL = [path for path in SAMPLES if path.stat().st_size < 4000]


@pytest.mark.parametrize("uid", EXPLICIT, ids=EXPLICIT_IDS)
def test_real_files_in_other_encodings(uid: str) -> None:
    """Every real dataset, written in each explicit encoding, is read as it was."""
    for path in SAMPLES:
        data = path.read_bytes()
        part10 = read_part10(data)

        def bulk(value: BulkData, path: Path = path) -> bytes:
            data = path.read_bytes()
            return binary_of(Element("OB", binary=value), read_part10(data), data)

        before = {tag: element for tag, element in part10.dataset.items() if not tag.startswith("0002")}
        after = body(write_part10(part10.dataset, uid, read_bulk=bulk))

        if after.get("00080005") != before.get("00080005"):
            before = utf_8(before)
        assert repr(padded(before)) == repr(after), path.name


def test_sample_ids_are_unique() -> None:
    """A failing sample is found by its id."""
    assert len(set(SAMPLE_IDS)) == len(SAMPLES)
