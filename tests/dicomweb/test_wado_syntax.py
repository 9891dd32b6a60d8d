"""The transfer syntax of what is retrieved: PS3.18 section 8.7.3.3. N8, N9, W1 are lines of a checklist."""

from __future__ import annotations

import io
from typing import Any

import httpx
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, generate_frames

from gateway.dicomweb.negotiation import DICOM, Choice, Offer
from gateway.dicomweb.wado.transfer_syntax import plan
from gateway.errors import NotAcceptable
from gateway.metadata.image_set import InstanceMetadata
from tests.dicomweb.wire import datasets, parts, stow
from tests.samples import ODD, ct_series, instance

EXPLICIT, IMPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
RLE, JPEG_BASELINE, JPEG_LOSSLESS = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70"
JPEG_LS, JPEG_2000_LOSSLESS, JPEG_2000 = (f"1.2.840.10008.1.2.4.{number}" for number in (80, 90, 91))
HTJ2K, MPEG_2 = "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.100"
MULTIPART = 'multipart/related; type="application/dicom"'


async def study_of(client: httpx.AsyncClient, *files: bytes) -> str:
    """Store files, and return the path of the first one's study."""
    response = await stow(client, *files)
    assert response.status_code in (200, 202), response.text
    return f"/dicomweb/studies/{pydicom.dcmread(io.BytesIO(files[0])).StudyInstanceUID}"


async def retrieved(client: httpx.AsyncClient, path: str, accept: str) -> list[pydicom.Dataset]:
    response = await client.get(path, headers={"Accept": accept})
    assert response.status_code == 200, response.text
    kinds = [kind.partition("transfer-syntax=")[2] for kind, _ in parts(response)]
    found = datasets(response)
    assert kinds == [dataset.file_meta.TransferSyntaxUID for dataset in found]
    return found


@pytest.mark.parametrize("name", ["big endian", "implicit", "deflated", "RLE", "JPEG lossless", "JPEG 2000 lossless"])
async def test_without_a_transfer_syntax_explicit_vr_little_endian_is_meant(
    client: httpx.AsyncClient, name: str
) -> None:
    """N8: PS3.18 8.7.3.3: and the pixels are those that were stored."""
    original = pydicom.dcmread(ODD[name])
    path = await study_of(client, ODD[name].read_bytes())

    [found] = await retrieved(client, path, MULTIPART)

    assert found.file_meta.TransferSyntaxUID == EXPLICIT
    if "PixelData" in original:
        assert np.array_equal(found.pixel_array, original.pixel_array)


@pytest.mark.parametrize("name", ["JPEG baseline", "JPEG-LS near-lossless", "JPEG 2000"])
async def test_what_is_lossy_stays_what_it_is(client: httpx.AsyncClient, name: str) -> None:
    """N8: when only lossy is stored, that transfer syntax; any pixel of it would look like a measured one."""
    file = pydicom.dcmread(ODD[name])
    file.StudyInstanceUID, file.SeriesInstanceUID = "1.2.3.4", "1.2.3.5"
    written = io.BytesIO()
    file.save_as(written)
    path = await study_of(client, written.getvalue())

    [found] = await retrieved(client, path, MULTIPART)

    assert found.file_meta.TransferSyntaxUID == file.file_meta.TransferSyntaxUID
    assert found.PixelData == file.PixelData


@pytest.mark.parametrize("accept", ["*/*", "multipart/*", f"{MULTIPART}; transfer-syntax=*", ""])
async def test_any_transfer_syntax_is_the_stored_one(client: httpx.AsyncClient, accept: str) -> None:
    """N8: * and wildcards, and no header at all, take what is there, byte for byte."""
    file = ODD["RLE"].read_bytes()
    path = await study_of(client, file)

    [(_, data)] = parts(await client.get(path, headers={"Accept": accept} if accept else {}))

    assert data[128:] == file[128:]


@pytest.mark.parametrize("uid", [RLE, JPEG_LOSSLESS, JPEG_LS, JPEG_2000_LOSSLESS, HTJ2K])
async def test_a_transfer_syntax_that_is_lossless_can_be_had(client: httpx.AsyncClient, uid: str) -> None:
    """N8: each instance of a series, and a single part of one likewise."""
    path = await study_of(client, *ct_series())

    found = await retrieved(client, path, f"{MULTIPART}; transfer-syntax={uid}")
    one = f"{path}/series/{found[0].SeriesInstanceUID}/instances/{found[0].SOPInstanceUID}"
    single = await client.get(one, headers={"Accept": f"application/dicom; transfer-syntax={uid}"})

    assert [dataset.file_meta.TransferSyntaxUID for dataset in found] == [uid] * 5
    assert single.headers["content-type"] == f"application/dicom; transfer-syntax={uid}"
    original = pydicom.dcmread(io.BytesIO(ct_series()[0]))
    assert np.array_equal(pydicom.dcmread(io.BytesIO(single.content)).pixel_array, original.pixel_array)


async def test_the_edits_are_in_it_whatever_the_transfer_syntax(client: httpx.AsyncClient) -> None:
    """W11: transcoded or not."""
    path = await study_of(client, instance(study="1.2.3"))
    patch = {"00081030": {"vr": "LO", "Value": ["Kopf"]}}
    await client.patch(
        f"{path}/normalizedmetadata", json=patch, headers={"Content-Type": "application/merge-patch+json"}
    )

    [found] = await retrieved(client, path, f"{MULTIPART}; transfer-syntax={RLE}")

    assert found.StudyDescription == "Kopf"


@pytest.mark.parametrize("uid", [JPEG_BASELINE, JPEG_2000, MPEG_2, IMPLICIT, BIG_ENDIAN, "1.2.3", "nonsense"])
async def test_what_cannot_be_made_without_loss_is_not_acceptable(client: httpx.AsyncClient, uid: str) -> None:
    """N1, N8: 406, and the next range is tried."""
    path = await study_of(client, instance())

    refused = await client.get(path, headers={"Accept": f"{MULTIPART}; transfer-syntax={uid}"})
    next_one = await client.get(path, headers={"Accept": f"{MULTIPART}; transfer-syntax={uid}, {MULTIPART};q=0.1"})

    assert (refused.status_code, next_one.status_code) == (406, 200)


async def test_a_part_of_a_study_is_better_than_none(client: httpx.AsyncClient) -> None:
    """W1: 206 with Warning 299, where an instance without pixels lies beside the one that can be compressed."""
    without_pixels = instance(study="1.2.3", series="1.2.3.9", PixelData=None, Rows=None, Columns=None)
    path = await study_of(client, instance(study="1.2.3"), without_pixels)

    response = await client.get(path, headers={"Accept": f"{MULTIPART}; transfer-syntax={RLE}"})

    assert response.status_code == 206 and len(parts(response)) == 1
    text = "1 instances are not available in the transfer syntaxes that were asked for."
    assert response.headers["warning"] == f'299 http://gateway.test/dicomweb: "{text}"'


def metadata(stored: str, **dicom: Any) -> InstanceMetadata:
    return {"DICOM": {"TransferSyntaxUID": stored, **dicom}, "DICOMVRs": {}}


LARGE = {"Rows": 60_000, "Columns": 60_000, "BitsAllocated": 16, "SamplesPerPixel": 1}
SMALL = {"Rows": 2, "Columns": 2, "BitsAllocated": 16, "SamplesPerPixel": 1}
INSTANCES = Offer(DICOM, multipart=True)


@pytest.mark.parametrize("named", [(), (EXPLICIT,)])
def test_what_would_not_fit_uncompressed_is_not_acceptable(named: tuple[str, ...]) -> None:
    """N9: a length has 32 bits; 60,000 x 60,000 pixels of 16 bits are more."""
    with pytest.raises(NotAcceptable):
        plan([Choice(INSTANCES, named)], {"1.2": metadata(JPEG_2000_LOSSLESS, **LARGE)})

    assert plan([Choice(INSTANCES, ("*",))], {"1.2": metadata(JPEG_2000_LOSSLESS, **LARGE)}).left_out == 0


# Stored, named, what it is sent in.
PLANS = [
    (EXPLICIT, (), EXPLICIT),
    (IMPLICIT, (), EXPLICIT),
    (JPEG_2000, (), JPEG_2000),
    (MPEG_2, (), MPEG_2),
    ("1.2.3", (), "1.2.3"),
    (JPEG_2000, (EXPLICIT,), EXPLICIT),
    (JPEG_2000, (RLE, JPEG_2000), JPEG_2000),
    (EXPLICIT, (JPEG_BASELINE, RLE, JPEG_LS), RLE),
    (MPEG_2, ("*",), MPEG_2),
]


@pytest.mark.parametrize(("stored", "named", "expected"), PLANS)
def test_the_transfer_syntax_follows_from_what_is_stored(stored: str, named: tuple[str, ...], expected: str) -> None:
    """N6, N8: the stored one wherever it is named, else the first that can be made, else explicit VR little endian."""
    found = plan([Choice(INSTANCES, named)], {"1.2": metadata(stored, **SMALL)})

    assert (found.syntaxes, found.left_out) == ({"1.2": expected}, 0)


def test_a_choice_that_all_can_meet_goes_first() -> None:
    """N1: the client's second choice for everything, rather than its first for a part."""
    stored = {"1.1": metadata(MPEG_2, **SMALL), "1.2": metadata(EXPLICIT, **SMALL)}

    found = plan([Choice(INSTANCES, (RLE,)), Choice(INSTANCES, ("*",))], stored)

    assert found.syntaxes == {"1.1": MPEG_2, "1.2": EXPLICIT}


def j2k(number: int, *, cut: bool = False) -> bytes:
    """Return an instance in JPEG 2000, one of a series; cut: with half of its codestream, which nobody can decode."""
    file = pydicom.dcmread(ODD["JPEG 2000 lossless"])
    file.StudyInstanceUID, file.SeriesInstanceUID, file.SOPInstanceUID = "1.2.3", "1.2.3.4", f"1.2.3.4.{number}"
    file.file_meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID
    if cut:
        [frame] = generate_frames(file.PixelData, number_of_frames=1)
        file.PixelData = encapsulate([frame[: len(frame) // 4 * 2]])
    written = io.BytesIO()
    file.save_as(written)
    return written.getvalue()


@pytest.mark.parametrize("syntax", ["", f"; transfer-syntax={JPEG_LS}"])
async def test_a_damaged_instance_does_not_take_its_study_with_it(client: httpx.AsyncClient, syntax: str) -> None:
    """N8, W1: it comes as it is stored, and its part says so; the others come as asked."""
    path = await study_of(client, j2k(1), j2k(2, cut=True), j2k(3))

    response = await client.get(path, headers={"Accept": MULTIPART + syntax})

    wanted = JPEG_LS if syntax else EXPLICIT
    assert response.status_code == 200
    assert [kind.partition("transfer-syntax=")[2] for kind, _ in parts(response)] == [
        wanted,
        JPEG_2000_LOSSLESS,
        wanted,
    ]
    damaged = datasets(response)[1]
    assert damaged.file_meta.TransferSyntaxUID == JPEG_2000_LOSSLESS
    assert damaged.PixelData == pydicom.dcmread(io.BytesIO(j2k(2, cut=True))).PixelData


@pytest.mark.parametrize("kind", ["application/dicom", MULTIPART])
async def test_a_damaged_instance_comes_as_stored_or_not_at_all(client: httpx.AsyncClient, kind: str) -> None:
    """N8: it comes where no transfer syntax is named; where another one is, 406, for it is no fault of the client."""
    path = await study_of(client, j2k(2, cut=True)) + "/series/1.2.3.4/instances/1.2.3.4.2"

    unnamed = await client.get(path, headers={"Accept": kind})
    named = await client.get(path, headers={"Accept": f"{kind}; transfer-syntax={JPEG_LS}"})

    assert (unnamed.status_code, named.status_code) == (200, 406)
    assert (
        f"transfer-syntax={JPEG_2000_LOSSLESS}".encode() in unnamed.headers["content-type"].encode() + unnamed.content
    )


async def test_an_instance_of_one_bit_is_left_out_where_it_has_no_room(client: httpx.AsyncClient) -> None:
    """W1: a segmentation beside an image, both asked for in RLE: 206 with the image."""
    bits = instance(study="1.2.3", series="1.2.3.9", BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=bytes(2048))
    path = await study_of(client, instance(study="1.2.3"), bits)

    response = await client.get(path, headers={"Accept": f"{MULTIPART}; transfer-syntax={RLE}"})

    assert response.status_code == 206 and len(parts(response)) == 1
