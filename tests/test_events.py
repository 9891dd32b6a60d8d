"""Events, held against the examples of the developer guide "Using Amazon EventBridge with HealthImaging"."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest

from gateway.events import Account, ChangedImageSet, datastore_events, image_set_events, import_job_events

ACCOUNT = Account("us-west-2", "111122223333")
AT = datetime(2024, 3, 14, 0, 1, tzinfo=UTC)
DATASTORE = "bbc4f3cccbae4095a34170fddc19b13d"
IMAGE_SET = "207284eef860ac01c4b2a8de27a6fc11"
SOURCE = "0309de3674fd551fa7ddd2880b21f990"
ARN = f"arn:aws:medical-imaging:us-west-2:111122223333:datastore/{DATASTORE}"

UUID_4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def changed(workflow_status: str, version: int = 1, image_set_id: str = IMAGE_SET) -> ChangedImageSet:
    return ChangedImageSet(DATASTORE, image_set_id, version, True, workflow_status)


def test_event_of_a_data_store_is_the_example() -> None:
    """Every member of the example, the id apart."""
    _, event = datastore_events(ACCOUNT, DATASTORE, "test", "ACTIVE", AT)

    assert UUID_4.fullmatch(event.pop("id"))
    assert event == {
        "version": "0",
        "detail-type": "Data Store Created",
        "source": "aws.medical-imaging",
        "account": "111122223333",
        "time": "2024-03-14T00:01:00Z",
        "region": "us-west-2",
        "resources": [ARN],
        "detail": {
            "imagingVersion": "1.0",
            "datastoreId": DATASTORE,
            "datastoreName": "test",
            "datastoreStatus": "ACTIVE",
        },
    }


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("ACTIVE", [("Data Store Creating", "CREATING"), ("Data Store Created", "ACTIVE")]),
        ("CREATE_FAILED", [("Data Store Creating", "CREATING"), ("Data Store Creation Failed", "CREATE_FAILED")]),
        ("DELETED", [("Data Store Deleting", "DELETING"), ("Data Store Deleted", "DELETED")]),
    ],
)
def test_data_store_tells_what_begins_and_what_is_done(status: str, told: list[tuple[str, str]]) -> None:
    """One change, and the two events that the service sends for it."""
    events = datastore_events(ACCOUNT, DATASTORE, "test", status, AT)

    assert [(event["detail-type"], event["detail"]["datastoreStatus"]) for event in events] == told


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("SUBMITTED", "Import Job Submitted"),
        ("IN_PROGRESS", "Import Job In Progress"),
        ("COMPLETED", "Import Job Completed"),
        ("FAILED", "Import Job Failed"),
    ],
)
def test_event_of_an_import_job_is_the_example(status: str, kind: str) -> None:
    """Each status has its event, with where the job reads and writes."""
    request = {
        "jobName": "test_only_1",
        "inputS3Uri": "s3://healthimaging-test-bucket/input/",
        "outputS3Uri": "s3://healthimaging-test-bucket/output/",
    }

    [event] = import_job_events(ACCOUNT, DATASTORE, "a6a1d220f152e7aab6d8925d995d8b76", status, request, AT)

    assert (event["detail-type"], event["resources"]) == (kind, [ARN])
    assert event["detail"] == {
        "imagingVersion": "1.0",
        "datastoreId": DATASTORE,
        "jobId": "a6a1d220f152e7aab6d8925d995d8b76",
        "jobStatus": status,
        **request,
    }


def test_event_of_an_image_set_is_the_example() -> None:
    """With its id twice: documented as imagesetId, and read as imageSetId by AWS's own sample."""
    [event] = image_set_events(ACCOUNT, changed("CREATED"), AT)

    assert (event["detail-type"], event["resources"]) == ("Image Set Created", [f"{ARN}/imageset/{IMAGE_SET}"])
    assert event["detail"] == {
        "imagingVersion": "1.0",
        "isPrimary": True,
        "imageSetVersion": "1",
        "datastoreId": DATASTORE,
        "imagesetId": IMAGE_SET,
        "imageSetId": IMAGE_SET,
        "imageSetState": "ACTIVE",
        "imageSetWorkflowStatus": "CREATED",
    }


@pytest.mark.parametrize(
    ("workflow_status", "told"),
    [
        ("UPDATED", [("Image Set Updating", "LOCKED", "UPDATING"), ("Image Set Updated", "ACTIVE", "UPDATED")]),
        (
            "UPDATE_FAILED",
            [("Image Set Updating", "LOCKED", "UPDATING"), ("Image Set Update Failed", "ACTIVE", "UPDATE_FAILED")],
        ),
        ("DELETED", [("Image Set Deleting", "LOCKED", "DELETING"), ("Image Set Deleted", "DELETED", "DELETED")]),
        (
            "COPY_FAILED",
            [("Image Set Copying", "LOCKED", "COPYING"), ("Image Set Copy Failed", "ACTIVE", "COPY_FAILED")],
        ),
    ],
)
def test_version_tells_what_begins_and_what_is_done(workflow_status: str, told: list[tuple[str, str, str]]) -> None:
    """State and workflow status are those a client would have seen at the service."""
    events = image_set_events(ACCOUNT, changed(workflow_status, 2), AT)

    assert [
        (event["detail-type"], event["detail"]["imageSetState"], event["detail"]["imageSetWorkflowStatus"])
        for event in events
    ] == told


def test_copy_tells_of_its_source_too() -> None:
    """The source is read first; the event of the copying names it."""
    source = ChangedImageSet(DATASTORE, SOURCE, 4, False, "UPDATED")

    reading, copying, copied = image_set_events(ACCOUNT, changed("COPIED"), AT, source)

    assert reading["detail-type"] == "Image Set Copying With Read Only Access"
    assert reading["resources"] == [f"{ARN}/imageset/{SOURCE}"]
    assert (reading["detail"]["imageSetVersion"], reading["detail"]["isPrimary"]) == ("4", False)
    assert copying["detail"]["sourceImageSetArn"] == f"{ARN}/imageset/{SOURCE}"
    assert (copied["detail-type"], copied["resources"]) == ("Image Set Copied", [f"{ARN}/imageset/{IMAGE_SET}"])
    assert "sourceImageSetArn" not in copied["detail"]


def test_event_has_the_same_id_whenever_it_is_told() -> None:
    """Who reads a feed twice can tell; another version, another time and another kind are other events."""
    [first] = image_set_events(ACCOUNT, changed("CREATED"), AT)

    others = [
        *image_set_events(ACCOUNT, changed("CREATED"), AT + timedelta(microseconds=1)),
        *image_set_events(ACCOUNT, changed("UPDATED", 2), AT),
        *image_set_events(ACCOUNT, changed("UPDATED", 3), AT),
        *image_set_events(Account("us-west-2", "0" * 12), changed("CREATED"), AT),
    ]

    assert image_set_events(ACCOUNT, changed("CREATED"), AT) == [first]
    ids = {event["id"] for event in others}
    assert len(ids) == len(others) and first["id"] not in ids
    assert all(uuid.UUID(one).version == 4 for one in ids)


def test_source_of_two_copies_has_two_events() -> None:
    """Copied twice at one moment from one version, it was read twice."""
    source = changed("CREATED", image_set_id=SOURCE)

    first = image_set_events(ACCOUNT, changed("COPIED"), AT, source)[0]
    second = image_set_events(ACCOUNT, changed("COPIED", 2), AT, source)[0]

    assert first["id"] != second["id"]


def test_time_is_in_utc() -> None:
    """Whatever offset a moment comes with."""
    at = datetime(2024, 3, 14, 2, 1, tzinfo=timezone(timedelta(hours=2)))

    assert image_set_events(ACCOUNT, changed("CREATED"), at)[0]["time"] == "2024-03-14T00:01:00Z"
