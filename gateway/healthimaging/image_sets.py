"""Image sets: properties, metadata, versions, update, delete.

The service edits in the background: it answers LOCKED, and the image set is ACTIVE again later. Here an edit is
durable before it is answered; the answer says LOCKED all the same, because that is what clients are written for, and
whoever asks next sees ACTIVE.
"""

from __future__ import annotations

from gateway.errors import ConstraintViolations, InvalidRequest, TooLarge, VersionConflict
from gateway.healthimaging.context import Context, Input, Output
from gateway.healthimaging.faults import to_message
from gateway.healthimaging.pages import next_token, number_position, page_size
from gateway.metadata.document import parse_updates
from gateway.metadata.image_set import Delete, MetadataUpdates, Revert
from gateway.store.contents import ImageSetVersion
from gateway.store.edits import Edit, ImageSetEdit

# No image set gets so many versions, and no database integer takes more digits.
_MOST_DIGITS = 18

# A deletion names no version, so one that lost a race is tried again from the version that won it.
_ATTEMPTS = 5

# Rule and level of docs/constraints.md that other image sets break, and not the one that is updated: a second instance
# of the same UID would be in the image set itself.
_TOLD_LATER = ("duplicate", "Series")

_NO_CHANGE = "The update changes nothing, so no version was made"
_OTHERS_CHANGED = "The update changes other image sets of the study and not this one"


async def get_image_set(context: Context, request: Input) -> Output:
    """Return the properties of a version, the latest by default."""
    version = await context.store.image_set(request["datastoreId"], request["imageSetId"], _version_asked(request))
    return _properties(version) | {
        "datastoreId": version.datastore_id,
        "imageSetWorkflowStatus": version.workflow_status,
        "imageSetArn": context.image_set_arn(version.datastore_id, version.image_set_id),
        "storageTier": "FREQUENT_ACCESS",
    }


async def get_image_set_metadata(context: Context, request: Input) -> Output:
    """Return the 1.1 document of a version, the latest by default, as one gzip member."""
    document = await context.store.metadata_gzip(request["datastoreId"], request["imageSetId"], _version_asked(request))
    return {"imageSetMetadataBlob": document, "contentType": "application/json", "contentEncoding": "gzip"}


async def list_image_set_versions(context: Context, request: Input) -> Output:
    """Return a page of an image set's versions, newest first."""
    versions = await context.store.versions(request["datastoreId"], request["imageSetId"])
    start = number_position(request)
    # By version and not by place in the list: versions made between two pages push nothing out of the second.
    rest = [version for version in versions if start is None or version.version <= start]
    size = page_size(request)
    return {
        # The one place where the API writes this member with a capital.
        "imageSetPropertiesList": [
            _properties(version) | {"ImageSetWorkflowStatus": version.workflow_status} for version in rest[:size]
        ],
        "nextToken": next_token(request, str(rest[size].version)) if len(rest) > size else None,
    }


async def update_image_set_metadata(context: Context, request: Input) -> Output:
    """Update metadata or revert to a version; the edit is made, whole or not at all, before this answers.

    Raises ConstraintViolations at once where the image set itself forbids the update. What other image sets forbid
    makes a version UPDATE_FAILED, for clients to find as they would one of the service's.
    """
    datastore_id, image_set_id = request["datastoreId"], request["imageSetId"]
    change = _change(request["updateImageSetMetadataUpdates"], context.settings.max_update_document)
    force, whole_study = request.get("force", False), request.get("includeStudyImageSets", False)
    if whole_study and isinstance(change, Revert):
        raise InvalidRequest("includeStudyImageSets cannot be used with revertToVersionId")
    if force and context.settings.force_needs_reason:
        raise InvalidRequest("force needs a reason here, and this API has no place for one: edit over DICOMweb")
    latest = version_number(request["latestVersionId"])
    edit = Edit(
        datastore_id,
        (ImageSetEdit(image_set_id, latest, change),),
        context.provenance,
        force=force,
        include_study_image_sets=whole_study,
        most_metadata=context.settings.max_image_set_metadata,
    )
    version, others_changed = await _carry_out(context, edit)
    changed = version.version > latest
    unchanged = _OTHERS_CHANGED if others_changed else _NO_CHANGE
    return {
        "datastoreId": datastore_id,
        "imageSetId": image_set_id,
        "latestVersionId": str(version.version),
        "imageSetState": "LOCKED" if changed else version.state,
        "imageSetWorkflowStatus": "UPDATING" if changed else version.workflow_status,
        "createdAt": version.created_at,
        "updatedAt": version.updated_at,
        "message": None if changed else unchanged,
    }


async def _carry_out(context: Context, edit: Edit) -> tuple[ImageSetVersion, bool]:
    """Return the version that an edit of one image set made, the one it was made from where it changes nothing in it;
    and whether it changed anything."""
    [named] = edit.image_sets
    try:
        result = await context.store.edit(edit)
    except ConstraintViolations as error:
        if any((violation.rule, violation.level) != _TOLD_LATER for violation in error.violations):
            raise
        failed = await context.store.record_failure(
            edit.datastore_id, named.image_set_id, named.latest_version, str(error), edit.provenance
        )
        return failed, False
    made = next(image_set for image_set in result.image_sets if image_set.image_set_id == named.image_set_id)
    return await context.store.image_set(edit.datastore_id, named.image_set_id, made.version), result.changed


async def delete_image_set(context: Context, request: Input) -> Output:
    """Delete an image set: a version in state DELETED, after which older versions can still be read.

    Deleting a deleted one changes nothing.
    """
    datastore_id, image_set_id = request["datastoreId"], request["imageSetId"]
    for attempt in range(1, _ATTEMPTS + 1):
        latest = await context.store.image_set(datastore_id, image_set_id)
        if latest.state == "DELETED":
            return _deletion(latest, "DELETED", "DELETED")
        edit = ImageSetEdit(image_set_id, latest.version, Delete())
        try:
            await context.store.edit(Edit(datastore_id, (edit,), context.provenance))
        except VersionConflict:
            if attempt == _ATTEMPTS:
                raise
        else:
            break
    return _deletion(latest, "LOCKED", "DELETING")


def _deletion(version: ImageSetVersion, state: str, workflow_status: str) -> Output:
    return {
        "datastoreId": version.datastore_id,
        "imageSetId": version.image_set_id,
        "imageSetState": state,
        "imageSetWorkflowStatus": workflow_status,
    }


def _change(updates: Input, longest: int) -> MetadataUpdates | Revert:
    if "revertToVersionId" in updates:
        return Revert(version_number(updates["revertToVersionId"]))
    blobs = updates["DICOMUpdates"]
    for name, blob in blobs.items():
        if len(blob) > longest:
            raise TooLarge(f"{name} is longer than {longest} bytes, the quota of this gateway")
    return parse_updates(blobs.get("updatableAttributes"), blobs.get("removableAttributes"))


def _version_asked(request: Input) -> int | None:
    return version_number(request["versionId"]) if "versionId" in request else None


def version_number(version_id: str) -> int:
    """Return a version id as a number, a greater one than there can be for a text too long to be one."""
    digits = version_id.lstrip("0")
    return int(digits or "0") if len(digits) <= _MOST_DIGITS else 10**_MOST_DIGITS


def _properties(version: ImageSetVersion) -> Output:
    return {
        "imageSetId": version.image_set_id,
        "versionId": str(version.version),
        "imageSetState": version.state,
        "createdAt": version.created_at,
        "updatedAt": version.updated_at,
        "deletedAt": version.deleted_at,
        "message": to_message(version.message) if version.message else None,
        "overrides": {"forced": True} if version.forced else None,
        "isPrimary": version.is_primary,
    }
