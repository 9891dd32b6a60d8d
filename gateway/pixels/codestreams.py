"""What a compressed frame says of itself, read before any decoder is let near it.

A codestream whose size is not the dataset's is refused: decoders allocate what their stream says, and a kilobyte can
say 65535 x 65535. The markers are ISO 10918-1 (JPEG), 14495-1 (JPEG-LS), 15444-1 and 15444-15 (JPEG 2000, HTJ2K).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import error as StructError
from struct import unpack_from

from gateway.errors import InvalidPart10, NotAcceptable
from gateway.pixels.description import PixelDescription


@dataclass(frozen=True, slots=True)
class Codestream:
    """The head of a compressed frame. precision: bits of a sample.

    rgb: what JPEG says of its colours, None where it leaves that to others. transformed: whether JPEG 2000 turned RGB
    into YBR_RCT or YBR_ICT, which its decoders undo.
    """

    rows: int
    columns: int
    samples: int
    precision: int
    signed: bool = False
    rgb: bool | None = None
    transformed: bool = False


def read_codestream(family: str, frame: memoryview) -> Codestream:
    """Return the head of a frame of JPEG, JPEG-LS, JPEG 2000 or HTJ2K. Raises InvalidPart10, NotAcceptable."""
    try:
        return _jpeg(frame) if family in ("JPEG", "JPEG-LS") else _jpeg_2000(frame)
    except (StructError, IndexError) as error:
        raise InvalidPart10(f"a frame is no {family} codestream") from error


def check(stream: Codestream, description: PixelDescription) -> None:
    """Raise InvalidPart10 for a codestream of another size than the dataset describes."""
    if (stream.rows, stream.columns) != (description.rows, description.columns):
        raise InvalidPart10("a frame is compressed with another size than Rows and Columns say")
    if stream.samples != description.samples_per_pixel:
        raise InvalidPart10("a frame is compressed with other samples than Samples per Pixel says")
    if not 1 <= stream.precision <= description.bits_allocated:
        raise InvalidPart10("a frame is compressed with more bits than Bits Allocated says")


# --- JPEG and JPEG-LS -------------------------------------------------------------------------------------------------

# SOF0 to SOF15 without DHT, JPG and DAC, and SOF55, which is JPEG-LS.
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_SOS, _APP0, _APP14 = 0xDA, 0xE0, 0xEE
_COMPONENTS_RGB = (b"RGB", b"rgb")
_ADOBE_LENGTH = 12  # the last byte is the transformation; there are segments without it


def _jpeg(frame: memoryview) -> Codestream:
    """Return the head of a JPEG or JPEG-LS codestream.

    Colours go by what is said most plainly: components called R, G and B, then Adobe's marker, then JFIF's, which
    knows YCbCr alone.
    """
    header: tuple[int, int, int, int] | None = None
    names, adobe, jfif = b"", None, False
    for marker, segment in _jpeg_segments(frame):
        if marker in _FRAME_HEADERS and header is None:
            header = unpack_from(">BHHB", segment)
            names = segment[6 : 6 + 3 * header[3] : 3]
        elif marker == _APP14 and segment.startswith(b"Adobe") and len(segment) >= _ADOBE_LENGTH:
            adobe = segment[_ADOBE_LENGTH - 1]
        elif marker == _APP0 and segment.startswith(b"JFIF\0"):
            jfif = True
    if header is None:
        raise InvalidPart10("a frame is no JPEG codestream")
    precision, rows, columns, samples = header
    rgb = True if names in _COMPONENTS_RGB else adobe == 0 if adobe is not None else False if jfif else None
    return Codestream(rows, columns, samples, precision, rgb=rgb)


def _jpeg_segments(frame: memoryview) -> Iterator[tuple[int, bytes]]:
    """Yield marker and contents of the segments before the first scan. Raises InvalidPart10, IndexError, struct.error.

    The end is looked for too: libjpeg fills up what is missing with grey, and that is no image of a patient.
    """
    if bytes(frame[:2]) != b"\xff\xd8":
        raise InvalidPart10("a frame is no JPEG codestream")
    position, marker = 2, 0
    while marker != _SOS:
        if frame[position] != 0xFF:
            raise InvalidPart10("a frame is a damaged JPEG codestream")
        marker = frame[position + 1]
        if marker == 0xFF:  # a fill byte, of which there may be any number (ISO 10918-1 B.1.1.2)
            position += 1
            continue
        (length,) = unpack_from(">H", frame, position + 2)
        yield marker, bytes(frame[position + 4 : position + 2 + length])
        position += 2 + length
    if bytes(frame[position:]).rfind(b"\xff\xd9") < 0:
        raise InvalidPart10("a frame is cut: its JPEG codestream has no end")


# --- JPEG 2000 and HTJ2K ----------------------------------------------------------------------------------------------

_SIZ, _COD, _SOT = 0x51, 0x52, 0x90
_MAX_COMPONENTS = 4


def _jpeg_2000(frame: memoryview) -> Codestream:
    """Return the head of a JPEG 2000 codestream; where it is wrapped in a JP2 file, of the one in there."""
    frame = codestream_of(frame)
    if bytes(frame[:4]) != b"\xff\x4f\xff\x51":
        raise InvalidPart10("a frame is no JPEG 2000 codestream")
    size: Codestream | None = None
    position = 2
    while frame[position] == 0xFF and frame[position + 1] != _SOT:
        (length,) = unpack_from(">H", frame, position + 2)
        if frame[position + 1] == _SIZ:
            size = _image_size(frame, position + 4)
        elif frame[position + 1] == _COD and size:
            size = Codestream(
                size.rows, size.columns, size.samples, size.precision, size.signed, transformed=frame[position + 8] == 1
            )
        position += 2 + length
    if size is None:
        raise InvalidPart10("a frame is a damaged JPEG 2000 codestream")
    return size


def _image_size(frame: memoryview, start: int) -> Codestream:
    """Return what the SIZ segment says (ISO 15444-1 A.5.1). Raises NotAcceptable for what DICOM has no use for."""
    _, right, bottom, left, top, _, _, _, _, samples = unpack_from(">HLLLLLLLLH", frame, start)
    components = [unpack_from("BBB", frame, start + 36 + 3 * n) for n in range(min(samples, _MAX_COMPONENTS))]
    depth, across, down = components[0]
    if any(component != (depth, 1, 1) for component in components) or (across, down) != (1, 1):
        raise NotAcceptable("JPEG 2000 with components of different sizes or depths is not decoded here")
    return Codestream(bottom - top, right - left, samples, (depth & 0x7F) + 1, signed=bool(depth & 0x80))


_JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  "


def codestream_of(frame: memoryview) -> memoryview:
    """Return a JPEG 2000 frame's codestream, which PS3.5 A.4.4 wants bare and some writers leave in a JP2 file."""
    if bytes(frame[:8]) != _JP2_SIGNATURE:
        return frame
    start = bytes(frame[:65536]).find(b"jp2c")
    return frame[start + 4 :] if start >= 0 else frame
