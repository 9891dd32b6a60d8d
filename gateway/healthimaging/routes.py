"""Routes, from the HTTP bindings of the service model.

They share the prefix /datastore/{datastoreId} with DICOMweb and no path below it. The host name is not looked at: the
SDKs send image set operations to `runtime-` and the host they were given.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping
from uuid import uuid4

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.errors import without_messages
from gateway.healthimaging.context import Context
from gateway.healthimaging.event_feed import get_events
from gateway.healthimaging.faults import RequestEntityTooLarge, UnknownOperation, fault
from gateway.healthimaging.model import Operation, service
from gateway.healthimaging.operations import OPERATIONS, READING
from gateway.healthimaging.throttling import Buckets
from gateway.healthimaging.wire import MAX_BODY, read_input, write_output
from gateway.request_body import body_within
from gateway.state import State, require, who_asks
from gateway.store.contents import Provenance

logger = logging.getLogger("gateway.healthimaging")


def routes() -> list[Route]:
    """Return a route for every path of the API. They count requests together."""
    buckets = Buckets()
    by_path: dict[str, dict[str, Operation]] = defaultdict(dict)
    for operation in service().operations.values():
        by_path[_route_path(operation)][operation.method] = operation
    # What the SDKs of a later API version may call.
    by_path["/datastore/{datastoreId}/imageSet/{rest:path}"] = {}
    operations_of_api = [Route(path, Resource(operations, buckets)) for path, operations in by_path.items()]
    return [*operations_of_api, Route("/datastore/{datastoreId}/events", get_events, methods=["GET"])]


def _route_path(operation: Operation) -> str:
    """Return the path as Starlette has it. An ARN comes with its slashes escaped, and they are unescaped by now."""
    path = operation.path
    for member in operation.input.members:
        if member.location == "uri" and member.shape.name == "Arn":
            path = path.replace(f"{{{member.wire_name}}}", f"{{{member.wire_name}:path}}")
    return path


class Resource:
    """One path of the API: an ASGI application, so that Starlette leaves the methods to it and each answer is AWS's."""

    def __init__(self, operations: Mapping[str, Operation], buckets: Buckets) -> None:
        self.operations = operations
        self.buckets = buckets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.answer(Request(scope, receive))
        await response(scope, receive, send)

    async def answer(self, request: Request[State]) -> Response:
        """Return the response to a request, an error's too."""
        request_id = str(uuid4())
        operation = self.operations.get(request.method)
        declared = operation.exceptions if operation else None
        try:
            return await self.carry_out(operation, request, request_id)
        except ClientDisconnect:
            raise
        except Exception as error:
            response = fault(error, request_id, declared)
            if response.status_code >= 500:
                logger.error("request %s failed: %s", request_id, without_messages(error))
            return response

    async def carry_out(self, operation: Operation | None, request: Request[State], request_id: str) -> Response:
        if operation is None or operation.name not in OPERATIONS:
            raise UnknownOperation
        require(request.scope, "read" if operation.name in READING else "write")
        state, settings = request.state, request.state["settings"]
        if settings.throttle_percent:
            self.buckets.take(operation.name, settings.throttle_percent, state["clock"]())
        provenance = Provenance(who_asks(request.scope))
        context = Context(state["store"], settings, state["imports"], state["clock"], provenance, request.headers)
        body = await body_within(request, MAX_BODY, RequestEntityTooLarge(f"the body is longer than {MAX_BODY} bytes"))
        checked = read_input(operation, request.path_params, request.query_params, body)
        if checked.get("force"):
            require(request.scope, "force")
        return write_output(operation, await OPERATIONS[operation.name](context, checked), request_id)
