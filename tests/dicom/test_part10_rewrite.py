"""Rewriting PS3.10: what an edit touches changes, and everything else stays byte for byte."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from pathlib import Path
from struct import pack
from typing import Any

import pydicom
import pytest

from gateway.dicom.dataset import BulkData, Dataset, Element, in_tag_order
from gateway.dicom.part10 import Buffer, Part10, read_part10, rewrite
from gateway.dicom.part10_write import no_bulk
from gateway.errors import InvalidPart10
from tests.dicom.test_part10_oracle import binary_of, bytes_at, pydicom_reads
from tests.dicom.test_part10_read import (
    BIG_UID,
    DEFLATED_UID,
    END_OF_SEQUENCE,
    IMPLICIT_UID,
    ITEM,
    UNDEFINED,
    bare,
    file,
    long,
    short,
)
from tests.samples import ODD, SAMPLE_IDS, SAMPLES, sample

NAME = Element("PN", ("Doe^Jane",))
UTF_8 = Element("CS", ("ISO_IR 192",))


def bulk_of(part10: Part10, data: bytes) -> Callable[[BulkData], Buffer]:
    return lambda bulk: binary_of(Element("OB", binary=bulk), part10, data)


def edited(data: bytes, **changes: Element | None) -> bytes:
    """The file rewritten with some elements set, by names like t00100010, or removed."""
    part10 = read_part10(data)
    named = {name[1:]: element for name, element in changes.items()}
    dataset = {tag: element for tag, element in (part10.dataset | named).items() if element is not None}
    return b"".join(rewrite(data, in_tag_order(dataset), bulk_of(part10, data)))


def test_nothing_changed_is_the_same_file() -> None:
    """Rewritten with its own dataset, every real file is what it was; of the preamble zeros are left."""
    for path in SAMPLES:
        data = path.read_bytes()
        dataset = read_part10(data).dataset

        rewritten = b"".join(rewrite(data, dataset, no_bulk))

        assert rewritten == bytes(128) + data[128:], path.name


def test_preamble_is_zeroed() -> None:
    """A file that is also a program, by its preamble, leaves as DICOM only."""
    data = b"MZ" + file(b"")[2:]

    assert b"".join(rewrite(data, read_part10(data).dataset, no_bulk)) == file(b"")


@pytest.mark.parametrize("path", SAMPLES, ids=SAMPLE_IDS)
def test_a_new_name_changes_nothing_else(path: Path) -> None:
    """pydicom reads the new Patient's Name, and every other attribute and the pixel data as they were."""
    data = path.read_bytes()
    before = pydicom_reads(path)

    after = read_back(edited(data, t00100010=NAME))

    assert after["file"].pop("00100010") == ("PN", ["Doe^Jane"])
    before["file"].pop("00100010", None)
    assert after == before


def read_back(data: bytes) -> dict[str, Any]:
    """What pydicom reads in a file."""
    return pydicom_reads(io.BytesIO(data))


@pytest.mark.parametrize("name", ["JPEG 2000", "big endian", "RLE", "deflated", "implicit", "ECG"])
def test_pixel_data_is_copied(name: str) -> None:
    """An edit leaves pixel data byte for byte, and does not copy it in memory where the file has it as it is."""
    data = ODD[name].read_bytes()
    before = [bytes_at(one.value, data) for one in read_part10(data).pixel_data]

    after = edited(data, t00100010=NAME, t00104000=Element("LT", ("a comment of some length",)))

    assert [bytes_at(one.value, after) for one in read_part10(after).pixel_data] == before


def test_large_values_are_passed_on_as_views() -> None:
    """Pixel data comes out as a view into the original: an edit of a large file costs no memory."""
    data = sample("examples_rgb_color.dcm").read_bytes()
    dataset = read_part10(data).dataset

    pieces = rewrite(data, in_tag_order(dataset | {"00100010": NAME}), no_bulk)

    assert any(isinstance(piece, memoryview) and len(piece) > 230_400 for piece in pieces)
    assert sum(len(piece) for piece in pieces if isinstance(piece, bytes)) < 10_000


def test_set_add_and_remove() -> None:
    """Elements are set, added and removed, in order of tags, in the file's own encoding."""
    data = file(short(0x00080060, b"CS", b"CT") + short(0x00100010, b"PN", b"A^") + short(0x00100020, b"LO", b"1 "))

    after = edited(data, t00080060=None, t00100010=NAME, t00100040=Element("CS", ("F",)))

    assert after == file(
        short(0x00100010, b"PN", b"Doe^Jane") + short(0x00100020, b"LO", b"1 ") + short(0x00100040, b"CS", b"F ")
    )


def test_implicit_and_big_endian_stay_what_they_are() -> None:
    """New elements are in the encoding of the original's transfer syntax."""
    rows = Element("US", (2,))

    implicit = edited(file(bare(0x00080060, b"CT"), IMPLICIT_UID), t00280010=rows)
    big = edited(file(short(0x00080060, b"CS", b"CT", order=">"), BIG_UID), t00280010=rows)

    assert implicit == file(bare(0x00080060, b"CT") + bare(0x00280010, b"\2\0"), IMPLICIT_UID)
    assert big == file(
        short(0x00080060, b"CS", b"CT", order=">") + short(0x00280010, b"US", b"\0\2", order=">"), BIG_UID
    )


def test_deflated_stays_deflated() -> None:
    """An edited deflated dataset is deflated again, to an even length."""
    compressor = zlib.compressobj(wbits=-15)
    data = file(compressor.compress(short(0x00080060, b"CS", b"CT")) + compressor.flush(), DEFLATED_UID)

    after = edited(data, t00080060=Element("CS", ("MR",)))

    body = after[len(file(b"", DEFLATED_UID)) :]
    assert zlib.decompressobj(-15).decompress(body) == short(0x00080060, b"CS", b"MR")
    assert len(body) % 2 == 0


ODD_ELEMENTS = {
    "padding of NULs": short(0x00100020, b"LO", b"12\0\0"),
    "odd length": short(0x00100020, b"LO", b"123"),
    "US of three bytes": short(0x00280010, b"US", b"123"),
    "UN of a standard attribute": long(0x00100020, b"UN", b"12"),
    "no VR": bare(0x00100020, b"12"),
    "VR of no standard": short(0x00100020, b"ZZ", b"12"),
    "text in no character set": short(0x00104000, b"LT", b"\xff\xfe\xfd!"),
    "NaN with a payload": short(0x00189310, b"FD", b"\1\2\3\4\5\6\xf8\x7f"),
    "sequence that is UN": long(
        0x00401001, b"UN", bare(ITEM, bare(0x00100020, b"1 ")) + bare(END_OF_SEQUENCE, b""), UNDEFINED
    ),
    "the same twice": short(0x00100020, b"LO", b"12") * 2,
}


@pytest.mark.parametrize("odd", ODD_ELEMENTS.values(), ids=ODD_ELEMENTS.keys())
def test_what_is_odd_and_not_edited_stays_odd(odd: bytes) -> None:
    """The edit of one element is no reason to put another one right."""
    data = file(short(0x00080060, b"CS", b"CT") + odd)

    assert edited(data, t00080060=Element("CS", ("MR",))) == file(short(0x00080060, b"CS", b"MR") + odd)


def test_group_length_goes_with_an_edit_of_its_group() -> None:
    """A retired group length is dropped where it would lie, and kept where it is still true."""
    kept = short(0x00080000, b"UL", pack("<L", 10)) + short(0x00080060, b"CS", b"CT")
    stale = short(0x00100000, b"UL", pack("<L", 10))

    after = edited(file(kept + stale + short(0x00100010, b"PN", b"A^")), t00100010=NAME)

    assert after == file(kept + short(0x00100010, b"PN", b"Doe^Jane"))


def test_an_edit_in_an_item_leaves_its_neighbours() -> None:
    """In a sequence, items and elements that did not change are copied; lengths are those of the new bytes."""
    odd = short(0x00081150, b"UI", b"1.2 ")
    first = bare(ITEM, odd + short(0x00081155, b"UI", b"1.3\0"))
    second = bare(ITEM, odd, UNDEFINED) + bare(0xFFFEE00D, b"")
    data = file(long(0x00081140, b"SQ", first + second))
    items = read_part10(data).dataset["00081140"].items
    new = {**items[0], "00081155": Element("UI", ("1.4.5",))}

    after = edited(data, t00081140=Element("SQ", items=(new, items[1])))

    assert after == file(long(0x00081140, b"SQ", bare(ITEM, odd + short(0x00081155, b"UI", b"1.4.5\0")) + second))


def test_an_item_that_moved_is_the_same_item() -> None:
    """An item removed before others shifts them; their bytes come along."""
    kept = bare(ITEM, short(0x00081150, b"UI", b"1.2 "), UNDEFINED) + bare(0xFFFEE00D, b"")
    data = file(long(0x00081140, b"SQ", bare(ITEM, short(0x00081150, b"UI", b"1.1\0")) + kept))
    items = read_part10(data).dataset["00081140"].items

    assert edited(data, t00081140=Element("SQ", items=items[1:])) == file(long(0x00081140, b"SQ", kept))


def test_private_sequence_in_implicit_vr_stays_a_sequence() -> None:
    """Without a VR in the file, undefined length is what tells a private sequence from UN."""
    data = ODD["private sequence, implicit"].read_bytes()
    sequence = read_part10(data).dataset["00010001"]
    new = Element("SQ", items=({**sequence.items[0], "00010002": Element("UN", binary=b"new!")},))

    after = read_part10(edited(data, t00010001=new))

    assert after.dataset["00010001"] == new


def test_transfer_syntax_is_the_originals() -> None:
    """What the dataset says of the transfer syntax cannot change how the pixels are encoded."""
    data = sample("JPEG2000.dcm").read_bytes()

    after = edited(data, t00020010=Element("UI", ("1.2.840.10008.1.2",)), t00100010=NAME)

    assert read_part10(after).transfer_syntax_uid == "1.2.840.10008.1.2.4.91"


def test_media_storage_sop_instance_uid_follows() -> None:
    """A new SOP Instance UID is in the file meta information too, and the group length is right."""
    data = sample("CT_small.dcm").read_bytes()

    after = edited(data, t00080018=Element("UI", ("1.2.3.4",)))

    read = pydicom.dcmread(io.BytesIO(after))
    assert read.file_meta.MediaStorageSOPInstanceUID == read.SOPInstanceUID == "1.2.3.4"
    start = 128 + 4 + 12
    assert after[start + read.file_meta.FileMetaInformationGroupLength :][:2] == b"\x08\x00"


def test_file_meta_information_keeps_what_it_must_have() -> None:
    """A dataset without group 0002 leaves the elements of type 1, and drops the others."""
    data = sample("CT_small.dcm").read_bytes()
    dataset = {tag: element for tag, element in read_part10(data).dataset.items() if tag > "0003"}

    after = read_part10(b"".join(rewrite(data, dataset, no_bulk))).dataset

    kept = [tag for tag in after if tag < "0003"]
    assert kept == ["00020000", "00020001", "00020002", "00020003", "00020010", "00020012"]


def test_text_is_written_in_the_stored_character_set() -> None:
    """A name that ISO_IR 100 has is written in it."""
    data = file(short(0x00080005, b"CS", b"ISO_IR 100") + short(0x00100010, b"PN", b"A^"))

    after = edited(data, t00100010=Element("PN", ("M\xfcller",)))

    assert after == file(short(0x00080005, b"CS", b"ISO_IR 100") + short(0x00100010, b"PN", b"M\xfcller"))


def test_text_that_does_not_fit_switches_the_instance_to_utf_8() -> None:
    """One name beyond the character set, and all text is UTF-8, in items too; what is ASCII is not touched."""
    item = short(0x00080005, b"CS", b"ISO_IR 126") + short(0x00080104, b"LO", b"\xe1 ")
    data = file(
        short(0x00080005, b"CS", b"ISO_IR 100")
        + short(0x00081040, b"LO", b"R\xf6ntgen ")
        + long(0x00082218, b"SQ", bare(ITEM, item))
        + short(0x00100010, b"PN", b"A^")
        + short(0x00100020, b"LO", b"1\0")
    )

    after = edited(data, t00100010=Element("PN", ("王^小東",)))

    new_item = short(0x00080005, b"CS", b"ISO_IR 192") + short(0x00080104, b"LO", "α".encode())
    assert after == file(
        short(0x00080005, b"CS", b"ISO_IR 192")
        + short(0x00081040, b"LO", "Röntgen".encode())
        + long(0x00082218, b"SQ", bare(ITEM, new_item))
        + short(0x00100010, b"PN", "王^小東".encode())
        + short(0x00100020, b"LO", b"1\0")
    )


def test_no_character_set_and_a_name_beyond_ascii() -> None:
    """A file without Specific Character Set gets ISO_IR 192 with its first umlaut."""
    data = file(short(0x00100010, b"PN", b"A^"))

    after = edited(data, t00100010=Element("PN", ("Müller",)))

    assert after == file(short(0x00080005, b"CS", b"ISO_IR 192") + short(0x00100010, b"PN", "Müller ".encode()))


def test_an_edited_character_set_rewrites_the_text() -> None:
    """Specific Character Set is not a label on the bytes: change it, and the text is written in it."""
    data = file(short(0x00080005, b"CS", b"ISO_IR 100") + short(0x00100010, b"PN", b"M\xfcller"))

    assert edited(data, t00080005=UTF_8) == file(
        short(0x00080005, b"CS", b"ISO_IR 192") + short(0x00100010, b"PN", "Müller ".encode())
    )


@pytest.mark.parametrize("name", ["Japanese, ISO 2022", "Japanese, JIS X 0201", "Korean, ISO 2022"])
def test_east_asian_text_survives_a_switch_to_utf_8(name: str) -> None:
    """pydicom reads the same names after an edit that needs UTF-8."""
    path = ODD[name]
    before = pydicom_reads(path)["file"]["00100010"]

    after = read_back(edited(path.read_bytes(), t00104000=Element("LT", ("\N{SNOWMAN}",))))

    assert after["file"]["00080005"] == ("CS", ["ISO_IR 192"])
    assert after["file"]["00100010"] == before


def test_a_lone_surrogate_is_refused() -> None:
    """Half a character has no bytes in any character set."""
    with pytest.raises(InvalidPart10, match="no character set"):
        edited(file(b""), t00100010=Element("PN", ("\ud800",)))


@pytest.mark.parametrize(
    "element",
    [Element("US", (70000,)), Element("SS", (-40000,)), Element("UL", (1.5,)), Element("FL", (1e300,))],
    ids=repr,
)
def test_a_number_its_vr_cannot_have_is_refused(element: Element) -> None:
    """The error names the tag and the VR, and not the value."""
    with pytest.raises(InvalidPart10, match=f"00280010: a value that {element.vr} cannot have"):
        edited(file(b""), t00280010=element)


def test_a_large_value_that_is_new_is_fetched() -> None:
    """A BulkData the original does not have is written from its bytes, in the file's byte order."""
    bulk = BulkData("0" * 32, 4)
    dataset: Dataset = {"00091001": Element("OW", binary=bulk)}
    data = file(b"", BIG_UID)

    after = b"".join(rewrite(data, read_part10(data).dataset | dataset, {bulk: b"\1\2\3\4"}.__getitem__))

    assert after == file(long(0x00091001, b"OW", b"\2\1\4\3", order=">"), BIG_UID)


def test_binary_values_are_compared_wherever_they_are() -> None:
    """Inline in the dataset and large for the rewrite, or the other way round: the same bytes are no edit."""
    data = file(long(0x00091001, b"OB", bytes(5000)) + long(0x00091002, b"OB", b"ab"))

    for limit in (0, 10_000):
        dataset = read_part10(data, inline_limit=limit).dataset
        assert b"".join(rewrite(data, dataset, no_bulk)) == data


def test_a_short_vr_too_long_for_its_header_is_un() -> None:
    """PS3.5 section 6.2.2: in explicit VR, more than 65,534 bytes are written as UN, and read as what they are."""
    contour = Element("DS", ("1.25",) * 19_999 + ("1.5",))

    after = edited(file(b""), t30060050=contour)

    assert after[len(file(b"")) :][:8] == b"\x06\x30\x50\x00UN\0\0"
    assert read_part10(after).dataset["30060050"] == contour
