"""dicom-microscopy-viewer in a browser over a running gateway of another origin: it draws a slide's tiles."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from tests.conftest import Server, serving
from tests.dicomweb.edits import MERGE_PATCH, pn
from tests.dicomweb.test_slides import slide
from tests.e2e.browser import CAN_BROWSE, HERE, printed_by, site_of

PACKAGES = Path(os.environ.get("SLIDE_VIEWER", "")) / "node_modules"
VIEWER = PACKAGES / "dicom-microscopy-viewer" / "dist" / "dynamic-import"
CLIENT = PACKAGES / "dicomweb-client" / "build" / "dicomweb-client.js"

pytestmark = pytest.mark.skipif(
    not (os.environ.get("SLIDE_VIEWER") and VIEWER.is_dir() and CAN_BROWSE),
    reason="there is no slide viewer, Chromium or Node here: tests/README.md says how to have them",
)

STUDY, SERIES = "1.2.3.4", "1.2.3.4.5"
TILE, COLUMNS, ROWS = 256, 4, 3
# Of each tile, row by row: as many reds, greens and blues as it takes to tell all twelve apart.
COLOURS = [(60 * column, 80 * row, 40 + 50 * column) for row in range(1, ROWS + 1) for column in range(COLUMNS)]


@pytest.fixture
def site() -> Iterator[str]:
    """The origin of the page, of the viewer and its worker, and of dicomweb-client."""
    roots = {"/dicom-microscopy-viewer/": VIEWER, "/static/js/": VIEWER, "/dicomweb-client.js": CLIENT, "/": HERE}
    with site_of(roots) as origin:
        yield origin


@pytest.fixture
def gateway(tmp_path: Path, site: str) -> Iterator[Server]:
    """A gateway that lets pages of that origin in."""
    with serving(tmp_path / "data", GATEWAY_CORS_ORIGINS=site) as server:
        yield server


def code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def whole_slide() -> bytes:
    """Return a slide of twelve tiles, each of one colour, with what the viewer wants to know of it."""
    frames = []
    for colour in COLOURS:
        file = io.BytesIO()
        Image.new("RGB", (TILE, TILE), colour).save(file, "JPEG", quality=95)
        frames.append(file.getvalue())
    dataset = pydicom.dcmread(io.BytesIO(slide(frames, "basic")))
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = STUDY, SERIES, f"{SERIES}.9"
    dataset.TotalPixelMatrixColumns, dataset.TotalPixelMatrixRows = COLUMNS * TILE, ROWS * TILE
    dataset.Rows = dataset.Columns = TILE
    dataset.ContainerIdentifier, dataset.VolumetricProperties, dataset.NumberOfOpticalPaths = "C1", "VOLUME", 1
    dataset.ImagedVolumeWidth, dataset.ImagedVolumeHeight, dataset.ImagedVolumeDepth = 10.0, 7.5, 0.001
    dataset.ImageOrientationSlide, dataset.TotalPixelMatrixFocalPlanes = [0, -1, 0, 1, 0, 0], 1
    origin, path, measures, kind, functions = Dataset(), Dataset(), Dataset(), Dataset(), Dataset()
    origin.XOffsetInSlideCoordinateSystem, origin.YOffsetInSlideCoordinateSystem = 20, 40
    dataset.TotalPixelMatrixOriginSequence = [origin]
    path.OpticalPathIdentifier = "0"
    path.IlluminationTypeCodeSequence = [code("111744", "DCM", "Brightfield illumination")]
    path.IlluminationColorCodeSequence = [code("414298005", "SCT", "Full Spectrum")]
    dataset.OpticalPathSequence = [path]
    measures.PixelSpacing, measures.SliceThickness = [10 / (COLUMNS * TILE), 7.5 / (ROWS * TILE)], 0.001
    kind.FrameType = dataset.ImageType
    functions.PixelMeasuresSequence, functions.WholeSlideMicroscopyImageFrameTypeSequence = [measures], [kind]
    dataset.SharedFunctionalGroupsSequence = [functions]
    file = io.BytesIO()
    dataset.save_as(file)
    return file.getvalue()


def view(site: str, gateway: Server, picture: Path) -> str:
    """Return the patient's name as the viewer has it, with a picture of what it shows in a file."""
    page = f"{site}/slide.html?{urlencode({'root': gateway.dicomweb, 'study': STUDY, 'series': SERIES})}"
    return printed_by("view_slide.js", PACKAGES, page, picture)


def test_a_slide_viewer_draws_every_tile_in_its_place(site: str, gateway: Server, tmp_path: Path) -> None:
    """Before an edit and after it, and with the edited name: frames and metadata cross from one origin to another."""
    headers = {"Content-Type": "application/dicom"}
    httpx.post(f"{gateway.dicomweb}/studies", content=whole_slide(), headers=headers).raise_for_status()

    before = view(site, gateway, tmp_path / "before.png")
    url = f"{gateway.dicomweb}/studies/{STUDY}/metadata"
    httpx.patch(url, json=[{"00100010": pn("DOE^JANE")}], headers=MERGE_PATCH).raise_for_status()
    after = view(site, gateway, tmp_path / "after.png")

    assert "CompressedSamples" in before and "DOE" not in before
    assert "DOE" in after
    for picture in ("before.png", "after.png"):
        shown = Image.open(tmp_path / picture).convert("RGB")
        middles = [
            (column * TILE + TILE // 2, row * TILE + TILE // 2) for row in range(ROWS) for column in range(COLUMNS)
        ]
        drawn = [shown.getpixel(middle) for middle in middles]
        assert drawn == [pytest.approx(colour, abs=6) for colour in COLOURS]
