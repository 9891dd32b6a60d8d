"""CopyImageSet: the copy is made before it is answered, and the answer says LOCKED, as for an update."""

from __future__ import annotations

from gateway.errors import InvalidRequest
from gateway.healthimaging.context import Context, Input, Output
from gateway.healthimaging.image_sets import version_number
from gateway.metadata.document import parse_copiable
from gateway.store.contents import ImageSetVersion
from gateway.store.edits import Copy, Destination


async def copy_image_set(context: Context, request: Input) -> Output:
    """Copy an image set, whole or in part, into a new one, into another, or into the primary one of its series.

    What the destination is not fit for is told by its new version, COPY_FAILED, and not here.
    """
    information = request["copyImageSetInformation"]
    source, into = information["sourceImageSet"], information.get("destinationImageSet")
    force = request.get("force", False)
    if force and context.settings.force_needs_reason:
        raise InvalidRequest("force needs a reason here, and this API has no place for one")
    datastore_id, image_set_id = request["datastoreId"], request["sourceImageSetId"]
    instances = None
    if "DICOMCopies" in source:
        series, instances = parse_copiable(source["DICOMCopies"]["copiableAttributes"])
        latest = await context.store.image_set(datastore_id, image_set_id)
        if latest.series_instance_uid != series:
            raise InvalidRequest("copiableAttributes has another series than the source image set")
    result = await context.store.copy(
        Copy(
            datastore_id,
            image_set_id,
            version_number(source["latestVersionId"]),
            instances,
            Destination(into["imageSetId"], version_number(into["latestVersionId"])) if into else None,
            request.get("promoteToPrimary", False),
            force,
            context.provenance,
            context.settings.max_image_set_metadata,
        )
    )
    return {
        "datastoreId": datastore_id,
        "sourceImageSetProperties": _properties(context, result.source, "COPYING_WITH_READ_ONLY_ACCESS"),
        "destinationImageSetProperties": _properties(context, result.destination, "COPYING"),
    }


def _properties(context: Context, version: ImageSetVersion, workflow_status: str) -> Output:
    return {
        "imageSetId": version.image_set_id,
        "latestVersionId": str(version.version),
        "imageSetState": "LOCKED",
        "imageSetWorkflowStatus": workflow_status,
        "createdAt": version.created_at,
        "updatedAt": version.updated_at,
        "imageSetArn": context.image_set_arn(version.datastore_id, version.image_set_id),
    }
