"""dwv in a browser over a running gateway of another origin: it draws images by WADO-RS and by WADO-URI."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.pixels import pixel_array

from tests.conftest import Server, serving
from tests.dicomweb.edits import MERGE_PATCH, pn
from tests.e2e.browser import CAN_BROWSE, HERE, printed_by, site_of
from tests.samples import sample

PACKAGES = Path(os.environ.get("DWV", "")) / "node_modules"
DIST = PACKAGES / "dwv" / "dist"

pytestmark = pytest.mark.skipif(
    not (os.environ.get("DWV") and DIST.is_dir() and CAN_BROWSE),
    reason="there is no dwv, Chromium or Node here: tests/README.md says how to have them",
)

NAME = "Äpfel^Jörg"
SIDE = 512  # of what it draws in, in pixels


@pytest.fixture
def site() -> Iterator[str]:
    """The origin of the page, of the viewer and its workers."""
    with site_of({"/assets/": DIST / "assets", "/node_modules/": PACKAGES, "/": HERE}) as origin:
        yield origin


@pytest.fixture
def gateway(tmp_path: Path, site: str) -> Iterator[Server]:
    """A gateway that lets pages of that origin in."""
    with serving(tmp_path / "data", GATEWAY_CORS_ORIGINS=site) as server:
        yield server


WADO_RS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
WADO_URI = "application/dicom; transfer-syntax=*"


# A CT, and the first of 30 frames of an ultrasound in JPEG baseline.
@pytest.mark.parametrize("name", ["CT_small.dcm", "examples_ybr_color.dcm"])
@pytest.mark.parametrize("accept", [WADO_RS, WADO_URI], ids=["WADO-RS", "WADO-URI"])
def test_dwv_draws_an_edited_image(site: str, gateway: Server, tmp_path: Path, name: str, accept: str) -> None:
    """Its grey values go with those that pydicom reads, and it has the edited name."""
    file = sample(name).read_bytes()
    original = pydicom.dcmread(io.BytesIO(file))
    headers = {"Content-Type": "application/dicom"}
    httpx.post(f"{gateway.dicomweb}/studies", content=file, headers=headers).raise_for_status()
    study = f"{gateway.dicomweb}/studies/{original.StudyInstanceUID}"
    httpx.patch(f"{study}/metadata", json=[{"00100010": pn(NAME)}], headers=MERGE_PATCH).raise_for_status()

    url = study if accept == WADO_RS else by_wado_uri(gateway, original)
    page = f"{site}/dwv.html?{urlencode({'url': url, 'accept': accept})}"
    patient = printed_by("view_slide.js", PACKAGES, page, tmp_path / "shown.png")

    assert NAME in patient
    shown, expected = drawn(tmp_path / "shown.png"), grey(original)
    assert np.corrcoef(shown.ravel(), expected.ravel())[0, 1] > 0.98


def by_wado_uri(gateway: Server, original: pydicom.Dataset) -> str:
    asked = {
        "requestType": "WADO",
        "contentType": "application/dicom",
        "studyUID": original.StudyInstanceUID,
        "seriesUID": original.SeriesInstanceUID,
        "objectUID": original.SOPInstanceUID,
    }
    return f"{gateway.dicomweb}/wado?{urlencode(asked)}"


def drawn(picture: Path) -> NDArray[Any]:
    """Return what is in the viewer's square, at a quarter of its size."""
    square = Image.open(picture).convert("L").crop((0, 0, SIDE, SIDE))
    return np.asarray(square.resize((SIDE // 4, SIDE // 4), Image.Resampling.BOX), float)


def grey(original: pydicom.Dataset) -> NDArray[Any]:
    """Return the first frame in grey as the viewer fits it into its square, at a quarter of the size."""
    frame = pixel_array(original, index=0) if "NumberOfFrames" in original else pixel_array(original)
    picture = Image.fromarray(frame).convert("L") if frame.ndim == 3 else Image.fromarray(frame.astype("f4"))
    scale = SIDE // 4 / max(picture.size)
    small = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BOX)
    square = Image.new(small.mode, (SIDE // 4, SIDE // 4), float(np.asarray(small).min()) if frame.ndim == 2 else 0)
    square.paste(small, ((SIDE // 4 - small.width) // 2, (SIDE // 4 - small.height) // 2))
    return np.asarray(square, float)
