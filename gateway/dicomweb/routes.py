"""Every DICOMweb path, under both roots: /datastore/{datastoreId}, the path AWS uses itself, and /dicomweb."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from gateway.dicomweb import (
    bulk_update,
    changefeed,
    edit,
    frames,
    history,
    jobs,
    move,
    patients,
    qido,
    rendered,
    stow,
    wado,
    wado_uri,
)
from gateway.dicomweb.capabilities import capabilities_route
from gateway.dicomweb.problems import Handler
from gateway.state import State

# The default data store, and the path AWS uses itself.
DEFAULT_ROOT, ROOT = "/dicomweb", "/datastore/{datastoreId}"


def routes(*roots: str) -> list[BaseRoute]:
    """Return the routes of the DICOMweb face below each root."""
    below_root = merge(
        [
            # First: "/studies/{study}" fits its path as well.
            *bulk_update.routes,
            *stow.routes,
            *qido.routes,
            *wado.routes,
            *frames.routes,
            *rendered.routes,
            *wado_uri.routes,
            *edit.routes,
            *move.routes,
            *history.routes,
            *patients.routes,
            *changefeed.routes,
            *jobs.routes,
        ]
    )
    below = [capabilities_route(below_root), *below_root]
    return [Mount(root, routes=below) for root in roots]


def merge(found: Iterable[Route]) -> list[Route]:
    """Return one route for each path.

    Starlette answers 405 with the methods of the first route whose path fits; a path whose methods lie in several
    modules needs one route, so that Allow lists them all.
    """
    by_path: dict[str, dict[str, Handler]] = {}
    for route in found:
        handlers = by_path.setdefault(route.path, {})
        handlers |= dict.fromkeys(route.methods or {"GET"}, route.endpoint)
    return [Route(path, _by_method(handlers), methods=sorted(handlers)) for path, handlers in by_path.items()]


def _by_method(handlers: dict[str, Handler]) -> Handler:
    async def dispatch(request: Request[State]) -> Response:
        return await handlers[request.method](request)

    return dispatch
