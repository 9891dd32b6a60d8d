"""The data dictionary: PS3.6 edition 2022b, the edition HealthImaging names its metadata by.

pydicom carries a newer edition; what came after 2022b is listed here and unknown to us, so such an attribute keeps its
tag as its key ("00080400") and its VR beside it, as a private one does. tests/dicom/test_dictionary.py holds this file
against dcmtk 3.6.7, whose dictionary is 2022b.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary

from gateway.dicom.dataset import Tag


class Entry(NamedTuple):
    """One line of PS3.6 section 6, 7 or 8. vr is one of `VRS`: of "US or SS" the first, as `DEFAULT_VR` says."""

    tag: Tag
    keyword: str
    vr: str
    vm: str


class Naming(NamedTuple):
    """What a document needs to know of a tag. vr: None where PS3.6 has no line; several: whether its VM is not 1."""

    key: str
    vr: str | None
    several: bool


_TAG = re.compile("[0-9A-F]{8}")
_REPEATING = re.compile("|".join(mask.replace("x", "[0-9A-F]") for mask in RepeatersDictionary))

# PS3.5 Table 6.2-1, by the field of Element that holds the value.
STRING_VRS = frozenset("AE AS AT CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT".split())
INTEGER_VRS = frozenset("SL SS SV UL US UV".split())
FLOAT_VRS = frozenset("FD FL".split())
BINARY_VRS = frozenset("OB OD OF OL OV OW UN".split())
VRS = STRING_VRS | INTEGER_VRS | FLOAT_VRS | BINARY_VRS | {"SQ"}

# PS3.5 section 6.4: these have one value, in which a backslash is text.
SINGLE_VALUED_VRS = frozenset("LT ST UR UT".split())

# PS3.5 section 6.1.2.3: the VRs that Specific Character Set governs.
CHARACTER_SET_VRS = frozenset("LO LT PN SH ST UC UT".split())

# Where PS3.6 leaves the choice to other attributes, the VR that goes without saying in a document; the other one is
# written into DICOMVRs. A fixed default needs no context, so the mapping loses nothing even for a lone attribute.
DEFAULT_VR = {"US or SS": "US", "US or OW": "US", "US or SS or OW": "US", "OB or OW": "OW"}

# The VRs each of these may have.
CHOICES = {choice: frozenset(choice.split(" or ")) for choice in DEFAULT_VR}

# PixelData and its two kin (PS3.5 section 8): never in metadata, always in the stored instance.
PIXEL_DATA = frozenset({"7FE00008", "7FE00009", "7FE00010"})

# In pydicom's dictionary and not in PS3.6 2022b.
AFTER_2022B = frozenset(
    """
    0008001C 00080400 00080401 00080402 00080403 00080404 00080405 00080406 00080407 00080408 00080409
    0008040A 0008040B 0008040C 0008040D 0008040E 0008040F 00080410 00080411 00080412 00080413 00080414
    00080415 00080416 00080417 00080418 00080419 0008041A 0008041B 0008041C 0008041D 0008041E 0008041F
    00080420 00080421 00080422 00080423 00080424 00080425 00080426 00080427 00080428 00080429 00081112
    0008119B 00102161 00120022 00120023 00120032 00120041 00120043 00120054 00120055 00120073 00140200
    00140201 00140202 00140203 00140204 00140205 00140206 00140207 00181204 00181205 00189821 00189822
    00189823 00189824 00189825 00189826 00189828 00189829 0018982A 0018982B 0018982C 0018982D 0018982E
    0018982F 00189830 00189831 00189832 00189833 00189834 00189835 00189836 0022000F 00283001 003A0317
    003A0318 003A0319 003A0320 003A0321 003A0322 003A0323 003A0324 003A0325 003A0326 003A0327 003A0328
    003A0329 003A032A 003A032B 003A032C 003A032D 003A032E 00480114 00480115 00480116 00480117 00700315
    30020100 30020101 30020102 30020103 30020104 30020105 30020106 30020107 30020108 30020109 3002010A
    3002010B 3002010C 3002010D 3002010E 3002010F 30020110 30020111 30020112 30020113 30020114 30020115
    30020116 30020117 30020118 30020119 3002011A 3002011B 3002011C 3002011D 3002011E 3002011F 30020120
    30020121 30020122 30020123 30020124 30020125 30020126 30020127 30020128 30020129 3002012A 3002012B
    3002012C 3002012D 3002012E 3002012F 30020130 30020131 30020132 30020133 30020134 30020135 3006002D
    3006002E 3006004B 3006004C 3006004D 3006004E 3006004F 300800A1 300800A2 300800A3 300800A4 300A0054
    300A068B 300A079F 300A07A0 300A07A1 300C0129 301000A0 7FE00003
    """.split()
)

# In PS3.6 2022b and not in pydicom's dictionary (3.0.2).
MISSING = {"00060001": ("SQ", "1", "CurrentFrameFunctionalGroupsSequence")}


def _standard_entries() -> dict[Tag, tuple[str, str, str]]:
    """Return tag -> (VR as printed, VM, keyword) for every attribute of PS3.6 2022b with a keyword."""
    named = {
        f"{number:08X}": (vr, vm, keyword) for number, (vr, vm, _, _, keyword) in DicomDictionary.items() if keyword
    }
    return MISSING | {
        tag: entry for tag, entry in named.items() if tag not in AFTER_2022B and not tag.startswith("FFFE")
    }


_PRINTED = _standard_entries()
_BY_TAG = {tag: Entry(tag, keyword, DEFAULT_VR.get(vr, vr), vm) for tag, (vr, vm, keyword) in _PRINTED.items()}
_BY_KEYWORD = {entry.keyword: entry for entry in _BY_TAG.values()}


def entry_of(tag: Tag) -> Entry | None:
    """Return the dictionary's line for a tag; None for private tags, repeating groups and what 2022b lacks."""
    return _BY_TAG.get(tag)


def entry_named(keyword: str) -> Entry | None:
    """Return the dictionary's line for a keyword; None where 2022b has no such keyword."""
    return _BY_KEYWORD.get(keyword)


def keywords() -> Iterable[str]:
    """Return the keywords of 2022b."""
    return _BY_KEYWORD.keys()


def vrs_of(tag: Tag) -> frozenset[str]:
    """Return the VRs the dictionary allows a tag: several for "US or SS" and its kin, none without a line in it."""
    printed = _PRINTED.get(tag)
    return CHOICES.get(printed[0], frozenset({printed[0]})) if printed else frozenset()


def multi_valued(entry: Entry) -> bool:
    """Whether the dictionary's VM is not 1, whatever a value's own multiplicity (HealthImaging: an array, always)."""
    return entry.vm != "1"


def is_tag(text: str) -> bool:
    """Whether text is a tag as we write it: eight upper-case hex digits."""
    return _TAG.fullmatch(text) is not None


def is_private(tag: Tag) -> bool:
    """Whether the group number is odd (PS3.5 section 7.8)."""
    return int(tag[3], 16) % 2 == 1


def is_private_creator(tag: Tag) -> bool:
    """Whether the tag reserves a block of private elements: (gggg,0010-00FF), gggg odd (PS3.5 section 7.8.1)."""
    return is_private(tag) and tag[4:6] == "00" and tag[6:] >= "10"


def is_repeating(tag: Tag) -> bool:
    """Whether the tag is of a repeating group of PS3.6, as (60xx,3000) of overlays is: standard, without a keyword."""
    return not is_private(tag) and _REPEATING.fullmatch(tag) is not None


def is_group_length(tag: Tag) -> bool:
    """Whether the tag is (gggg,0000), retired outside groups 0000 and 0002 (PS3.5 section 7.2)."""
    return tag.endswith("0000")


def key_of(tag: Tag) -> str:
    """Return the key a document has for a tag: its keyword, or the tag itself where the dictionary has none."""
    entry = _BY_TAG.get(tag)
    return entry.keyword if entry else tag


@lru_cache(maxsize=16384)
def naming_of(tag: Tag) -> Naming:
    """Return all of what a document needs to know of a tag at once: it is asked for each attribute of each instance."""
    entry = _BY_TAG.get(tag)
    return Naming(entry.keyword, entry.vr, multi_valued(entry)) if entry else Naming(tag, None, several=False)


@lru_cache(maxsize=16384)
def tag_of(key: str) -> Tag | None:
    """Return the tag of a document's key, a keyword or eight hex digits; None for anything else."""
    entry = _BY_KEYWORD.get(key)
    if entry:
        return entry.tag
    return key if is_tag(key) else None
