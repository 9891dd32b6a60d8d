"""Files read by what they have in common with those before: the same as each for itself, whatever they are."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicom.dataset import Dataset
from gateway.dicom.part10 import Part10, read_part10
from gateway.dicom.part10_alike import KINDS, Alike
from gateway.errors import InvalidPart10
from tests.dicom.test_part10_read import file, long, short
from tests.samples import SAMPLE_IDS, SAMPLES, instance

VALUES = st.fixed_dictionaries(
    {},
    optional={
        "SpecificCharacterSet": st.sampled_from(["ISO_IR 100", "ISO_IR 192"]),
        "PatientName": st.sampled_from(["", "Doe", "Müller^Jörg"]),
        "StudyDescription": st.sampled_from([None, "", "Thorax"]),
        "SliceLocation": st.sampled_from(["", "1", "-12.5"]),
        "ImageType": st.sampled_from([["ORIGINAL"], ["DERIVED", "PRIMARY"]]),
        "PixelRepresentation": st.sampled_from([0, 1]),
        "PixelData": st.sampled_from([b"", bytes(100), bytes(32768)]),
    },
)


def seen(part10: Part10) -> tuple[list[object], object, object, object]:
    """Everything there is to a file, the order of its attributes included."""
    return list(part10.dataset.items()), part10.transfer_syntax_uid, part10.bulk, part10.pixel_data


def outcome(read: Callable[[bytes], Part10], data: bytes) -> object:
    """What a reader says of a file, refusals included."""
    try:
        return seen(read(data))
    except InvalidPart10 as error:
        return str(error), error.offset


def decoded_again(alike: Alike, before: Dataset, data: bytes) -> set[str]:
    """The tags of the attributes that are not the very ones of the file before. Short text is, also where it was."""
    return {tag for tag, element in alike.read(data).dataset.items() if before.get(tag) is not element}


@pytest.mark.parametrize("path", SAMPLES, ids=SAMPLE_IDS)
def test_a_file_that_comes_again_is_what_it_was(path: Path) -> None:
    """Every sample, of whatever transfer syntax, three times with a frame of others between."""
    data, other, alike = path.read_bytes(), instance(), Alike()

    for _ in range(3):
        assert seen(alike.read(data, 64)) == seen(read_part10(data, 64))
        assert seen(alike.read(memoryview(data), 4096)) == seen(read_part10(data, 4096))
        assert seen(alike.read(other)) == seen(read_part10(other))


def test_what_files_have_in_common_is_decoded_once() -> None:
    """From the third file of a series on; what differs may be longer or shorter than before."""
    alike = Alike()
    for number in (1, 100):
        before = alike.read(instance(instance_number=number)).dataset

    again = decoded_again(alike, before, instance(instance_number=10000))

    assert again == {"00020000", "00020003", "00080018", "00200013"}


def test_several_senders_take_turns() -> None:
    """As many kinds of files are remembered as there may be devices; the one that did not come for longest is not."""
    alike = Alike()
    files = [file(short(0x00080060, b"CS", b"CT") + long(0x00420011 + n, b"OB", b"ab")) for n in range(KINDS + 1)]
    first = [[alike.read(data).dataset for data in files[:KINDS]] for _ in range(2)][-1]

    assert [decoded_again(alike, before, data) for before, data in zip(first, files, strict=False)] == [set()] * KINDS

    alike.read(files[KINDS])

    assert decoded_again(alike, first[0], files[0]) != set()
    assert decoded_again(alike, first[-1], files[KINDS - 1]) == set()


# Elements of a file: a small one, plain pixels of 100 KB, and such with something large in between or behind.
SMALL = short(0x00080060, b"CS", b"CT")
PLAIN = long(0x7FE00010, b"OW", bytes(100_000))
PADDING = long(0xFFFCFFFC, b"OB", bytes(100))
MUCH = 70_000
ITEMS = struct.pack("<HHL", 0xFFFE, 0xE000, 0) * (MUCH // 8)
FRAGMENTS = bytes.fromhex("E07F10004F420000FFFFFFFF") + ITEMS + bytes.fromhex("FEFFDDE000000000")


@pytest.mark.parametrize(
    ("elements", "known"),
    [
        (SMALL, True),
        (SMALL + PLAIN, True),
        (SMALL + PLAIN + PADDING, True),
        (SMALL + long(0x00420011, b"OB", bytes(1000)) + PLAIN, True),
        (SMALL + long(0x00420011, b"OB", bytes(MUCH)) + PLAIN, False),
        (SMALL + long(0x00081140, b"SQ", ITEMS) + PLAIN, False),
        (SMALL + PLAIN + long(0xFFFCFFFC, b"OB", bytes(MUCH)), False),
        (SMALL + FRAGMENTS, False),
        (SMALL + long(0x7FE00010, b"UN", bytes(100_000)), False),
    ],
    ids="tiny plain padded bulk large-value sequence much-behind fragments other-VR".split(),
)
def test_what_takes_long_to_read_is_not_read_at_once(elements: bytes, known: bool) -> None:
    """A file of a kind that came twice is, if it is large for its pixels alone; it is what it would be otherwise."""
    data, alike = file(elements), Alike()
    assert alike.read_at_once(data) is None
    for _ in range(2):
        whole = alike.read(data)

    found = alike.read_at_once(memoryview(data))

    assert (found is not None) == known
    assert found is None or seen(found) == seen(whole) == seen(read_part10(data))
    assert alike.read_at_once(data[:-1]) is None


@given(st.lists(VALUES, min_size=3, max_size=5), st.sampled_from([0, 64, 4096]))
def test_files_that_differ_are_read_as_each_for_itself(values: list[dict[str, str]], inline_limit: int) -> None:
    """Other lengths, empty values, another character set: in any order."""
    alike = Alike()

    for number, changed in enumerate(values):
        data = instance(instance_number=number, **changed)
        assert seen(alike.read(data, inline_limit)) == seen(read_part10(data, inline_limit))


@given(st.integers(0, 6700), st.integers(1, 255))
def test_a_byte_that_differs_anywhere_is_seen(place: int, change: int) -> None:
    """In a tag, a VR, a length or a value: what is read, or why it is refused, is the same."""
    alike, third = Alike(), bytearray(instance(instance_number=3))
    for number in (1, 2):
        alike.read(instance(instance_number=number))
    third[place] ^= change

    assert outcome(alike.read, bytes(third)) == outcome(read_part10, bytes(third))


@given(st.integers(0, 7000))
def test_a_file_that_is_cut_is_refused_as_ever(length: int) -> None:
    """Wherever it ends."""
    alike, third = Alike(), instance(instance_number=3)
    for number in (1, 2):
        alike.read(instance(instance_number=number))

    assert outcome(alike.read, third[:length]) == outcome(read_part10, third[:length])


def test_a_transfer_syntax_that_differs_is_told() -> None:
    """Although all the rest is the same."""
    alike, body = Alike(), short(0x00080060, b"CS", b"CT")
    uids = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.1 ", "1.2.840.10008.1.2.5"]

    assert [alike.read(file(body, uid)).transfer_syntax_uid for uid in uids] == [uid.strip() for uid in uids]


def test_what_an_element_goes_by_may_differ() -> None:
    """What came as UN is signed or not as Pixel Representation says, and a lookup table as its descriptor does."""
    alike = Alike()
    bodies = [
        short(0x00080060, b"CS", b"CT")
        + short(0x00280103, b"US", representation)
        + long(0x00280106, b"UN", value)
        + short(0x00283002, b"US", b"\1\0\0\0\x10\0")
        + long(0x00283006, b"UN", value)
        for representation in (b"\0\0", b"\1\0")
        for value in (b"\1\0", b"\xff\xff", b"\2\0")
    ]
    files = [file(body) for body in bodies]

    assert [seen(alike.read(data)) for data in files * 2] == [seen(read_part10(data)) for data in files * 2]
