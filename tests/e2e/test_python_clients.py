"""Programs in Python that people read archives with, over a running gateway: they get its address and nothing more."""

from __future__ import annotations

import io
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
