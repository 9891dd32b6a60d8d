"""A stored frame in another transfer syntax.

From uncompressed to uncompressed only the byte order changes: planes stay planes, and YBR_FULL_422 stays what it is.
Everything else is decoded and encoded.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.dicom.part10 import EXPLICIT_VR_LITTLE_ENDIAN
from gateway.pixels.decode import decode_frame
from gateway.pixels.encode import encode_frame
from gateway.pixels.frames import Frames
from gateway.pixels.transfer_syntaxes import TransferSyntax, can_encode, transfer_syntax


@dataclass(frozen=True, slots=True)
class TranscodedFrame:
    """A frame as bytes, without padding, in a transfer syntax.

    photometric_interpretation, planar_configuration: what holds for these bytes, which the metadata of the stored
    instance may say otherwise.
    """

    data: bytes | memoryview
    transfer_syntax: TransferSyntax
    photometric_interpretation: str
    planar_configuration: int = 0


def transcode_frame(frames: Frames, number: int, uid: str, *, quality: int | None = None) -> TranscodedFrame:
    """Return a frame in the transfer syntax of a UID; as it is stored where that is the one.

    quality: 1 to 100; JPEG Baseline is lossy, and made of anything else only where a quality is given.
    Raises NotFound for a number that no frame has, InvalidPart10 for a damaged frame, NotAcceptable for what cannot be
    read or written in this way.
    """
    stored, description = frames.transfer_syntax, frames.description
    if uid == stored.uid:
        data, syntax = frames.frame(number), stored
    elif uid == EXPLICIT_VR_LITTLE_ENDIAN and stored.family == "native":
        data, syntax = frames.frame_little_endian(number), transfer_syntax(uid)
    else:
        can_encode(uid)
        encoded = encode_frame(decode_frame(frames, number), description, uid, quality=quality)
        return TranscodedFrame(encoded.data, transfer_syntax(uid), encoded.photometric_interpretation)
    return TranscodedFrame(data, syntax, description.photometric_interpretation, description.planar_configuration)
