"""Tags of data stores and image sets, by their ARN."""

from __future__ import annotations

from gateway.errors import NotFound
from gateway.healthimaging.context import Context, Input, Output


async def tag_resource(context: Context, request: Input) -> Output:
    """Set tags, in place of those with the same keys."""
    await context.store.retag(*_resource(context, request), add=request["tags"])
    return {}


async def untag_resource(context: Context, request: Input) -> Output:
    """Take tags away; a key that is not there changes nothing."""
    await context.store.retag(*_resource(context, request), remove=request["tagKeys"])
    return {}


async def list_tags_for_resource(context: Context, request: Input) -> Output:
    """Return all tags."""
    return {"tags": await context.store.tags(*_resource(context, request))}


def _resource(context: Context, request: Input) -> tuple[str, str | None]:
    """Return the ids of the data store and the image set in an ARN; None where it is of a data store.

    Raises NotFound for the ARN of another partition, region or account: ours are in every answer.
    """
    arn: str = request["resourceArn"]
    _, _, path = arn.partition(":datastore/")
    datastore_id, _, image_set_id = path.partition("/imageset/")
    if image_set_id and arn == context.image_set_arn(datastore_id, image_set_id):
        return datastore_id, image_set_id
    if arn == context.datastore_arn(datastore_id):
        return datastore_id, None
    raise NotFound("resource", arn)
