"""Sample images in the gateway, and where they are."""

from __future__ import annotations

import io

import httpx
import pydicom
from PIL import Image

from tests.dicomweb.wire import stored
from tests.samples import sample


async def stored_sample(client: httpx.AsyncClient, name: str) -> str:
    """Store a sample file, and return the path of its instance."""
    await stored(client, sample(name).read_bytes())
    return path_of(pydicom.dcmread(sample(name), stop_before_pixels=True))


def path_of(dataset: pydicom.Dataset) -> str:
    """Return the path of an instance."""
    study, series, instance = dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID
    return f"/dicomweb/studies/{study}/series/{series}/instances/{instance}"


def opened(response: httpx.Response) -> Image.Image:
    """Return a picture, as Pillow reads it."""
    assert response.status_code == 200, response.text
    return Image.open(io.BytesIO(response.content))
