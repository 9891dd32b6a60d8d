"""State changes as the events that HealthImaging sends to Amazon EventBridge.

devguide "Using Amazon EventBridge with HealthImaging". The service sends one event when it begins and one when it is
done; here both come of the one change that was made, one after the other. An event's id is made of what it tells, so
that whoever reads a feed twice can tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, TypeAlias

Event: TypeAlias = dict[str, Any]

# What leads to a status, and the status, each with its detail-type.
_DATASTORE: Mapping[str, tuple[tuple[str, str], ...]] = {
    "ACTIVE": (("CREATING", "Data Store Creating"), ("ACTIVE", "Data Store Created")),
    "CREATE_FAILED": (("CREATING", "Data Store Creating"), ("CREATE_FAILED", "Data Store Creation Failed")),
    "DELETED": (("DELETING", "Data Store Deleting"), ("DELETED", "Data Store Deleted")),
}
_IMPORT_JOB: Mapping[str, str] = {
    "SUBMITTED": "Import Job Submitted",
    "IN_PROGRESS": "Import Job In Progress",
    "COMPLETED": "Import Job Completed",
    "FAILED": "Import Job Failed",
}

# Workflow status to what leads to it; state, workflow status and detail-type.
_UPDATING = ("LOCKED", "UPDATING", "Image Set Updating")
_COPYING = ("LOCKED", "COPYING", "Image Set Copying")
_IMAGE_SET: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "CREATED": (("ACTIVE", "CREATED", "Image Set Created"),),
    "UPDATED": (_UPDATING, ("ACTIVE", "UPDATED", "Image Set Updated")),
    "UPDATE_FAILED": (_UPDATING, ("ACTIVE", "UPDATE_FAILED", "Image Set Update Failed")),
    "COPIED": (_COPYING, ("ACTIVE", "COPIED", "Image Set Copied")),
    "COPY_FAILED": (_COPYING, ("ACTIVE", "COPY_FAILED", "Image Set Copy Failed")),
    "DELETED": (("LOCKED", "DELETING", "Image Set Deleting"), ("DELETED", "DELETED", "Image Set Deleted")),
}


@dataclass(frozen=True, slots=True)
class Account:
    """Whose events they are: the region and account of the ARNs."""

    region: str
    account: str

    def datastore_arn(self, datastore_id: str) -> str:
        """Return the Amazon Resource Name of a data store."""
        return f"arn:aws:medical-imaging:{self.region}:{self.account}:datastore/{datastore_id}"

    def image_set_arn(self, datastore_id: str, image_set_id: str) -> str:
        """Return the Amazon Resource Name of an image set."""
        return f"{self.datastore_arn(datastore_id)}/imageset/{image_set_id}"


@dataclass(frozen=True, slots=True)
class ChangedImageSet:
    """A version that was made of an image set."""

    datastore_id: str
    image_set_id: str
    version: int
    is_primary: bool
    workflow_status: str


def datastore_events(account: Account, datastore_id: str, name: str, status: str, at: datetime) -> list[Event]:
    """Return the events of a data store that came to have a status."""
    arn = account.datastore_arn(datastore_id)
    return [
        _event(account, kind, at, arn, {"datastoreId": datastore_id, "datastoreName": name, "datastoreStatus": shown})
        for shown, kind in _DATASTORE[status]
    ]


def import_job_events(
    account: Account, datastore_id: str, job_id: str, status: str, request: Mapping[str, Any], at: datetime
) -> list[Event]:
    """Return the event of an import job that came to have a status. request: the members it was started with."""
    detail = {
        "datastoreId": datastore_id,
        "jobId": job_id,
        "jobName": request.get("jobName", job_id),
        "jobStatus": status,
        "inputS3Uri": request["inputS3Uri"],
        "outputS3Uri": request["outputS3Uri"],
    }
    return [_event(account, _IMPORT_JOB[status], at, account.datastore_arn(datastore_id), detail)]


def image_set_events(
    account: Account, changed: ChangedImageSet, at: datetime, source: ChangedImageSet | None = None
) -> list[Event]:
    """Return the events of a version that was made. source: what it was copied from, if it was."""
    events: list[Event] = []
    if source is not None:
        reading = ("LOCKED", "COPYING_WITH_READ_ONLY_ACCESS", "Image Set Copying With Read Only Access")
        events.append(_image_set_event(account, source, at, *reading, tells=changed))
    for state, workflow_status, kind in _IMAGE_SET[changed.workflow_status]:
        event = _image_set_event(account, changed, at, state, workflow_status, kind, tells=changed)
        if workflow_status == "COPYING" and source is not None:
            event["detail"]["sourceImageSetArn"] = account.image_set_arn(source.datastore_id, source.image_set_id)
        events.append(event)
    return events


def _image_set_event(
    account: Account,
    about: ChangedImageSet,
    at: datetime,
    state: str,
    workflow_status: str,
    kind: str,
    *,
    tells: ChangedImageSet,
) -> Event:
    detail = {
        "isPrimary": about.is_primary,
        "imageSetVersion": str(about.version),
        "datastoreId": about.datastore_id,
        "imagesetId": about.image_set_id,
        "imageSetId": about.image_set_id,  # documented as imagesetId; AWS's own sample reads this one
        "imageSetState": state,
        "imageSetWorkflowStatus": workflow_status,
    }
    arn = account.image_set_arn(about.datastore_id, about.image_set_id)
    return _event(account, kind, at, arn, detail, f"{tells.image_set_id}/{tells.version}")


def _event(account: Account, kind: str, at: datetime, arn: str, detail: Mapping[str, Any], change: str = "") -> Event:
    """Return an event. change: what else tells it from other events of the same kind about the same resource."""
    identity = f"{kind}\n{arn}\n{detail}\n{change}\n{at.isoformat()}"
    return {
        "version": "0",
        "id": _uuid(identity),
        "detail-type": kind,
        "source": "aws.medical-imaging",
        "account": account.account,
        "time": f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "region": account.region,
        "resources": [arn],
        "detail": {"imagingVersion": "1.0", **detail},
    }


def _uuid(identity: str) -> str:
    """Return a UUID of version 4 that is always the same for the same identity (RFC 9562 section 5.4)."""
    digits = sha256(identity.encode("utf-8")).hexdigest()
    variant = "89ab"[int(digits[16], 16) % 4]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"
