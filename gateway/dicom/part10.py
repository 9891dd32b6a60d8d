"""PS3.10 files: reading one into a dataset, and writing one, with as little changed as an edit asks for.

    read_part10     bytes -> dataset, where large binary values and pixel data lie        part10_read.py
    Alike.read      the same, faster where a file is like those before                    part10_alike.py
    rewrite         original, dataset -> the original with the dataset's attributes       part10_rewrite.py
    write_part10    dataset -> bytes                                                      part10_write.py

Below them are the walk over the elements (part10_walk.py), values by VR (part10_values.py), the encodings of the
transfer syntaxes (encoding.py) and the character sets (characters.py). All are pure functions over a buffer, which may
be a mapped file.
"""

from gateway.dicom.encoding import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Buffer,
)
from gateway.dicom.part10_read import (
    NO_PIXELS,
    Part10,
    PixelData,
    PixelElement,
    Span,
    bulk_uri,
    named_in_meta,
    read_part10,
)
from gateway.dicom.part10_rewrite import rewrite
from gateway.dicom.part10_splice import Splice
from gateway.dicom.part10_write import part10_pieces, write_part10

__all__ = [
    "DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN",
    "EXPLICIT_VR_BIG_ENDIAN",
    "EXPLICIT_VR_LITTLE_ENDIAN",
    "IMPLICIT_VR_LITTLE_ENDIAN",
    "NO_PIXELS",
    "Buffer",
    "Part10",
    "PixelData",
    "PixelElement",
    "Span",
    "Splice",
    "bulk_uri",
    "named_in_meta",
    "part10_pieces",
    "read_part10",
    "rewrite",
    "write_part10",
]
