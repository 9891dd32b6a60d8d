"""Which bucket a URI means."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import InvalidRequest
from gateway.store.objects.places import StoragePlaces
from gateway.store.objects.s3 import S3, S3Objects
from tests.store.objects_suite import content, listed


def places(*folders: Path) -> StoragePlaces:
    return StoragePlaces(folders, S3("", "us-east-1"))


@pytest.mark.parametrize(
    ("uri", "prefix"),
    [
        ("s3://dicom-input", ""),
        ("s3://dicom-input/", ""),
        ("s3://dicom-input/ct/2026/", "ct/2026/"),
        ("s3://dicom-input/ct", "ct"),
        ("s3://dicom-input//ct/%41", "/ct/%41"),
    ],
)
def test_uri_of_s3_is_a_bucket_and_a_prefix_as_they_are(uri: str, prefix: str) -> None:
    """S3's keys are no paths, and nothing in them is an escape."""
    place = places().locate(uri)

    assert isinstance(place.objects, S3Objects)
    assert place.prefix == prefix


@pytest.mark.parametrize(
    ("path", "key"), [("", "a b/1.dcm"), ("/", "a b/1.dcm"), ("/a%20b", "a b/1.dcm"), ("/a b/", "a b/1.dcm")]
)
async def test_uri_of_a_folder_is_a_place_in_the_folder_that_is_open(tmp_path: Path, path: str, key: str) -> None:
    """Keys are from the folder of the settings on, as they are from the bucket on; RFC 8089's escapes are undone."""
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "1.dcm").write_bytes(b"x")

    place = places(tmp_path).locate(f"file://{tmp_path}{path}")

    assert [found for found, _ in await listed(place.objects, place.prefix)] == [key]
    assert await content(place.objects, key) == b"x"


def test_hidden_folder_keeps_its_dot(tmp_path: Path) -> None:
    """A dot at the beginning of a name is part of it."""
    assert places(tmp_path).locate(f"file://{tmp_path}/.incoming").prefix == ".incoming"


@pytest.mark.parametrize(
    "uri",
    [
        "file:///",
        "file:///etc/",
        "file://{folder}/../",
        "file://{folder}/%2e%2e/secret/",
        "file://{folder}-other/",
        "file://{folder}%00/",
        "file://host{folder}/",
        "file://{parent}",
        "{folder}",
        "https://bucket/ct/",
    ],
)
def test_other_places_are_refused(tmp_path: Path, uri: str) -> None:
    """What an operator has not opened is not there."""
    folder = tmp_path / "in"

    with pytest.raises(InvalidRequest):
        places(folder).locate(uri.format(folder=folder, parent=tmp_path))


def test_no_folder_is_open_by_itself(tmp_path: Path) -> None:
    """The setting is empty unless somebody fills it."""
    with pytest.raises(InvalidRequest, match="import_folders"):
        places().locate(f"file://{tmp_path}/")


@pytest.mark.parametrize(
    ("prefix", "key"), [("", "meta/1.json"), ("in/", "in/meta/1.json"), ("in", "in/meta/1.json"), ("/", "meta/1.json")]
)
def test_path_below_a_place_takes_the_prefix_for_a_folder(prefix: str, key: str) -> None:
    """One slash between them, none before."""
    assert places().locate(f"s3://dicom-input/{prefix}").key("meta/1.json") == key
