"""What every Store promises of image frames. Part of StoreTests."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any
from zlib import crc32

import numpy as np
import openjpeg
import pydicom
import pytest

from gateway.errors import Gone, NotFound
from gateway.metadata.image_set import Delete
from gateway.store.edits import Copy
from gateway.store.protocol import Store
from tests.pixels.images import gradient, instance_of
from tests.samples import ODD, ct_series
from tests.samples import instance as ct_instance
from tests.store.edits import edit_of, patient
from tests.store.received import sent_file, store_sent

HTJ2K = "1.2.840.10008.1.2.4.202"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
GENERATED = ("StoredTransferSyntaxUID", "ChecksumType", "ImageFrames")


async def stored(store: Store, datastore_id: str, *files: bytes) -> str:
    """Store files of one series and return their image set."""
    outcomes = await store_sent(store, datastore_id, [sent_file(body) for body in files])
    [image_set] = {outcome.image_set_id for outcome in outcomes}
    assert not any(outcome.error for outcome in outcomes)
    return image_set


async def instances_of(
    store: Store, datastore_id: str, image_set: str, version: int | None = None
) -> dict[str, dict[str, Any]]:
    """Return the instances of a version's document."""
    document = json.loads(gzip.decompress(await store.metadata_gzip(datastore_id, image_set, version)))
    [series] = document["Study"]["Series"].values()
    found: dict[str, dict[str, Any]] = series["Instances"]
    return found


async def frames_of(store: Store, datastore_id: str, image_set: str) -> list[dict[str, Any]]:
    """Return ImageFrames of all instances."""
    instances = await instances_of(store, datastore_id, image_set)
    return [frame for instance in instances.values() for frame in instance["ImageFrames"]]


def image(number: int, **attributes: Any) -> bytes:
    """Return a small image as a file, of a series of its kind."""
    return instance_of(
        gradient() + np.int16(number),
        StudyInstanceUID="1.9",
        SeriesInstanceUID="1.9.1",
        SOPInstanceUID=f"1.9.1.{number}",
        **attributes,
    )


class FramesTests:
    async def test_the_document_tells_of_each_frame(self, store: Store, datastore_id: str) -> None:
        """Size, extremes and checksum are those of the pixels, by pydicom; the format is HTJ2K."""
        files = ct_series(3)
        image_set = await stored(store, datastore_id, *files)

        instances = await instances_of(store, datastore_id, image_set)

        for uid, file in zip(instances, files, strict=True):
            dataset = pydicom.dcmread(pydicom.filebase.DicomBytesIO(file))
            pixels = dataset.pixel_array
            [frame] = instances[uid]["ImageFrames"]
            assert list(instances[uid]) == ["DICOM", "DICOMVRs", *GENERATED]
            assert (instances[uid]["StoredTransferSyntaxUID"], instances[uid]["ChecksumType"]) == (
                HTJ2K,
                "DECOMPRESSED",
            )
            assert (frame["MinPixelValue"], frame["MaxPixelValue"]) == (pixels.min(), pixels.max())
            assert frame["FrameSizeInBytes"] == 128 * 128 * 2
            assert frame["PixelDataChecksumFromBaseToFullResolution"] == [
                {"Width": 128, "Height": 128, "Checksum": crc32(dataset.PixelData)}
            ]
        assert len({instance["ImageFrames"][0]["ID"] for instance in instances.values()}) == 3

    async def test_a_frame_decodes_to_its_checksum(self, store: Store, datastore_id: str) -> None:
        """Whether it is encoded for this reader or was before."""
        image_set = await stored(store, datastore_id, *(image(number) for number in range(1, 6)))

        for _ in range(3):
            for frame in await frames_of(store, datastore_id, image_set):
                served = await store.image_frame(datastore_id, image_set, frame["ID"])
                assert served.transfer_syntax_uid == HTJ2K
                decoded = openjpeg.decode(bytes(served.data)).astype("<i2").tobytes()
                assert crc32(decoded) == frame["PixelDataChecksumFromBaseToFullResolution"][-1]["Checksum"]
            await asyncio.sleep(0.05)

    async def test_frames_have_the_format_of_their_data_store(self, store: Store) -> None:
        """A data store can be made for JPEG 2000 Lossless."""
        datastore = await store.create_datastore("j2k", {"losslessStorageFormat": "JPEG_2000_LOSSLESS"}, {})
        image_set = await stored(store, datastore.datastore_id, image(1))

        [instance] = (await instances_of(store, datastore.datastore_id, image_set)).values()
        served = await store.image_frame(datastore.datastore_id, image_set, instance["ImageFrames"][0]["ID"])

        assert instance["StoredTransferSyntaxUID"] == served.transfer_syntax_uid == JPEG_2000
        assert (openjpeg.decode(bytes(served.data)) == gradient() + 1).all()

    @pytest.mark.parametrize(
        ("name", "uid"), [("JPEG baseline", "1.2.840.10008.1.2.4.50"), ("JPEG 2000", "1.2.840.10008.1.2.4.91")]
    )
    async def test_a_lossy_frame_is_kept_as_it_came(self, store: Store, datastore_id: str, name: str, uid: str) -> None:
        """Its checksum and size are of the bytes that are served, and nothing is said of its pixels."""
        image_set = await stored(store, datastore_id, ODD[name].read_bytes())

        [instance] = (await instances_of(store, datastore_id, image_set)).values()
        [frame] = instance["ImageFrames"]
        served = await store.image_frame(datastore_id, image_set, frame["ID"])

        assert instance["StoredTransferSyntaxUID"] == served.transfer_syntax_uid == uid
        assert instance["ChecksumType"] == "COMPRESSED"
        assert (frame["MinPixelValue"], frame["MaxPixelValue"]) == (None, None)
        assert frame["FrameSizeInBytes"] == len(served.data)
        assert frame["PixelDataChecksumFromBaseToFullResolution"][0]["Checksum"] == crc32(served.data)

    async def test_frames_of_one_instance_are_told_apart(self, store: Store, datastore_id: str) -> None:
        """Each has its ID, in the order of the frames."""
        image_set = await stored(store, datastore_id, ODD["enhanced MR"].read_bytes())

        frames = await frames_of(store, datastore_id, image_set)
        sizes = {len((await store.image_frame(datastore_id, image_set, frame["ID"])).data) for frame in frames}

        assert len({frame["ID"] for frame in frames}) == len(frames) == 10
        assert len(sizes) > 1

    async def test_what_has_no_pixels_has_no_frames(self, store: Store, datastore_id: str) -> None:
        """Nothing stands beside its attributes."""
        image_set = await stored(store, datastore_id, ODD["SR"].read_bytes())

        [instance] = (await instances_of(store, datastore_id, image_set)).values()

        assert set(instance) == {"DICOM", "DICOMVRs"}

    async def test_edits_keep_frames_and_make_none(self, store: Store, datastore_id: str) -> None:
        """Frames are of what was stored: all versions have the same, and so has a copy."""
        image_set = await stored(store, datastore_id, *(image(number) for number in (1, 2)))
        first = await frames_of(store, datastore_id, image_set)
        await store.edit(edit_of(datastore_id, (image_set, 1, patient(PatientName="Roe"))))
        copy = (await store.copy(Copy(datastore_id, image_set, 2))).destination

        assert await frames_of(store, datastore_id, image_set) == first
        assert await frames_of(store, datastore_id, copy.image_set_id) == first
        assert (await store.image_frame(datastore_id, copy.image_set_id, first[0]["ID"])).data

    async def test_an_instance_that_comes_again_brings_new_frames(self, store: Store, datastore_id: str) -> None:
        """The old version's frames are served as long as the image set is not deleted."""
        image_set = await stored(store, datastore_id, image(1))
        old = await frames_of(store, datastore_id, image_set)
        await stored(store, datastore_id, image(1, ImageComments="again"))
        new = await frames_of(store, datastore_id, image_set)

        assert old[0]["ID"] != new[0]["ID"]
        for frame in (*old, *new):
            assert (await store.image_frame(datastore_id, image_set, frame["ID"])).data
        await store.edit(edit_of(datastore_id, (image_set, 2, Delete())))
        with pytest.raises(Gone):
            await store.image_frame(datastore_id, image_set, new[0]["ID"])

    async def test_a_frame_is_found_before_the_document_was_read(self, store: Store, datastore_id: str) -> None:
        """An ID that a client kept is good after the gateway forgot all that it made."""
        image_set = await stored(store, datastore_id, image(1))
        [frame] = await frames_of(store, datastore_id, image_set)
        other = (await store.create_datastore("other", {}, {})).datastore_id
        same = await stored(store, other, image(1))

        assert (await store.image_frame(other, same, frame["ID"])).transfer_syntax_uid == HTJ2K

    @pytest.mark.parametrize("image_frame_id", ["0" * 32, "z" * 32])
    async def test_an_unknown_frame_is_not_found(self, store: Store, datastore_id: str, image_frame_id: str) -> None:
        """Nor is that of another image set, or of one that does not exist."""
        image_set = await stored(store, datastore_id, image(1))
        elsewhere = await stored(store, datastore_id, ct_instance())
        [frame] = await frames_of(store, datastore_id, elsewhere)

        for asked in [(image_set, image_frame_id), (image_set, frame["ID"]), ("0" * 32, frame["ID"])]:
            with pytest.raises(NotFound):
                await store.image_frame(datastore_id, *asked)

    async def test_many_readers_at_once_get_the_same(self, store: Store, datastore_id: str) -> None:
        """What two would make is made once."""
        image_set = await stored(store, datastore_id, *(image(number) for number in range(1, 70)))

        documents = await asyncio.gather(*(store.metadata_gzip(datastore_id, image_set) for _ in range(8)))

        assert len(set(documents)) == 1
