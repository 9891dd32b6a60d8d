"""Images for the tests: the sample files that have pixels, and small ones made with pydicom, an independent writer."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from gateway.dicom.part10 import read_part10
from gateway.pixels.decode import decode_frame
from gateway.pixels.description import PixelDescription
from gateway.pixels.frames import Frames, read_frames
from tests.samples import SAMPLES, sample_id

# Samples with Pixel Data that no frame can be read from, or decoded, and why.
UNREADABLE = {
    "badVR.dcm": "Number of Frames is '1A'",
    "nested_priv_SQ.dcm": "no Rows: two bytes called Pixel Data",
}
UNDECODABLE = {
    "JPEG2000-embedded-sequence-delimiter.dcm": "its codestream was overwritten, in the field that says the size",
}


def _has_pixels(path: Path) -> bool:
    return path.name not in UNREADABLE and bool(read_part10(path.read_bytes()).pixel_data)


WITH_PIXELS = [path for path in SAMPLES if _has_pixels(path)]
DECODABLE = [path for path in WITH_PIXELS if path.name not in UNDECODABLE]
WITH_PIXELS_IDS = [sample_id(path) for path in WITH_PIXELS]
DECODABLE_IDS = [sample_id(path) for path in DECODABLE]


@cache
def frames_of(path: Path) -> Frames:
    return read_frames(path.read_bytes())


def _kind(path: Path) -> tuple[object, ...]:
    description: PixelDescription = frames_of(path).description
    small = description.rows * description.columns <= 512 * 512
    decoded = decode_frame(frames_of(path), 1)
    signs = bool((decoded.pixels < 0).any())
    return small, decoded.pixels.dtype, description.bits_stored, decoded.photometric_interpretation, signs


def one_of_each_kind() -> list[Path]:
    """Return small samples that differ in type, bits stored, colours or signs: one for each combination."""
    kinds = {_kind(path): path for path in reversed(DECODABLE)}
    return [path for kind, path in kinds.items() if kind[0]]


def has_room(description: PixelDescription, uid: str) -> bool:
    """Whether a lossless transfer syntax has room for samples: docs/pixels.md, "Written"."""
    wide = {"1.2.840.10008.1.2.1": {1, 8, 16, 32, 64}, "1.2.840.10008.1.2.5": {8, 16, 32, 64}}
    return description.bits_allocated in wide.get(uid, {8, 16})


def instance_of(
    pixels: NDArray[Any] | list[bytes],
    *,
    rows: int = 0,
    columns: int = 0,
    transfer_syntax: str = ExplicitVRLittleEndian,
    offset_table: bool = True,
    fragments: int = 1,
    vr: str = "",
    **attributes: object,
) -> bytes:
    """Return an image as a PS3.10 file: an array (rows x columns, with frames before, samples after), or frames.

    attributes: more of the dataset, or instead of what the array says, by keyword. vr: of native Pixel Data.
    """
    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = UID("1.2.3.4")
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    if isinstance(pixels, list):
        dataset.Rows, dataset.Columns, dataset.NumberOfFrames = rows, columns, len(pixels)
        dataset.BitsAllocated, dataset.PixelRepresentation = 8, 0
        value = encapsulate(pixels, has_bot=offset_table, fragments_per_frame=fragments)
    else:
        dataset.Rows, dataset.Columns = rows or pixels.shape[0], columns or pixels.shape[1]
        dataset.BitsAllocated = 8 * pixels.dtype.itemsize
        dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
        value = pixels.tobytes()
    for keyword, attribute in attributes.items():
        setattr(dataset, keyword, attribute)
    dataset.BitsStored = attributes.get("BitsStored", dataset.BitsAllocated)
    dataset.HighBit = dataset.BitsStored - 1
    if not isinstance(pixels, list) and pixels.dtype.kind == "f":
        setattr(dataset, "FloatPixelData" if pixels.dtype.itemsize == 4 else "DoubleFloatPixelData", value)
    else:
        dataset.PixelData = value + bytes(len(value) % 2)
        wide = dataset.BitsAllocated > 8 and not isinstance(pixels, list)
        dataset["PixelData"].VR = vr or ("OW" if wide else "OB")
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def frames_in(pixels: NDArray[Any] | list[bytes], **attributes: Any) -> Frames:
    """Return the frames of an image made by `instance_of`."""
    return read_frames(instance_of(pixels, **attributes))


def gradient(rows: int = 16, columns: int = 16, dtype: str = "<i2") -> NDArray[Any]:
    """Return rising numbers, from below zero where the type has a sign."""
    start = -rows * columns // 2 if dtype[-2] == "i" else 0
    return (np.arange(rows * columns).reshape(rows, columns) + start).astype(dtype)
