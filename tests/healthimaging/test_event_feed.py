"""The events of a running gateway's data store, after what clients did to it."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from tests.conftest import Server, serving
from tests.healthimaging.clients import boto3_client
from tests.healthimaging.conftest import SERIES, ImageSet, image_set, patient, stow
from tests.healthimaging.test_copying import copy
from tests.samples import ct_series


def events(server: Server, datastore_id: str, **query: Any) -> dict[str, Any]:
    answer = httpx.get(f"{server.url}/datastore/{datastore_id}/events", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    found: dict[str, Any] = answer.json()
    return found


def test_feed_tells_all_that_happened_in_order(session_server: Server, ct: ImageSet) -> None:
    """A data store made, a series stored, updated, copied and deleted: the events EventBridge would have had."""
    ct.update(patient(PatientName="A^A"))
    copied = copy(ct, "2")["destinationImageSetProperties"]["imageSetId"]
    ct.boto.delete_image_set(**ct.ids)

    found = events(session_server, ct.datastore_id)["events"]

    assert [(event["detail-type"], event["resources"][0][-32:]) for event in found] == [
        ("Data Store Creating", ct.datastore_id),
        ("Data Store Created", ct.datastore_id),
        ("Image Set Created", ct.image_set_id),
        ("Image Set Updating", ct.image_set_id),
        ("Image Set Updated", ct.image_set_id),
        ("Image Set Copying With Read Only Access", ct.image_set_id),
        ("Image Set Copying", copied),
        ("Image Set Copied", copied),
        ("Image Set Deleting", ct.image_set_id),
        ("Image Set Deleted", ct.image_set_id),
    ]
    assert len({event["id"] for event in found}) == len(found)
    assert all(event["account"] == "000000000000" and event["region"] == "us-east-1" for event in found)


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_feed_read_in_pages_is_the_same_feed(session_server: Server, ct: ImageSet, limit: int) -> None:
    """The cursor of an answer goes on where it ended; at the end it stays where it is."""
    ct.update(patient(PatientName="A^A"))
    whole = events(session_server, ct.datastore_id)
    found, cursor = [], "0.0"

    while (page := events(session_server, ct.datastore_id, after=cursor, limit=limit))["events"]:
        found += page["events"]
        cursor = page["cursor"]

    assert found == whole["events"]
    assert cursor == page["cursor"] == whole["cursor"]


def test_feed_of_a_deleted_data_store_is_read_to_its_end(boto: BaseClient, session_server: Server) -> None:
    """The last that is told of it is that it was deleted."""
    datastore_id = boto.create_datastore(datastoreName="short")["datastoreId"]
    boto.delete_datastore(datastoreId=datastore_id)

    kinds = [event["detail-type"] for event in events(session_server, datastore_id)["events"]]

    assert kinds == ["Data Store Creating", "Data Store Created", "Data Store Deleting", "Data Store Deleted"]


@pytest.mark.parametrize(
    ("query", "status", "error"),
    [
        ("after=7", 400, "ValidationException"),
        ("after=-1.0", 400, "ValidationException"),
        ("limit=0", 400, "ValidationException"),
        ("limit=1001", 400, "ValidationException"),
        ("limit=many", 400, "ValidationException"),
    ],
)
def test_query_that_means_nothing_is_refused(
    session_server: Server, empty_datastore: str, query: str, status: int, error: str
) -> None:
    """As an operation of the API would."""
    answer = httpx.get(f"{session_server.url}/datastore/{empty_datastore}/events?{query}")

    assert (answer.status_code, answer.headers["x-amzn-ErrorType"]) == (status, error)


def test_unknown_data_store_has_no_feed(session_server: Server) -> None:
    """404, in AWS's form."""
    answer = httpx.get(f"{session_server.url}/datastore/{'0' * 32}/events")

    assert (answer.status_code, answer.headers["x-amzn-ErrorType"]) == (404, "ResourceNotFoundException")


def test_feed_loses_nothing_when_the_gateway_is_killed(tmp_path: Path) -> None:
    """SIGKILL in the middle of edits, three times: every edit that was answered is told, once, in order; what was read
    before is told the same again, and the cursor goes on from there."""
    datastore_id, image_set_id, answered = "", "", 0
    told: list[dict[str, Any]] = []
    cursor = "0.0"
    for _ in range(3):
        with serving(tmp_path / "data") as server:
            boto = boto3_client(server.endpoint)
            if not datastore_id:
                datastore_id = boto.list_datastores()["datastoreSummaries"][0]["datastoreId"]
                stow(server, datastore_id, ct_series(1))
                image_set_id = image_set(boto, datastore_id, SERIES).image_set_id
                answered = 1
            one = ImageSet(boto, datastore_id, image_set_id)
            killing = threading.Timer(0.4, server.process.kill)
            killing.start()
            answered = edit_until_it_is_gone(server, one, answered)
            killing.join()
            boto.close()

        with serving(tmp_path / "data") as server:
            page = events(server, datastore_id, after=cursor, limit=1000)
            told += page["events"]
            cursor = page["cursor"]
            assert events(server, datastore_id, limit=1000)["events"] == told

    made = [event["detail"]["imageSetVersion"] for event in told if event["detail-type"] == "Image Set Updated"]
    # One that was not answered may be there too: an answer can be lost, an event cannot.
    assert made == [str(version) for version in range(2, len(made) + 2)]
    assert answered <= len(made) + 1
    assert len(made) >= 6
    assert len({event["id"] for event in told}) == len(told)


def edit_until_it_is_gone(server: Server, one: ImageSet, version: int) -> int:
    """Edit as fast as can be until nobody answers; return the last version that was answered."""
    latest = int(one.properties()["versionId"])
    assert latest >= version
    with suppress(EndpointConnectionError, ConnectionClosedError, ReadTimeoutError):
        while True:
            one.update(patient(PatientName=f"A^{latest}"), latest=str(latest))
            latest += 1
    return latest
