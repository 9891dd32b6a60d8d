"""A PACS of another make, pointed at the gateway by its address alone: Orthanc sends to it, asks it, fetches."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest

from tests.conftest import Server
from tests.dicomweb.edits import STUDY_UID, pn
from tests.dicomweb.wire import parts, value
from tests.orthanc import MISSING, orthanc_installed, running_orthanc
from tests.samples import ct_series, sample

pytestmark = pytest.mark.skipif(not orthanc_installed(), reason=MISSING)


@dataclass(frozen=True, slots=True)
class Pacs:
    """Orthanc's own interface, and the gateway that is its DICOMweb server `gateway`."""

    orthanc: httpx.Client
    gateway: httpx.Client

    def keep(self, *files: bytes) -> None:
        """Put files into Orthanc."""
        for file in files:
            self.orthanc.post("/instances", content=file).raise_for_status()

    def ask(self, what: str, **question: Any) -> Any:
        """Have Orthanc ask the gateway, and return what it says of the answer."""
        return self.orthanc.post(f"/dicom-web/servers/gateway/{what}", json=question).raise_for_status().json()

    def send(self) -> None:
        """Have Orthanc send all its studies to the gateway."""
        self.ask("stow", Resources=self.orthanc.get("/studies").json())

    def forget(self) -> None:
        for study in self.orthanc.get("/studies").json():
            self.orthanc.delete(f"/studies/{study}").raise_for_status()

    def files(self) -> list[pydicom.Dataset]:
        """Return what Orthanc holds, by SOP Instance UID."""
        paths = [f"/instances/{one}/file" for one in self.orthanc.get("/instances").json()]
        found = [pydicom.dcmread(io.BytesIO(self.orthanc.get(path).content)) for path in paths]
        return sorted(found, key=lambda dataset: str(dataset.SOPInstanceUID))

    def rename(self, name: str) -> None:
        """Edit the patient's name at the gateway."""
        headers = {"Content-Type": "application/dicom+json"}
        patch = [{"0020000D": {"vr": "UI", "Value": [STUDY_UID]}, "00100010": pn(name)}]
        self.gateway.patch(f"/studies/{STUDY_UID}/metadata", json=patch, headers=headers).raise_for_status()


@pytest.fixture(params=[True, False], ids=["chunked", "with its length"])
def pacs(request: pytest.FixtureRequest, tmp_path: Path, server: Server) -> Iterator[Pacs]:
    """Orthanc as it is when installed, and with requests that say their length."""
    with (
        running_orthanc(
            tmp_path / "orthanc", {"gateway": {"Url": server.dicomweb, "ChunkedTransfers": request.param}}
        ) as orthanc,
        httpx.Client(base_url=orthanc.url, timeout=60) as its_own,
        httpx.Client(base_url=server.dicomweb) as gateway,
    ):
        yield Pacs(its_own, gateway)


def test_it_sends_what_it_has(pacs: Pacs) -> None:
    """All instances of its studies, in the transfer syntax it has them in, under its boundary of 73 characters."""
    compressed = sample("JPEG2000.dcm").read_bytes()
    pacs.keep(*ct_series(3), compressed)

    pacs.send()

    assert len(pacs.gateway.get(f"/studies/{STUDY_UID}/instances").json()) == 3
    study = pydicom.dcmread(io.BytesIO(compressed)).StudyInstanceUID
    as_it_is = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
    [(_, file)] = parts(pacs.gateway.get(f"/studies/{study}", headers=as_it_is))
    assert file[128:] == compressed[128:]


def test_it_finds_and_fetches_what_was_edited(pacs: Pacs) -> None:
    """By the new name, with the pixels as they were, over its copy of before."""
    pacs.keep(*ct_series(3))
    before = pacs.files()
    pacs.send()

    pacs.rename("Äpfel^Edited")

    [study] = pacs.ask("qido", Uri="/studies", Arguments={"PatientName": "Äpf*"})
    assert study["0020000D"]["Value"] == STUDY_UID, study
    pacs.forget()
    assert pacs.ask("retrieve", Resources=[{"Study": STUDY_UID}])["ReceivedInstancesCount"] == "3"
    after = pacs.files()
    assert [str(dataset.PatientName) for dataset in after] == ["Äpfel^Edited"] * 3
    assert [dataset.PixelData for dataset in after] == [dataset.PixelData for dataset in before]


def test_it_fetches_a_series_and_an_instance(pacs: Pacs) -> None:
    """One series, and one instance, as it asks for them."""
    pacs.keep(*ct_series(3))
    first, *_ = pacs.files()
    pacs.send()
    pacs.forget()
    of_instance = {"Study": STUDY_UID, "Series": first.SeriesInstanceUID, "Instance": first.SOPInstanceUID}

    assert pacs.ask("retrieve", Resources=[of_instance])["ReceivedInstancesCount"] == "1"

    assert [dataset.SOPInstanceUID for dataset in pacs.files()] == [first.SOPInstanceUID]
    of_series = {"Study": STUDY_UID, "Series": first.SeriesInstanceUID}
    assert pacs.ask("retrieve", Resources=[of_series])["ReceivedInstancesCount"] == "3"


def test_it_passes_on_what_others_ask(pacs: Pacs) -> None:
    """Metadata and pictures through Orthanc, from the gateway."""
    pacs.keep(*ct_series(1))
    pacs.send()

    [metadata] = pacs.ask("get", Uri=f"/studies/{STUDY_UID}/metadata")

    assert value(metadata, "0020000D") == STUDY_UID
    picture = pacs.orthanc.post("/dicom-web/servers/gateway/get", json={"Uri": f"/studies/{STUDY_UID}/thumbnail"})
    assert picture.content[:2] == b"\xff\xd8"
