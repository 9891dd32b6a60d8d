"""Every DICOMweb path, under both roots: /datastore/{datastoreId}, the path AWS uses itself, and /dicomweb."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from gateway.dicomweb import changefeed, edit, history, jobs, patients, qido, stow, wado
from gateway.dicomweb.problems import Handler
from gateway.state import State

ROOTS = ("/datastore/{datastoreId}", "/dicomweb")


def routes() -> list[BaseRoute]:
    """Return the routes of the DICOMweb face, for both roots."""
    below_root = merge(
        [
            *stow.routes,
            *qido.routes,
            *wado.routes,
            *edit.routes,
            *history.routes,
            *patients.routes,
            *changefeed.routes,
            *jobs.routes,
        ]
    )
    return [Mount(root, routes=below_root) for root in ROOTS]


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
