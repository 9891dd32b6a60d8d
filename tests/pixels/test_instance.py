"""A whole instance in another transfer syntax: the same pixels, the same attributes, read by everybody."""

from __future__ import annotations

import io
import shutil
import subprocess
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from gateway.dicom.part10 import read_part10
from gateway.errors import NotAcceptable, TooLarge
from gateway.pixels import instance as instance_module
from gateway.pixels.decode import decode_frame
from gateway.pixels.frames import frame_numbers, read_frames
from gateway.pixels.instance import encapsulated, transcode_instance
from gateway.pixels.transfer_syntaxes import TRANSFER_SYNTAXES
from tests.pixels.images import (
    DECODABLE,
    DECODABLE_IDS,
    UNDECODABLE,
    UNREADABLE,
    gradient,
    has_room,
    instance_of,
    one_of_each_kind,
)
from tests.samples import SAMPLE_IDS, SAMPLES, sample

EXPLICIT = "1.2.840.10008.1.2.1"
HTJ2K = "1.2.840.10008.1.2.4.202"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
RLE = "1.2.840.10008.1.2.5"
LOSSLESS = [line.uid for line in TRANSFER_SYNTAXES.values() if line.encodes and line.lossless]

# What may differ between two transfer syntaxes of one instance.
ENCODING = {"00020000", "00020010", "00280004", "00280006", "7FE00001", "7FE00002"}


def transcoded(data: bytes, uid: str) -> bytes:
    return b"".join(transcode_instance(data, uid))


def attributes_of(data: bytes) -> dict[str, Any]:
    """Return all attributes but those of the encoding, and groups' lengths."""
    dataset = read_part10(data, inline_limit=2**30).dataset
    return {tag: element for tag, element in dataset.items() if tag not in ENCODING}


def quietly(data: bytes) -> pydicom.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(io.BytesIO(data))


@pytest.mark.parametrize("path", SAMPLES, ids=SAMPLE_IDS)
def test_every_sample_keeps_its_attributes_in_explicit_vr(path: Path) -> None:
    """All attributes of all samples, those without pixels too, are the same in explicit VR little endian."""
    data = path.read_bytes()
    if reason := (UNREADABLE | UNDECODABLE).get(path.name):
        pytest.skip(reason)

    explicit = transcoded(data, EXPLICIT)

    assert read_part10(explicit).transfer_syntax_uid == EXPLICIT
    assert attributes_of(explicit) == attributes_of(data)


@pytest.mark.parametrize("path", DECODABLE, ids=DECODABLE_IDS)
def test_every_sample_keeps_its_pixels_in_explicit_vr(path: Path) -> None:
    """Its first frame decodes to the same samples and colours. Uncompressed, PS3.5 A.2: OW above 8 bits."""
    data = path.read_bytes()
    before, after = read_frames(data), read_frames(transcoded(data, EXPLICIT))

    one, other = decode_frame(before, 1), decode_frame(after, 1)

    assert np.array_equal(one.pixels, other.pixels)
    assert one.photometric_interpretation == other.photometric_interpretation
    assert before.count == after.count


@pytest.mark.parametrize("uid", LOSSLESS)
@pytest.mark.parametrize("path", one_of_each_kind(), ids=lambda path: path.name)
def test_an_instance_in_any_transfer_syntax_is_the_same_instance(path: Path, uid: str) -> None:
    """Attributes, every frame, and what pydicom reads of it."""
    data = path.read_bytes()
    if not has_room(read_frames(data).description, uid):
        pytest.skip("refused, as tests/pixels/test_encode.py shows")

    other = transcoded(data, uid)

    before, after = read_frames(data), read_frames(other)
    assert attributes_of(other) == attributes_of(data)
    assert after.offset_table_problem() is None
    for number in list(frame_numbers(before))[:3]:
        assert np.array_equal(decode_frame(before, number).pixels, decode_frame(after, number).pixels)
    dataset = quietly(other)
    assert dataset.file_meta.TransferSyntaxUID == uid
    assert dataset.pixel_array.size == np.prod(before.description.shape) * before.count


def test_the_same_transfer_syntax_is_the_same_file() -> None:
    """Nothing is read, nothing is written."""
    data = sample("MR_small_RLE.dcm").read_bytes()

    assert transcode_instance(data, RLE) == [data]


def test_pieces_of_a_file_are_taken_too() -> None:
    """As `rewrite` returns an edited one."""
    data = sample("CT_small.dcm").read_bytes()

    assert b"".join(transcode_instance([data[:1000], data[1000:]], HTJ2K)) == transcoded(data, HTJ2K)


def test_elements_that_need_not_change_are_copied() -> None:
    """From explicit VR, each element but the encoding's lies in the new file as in the old one."""
    data = sample("CT_small.dcm").read_bytes()
    start, end = data.index(b"\x08\x00\x05\x00CS"), data.index(b"\x28\x00\x04\x00CS")

    assert data[start:end] in transcoded(data, HTJ2K)


def test_rgb_becomes_ybr_rct_and_back() -> None:
    """Photometric Interpretation goes with the encoding, and Planar Configuration is 0 (PS3.5 8.2.4)."""
    data = sample("color-pl.dcm").read_bytes()

    compressed = transcoded(data, HTJ2K)
    again = transcoded(compressed, EXPLICIT)

    described = [
        (quietly(file).PhotometricInterpretation, quietly(file).PlanarConfiguration) for file in (compressed, again)
    ]
    assert described == [("YBR_RCT", 0), ("RGB", 0)]


def test_monochrome_has_no_planar_configuration() -> None:
    """PS3.3 Table C.7-11c: only with several samples per pixel."""
    assert "PlanarConfiguration" not in quietly(transcoded(sample("MR_small_RLE.dcm").read_bytes(), HTJ2K))


def test_lossy_stays_known_as_lossy() -> None:
    """What says that an image was once compressed with loss is not touched (PS3.3 C.7.6.1.1.5)."""
    data = sample("examples_ybr_color.dcm").read_bytes()

    before, after = quietly(data), quietly(transcoded(data, EXPLICIT))

    assert (before.LossyImageCompression, before.LossyImageCompressionRatio) == ("01", 19)
    assert (after.LossyImageCompression, after.LossyImageCompressionRatio) == ("01", 19)
    assert after.PhotometricInterpretation == "RGB"


def test_extended_offset_table_goes_with_the_fragments_it_was_of() -> None:
    """A new file has a table of its own."""
    dataset = pydicom.dcmread(sample("emri_small_RLE.dcm"))
    dataset.ExtendedOffsetTable = bytes(80)
    dataset.ExtendedOffsetTableLengths = bytes(80)
    file = io.BytesIO()
    dataset.save_as(file)

    after = quietly(transcoded(file.getvalue(), HTJ2K))

    assert "ExtendedOffsetTable" not in after
    assert read_frames(transcoded(file.getvalue(), HTJ2K)).offset_table_problem() is None


def test_encapsulated_frames_written_out() -> None:
    """PS3.5 Table A.4-2: the Basic Offset Table counts from the first fragment, and odd frames are padded."""
    elements = encapsulated([b"abc", b"de"])

    assert b"".join(elements["7FE00010"]) == (
        b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"
        b"\xfe\xff\x00\xe0\x08\0\0\0" + b"\0\0\0\0" + b"\x0c\0\0\0" +
        b"\xfe\xff\x00\xe0\x04\0\0\0abc\0"
        b"\xfe\xff\x00\xe0\x02\0\0\0de"
        b"\xfe\xff\xdd\xe0\0\0\0\0"
    )  # fmt: skip


def test_frames_beyond_32_bits_have_the_extended_offset_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """PS3.5 A.4: where an offset needs more than 32 bits the Basic Offset Table is empty."""
    monkeypatch.setattr(instance_module, "_MAX_BASIC_OFFSET", 11)

    elements = {tag: b"".join(pieces) for tag, pieces in encapsulated([b"abc", b"de"]).items()}

    assert elements["7FE00001"][12:] == (0).to_bytes(8, "little") + (12).to_bytes(8, "little")
    assert elements["7FE00002"][12:] == (3).to_bytes(8, "little") + (2).to_bytes(8, "little")
    assert elements["7FE00010"][12:20] == b"\xfe\xff\x00\xe0\0\0\0\0"


def test_an_odd_frame_is_padded() -> None:
    """Native Pixel Data of an odd number of bytes have a NUL after them (PS3.5 8.1.1)."""
    pixels = np.arange(9, dtype="u1").reshape(3, 3)

    after = transcoded(transcoded(instance_of(pixels), RLE), EXPLICIT)

    assert quietly(after).PixelData == bytes(range(9)) + b"\0"


@pytest.mark.parametrize("uid", [EXPLICIT, HTJ2K])
@pytest.mark.parametrize("source", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_sequences_and_numbers_come_along(source: str, uid: str) -> None:
    """From implicit VR and big endian each element is written anew, in items too."""
    item = pydicom.Dataset()
    item.ReferencedFrameNumber = [1, 2]
    item.ReferencedSOPInstanceUID = "1.2"
    data = instance_of(
        gradient(dtype=">i2" if source == ExplicitVRBigEndian else "<i2"),
        transfer_syntax=source,
        ReferencedImageSequence=[item, item],
        RescaleSlope="1.50 ",
        GridFrameOffsetVector=[1],
    )

    after = quietly(transcoded(data, uid))

    assert [list(one.ReferencedFrameNumber) for one in after.ReferencedImageSequence] == [[1, 2], [1, 2]]
    assert after.get_item("RescaleSlope").value == b"1.50"
    assert np.array_equal(after.pixel_array, gradient())


def test_no_pixel_data_no_compression() -> None:
    """A structured report can be uncompressed only."""
    with pytest.raises(NotAcceptable, match="without Pixel Data cannot be compressed"):
        transcode_instance(sample("test-SR.dcm").read_bytes(), HTJ2K)


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.81", "1.2.3"])
def test_what_is_not_written_is_refused(uid: str) -> None:
    """PS3.18 8.7.3: implicit VR and big endian are not for the web; of the rest we say what is written."""
    with pytest.raises(NotAcceptable, match="is not written here"):
        transcode_instance(sample("CT_small.dcm").read_bytes(), uid)


def test_no_instance_is_compressed_with_loss() -> None:
    """It would be another instance, and this one has its UID."""
    with pytest.raises(NotAcceptable, match="would be another one"):
        transcode_instance(instance_of(gradient(dtype="|u1")), "1.2.840.10008.1.2.4.50")


def test_pixels_that_would_fill_the_memory_are_refused() -> None:
    """Decoded they would be 40 GB: the file has none of them, and says so before it is asked for any."""
    data = instance_of([b"\0\0"], rows=20000, columns=20000, transfer_syntax=RLE, NumberOfFrames=100)

    with pytest.raises(TooLarge, match="decoded, are not transcoded here"):
        transcode_instance(data, HTJ2K)


DCMTK = {JPEG_LS: "dcmdjpls", JPEG_LOSSLESS: "dcmdjpeg", RLE: "dcmdrle"}


@pytest.mark.parametrize("name", ["CT_small.dcm", "color-px.dcm", "emri_small.dcm", "OBXXXX1A.dcm"])
@pytest.mark.parametrize("uid", DCMTK)
def test_dcmtk_decodes_what_we_encode(uid: str, name: str, tmp_path: Path) -> None:
    """An independent implementation gives the pixels back: signed, colour, several frames, a palette."""
    program = shutil.which(DCMTK[uid])
    if program is None:
        pytest.skip(f"{DCMTK[uid]} is not here")
    data = sample(name).read_bytes()
    (tmp_path / "compressed.dcm").write_bytes(transcoded(data, uid))

    subprocess.run([program, tmp_path / "compressed.dcm", tmp_path / "plain.dcm"], check=True, capture_output=True)

    plain = pydicom.dcmread(tmp_path / "plain.dcm")
    assert np.array_equal(plain.pixel_array, pydicom.dcmread(sample(name)).pixel_array)


def test_a_compressed_instance_is_smaller() -> None:
    """The point of it: a CT in HTJ2K is about a third of what it was."""
    data = sample("693_UNCR.dcm").read_bytes()

    assert len(transcoded(data, HTJ2K)) < len(data) / 3
