"""Every address of bulk data in the metadata of every real file, against the bytes that pydicom reads there."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pydicom
import pytest
from pydicom.encaps import generate_frames
from pydicom.uid import ExplicitVRBigEndian

from gateway.app import create_app, opened_store
from gateway.dicom.dataset import bulk_uris
from gateway.dicom.xml_model import parse_xml
from gateway.settings import Settings
from tests.conftest import app_client
from tests.dicomweb.pixels import stored_sample
from tests.dicomweb.wire import parts, stow
from tests.samples import SAMPLE_IDS, SAMPLES, sample

XML = 'multipart/related; type="application/dicom+xml"'

PIXELS = frozenset({"7FE00008", "7FE00009", "7FE00010"})

# Bytes of a word, where big endian turns them.
WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}


def addresses(document: Mapping[str, Any], original: pydicom.Dataset) -> Iterator[tuple[str, Any]]:
    """Yield each BulkDataURI of a dataset and its items, with the element that pydicom has there."""
    for tag, element in document.items():
        if "BulkDataURI" in element:
            # Not original[tag]: of private elements that the file calls UN, pydicom knows some, and decodes them.
            yield element["BulkDataURI"], original.get_item(tag)
        elif element["vr"] == "SQ" and "Value" in element:
            for item, theirs in zip(element["Value"], original[tag].value, strict=True):
                yield from addresses(item, theirs)


def pixel_vrs(original: pydicom.Dataset) -> dict[str, str]:
    """Return the VR of each kind of pixel data: of encapsulated ones OB, as PS3.5 A.4 has it and not every file."""
    encapsulated = original.file_meta.TransferSyntaxUID.is_encapsulated
    return {tag: "OB" if encapsulated else original[tag].VR for tag in PIXELS if tag in original}


def little_endian(value: bytes, word: int, original: pydicom.Dataset) -> bytes:
    """Return a value as PS3.18 F.2.7 has it: pydicom leaves it as it lies in the file."""
    if original.file_meta.TransferSyntaxUID != ExplicitVRBigEndian or word == 1:
        return value
    return np.frombuffer(value, f">u{word}").astype(f"<u{word}").tobytes()


@pytest.mark.parametrize("path", SAMPLES, ids=SAMPLE_IDS)
async def test_every_address_resolves(settings: Settings, path: Path) -> None:
    """W2, W3: with all binary values by address; encapsulated pixels come as frames, in JSON and XML at one address."""
    settings = replace(settings, inline_binary_limit=0)
    async with opened_store(settings) as store, app_client(create_app(settings, store)) as client:
        if (await stow(client, path.read_bytes())).status_code not in (200, 202):
            pytest.skip("without the UIDs of an instance")
        [study] = (await client.get("/dicomweb/studies")).json()
        at = f"/dicomweb/studies/{study['0020000D']['Value'][0]}/metadata"
        [document] = (await client.get(at)).json()
        [(_, in_xml)] = parts(await client.get(at, headers={"Accept": XML}))
        with warnings.catch_warnings(action="ignore"):
            original = pydicom.dcmread(path)
            found = list(addresses(document, original))
        assert {tag: document[tag]["vr"] for tag in PIXELS & document.keys()} == pixel_vrs(original)
        assert [uri for uri, _ in found] == bulk_uris(parse_xml(in_xml, any_bulk=True))
        for uri, element in found:
            await check(client, uri, element, original)


async def check(client: httpx.AsyncClient, uri: str, element: Any, original: pydicom.Dataset) -> None:
    response = await client.get(uri)
    assert response.status_code == 200, (element.tag, response.text)
    word = WORDS.get(element.VR, 1)
    if element.tag == 0x7FE00010:
        word = max(word, original.BitsAllocated // 8)
    if element.tag == 0x7FE00010 and original.file_meta.TransferSyntaxUID.is_encapsulated:
        frames = generate_frames(element.value, number_of_frames=int(original.get("NumberOfFrames") or 1))
        assert [data for _, data in parts(response)] == list(frames)
    else:
        assert response.headers["content-type"] == "application/octet-stream"
        assert response.content == little_endian(element.value, word, original), element.tag


@pytest.mark.skipif(not shutil.which("dcm2json"), reason="dcmtk is not installed")
@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "liver.dcm"])
async def test_native_pixels_are_what_dcmtk_reads(client: httpx.AsyncClient, name: str) -> None:
    """An oracle that knows no pydicom: VR and bytes, little endian whatever the file is."""
    path = await stored_sample(client, name)
    printed = subprocess.run(["dcm2json", "+fc", str(sample(name))], capture_output=True, check=True).stdout
    theirs = json.loads(printed)["7FE00010"]

    ours = (await client.get(f"{path}/metadata")).json()[0]["7FE00010"]
    pixels = (await client.get(ours["BulkDataURI"])).content

    assert (ours["vr"], pixels) == (theirs["vr"], base64.b64decode(theirs["InlineBinary"]))
