"""ImageFrames: what HealthImaging's metadata say of each frame, and what its GetImageFrame answers with.

A data store keeps frames in one lossless format, HTJ2K or JPEG 2000. Some transfer syntaxes are kept as they came,
and so is what the format has no room for; those frames, and only those, are checked by the bytes that are stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, TypeAlias, TypedDict
from zlib import crc32

from gateway.dicom.part10 import EXPLICIT_VR_LITTLE_ENDIAN
from gateway.pixels.decode import decode_frame
from gateway.pixels.description import PixelDescription, stored_values
from gateway.pixels.frames import Frames, frame_numbers
from gateway.pixels.transcode import transcode_frame
from gateway.pixels.transfer_syntaxes import (
    HTJ2K_LOSSLESS_RPCL,
    JPEG_2000_LOSSLESS,
    TRANSFER_SYNTAXES,
    TransferSyntax,
    transfer_syntax,
)

# CreateDatastore's losslessStorageFormat.
StorageFormat: TypeAlias = Literal["HTJ2K", "JPEG_2000_LOSSLESS"]

_FORMAT_UIDS: dict[StorageFormat, str] = {
    "HTJ2K": HTJ2K_LOSSLESS_RPCL,
    "JPEG_2000_LOSSLESS": JPEG_2000_LOSSLESS,
}

# HealthImaging's list of transfer syntaxes that are not transcoded: lossy ones and video. Binary segmentations, which
# it keeps as explicit VR little endian, are told by their bits.
KEPT_AS_THEY_ARE = frozenset(
    {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.203", "1.2.840.10008.1.2.4.112"}
    | {syntax.uid for syntax in TRANSFER_SYNTAXES.values() if syntax.is_video}
)

# botocore's medical-imaging model, GetImageFrameResponse.contentType. What AWS has no line for is served by its media
# type in DICOMweb; "video/H256" is AWS's spelling.
_CONTENT_TYPES = {
    "1.2.840.10008.1.2.4.90": "image/j2c",
    "1.2.840.10008.1.2.4.91": "image/j2c",
    "1.2.840.10008.1.2.4.107": "video/H256",
    "1.2.840.10008.1.2.4.108": "video/H256",
    "1.2.840.10008.1.2.4.202": "image/jph",
    "1.2.840.10008.1.2.4.203": "image/jphc",
}


class Checksum(TypedDict):
    """A member of PixelDataChecksumFromBaseToFullResolution."""

    Width: int
    Height: int
    Checksum: int


class ImageFrame(TypedDict):
    """A member of ImageFrames, as the metadata document has it."""

    ID: str
    PixelDataChecksumFromBaseToFullResolution: list[Checksum]
    MinPixelValue: int | float | None
    MaxPixelValue: int | float | None
    FrameSizeInBytes: int


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """What GetImageFrame answers with."""

    data: bytes | memoryview
    transfer_syntax: TransferSyntax

    @property
    def content_type(self) -> str:
        return content_type(self.transfer_syntax.uid)


def stored_transfer_syntax(frames: Frames, storage_format: StorageFormat = "HTJ2K") -> TransferSyntax:
    """Return the transfer syntax that a data store of this format keeps the frames of an instance in.

    Uncompressed pixels of 1, 32 and 64 bits and floating point ones, which no format has room for, are explicit VR
    little endian. Compressed ones that we cannot decode, or that the format has no room for, stay what they are.
    """
    stored, description = frames.transfer_syntax, frames.description
    if stored.uid in KEPT_AS_THEY_ARE or not stored.decodes:
        return stored
    if _has_room(description):
        return transfer_syntax(_FORMAT_UIDS[storage_format])
    return transfer_syntax(EXPLICIT_VR_LITTLE_ENDIAN) if stored.family == "native" else stored


def _has_room(description: PixelDescription) -> bool:
    return (
        not description.is_float and description.bits_allocated in (8, 16) and description.samples_per_pixel in (1, 3)
    )


def image_frame_id(object_sha256: str, number: int) -> str:
    """Return a frame's ID: 32 hex digits that depend on the stored file's SHA-256 and the frame number alone."""
    return sha256(f"{object_sha256}/{number}".encode("ascii")).hexdigest()[:32]


def image_frames(frames: Frames, object_sha256: str, storage_format: StorageFormat = "HTJ2K") -> list[ImageFrame]:
    """Return the ImageFrames of an instance. object_sha256: of its PS3.10 file, in hex.

    Every frame that the format changes is decoded for it. Raises InvalidPart10 for a damaged frame, NotAcceptable for
    one that is not decoded here.
    """
    stored = stored_transfer_syntax(frames, storage_format)
    return [_image_frame(frames, number, object_sha256, stored) for number in frame_numbers(frames)]


def _image_frame(frames: Frames, number: int, object_sha256: str, stored: TransferSyntax) -> ImageFrame:
    """Return one of them. Where the frame is kept as it is, checksum and size are of its bytes, and it is not decoded.

    Otherwise they are of the decoded frame: little endian, pixel by pixel, and 8 bits or 16 to a sample.
    """
    low: int | float | None = None
    high: int | float | None = None
    if stored.uid in _FORMAT_UIDS.values():
        pixels = decode_frame(frames, number).pixels
        values = stored_values(pixels, frames.description)
        low, high = values.min().item(), values.max().item()
        data: bytes | memoryview = pixels.tobytes()
    else:
        data = transcode_frame(frames, number, stored.uid).data
    description = frames.description
    checksum = Checksum(Width=description.columns, Height=description.rows, Checksum=crc32(data))
    return ImageFrame(
        ID=image_frame_id(object_sha256, number),
        PixelDataChecksumFromBaseToFullResolution=[checksum],
        MinPixelValue=low,
        MaxPixelValue=high,
        FrameSizeInBytes=len(data),
    )


def stored_frame(frames: Frames, number: int, storage_format: StorageFormat = "HTJ2K") -> StoredFrame:
    """Return a frame as a data store of this format keeps it. Raises NotFound, InvalidPart10, NotAcceptable."""
    stored = stored_transfer_syntax(frames, storage_format)
    return StoredFrame(transcode_frame(frames, number, stored.uid).data, stored)


def content_type(uid: str) -> str:
    """Return GetImageFrame's contentType for the transfer syntax a frame is stored in."""
    return _CONTENT_TYPES.get(uid, transfer_syntax(uid).media_type)
