"""Whole-slide images: thousands of tiles in one instance, of which a viewer asks for one after the other."""

from __future__ import annotations

import io
import random
from typing import Any

import httpx
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.uid import JPEGBaseline8Bit, VLWholeSlideMicroscopyImageStorage

from gateway.dicom.part10 import Buffer
from gateway.metadata.image_set import ImageSetMetadata
from gateway.pixels.frames import Frames
from gateway.pixels.stored_frames import FramesReader
from gateway.store.protocol import Store
from tests.dicomweb.pixels import opened, path_of
from tests.dicomweb.wire import parts, patched, stored, values
from tests.samples import instance

COLUMNS, ROWS, TILE = 40, 30, 64
TILES = COLUMNS * ROWS


def tiles() -> list[bytes]:
    """Return a JPEG for each tile, every one different: its number stands in a comment, its colour says it too."""
    chance, pictures = random.Random(1), []
    noise = Image.frombytes("RGB", (TILE, TILE), chance.randbytes(TILE * TILE * 3))
    for number in range(TILES):
        tinted = Image.blend(noise, Image.new("RGB", (TILE, TILE), (number % 256, number // 256, 99)), 0.5)
        file = io.BytesIO()
        tinted.save(file, "JPEG", quality=95, comment=f"tile {number}")
        pictures.append(file.getvalue())
    return pictures


def slide(frames: list[bytes], table: str) -> bytes:
    """Return a TILED_FULL slide of these tiles as a PS3.10 file, with the offset table named."""
    dataset = pydicom.dcmread(io.BytesIO(instance(study="1.2.3")))
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = VLWholeSlideMicroscopyImageStorage
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.Modality, dataset.ImageType = "SM", ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    dataset.DimensionOrganizationType, dataset.NumberOfFrames = "TILED_FULL", len(frames)
    dataset.TotalPixelMatrixColumns, dataset.TotalPixelMatrixRows = COLUMNS * TILE, ROWS * TILE
    dataset.Rows = dataset.Columns = TILE
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "YBR_FULL_422", 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    for keyword in ("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept", "PixelPaddingValue"):
        if keyword in dataset:
            delattr(dataset, keyword)
    if table == "extended":
        data, dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = encapsulate_extended(frames)
        dataset.PixelData = data
    else:
        dataset.PixelData = encapsulate(frames, has_bot=table == "basic")
    file = io.BytesIO()
    dataset.save_as(file)
    return file.getvalue()


@pytest.mark.parametrize("table", ["none", "basic", "extended"])
async def test_a_tile_costs_the_same_wherever_it_is(
    client: httpx.AsyncClient, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W5, W6: each tile byte for byte; where tiles begin is found out once, whatever offset table there is."""
    frames = tiles()
    file = slide(frames, table)
    await stored(client, file)
    path = path_of(pydicom.dcmread(io.BytesIO(file), stop_before_pixels=True))
    read = FramesReader.read
    times: list[int] = []

    def counted(reader: FramesReader, data: Buffer) -> Frames:
        times.append(len(data))
        return read(reader, data)

    monkeypatch.setattr(FramesReader, "read", counted)
    numbers = [1, TILES, *random.Random(2).sample(range(1, TILES + 1), 20)]

    found = [parts(await client.get(f"{path}/frames/{number}"))[0] for number in numbers]

    assert found == [
        ("image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50", padded(frames[number - 1])) for number in numbers
    ]
    assert len(times) == 1
    assert (await client.get(f"{path}/frames/{TILES + 1}")).status_code == 404


# Of each tile, by dicom-microscopy-viewer 0.48, which is OHIF's microscopy mode too.
VIEWER = ", ".join(
    f'multipart/related; type="{name}"; transfer-syntax={uid}'
    for name, uid in (
        ("image/jls", "1.2.840.10008.1.2.4.80"),
        ("image/jls", "1.2.840.10008.1.2.4.81"),
        ("image/jp2", "1.2.840.10008.1.2.4.90"),
        ("image/jp2", "1.2.840.10008.1.2.4.91"),
        ("image/jpx", "1.2.840.10008.1.2.4.92"),
        ("image/jpx", "1.2.840.10008.1.2.4.93"),
        ("application/octet-stream", "*"),
        ("image/jpeg", "1.2.840.10008.1.2.4.50"),
    )
)


async def test_a_viewer_that_takes_tiles_as_they_are_gets_them_so(client: httpx.AsyncClient) -> None:
    """W5: the ranges are of one quality, and the first that needs no transcoding is taken; by quality it is another."""
    frames = tiles()[:2]
    await stored(client, slide(frames, "basic"))
    path = "/dicomweb/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1/frames/1"
    less_wanted = VIEWER.replace("=*", "=*;q=0.9").replace("=1.2.840.10008.1.2.4.50", "=1.2.840.10008.1.2.4.50;q=0.9")

    [as_stored] = parts(await client.get(path, headers={"Accept": VIEWER}))
    [transcoded] = parts(await client.get(path, headers={"Accept": less_wanted}))

    assert as_stored == ("application/octet-stream; transfer-syntax=1.2.840.10008.1.2.4.50", padded(frames[0]))
    assert transcoded[0] == "image/jls; transfer-syntax=1.2.840.10008.1.2.4.80"


def padded(frame: bytes) -> bytes:
    """Return a frame as a fragment holds it, of even length."""
    return frame + b"\0" * (len(frame) % 2)


async def test_a_rendered_tile_reads_nothing_that_was_read_for_another(
    client: httpx.AsyncClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W7, W8: of twenty tiles the first reads the file and the metadata; after an edit the metadata are read once."""
    file = slide(tiles(), "none")
    await stored(client, file)
    path = path_of(pydicom.dcmread(io.BytesIO(file), stop_before_pixels=True))
    read, metadata, files, documents = FramesReader.read, store.metadata, list[int](), list[str]()

    def reading(reader: FramesReader, data: Buffer) -> Frames:
        files.append(len(data))
        return read(reader, data)

    async def of(datastore_id: str, image_set_id: str, *which: Any) -> ImageSetMetadata:
        documents.append(image_set_id)
        return await metadata(datastore_id, image_set_id, *which)

    monkeypatch.setattr(FramesReader, "read", reading)
    monkeypatch.setattr(store, "metadata", of)
    numbers = random.Random(3).sample(range(1, TILES + 1), 20)

    before = [(await client.get(f"{path}/frames/{number}/rendered")).content for number in numbers]
    assert (len(files), len(documents), len(set(before))) == (1, 1, 20)

    await patched(client, path, {"00200013": {"vr": "IS", "Value": ["77"]}})
    documents.clear()
    after = [(await client.get(f"{path}/frames/{number}/rendered")).content for number in numbers]
    labelled = (await client.get(f"{path}/frames/1/rendered?annotation=technique")).content
    plain = (await client.get(f"{path}/frames/1/rendered")).content
    assert (len(files), len(documents)) == (1, 1)
    assert after == before and labelled != plain


async def test_a_slide_is_found_described_and_shown(client: httpx.AsyncClient) -> None:
    """W2, W7: QIDO-RS counts its tiles, the metadata have its matrix and where its pixels are, a tile is rendered."""
    frames = tiles()
    file = slide(frames, "extended")
    await stored(client, file)
    path = path_of(pydicom.dcmread(io.BytesIO(file), stop_before_pixels=True))

    [found] = (
        await client.get("/dicomweb/instances?NumberOfFrames=1200&SOPClassUID=1.2.840.10008.5.1.4.1.1.77.1.6")
    ).json()
    [metadata] = (await client.get(f"{path}/metadata")).json()
    tile = opened(await client.get(f"{path}/frames/700/rendered"))

    assert values(found, "00280008") == [TILES]
    assert [values(metadata, tag) for tag in ("00480006", "00480007", "00209311")] == [[2560], [1920], ["TILED_FULL"]]
    assert metadata["7FE00010"] == {"vr": "OB", "BulkDataURI": f"http://gateway.test{path}/bulkdata/7FE00010"}
    red, green, blue = tile.resize((1, 1)).tobytes()
    assert abs(red - (699 % 256 + 127) // 2) < 12 and abs(green - (699 // 256 + 127) // 2) < 12
