"""Hypothesis strategies: elements of every VR, and datasets as archives hold them.

Values are valid (PS3.5 section 6.2) and in the one form a `Dataset` has: no insignificant spaces but those of DS and
IS, no single empty value, tags ascending. NaN is always `math.nan`, so that equal datasets compare equal.
"""

from __future__ import annotations

import math

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from gateway.dicom.dataset import BulkData, Dataset, Element, Scalar, in_tag_order
from gateway.dicom.dictionary import (
    BINARY_VRS,
    SINGLE_VALUED_VRS,
    STRING_VRS,
    VRS,
    vrs_of,
)
from gateway.dicom.values import INTEGERS, WORD_BYTES

# Standard attributes of every VR, of all four levels, of VM 1 and others, with and without a choice of VR.
STANDARD_TAGS = tuple(
    """
    00080005 00080008 00080020 00080030 00080050 00080054 00080060 0008002A 00081032 00081030 00081070 00080120
    00100010 00100020 00100030 00101001 00101002 00101010 00101030 00102160 001021B0 001021C0 00102201 00104000
    00120052 00180015 00181020 00181063 0018100B 00181200 00181201 00186060 00189073 00200011 0020000D 0020000E
    00200032 00204000 00209165 00209167 00209158 00189004 00280010 00280103 00280106 00280107 00280108 00280120
    00281101 00281050 00281201 00283006 00283002 00321066 00400275 0040A730 0040A13A 0040A0B0 00400280 00420011
    00480301 00660016 00660040 00660129 0072006A 00720076 00720082 00720083 0040E010 00741057 54000110 00080119
    00686320 00686346 00700022 30060050 300A00B3 7FE00001 7FE00002 00189313 00281199 00460102 00082130
    00100212 00660022 00720078 00186020 0072006D
    """.split()
)


# Characters of many scripts and from beyond the first plane, a combining and a right-to-left mark, quotes and spaces:
# a list and not all of Unicode, whose tables take seconds to build.
_LETTERS = st.sampled_from(
    "AZaz09 .,:;-+*?!'\"/|&<>{}[]()#%@$_~`ÄéßñøŁžİΩλЖяאبﻼไทยあカ漢字가힣ｱ￥"
    "\u0301\u202e\u2028\u00a0\ufeff\U0001f600\U00020bb7"
)


def text(length: int, *, min_size: int = 0) -> SearchStrategy[str]:
    """Return text of any script without control characters, backslash, "=" and "^", and without outer spaces."""
    return st.text(_LETTERS, min_size=min_size, max_size=length).map(str.strip)


def _long_text(length: int) -> SearchStrategy[str]:
    """Return text in which line ends, tabs and backslashes are text."""
    return st.text(_LETTERS | st.sampled_from("\r\n\t\f\\=^"), max_size=length).map(str.rstrip)


_dates = st.dates().map(lambda day: f"{day:%Y%m%d}".zfill(8))
_fractions = st.none() | st.integers(0, 999999)
_times = st.tuples(st.times(), _fractions).map(
    lambda drawn: f"{drawn[0]:%H%M%S}" + (f".{drawn[1]:06d}" if drawn[1] is not None else "")
)
_date_times = st.tuples(_dates, _times, st.sampled_from(["", "+0100", "-0330"])).map("".join)
_uids = st.lists(st.integers(0, 10**9), min_size=1, max_size=6).map(lambda parts: ".".join(map(str, parts)))
_decimals = st.one_of(
    st.integers(-(10**9), 10**9).map(str),
    st.decimals(-(10**6), 10**6, places=3).map(lambda number: f"{number:f}"),
    st.sampled_from(["70.50", "1 ", "0.0 ", "-1000 ", "+5", "05", ".5", "5.", "1E2", "-1.5e-10", "-0"]),
)
_integers_as_text = st.one_of(
    st.integers(-(2**31), 2**31 - 1).map(str), st.sampled_from(["1 ", " 7", "+5", "007", "-0"])
)
_groups = st.lists(text(10), min_size=1, max_size=5).map(lambda parts: "^".join(parts).rstrip("^"))
_names = st.lists(_groups, min_size=1, max_size=3).map(lambda groups: "=".join(groups).rstrip("="))
_doubles = st.floats(allow_nan=False) | st.just(math.nan)
_singles = st.floats(width=32, allow_nan=False) | st.just(math.nan)

# One value of each VR that has values; "" stands for none.
VALUES: dict[str, SearchStrategy[Scalar]] = {
    "AE": st.text(st.sampled_from("AZaz09_-.:/@!~"), max_size=16),
    "AS": st.tuples(st.integers(0, 999), st.sampled_from("DWMY")).map(lambda age: f"{age[0]:03d}{age[1]}"),
    "AT": st.integers(0, 2**32 - 1).map(lambda number: f"{number:08X}"),
    "CS": st.text(st.sampled_from("AZ09_"), max_size=16),
    "DA": _dates,
    "DS": _decimals,
    "DT": _date_times,
    "FD": _doubles,
    "FL": _singles,
    "IS": _integers_as_text,
    "LO": text(64),
    "LT": _long_text(100),
    "PN": _names,
    "SH": text(16),
    "ST": _long_text(100),
    "TM": _times,
    "UC": text(100),
    "UI": _uids,
    "UR": st.sampled_from(["urn:oid:1.2.3", "https://example.org/a?b=c#d", "http://[2001:db8::7]/%20"]),
    "UT": _long_text(200),
    **{vr: st.integers(*INTEGERS[vr]) for vr in INTEGERS},
}


def binaries(vr: str) -> SearchStrategy[bytes]:
    """Return bytes that are whole words of a binary VR."""
    return st.binary(max_size=8).map(lambda drawn: drawn * WORD_BYTES[vr])


def elements(vr: str, *, depth: int = 1, bulk: bool = False, odd_vrs: bool = False) -> SearchStrategy[Element]:
    """Return elements of a VR: empty, of one value, of several with empty ones among them; sequences to a depth.

    bulk: also binary values that are references. odd_vrs: in sequences, VRs other than the dictionary's.
    """
    if vr == "SQ":
        items = st.lists(datasets(depth=depth - 1, bulk=bulk, odd_vrs=odd_vrs), max_size=2 if depth else 0)
        return items.map(lambda drawn: Element(vr, items=tuple(drawn)))
    if vr in BINARY_VRS:
        inline = binaries(vr).map(lambda drawn: Element(vr, binary=drawn))
        uris = st.binary(min_size=16, max_size=16).map(bytes.hex)
        return inline | uris.map(lambda uri: Element(vr, binary=BulkData(uri))) if bulk else inline
    values = VALUES[vr] | st.just("") if vr in STRING_VRS - {"AT"} else VALUES[vr]
    most = 1 if vr in SINGLE_VALUED_VRS else 4
    return st.lists(values, max_size=most).map(lambda drawn: Element(vr, () if drawn == [""] else tuple(drawn)))


@st.composite
def private_blocks(draw: st.DrawFn, *, depth: int, bulk: bool, odd_vrs: bool) -> Dataset:
    """Return a private creator and elements of its block, of any VR."""
    group, block = draw(st.sampled_from(["0009", "0019", "7FE1"])), draw(st.sampled_from(["10", "11", "FF"]))
    creator = Element("LO", (draw(text(16, min_size=1).filter(bool)),))
    numbers = draw(st.lists(st.integers(0, 255), unique=True, max_size=3))
    vrs = st.sampled_from(sorted(VRS))
    members = {
        f"{group}{block}{number:02X}": draw(elements(draw(vrs), depth=depth, bulk=bulk, odd_vrs=odd_vrs))
        for number in numbers
    }
    return {f"{group}00{block}": creator, **members}


@st.composite
def datasets(draw: st.DrawFn, *, depth: int = 2, bulk: bool = False, odd_vrs: bool = False) -> Dataset:
    """Return datasets of standard attributes of all levels and of private blocks, tags ascending.

    depth: of sequences in each other. bulk: with references among binary values. odd_vrs: with VRs that the
    dictionary does not give a tag, as files have them (UN, or the writer's mistake).
    """
    drawn: Dataset = {}
    for tag in draw(st.lists(st.sampled_from(STANDARD_TAGS), unique=True, max_size=5)):
        allowed = sorted(vrs_of(tag)) + (["UN", "LO"] if odd_vrs else [])
        drawn[tag] = draw(elements(draw(st.sampled_from(allowed)), depth=depth, bulk=bulk, odd_vrs=odd_vrs))
    if draw(st.booleans()):
        drawn.update(draw(private_blocks(depth=depth, bulk=bulk, odd_vrs=odd_vrs)))
    return in_tag_order(drawn)
