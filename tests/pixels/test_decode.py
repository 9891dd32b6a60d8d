"""Every sample decodes to what pydicom, with other libraries behind it, decodes it to."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.pixels import pixel_array

from gateway.errors import InvalidPart10, NotAcceptable, NotFound
from gateway.pixels.decode import decode_frame
from gateway.pixels.description import stored_values
from tests.pixels.images import DECODABLE, DECODABLE_IDS, UNDECODABLE, frames_in, frames_of, gradient
from tests.samples import sample

# What pydicom and its libraries do not decode.
NOT_BY_THE_ORACLE = {"JPEG-lossy.dcm": "libjpeg has no 12 bits with this marker"}

# Lossy JPEG leaves decoders some freedom, in the inverse transform and in how colour is made as large as grey.
FREEDOM = {
    "1.2.840.10008.1.2.4.50": 6,
    "1.2.840.10008.1.2.4.51": 1,
}


def by_pydicom(path: Path, number: int, *, raw: bool) -> NDArray[Any]:
    """Return a frame as pydicom decodes it; raw: without making RGB of its colours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pixel_array(pydicom.dcmread(path), index=number - 1, raw=raw)


@pytest.mark.parametrize("path", DECODABLE, ids=DECODABLE_IDS)
def test_samples_decode_as_pydicom_decodes_them(path: Path) -> None:
    """First and last frame of each sample; exactly, but for what lossy JPEG leaves open."""
    if path.name in NOT_BY_THE_ORACLE:
        pytest.skip(NOT_BY_THE_ORACLE[path.name])
    frames = frames_of(path)

    for number in {1, frames.count}:
        decoded = decode_frame(frames, number)
        expected = by_pydicom(path, number, raw=decoded.photometric_interpretation != "RGB")
        ours = stored_values(decoded.pixels, frames.description)
        assert ours.shape == expected.shape
        assert ours.dtype == expected.dtype.newbyteorder("<")
        difference = np.abs(ours.astype("f8") - expected.astype("f8")).max()
        assert difference <= FREEDOM.get(frames.transfer_syntax.uid, 0)


@pytest.mark.parametrize("name", UNDECODABLE)
def test_an_overwritten_codestream_is_refused(name: str) -> None:
    """A codestream that claims another size than the dataset is not given to a decoder."""
    with pytest.raises(InvalidPart10, match="another size than Rows and Columns"):
        decode_frame(frames_of(sample(name)), 1)


@pytest.mark.parametrize("number", [0, -1, 3])
def test_a_frame_number_that_no_frame_has(number: int) -> None:
    """Frames are numbered from 1; 0 and the one after the last are not found."""
    frames = frames_in(np.zeros((2, 4, 4), "u1"), rows=4, columns=4, NumberOfFrames=2)

    with pytest.raises(NotFound, match=f"frame {number} does not exist"):
        decode_frame(frames, number)


def test_1_bit_becomes_a_byte_for_each_pixel() -> None:
    """PS3.5 8.1.1: the first pixel is in the lowest bit, and the next frame starts in the middle of a byte."""
    bits = np.array([0b1010_0001, 0b0000_0110, 0b0000_0001], "u1").reshape(1, 3)
    frames = frames_in(bits, rows=3, columns=3, BitsAllocated=1, BitsStored=1, NumberOfFrames=2)

    assert decode_frame(frames, 1).pixels.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    assert decode_frame(frames, 2).pixels.tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 0]]


def test_planes_become_pixels() -> None:
    """PS3.3 C.7.6.3.1.3: with Planar Configuration 1 all of red comes first."""
    planes = np.array([[1, 2], [3, 4], [5, 6]], "u1")
    frames = frames_in(
        planes, rows=1, columns=2, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=1
    )

    assert decode_frame(frames, 1).pixels.tolist() == [[[1, 3, 5], [2, 4, 6]]]


def test_ybr_full_422_becomes_ybr_full() -> None:
    """PS3.3 C.7.6.3.1.2: two pixels' luminance, and then the colour of both."""
    row = np.array([[10, 20, 100, 200, 30, 40, 110, 210]], "u1")
    frames = frames_in(
        row, columns=4, SamplesPerPixel=3, PhotometricInterpretation="YBR_FULL_422", PlanarConfiguration=0
    )

    decoded = decode_frame(frames, 1)

    assert decoded.photometric_interpretation == "YBR_FULL"
    assert decoded.pixels.tolist() == [[[10, 100, 200], [20, 100, 200], [30, 110, 210], [40, 110, 210]]]


def test_stored_values_are_without_the_bits_above_bits_stored() -> None:
    """PS3.5 8.1.1: what is above is no part of the value, and the sign is the highest bit stored."""
    words = np.array([[0x7FFF, 0x0800, 0xF7FF]], "<u2").view("<i2")
    frames = frames_in(words, BitsStored=12)

    assert stored_values(decode_frame(frames, 1).pixels, frames.description).tolist() == [[-1, -2048, 2047]]


@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
def test_floating_point_pixels_are_decoded(dtype: str) -> None:
    """Float Pixel Data (7FE0,0008) and Double Float Pixel Data (7FE0,0009)."""
    pixels = np.array([[0.5, -1.5], [1e30, 0.0]], dtype)

    decoded = decode_frame(frames_in(pixels), 1).pixels

    assert decoded.dtype == dtype
    assert decoded.tolist() == pixels.tolist()


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.93"])
def test_what_is_not_decoded_says_so(uid: str) -> None:
    """Video and JPEG 2000 Part 2 are kept and served as they are."""
    frames = frames_in([b"stream.."], rows=8, columns=8, transfer_syntax=uid)

    with pytest.raises(NotAcceptable, match="is not decoded here: ask for it as it is stored"):
        decode_frame(frames, 1)


def test_a_codestream_in_a_jp2_file_is_found() -> None:
    """PS3.5 A.4.4 wants it bare; some writers leave it in its file format."""
    pixels = gradient(8, 8)
    wrapped = bytes(imagecodecs.jpeg2k_encode(pixels, reversible=True, codecformat="JP2"))
    assert wrapped[4:8] == b"jP  "

    frames = frames_in(
        [wrapped + bytes(len(wrapped) % 2)],
        rows=8,
        columns=8,
        transfer_syntax="1.2.840.10008.1.2.4.90",
        BitsAllocated=16,
        PixelRepresentation=1,
    )

    assert np.array_equal(decode_frame(frames, 1).pixels, pixels)


@pytest.mark.parametrize(
    ("colours", "photometric", "rgb"),
    [
        ("RGB", "YBR_FULL_422", True),  # components called R, G, B, and Adobe's marker say RGB
        ("UNKNOWN", "RGB", True),  # nothing in the codestream says anything: the dataset decides
        ("YCBCR", "RGB", False),  # JFIF's marker says YCbCr
    ],
)
def test_colours_of_a_jpeg_are_what_it_says_itself(colours: str, photometric: str, rgb: bool) -> None:
    """What the codestream says of its colours goes before what the dataset says."""
    red = np.full((16, 16, 3), (255, 0, 0), "u1")
    stored = red if rgb else imagecodecs.jpeg8_decode(imagecodecs.jpeg8_encode(red, 100), outcolorspace="YCBCR")
    frame = bytes(imagecodecs.jpeg8_encode(stored, 100, colorspace=colours, outcolorspace=colours, subsampling="444"))
    frames = frames_in(
        [frame + bytes(len(frame) % 2)],
        rows=16,
        columns=16,
        transfer_syntax="1.2.840.10008.1.2.4.50",
        SamplesPerPixel=3,
        PhotometricInterpretation=photometric,
        PlanarConfiguration=0,
    )

    decoded = decode_frame(frames, 1)

    assert decoded.photometric_interpretation == "RGB"
    assert np.abs(decoded.pixels.astype(int) - red).max() <= 3
