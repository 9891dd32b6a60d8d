"""How metadata lies in the log: heads, parts, manifests, and the one gzip member they join into."""

from __future__ import annotations

import gzip
import json
import subprocess
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import StorageFailed
from gateway.metadata.document import to_document
from gateway.metadata.image_set import Attributes, Head, ImageSetMetadata
from gateway.store.log.heads import pack_head, read_head, unpack_head
from gateway.store.log.manifest import NO_PART, Manifest, PartReference, unpack_manifest
from gateway.store.log.parts import (
    BYTES_IN_PART,
    INSTANCES_IN_PART,
    Part,
    PlacedInstance,
    instances_by_uid,
    instances_of,
    pack_part,
    pack_parts,
    texts_of,
    unpack_index,
    unpack_part,
)
from gateway.store.log.version_document import join_gzip

DATASTORE = "d" * 32
IMAGE_SET = "5" * 32
HEAD = Head(
    {"DICOM": {"PatientName": 'O"Brien^"Instances":{}', "PatientID": "P1"}},
    {"DICOM": {"StudyInstanceUID": "1.2"}},
    {"DICOM": {"SeriesInstanceUID": "1.2.3", "SeriesDescription": '"Instances":{}'}},
)


def placed(number: int, size: int = 0) -> PlacedInstance:
    dicom: Attributes = {"SOPInstanceUID": f"1.2.3.{number}", "SOPClassUID": "1.2.840", "ImageComments": "x" * size}
    return PlacedInstance(f"1.2.3.{number}", number, {"DICOM": dicom, "DICOMVRs": {}})


def test_a_part_holds_at_most_64_instances() -> None:
    """130 small instances make three parts, in their order."""
    parts = pack_parts(placed(number) for number in range(130))

    assert [part.count for part in parts] == [64, 64, 2]
    assert [one.object_number for part in parts for one in unpack_part(part)] == list(range(130))
    assert [part.full for part in parts] == [True, True, False]


def test_a_part_holds_at_most_256_kib_of_json() -> None:
    """Three instances of 100 KB make two parts."""
    parts = pack_parts(placed(number, size=100_000) for number in range(3))

    assert [part.count for part in parts] == [2, 1]
    assert all(part.raw_length <= BYTES_IN_PART for part in parts)


def test_an_instance_larger_than_a_part_has_one_of_its_own() -> None:
    """The limit cuts between instances, never within one."""
    parts = pack_parts([placed(1), placed(2, size=300_000), placed(3)])

    assert [part.count for part in parts] == [1, 1, 1]


def test_no_instances_make_no_part() -> None:
    """An image set whose last instance is gone has nothing to keep."""
    assert pack_parts([]) == []


def test_a_slot_stays_one_part_whatever_its_instances_grow_to() -> None:
    """An edit may make a part larger than the limits; it is not cut, so that slots stay."""
    part = pack_part(placed(number, size=10_000) for number in range(INSTANCES_IN_PART + 1))

    assert part.count == 65


def test_the_index_of_a_part_gives_object_numbers_without_its_metadata() -> None:
    """Stored bytes are found by reading the index only."""
    [part] = pack_parts([placed(7), placed(3)])

    assert unpack_index(part.index) == {"1.2.3.7": 7, "1.2.3.3": 3}
    assert list(unpack_index(part.index)) == ["1.2.3.7", "1.2.3.3"]


def test_what_was_just_packed_is_what_its_bytes_say() -> None:
    """A part that grows one by one: its instances, their texts, classes and time zone as if it were read each time."""
    instances = [placed(number) for number in range(5)]
    instances[0].metadata["DICOM"]["TimezoneOffsetFromUTC"] = "+0100"
    instances[3].metadata["DICOM"]["SOPClassUID"] = "1.2.841"

    part = pack_part(instances[:1])
    for count in range(2, 6):
        part = pack_part([*unpack_part(part), instances[count - 1]])

    whole = pack_part(instances)
    assert (part, part.timezone, part.sop_classes) == (whole, "+0100", ("1.2.840", "1.2.841"))
    found = unpack_part(part)
    assert found == tuple(instances)
    assert [b"{%b}" % one.text for one in found] == [
        b'{"%b":%b}' % (uid.encode(), text) for uid, text in texts_of(part).items()
    ]
    assert [one.digest for one in found] == [one.digest for one in instances]


def test_a_damaged_part_is_told() -> None:
    """Metadata whose checksum does not agree is an error and not somebody's record."""
    [part] = pack_parts([placed(1)])
    other = pack_parts([placed(2)])[0]
    swapped = Part(part.sop_classes, part.count, part.crc32, part.raw_length, part.index, other.body)
    broken = Part(part.sop_classes, part.count, part.crc32, part.raw_length, part.index, b"\xff" + part.body[1:])

    for damaged in (swapped, broken):
        with pytest.raises(StorageFailed):
            unpack_part(damaged)
        with pytest.raises(StorageFailed):
            instances_of(damaged)
        with pytest.raises(StorageFailed):
            instances_by_uid([damaged])


def test_a_part_that_lacks_an_instance_of_its_index_is_told() -> None:
    """An index that names another instance, or one too many, is not somebody else's record."""
    [part] = pack_parts([placed(1), placed(2)])
    for others in ([placed(1), placed(3)], [placed(1), placed(2), placed(3)], [placed(2), placed(1)]):
        [other] = pack_parts(others)

        with pytest.raises(StorageFailed):
            unpack_part(replace(part, index=other.index))


@pytest.mark.parametrize("at", range(0, 200, 7))
def test_no_byte_of_a_part_can_be_another_unnoticed(at: int) -> None:
    """Whichever byte of the compressed text is turned: it is the same text again, or StorageFailed."""
    [part] = pack_parts([placed(1, size=300), placed(2, size=300)])
    body = bytearray(part.body)
    body[at % len(body)] ^= 0x20

    try:
        found = unpack_part(replace(part, body=bytes(body)))
    except StorageFailed:
        return
    assert found == unpack_part(part)


def test_a_head_is_packed_and_unpacked() -> None:
    """Patient, Study and Series come back as they were."""
    packed = pack_head(HEAD)

    assert read_head(packed) == unpack_head(packed) == HEAD


def test_long_manifest_takes_little_room() -> None:
    """That of 2,000 instances is 120 bytes and not 500, and what was written before it was compressed is read."""
    manifest = Manifest(PartReference(number, 64, ("1.2.840.10008.5.1.4.1.1.2",)) for number in range(1, 33))

    packed = manifest.packed

    assert unpack_manifest(packed) == manifest
    assert len(packed) < 160
    assert unpack_manifest(b'{"SOPClasses":["1.2"],"Parts":[[3,64,[0]],[0,0,[]]]}') == (
        PartReference(3, 64, ("1.2",)),
        NO_PART,
    )


def test_a_manifest_is_packed_and_unpacked() -> None:
    """Slots keep their order, empty ones included; counts and SOP Classes are read from the manifest alone."""
    manifest = Manifest([PartReference(3, 64, ("1.2", "1.3")), NO_PART, PartReference(7, 2, ("1.3",))])

    assert unpack_manifest(manifest.packed) == manifest
    assert manifest.instance_count == 66
    assert manifest.sop_classes == ("1.2", "1.3")


@pytest.mark.parametrize("count", [0, 1, 64, 65, 200])
def test_the_parts_of_a_version_join_into_one_gzip_member(count: int) -> None:
    """Python, zlib and gunzip read the whole document from a single member."""
    parts = pack_parts(placed(number) for number in range(count))
    expected = to_document(DATASTORE, IMAGE_SET, ImageSetMetadata(HEAD, instances_by_uid(parts)))

    joined = join_gzip(DATASTORE, IMAGE_SET, HEAD, parts)

    member = zlib.decompressobj(wbits=31)
    assert json.loads(member.decompress(joined)) == expected
    assert member.eof and member.unused_data == b""
    assert json.loads(gzip.decompress(joined)) == expected
    assert json.loads(subprocess.run(["gunzip"], input=joined, capture_output=True, check=True).stdout) == expected


def test_joining_does_not_compress_the_parts_again() -> None:
    """The bytes of each part are in the answer as they lie in the log."""
    parts = pack_parts(placed(number) for number in range(130))

    joined = join_gzip(DATASTORE, IMAGE_SET, HEAD, parts)

    assert all(part.body in joined for part in parts)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
def test_any_text_survives_packing(values: list[str]) -> None:
    """What JSON can say comes back the same, from the part and from the document."""
    instances = [
        PlacedInstance(f"1.{number}", number, {"DICOM": {"ImageComments": value}, "DICOMVRs": {}})
        for number, value in enumerate(values)
    ]

    parts = pack_parts(instances)
    document = json.loads(gzip.decompress(join_gzip(DATASTORE, IMAGE_SET, HEAD, parts)))

    assert [one for part in parts for one in unpack_part(part)] == instances
    read = document["Study"]["Series"]["1.2.3"]["Instances"]
    assert [instance["DICOM"]["ImageComments"] for instance in read.values()] == values
