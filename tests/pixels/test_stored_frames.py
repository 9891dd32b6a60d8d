"""Frames found without reading the file are those that are found by reading it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.dicom.part10 import read_part10
from gateway.dicom.part10_top import Top, walk_top
from gateway.errors import GatewayError
from gateway.pixels import stored_frames
from gateway.pixels.frames import Frames, frame_numbers, read_frames
from gateway.pixels.stored_frames import FramesReader, stored_pixel_element
from tests.samples import SAMPLE_IDS, SAMPLES, instance, sample


class Refused(NamedTuple):
    kind: type[GatewayError]
    reason: str


def said(data: bytes, reader: FramesReader | None = None) -> object:
    """What is said of a file's frames, and all their bytes; the error where there are none."""
    try:
        frames = reader.read(data) if reader else read_frames(data)
        digests = [hashlib.sha256(frames.frame(number)).hexdigest() for number in frame_numbers(frames)]
        return frames.transfer_syntax, frames.description, frames.tag, frames.offset_table_problem(), digests
    except GatewayError as error:
        return Refused(type(error), str(error))


@pytest.mark.parametrize("path", SAMPLES, ids=SAMPLE_IDS)
def test_frames_are_those_that_reading_finds(path: Path) -> None:
    """Of every real file, with what describes them; and where there are none, or damaged ones, the same error."""
    data = path.read_bytes()

    assert said(data, FramesReader()) == said(data)


@pytest.mark.parametrize("path", SAMPLES, ids=SAMPLE_IDS)
def test_which_pixel_data_there_are_is_what_reading_finds(path: Path) -> None:
    """Of every real file, those without any too."""
    data = path.read_bytes()

    assert stored_pixel_element(data) == read_part10(data).pixel_element


def test_frames_of_files_alike_are_those_that_reading_finds() -> None:
    """One reader of all real files, each twice and a changed one between: nothing of one is taken for another's."""
    reader = FramesReader()
    for file in [path.read_bytes() for path in SAMPLES]:
        for data in (file, with_other_pixels(file), file):
            assert said(data, reader) == said(data)


def with_other_pixels(data: bytes) -> bytes:
    """Return a file with another value at its end, and another Window Center and Bits Stored where it has them."""
    changed = bytearray(data)
    changed[-9] ^= 0x55
    for tag in (b"\x28\x00\x50\x10DS", b"\x28\x00\x01\x01US"):
        if (at := data.find(tag)) > 0:
            changed[at + 8] ^= 0x01
    return bytes(changed)


def test_a_file_of_the_same_series_is_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one is; another one that says another thing of its pixels is, too."""
    walked: list[int] = []

    def walk(view: memoryview, last: int) -> Top | None:
        walked.append(1)
        return walk_top(view, last)

    monkeypatch.setattr(stored_frames, "walk_top", walk)
    reader = FramesReader()

    series = [reader.read(instance(instance_number=number, PatientName=f"A^{number}")) for number in range(1, 6)]
    other = reader.read(instance(instance_number=6, PatientName="A^6", BitsStored=12))

    assert len(walked) == 2
    assert [frames.description.bits_stored for frames in (*series, other)] == [16, 16, 16, 16, 16, 12]


@pytest.mark.parametrize("name", ["CT_small.dcm", "SC_rgb_rle_2frame.dcm", "MR_small_implicit.dcm"])
@pytest.mark.parametrize("cut", [1, 8, 9, 100, 1000, 5000])
def test_a_file_that_is_cut_has_the_error_that_reading_finds(name: str, cut: int) -> None:
    """Wherever it is cut."""
    data = sample(name).read_bytes()[:-cut]

    assert said(data, FramesReader()) == said(data)


def test_the_file_is_not_read_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four of five of the files that have frames need no look at the rest of them."""
    read: list[int] = []

    def reading(data: bytes) -> Frames:
        read.append(1)
        return read_frames(data)

    monkeypatch.setattr("gateway.pixels.stored_frames.read_frames", reading)
    files = [path.read_bytes() for path in SAMPLES]
    with_frames = [data for data in files if not isinstance(said(data), Refused)]
    read.clear()

    for data in with_frames:
        FramesReader().read(data)

    assert len(read) < 0.2 * len(with_frames)
