"""DICOM JSON between the gateway and dcmtk: json2dcm makes files of ours again, and what dcm2json makes is stored."""

from __future__ import annotations

import io
import re
from pathlib import Path

import httpx
import pydicom
import pytest
from pydicom.encaps import generate_frames

from tests.dcmtk import dcm2json, json2dcm, needs_json2dcm, unlike
from tests.dicom.test_json_oracles import attributes
from tests.dicomweb.kinds import KINDS, MADE, dataset_of, file_of
from tests.dicomweb.pixels import path_of
from tests.dicomweb.test_bulk_data_of_samples import PIXELS
from tests.dicomweb.test_kinds import NAME, named
from tests.dicomweb.test_stow_metadata import post, retrieved
from tests.dicomweb.wire import stored, stow
from tests.samples import ODD, SAMPLES, sample_id

# pydicom warns of what some of these files were made to have.
pytestmark = [needs_json2dcm, pytest.mark.filterwarnings("ignore::UserWarning")]

FILES = {sample_id(path): path for path in SAMPLES}

# Where pydicom is no judge: it keeps the words of a big endian file as they lie there, and PS3.18 F.2.7 asks for little
# endian. tests/dicomweb/test_bulk_data_of_samples.py turns them.
_PIXELS = {"7FE00010"}
BIG_ENDIAN = {
    "MR_small_bigendian.dcm": _PIXELS,
    "MR_small_expb.dcm": _PIXELS,
    "SC_rgb_small_odd_big_endian.dcm": _PIXELS,
    "emri_small_big_endian.dcm": _PIXELS,
    "rtdose_expb.dcm": _PIXELS,
    "rtdose_expb_1frame.dcm": _PIXELS,
    "OBXXXX1A_expb.dcm": {"00281201", "00281202", "00281203", *_PIXELS},
    "OBXXXX1A_expb_2frame.dcm": {"00281201", "00281202", "00281203", *_PIXELS},
    "gdcm-US-ALOKA-16_big.dcm": {"00281221", "00281222", "00281223", *_PIXELS},
}

# What metadata say beside the file: that they are UTF-8 (PS3.18 F.2), and the transfer syntax of the pixels.
CHARACTER_SET, TRANSFER_SYNTAX = "00080005", "00083002"


@pytest.mark.parametrize("name", [*FILES, *MADE])
async def test_metadata_and_bulk_data_are_the_file(client: httpx.AsyncClient, name: str, tmp_path: Path) -> None:
    """WADO-RS: every attribute, VR, value and digit of it, and every byte that is not encapsulated pixels."""
    file = FILES[name].read_bytes() if name in FILES else file_of(name)
    if (await stow(client, file)).status_code not in (200, 202):
        pytest.skip("without the UIDs of an instance")
    original = pydicom.dcmread(io.BytesIO(file))
    encapsulated = original.file_meta.TransferSyntaxUID.is_encapsulated
    pixels = {tag for tag in PIXELS if tag in original}
    syntax = original.file_meta.TransferSyntaxUID if pixels else None

    found = await made(client, f"{path_of(original)}/metadata", tmp_path, frames=encapsulated)

    assert (found.SpecificCharacterSet, found.get("AvailableTransferSyntaxUID")) == ("ISO_IR 192", syntax)
    differing = unlike(found, original).keys() - {CHARACTER_SET, TRANSFER_SYNTAX}
    assert differing == (pixels if encapsulated else BIG_ENDIAN.get(name, set()))


# What search results say beside the attributes of the file: PS3.18 10.6.3.3.
OF_SEARCH = {"00080056", "00080061", "00080062", "00081190", "00201206", "00201208", "00201209"}


@pytest.mark.parametrize("kind", KINDS)
async def test_search_results_are_of_the_file(client: httpx.AsyncClient, kind: str, tmp_path: Path) -> None:
    """QIDO-RS, every level with all its attributes: each has the VR and the values of the file, or none as there."""
    await stored(client, file_of(kind))
    original = dataset_of(kind)
    study = f"/dicomweb/studies/{original.StudyInstanceUID}"

    for path, key in (
        ("/dicomweb/studies", "PatientName"),
        (f"{study}/series", "Modality"),
        (f"{study}/instances", "SOPInstanceUID"),
    ):
        found = await made(client, f"{path}?includefield=all", tmp_path)

        theirs = pydicom.Dataset({element.tag: element for element in original if element.tag in found})
        differing = {tag for tag, (mine, other) in unlike(found, theirs).items() if other or mine[1]}
        assert differing - {CHARACTER_SET} <= OF_SEARCH
        assert key in found and found.RetrieveURL.startswith(f"http://gateway.test{study}")


@pytest.mark.parametrize("kind", KINDS)
async def test_an_edited_name_is_all_that_is_another(client: httpx.AsyncClient, kind: str, tmp_path: Path) -> None:
    """Three groups of a Japanese name, in metadata and in search results; and every other value is the one before."""
    await stored(client, file_of(kind))
    path = path_of(dataset_of(kind))
    study, _, _ = path.partition("/series")
    before = await made(client, f"{path}/metadata", tmp_path, frames=True)

    await named(client, study)

    after = await made(client, f"{path}/metadata", tmp_path, frames=True)
    assert unlike(after, before).keys() == {"00100010"}
    for found in (after, await made(client, "/dicomweb/studies", tmp_path)):
        assert found.PatientName == "=".join(NAME.values())


async def made(client: httpx.AsyncClient, path: str, folder: Path, *, frames: bool = False) -> pydicom.Dataset:
    """Return what json2dcm makes of an answer with its bulk data, of which only the addresses are changed.

    frames: whether pixel data are frames, and left empty.
    """
    document = (await client.get(path)).text
    for number, uri in enumerate(re.findall(r'"BulkDataURI":"([^"]+)"', document)):
        file = folder / str(number)
        empty = frames and uri.rpartition("/")[2] in PIXELS
        file.write_bytes(b"" if empty else (await client.get(uri)).content)
        document = document.replace(f'"{uri}"', f'"file://{file}"')
    return json2dcm(document.encode(), "+Bd", str(folder))


# The JSON of dcmtk has no way to say that several frames are encapsulated.
CONVERTED = [kind for kind in KINDS if kind not in {"ultrasound cine, 30 frames", "slide, 1200 tiles"}]


@pytest.mark.parametrize("kind", CONVERTED)
async def test_what_dcm2json_makes_of_a_file_is_stored(client: httpx.AsyncClient, kind: str, tmp_path: Path) -> None:
    """STOW-RS of its JSON and its files of bulk data: every attribute of the file, and its pixels."""
    original = dataset_of(kind)

    found = await sent(client, file_of(kind), tmp_path)

    assert attributes(found.to_json_dict()) == attributes(original.to_json_dict())
    assert found.get("PixelData") == original.get("PixelData")


@pytest.mark.parametrize("name", ["JPEG baseline", "JPEG lossless", "JPEG-LS lossless", "JPEG 2000 lossless", "RLE"])
async def test_a_compressed_frame_that_dcm2json_makes_is_stored(
    client: httpx.AsyncClient, name: str, tmp_path: Path
) -> None:
    """It is a file of its own, with the ending of its media type; it is stored in the transfer syntax it has."""
    original = pydicom.dcmread(ODD[name])

    found = await sent(client, ODD[name].read_bytes(), tmp_path)

    assert found.file_meta.TransferSyntaxUID == original.file_meta.TransferSyntaxUID
    assert list(generate_frames(found.PixelData, number_of_frames=1)) == list(
        generate_frames(original.PixelData, number_of_frames=1)
    )


async def sent(client: httpx.AsyncClient, file: bytes, folder: Path) -> pydicom.Dataset:
    """Store what dcm2json makes of a file, and return the instance that is retrieved then."""
    path, bulk = folder / "file.dcm", folder / "bulk"
    path.write_bytes(file)
    bulk.mkdir()
    document = dcm2json(path, "+b", "+bd", str(bulk), "+bp", "bulk/")
    assert document, "dcm2json does not convert it"
    parts = [(media_type(one), f"bulk/{one.name}", one.read_bytes()) for one in bulk.iterdir()]

    response = await post(client, [document], parts)

    assert response.status_code in (200, 202), response.text
    [found] = await retrieved(client, pydicom.dcmread(path).StudyInstanceUID)
    return found


def media_type(bulk: Path) -> str:
    return "application/octet-stream" if bulk.suffix == ".bin" else f"image/{bulk.suffix[1:]}"
