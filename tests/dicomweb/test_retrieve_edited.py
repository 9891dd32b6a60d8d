"""A retrieve sends what a version says, whatever was edited, stored again or deleted before and after.

Files are spliced or rewritten, whichever is possible; pydicom is the judge of what comes.
"""

from __future__ import annotations

import io

import httpx
import pydicom
import pytest

from gateway.dicom.dataset import Element
from gateway.dicom.part10 import read_part10, rewrite
from gateway.dicom.part10_write import no_bulk
from tests.dicomweb.wire import datasets, parts, patched, stored
from tests.samples import ct_series, instance

STUDY = "1.2.3.1"
AT_STUDY = f"/dicomweb/studies/{STUDY}"
AT_SERIES = f"{AT_STUDY}/series/{STUDY}.1"
ANY = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
EDITED = {"00081030": {"vr": "LO", "Value": ["Edited"]}}


@pytest.fixture
async def filled(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client of a gateway with a series of 70 instances: two parts in the log, two batches in a retrieve."""
    await stored(client, *(instance(study=STUDY, instance_number=number) for number in range(1, 71)))
    return client


async def files(client: httpx.AsyncClient, path: str = AT_STUDY) -> list[bytes]:
    return [data for _, data in parts(await client.get(path, headers=ANY))]


async def test_a_real_series_with_another_description_is_what_rewriting_writes(client: httpx.AsyncClient) -> None:
    """Five files of a scanner, byte for byte."""
    originals = ct_series()
    study = pydicom.dcmread(io.BytesIO(originals[0])).StudyInstanceUID
    await stored(client, *originals)
    await patched(client, f"/dicomweb/studies/{study}", EDITED)

    found = await files(client, f"/dicomweb/studies/{study}")

    new = {"00081030": Element("LO", ("Edited",))}
    expected = [b"".join(rewrite(data, read_part10(data).dataset | new, no_bulk)) for data in originals]
    assert sorted(found) == sorted(expected)


async def test_files_as_they_came_have_a_length(filled: httpx.AsyncClient) -> None:
    """The body's length is told beforehand where nothing was edited, and it is right."""
    received = await filled.get(AT_STUDY, headers=ANY)
    await patched(filled, AT_STUDY, EDITED)
    edited = await filled.get(AT_STUDY, headers=ANY)

    assert int(received.headers["content-length"]) == len(received.content)
    assert "content-length" not in edited.headers
    assert len(parts(received)) == len(parts(edited)) == 70


async def test_an_edit_that_is_reverted_leaves_the_files_that_came(filled: httpx.AsyncClient) -> None:
    """Every byte of every file; the version between them has the description."""
    before = await files(filled)
    await patched(filled, AT_STUDY, EDITED)
    await filled.post(f"{AT_STUDY}/revert?to=1")

    assert await files(filled) == before
    between = datasets(await filled.get(f"{AT_STUDY}?version=2", headers=ANY))
    assert {dataset.StudyDescription for dataset in between} == {"Edited"}


async def test_edits_at_several_levels_are_all_there(filled: httpx.AsyncClient) -> None:
    """One instance has its own, and all have those of the study and the series."""
    one = f"{AT_SERIES}/instances/{STUDY}.1.65"
    await patched(filled, one, {"00204000": {"vr": "LT", "Value": ["mine"]}})
    await patched(filled, AT_STUDY, EDITED)
    await patched(filled, AT_SERIES, {"0008103E": {"vr": "LO", "Value": ["Ours"]}})

    found = datasets(await filled.get(AT_STUDY, headers=ANY))

    assert {(each.StudyDescription, each.SeriesDescription) for each in found} == {("Edited", "Ours")}
    assert [each.get("ImageComments") for each in found] == ["Uncompressed"] * 64 + ["mine"] + ["Uncompressed"] * 5
    assert [each.InstanceNumber for each in found] == list(range(1, 71))


async def test_an_instance_stored_again_after_an_edit_has_its_new_pixels(filled: httpx.AsyncClient) -> None:
    """And the description of its study, as it was edited; the version before has the old pixels."""
    await patched(filled, AT_STUDY, EDITED)
    old = datasets(await filled.get(AT_STUDY, headers=ANY))[1]
    pixels = bytes(len(old.PixelData))
    await stored(filled, instance(study=STUDY, instance_number=2, PixelData=pixels, StudyDescription="Edited"))

    now = datasets(await filled.get(AT_STUDY, headers=ANY))
    before = datasets(await filled.get(f"{AT_STUDY}?version=2", headers=ANY))

    assert {each.StudyDescription for each in now} == {"Edited"} and len(now) == 70
    assert (now[1].PixelData, before[1].PixelData) == (pixels, old.PixelData)
    assert now[0].PixelData == old.PixelData


async def test_a_version_before_a_deletion_is_retrieved(filled: httpx.AsyncClient) -> None:
    """The latest one is gone."""
    await patched(filled, AT_STUDY, EDITED)
    assert (await filled.delete(AT_STUDY)).status_code < 300

    assert (await filled.get(AT_STUDY, headers=ANY)).status_code == 410
    before = datasets(await filled.get(f"{AT_STUDY}?version=2", headers=ANY))
    assert [each.StudyDescription for each in before] == ["Edited"] * 70
