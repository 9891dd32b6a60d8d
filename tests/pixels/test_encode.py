"""What is encoded decodes to the same samples: by us, and by pydicom with other libraries behind it."""

from __future__ import annotations

import io
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from pydicom.pixels import pixel_array

from gateway.errors import NotAcceptable
from gateway.pixels.decode import Decoded, decode_compressed, decode_frame
from gateway.pixels.description import PixelDescription
from gateway.pixels.encode import encode_frame
from gateway.pixels.frames import Frames
from gateway.pixels.rle import encode_rle
from gateway.pixels.transcode import transcode_frame
from gateway.pixels.transfer_syntaxes import TRANSFER_SYNTAXES, transfer_syntax
from tests.pixels.images import (
    DECODABLE,
    DECODABLE_IDS,
    frames_in,
    frames_of,
    gradient,
    has_room,
    instance_of,
    one_of_each_kind,
)

HTJ2K = "1.2.840.10008.1.2.4.202"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_LS = "1.2.840.10008.1.2.4.80"
RLE = "1.2.840.10008.1.2.5"
LOSSLESS = [
    line.uid for line in TRANSFER_SYNTAXES.values() if line.encodes and line.lossless and line.family != "native"
]


def by_pydicom(frame: bytes | memoryview, frames: Frames, uid: str, photometric: str) -> NDArray[Any]:
    """Return one encoded frame as pydicom decodes it, all bits of it, without making RGB of its colours."""
    description = frames.description
    planar: dict[str, Any] = {"PlanarConfiguration": 0} if description.samples_per_pixel > 1 else {}
    data = instance_of(
        [bytes(frame) + bytes(len(frame) % 2)],
        rows=description.rows,
        columns=description.columns,
        transfer_syntax=uid,
        BitsAllocated=description.bits_allocated,
        PixelRepresentation=description.pixel_representation,
        SamplesPerPixel=description.samples_per_pixel,
        PhotometricInterpretation=photometric,
        **planar,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pixel_array(pydicom.dcmread(io.BytesIO(data)), index=0, raw=True)


@pytest.mark.parametrize("path", DECODABLE, ids=DECODABLE_IDS)
def test_every_sample_is_the_same_after_htj2k(path: Path) -> None:
    """The first frame of each sample of 8 and 16 bits, encoded as HTJ2K, decodes bit for bit by pydicom's OpenJPEG."""
    frames = frames_of(path)
    if frames.description.bits_allocated not in (8, 16):
        pytest.skip("HTJ2K is written for 8 and 16 bits")
    before = decode_frame(frames, 1).pixels

    encoded = transcode_frame(frames, 1, HTJ2K)

    after = by_pydicom(encoded.data, frames, HTJ2K, encoded.photometric_interpretation)
    assert after.dtype == before.dtype
    assert np.array_equal(after, before)


@pytest.mark.parametrize("uid", LOSSLESS)
@pytest.mark.parametrize("path", one_of_each_kind(), ids=lambda path: path.name)
def test_every_lossless_encoding_keeps_every_kind_of_sample(path: Path, uid: str) -> None:
    """One sample of each type, number of bits and colour; decoded by us and by pydicom."""
    frames = frames_of(path)
    before = decode_frame(frames, 1)
    if not has_room(frames.description, uid):
        pytest.skip("refused, as test_what_has_no_room_is_refused shows")

    encoded = transcode_frame(frames, 1, uid)

    photometric = encoded.photometric_interpretation
    after = decode_compressed(memoryview(encoded.data), _as(frames, photometric), transfer_syntax(uid))

    assert after.photometric_interpretation == before.photometric_interpretation
    assert np.array_equal(after.pixels, before.pixels)
    assert np.array_equal(by_pydicom(encoded.data, frames, uid, photometric), before.pixels)


def _as(frames: Frames, photometric: str) -> PixelDescription:
    return replace(frames.description, photometric_interpretation=photometric, planar_configuration=0)


@pytest.mark.parametrize("uid", LOSSLESS)
@given(
    pixels=st.sampled_from(["u1", "<u2", "<i2"]).flatmap(
        lambda dtype: arrays(dtype, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12))
    )
)
def test_any_samples_survive(uid: str, pixels: NDArray[Any]) -> None:
    """Whatever the numbers, of 8 and 16 bits, with sign and without, down to a single pixel."""
    frames = frames_in(pixels)

    encoded = transcode_frame(frames, 1, uid)

    again = decode_compressed(memoryview(encoded.data), frames.description, transfer_syntax(uid))
    assert np.array_equal(again.pixels, pixels)


@pytest.mark.parametrize("uid", LOSSLESS)
def test_noise_of_all_bits_survives(uid: str) -> None:
    """What cannot be compressed grows, and must still fit."""
    pixels = np.random.default_rng(7).integers(0, 65536, (300, 200)).astype("<u2")
    frames = frames_in(pixels)

    encoded = transcode_frame(frames, 1, uid)

    assert np.array_equal(by_pydicom(encoded.data, frames, uid, "MONOCHROME2"), pixels)


@pytest.mark.parametrize(
    ("uid", "photometric"),
    [(JPEG_LOSSLESS, "RGB"), (RLE, "RGB"), (JPEG_LS, "RGB"), (JPEG_2000, "YBR_RCT"), (HTJ2K, "YBR_RCT")],
)
def test_photometric_interpretation_of_compressed_rgb(uid: str, photometric: str) -> None:
    """PS3.5 8.2.4: RGB through JPEG 2000's reversible transformation is YBR_RCT; other codecs leave RGB alone."""
    pixels = np.arange(8 * 8 * 3, dtype="u1").reshape(8, 8, 3)

    encoded = encode_frame(Decoded(pixels, "RGB"), rgb_frames().description, uid)

    assert encoded.photometric_interpretation == photometric


def rgb_frames(photometric: str = "RGB") -> Frames:
    pixels = np.arange(8 * 8 * 3, dtype="u1").reshape(8, 24)
    return frames_in(pixels, columns=8, SamplesPerPixel=3, PhotometricInterpretation=photometric, PlanarConfiguration=0)


@pytest.mark.parametrize("uid", LOSSLESS)
def test_ybr_full_stays_ybr_full(uid: str) -> None:
    """Colours that are YBR_FULL already are not transformed again, and come back as they were."""
    frames = rgb_frames("YBR_FULL")

    encoded = transcode_frame(frames, 1, uid)

    assert encoded.photometric_interpretation == "YBR_FULL"
    again = decode_compressed(memoryview(encoded.data), frames.description, transfer_syntax(uid))
    assert np.array_equal(again.pixels, decode_frame(frames, 1).pixels)


def test_jpeg_2000_has_the_precision_of_bits_stored() -> None:
    """PS3.5 8.2.4: 12 bits stored are 12 bits in SIZ; with something in the bits above, all 16 are kept."""
    clean, dirty = np.full((4, 4), 0x0FFF, "<u2"), np.full((4, 4), 0xF001, "<u2")

    for pixels, precision in ((clean, 12), (dirty, 16)):
        frame = transcode_frame(frames_in(pixels, BitsStored=12), 1, JPEG_2000).data
        assert frame[42] + 1 == precision  # Ssiz, ISO 15444-1 Table A.9


def test_htj2k_has_the_rpcl_options() -> None:
    """PS3.5 10.18: progression RPCL, a base of 64 pixels at most, and tile-part lengths."""
    frame = bytes(transcode_frame(frames_in(np.zeros((5000, 16), "u1")), 1, HTJ2K).data)

    cod = frame.index(b"\xff\x52")
    progression, levels = frame[cod + 5], frame[cod + 9]
    assert progression == 2
    assert 5000 / 2**levels <= 64
    assert b"\xff\x55" in frame[: frame.index(b"\xff\x90")]


def test_jpeg_lossless_is_first_order_prediction() -> None:
    """JPEG Lossless SV1: process 14 with selection value 1, and all 16 bits."""
    frame = bytes(transcode_frame(frames_in(gradient()), 1, JPEG_LOSSLESS).data)

    sof, sos = frame.index(b"\xff\xc3"), frame.index(b"\xff\xda")
    assert frame[sof + 4] == 16
    assert frame[sos + 7] == 1


def test_jpeg_ls_begins_with_its_frame_header() -> None:
    """No SPIFF header: SOI, then SOF55."""
    assert bytes(transcode_frame(frames_in(gradient()), 1, JPEG_LS).data[:4]) == b"\xff\xd8\xff\xf7"


def test_rle_is_as_annex_g_writes_it() -> None:
    """PS3.5 G.3 to G.5, written out: most significant bytes first, rows on their own, segments even."""
    pixels = np.array([[0x0102, 0x0102, 0x0102], [0x0103, 0x0104, 0x0105]], "<u2")

    frame = encode_rle(pixels)

    high = bytes.fromhex("fe01 fe01")  # each row: 1 three times
    low = bytes.fromhex("fe02 02 03 04 05")  # 2 three times; three literal bytes
    header = np.array([2, 64, 64 + len(high)] + [0] * 13, "<u4").tobytes()
    assert frame == header + high + low


def test_jpeg_baseline_is_made_only_on_request() -> None:
    """Detail is lost only where a quality says how much."""
    frames = frames_in(gradient(dtype="|u1"))

    with pytest.raises(NotAcceptable, match="only where a quality is asked for"):
        transcode_frame(frames, 1, JPEG_BASELINE)


def test_jpeg_baseline_of_colour_is_ybr_full_422() -> None:
    """PS3.5 8.2.1: YCbCr with half the colours; close to what it was."""
    row = np.linspace(0, 255, 64).astype("u1")
    pixels = np.stack([np.tile(row, (32, 1))] * 3, axis=-1)
    frames = frames_in(
        pixels.reshape(32, 192), columns=64, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0
    )

    encoded = transcode_frame(frames, 1, JPEG_BASELINE, quality=95)

    assert encoded.photometric_interpretation == "YBR_FULL_422"
    again = decode_compressed(memoryview(encoded.data), frames.description, transfer_syntax(JPEG_BASELINE))
    assert np.abs(again.pixels.astype(int) - pixels).max() <= 4


# What has no room in a transfer syntax: the samples, the transfer syntax, and the sentence.
REFUSED: dict[str, tuple[Any, dict[str, Any], str, str]] = {
    "one bit": (
        np.zeros((1, 8), "u1"), {"columns": 64, "BitsAllocated": 1}, HTJ2K, "of one bit, or of floating point"
    ),
    "floating point": (np.zeros((2, 2), "<f4"), {}, RLE, "of one bit, or of floating point"),
    "32 bits": (np.zeros((2, 2), "<u4"), {}, HTJ2K, "of 32 bits allocated are not compressed as HTJ2K"),
    "too many bytes": (
        np.zeros((2, 6), "<f8").view("<u8"), {"columns": 2, "SamplesPerPixel": 3}, RLE, "RLE has room for 15 bytes"
    ),
    "signed, lossy": (np.zeros((8, 8), "i1"), {}, JPEG_BASELINE, "unsigned samples of 8 bits only"),
    "palette, lossy": (
        np.zeros((8, 8), "u1"), {"PhotometricInterpretation": "PALETTE COLOR"}, JPEG_BASELINE, "indices of a palette"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("pixels", "attributes", "uid", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_room_is_refused(pixels: NDArray[Any], attributes: dict[str, Any], uid: str, sentence: str) -> None:
    """Never cut to size: refused, with the reason."""
    with pytest.raises(NotAcceptable, match=sentence):
        transcode_frame(frames_in(pixels, **attributes), 1, uid, quality=90)


def test_32_bits_fit_into_rle() -> None:
    """A dose grid: four segments."""
    pixels = np.array([[0, 1], [0x01020304, 0xFFFFFFFF]], "<u4")
    frames = frames_in(pixels)

    assert np.array_equal(by_pydicom(transcode_frame(frames, 1, RLE).data, frames, RLE, "MONOCHROME2"), pixels)


def test_uncompressed_frames_are_only_turned() -> None:
    """From uncompressed to uncompressed no plane and no subsampled colour is touched."""
    row = np.array([[10, 20, 100, 200]], "u1")
    frames = frames_in(
        row, columns=2, SamplesPerPixel=3, PhotometricInterpretation="YBR_FULL_422", PlanarConfiguration=0
    )

    assert bytes(transcode_frame(frames, 1, "1.2.840.10008.1.2.1").data) == row.tobytes()


def test_the_stored_frame_is_given_out_as_it_is() -> None:
    """No decoder sees a frame that is asked for in its own transfer syntax."""
    frames = frames_in([b"no JPEG."], rows=8, columns=8, transfer_syntax=JPEG_BASELINE)

    assert bytes(transcode_frame(frames, 1, JPEG_BASELINE).data) == b"no JPEG."
