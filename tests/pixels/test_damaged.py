"""Damaged pixels raise our errors: no crash, no other exception, and no image that is not the patient's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError, InvalidPart10, NotAcceptable, TooLarge
from gateway.pixels.decode import decode_compressed, decode_frame
from gateway.pixels.frames import read_frames
from gateway.pixels.render import render_frame
from gateway.pixels.rendering import Rendering
from gateway.pixels.transcode import transcode_frame
from gateway.pixels.transfer_syntaxes import TRANSFER_SYNTAXES, transfer_syntax
from tests.pixels.images import frames_in, gradient, instance_of
from tests.samples import sample

COMPRESSED = [line.uid for line in TRANSFER_SYNTAXES.values() if line.encodes and line.family != "native"]
JPEG_2000 = "1.2.840.10008.1.2.4.90"
JPEG = "1.2.840.10008.1.2.4.50"
RLE = "1.2.840.10008.1.2.5"

IMAGE = frames_in((gradient(64, 64, "<u2") % 251).astype("u1"))
STREAMS = {uid: bytes(transcode_frame(IMAGE, 1, uid, quality=95).data) for uid in COMPRESSED}


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("uid", COMPRESSED)
def test_a_cut_frame_is_refused(uid: str, share: float) -> None:
    """Wherever it is cut: nobody sees an image that is grey where the rest should be."""
    cut = memoryview(STREAMS[uid])[: int(len(STREAMS[uid]) * share)]

    with pytest.raises(InvalidPart10):
        decode_compressed(cut, IMAGE.description, transfer_syntax(uid))


@given(uid=st.sampled_from(COMPRESSED), position=st.integers(0, 10**6), value=st.integers(0, 255))
def test_a_changed_byte_is_decoded_or_refused(uid: str, position: int, value: int) -> None:
    """Anywhere in the codestream. Few formats can tell, but none may do anything else than these two."""
    stream = bytearray(STREAMS[uid])
    stream[position % len(stream)] = value

    try:
        decoded = decode_compressed(memoryview(bytes(stream)), IMAGE.description, transfer_syntax(uid))
        assert decoded.pixels.shape == (64, 64)
    except (InvalidPart10, NotAcceptable) as refusal:
        assert "frame" in str(refusal) or "JPEG 2000" in str(refusal)


@given(uid=st.sampled_from(COMPRESSED), garbage=st.binary(max_size=200))
def test_garbage_is_refused(uid: str, garbage: bytes) -> None:
    """After what a codestream begins with, or from the start."""
    for frame in (garbage, STREAMS[uid][:20] + garbage):
        with pytest.raises((InvalidPart10, NotAcceptable)):
            decode_compressed(memoryview(frame), IMAGE.description, transfer_syntax(uid))


# Where the size is: JPEG's frame header, JPEG 2000's SIZ.
BOMBS = {
    "JPEG": (JPEG, b"\xff\xc0\x00\x0b\x08", 0, b"\xff\xff\xff\xff"),
    "JPEG 2000": (JPEG_2000, b"\xff\x51", 4, b"\x7f\xff\xff\xff\x7f\xff\xff\xff"),
}


@pytest.mark.parametrize(("uid", "marker", "offset", "size"), BOMBS.values(), ids=BOMBS)
def test_a_codestream_cannot_ask_for_more_than_the_dataset(uid: str, marker: bytes, offset: int, size: bytes) -> None:
    """A kilobyte that says 65535 x 65535 is refused before a decoder sees it."""
    stream = bytearray(STREAMS[uid])
    start = stream.index(marker) + len(marker) + offset
    stream[start : start + len(size)] = size

    with pytest.raises(InvalidPart10, match="another size than Rows and Columns"):
        decode_compressed(memoryview(bytes(stream)), IMAGE.description, transfer_syntax(uid))


@pytest.mark.parametrize(
    ("attributes", "sentence"),
    [
        ({"BitsAllocated": 8, "SamplesPerPixel": 3}, "other samples than Samples per Pixel"),
        ({"Rows": 63}, "another size than Rows and Columns"),
    ],
)
def test_a_codestream_that_is_not_what_the_dataset_says(attributes: dict[str, object], sentence: str) -> None:
    """Another size, other samples."""
    frames = frames_in([STREAMS[JPEG_2000]], rows=64, columns=64, transfer_syntax=JPEG_2000, **attributes)

    with pytest.raises(InvalidPart10, match=sentence):
        decode_frame(frames, 1)


def test_more_bits_than_allocated_are_refused() -> None:
    """A codestream of 16 bits in a dataset of 8."""
    wide = bytes(transcode_frame(frames_in(gradient(8, 8)), 1, JPEG_2000).data)
    frames = frames_in([wide], rows=8, columns=8, transfer_syntax=JPEG_2000)

    with pytest.raises(InvalidPart10, match="more bits than Bits Allocated"):
        decode_frame(frames, 1)


RLE_HEADERS = {
    "no header": b"\1\0\0\0",
    "another number of segments": np.array([2, 64, 64] + [0] * 13, "<u4").tobytes(),
    "a segment before the header's end": np.array([1, 10] + [0] * 14, "<u4").tobytes(),
    "a segment past the end": np.array([1, 1000] + [0] * 14, "<u4").tobytes(),
    "a segment too short": np.array([1, 64] + [0] * 14, "<u4").tobytes() + b"\xc1\x05",
    "a segment far too long": np.array([1, 64] + [0] * 14, "<u4").tobytes() + b"\x81\x05" * 1000,
}


@pytest.mark.parametrize("frame", RLE_HEADERS.values(), ids=RLE_HEADERS)
def test_damaged_rle_is_refused(frame: bytes) -> None:
    """PS3.5 G.5: the header says where segments are, and each has a byte for every pixel."""
    with pytest.raises(InvalidPart10, match="RLE"):
        decode_compressed(memoryview(frame), IMAGE.description, transfer_syntax(RLE))


@pytest.mark.parametrize(
    ("attributes", "error", "sentence"),
    [
        ({"Rows": 0}, InvalidPart10, "Rows, Columns or Bits Allocated is zero"),
        ({"Rows": None}, InvalidPart10, r"Rows \(0028,0010\) is missing"),
        ({"Rows": 65535, "Columns": 65535}, TooLarge, "a frame of more than"),
        ({"NumberOfFrames": 2_000_000_000}, TooLarge, "more than 10000000 frames"),
        ({"SamplesPerPixel": 0}, InvalidPart10, "Samples per Pixel is zero"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_description_of_nothing_or_of_too_much(
    attributes: dict[str, Any], error: type[GatewayError], sentence: str
) -> None:
    """What is described is held against limits before anything is allocated for it."""
    with pytest.raises(error, match=sentence):
        read_frames(instance_of(np.zeros((8, 8), "u1"), **attributes))


@pytest.mark.parametrize("bits", [12, 24, 40])
def test_odd_bits_allocated_are_not_decoded(bits: int) -> None:
    """PS3.5 8.1.1 allows 1 and multiples of 8; 1, 8, 16, 32 and 64 are decoded."""
    frames = frames_in(np.zeros((8, 80), "u1"), rows=8, columns=8, BitsAllocated=bits)

    with pytest.raises(NotAcceptable, match=f"pixels of {bits} bits allocated are not decoded"):
        decode_frame(frames, 1)


@given(cut=st.integers(0, 40000), byte=st.integers(0, 255))
def test_a_damaged_file_is_rendered_or_refused(cut: int, byte: int) -> None:
    """A byte anywhere in a file, the description of the pixels and the window included."""
    data = bytearray(sample("MR_small_RLE.dcm").read_bytes())
    data[cut % len(data)] = byte

    try:
        assert render_frame(read_frames(bytes(data)), 1, Rendering("image/png")).startswith(b"\x89PNG")
    except GatewayError as refusal:
        assert str(refusal)
