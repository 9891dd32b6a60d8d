"""3D Slicer's core, as PyPI has it, over a running gateway: a series becomes a volume. Slicer's window is not run."""

from __future__ import annotations

import io
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_rescale, pixel_array
from pydicom.uid import UID, ExplicitVRLittleEndian, RLELossless

from tests.conftest import Server
from tests.dicomweb.edits import MERGE_PATCH, pn
from tests.dicomweb.wire import stored
from tests.e2e.browser import HERE
from tests.samples import ct_series

SLICER_PYTHON = os.environ.get("SLICER_PYTHON", "")

pytestmark = pytest.mark.skipif(not SLICER_PYTHON, reason="no slicer-core here: tests/README.md says how to have it")


def volume(server: Server, series: pydicom.Dataset, folder: Path) -> dict[str, Any]:
    """Return what Slicer loads of a series."""
    folder.mkdir()
    script = [SLICER_PYTHON, str(HERE / "slicer_volume.py")]
    where = [server.dicomweb, series.StudyInstanceUID, series.SeriesInstanceUID, str(folder)]
    done = subprocess.run([*script, *where], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-4000:]
    shown: dict[str, Any] = json.loads(done.stdout)
    return shown


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless], ids=lambda uid: uid.name)
async def test_slicer_loads_a_series_as_a_volume(server: Server, tmp_path: Path, syntax: UID) -> None:
    """Five real CT slices in the order of their positions, in Hounsfield units as pydicom has them; an edit shows."""
    slices = [pydicom.dcmread(io.BytesIO(file)) for file in ct_series()]
    if syntax == RLELossless:
        for one in slices:
            one.compress(syntax, generate_instance_uid=False)
    bodies = []
    for one in slices:
        one.save_as(body := io.BytesIO())
        bodies.append(body.getvalue())
    first = slices[0]
    async with httpx.AsyncClient(base_url=server.url) as client:
        await stored(client, *bodies)
        before = volume(server, first, tmp_path / "before")
        path = f"/dicomweb/studies/{first.StudyInstanceUID}/metadata"
        response = await client.patch(path, json=[{"00100010": pn("Edited^Name")}], headers=MERGE_PATCH)
        assert response.status_code == 200, response.text
        after = volume(server, first, tmp_path / "after")

    from_foot = sorted(slices, key=lambda one: float(one.ImagePositionPatient[2]))
    expected = [apply_rescale(pixel_array(one), one) for one in from_foot]
    assert (before["names"], after["names"]) == (["Doe^Peter"], ["Edited^Name"])
    assert before["spacing"] == pytest.approx([0.488281, 0.488281, 2.5])
    # Slicer's axes point right, anterior, superior, DICOM's left, posterior, superior.
    assert before["origin"] == pytest.approx([72.2, 143.0, -1.2375])
    assert np.array_equal(before["values"], expected) and np.array_equal(after["values"], expected)
