"""OHIF in a browser over a running gateway: what is no slice is played, read, drawn over slices, and stored.

No test lets an error pass: of the page, of its console, or a status of 400 and above.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import numpy as np
import pydicom
import pytest
from PIL import Image

from tests.conftest import Server
from tests.dicomweb.wire import parts
from tests.e2e.browser import printed_by
from tests.e2e.ohif import NEEDS_OHIF, PACKAGES, put
from tests.e2e.studies import CENTRE, GREEN, RADIUS, SIZE, STUDY, document, film, segmentation, structures, volume
from tests.samples import instance

pytestmark = NEEDS_OHIF

VIEWER = f"/viewer?StudyInstanceUIDs={STUDY}"
Mask: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
Pixels: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]


def look(site: str, path: str, kind: str, *pictures: Path) -> tuple[Any, list[dict[str, Any]]]:
    """Return what look.js says of a kind, and what the browser asked the gateway for. Nothing may have gone wrong."""
    found = json.loads(printed_by("look.js", PACKAGES, site, path, kind, *pictures))
    assert found["errors"] == []
    return found["said"], found["asked"]


def test_ohif_plays_a_video(server: Server, site: str, tmp_path: Path) -> None:
    """H.264, known by AvailableTransferSyntaxUID, fetched by ranges: the square is where it is at the film's time."""
    put(server, film())
    pictures = [tmp_path / "first.png", tmp_path / "second.png"]

    said, asked = look(site, VIEWER, "film", *pictures)

    assert [(one["duration"], one["videoWidth"], one["error"]) for one in said] == [(2.0, 64, None)] * 2
    assert said[0]["currentTime"] < said[1]["currentTime"]
    for one, picture in zip(said, pictures, strict=True):
        left = 2 * int(10 * one["currentTime"])
        assert centre(yellow(picture)) == pytest.approx(((left + 8) / 64, 0.5), abs=0.08)
    ranges = [one for one in asked if one["url"].endswith("/rendered")]
    assert {(one["status"], one["range"][:6]) for one in ranges} == {(206, "bytes=")}
    assert not [one for one in asked if "/frames/" in one["url"]]


def test_ohif_shows_a_pdf(server: Server, site: str, tmp_path: Path) -> None:
    """In the browser's own reader, from /rendered."""
    put(server, document())

    _, asked = look(site, VIEWER, "document", tmp_path / "page.png")

    assert (np.abs(pixels(tmp_path / "page.png") - GREEN).max(axis=2) < 8).mean() > 0.05
    assert [one["status"] for one in asked if one["url"].endswith("/rendered")]


@pytest.mark.parametrize(("kind", "made"), [("segmentation", segmentation), ("structures", structures)])
def test_ohif_draws_over_slices(server: Server, site: str, tmp_path: Path, kind: str, made: Any) -> None:
    """A segmentation fills the ball, a structure set goes round it: in red, where before there is none."""
    put(server, *volume(), made())
    before, after = tmp_path / "before.png", tmp_path / "after.png"

    look(site, VIEWER, kind, before, after)

    assert not red(before).any()
    assert centre(red(after)) == pytest.approx(((CENTRE[0] + 0.5) / SIZE, (CENTRE[1] + 0.5) / SIZE), abs=0.03)
    size = np.ptp(np.argwhere(red(after)), axis=0) / len(red(after))
    assert size == pytest.approx([2 * RADIUS / SIZE] * 2, abs=0.05)


def test_ohif_stores_a_report_and_opens_it(server: Server, site: str) -> None:
    """A length that is drawn there is an SR here, with its number, and is there again when the page is loaded anew."""
    put(server, *volume())

    said, asked = look(site, VIEWER, "report")

    assert said["drew"] == said["reopened"] is not None
    assert [one["status"] for one in asked if one["method"] == "POST"] == [200]
    [series] = httpx.get(f"{server.dicomweb}/studies/{STUDY}/series?Modality=SR").json()
    assert series["0008103E"]["Value"] == ["Of the ball"]
    uid = series["0020000E"]["Value"][0]
    [(_, file)] = parts(httpx.get(f"{server.dicomweb}/studies/{STUDY}/series/{uid}"))
    lengths: list[float] = []
    pydicom.dcmread(io.BytesIO(file)).walk(
        lambda _, element: lengths.append(float(element.value)) if element.keyword == "NumericValue" else None
    )
    assert [f"{length:.1f} mm" for length in lengths] == [said["drew"]]


def test_ohif_lists_a_study_without_a_modality(server: Server, site: str) -> None:
    """It reads the value of ModalitiesInStudy wherever there is that attribute; a search by name finds one of two."""
    put(server, instance(study="1.2.3.1", Modality=None, PatientName="DOE^JANE"))
    put(server, instance(study="1.2.3.2", PatientName="ROE^RICHARD"))

    said, _ = look(site, "/", "list")

    assert sorted(said["all"]) == ["DOE, JANE", "ROE, RICHARD"]
    assert said["found"] == ["DOE, JANE"]


def yellow(picture: Path) -> Mask:
    red_, green, blue = channels(picture)
    found: Mask = (red_ > 180) & (green > 140) & (blue < 100)
    return found


def red(picture: Path) -> Mask:
    red_, green, blue = channels(picture)
    found: Mask = (red_ - green > 60) & (red_ - blue > 60)
    return found


def pixels(picture: Path) -> Pixels:
    with Image.open(picture) as image:
        return np.asarray(image.convert("RGB"), np.int64)


def channels(picture: Path) -> Pixels:
    """Return the red, green and blue of the largest square in a picture's middle, into which OHIF fits an image."""
    whole = pixels(picture)
    rows, columns = whole.shape[:2]
    side = min(rows, columns)
    top, left = (rows - side) // 2, (columns - side) // 2
    return np.moveaxis(whole[top : top + side, left : left + side], 2, 0)


def centre(mask: Mask) -> tuple[float, float]:
    """Return the middle of what a mask has, from the left and from the top, of a side of 1."""
    rows, columns = np.argwhere(mask).mean(axis=0) / len(mask)
    return float(columns), float(rows)
