"""dicomweb-client does every step of the demo against a real server: what it has a method for by that method, and
edits, of which it knows nothing, with the session it works with."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pydicom
import pytest
import requests
from dicomweb_client import DICOMwebClient

from tests.conftest import Server
from tests.samples import ct_study

NAME, STUDY_ID = "00100010", "00200010"


class Desk:
    """A PACS administrator's desk: the client, its session, and the study they work on."""

    def __init__(self, server: Server) -> None:
        self.session = requests.Session()
        self.client = DICOMwebClient(server.dicomweb, session=self.session)
        self.root = server.dicomweb
        files = [pydicom.dcmread(io.BytesIO(file)) for file in ct_study()]
        self.stored = self.client.store_instances(files)
        self.study = str(files[0].StudyInstanceUID)

    @property
    def address(self) -> str:
        return f"{self.root}/studies/{self.study}"

    def found(self) -> dict[str, Any]:
        """Return the study as QIDO-RS has it."""
        (study,) = self.client.search_for_studies(search_filters={"StudyInstanceUID": self.study})
        return dict(study)

    def post_back(self, dataset: dict[str, Any], **query: str) -> requests.Response:
        """Post an edited search result."""
        headers = {"Content-Type": "application/dicom+json", "Accept": "application/dicom+json"}
        return self.session.post(f"{self.root}/studies", json=[dataset], params=query, headers=headers)

    def rename(self, name: str) -> None:
        """Edit the patient's name in a search result, and post it back."""
        study = self.found()
        study[NAME]["Value"] = [{"Alphabetic": name}]
        assert self.post_back(study).status_code == 200


@pytest.fixture
def desk(server: Server) -> Iterator[Desk]:
    """A desk with a study of seven CT instances stored."""
    desk = Desk(server)
    with desk.session:
        yield desk


def test_it_stores_and_finds_the_study(desk: Desk) -> None:
    """STOW-RS of seven instances, QIDO-RS at three levels."""
    study = desk.found()

    assert len(desk.stored.ReferencedSOPSequence) == 7
    assert study["00201208"]["Value"] == [7]
    assert len(desk.client.search_for_series(desk.study)) == 2
    assert len(desk.client.search_for_instances(desk.study)) == 7


def test_it_edits_a_search_result_and_posts_it_back(desk: Desk) -> None:
    """The new name is in the search, in the metadata and in the retrieved instances."""
    desk.rename("Doe^Jane")

    metadata = desk.client.retrieve_study_metadata(desk.study)
    instances = desk.client.retrieve_study(desk.study)
    assert desk.found()[NAME]["Value"] == [{"Alphabetic": "Doe^Jane"}]
    assert {one[NAME]["Value"][0]["Alphabetic"] for one in metadata} == {"Doe^Jane"}
    assert {str(one.PatientName) for one in instances} == {"Doe^Jane"}


def test_it_asks_first_what_an_edit_would_become(desk: Desk) -> None:
    """A dry run answers the SchemaVersion 1.1 document, and changes nothing."""
    patch: dict[str, Any] = {NAME: {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}}

    answer = desk.session.patch(f"{desk.address}/metadata", json=[patch], params={"dryRun": "true"}).json()

    document = {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "Doe^Jane"}}}
    assert [one["updates"]["updatableAttributes"] for one in answer["imageSets"]] == [document, document]
    assert desk.found()[NAME]["Value"] == [{"Alphabetic": "Doe^Peter"}]


def test_it_is_refused_without_force_and_accepted_with_it(desk: Desk) -> None:
    """StudyID is protected: the refusal names the rule and what lifts it."""
    patch = {STUDY_ID: {"vr": "SH", "Value": ["2026-17"]}}
    refused = desk.session.patch(f"{desk.address}/metadata", json=[patch])
    forced = desk.session.patch(f"{desk.address}/metadata", json=[patch], params={"force": "true"})

    violations = [(one["rule"], one["forceLifts"]) for one in refused.json()["violations"]]
    assert (refused.status_code, violations) == (409, [("study-id", True)])
    assert (forced.status_code, forced.headers["ETag"]) == (200, '"2"')
    assert desk.found()[STUDY_ID]["Value"] == ["2026-17"]


def test_it_lists_compares_and_reverts_versions(desk: Desk) -> None:
    """After a revert the study is as it was stored, as a third version."""
    desk.rename("Doe^Jane")

    (change,) = desk.session.get(f"{desk.address}/diff", params={"from": "1", "to": "2"}).json()["changes"]
    reverted = desk.session.post(f"{desk.address}/revert", params={"to": "1"})

    versions = desk.session.get(f"{desk.address}/versions").json()
    assert (change["keyword"], change["after"]["Value"]) == ("PatientName", [{"Alphabetic": "Doe^Jane"}])
    assert reverted.status_code == 200
    assert [(one["version"], one["action"]) for one in versions] == [(3, "revert"), (2, "update"), (1, "store")]
    assert desk.found()[NAME]["Value"] == [{"Alphabetic": "Doe^Peter"}]
