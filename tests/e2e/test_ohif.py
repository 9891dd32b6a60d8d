"""OHIF in a browser over a running gateway: it lists a study, draws its pixels, and shows what was edited."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from tests.conftest import Server
from tests.dicomweb.edits import MERGE_PATCH, STUDY_UID, pn
from tests.e2e.browser import printed_by
from tests.e2e.ohif import NEEDS_OHIF, PACKAGES, put
from tests.samples import ct_series

pytestmark = NEEDS_OHIF


def view(site: str, picture: Path) -> str:
    """Return the text of the study list, with a picture of the study's first viewport in a file."""
    return printed_by("view.js", PACKAGES, site, STUDY_UID, picture)


def test_ohif_shows_a_study_and_its_edited_name(server: Server, site: str, tmp_path: Path) -> None:
    """The study is listed and what is drawn is its slice; after an edit, the reloaded list has the new name.

    Drawn means: the middle of the viewport has the grey values of the slice, and not those of the slice turned round.
    """
    put(server, *ct_series(3))

    before = view(site, tmp_path / "before.png")
    url = f"{server.dicomweb}/studies/{STUDY_UID}/metadata"
    httpx.patch(url, json=[{"00100010": pn("DOE^JANE")}], headers=MERGE_PATCH).raise_for_status()
    after = view(site, tmp_path / "after.png")

    assert "CompressedSamples" in before and "DOE" not in before
    assert "DOE" in after and "CompressedSamples" not in after
    slices = [rendered(server, dataset["00080018"]["Value"][0]) for dataset in instances(server)]
    for picture in ("before.png", "after.png"):
        shown = middle(Image.open(tmp_path / picture))
        alike = [float(np.corrcoef(shown, middle(one))[0, 1]) for one in slices]
        assert max(alike) > 0.9, alike
        assert abs(np.corrcoef(shown, middle(slices[0].rotate(90)))[0, 1]) < max(alike) - 0.2


def test_ohif_fetches_pixels_once(server: Server, site: str, asked: list[str], tmp_path: Path) -> None:
    """W3: each slice by its frame, and not by the BulkDataURI that metadata have for it as well."""
    put(server, *ct_series(3))

    view(site, tmp_path / "once.png")

    frames = [path for path in asked if "/frames/" in path]
    assert len(frames) == len(set(frames)) == 3
    assert [path for path in asked if path.endswith("/metadata")]
    assert not [path for path in asked if "/bulkdata/" in path or "/pixeldata" in path]


def instances(server: Server) -> list[dict[str, Any]]:
    """Return what QIDO-RS says of the instances."""
    found: list[dict[str, Any]] = httpx.get(f"{server.dicomweb}/studies/{STUDY_UID}/instances").json()
    return found


def rendered(server: Server, uid: str) -> Image.Image:
    """Return the gateway's own picture of a slice, under the window that it comes with, as OHIF begins with it."""
    [series] = {one["0020000E"]["Value"][0] for one in instances(server)}
    url = f"{server.dicomweb}/studies/{STUDY_UID}/series/{series}/instances/{uid}/rendered"
    return Image.open(io.BytesIO(httpx.get(url, headers={"Accept": "image/png"}).content))


def middle(picture: Image.Image) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the grey values of a picture's middle, scaled down: OHIF writes into the corners and fits the height."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    edge = side // 5
    square = picture.convert("L").crop((left + edge, top + edge, left + side - edge, top + side - edge))
    return np.asarray(square.resize((24, 24), Image.Resampling.BOX), np.float64).ravel()
