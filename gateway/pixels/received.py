"""Pixel data that comes beside its metadata, as a store of DICOM JSON or XML sends it (PS3.18 section 10.5.2).

The media type says what the bytes are, and what it leaves open, the codestream does: its transfer syntax, and those
attributes of the Image Pixel Module that the metadata may leave out (PS3.18 Table 10.5.2-1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import error as StructError
from struct import unpack_from

from gateway.dicom.dataset import Dataset, Element, Tag
from gateway.dicom.encoding import EXPLICIT_LITTLE, Buffer
from gateway.dicom.part10 import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from gateway.dicom.part10_write import header
from gateway.errors import InvalidPart10, InvalidRequest
from gateway.pixels.codestreams import Codestream, check, codestream_of, read_codestream
from gateway.pixels.description import PIXEL_DATA, pixel_description
from gateway.pixels.instance import encapsulated
from gateway.pixels.transfer_syntaxes import (
    HTJ2K,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    JPEG_2000,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    JPEG_LOSSLESS,
    JPEG_LOSSLESS_SV1,
    JPEG_LS_LOSSLESS,
    OCTET_STREAM,
    TransferSyntax,
    syntaxes_of,
)

JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
JPEG_LS_NEAR_LOSSLESS = "1.2.840.10008.1.2.4.81"

_NUMBER_OF_FRAMES = "00280008"
_LOSSY_IMAGE_COMPRESSION = "00282110"


class UnsupportedSyntax(InvalidRequest):
    """Pixel data in a media type or transfer syntax that none is stored in."""


@dataclass(frozen=True, slots=True)
class PixelPart:
    """One part of a body with pixel data: all of them, or one frame. transfer_syntax: the parameter, if any."""

    media_type: str
    transfer_syntax: str | None
    data: memoryview


@dataclass(frozen=True, slots=True)
class ReceivedPixels:
    """Pixel data ready to be written. described: attributes that the metadata left out. elements: as bytes."""

    transfer_syntax_uid: str
    described: Dataset
    elements: dict[Tag, list[Buffer]]


def received_pixels(dataset: Dataset, tag: Tag, parts: Sequence[PixelPart]) -> ReceivedPixels:
    """Return the pixel data of an instance out of its parts, in order. tag: which of the three kinds they are.

    Raises UnsupportedSyntax, and InvalidPart10 where they are not what the metadata describe.
    """
    first = parts[0]
    if any((part.media_type, part.transfer_syntax) != (first.media_type, first.transfer_syntax) for part in parts):
        raise UnsupportedSyntax("the parts of one Pixel Data have several media types")
    if first.media_type == OCTET_STREAM:
        return _native(dataset, tag, parts)
    if tag != PIXEL_DATA:
        raise UnsupportedSyntax("floating point pixels are application/octet-stream")
    return _compressed(dataset, parts)


def _native(dataset: Dataset, tag: Tag, parts: Sequence[PixelPart]) -> ReceivedPixels:
    if parts[0].transfer_syntax not in (None, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN):
        raise UnsupportedSyntax("application/octet-stream is uncompressed and little endian")
    description = pixel_description(dataset, tag)
    length = sum(len(part.data) for part in parts)
    if length < (description.frame_bits * description.number_of_frames + 7) // 8:
        raise InvalidPart10("Pixel Data are shorter than the metadata describe them")
    padding = bytes(length % 2)
    pieces: list[Buffer] = [header(tag, dataset[tag].vr, length + len(padding), EXPLICIT_LITTLE)]
    pieces += [*(part.data for part in parts), padding]
    return ReceivedPixels(EXPLICIT_VR_LITTLE_ENDIAN, {}, {tag: pieces})


def _compressed(dataset: Dataset, parts: Sequence[PixelPart]) -> ReceivedPixels:
    syntaxes = {syntax.uid: syntax for syntax in syntaxes_of(parts[0].media_type)}
    named = parts[0].transfer_syntax
    if not syntaxes or (named is not None and named not in syntaxes):
        raise UnsupportedSyntax("no transfer syntax of that media type is stored here")
    syntax = syntaxes[named] if named else next(iter(syntaxes.values()))
    described: Dataset = {}
    if syntax.family in _FINDERS:
        streams = [read_codestream(syntax.family, part.data) for part in parts]
        syntax = _found(syntax, named, parts[0].data, syntaxes)
        described = _described(dataset, streams[0], syntax, parts[0].data)
        description = pixel_description(dataset | described)
        for stream in streams:
            check(stream, description)
    described |= _frames_counted(dataset, syntax, len(parts))
    frames: list[Buffer] = [codestream_of(part.data) for part in parts]
    return ReceivedPixels(syntax.uid, described, encapsulated(frames))


def _frames_counted(dataset: Dataset, syntax: TransferSyntax, parts: int) -> Dataset:
    """Return Number of Frames where the metadata leave it out. Raises InvalidPart10 where it counts others."""
    element = dataset.get(_NUMBER_OF_FRAMES)
    if element is None or element.empty:
        return {_NUMBER_OF_FRAMES: Element("IS", (str(parts),))} if parts > 1 else {}
    if not syntax.is_video and str(element.values[0]).strip() != str(parts):
        raise InvalidPart10("compressed frames come one in each part, and there are not as many as Number of Frames")
    return {}


# --- What the codestream says


def _found(
    syntax: TransferSyntax, named: str | None, frame: memoryview, all_of_type: dict[str, TransferSyntax]
) -> TransferSyntax:
    """Return the transfer syntax of a codestream: the one named, if it may hold such a codestream."""
    try:
        uid = _FINDERS[syntax.family](frame)
    except (IndexError, KeyError, StructError) as error:
        raise InvalidPart10("a frame is a damaged codestream") from error
    if uid is None or (named is not None and named not in _MAY_BE_CALLED.get(uid, {uid})):
        raise UnsupportedSyntax("the codestream is none of the transfer syntax")
    return all_of_type[named or uid]


# A codestream in the transfer syntax of the key may also be sent in these.
_MAY_BE_CALLED = {
    JPEG_BASELINE: {JPEG_BASELINE, JPEG_EXTENDED},
    JPEG_LOSSLESS_SV1: {JPEG_LOSSLESS_SV1, JPEG_LOSSLESS},
    JPEG_LS_LOSSLESS: {JPEG_LS_LOSSLESS, JPEG_LS_NEAR_LOSSLESS},
    JPEG_2000_LOSSLESS: {JPEG_2000_LOSSLESS, JPEG_2000},
    HTJ2K_LOSSLESS: {HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL, HTJ2K},
}

# ISO 10918-1 Table B.1: the processes DICOM has (PS3.5 A.4.1). Lossless by its selection value, 1 or another.
_PROCESSES = {0xC0: JPEG_BASELINE, 0xC1: JPEG_EXTENDED, 0xC3: JPEG_LOSSLESS}
_SOS = 0xDA


def _segments(frame: memoryview) -> Iterator[tuple[int, int]]:
    """Yield marker and start of contents of a JPEG's segments, up to its first scan."""
    position, marker = 2, 0
    while marker != _SOS:
        marker = frame[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        yield marker, position + 4
        position += 2 + unpack_from(">H", frame, position + 2)[0]


def _jpeg(frame: memoryview) -> str | None:
    segments = dict(_segments(frame))
    uid = next((_PROCESSES[marker] for marker in segments if marker in _PROCESSES), None)
    if uid == JPEG_LOSSLESS and _scan_parameter(frame, segments[_SOS]) == 1:
        return JPEG_LOSSLESS_SV1
    return uid


def _jpeg_ls(frame: memoryview) -> str | None:
    """Return lossless where NEAR is 0 (ISO 14495-1 C.2.3)."""
    near = _scan_parameter(frame, dict(_segments(frame))[_SOS])
    return JPEG_LS_NEAR_LOSSLESS if near else JPEG_LS_LOSSLESS


def _scan_parameter(frame: memoryview, scan: int) -> int:
    """Return the byte after a scan's components: selection value of lossless JPEG, NEAR of JPEG-LS."""
    return frame[scan + 1 + 2 * frame[scan]]


_COD, _SOT = 0x52, 0x90


def _reversible(frame: memoryview) -> bool:
    """Whether a JPEG 2000 codestream has the reversible wavelet (ISO 15444-1 Table A.20)."""
    frame, position = codestream_of(frame), 2
    while frame[position + 1] not in (_COD, _SOT):
        position += 2 + unpack_from(">H", frame, position + 2)[0]
    return frame[position + 1] == _COD and frame[position + 13] == 1


def _jpeg_2000(frame: memoryview) -> str:
    return JPEG_2000_LOSSLESS if _reversible(frame) else JPEG_2000


def _htj2k(frame: memoryview) -> str:
    return HTJ2K_LOSSLESS if _reversible(frame) else HTJ2K


_FINDERS = {"JPEG": _jpeg, "JPEG-LS": _jpeg_ls, "JPEG-2000": _jpeg_2000, "HTJ2K": _htj2k}


def _described(dataset: Dataset, stream: Codestream, syntax: TransferSyntax, frame: memoryview) -> Dataset:
    """Return what the codestream says of the pixels and the metadata do not (PS3.3 C.7.6.3)."""
    numbers = {
        "00280002": stream.samples,
        "00280010": stream.rows,
        "00280011": stream.columns,
        "00280100": 8 if stream.precision <= 8 else 16,
        "00280101": stream.precision,
        "00280102": stream.precision - 1,
        "00280103": int(stream.signed),
    }
    found = {tag: Element("US", (number,)) for tag, number in numbers.items()}
    found["00280004"] = Element("CS", (_photometric_interpretation(stream, syntax, frame),))
    if stream.samples > 1:
        found["00280006"] = Element("US", (0,))
    if syntax.uid in (JPEG_BASELINE, JPEG_EXTENDED):
        found[_LOSSY_IMAGE_COMPRESSION] = Element("CS", ("01",))
    return {tag: element for tag, element in found.items() if tag not in dataset or dataset[tag].empty}


def _photometric_interpretation(stream: Codestream, syntax: TransferSyntax, frame: memoryview) -> str:
    """Return what the samples mean; of lossy JPEG in colour YBR, unless it says RGB (PS3.5 section 8.2.1)."""
    if stream.samples == 1:
        return "MONOCHROME2"
    if stream.transformed:
        return "YBR_RCT" if syntax.lossless else "YBR_ICT"
    if syntax.uid in (JPEG_BASELINE, JPEG_EXTENDED) and not stream.rgb:
        return "YBR_FULL_422" if _subsampled(frame) else "YBR_FULL"
    return "YBR_FULL" if stream.rgb is False else "RGB"


def _subsampled(frame: memoryview) -> bool:
    """Whether a JPEG's first component has more samples than its second (ISO 10918-1 B.2.2)."""
    start = next(start for marker, start in _segments(frame) if marker in _PROCESSES)
    return frame[start + 7] != frame[start + 10]
