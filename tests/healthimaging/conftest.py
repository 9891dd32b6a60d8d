"""A data store of a running gateway with a CT series in it, as the tests of the real clients need it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from botocore.client import BaseClient

from tests.conftest import Server
from tests.healthimaging.clients import boto3_client
from tests.samples import ct_series

SERIES = "1.2.826.0.1.3680043.8.498.1.1"


@pytest.fixture
def boto(session_server: Server) -> Iterator[BaseClient]:
    """A boto3 client of the running gateway."""
    client = boto3_client(session_server.endpoint)
    yield client
    client.close()


@pytest.fixture
def empty_datastore(boto: BaseClient) -> str:
    """The id of a new data store."""
    datastore_id: str = boto.create_datastore(datastoreName="archive")["datastoreId"]
    return datastore_id


@pytest.fixture
def ct(boto: BaseClient, session_server: Server, empty_datastore: str) -> ImageSet:
    """An image set of three CT instances in a data store of its own, stored over STOW-RS."""
    stow(session_server, empty_datastore, ct_series(3))
    return image_set(boto, empty_datastore, SERIES)


def stow(server: Server | str, datastore_id: str, instances: Sequence[bytes]) -> None:
    """Store PS3.10 instances over DICOMweb, at a server or its address."""
    parts = [b"--part\r\nContent-Type: application/dicom\r\n\r\n" + instance + b"\r\n" for instance in instances]
    answer = httpx.post(
        f"{server if isinstance(server, str) else server.url}/datastore/{datastore_id}/studies",
        content=b"".join([*parts, b"--part--\r\n"]),
        headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=part'},
        timeout=60,
        verify=False,  # or httpx reads all certificates there are, for each request
    )
    assert answer.status_code in (200, 202), answer.text


def image_set(boto: BaseClient, datastore_id: str, series_instance_uid: str) -> ImageSet:
    """Return the image set of a series."""
    criteria = {"filters": [{"values": [{"DICOMSeriesInstanceUID": series_instance_uid}], "operator": "EQUAL"}]}
    found = boto.search_image_sets(datastoreId=datastore_id, searchCriteria=criteria)["imageSetsMetadataSummaries"]
    assert len(found) == 1
    return ImageSet(boto, datastore_id, found[0]["imageSetId"])


@dataclass(frozen=True)
class ImageSet:
    """An image set as its client sees it."""

    boto: BaseClient
    datastore_id: str
    image_set_id: str

    @property
    def ids(self) -> dict[str, str]:
        return {"datastoreId": self.datastore_id, "imageSetId": self.image_set_id}

    def document(self, version: str | None = None) -> dict[str, Any]:
        """Return the metadata document of a version, the latest by default."""
        asked = {"versionId": version} if version else {}
        blob = self.boto.get_image_set_metadata(**self.ids, **asked)["imageSetMetadataBlob"].read()
        document: dict[str, Any] = json.loads(gzip.decompress(blob))
        return document

    def properties(self) -> dict[str, Any]:
        """Return GetImageSet's answer for the latest version."""
        answer: dict[str, Any] = self.boto.get_image_set(**self.ids)
        del answer["ResponseMetadata"]
        return answer

    def versions(self) -> list[dict[str, Any]]:
        """Return every version, newest first."""
        found: list[dict[str, Any]] = self.boto.list_image_set_versions(**self.ids)["imageSetPropertiesList"]
        return found

    def history(self) -> list[tuple[str, str, bool]]:
        """Return version, workflow status and whether it was forced, newest first."""
        return [
            (version["versionId"], version["ImageSetWorkflowStatus"], version.get("overrides") == {"forced": True})
            for version in self.versions()
        ]

    def update(
        self, updatable: Any = None, removable: Any = None, *, latest: str = "1", **options: bool
    ) -> dict[str, Any]:
        """Update metadata by documents, bytes where they are no documents."""
        blobs = {"updatableAttributes": updatable, "removableAttributes": removable}
        return self.send(
            {"DICOMUpdates": {k: encoded(v) for k, v in blobs.items() if v is not None}}, latest, **options
        )

    def send(self, updates: dict[str, Any], latest: str, **options: bool) -> dict[str, Any]:
        """Call UpdateImageSetMetadata."""
        answer: dict[str, Any] = self.boto.update_image_set_metadata(
            **self.ids, latestVersionId=latest, updateImageSetMetadataUpdates=updates, **options
        )
        del answer["ResponseMetadata"]
        return answer


def encoded(document: Any) -> bytes:
    return document if isinstance(document, bytes) else json.dumps(document).encode()


def patient(**attributes: Any) -> dict[str, Any]:
    """Return an update document of Patient level attributes."""
    return {"SchemaVersion": 1.1, "Patient": {"DICOM": attributes}}
