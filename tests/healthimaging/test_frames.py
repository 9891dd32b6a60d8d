"""Frames of a running gateway, verified as AWS's pixel data verification says: decode, and compare checksums."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import openjpeg
import pydicom
import pytest
from botocore.client import BaseClient
from pydicom.encaps import get_frame
from pydicom.pixels import pixel_array
from pydicom.pixels.utils import unpack_bits

from gateway.pixels.image_frames import stored_transfer_syntax
from tests.conftest import Server
from tests.healthimaging.conftest import ImageSet, image_set, stow
from tests.healthimaging.test_image_sets import refused
from tests.pixels.images import DECODABLE, DECODABLE_IDS, frames_of
from tests.pixels.test_decode import FREEDOM, NOT_BY_THE_ORACLE
from tests.samples import ODD, instance

HTJ2K = "1.2.840.10008.1.2.4.202"
LOSSLESS = "image/jph"


def get(one: ImageSet, frame: dict[str, Any]) -> tuple[bytes, str]:
    """Return a frame and its Content-Type."""
    answer = one.boto.get_image_frame(**one.ids, imageFrameInformation={"imageFrameId": frame["ID"]})
    return answer["imageFrameBlob"].read(), answer["contentType"]


def only_instance(one: ImageSet) -> dict[str, Any]:
    [series] = one.document()["Study"]["Series"].values()
    found: dict[str, Any]
    [found] = series["Instances"].values()
    return found


# What pydicom says of samples that are odd.
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("path", DECODABLE, ids=DECODABLE_IDS)
def test_every_frame_of_every_sample_is_lossless(
    path: Path, boto: BaseClient, session_server: Server, empty_datastore: str
) -> None:
    """Stored over STOW-RS, and got as AWS's pixel data verification gets it: each frame in HTJ2K decodes by OpenJPEG to
    what pydicom decodes of the file, has that checksum, size, least and greatest value; others are as they came."""
    if path.name in NOT_BY_THE_ORACLE:
        pytest.skip(NOT_BY_THE_ORACLE[path.name])
    file, dataset = storable(path)
    stow(session_server, empty_datastore, [file])
    one = image_set(boto, empty_datastore, dataset.SeriesInstanceUID)

    found = only_instance(one)

    assert len(found["ImageFrames"]) == int(dataset.get("NumberOfFrames") or 1)
    for index, frame in enumerate(found["ImageFrames"]):
        data, content_type = get(one, frame)
        [checksum] = frame["PixelDataChecksumFromBaseToFullResolution"]
        assert (checksum["Width"], checksum["Height"]) == (dataset.Columns, dataset.Rows)
        if content_type == LOSSLESS:
            assert found["StoredTransferSyntaxUID"] == HTJ2K
            data = assert_lossless(data, dataset, index, frame)
        else:
            assert_as_it_came(data, dataset, index, content_type)
            assert (frame["MinPixelValue"], frame["MaxPixelValue"]) == (None, None)
        assert (checksum["Checksum"], frame["FrameSizeInBytes"]) == (crc32(data), len(data))


def test_samples_are_of_both_kinds_and_most_become_htj2k() -> None:
    """Or the test above shows little: 130 of 168 are encoded, the others are lossy, of one bit, or of 32."""
    kinds = [stored_transfer_syntax(frames_of(path)).uid == HTJ2K for path in DECODABLE]

    assert (kinds.count(True) >= 130, kinds.count(False) >= 30) == (True, True)


def storable(path: Path) -> tuple[bytes, pydicom.Dataset]:
    """Return a sample's file, and what pydicom reads in it; where it lacks UIDs that a store needs, with them."""
    dataset = pydicom.dcmread(path)
    lacking = [keyword for keyword in UIDS if not re.fullmatch(r"[0-9.]+", dataset.get(keyword, ""))]
    if not lacking:
        return path.read_bytes(), dataset
    for number, keyword in enumerate(lacking):
        setattr(dataset, keyword, f"1.2.3.{number}")
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue(), dataset


UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")


def assert_lossless(data: bytes, dataset: pydicom.Dataset, index: int, frame: dict[str, Any]) -> bytes:
    """Return the decoded frame, little endian, once it is what pydicom decodes."""
    decoded = np.asarray(openjpeg.decode(data))
    expected = pixel_array(dataset, index=index, raw=True)
    assert (decoded.shape, decoded.dtype) == (expected.shape, expected.dtype.newbyteorder("="))
    # Bits above the High Bit are kept, as overlays are in them, and are no part of a value.
    above = dataset.BitsAllocated - dataset.HighBit - 1
    values = decoded << above >> above
    # Of lossy JPEG, two decoders need not make the same.
    assert np.abs(values.astype(int) - expected).max() <= FREEDOM.get(dataset.file_meta.TransferSyntaxUID, 0)
    assert (frame["MinPixelValue"], frame["MaxPixelValue"]) == (values.min(), values.max())
    return decoded.astype(decoded.dtype.newbyteorder("<")).tobytes()


def assert_as_it_came(data: bytes, dataset: pydicom.Dataset, index: int, content_type: str) -> None:
    """Hold a frame that is kept to the bytes of the file, an uncompressed one to its pixels."""
    if content_type != "application/octet-stream":
        frames = int(dataset.get("NumberOfFrames") or 1)
        assert data == get_frame(dataset.PixelData, index, number_of_frames=frames)
        return
    expected = pixel_array(dataset, index=index, raw=True)
    if dataset.BitsAllocated == 1:
        assert np.array_equal(unpack_bits(data)[: expected.size], expected.ravel())
    else:
        assert data == expected.astype(expected.dtype.newbyteorder("<")).tobytes()


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("JPEG baseline", "image/jpeg"),
        ("JPEG 2000", "image/j2c"),
        ("JPEG 2000 lossless", "image/jph"),
        ("private elements", "image/jph"),
        ("segmentation", "application/octet-stream"),
    ],
)
def test_content_type_is_that_of_the_stored_syntax(
    name: str, content_type: str, boto: BaseClient, session_server: Server, empty_datastore: str
) -> None:
    """As the service model lists them; a binary segmentation is uncompressed."""
    stow(session_server, empty_datastore, [ODD[name].read_bytes()])
    one = image_set(boto, empty_datastore, pydicom.dcmread(ODD[name], stop_before_pixels=True).SeriesInstanceUID)

    assert get(one, only_instance(one)["ImageFrames"][0])[1] == content_type


def test_data_store_of_jpeg_2000_keeps_jpeg_2000(boto: BaseClient, session_server: Server) -> None:
    """What CreateDatastore was told is what GetDatastore shows and frames are."""
    datastore_id = boto.create_datastore(losslessStorageFormat="JPEG_2000_LOSSLESS")["datastoreId"]
    stow(session_server, datastore_id, [instance()])
    one = image_set(boto, datastore_id, "1.2.826.0.1.3680043.8.498.1.1")

    found = only_instance(one)
    data, content_type = get(one, found["ImageFrames"][0])

    properties = boto.get_datastore(datastoreId=datastore_id)["datastoreProperties"]
    assert properties["losslessStorageFormat"] == "JPEG_2000_LOSSLESS"
    assert (found["StoredTransferSyntaxUID"], content_type) == ("1.2.840.10008.1.2.4.90", "image/j2c")
    assert (openjpeg.decode(data) == pydicom.dcmread(ODD["private elements"]).pixel_array).all()


def test_data_store_is_of_htj2k_by_default(boto: BaseClient, empty_datastore: str) -> None:
    """And says so."""
    properties = boto.get_datastore(datastoreId=empty_datastore)["datastoreProperties"]

    assert properties["losslessStorageFormat"] == "HTJ2K"


def test_unknown_frame_is_not_found(ct: ImageSet) -> None:
    """An ID no frame has, and one that could be none."""
    with refused("ResourceNotFoundException"):
        get(ct, {"ID": "0" * 32})
    with refused("ValidationException"):
        get(ct, {"ID": "short"})


def test_frame_of_a_deleted_image_set_is_not_found(ct: ImageSet) -> None:
    """As its metadata is not."""
    [series] = ct.document()["Study"]["Series"].values()
    frame = next(iter(series["Instances"].values()))["ImageFrames"][0]
    assert get(ct, frame)[1] == "image/jph"
    ct.boto.delete_image_set(**ct.ids)

    with refused("ResourceNotFoundException"):
        get(ct, frame)
