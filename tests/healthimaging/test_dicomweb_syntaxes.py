"""Transfer syntaxes below /datastore/{datastoreId} as HealthImaging gives them, below /dicomweb whatever can be made.

devguide, "Getting a DICOM instance from HealthImaging" and "Getting DICOM instance frames", Note.
"""

from __future__ import annotations

import io

import httpx
import pydicom
import pytest

from gateway.store.protocol import Store
from tests.dicomweb.wire import stow
from tests.samples import ODD, instance

EXPLICIT, STORED = "1.2.840.10008.1.2.1", "*"
HTJ2K, HTJ2K_RPCL, HTJ2K_LOSSY = (f"1.2.840.10008.1.2.4.{number}" for number in (201, 202, 203))
JPEG_2000_LOSSLESS, JPEG_2000, JPEG_BASELINE = (f"1.2.840.10008.1.2.4.{number}" for number in (90, 91, 50))
JPEG_LS, JPEG_LOSSLESS, RLE = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.5"

# What is stored, in which format; the transfer syntaxes that are given of it, and others that are not.
CASES = {
    "uncompressed": ("", "HTJ2K", [EXPLICIT, STORED, HTJ2K_RPCL, JPEG_2000_LOSSLESS], [HTJ2K, JPEG_LS, RLE, JPEG_2000]),
    "uncompressed, in JPEG 2000": (
        *("", "JPEG_2000_LOSSLESS"),
        *([EXPLICIT, STORED, JPEG_2000_LOSSLESS], [HTJ2K_RPCL, HTJ2K, JPEG_LS]),
    ),
    "JPEG lossless": (
        *("JPEG lossless", "HTJ2K"),
        *([EXPLICIT, STORED, HTJ2K_RPCL, JPEG_2000_LOSSLESS, JPEG_LOSSLESS], [JPEG_LS, HTJ2K, JPEG_BASELINE]),
    ),
    "RLE": ("RLE", "HTJ2K", [EXPLICIT, STORED, HTJ2K_RPCL, JPEG_2000_LOSSLESS, RLE], [JPEG_LOSSLESS, HTJ2K_LOSSY]),
    "JPEG baseline": (
        *("JPEG baseline", "HTJ2K"),
        *([EXPLICIT, STORED, JPEG_BASELINE], [HTJ2K_RPCL, JPEG_2000_LOSSLESS, JPEG_2000]),
    ),
    "JPEG 2000": (
        *("JPEG 2000", "HTJ2K"),
        *([EXPLICIT, STORED, JPEG_2000], [HTJ2K_RPCL, JPEG_2000_LOSSLESS, JPEG_BASELINE]),
    ),
}
ASKED = [
    pytest.param(odd, storage_format, syntax, 200 if syntax in given else 406, id=f"{name} as {syntax}")
    for name, (odd, storage_format, given, refused) in CASES.items()
    for syntax in [*given, *refused]
]
ACCEPT = ("application/dicom", "multipart/related; type=application/octet-stream")


async def below(client: httpx.AsyncClient, root: str, odd: str) -> tuple[str, str]:
    """Store an instance below a root, and return its path and that of its frame."""
    file = ODD[odd].read_bytes() if odd else instance()
    await stow(client, file, path=f"{root}/studies")
    found = pydicom.dcmread(io.BytesIO(file))
    path = f"{root}/studies/{found.StudyInstanceUID}/series/{found.SeriesInstanceUID}/instances/{found.SOPInstanceUID}"
    return path, f"{path}/frames/1"


@pytest.mark.parametrize(("odd", "storage_format", "syntax", "status"), ASKED)
async def test_transfer_syntax_is_given_where_the_service_stores_it(
    client: httpx.AsyncClient, store: Store, odd: str, storage_format: str, syntax: str, status: int
) -> None:
    """Of instances and frames alike: uncompressed, as stored, in the data store's format; 406 for what is left."""
    datastore = await store.create_datastore("other", {"losslessStorageFormat": storage_format}, {})
    paths = await below(client, f"/datastore/{datastore.datastore_id}", odd)

    for path, accept in zip(paths, ACCEPT, strict=True):
        answer = await client.get(path, headers={"Accept": f"{accept}; transfer-syntax={syntax}"})
        assert answer.status_code == status, answer.text


@pytest.mark.parametrize("syntax", [HTJ2K, JPEG_LS, RLE, JPEG_LOSSLESS])
async def test_root_of_our_own_gives_whatever_loses_nothing(client: httpx.AsyncClient, syntax: str) -> None:
    """As PS3.18 lets it."""
    for path, accept in zip(await below(client, "/dicomweb", ""), ACCEPT, strict=True):
        answer = await client.get(path, headers={"Accept": f"{accept}; transfer-syntax={syntax}"})
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("media_type", ["image/jls", "image/dicom-rle"])
async def test_media_type_of_a_syntax_that_is_not_given_is_not_acceptable(
    client: httpx.AsyncClient, store: Store, media_type: str
) -> None:
    """Without a transfer syntax in it, too."""
    root = f"/datastore/{(await store.default_datastore()).datastore_id}"
    _, frame = await below(client, root, "")

    answer = await client.get(frame, headers={"Accept": f"multipart/related; type={media_type}"})

    assert answer.status_code == 406
