"""ImageFrames and GetImageFrame, as HealthImaging documents them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from zlib import crc32

import botocore.session
import numpy as np
import pydicom
import pytest

from gateway.errors import NotFound
from gateway.pixels.decode import decode_compressed
from gateway.pixels.image_frames import (
    content_type,
    image_frame_id,
    image_frames,
    stored_frame,
    stored_transfer_syntax,
)
from tests.pixels.images import WITH_PIXELS, WITH_PIXELS_IDS, frames_in, frames_of, gradient, one_of_each_kind
from tests.samples import sample

SHA256 = "ab" * 32
EXPLICIT = "1.2.840.10008.1.2.1"
HTJ2K = "1.2.840.10008.1.2.4.202"
JPEG_2000 = "1.2.840.10008.1.2.4.90"


def test_the_frame_of_an_image_written_out() -> None:
    """One frame of six 16-bit values: the checksum is the CRC32 of its 12 bytes, little endian."""
    pixels = np.array([[-5, 0, 1], [2, 300, 4]], "<i2")

    (frame,) = image_frames(frames_in(pixels), SHA256)

    assert frame == {
        "ID": image_frame_id(SHA256, 1),
        "PixelDataChecksumFromBaseToFullResolution": [{"Width": 3, "Height": 2, "Checksum": 0x5AD901FF}],
        "MinPixelValue": -5,
        "MaxPixelValue": 300,
        "FrameSizeInBytes": 12,
    }
    assert crc32(bytes.fromhex("fbff 0000 0100 0200 2c01 0400")) == 0x5AD901FF


def test_ids_are_stable_and_distinct() -> None:
    """32 lower-case hex digits, by the file and the number of the frame; AWS's pattern is [0-9a-z]{32}."""
    ids = {image_frame_id(sha, number) for sha in (SHA256, "cd" * 32) for number in (1, 2, 11)}

    assert len(ids) == 6
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)
    assert image_frame_id(SHA256, 1) == "a726311f7cda3d1b305fc11b314d8a77"


# AWS, "Supported transfer syntaxes": what is kept as it came, and what becomes the data store's format.
STORED_AS = [
    ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.50"),
    ("1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.91"),
    ("1.2.840.10008.1.2.4.203", "1.2.840.10008.1.2.4.203"),
    ("1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.100"),
    ("1.2.840.10008.1.2.4.108", "1.2.840.10008.1.2.4.108"),
    ("1.2.840.10008.1.2.4.51", "format"),
    ("1.2.840.10008.1.2.4.57", "format"),
    ("1.2.840.10008.1.2.4.70", "format"),
    ("1.2.840.10008.1.2.4.80", "format"),
    ("1.2.840.10008.1.2.4.81", "format"),
    ("1.2.840.10008.1.2.4.90", "format"),
    ("1.2.840.10008.1.2.4.201", "format"),
    ("1.2.840.10008.1.2.4.202", "format"),
    ("1.2.840.10008.1.2.5", "format"),
]


@pytest.mark.parametrize(("uid", "stored"), STORED_AS)
def test_transfer_syntaxes_are_kept_or_become_the_format(uid: str, stored: str) -> None:
    """Lossy ones and video are not encoded again; everything else is in the data store's lossless format."""
    frames = frames_in([b"...."], rows=8, columns=8, transfer_syntax=uid)

    assert stored_transfer_syntax(frames).uid == (HTJ2K if stored == "format" else stored)
    assert stored_transfer_syntax(frames, "JPEG_2000_LOSSLESS").uid == (JPEG_2000 if stored == "format" else stored)


@pytest.mark.parametrize("path", WITH_PIXELS, ids=WITH_PIXELS_IDS)
def test_every_sample_has_a_stored_transfer_syntax(path: Path) -> None:
    """In the format, as it came, or, for what no format has room for, explicit VR little endian."""
    frames = frames_of(path)

    assert stored_transfer_syntax(frames).uid in {HTJ2K, frames.transfer_syntax.uid, EXPLICIT}


@pytest.mark.parametrize("name", ["liver.dcm", "liver_expb.dcm", "rtdose.dcm", "rtdose_expb.dcm"])
def test_what_the_format_has_no_room_for_is_uncompressed(name: str) -> None:
    """Binary segmentations as AWS keeps them, and doses of 32 bits: little endian bytes, checked as they are stored."""
    frames = frames_of(sample(name))

    first, second, *_ = image_frames(frames, SHA256)

    stored = stored_frame(frames, 2)
    assert (stored.transfer_syntax.uid, stored.content_type) == (EXPLICIT, "application/octet-stream")
    assert second["PixelDataChecksumFromBaseToFullResolution"][0]["Checksum"] == crc32(stored.data)
    assert second["FrameSizeInBytes"] == len(stored.data)
    assert (second["MinPixelValue"], second["MaxPixelValue"]) == (None, None)
    assert first["ID"] != second["ID"]


def test_frames_kept_as_they_are_are_checked_as_they_are() -> None:
    """JPEG Baseline is not decoded: its checksum and size are of its own bytes, and it has no smallest value."""
    frames = frames_of(sample("examples_ybr_color.dcm"))

    frame = image_frames(frames, SHA256)[29]

    stored = bytes(frames.frame(30))
    assert frame["PixelDataChecksumFromBaseToFullResolution"] == [
        {"Width": 320, "Height": 240, "Checksum": crc32(stored)}
    ]
    assert (frame["MinPixelValue"], frame["MaxPixelValue"], frame["FrameSizeInBytes"]) == (None, None, len(stored))
    assert bytes(stored_frame(frames, 30).data) == stored
    assert stored_frame(frames, 30).content_type == "image/jpeg"


@pytest.mark.parametrize("storage_format", ["HTJ2K", "JPEG_2000_LOSSLESS"])
@pytest.mark.parametrize("path", one_of_each_kind(), ids=lambda path: path.name)
def test_the_checksum_is_of_what_a_client_decodes(path: Path, storage_format: Any) -> None:
    """Whoever decodes the frame that GetImageFrame sends, and takes its CRC32, has the metadata's checksum."""
    frames = frames_of(path)
    if stored_transfer_syntax(frames, storage_format).uid not in (HTJ2K, JPEG_2000):
        pytest.skip("kept as it is")

    stored = stored_frame(frames, 1, storage_format)

    decoded = decode_compressed(memoryview(stored.data), frames.description, stored.transfer_syntax).pixels
    frame = image_frames(frames, SHA256, storage_format)[0]
    assert frame["PixelDataChecksumFromBaseToFullResolution"][-1]["Checksum"] == crc32(decoded.tobytes())
    assert frame["FrameSizeInBytes"] == decoded.nbytes


def test_smallest_and_largest_values_are_pydicoms() -> None:
    """Of stored values, not rescaled ones."""
    array = pydicom.dcmread(sample("CT_small.dcm")).pixel_array

    (frame,) = image_frames(frames_of(sample("CT_small.dcm")), SHA256)

    assert (frame["MinPixelValue"], frame["MaxPixelValue"]) == (array.min(), array.max())


def test_planes_are_checked_pixel_by_pixel() -> None:
    """Planar Configuration 1 comes back as pixels from any decoder, and so is checked as pixels."""
    frames = frames_of(sample("color-pl.dcm"))

    (frame,) = image_frames(frames, SHA256)

    interleaved = pydicom.dcmread(sample("color-pl.dcm")).pixel_array.tobytes()
    assert frame["PixelDataChecksumFromBaseToFullResolution"][0]["Checksum"] == crc32(interleaved)


def test_a_frame_that_is_not_there() -> None:
    """Number 2 of 1."""
    with pytest.raises(NotFound, match="frame 2 does not exist"):
        stored_frame(frames_in(gradient()), 2)


DOCUMENTED = (
    botocore.session.get_session()
    .get_service_model("medical-imaging")
    .operation_model("GetImageFrame")
    .output_shape.members["contentType"]
    .documentation
)


def documented_content_types() -> list[tuple[str, str]]:
    """Return transfer syntax and content type from the sentences of AWS's own model."""
    types: list[tuple[str, str]] = []
    for sentence in re.findall(r"<li>(.*?)</li>", DOCUMENTED, re.DOTALL):
        *uids, media_type = re.findall(r"<code>([\w./-]+/[\w.-]+|1\.2\.840[\d.]+)</code>", sentence)
        types += [(uid, media_type) for uid in uids if uid != "contentType"]
    return types


@pytest.mark.parametrize(("uid", "media_type"), documented_content_types())
def test_content_types_are_those_of_the_model(uid: str, media_type: str) -> None:
    """GetImageFrame's contentType for each transfer syntax that botocore's model names."""
    assert content_type(uid) == media_type


def test_the_model_names_transfer_syntaxes() -> None:
    """So that the test above cannot find none."""
    assert len(documented_content_types()) == 22


def test_frames_of_an_instance_are_in_order() -> None:
    """As many as there are, the first first."""
    frames = frames_of(sample("emri_small.dcm"))

    ids = [frame["ID"] for frame in image_frames(frames, SHA256)]

    assert ids == [image_frame_id(SHA256, number) for number in range(1, 11)]
