"""InternalServerException by faults that are real: a damaged database, a missing file, a disk without room."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import serving
from tests.durability.test_full_disk import fill, small_disk
from tests.healthimaging.clients import boto3_client
from tests.healthimaging.conftest import SERIES, ImageSet, image_set, patient, stow
from tests.healthimaging.test_copying import copy
from tests.healthimaging.test_every_operation import JOB
from tests.samples import instance

__all__ = ["small_disk"]

OTHER = f"{SERIES}.5"


def stored(endpoint: str, *series: str) -> list[ImageSet]:
    """Store an instance of each series, and return their image sets."""
    boto = boto3_client(endpoint)
    datastore_id = boto.list_datastores()["datastoreSummaries"][0]["datastoreId"]
    stow(endpoint, datastore_id, [instance(series=one) for one in series])
    return [image_set(boto, datastore_id, one) for one in series]


def refusal(call: Callable[[], Any]) -> tuple[str, int, str]:
    """Return exception, status and message of a call that fails."""
    with pytest.raises(ClientError) as raised:
        call()
    answer = raised.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


def flip(database: Path, column: str, image_set_id: str) -> None:
    """Flip a bit in the middle of what a column of an image set's part has, in the file itself."""
    connection = sqlite3.connect(database)
    [value] = connection.execute(
        f"SELECT {column} FROM part JOIN image_set ON image_set.id = part.image_set WHERE image_set_id = ?",
        (image_set_id,),
    ).fetchone()
    connection.close()
    content = bytearray(database.read_bytes())
    at = content.index(value[:64]) + 32
    content[at] ^= 0x10
    database.write_bytes(content)


def test_damaged_metadata_are_an_internal_error_and_others_are_read(tmp_path: Path) -> None:
    """What is not as it was written is not handed out; nor does it keep anybody from the rest."""
    with serving(tmp_path / "data") as server:
        damaged, sound = stored(server.endpoint, SERIES, OTHER)
    flip(tmp_path / "data" / "gateway.db", "body", damaged.image_set_id)

    with serving(tmp_path / "data") as server:
        damaged, sound = (
            ImageSet(boto3_client(server.endpoint), one.datastore_id, one.image_set_id) for one in (damaged, sound)
        )
        exception, status, message = refusal(damaged.document)

        assert (exception, status) == ("InternalServerException", 500)
        assert "CompressedSamples" not in message
        assert sound.document()["Patient"]["DICOM"]["PatientID"] == "1CT1"
        assert damaged.properties()["imageSetState"] == "ACTIVE"


def test_missing_file_is_an_internal_error(tmp_path: Path) -> None:
    """It was stored, so to say that there is no such thing would be wrong."""
    with serving(tmp_path / "data") as server:
        [one] = stored(server.endpoint, SERIES)
        for pack in (tmp_path / "data").glob("blobs/**/*"):
            if pack.is_file():
                pack.unlink()

        exception, status, _ = refusal(one.document)

        assert (exception, status) == ("InternalServerException", 500)
        assert one.properties()["imageSetState"] == "ACTIVE"


def test_disk_without_room_is_an_internal_error_of_all_that_writes(small_disk: Path) -> None:
    """What reads goes on, and nothing is half done; when there is room, so does what writes."""
    with serving(small_disk / "data") as server:
        one, other = stored(server.endpoint, SERIES, OTHER)
        boto, arn = one.boto, one.properties()["imageSetArn"]
        before = one.document()
        writes: dict[str, Callable[[int], Any]] = {
            "CreateDatastore": lambda number: boto.create_datastore(),
            "TagResource": lambda number: boto.tag_resource(resourceArn=arn, tags={"a": "b" * 200 + str(number)}),
            "UpdateImageSetMetadata": lambda number: other.update(
                patient(PatientName=f"A^{number}"), latest=other.versions()[0]["versionId"]
            ),
            "StartDICOMImportJob": lambda number: boto.start_dicom_import_job(datastoreId=one.datastore_id, **JOB),
            "CopyImageSet": lambda number: copy(other, other.versions()[0]["versionId"]),
        }
        filler = small_disk / "filler"
        fill(filler)

        for write in writes.values():
            assert refusal(partial(repeated, write))[:2] == ("InternalServerException", 500)
        assert refusal(lambda: boto.delete_image_set(**one.ids))[:2] == ("InternalServerException", 500)
        assert one.document() == before
        assert one.properties()["versionId"] == "1"

        filler.unlink()
        for write in writes.values():
            write(1000)


def repeated(write: Callable[[int], Any]) -> None:
    """Write until it fails: the database has some room of its own."""
    for number in range(300):
        write(number)
