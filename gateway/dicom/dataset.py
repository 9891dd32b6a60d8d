"""Attributes and values in memory.

PS3.10, DICOM JSON and SchemaVersion 1.1 are three codecs of the same data; each reads into a `Dataset` and writes
from one, so that none of them needs to know another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

# A tag is eight upper-case hex digits, group and element: "00100010".
Tag: TypeAlias = str
Scalar: TypeAlias = str | int | float


@dataclass(frozen=True, slots=True)
class BulkData:
    """A binary value that is not in the metadata but in a blob.

    uri: 32 lower-case hex digits, the first half of the SHA-256 of the bytes. length: in bytes; 0 where unknown.
    Bytes are little endian, as InlineBinary is (PS3.18 F.2.7).
    """

    uri: str
    length: int = 0


@dataclass(frozen=True, slots=True)
class Element:
    """One attribute: its VR, and its value in one of three fields by VR. All three empty: a zero-length value.

    values   AE AS AT CS DA DT LO LT PN SH ST TM UC UI UR UT, DS IS: str
             US UL UV SS SL SV: int;  FL FD: float, infinities and NaN included
    items    SQ: one Dataset for each item
    binary   OB OD OF OL OV OW UN: bytes, little endian

    PN is the string of PS3.5 section 6.2.1 with its component groups, "Yamada^Tarou=...=...". AT is a tag. DS and IS
    keep their text ("70.50", "1 "). LT ST UR UT have one value, in which a backslash is text. An empty value among
    several is "" for all VRs of strings.
    """

    vr: str
    values: tuple[Scalar, ...] = ()
    items: tuple[Dataset, ...] = ()
    binary: bytes | BulkData = b""

    @property
    def empty(self) -> bool:
        """Whether the value has zero length."""
        return not (self.values or self.items or self.binary)


# In ascending order of tags, always: PS3.5 section 7.1 and PS3.18 F.2.2 both ask for it.
Dataset: TypeAlias = dict[Tag, Element]

# RFC 7396 on one level of a dataset: an element sets, None removes, what is not named stays.
MergePatch: TypeAlias = dict[Tag, Element | None]


def in_tag_order(dataset: Dataset) -> Dataset:
    """Return the dataset with its top-level attributes in ascending order."""
    return dict(sorted(dataset.items()))


def bulk_uris(dataset: Dataset) -> list[str]:
    """Return the uris of a dataset's bulk values, those in sequences too, in the order of their attributes."""
    uris: list[str] = []
    for element in dataset.values():
        if isinstance(element.binary, BulkData):
            uris.append(element.binary.uri)
        for item in element.items:
            uris += bulk_uris(item)
    return uris
