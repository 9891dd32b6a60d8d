"""Reading PS3.10: hand-made files, byte by byte, and what is refused."""

from __future__ import annotations

import zlib
from struct import pack

import pytest

from gateway.dicom.dataset import BulkData, Element, Scalar
from gateway.dicom.encoding import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, Encoding
from gateway.dicom.part10 import Span, read_part10
from gateway.dicom.part10_read import inflated
from gateway.errors import InvalidPart10
from tests.samples import instance, sample

UNDEFINED = 0xFFFFFFFF
EXPLICIT_UID, IMPLICIT_UID, BIG_UID = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
DEFLATED_UID = "1.2.840.10008.1.2.1.99"
ITEM, END_OF_ITEM, END_OF_SEQUENCE = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD


def tag(number: int, order: str = "<") -> bytes:
    return pack(order + "HH", number >> 16, number & 0xFFFF)


def short(number: int, vr: bytes, value: bytes, length: int | None = None, order: str = "<") -> bytes:
    """An element with a length of 16 bits."""
    return tag(number, order) + vr + pack(order + "H", len(value) if length is None else length) + value


def long(number: int, vr: bytes, value: bytes, length: int | None = None, order: str = "<") -> bytes:
    """An element with a length of 32 bits."""
    return tag(number, order) + vr + b"\0\0" + pack(order + "L", len(value) if length is None else length) + value


def bare(number: int, value: bytes, length: int | None = None, order: str = "<") -> bytes:
    """An element of implicit VR, an item or a delimiter."""
    return tag(number, order) + pack(order + "L", len(value) if length is None else length) + value


def file(body: bytes, uid: str = EXPLICIT_UID) -> bytes:
    """A PS3.10 file of the dataset and as little else as there can be."""
    padded = uid.encode() + b"\0" * (len(uid) % 2)
    meta = short(0x00020010, b"UI", padded)
    return bytes(128) + b"DICM" + short(0x00020000, b"UL", pack("<L", len(meta))) + meta + body


def read(body: bytes, uid: str = EXPLICIT_UID) -> dict[str, Element]:
    """The dataset without group 0002."""
    return {tag: element for tag, element in read_part10(file(body, uid)).dataset.items() if tag > "0003"}


VALUES = [
    ("AE", b" STORESCP ", (" STORESCP",)),
    ("AS", b"057Y", ("057Y",)),
    ("CS", b"ORIGINAL\\PRIMARY\\ ", ("ORIGINAL", "PRIMARY", "")),
    ("DA", b"20240131", ("20240131",)),
    ("DS", b"70.50 ", ("70.50 ",)),
    ("DS", b" 1\\\\3\0", (" 1", "", "3")),
    ("DS", b"  ", ()),
    ("DT", b"20240131120000+0100 ", ("20240131120000+0100",)),
    ("IS", b"0120", ("0120",)),
    ("LO", b"a \\ b \\\\", ("a", " b", "", "")),
    ("LT", b"one\\text  ", ("one\\text",)),
    ("PN", b"A^B=C= ", ("A^B=C",)),
    ("PN", b"A\\B=\\=", ("A", "B", "")),
    ("SH", b"  ", ()),
    ("ST", b"a\\b\r\n", ("a\\b\r\n",)),
    ("TM", b"1030", ("1030",)),
    ("UI", b"1.2\\1.3\0", ("1.2", "1.3")),
    ("US", b"\x01\x00\xff\xff", (1, 65535)),
    ("SS", b"\xff\xff", (-1,)),
    ("UL", b"\xff\xff\xff\xff", (4294967295,)),
    ("SL", b"\xff\xff\xff\xff", (-1,)),
    ("FL", b"\x00\x00\xc0\x3f", (1.5,)),
    ("FD", b"\x00\x00\x00\x00\x00\x00\xf8\xbf", (-1.5,)),
    ("AT", b"\x10\x00\x20\x00\xe0\x7f\x10\x00", ("00100020", "7FE00010")),
]


@pytest.mark.parametrize(("vr", "value", "values"), VALUES, ids=lambda value: repr(value))
def test_values_by_vr(vr: str, value: bytes, values: tuple[Scalar, ...]) -> None:
    """Each VR's bytes are the values of PS3.5 section 6.2; padding goes, but DS and IS keep theirs."""
    assert read(short(0x00091001, vr.encode(), value)) == {"00091001": Element(vr, values)}


LONG_VALUES = [
    ("UC", b"a\\b ", Element("UC", ("a", "b"))),
    ("UT", b"a\\b ", Element("UT", ("a\\b",))),
    ("UR", b"http://x/ ", Element("UR", ("http://x/",))),
    ("UV", b"\xff" * 8, Element("UV", (18446744073709551615,))),
    ("SV", b"\xff" * 8, Element("SV", (-1,))),
    ("OB", b"\0\1", Element("OB", binary=b"\0\1")),
    ("OW", b"\0\1", Element("OW", binary=b"\0\1")),
    ("UN", b"\0\1", Element("UN", binary=b"\0\1")),
    ("SQ", b"", Element("SQ")),
]


@pytest.mark.parametrize(("vr", "value", "element"), LONG_VALUES, ids=lambda value: repr(value)[:20])
def test_values_with_long_headers(vr: str, value: bytes, element: Element) -> None:
    """The VRs of PS3.5 Table 7.1-1 have two reserved bytes and a length of 32 bits."""
    assert read(long(0x00091001, vr.encode(), value)) == {"00091001": element}


SWAPPED = [
    ("US", b"\x00\x01", Element("US", (1,))),
    ("FD", b"\xbf\xf8" + bytes(6), Element("FD", (-1.5,))),
    ("AT", b"\x00\x10\x00\x20", Element("AT", ("00100020",))),
    ("OB", b"\x00\x01", Element("OB", binary=b"\x00\x01")),
    ("OW", b"\x00\x01\x02\x03", Element("OW", binary=b"\x01\x00\x03\x02")),
    ("OF", b"\x00\x01\x02\x03", Element("OF", binary=b"\x03\x02\x01\x00")),
    ("OL", b"\x00\x01\x02\x03", Element("OL", binary=b"\x03\x02\x01\x00")),
    ("OD", bytes(range(8)), Element("OD", binary=bytes(range(8))[::-1])),
    ("OV", bytes(range(8)), Element("OV", binary=bytes(range(8))[::-1])),
    ("UN", b"\x00\x01", Element("UN", binary=b"\x00\x01")),
]


@pytest.mark.parametrize(("vr", "value", "element"), SWAPPED, ids=[row[0] for row in SWAPPED])
def test_big_endian_values_come_out_little(vr: str, value: bytes, element: Element) -> None:
    """Words are swapped by their size, bytes are not, and what is unknown is left alone (PS3.5 section 7.3)."""
    make = long if vr[0] == "O" or vr == "UN" else short

    assert read(make(0x00091001, vr.encode(), value, order=">"), BIG_UID) == {"00091001": element}


IMPLICIT = [
    ("a standard attribute", bare(0x00100020, b"1234"), {"00100020": Element("LO", ("1234",))}),
    ("newer than 2022b", bare(0x00181204, b"20240131"), {"00181204": Element("DA", ("20240131",))}),
    ("overlay data, a repeating group", bare(0x60023000, b"\0\1"), {"60023000": Element("OW", binary=b"\0\1")}),
    ("unknown private", bare(0x00091001, b"x "), {"00091001": Element("UN", binary=b"x ")}),
    (
        "private of a known creator",
        bare(0x00290010, b"SIEMENS CSA HEADER") + bare(0x00291008, b"IMAGE NUM 4 "),
        {"00290010": Element("LO", ("SIEMENS CSA HEADER",)), "00291008": Element("CS", ("IMAGE NUM 4",))},
    ),
    ("US or SS, unsigned by default", bare(0x00280106, b"\xff\xff"), {"00280106": Element("US", (65535,))}),
    (
        "US or SS, by Pixel Representation",
        bare(0x00280103, b"\1\0") + bare(0x00280106, b"\xff\xff"),
        {"00280103": Element("US", (1,)), "00280106": Element("SS", (-1,))},
    ),
    (
        "US or OW, by the descriptor: words",
        bare(0x00283002, b"\2\0\0\0\x10\0") + bare(0x00283006, b"\1\0\2\0"),
        {"00283002": Element("US", (2, 0, 16)), "00283006": Element("OW", binary=b"\1\0\2\0")},
    ),
    (
        "US or OW, by the descriptor: one number",
        bare(0x00283002, b"\1\0\0\0\x10\0") + bare(0x00283006, b"\1\0"),
        {"00283002": Element("US", (1, 0, 16)), "00283006": Element("US", (1,))},
    ),
    (
        "US or SS in an item, by the dataset around it",
        bare(0x00280103, b"\1\0") + bare(0x00283000, bare(ITEM, bare(0x00283002, b"\xff\xff\0\0\x10\0"))),
        {"00280103": Element("US", (1,)), "00283000": Element("SQ", items=({"00283002": Element("SS", (-1, 0, 16))},))},
    ),
]


@pytest.mark.parametrize(("body", "dataset"), [row[1:] for row in IMPLICIT], ids=[row[0] for row in IMPLICIT])
def test_implicit_vr(body: bytes, dataset: dict[str, Element]) -> None:
    """The VR is the dictionary's; a choice is made by the attributes PS3.3 names; unknown is UN."""
    assert read(body, IMPLICIT_UID) == dataset


NAME = short(0x00100010, b"PN", b"A^")
PARSED = ({"00100010": Element("PN", ("A^",))},)
BARE_NAME = bare(0x00100010, b"A^")
SEQUENCES = [
    ("all lengths defined", long(0x00081140, b"SQ", bare(ITEM, NAME))),
    ("item undefined", long(0x00081140, b"SQ", bare(ITEM, NAME, UNDEFINED) + bare(END_OF_ITEM, b""))),
    ("sequence undefined", long(0x00081140, b"SQ", bare(ITEM, NAME) + bare(END_OF_SEQUENCE, b""), UNDEFINED)),
    (
        "both undefined",
        long(
            0x00081140,
            b"SQ",
            bare(ITEM, NAME, UNDEFINED) + bare(END_OF_ITEM, b"") + bare(END_OF_SEQUENCE, b""),
            UNDEFINED,
        ),
    ),
    ("implicit VR inside", long(0x00081140, b"SQ", bare(ITEM, BARE_NAME))),
    ("UN of undefined length", long(0x00081140, b"UN", bare(ITEM, BARE_NAME) + bare(END_OF_SEQUENCE, b""), UNDEFINED)),
    ("UN, explicit VR inside", long(0x00081140, b"UN", bare(ITEM, NAME) + bare(END_OF_SEQUENCE, b""), UNDEFINED)),
    ("a standard sequence that is UN", long(0x00081140, b"UN", bare(ITEM, BARE_NAME))),
]


@pytest.mark.parametrize("body", [row[1] for row in SEQUENCES], ids=[row[0] for row in SEQUENCES])
def test_sequences(body: bytes) -> None:
    """A sequence is the same items, whichever way its lengths and its VR are written (PS3.5 section 7.5, CP-246)."""
    assert read(body) == {"00081140": Element("SQ", items=PARSED)}


def test_un_sequence_in_big_endian_is_little_endian_inside() -> None:
    """PS3.5 section 6.2.2: UN of undefined length is implicit VR little endian, in big endian files too."""
    inside = bare(ITEM, bare(0x00280010, b"\2\0")) + bare(END_OF_SEQUENCE, b"")

    dataset = read(long(0x00091001, b"UN", inside, UNDEFINED, order=">"), BIG_UID)

    assert dataset == {"00091001": Element("SQ", items=({"00280010": Element("US", (2,))},))}


ODDITIES = [
    ("UN of a standard attribute", long(0x00100020, b"UN", b"12"), {"00100020": Element("LO", ("12",))}),
    ("UN of a private creator", long(0x00090010, b"UN", b"ACME"), {"00090010": Element("LO", ("ACME",))}),
    (
        "UN that cannot be what it should be",
        long(0x00280010, b"UN", b"123"),
        {"00280010": Element("UN", binary=b"123")},
    ),
    ("US of three bytes", short(0x00280010, b"US", b"123"), {"00280010": Element("UN", binary=b"123")}),
    ("AT of three bytes", short(0x00280009, b"AT", b"123"), {"00280009": Element("UN", binary=b"123")}),
    ("no VR", NAME + bare(0x00100020, b"12"), PARSED[0] | {"00100020": Element("LO", ("12",))}),
    ("VR of no standard", NAME + short(0x00100020, b"ZZ", b"12"), PARSED[0] | {"00100020": Element("LO", ("12",))}),
    ("odd length", short(0x00100020, b"LO", b"123"), {"00100020": Element("LO", ("123",))}),
    ("group length", short(0x00100000, b"UL", bytes(4)) + NAME, PARSED[0]),
    ("wrong order", NAME + short(0x00080060, b"CS", b"CT"), {"00080060": Element("CS", ("CT",))} | PARSED[0]),
    ("the same twice", NAME + NAME, PARSED[0]),
    ("two bytes of NUL", short(0x00100020, b"LO", b"12\0\0"), {"00100020": Element("LO", ("12",))}),
    ("Latin-1 without a character set", short(0x00100010, b"PN", b"M\xfc"), {"00100010": Element("PN", ("M\xfc",))}),
]


@pytest.mark.parametrize(("body", "dataset"), [row[1:] for row in ODDITIES], ids=[row[0] for row in ODDITIES])
def test_what_archives_are_full_of_is_read(body: bytes, dataset: dict[str, Element]) -> None:
    """Odd files are read without losing a value, and the dataset is in order of tags."""
    assert list(read(body).items()) == list(dataset.items())


def test_no_vr_in_the_first_element_is_implicit_vr() -> None:
    """A file whose transfer syntax is wrong about implicit and explicit is read as what it is."""
    dataset = {"00080060": Element("CS", ("CT",)), "00100010": Element("PN", ("A^",))}

    assert read(bare(0x00080060, b"CT") + BARE_NAME, EXPLICIT_UID) == dataset
    assert read(short(0x00080060, b"CS", b"CT") + NAME, IMPLICIT_UID) == dataset


def test_long_binary_values_stay_in_the_file() -> None:
    """More bytes than the limit become BulkData, named by their SHA-256, and `bulk` says where they are."""
    data = file(long(0x00091001, b"OB", b"0123456789"))

    part10 = read_part10(data, inline_limit=9)

    uri = "84d89877f0d4041efb6bf91a16f0248f"  # printf 0123456789 | sha256sum
    assert part10.dataset["00091001"] == Element("OB", binary=BulkData(uri, 10))
    assert part10.bulk == {uri: Span(len(data) - 10, 10)}
    assert read_part10(data, inline_limit=10).dataset["00091001"].binary == b"0123456789"


def test_long_binary_values_that_do_not_lie_in_the_file_come_along() -> None:
    """Swapped or inflated, the bytes themselves are in `bulk`, under the uri they have in a little endian file."""
    little = read_part10(file(long(0x00091001, b"OW", b"0123456789")), inline_limit=0)
    swapped = read_part10(file(long(0x00091001, b"OW", b"1032547698", order=">"), BIG_UID), inline_limit=0)
    compressor = zlib.compressobj(wbits=-15)
    compressed = compressor.compress(long(0x00091001, b"OW", b"0123456789")) + compressor.flush()
    deflated = read_part10(file(compressed, DEFLATED_UID), inline_limit=0)

    assert swapped.dataset["00091001"] == deflated.dataset["00091001"] == little.dataset["00091001"]
    assert list(swapped.bulk.values()) == list(deflated.bulk.values()) == [b"0123456789"]


def test_pixel_data_is_found_and_left_out() -> None:
    """The three kinds of pixel data are not in the dataset; that of an icon is, as any binary value of an item."""
    icon = long(0x00880200, b"SQ", bare(ITEM, long(0x7FE00010, b"OB", b"ab")))
    fragments = bare(ITEM, b"") + bare(ITEM, b"cdef")
    data = file(icon + long(0x7FE00010, b"OB", fragments + bare(END_OF_SEQUENCE, b""), UNDEFINED))

    part10 = read_part10(data)

    (pixel_data,) = part10.pixel_data
    assert (pixel_data.tag, pixel_data.vr, pixel_data.encapsulated) == ("7FE00010", "OB", True)
    assert pixel_data.value == Span(data.index(fragments), len(fragments))
    assert "7FE00010" not in part10.dataset
    assert part10.dataset["00880200"].items == ({"7FE00010": Element("OB", binary=b"ab")},)


FRAGMENTS = bare(ITEM, b"") + bare(ITEM, b"cdef") + bare(END_OF_SEQUENCE, b"")


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        (long(0x7FE00010, b"OB", b"ab"), ("7FE00010", "OB")),
        (long(0x7FE00010, b"OW", b"ab"), ("7FE00010", "OW")),
        (long(0x7FE00010, b"UN", b"ab"), ("7FE00010", "OW")),
        (long(0x7FE00010, b"OW", FRAGMENTS, UNDEFINED), ("7FE00010", "OB")),
        (long(0x7FE00008, b"OF", b"abcd"), ("7FE00008", "OF")),
        (long(0x7FE00009, b"OW", b"abcdefgh"), ("7FE00009", "OD")),
        (long(0x7FE00008, b"OF", b"abcd") + long(0x7FE00010, b"OW", b"ab"), ("7FE00010", "OW")),
        (b"", ("", "")),
    ],
    ids=["OB", "OW", "UN", "encapsulated", "float", "double, OW", "two kinds", "none"],
)
def test_pixel_data_are_shown_by_one_tag_and_vr(elements: bytes, expected: tuple[str, str]) -> None:
    """PS3.5 A.4: encapsulated ones are OB; the dictionary's VR where the file's is none of its."""
    assert read_part10(file(NAME + elements)).pixel_element == expected


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview], ids=["bytes", "bytearray", "memoryview"])
def test_any_buffer_is_read(wrap: type) -> None:
    """The result does not depend on what holds the bytes, and refers to none of them."""
    data = instance()

    assert read_part10(wrap(data)) == read_part10(data)


def nested(depth: int) -> bytes:
    """Sequences in sequences: the items and delimiters alone make the depth."""
    opening = long(0x00081140, b"SQ", bare(ITEM, b"", UNDEFINED), UNDEFINED)
    closing = bare(END_OF_ITEM, b"") + bare(END_OF_SEQUENCE, b"")
    return opening * depth + closing * depth


REFUSED = [
    ("nothing", b"", "no DICM prefix"),
    ("no prefix", bytes(200), "no DICM prefix"),
    ("no transfer syntax", bytes(128) + b"DICM" + short(0x00020003, b"UI", b"1.2 "), "no Transfer Syntax UID"),
    ("no meta", bytes(128) + b"DICM" + NAME, "no Transfer Syntax UID"),
    ("empty transfer syntax", file(NAME, ""), "no Transfer Syntax UID"),
    ("cut in the meta", file(b"")[:-1], "longer than what is left"),
    ("pixel data cut", file(long(0x7FE00010, b"OW", b"abc", 0x7FFFFFFE)), "longer than what is left"),
    ("a name cut", file(short(0x00100010, b"PN", b"DOE^J", 8)), "longer than what is left"),
    ("cut in a tag", file(NAME + b"\x10"), "cut in its header"),
    ("cut in a length", file(NAME + long(0x00420011, b"OB", b"")[:-2]), "cut in its header"),
    (
        "element longer than its item",
        file(long(0x00081140, b"SQ", bare(ITEM, NAME, 8) + NAME)),
        "longer than what is left",
    ),
    ("item longer than its sequence", file(long(0x00081140, b"SQ", bare(ITEM, NAME, 99))), "longer than what is left"),
    ("sequence without end", file(long(0x00081140, b"SQ", bare(ITEM, NAME), UNDEFINED)), "has no end"),
    ("item without end", file(long(0x00081140, b"SQ", bare(ITEM, NAME, UNDEFINED))), "an item has no end"),
    ("fragments without end", file(long(0x7FE00010, b"OB", bare(ITEM, b"ab"), UNDEFINED)), "has no end"),
    ("a fragment cut", file(long(0x7FE00010, b"OB", bare(ITEM, b"ab", 9), UNDEFINED)), "longer than what is left"),
    ("something else than fragments", file(long(0x7FE00010, b"OB", NAME, UNDEFINED)), "something else than fragments"),
    ("something else than items", file(long(0x00081140, b"SQ", NAME)), "something else than items"),
    ("half an item", file(long(0x00081140, b"SQ", bare(ITEM, b"")[:4])), "has no end"),
    ("a stray delimiter", file(NAME + bare(END_OF_ITEM, b"")), "a delimiter where"),
    ("a stray delimiter, implicit", file(BARE_NAME + bare(END_OF_SEQUENCE, b""), IMPLICIT_UID), "a delimiter where"),
    ("text of undefined length", file(tag(0x00100010) + b"UT\0\0" + pack("<L", UNDEFINED) + b"abcd"), "has no end"),
    ("a command element", file(short(0x00000900, b"US", b"\0\0")), "00000900 has no place"),
    ("a second group 0002", file(NAME + short(0x00020010, b"UI", b"1.2 ")), "00020010 has no place"),
    ("the same tag with two values", file(NAME + short(0x00100010, b"PN", b"B^")), "comes twice"),
    ("65 sequences deep", file(nested(65)), "more than 64 deep"),
    ("many thousand sequences deep", file(nested(20_000)), "more than 64 deep"),
    (
        "a hundred thousand elements",
        file(b"".join(short(n, b"CS", b"") for n in range(0x00090000, 0x000B86A1))),
        "more than",
    ),
    ("no deflate stream", file(b"\xff\xff\xff", DEFLATED_UID), "damaged"),
    ("empty deflate stream", file(b"", DEFLATED_UID), "cut"),
]


@pytest.mark.parametrize(("data", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_is_refused(data: bytes, reason: str) -> None:
    """A malformed file raises InvalidPart10, and the sentence says what is wrong."""
    with pytest.raises(InvalidPart10, match=reason):
        read_part10(data)


def test_sixty_four_sequences_deep_is_read() -> None:
    """The deepest that is allowed."""
    assert set(read(nested(64))) == {"00081140"}


def test_error_says_where() -> None:
    """The offset is that of the element that cannot be read, and no value is in the sentence."""
    data = file(NAME + short(0x00100020, b"LO", b"SECRET", 99))

    with pytest.raises(InvalidPart10) as refused:
        read_part10(data)

    assert refused.value.offset == data.index(b"LO") - 4
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize(
    "name", ["MR_small_implicit.dcm", "MR_small_bigendian.dcm", "MR_small_RLE.dcm", "reportsi.dcm", "chrH32.dcm"]
)
def test_no_cut_goes_unnoticed(name: str) -> None:
    """Cut at any byte, a file is refused, or the cut is between two elements and all before it are read unchanged."""
    data = sample(name).read_bytes()
    whole = read_part10(data)
    ends = range(len(data) - 3000 if len(data) > 4000 else 0, len(data))

    for end in ends:
        try:
            cut = read_part10(data[:end])
        except InvalidPart10:
            continue
        assert [whole.dataset[tag] for tag in cut.dataset] == list(cut.dataset.values())
        assert all(tag > max(cut.dataset) for tag in whole.dataset.keys() - cut.dataset.keys())


def test_a_cut_deflate_stream_is_refused_at_every_byte() -> None:
    """Deflate has an end of its own, so no cut of it is silent."""
    compressor = zlib.compressobj(wbits=-15)
    data = file(compressor.compress(NAME + short(0x00100020, b"LO", b"1234")) + compressor.flush(), DEFLATED_UID)
    meta = len(file(b"", DEFLATED_UID))

    for end in range(meta, len(data)):
        with pytest.raises(InvalidPart10):
            read_part10(data[:end])


def test_a_deflate_bomb_is_refused() -> None:
    """What inflates to more than 16 MiB and to more than a hundred times its size is refused."""
    compressor = zlib.compressobj(9, wbits=-15)
    bomb = b"".join(compressor.compress(bytes(2**20)) for _ in range(64)) + compressor.flush()
    assert len(bomb) < 70_000

    with pytest.raises(InvalidPart10, match="inflates to more than"):
        inflated(bomb)


def test_a_flat_image_inflates() -> None:
    """A black image is a thousand times its size inflated; a small one is no bomb."""
    compressor = zlib.compressobj(9, wbits=-15)
    flat = compressor.compress(bytes(2**20)) + compressor.flush()

    assert inflated(flat) == bytes(2**20)


@pytest.mark.parametrize(
    ("uid", "encoding"),
    [
        (EXPLICIT_UID, EXPLICIT_LITTLE),
        (IMPLICIT_UID, IMPLICIT_LITTLE),
        (BIG_UID, EXPLICIT_BIG),
        ("1.9.9", EXPLICIT_LITTLE),
    ],
)
def test_unknown_transfer_syntax_is_explicit_little_endian(uid: str, encoding: Encoding) -> None:
    """PS3.5 A.4: all but three syntaxes are explicit VR little endian, and so are those nobody has heard of."""
    order = ">" if encoding.big_endian else "<"
    body = (
        bare(0x00280010, b"\2\0") if encoding.implicit else short(0x00280010, b"US", pack(order + "H", 2), order=order)
    )

    part10 = read_part10(file(body, uid))

    assert part10.dataset["00280010"] == Element("US", (2,))
    assert part10.transfer_syntax_uid == uid
