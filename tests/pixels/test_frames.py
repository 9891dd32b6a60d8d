"""Frames as they are stored: native and encapsulated, with every kind of offset table and with none."""

from __future__ import annotations

import io
import warnings
from itertools import accumulate
from pathlib import Path
from struct import pack

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import ExplicitVRBigEndian

from gateway.errors import InvalidPart10, NotFound
from gateway.pixels.frames import Frames, frame_numbers, read_frames
from tests.pixels.images import WITH_PIXELS, WITH_PIXELS_IDS, frames_in, frames_of, instance_of
from tests.samples import sample

# pydicom looks for the delimiter's bytes, and finds them in a codestream.
NOT_BY_THE_ORACLE = {"JPEG2000-embedded-sequence-delimiter.dcm"}

JPEG = "1.2.840.10008.1.2.4.50"
RLE = "1.2.840.10008.1.2.5"
VIDEO = "1.2.840.10008.1.2.4.102"


def encapsulated(frames: list[bytes], **options: object) -> Frames:
    return frames_in(frames, rows=8, columns=8, transfer_syntax=options.pop("transfer_syntax", JPEG), **options)


def stored(frames: Frames) -> list[bytes]:
    return [bytes(frames.frame(number)) for number in frame_numbers(frames)]


def jpeg(name: int, length: int = 9) -> bytes:
    """Return what begins as a JPEG does."""
    return b"\xff\xd8\xff" + bytes([name]) * (length - 3)


ENCAPSULATED = [path for path in WITH_PIXELS if frames_of(path).encapsulated and path.name not in NOT_BY_THE_ORACLE]


@pytest.mark.parametrize("path", ENCAPSULATED, ids=lambda path: path.name)
def test_encapsulated_samples_have_the_frames_pydicom_finds(path: Path) -> None:
    """Every frame of every encapsulated sample, byte for byte."""
    frames = frames_of(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path)

    expected = list(generate_frames(dataset.PixelData, number_of_frames=frames.count))

    assert stored(frames) == expected


NATIVE = [path for path in WITH_PIXELS if not frames_of(path).encapsulated]


@pytest.mark.parametrize("path", NATIVE, ids=lambda path: path.name)
def test_native_samples_frames_are_their_pixel_data(path: Path) -> None:
    """The frames one after the other are Pixel Data, up to padding."""
    value = pydicom.dcmread(path).PixelData

    joined = b"".join(stored(frames_of(path)))

    assert value.startswith(joined)


def test_no_sample_is_left_out() -> None:
    """All samples with Pixel Data are in one of the two tests above, but the one pydicom cannot take apart."""
    assert len(ENCAPSULATED) + len(NATIVE) + len(NOT_BY_THE_ORACLE) == len(WITH_PIXELS) == len(WITH_PIXELS_IDS)


def test_a_frame_is_a_view_of_the_file() -> None:
    """Nothing is copied where a frame lies in the file in one piece."""
    data = sample("emri_small.dcm").read_bytes()

    assert read_frames(data).frame(3).obj is data


@pytest.mark.parametrize("offset_table", [True, False], ids=["table", "no table"])
@pytest.mark.parametrize("fragments", [1, 3])
def test_fragments_make_frames(offset_table: bool, fragments: int) -> None:
    """Frames of one and of several fragments, with a Basic Offset Table, and without one by how a JPEG begins."""
    frames = [jpeg(1, 12), jpeg(2, 18), jpeg(3, 24)]

    assert stored(encapsulated(frames, offset_table=offset_table, fragments=fragments)) == frames


def test_one_frame_is_all_fragments() -> None:
    """With one frame there is nothing to tell apart, whatever its fragments begin with."""
    assert stored(encapsulated([b"abcdefghijkl"], offset_table=False, fragments=4)) == [b"abcdefghijkl"]


def test_video_is_one_frame() -> None:
    """Number of Frames counts pictures, and all of them are in one stream."""
    frames = encapsulated([b"abcd", b"efgh"], transfer_syntax=VIDEO, NumberOfFrames=500)

    assert frames.count == 1
    assert stored(frames) == [b"abcdefgh"]


def extended(frames: list[bytes], fragments: list[bytes], offsets: list[int], lengths: list[int]) -> Frames:
    """Return frames with an Extended Offset Table, which has fragments and numbers of its own."""
    data = instance_of(frames, rows=8, columns=8, transfer_syntax=JPEG, offset_table=False)
    dataset = pydicom.dcmread(io.BytesIO(data))
    dataset.PixelData = encapsulate(fragments, has_bot=False)
    dataset.ExtendedOffsetTable = pack(f"<{len(offsets)}Q", *offsets)
    dataset.ExtendedOffsetTableLengths = pack(f"<{len(lengths)}Q", *lengths)
    file = io.BytesIO()
    dataset.save_as(file)
    return read_frames(file.getvalue())


def test_extended_offset_table_gives_lengths_without_padding() -> None:
    """(7FE0,0002) says where the padding begins; PS3.5 A.4."""
    frames = [b"odd", b"even"]

    assert stored(extended(frames, frames, [0, 12], [3, 4])) == [b"odd", b"even"]


def test_extended_offset_table_tells_frames_apart() -> None:
    """(7FE0,0001) counts from the first item after the empty Basic Offset Table."""
    fragments = [b"aa", b"bb", b"cc", b"dd"]

    assert stored(extended([b"xx", b"xx"], fragments, [0, 30], [6, 2])) == [b"aabbcc", b"dd"]


# What is wrong with a table for two frames of two fragments each, which are 8 + 2 bytes: 0 and 20 would be right.
WRONG_TABLES = {
    "too short": ([0], "has 1 entries for 2 frames"),
    "too long": ([0, 20, 30], "has 3 entries for 2 frames"),
    "not from 0": ([10, 20], "does not start with 0 and ascend"),
    "not ascending": ([0, 0], "does not start with 0 and ascend"),
    "between fragments": ([0, 15], "points to where no fragment starts"),
    "past the end": ([0, 400], "points to where no fragment starts"),
}


@pytest.mark.parametrize(("offsets", "reason"), WRONG_TABLES.values(), ids=WRONG_TABLES)
def test_a_wrong_offset_table_is_refused_where_it_is_needed(offsets: list[int], reason: str) -> None:
    """Where only the table could tell the frames apart, a wrong one is an error and not a guess."""
    frames = extended([b"xx", b"xx"], [b"aa", b"bb", b"cc", b"dd"], offsets, [])

    with pytest.raises(InvalidPart10, match=reason):
        frames.frame(1)


def test_a_wrong_offset_table_does_no_harm_where_it_is_not_needed() -> None:
    """Two fragments for two frames can be shared out in one way only; the table's fault is still told."""
    frames = extended([b"xx", b"xx"], [b"aa", b"bb"], [0, 3], [])

    assert stored(frames) == [b"aa", b"bb"]
    assert frames.offset_table_problem() == "the offset table of Pixel Data points to where no fragment starts"


def test_a_right_offset_table_has_no_problem() -> None:
    """What encapsulate() of pydicom writes."""
    assert encapsulated([jpeg(1), jpeg(2)], fragments=2).offset_table_problem() is None


def test_fewer_fragments_than_frames_are_refused() -> None:
    """Number of Frames promises more than there is."""
    with pytest.raises(InvalidPart10, match="have 2 fragments for 3 frames"):
        encapsulated([b"aa", b"bb"], NumberOfFrames=3).frame(1)


def test_fragments_that_nothing_tells_apart_are_refused() -> None:
    """No table, and no beginning of a codestream."""
    with pytest.raises(InvalidPart10, match="no offset table to tell them apart"):
        encapsulated([b"aabb", b"ccdd"], offset_table=False, fragments=2).frame(1)


def test_native_pixel_data_that_end_too_early() -> None:
    """The frames that are there are given out; the one that is cut is an error."""
    frames = frames_in(np.arange(12, dtype="u1").reshape(3, 4), rows=2, columns=4, NumberOfFrames=2)

    assert bytes(frames.frame(1)) == bytes(range(8))
    with pytest.raises(InvalidPart10, match="end before frame 2 does"):
        frames.frame(2)


def test_an_instance_without_pixel_data_has_no_frames() -> None:
    """A structured report."""
    with pytest.raises(NotFound, match="Pixel Data of this instance does not exist"):
        read_frames(sample("test-SR.dcm").read_bytes())


@pytest.mark.parametrize("rows", [1, 3, 5])
def test_bits_of_a_frame_are_taken_from_between_bytes(rows: int) -> None:
    """Frames of 1-bit pixels follow each other without padding; each is given out from its first bit on."""
    bits = np.random.default_rng(rows).integers(0, 2, (4, rows, 3), "u1")
    packed = np.packbits(bits, bitorder="little").reshape(1, -1)
    frames = frames_in(packed, rows=rows, columns=3, BitsAllocated=1, BitsStored=1, NumberOfFrames=4)

    expected = [np.packbits(frame, bitorder="little").tobytes() for frame in bits]
    assert stored(frames) == expected


@pytest.mark.parametrize(
    ("big", "little"),
    [
        ("MR_small_bigendian.dcm", "MR_small.dcm"),
        ("liver_expb.dcm", "liver.dcm"),
        ("rtdose_expb.dcm", "rtdose.dcm"),
        ("OBXXXX1A_expb_2frame.dcm", "OBXXXX1A_2frame.dcm"),
        ("SC_rgb_expb_16bit_2frame.dcm", "SC_rgb_16bit_2frame.dcm"),
    ],
)
def test_big_endian_frames_turned_are_the_little_endian_ones(big: str, little: str) -> None:
    """Samples of 1, 8, 16 and 32 bits, of which pydicom's data have both: 8 bits lie in words of OW or bytes of OB."""
    turned = frames_of(sample(big))

    assert [bytes(turned.frame_little_endian(number)) for number in frame_numbers(turned)] == stored(
        frames_of(sample(little))
    )


def test_odd_frames_of_big_endian_words() -> None:
    """PS3.5 A.3: 8-bit samples in OW lie two to a word, and a frame of 9 bytes ends in the middle of one."""
    values = bytes(range(18))
    words = b"".join(values[i + 1 : i + 2] + values[i : i + 1] for i in range(0, 18, 2))
    pixels = np.frombuffer(words, "u1").reshape(1, 18)

    frames = frames_in(pixels, rows=3, columns=3, NumberOfFrames=2, transfer_syntax=ExplicitVRBigEndian, vr="OW")

    assert [bytes(frames.frame_little_endian(number)) for number in (1, 2)] == [values[:9], values[9:]]


def test_offsets_of_a_table_count_from_the_first_fragment() -> None:
    """A written-out example of PS3.5 Table A.4-2: three frames, the first of two fragments."""
    fragments = [b"\xff\xd8aa", b"bb", b"cccc", b"dd"]
    items = b"".join(b"\xfe\xff\x00\xe0" + pack("<L", len(item)) + item for item in fragments)
    starts = [0, *accumulate(8 + len(item) for item in fragments)]
    table = pack("<3L", starts[0], starts[2], starts[3])
    data = instance_of([b"xxxx"] * 3, rows=8, columns=8, transfer_syntax=JPEG, offset_table=False)
    dataset = pydicom.dcmread(io.BytesIO(data))
    dataset.PixelData = b"\xfe\xff\x00\xe0" + pack("<L", 12) + table + items
    file = io.BytesIO()
    dataset.save_as(file)

    assert stored(read_frames(file.getvalue())) == [b"\xff\xd8aabb", b"cccc", b"dd"]
