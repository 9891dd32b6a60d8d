"""Real data, one instance of each kind that hospitals have, all the way: stored, found, retrieved, shown, edited."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.pixels import pixel_array

from tests.dicom.test_json_oracles import attributes
from tests.dicomweb.edits import MERGE_PATCH
from tests.dicomweb.kinds import KINDS, WITH_PIXELS, dataset_of, file_of
from tests.dicomweb.pixels import opened, path_of
from tests.dicomweb.wire import datasets, parts, stored, value
from tests.samples import instance

# The RT dose names its plan by a UID with a leading zero in a component; pydicom warns of it.
pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR UI")

ANY_SYNTAX = 'multipart/related; type="application/dicom"; transfer-syntax=*'
OCTETS = 'multipart/related; type="application/octet-stream"'
NAME = {"Alphabetic": "Yamada^Tarō", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}

# Lossy JPEG leaves decoders some freedom: ours and pydicom's may differ by so much in a sample, and on average.
JPEG_BASELINE, FREEDOM, ON_AVERAGE = "1.2.840.10008.1.2.4.50", 8, 1

# Bytes of the values that are not in line: waveforms, offset tables, CSA headers and an overlay.
BULK = {
    "ECG": [240000, 28800],
    "slide, 1200 tiles": [9600, 9600],
    "MR of Siemens, 86 private elements, CSA headers": [5342, 11016, 79880, 18150],
}


async def got(client: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    """Return a DICOM JSON answer."""
    response = await client.get(path)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()
    return found


@pytest.mark.parametrize("kind", KINDS)
async def test_it_is_found_at_every_level(client: httpx.AsyncClient, kind: str) -> None:
    """QIDO-RS: by its UIDs, with the values that pydicom reads in its file."""
    await stored(client, file_of(kind))
    original = dataset_of(kind)
    study, theirs = original.StudyInstanceUID, attributes(original.to_json_dict())
    of_study, of_series = f"/dicomweb/studies?StudyInstanceUID={study}", f"/dicomweb/studies/{study}/series?Modality="
    of_instance = f"/dicomweb/instances?SOPInstanceUID={original.SOPInstanceUID}&SOPClassUID={original.SOPClassUID}"

    found = [await got(client, path) for path in (of_study, of_series + original.Modality, of_instance)]

    for result in (attributes(one) for [one] in found):
        both = result.keys() & theirs.keys()
        assert both and {tag: result[tag] for tag in both} == {tag: theirs[tag] for tag in both}
    assert [value(found[0][0], tag) for tag in ("00080061", "00201206", "00201208")] == [original.Modality, 1, 1]
    assert [value(found[2][0], tag) for tag in ("00080016", "00080018")] == [
        original.SOPClassUID,
        original.SOPInstanceUID,
    ]


@pytest.mark.parametrize("kind", KINDS)
async def test_its_metadata_are_what_pydicom_says(client: httpx.AsyncClient, kind: str) -> None:
    """WADO-RS: every attribute, VR and value; bulk data are at their address (pixels: test_bulk_data_of_samples)."""
    await stored(client, file_of(kind))
    original = dataset_of(kind)

    [found] = await got(client, f"{path_of(original)}/metadata")

    assert ("00083002" in found) == (kind in WITH_PIXELS)
    found.pop("00083002", None)
    assert attributes(found) == attributes(original.to_json_dict())
    assert value(found, "00080005") == "ISO_IR 192"
    assert ("BulkDataURI" in found.pop("7FE00010", {})) == (kind in WITH_PIXELS)
    bulk = dict(bulk_data(found, original))
    assert [len(data) for data in bulk.values()] == BULK.get(kind, [])
    assert [(await client.get(address)).content for address in bulk] == list(bulk.values())


def bulk_data(document: Mapping[str, Any], original: pydicom.Dataset) -> Iterator[tuple[str, bytes]]:
    """Yield each BulkDataURI of a dataset and its items, and what pydicom reads there."""
    for tag, element in document.items():
        if "BulkDataURI" in element:
            yield element["BulkDataURI"], original[tag].value
        elif element["vr"] == "SQ":
            for item, theirs in zip(element.get("Value", []), original[tag].value, strict=True):
                yield from bulk_data(item, theirs)


@pytest.mark.parametrize("kind", KINDS)
async def test_it_is_retrieved_as_it_was_stored(client: httpx.AsyncClient, kind: str) -> None:
    """WADO-RS, with transfer-syntax=*: the same dataset, the same pixels, of study, series and instance."""
    await stored(client, file_of(kind))
    original = dataset_of(kind)
    path = path_of(original)

    for level in (path, path.partition("/instances")[0], path.partition("/series")[0]):
        [found] = datasets(await client.get(level, headers={"Accept": ANY_SYNTAX}))
        assert found == original and found.file_meta == original.file_meta


@pytest.mark.parametrize("kind", WITH_PIXELS)
async def test_its_frames_are_those_pydicom_decodes(client: httpx.AsyncClient, kind: str) -> None:
    """WADO-RS: each frame, uncompressed; of a lossy JPEG as near as decoders are to each other."""
    await stored(client, file_of(kind))
    original = dataset_of(kind)
    expected = [frame_bytes(frame, original) for frame in frames_of(original)]
    numbers = ",".join(str(number) for number in range(1, len(expected) + 1))

    found = parts(await client.get(f"{path_of(original)}/frames/{numbers}", headers={"Accept": OCTETS}))

    assert len(found) == int(original.get("NumberOfFrames", 1)) == len(expected)
    if original.file_meta.TransferSyntaxUID != JPEG_BASELINE:
        assert [data for _, data in found] == expected
    for (_, ours), theirs in zip(found, expected, strict=True):
        difference = np.abs(np.frombuffer(ours, "u1").astype("i2") - np.frombuffer(theirs, "u1"))
        assert difference.max() <= FREEDOM and difference.mean() < ON_AVERAGE


def frames_of(original: pydicom.Dataset) -> NDArray[Any]:
    """Return an image's frames as pydicom decodes them."""
    frames = pixel_array(original)
    return frames if "NumberOfFrames" in original else frames[np.newaxis]


def frame_bytes(frame: NDArray[Any], original: pydicom.Dataset) -> bytes:
    """Return a frame as PS3.5 8.2 has it in native form, little endian."""
    if original.BitsAllocated == 1:
        return np.packbits(frame.ravel(), bitorder="little").tobytes()
    return frame.astype(frame.dtype.newbyteorder("<")).tobytes()


@pytest.mark.parametrize("kind", KINDS)
async def test_it_is_shown_if_it_has_pixels(client: httpx.AsyncClient, kind: str) -> None:
    """A picture of the first frame in its own size, and of the last; 406 where there is nothing to see."""
    await stored(client, file_of(kind))
    original = dataset_of(kind)
    path, last = path_of(original), int(original.get("NumberOfFrames") or 1)

    found = [await client.get(f"{path}/{one}") for one in ("rendered", f"frames/{last}/rendered")]

    if kind in WITH_PIXELS:
        assert [opened(one).size for one in found] == [(original.Columns, original.Rows)] * 2
    else:
        assert [one.status_code for one in found] == [406, 406]


@pytest.mark.parametrize("kind", KINDS)
async def test_its_patient_gets_a_japanese_name(client: httpx.AsyncClient, kind: str) -> None:
    """An edit is seen in QIDO-RS, in the metadata and in the file, in which nothing else is another."""
    await stored(client, file_of(kind))
    original = dataset_of(kind)
    path = path_of(original)

    await named(client, path.partition("/series")[0])

    [by_name] = await got(client, "/dicomweb/studies?PatientName=山田*")
    [metadata] = await got(client, f"{path}/metadata")
    [found] = datasets(await client.get(path, headers={"Accept": ANY_SYNTAX}))
    assert value(by_name, "00100010") == value(metadata, "00100010") == NAME
    assert found.PatientName == "=".join(NAME.values())
    assert found.SpecificCharacterSet == ("GB18030" if "GB18030" in kind else "ISO_IR 192")
    assert others(found) == others(original)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is missing: apt-get install dicom3tools")
@pytest.mark.parametrize("kind", KINDS)
async def test_an_edited_file_breaks_no_rule_of_its_iod_that_it_kept(
    client: httpx.AsyncClient, kind: str, tmp_path: Path
) -> None:
    """dciodvfy, which knows PS3.3, has no more to say of the file that is retrieved than of the one that was stored."""
    await stored(client, file_of(kind))
    path = path_of(dataset_of(kind))
    await named(client, path.partition("/series")[0])

    [(_, edited)] = parts(await client.get(path, headers={"Accept": ANY_SYNTAX}))

    assert iod_errors(edited, tmp_path) - iod_errors(file_of(kind), tmp_path) == Counter()


def iod_errors(file: bytes, folder: Path) -> Counter[str]:
    """Return what dciodvfy calls errors in a file, by how often it does. Raises ValueError if it cannot read it."""
    path = folder / "file.dcm"
    path.write_bytes(file)
    said = subprocess.run(["dciodvfy", path], capture_output=True)
    lines = (said.stdout + said.stderr).decode("latin-1").splitlines()
    if any("read failed" in line for line in lines):
        raise ValueError(lines)
    return Counter(line for line in lines if line.startswith("Error"))


def others(dataset: pydicom.Dataset) -> pydicom.Dataset:
    """Return what an edit of the name leaves alone: not the name, how it is written, and the retired group lengths."""
    changed = (0x00080005, 0x00100010)
    return pydicom.Dataset({each.tag: each for each in dataset if each.tag.element and each.tag not in changed})


async def named(client: httpx.AsyncClient, study: str) -> None:
    """Give a study's patient another name."""
    patch = [{"00100010": {"vr": "PN", "Value": [NAME]}}]
    response = await client.patch(f"{study}/metadata", json=patch, headers=MERGE_PATCH)
    assert response.status_code == 200, response.text


# -- a CT of 500 slices

CT = "1.2.3.500"
AT_CT = f"/dicomweb/studies/{CT}"
NUMBERS = range(1_000_001, 1_000_501)


def slices() -> list[bytes]:
    """Return 500 slices of 16 by 16 pixels made of CT_small, their numbers in the UID, InstanceNumber and pixels."""
    first = instance(study=CT, instance_number=NUMBERS[0], Rows=16, Columns=16, PixelData=pixels(NUMBERS[0]))
    return [first.replace(b"%d" % NUMBERS[0], b"%d" % number) for number in NUMBERS]


def pixels(number: int) -> bytes:
    """Return 16 by 16 pixels that no other slice has."""
    return b"%d " % number * 64


async def test_a_ct_of_500_instances_comes_back_whole(client: httpx.AsyncClient) -> None:
    """Stored in one request, counted, described and retrieved; then edited, and all of it again."""
    originals = slices()
    await stored(client, *originals)
    await is_whole(client, "CompressedSamples^CT1")
    assert [data[128:] for _, data in parts(await client.get(AT_CT))] == [file[128:] for file in originals]

    await named(client, AT_CT)

    await is_whole(client, "=".join(NAME.values()))


async def is_whole(client: httpx.AsyncClient, name: str) -> None:
    """Assert that the CT has its 500 instances, in order, with their pixels and under this name."""
    [study] = await got(client, f"/dicomweb/studies?StudyInstanceUID={CT}")
    found = await got(client, f"{AT_CT}/instances?limit={len(NUMBERS) + 1}")
    metadata = await got(client, f"{AT_CT}/metadata")
    files = datasets(await client.get(AT_CT, headers={"Accept": ANY_SYNTAX}))

    assert value(study, "00201208") == len(found) == 500
    assert [value(one, "00200013") for one in metadata] == [file.InstanceNumber for file in files]
    assert [file.InstanceNumber for file in files] == list(NUMBERS)
    assert {"=".join(value(one, "00100010").values()) for one in metadata} == {name}
    assert {str(file.PatientName) for file in files} == {name}
    assert [file.PixelData for file in files] == [pixels(number) for number in NUMBERS]
