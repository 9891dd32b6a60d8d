"""The transfer syntaxes, what their frames are called over HTTP, and what we can do with them.

docs/pixels.md shows this table, and a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from gateway.errors import NotAcceptable

Family: TypeAlias = Literal[
    "native", "RLE", "JPEG", "JPEG-LS", "JPEG-2000", "JPEG-2000-2", "HTJ2K", "JPEG-XL", "MPEG-2", "MPEG-4", "unknown"
]

GE_PRIVATE_BIG_ENDIAN_PIXELS = "1.2.840.113619.5.2"
RLE_LOSSLESS = "1.2.840.10008.1.2.5"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"
JPEG_LS_LOSSLESS = "1.2.840.10008.1.2.4.80"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
JPEG_2000 = "1.2.840.10008.1.2.4.91"
HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
HTJ2K_LOSSLESS_RPCL = "1.2.840.10008.1.2.4.202"
HTJ2K = "1.2.840.10008.1.2.4.203"

OCTET_STREAM = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """One transfer syntax.

    media_types: of a frame in it, the standard's first, then names that clients use for the same. lossless: whether
    every encoder of it is. decodes and encodes: whether we read and write such frames; what is lossy is written only
    on request, and for a single frame.
    """

    uid: str
    name: str
    family: Family
    media_types: tuple[str, ...]
    lossless: bool
    decodes: bool
    encodes: bool

    @property
    def media_type(self) -> str:
        return self.media_types[0]

    @property
    def is_video(self) -> bool:
        return self.family in ("MPEG-2", "MPEG-4")


# PS3.18 Table 8.7.3-4 (uncompressed) and 8.7.3-5 (compressed). AWS says image/jph for HTJ2K, which is the file format,
# where the standard says image/jphc, which is the codestream; image/j2c is the same for JPEG 2000. The names of RLE and
# JPEG-LS once began with "x-", and viewers in JavaScript call HTJ2K image/jhc.
_MEDIA_TYPES: dict[Family, tuple[str, ...]] = {
    "native": (OCTET_STREAM,),
    "RLE": ("image/dicom-rle", "image/x-dicom-rle"),
    "JPEG": ("image/jpeg",),
    "JPEG-LS": ("image/jls", "image/x-jls"),
    "JPEG-2000": ("image/jp2", "image/j2c"),
    "JPEG-2000-2": ("image/jpx",),
    "HTJ2K": ("image/jphc", "image/jph", "image/jhc"),
    "JPEG-XL": ("image/jxl",),
    "MPEG-2": ("video/mpeg",),
    "MPEG-4": ("video/mp4",),
    "unknown": (OCTET_STREAM,),
}

# PS3.6 Table A-1, in the order of PS3.18's tables: of a media type, the first is meant when none is named.
_TABLE = """
1.2.840.10008.1.2.1        native       lossless  reads  writes  Explicit VR Little Endian
1.2.840.10008.1.2          native       lossless  reads  -       Implicit VR Little Endian
1.2.840.10008.1.2.1.98     native       lossless  reads  -       Encapsulated Uncompressed Explicit VR Little Endian
1.2.840.10008.1.2.1.99     native       lossless  reads  -       Deflated Explicit VR Little Endian
1.2.840.10008.1.2.2        native       lossless  reads  -       Explicit VR Big Endian
1.2.840.113619.5.2         native       lossless  reads  -       GE Private Implicit VR with Big Endian Pixels
1.2.840.10008.1.2.4.70     JPEG         lossless  reads  writes  JPEG Lossless, Selection Value 1
1.2.840.10008.1.2.4.50     JPEG         lossy     reads  writes  JPEG Baseline (Process 1)
1.2.840.10008.1.2.4.51     JPEG         lossy     reads  -       JPEG Extended (Process 2 & 4)
1.2.840.10008.1.2.4.57     JPEG         lossless  reads  writes  JPEG Lossless (Process 14)
1.2.840.10008.1.2.5        RLE          lossless  reads  writes  RLE Lossless
1.2.840.10008.1.2.4.80     JPEG-LS      lossless  reads  writes  JPEG-LS Lossless
1.2.840.10008.1.2.4.81     JPEG-LS      lossy     reads  -       JPEG-LS Near-lossless
1.2.840.10008.1.2.4.90     JPEG-2000    lossless  reads  writes  JPEG 2000 (Lossless Only)
1.2.840.10008.1.2.4.91     JPEG-2000    lossy     reads  -       JPEG 2000
1.2.840.10008.1.2.4.92     JPEG-2000-2  lossless  -      -       JPEG 2000 Part 2 Multi-component (Lossless Only)
1.2.840.10008.1.2.4.93     JPEG-2000-2  lossy     -      -       JPEG 2000 Part 2 Multi-component
1.2.840.10008.1.2.4.201    HTJ2K        lossless  reads  writes  HTJ2K (Lossless Only)
1.2.840.10008.1.2.4.202    HTJ2K        lossless  reads  writes  HTJ2K with RPCL Options (Lossless Only)
1.2.840.10008.1.2.4.203    HTJ2K        lossy     reads  -       HTJ2K
1.2.840.10008.1.2.4.110    JPEG-XL      lossless  -      -       JPEG XL Lossless
1.2.840.10008.1.2.4.111    JPEG-XL      lossy     -      -       JPEG XL JPEG Recompression
1.2.840.10008.1.2.4.112    JPEG-XL      lossy     -      -       JPEG XL
1.2.840.10008.1.2.4.100    MPEG-2       lossy     -      -       MPEG2 Main Profile, Main Level
1.2.840.10008.1.2.4.100.1  MPEG-2       lossy     -      -       MPEG2 Main Profile, Main Level, fragmentable
1.2.840.10008.1.2.4.101    MPEG-2       lossy     -      -       MPEG2 Main Profile, High Level
1.2.840.10008.1.2.4.101.1  MPEG-2       lossy     -      -       MPEG2 Main Profile, High Level, fragmentable
1.2.840.10008.1.2.4.102    MPEG-4       lossy     -      -       H.264 High Profile, Level 4.1
1.2.840.10008.1.2.4.102.1  MPEG-4       lossy     -      -       H.264 High Profile, Level 4.1, fragmentable
1.2.840.10008.1.2.4.103    MPEG-4       lossy     -      -       H.264 BD High Profile, Level 4.1
1.2.840.10008.1.2.4.103.1  MPEG-4       lossy     -      -       H.264 BD High Profile, Level 4.1, fragmentable
1.2.840.10008.1.2.4.104    MPEG-4       lossy     -      -       H.264 High Profile, Level 4.2, 2D
1.2.840.10008.1.2.4.104.1  MPEG-4       lossy     -      -       H.264 High Profile, Level 4.2, 2D, fragmentable
1.2.840.10008.1.2.4.105    MPEG-4       lossy     -      -       H.264 High Profile, Level 4.2, 3D
1.2.840.10008.1.2.4.105.1  MPEG-4       lossy     -      -       H.264 High Profile, Level 4.2, 3D, fragmentable
1.2.840.10008.1.2.4.106    MPEG-4       lossy     -      -       H.264 Stereo High Profile, Level 4.2
1.2.840.10008.1.2.4.106.1  MPEG-4       lossy     -      -       H.264 Stereo High Profile, Level 4.2, fragmentable
1.2.840.10008.1.2.4.107    MPEG-4       lossy     -      -       H.265 Main Profile, Level 5.1
1.2.840.10008.1.2.4.108    MPEG-4       lossy     -      -       H.265 Main 10 Profile, Level 5.1
"""


def _line(line: str) -> TransferSyntax:
    uid, family, kind, decodes, encodes, name = line.split(maxsplit=5)
    media_types = _MEDIA_TYPES[cast(Family, family)]  # the table's word is one of Family, or this is a KeyError
    return TransferSyntax(
        uid, name, cast(Family, family), media_types, kind == "lossless", decodes == "reads", encodes == "writes"
    )


TRANSFER_SYNTAXES = {syntax.uid: syntax for syntax in map(_line, _TABLE.strip().splitlines())}


def transfer_syntax(uid: str) -> TransferSyntax:
    """Return the line of the table for a UID.

    What is not in it is kept and served as it came, and can neither be decoded nor encoded.
    """
    unknown = TransferSyntax(uid, "an unknown transfer syntax", "unknown", (OCTET_STREAM,), False, False, False)
    return TRANSFER_SYNTAXES.get(uid, unknown)


def syntaxes_of(media_type: str) -> list[TransferSyntax]:
    """Return the transfer syntaxes of a frame's media type, the default first; none for a type that is no frame's."""
    return [syntax for syntax in TRANSFER_SYNTAXES.values() if media_type in syntax.media_types]


def can_encode(uid: str) -> TransferSyntax:
    """Return the line of a transfer syntax that we write. Raises NotAcceptable for any other."""
    syntax = transfer_syntax(uid)
    if not syntax.encodes:
        written = "; ".join(line.name for line in TRANSFER_SYNTAXES.values() if line.encodes)
        raise NotAcceptable(f"{syntax.name} is not written here; these are: {written}")
    return syntax


def has_room(uid: str, bits_allocated: int) -> bool:
    """Whether a compressed transfer syntax holds integers of so many bits (PS3.5 section 8.2)."""
    return bits_allocated in (8, 16) or (uid == RLE_LOSSLESS and bits_allocated in (32, 64))
