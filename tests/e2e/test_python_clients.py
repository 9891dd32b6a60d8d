"""Programs in Python that people read archives with, over a running gateway: they get its address and nothing more."""

from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pydicom
import pytest
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from tests.conftest import Server
from tests.dicomweb.edits import MERGE_PATCH, pn
from tests.dicomweb.wire import STOW, multipart
from tests.e2e.test_slide_viewer import COLOURS, COLUMNS, ROWS, SERIES, STUDY, TILE, whole_slide
from tests.healthimaging.clients import CREDENTIALS, boto3_client
from tests.samples import ct_study, sample

# They and what they use warn of much that is not ours, as of sequences without a handler of bulk data.
pytestmark = pytest.mark.filterwarnings("ignore")

NAME = "Äpfel^Jörg"


def put(server: Server, *files: bytes) -> pydicom.Dataset:
    """Store PS3.10 files of one study, and return the first."""
    url = f"{server.dicomweb}/studies"
    httpx.post(url, content=multipart(files), headers={"Content-Type": STOW}).raise_for_status()
    return pydicom.dcmread(io.BytesIO(files[0]))


def rename(server: Server, study: str) -> None:
    """Edit the patient's name."""
    url = f"{server.dicomweb}/studies/{study}/metadata"
    httpx.patch(url, json=[{"00100010": pn(NAME)}], headers=MERGE_PATCH).raise_for_status()


# -- wsidicom: slides


def slide_in(syntax: UID) -> bytes:
    """Return the slide of twelve tiles in a transfer syntax."""
    dataset = pydicom.dcmread(io.BytesIO(whole_slide()))
    if syntax != JPEGBaseline8Bit:
        dataset.decompress()
    if syntax not in (JPEGBaseline8Bit, ExplicitVRLittleEndian):
        dataset.compress(syntax, generate_instance_uid=False)
    file = io.BytesIO()
    dataset.save_as(file)
    return file.getvalue()


@pytest.mark.parametrize(
    "syntax", [JPEGBaseline8Bit, ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless], ids=lambda uid: uid.keyword
)
def test_wsidicom_reads_every_tile_of_a_slide(server: Server, syntax: UID) -> None:
    """It asks in one transfer syntax after the other for what it knows, JPEG first; and has the edited name."""
    wsidicom = pytest.importorskip("wsidicom")
    put(server, slide_in(syntax))
    rename(server, STUDY)

    client = wsidicom.WsiDicomWebClient.create_client(server.dicomweb)
    with wsidicom.WsiDicom.open_web(client, STUDY, [SERIES]) as slide:
        picture = np.asarray(slide.read_region((0, 0), 0, (COLUMNS * TILE, ROWS * TILE)).convert("RGB")).astype(int)
        name = str(slide.metadata.patient.name)

    centres = picture[TILE // 2 :: TILE, TILE // 2 :: TILE].reshape(-1, 3)
    assert np.abs(centres - np.array(COLOURS)).max() <= 3  # JPEG rounds
    assert name == NAME


# -- dicomtrolley: studies


@pytest.mark.parametrize("way", ["WADO-RS, a series at once", "WADO-RS, a study at once", "WADO-URI"])
def test_dicomtrolley_finds_and_downloads_an_edited_study(server: Server, way: str) -> None:
    """By a wild card, with its series and instances; every instance has the edited name and its pixels."""
    pytest.importorskip("dicomtrolley")
    from dicomtrolley.core import Query, QueryLevels
    from dicomtrolley.qido_rs import QidoRS
    from dicomtrolley.trolley import Trolley

    files = ct_study()
    rename(server, put(server, *files).StudyInstanceUID)
    search = QidoRS(_session(), server.dicomweb)

    [study] = search.find_studies(Query(PatientName="Äpf*", query_level=QueryLevels.STUDY))
    found = list(Trolley(_downloader(way, server), search).fetch_all_datasets([study]))

    originals = {one.SOPInstanceUID: one.PixelData for one in (pydicom.dcmread(io.BytesIO(file)) for file in files)}
    assert {one.SOPInstanceUID: one.PixelData for one in found} == originals
    assert {str(one.PatientName) for one in found} == {NAME}


def _session() -> Any:
    return pytest.importorskip("requests").Session()


def _downloader(way: str, server: Server) -> Any:
    from dicomtrolley.wado_rs import WadoRS
    from dicomtrolley.wado_uri import WadoURI

    if way == "WADO-URI":
        return WadoURI(_session(), f"{server.dicomweb}/wado")
    return WadoRS(_session(), server.dicomweb, request_per_series="series" in way)


# -- highdicom, through dicomweb-client: segmentations


@pytest.mark.parametrize("way", ["instance", "metadata and bulk data"])
def test_highdicom_reads_a_segmentation(server: Server, way: str) -> None:
    """As a file, and put together of metadata and what their BulkDataURI names; with the edited name."""
    highdicom = pytest.importorskip("highdicom")
    from dicomweb_client import DICOMwebClient

    original = put(server, sample("liver.dcm").read_bytes())
    rename(server, original.StudyInstanceUID)
    client = DICOMwebClient(server.dicomweb)
    uids = (original.StudyInstanceUID, original.SeriesInstanceUID, original.SOPInstanceUID)

    if way == "instance":
        dataset = client.retrieve_instance(*uids)
    else:
        metadata = client.retrieve_instance_metadata(*uids)
        dataset = pydicom.Dataset.from_json(metadata, lambda uri: bytes(client.retrieve_bulkdata(uri)[0]))
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = dataset.AvailableTransferSyntaxUID
    segmentation = highdicom.seg.Segmentation.from_dataset(dataset)

    assert segmentation.number_of_segments == 1
    assert (segmentation.pixel_array == original.pixel_array).all()
    assert segmentation.PatientName == NAME


# -- AWS's AHItoDICOM: PS3.10 files of what the HealthImaging API has

# It fetches and writes in processes of its own, which a script can end.
_TO_FILES = """
import sys
from AHItoDICOMInterface.AHItoDICOM import AHItoDICOM

if __name__ == "__main__":
    endpoint, datastore_id, study, folder = sys.argv[1:]
    reader = AHItoDICOM(AHI_endpoint=endpoint, fetcher_process_count=1, dicomizer_process_count=1)
    for dataset in reader.DICOMizeByStudyInstanceUID(datastore_id, study):
        reader.saveAsDICOM(dataset, folder)
"""

_OF_AWS = {"AWS_DEFAULT_REGION": CREDENTIALS["region_name"], "AWS_DISABLE_HOST_PREFIX_INJECTION": "true"}


def _tags(dataset: pydicom.Dataset) -> set[int]:
    """Return the tags of a dataset, without group lengths."""
    return {int(element.tag) for element in dataset if element.tag.element}


@pytest.mark.parametrize(
    "name",
    ["", "emri_small.dcm", "JPEG2000.dcm", "SC_rgb.dcm"],
    ids=["two series of CT", "ten frames", "JPEG 2000", "colour"],
)
def test_ahi_to_dicom_makes_files_of_an_edited_study(server: Server, tmp_path: Path, name: str) -> None:
    """Of a whole study, by the metadata documents and the image frames: every attribute and pixel, the edited name."""
    if importlib.util.find_spec("AHItoDICOMInterface") is None:
        pytest.skip("AHItoDICOMInterface is not installed")
    files = [sample(name).read_bytes()] if name else ct_study()
    study = put(server, *files).StudyInstanceUID
    rename(server, study)
    [datastore] = boto3_client(server.endpoint).list_datastores()["datastoreSummaries"]
    (script := tmp_path / "to_files.py").write_text(_TO_FILES)

    subprocess.run(
        [sys.executable, script, server.endpoint, datastore["datastoreId"], study, tmp_path],
        env=os.environ | {key.upper(): value for key, value in CREDENTIALS.items()} | _OF_AWS,
        check=True,
        timeout=120,
    )

    made = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, tmp_path.glob("*.dcm"))}
    for original in (pydicom.dcmread(io.BytesIO(file)) for file in files):
        one = made.pop(original.SOPInstanceUID)
        assert one.PatientName == NAME
        assert (one.pixel_array == original.pixel_array).all()
        assert _tags(original) <= _tags(one)
    assert not made
