"""Pixel data that comes beside its metadata: what a codestream says of itself, against what real files say of it."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from pydicom.encaps import generate_frames

from gateway.dicom.dataset import Dataset
from gateway.dicom.part10 import read_part10
from gateway.errors import InvalidPart10
from gateway.pixels.received import PixelPart, UnsupportedSyntax, received_pixels
from gateway.pixels.transfer_syntaxes import transfer_syntax
from tests.samples import SAMPLES, sample, sample_id

PIXEL_DATA = "7FE00010"
SIZE = "00280002 00280010 00280011 00280100".split()
DESCRIPTION = [*SIZE, *"00280101 00280102 00280103 00280004 00280006".split()]
FAMILIES = {"JPEG", "JPEG-LS", "JPEG-2000", "HTJ2K"}

# Without pixels; with a codestream that is random bytes; and one whose dataset is not in the encoding it says.
NO_IMAGES = {"UN_sequence.dcm", "JPEG2000-embedded-sequence-delimiter.dcm", "SC_rgb_jpeg.dcm"}

# Sent as 1.2.840.10008.1.2.4.91, which may be lossy, with the wavelet of the lossless one: image/jp2 means the latter.
REVERSIBLE = {"693_J2KI.dcm", "SC_rgb_gdcm_KY.dcm"}


def read(path: Path) -> tuple[Dataset, str]:
    part10 = read_part10(path.read_bytes())
    return part10.dataset, part10.transfer_syntax_uid


COMPRESSED = [
    path for path in SAMPLES if path.name not in NO_IMAGES and transfer_syntax(read(path)[1]).family in FAMILIES
]


def parts(path: Path, named: str | None = None) -> list[PixelPart]:
    """Return a file's frames as a store of metadata would send them."""
    dataset = pydicom.dcmread(path)
    media_type = transfer_syntax(dataset.file_meta.TransferSyntaxUID).media_type
    count = int(dataset.get("NumberOfFrames") or 1)
    frames = generate_frames(dataset.PixelData, number_of_frames=count)
    return [PixelPart(media_type, named, memoryview(frame)) for frame in frames]


@pytest.mark.parametrize("path", COMPRESSED, ids=sample_id)
def test_a_codestream_says_what_its_dataset_said(path: Path) -> None:
    """S4: size, samples, bits allocated and transfer syntax of real images, without a word of the metadata."""
    dataset, uid = read(path)
    bare = {tag: element for tag, element in dataset.items() if tag not in DESCRIPTION}

    found = received_pixels(bare, PIXEL_DATA, parts(path))

    assert {tag: found.described[tag].values for tag in SIZE} == {tag: dataset[tag].values for tag in SIZE}
    assert found.transfer_syntax_uid == ("1.2.840.10008.1.2.4.90" if path.name in REVERSIBLE else uid)


@pytest.mark.parametrize("path", COMPRESSED, ids=sample_id)
def test_what_the_metadata_say_is_left_as_it_is(path: Path) -> None:
    """S4: the codestream fills gaps; with the transfer syntax named, nothing at all is made up."""
    dataset, uid = read(path)

    found = received_pixels(dataset, PIXEL_DATA, parts(path, uid))

    assert not found.described.keys() & dataset.keys() and found.transfer_syntax_uid == uid


def test_a_frame_that_is_cut_is_refused() -> None:
    """S4: a head without a scan, wherever it ends, is no image."""
    path = sample("SC_rgb_jpeg_dcmtk.dcm")
    dataset, _ = read(path)
    [whole] = parts(path)

    for length in range(0, 1000, 7):
        with pytest.raises(InvalidPart10):
            received_pixels(dataset, PIXEL_DATA, [PixelPart(whole.media_type, None, whole.data[:length])])


def test_parts_of_several_media_types_are_refused() -> None:
    """S3: a file has one transfer syntax."""
    path = sample("SC_rgb_rle_2frame.dcm")
    dataset, _ = read(path)
    first, second = parts(path)

    with pytest.raises(UnsupportedSyntax):
        received_pixels(dataset, PIXEL_DATA, [first, PixelPart("image/jpeg", None, second.data)])


def test_floating_point_pixels_are_octets() -> None:
    """S3: PS3.18 Table 8.7.3-4 has no compressed ones."""
    with pytest.raises(UnsupportedSyntax):
        received_pixels({}, "7FE00008", [PixelPart("image/jpeg", None, memoryview(b""))])
