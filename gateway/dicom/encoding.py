"""How data elements lie in bytes: the encodings of PS3.5 Annex A, and what each VR asks of them.

Reading and writing share these tables, so that neither can disagree with the other.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from functools import cached_property, lru_cache
from mmap import MADV_DONTNEED, mmap
from struct import Struct
from typing import TypeAlias

from pydicom.datadict import dictionary_VR, private_dictionary_VR

from gateway.dicom.dataset import Tag
from gateway.dicom.dictionary import MISSING, VRS, is_group_length, is_private, is_private_creator

Buffer: TypeAlias = "bytes | bytearray | memoryview | mmap"

UNDEFINED_LENGTH = 0xFFFFFFFF

# PS3.5 Table 7.5-1 to 7.5-3: without a VR in every encoding.
ITEM = "FFFEE000"
ITEM_DELIMITER = "FFFEE00D"
SEQUENCE_DELIMITER = "FFFEE0DD"

# PS3.5 Table 7.1-1: two reserved bytes and a length of 32 bits; all others have 16 bits (Table 7.1-2).
LONG_VRS = frozenset("OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())

# VR letters in the file -> the VR.
SHORT_LETTERS = {vr.encode("ascii"): vr for vr in VRS - LONG_VRS}
LONG_LETTERS = {vr.encode("ascii"): vr for vr in LONG_VRS}

# PS3.5 Table 6.2-1. AT is a pair of numbers, and a string of eight digits for us.
NUMBER_FORMATS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}

# Bytes of one word, where byte order matters (PS3.5 section 7.3).
WORD_SIZES = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
_WORD_TYPES = {2: "H", 4: "I", 8: "Q"}


class _TagNames(dict[int, Tag]):
    """Tags by the number that their four bytes are. The most a file can make it grow to is `_LIMIT`."""

    _LIMIT = 20_000

    def __init__(self, *, big_endian: bool) -> None:
        self._big_endian = big_endian

    def __missing__(self, number: int) -> Tag:
        tag = f"{number:08X}" if self._big_endian else f"{number & 0xFFFF:04X}{number >> 16:04X}"
        if len(self) < self._LIMIT:
            self[number] = tag
        return tag


_TAGS = {True: _TagNames(big_endian=True), False: _TagNames(big_endian=False)}


@dataclass(frozen=True)
class Encoding:
    """One way to write data elements. Hashable; the structs are made once for each of the four there are."""

    implicit: bool
    big_endian: bool

    @property
    def order(self) -> str:
        """The byte order as `struct` writes it."""
        return ">" if self.big_endian else "<"

    @cached_property
    def explicit_header(self) -> Struct:
        """Tag, VR, length of 16 bits; for the VRs of `LONG_VRS`, two reserved bytes."""
        return Struct(f"{self.order}L2sH")

    @cached_property
    def implicit_header(self) -> Struct:
        """Tag, length of 32 bits; also what items and delimiters have in every encoding."""
        return Struct(f"{self.order}LL")

    @property
    def tags(self) -> dict[int, Tag]:
        """The tag for the number that is the first field of a header."""
        return _TAGS[self.big_endian]

    def tag_bytes(self, tag: Tag) -> bytes:
        """Return the four bytes of a tag."""
        group, number = bytes.fromhex(tag[:4]), bytes.fromhex(tag[4:])
        return group + number if self.big_endian else group[::-1] + number[::-1]

    @cached_property
    def long_length(self) -> Struct:
        return Struct(f"{self.order}L")


IMPLICIT_LITTLE = Encoding(implicit=True, big_endian=False)
EXPLICIT_LITTLE = Encoding(implicit=False, big_endian=False)
EXPLICIT_BIG = Encoding(implicit=False, big_endian=True)
IMPLICIT_BIG = Encoding(implicit=True, big_endian=True)  # no transfer syntax, but files have such items

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"

_ENCODINGS = {
    IMPLICIT_VR_LITTLE_ENDIAN: IMPLICIT_LITTLE,  # PS3.5 A.1
    EXPLICIT_VR_BIG_ENDIAN: EXPLICIT_BIG,  # PS3.5 A.3, retired
    "1.2.840.113619.5.2": IMPLICIT_LITTLE,  # GE, with pixel data in big endian
}


def encoding_of(transfer_syntax_uid: str) -> Encoding:
    """Return the encoding of a transfer syntax's data elements.

    PS3.5 A.4 and A.5: whatever is compressed, is explicit VR little endian; so is whatever we have not heard of.
    """
    return _ENCODINGS.get(transfer_syntax_uid, EXPLICIT_LITTLE)


def let_go(view: memoryview) -> None:
    """Tell the system that the file behind a view need not stay in memory: what is mapped and was read counts as ours.

    Nothing is lost, whoever looks next reads the pages again. Not for a mapping that is not of a file.
    """
    if isinstance(view.obj, mmap):
        view.obj.madvise(MADV_DONTNEED)


def swapped(value: bytes | memoryview, word_size: int) -> bytes:
    """Return the words with their bytes in the other order; what is left over at the end stays as it is."""
    whole = len(value) - len(value) % word_size
    words = array(_WORD_TYPES[word_size], bytes(value[:whole]))
    words.byteswap()
    return words.tobytes() + bytes(value[whole:])


# PS3.5 A.1: OW in implicit VR. The three-way choice is lookup table data of ACR-NEMA: words, whichever it was.
_IMPLICIT_CHOICE = {"OB or OW": "OW", "OB_OW": "OW", "US or SS or OW": "OW", "NONE": "UN"}


def implicit_vr(tag: Tag, creator: str | None) -> str:
    """Return the VR of an element that has none in the file; "US or SS" and "US or OW" are left to the reader.

    creator: the private creator of the element's block, None where there is none. PS3.5 section 6.2.2: UN for what
    no dictionary knows. The dictionaries are pydicom's: the current PS3.6, so that what came after 2022b is read by
    its VR too, and vendors' private ones.
    """
    if not is_private(tag):
        return _standard_vr(tag)
    if is_private_creator(tag):
        return "LO"
    return _private_vr(tag, creator) if creator else "UN"


@lru_cache(maxsize=8192)
def _standard_vr(tag: Tag) -> str:
    try:
        vr = dictionary_VR(int(tag, 16))
    except KeyError:
        return MISSING[tag][0] if tag in MISSING else "UL" if is_group_length(tag) else "UN"
    return _IMPLICIT_CHOICE.get(vr, vr)


@lru_cache(maxsize=8192)
def _private_vr(tag: Tag, creator: str) -> str:
    try:
        vr = private_dictionary_VR(int(tag, 16), creator)
    except KeyError:
        return "UN"
    return _IMPLICIT_CHOICE.get(vr, vr)


def known_vr(tag: Tag) -> str | None:
    """Return the VR of a standard attribute that a file calls UN; None where that is all there is to say.

    PS3.5 section 6.2.2, note 2 (CP-246): whoever knows the VR may read such a value as implicit VR little endian.
    Files whose SOP Instance UID is UN exist. Private ones stay UN, their dictionary being hearsay; creators are LO.
    """
    if is_private(tag):
        return "LO" if is_private_creator(tag) else None
    vr = _standard_vr(tag)
    return None if vr == "UN" else vr
