"""The change feed: every version of every image set of a data store, in the order they were committed.

A reader keeps the cursor of the last answer and asks on from there. Nothing is left out or reordered: a version has
its place only once every version before it is readable.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.dicom.json_model import encode_json
from gateway.dicomweb.negotiation import JSON
from gateway.dicomweb.problems import endpoint
from gateway.dicomweb.targets import datastore_of, single, whole_number
from gateway.dicomweb.versions import image_set_version_json
from gateway.state import State

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000


@endpoint
async def get_changes(request: Request[State]) -> Response:
    """Answer the versions after a cursor, oldest first, and the cursor to go on from."""
    after = whole_number(single(request, "after") or "0", "after", 0, 2**63 - 1)
    limit = whole_number(single(request, "limit") or str(DEFAULT_LIMIT), "limit", 1, MAX_LIMIT)
    versions = await request.state["store"].changes(await datastore_of(request), after, limit)
    body = {
        "changes": [{"cursor": str(one.sequence), **image_set_version_json(one)} for one in versions],
        "cursor": str(versions[-1].sequence if versions else after),
    }
    return Response(encode_json(body), media_type=JSON, headers={"Cache-Control": "no-store"})


routes: list[Route] = [Route("/changefeed", get_changes, methods=["GET"])]
