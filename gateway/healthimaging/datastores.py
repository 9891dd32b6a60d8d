"""Data stores: create, get, list, delete."""

from __future__ import annotations

from gateway.errors import InvalidRequest
from gateway.healthimaging.context import Context, Input, Output
from gateway.healthimaging.pages import next_token, page_size, position
from gateway.store.contents import MAX_TAGS, Datastore

# Kept with a data store and given back as they came.
_PROPERTIES = ("kmsKeyArn", "lambdaAuthorizerArn", "losslessStorageFormat")


async def create_datastore(context: Context, request: Input) -> Output:
    """Create a data store. It is usable at once, and the answer says CREATING, as clients expect of the service."""
    if len(request.get("tags", {})) > MAX_TAGS:
        raise InvalidRequest(f"a resource has at most {MAX_TAGS} tags")
    datastore = await context.store.create_datastore(
        request.get("datastoreName", ""),
        {name: request[name] for name in _PROPERTIES if name in request},
        request.get("tags", {}),
        request["clientToken"],
        context.settings.max_datastores,
    )
    return {"datastoreId": datastore.datastore_id, "datastoreStatus": "CREATING"}


async def get_datastore(context: Context, request: Input) -> Output:
    """Return a data store's properties, a deleted one's too."""
    datastore = await context.store.datastore(request["datastoreId"])
    properties = {name: datastore.properties.get(name) for name in _PROPERTIES}
    properties["losslessStorageFormat"] = properties["losslessStorageFormat"] or "HTJ2K"
    return {"datastoreProperties": _summary(context, datastore) | properties}


async def list_datastores(context: Context, request: Input) -> Output:
    """Return a page of the data stores, oldest first, of one status where one is asked for."""
    datastores = await context.store.datastores()
    after = position(request)
    ids = [datastore.datastore_id for datastore in datastores]
    start = ids.index(after) + 1 if after in ids else 0
    status = request.get("datastoreStatus")
    rest = [datastore for datastore in datastores[start:] if status in (None, datastore.status)]
    page = rest[: page_size(request)]
    more = len(rest) > len(page)
    return {
        "datastoreSummaries": [_summary(context, datastore) for datastore in page],
        "nextToken": next_token(request, page[-1].datastore_id) if more else None,
    }


async def delete_datastore(context: Context, request: Input) -> Output:
    """Delete a data store that has no image sets left. Deleting a deleted one changes nothing."""
    datastore_id = request["datastoreId"]
    if (await context.store.datastore(datastore_id)).status == "DELETED":
        return {"datastoreId": datastore_id, "datastoreStatus": "DELETED"}
    await context.store.delete_datastore(datastore_id)
    return {"datastoreId": datastore_id, "datastoreStatus": "DELETING"}


def _summary(context: Context, datastore: Datastore) -> Output:
    return {
        "datastoreId": datastore.datastore_id,
        # A name is optional when a data store is created and required when it is shown.
        "datastoreName": datastore.name or datastore.datastore_id,
        "datastoreStatus": datastore.status,
        "datastoreArn": context.datastore_arn(datastore.datastore_id),
        "createdAt": datastore.created_at,
        "updatedAt": datastore.updated_at,
    }
