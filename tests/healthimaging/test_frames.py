"""Frames of a running gateway, verified as AWS's pixel data verification says: decode, and compare checksums."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import numpy as np
import openjpeg
import pydicom
import pytest
from botocore.client import BaseClient
from pydicom.pixels import pixel_array

from tests.conftest import Server
from tests.healthimaging.conftest import ImageSet, image_set, stow
from tests.healthimaging.test_image_sets import refused
from tests.samples import ODD, instance

# Of the transfer syntaxes that AWS lists, those that there is a sample of with the UIDs a store needs.
SAMPLES = [
    "private elements", "big endian", "implicit", "deflated", "JPEG baseline", "JPEG lossless",
    "JPEG-LS lossless", "JPEG 2000 lossless", "JPEG 2000", "RLE", "RLE, two frames",
    "RT dose", "segmentation", "enhanced MR", "enhanced CT",
]  # fmt: skip


def get(one: ImageSet, frame: dict[str, Any]) -> tuple[bytes, str]:
    """Return a frame and its Content-Type."""
    answer = one.boto.get_image_frame(**one.ids, imageFrameInformation={"imageFrameId": frame["ID"]})
    return answer["imageFrameBlob"].read(), answer["contentType"]


def only_instance(one: ImageSet) -> dict[str, Any]:
    [series] = one.document()["Study"]["Series"].values()
    [found] = series["Instances"].values()
    return found


@pytest.mark.parametrize("name", SAMPLES)
def test_every_frame_is_what_its_checksum_says(
    name: str, boto: BaseClient, session_server: Server, empty_datastore: str
) -> None:
    """A frame in HTJ2K decodes by OpenJPEG to the pixels that pydicom finds in the file; others are as they came."""
    stow(session_server, empty_datastore, [ODD[name].read_bytes()])
    dataset = pydicom.dcmread(ODD[name])
    one = image_set(boto, empty_datastore, dataset.SeriesInstanceUID)

    found = only_instance(one)

    number_of_frames = int(dataset.get("NumberOfFrames") or 1)
    assert len(found["ImageFrames"]) == number_of_frames
    for index, frame in enumerate(found["ImageFrames"][:3]):
        data, content_type = get(one, frame)
        checksum = frame["PixelDataChecksumFromBaseToFullResolution"][-1]
        assert (checksum["Width"], checksum["Height"]) == (dataset.Columns, dataset.Rows)
        if content_type == "image/jph":
            decoded = np.asarray(openjpeg.decode(data))
            assert (decoded == pixel_array(dataset, index=index, raw=True)).all()
            data = decoded.astype(decoded.dtype.newbyteorder("<")).tobytes()
            assert (frame["MinPixelValue"], frame["MaxPixelValue"]) == (decoded.min(), decoded.max())
        assert (checksum["Checksum"], frame["FrameSizeInBytes"]) == (crc32(data), len(data))


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
