"""Every DICOMweb path, under both roots: /datastore/{datastoreId}, the path AWS uses itself, and /dicomweb."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.dicomweb import changefeed, history, qido
from gateway.dicomweb.capabilities import capabilities_route
from gateway.dicomweb.edits import bulk_update, edit, jobs, move, patients
from gateway.dicomweb.problems import Handler
from gateway.dicomweb.stow import storing as stow
from gateway.dicomweb.wado import frames, rendered
from gateway.dicomweb.wado import retrieving as wado
from gateway.dicomweb.wado import uri as wado_uri
from gateway.state import State

# The default data store, and the path AWS uses itself.
DEFAULT_ROOT, ROOT = "/dicomweb", "/datastore/{datastoreId}"


def routes(*roots: str) -> list[Route]:
    """Return the routes of the DICOMweb face below each root."""
    return [Route(root + route.path, route.endpoint, methods=route.methods) for root in roots for route in below_root()]


def below_root() -> list[Route]:
    """Return the routes with their paths below a root."""
    found = merge(
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
    return [capabilities_route(found), *found]


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
