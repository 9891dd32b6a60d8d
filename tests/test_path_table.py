"""Routes found by their shape: the same as Starlette finds, one after the other."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Match, Route

from gateway.app import routes
from gateway.path_table import PathTable

from .conftest import app_client

ROUTES = routes()


@asynccontextmanager
async def no_lifespan(app: Starlette) -> AsyncIterator[None]:
    yield


TABLE = PathTable(ROUTES, no_lifespan)


def paths() -> list[str]:
    """A path of each route, some of them with slashes, an odd UID or another's last part in a parameter's place."""
    values = ["1.2.3", "$update", "metadata", "a/b", ""]
    return sorted({re.sub(r"\{[^}]*\}", value, route.path) for route in ROUTES for value in values})


def taking(routes: list[Route], path: str) -> list[str]:
    scope = {"type": "http", "path": path, "root_path": "", "method": "GET"}
    return [route.path for route in routes if route.matches(scope)[0] is not Match.NONE]


def test_every_route_that_takes_a_path_is_a_candidate() -> None:
    """In the order of all of them; and there are few, whatever the path."""
    for path in [*paths(), "*", "", "/", "//", "/dicomweb", "/nothing/there", "/dicomweb/studies/1/2/3/4/5/6/7"]:
        candidates = TABLE.candidates(path)

        assert taking(candidates, path) == taking(ROUTES, path)
        assert len(candidates) <= 6


async def show(request: Request[Any]) -> Response:
    return PlainTextResponse(str(request.path_params))


SMALL = [
    Route("/a/b", show),
    Route("/a/{x}", show, methods=["POST"]),
    Route("/c/{rest:path}", show, methods=["POST"]),
    Route("/c/d/{x}/e", show),
    Route("/", show),
]


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/", 200, "{}"),
        ("GET", "/a/b", 200, "{}"),
        ("HEAD", "/a/b", 200, ""),
        ("POST", "/a/b", 200, "{'x': 'b'}"),
        ("POST", "/a/%2E", 200, "{'x': '.'}"),
        ("PUT", "/a/b", 405, "Method Not Allowed"),
        ("GET", "/a/x", 405, "Method Not Allowed"),
        ("POST", "/c/d/f/e", 200, "{'rest': 'd/f/e'}"),
        ("GET", "/c/d/f/e", 200, "{'x': 'f'}"),
        ("GET", "/a/b/", 307, ""),
        ("GET", "/b", 404, "Not Found"),
    ],
)
async def test_a_request_goes_where_starlette_has_it_go(method: str, path: str, status: int, text: str) -> None:
    """To the first route that fits path and method; else it is 405, a redirect or 404."""
    by_shape = Starlette()
    by_shape.router = PathTable(SMALL, no_lifespan)

    for app in (by_shape, Starlette(routes=SMALL)):
        async with app_client(app) as client:
            answer = await client.request(method, path)
            assert (answer.status_code, answer.text) == (status, text)


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/a/b/", "../b"),
        ("/a/b///?q=%2B1&q=2", "../../../b?q=%2B1&q=2"),
        ("/a/with%20space/", "../with%20space"),
        ("/slash", "./slash/"),
        ("/a/x:y", None),
    ],
)
async def test_a_redirect_is_relative(path: str, location: str | None) -> None:
    """S14, W3: right behind a proxy that puts something before the path; to another method's path as well."""
    app = Starlette()
    app.router = PathTable([*SMALL, Route("/slash/", show)], no_lifespan)

    async with app_client(app) as client:
        answer = await client.get(path)

    assert answer.headers.get("location") == location
