"""Edits as tests send them, of the study that `ct_series(count)` and `instance()` make."""

from __future__ import annotations

from typing import Any

import httpx

STUDY_UID = "1.2.826.0.1.3680043.8.498.1"
SERIES_UID = f"{STUDY_UID}.1"
INSTANCE_UID = f"{SERIES_UID}.1"

ROOT = "/dicomweb"
STUDY = f"{ROOT}/studies/{STUDY_UID}"
SERIES = f"{STUDY}/series/{SERIES_UID}"
INSTANCE = f"{SERIES}/instances/{INSTANCE_UID}"

MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
DICOM_JSON = {"Content-Type": "application/dicom+json"}

# A name that no file has: it must never come back in an error.
CANARY = "ZZCANARY^PATIENT"


def lo(*values: str) -> dict[str, Any]:
    """Return an LO element of DICOM JSON."""
    return {"vr": "LO", "Value": list(values)}


def pn(name: str) -> dict[str, Any]:
    """Return a PN element of DICOM JSON."""
    return {"vr": "PN", "Value": [{"Alphabetic": name}]}


def ui(uid: str) -> dict[str, Any]:
    """Return a UI element of DICOM JSON."""
    return {"vr": "UI", "Value": [uid]}


def described(text: str) -> dict[str, Any]:
    """Return a merge patch of StudyDescription."""
    return {"00081030": lo(text)}


async def edit(client: httpx.AsyncClient, resource: str, patch: Any, query: str = "", **headers: str) -> httpx.Response:
    """Send a merge patch to a resource's normalized metadata."""
    sent = MERGE_PATCH | {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.patch(f"{resource}/normalizedmetadata{query}", json=patch, headers=sent)


async def edited(client: httpx.AsyncClient, resource: str, patch: Any, query: str = "") -> dict[str, Any]:
    """Make an edit that nothing is wrong with, and return its answer."""
    response = await edit(client, resource, patch, query)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def normalized(client: httpx.AsyncClient, resource: str, query: str = "") -> dict[str, Any]:
    """Return the dataset of a resource's own level."""
    response = await client.get(f"{resource}/normalizedmetadata{query}")
    assert response.status_code == 200, response.text
    [dataset] = response.json()
    found: dict[str, Any] = dataset
    return found


async def version_of(client: httpx.AsyncClient, resource: str = STUDY) -> int:
    """Return the latest version of a resource."""
    response = await client.get(f"{resource}/versions")
    assert response.status_code == 200, response.text
    latest: int = response.json()[0]["version"]
    return latest


def rules(response: httpx.Response) -> list[str]:
    """Return the rules of the constraints that a refused edit breaks."""
    assert response.status_code == 409, response.text
    return [violation["rule"] for violation in response.json()["violations"]]
