"""Frames found without reading the file are those that are found by reading it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.errors import GatewayError
from gateway.pixels.frames import Frames, frame_numbers, read_frames
from gateway.pixels.stored_frames import read_stored_frames
from tests.samples import SAMPLE_IDS, SAMPLES, sample


class Refused(NamedTuple):
    kind: type[GatewayError]
    reason: str


def said(data: bytes, stored: bool) -> object:
    """What is said of a file's frames, and all their bytes; the error where there are none."""
    try:
        frames = read_stored_frames(data) if stored else read_frames(data)
        digests = [hashlib.sha256(frames.frame(number)).hexdigest() for number in frame_numbers(frames)]
        return frames.transfer_syntax, frames.description, frames.tag, frames.offset_table_problem(), digests
    except GatewayError as error:
        return Refused(type(error), str(error))


@pytest.mark.parametrize("path", SAMPLES, ids=SAMPLE_IDS)
def test_frames_are_those_that_reading_finds(path: Path) -> None:
    """Of every real file, with what describes them; and where there are none, or damaged ones, the same error."""
    data = path.read_bytes()

    assert said(data, stored=True) == said(data, stored=False)


@pytest.mark.parametrize("name", ["CT_small.dcm", "SC_rgb_rle_2frame.dcm", "MR_small_implicit.dcm"])
@pytest.mark.parametrize("cut", [1, 8, 9, 100, 1000, 5000])
def test_a_file_that_is_cut_has_the_error_that_reading_finds(name: str, cut: int) -> None:
    """Wherever it is cut."""
    data = sample(name).read_bytes()[:-cut]

    assert said(data, stored=True) == said(data, stored=False)


def test_the_file_is_not_read_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four of five of the files that have frames need no look at the rest of them."""
    read: list[int] = []

    def reading(data: bytes) -> Frames:
        read.append(1)
        return read_frames(data)

    monkeypatch.setattr("gateway.pixels.stored_frames.read_frames", reading)
    files = [path.read_bytes() for path in SAMPLES]
    with_frames = [data for data in files if not isinstance(said(data, stored=False), Refused)]
    read.clear()

    for data in with_frames:
        read_stored_frames(data)

    assert len(read) < 0.2 * len(with_frames)
