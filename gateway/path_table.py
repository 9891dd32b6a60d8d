"""Which route a path takes, by its shape.

Starlette asks one route after the other, a microsecond each, and both faces have more than a hundred together. Nearly
all differ in their first part, in how many parts they have, or in the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import Match, Route, Router
from starlette.types import Receive, Scope, Send

# First part, how many there are, last part: None for a parameter.
Shape = tuple[str, int, str | None]


class PathTable(Router):
    """Starlette's router, but it asks first the few routes that a path can be of, in their order.

    What none of them takes goes the long way, to another method's 405, a redirect or 404. Redirects are relative: of
    what a proxy in front has put before the path, Starlette's know nothing.
    """

    def __init__(
        self, routes: Sequence[Route], lifespan: Callable[[Starlette], AbstractAsyncContextManager[Any]]
    ) -> None:
        super().__init__(routes, redirect_slashes=False, default=self.elsewhere, lifespan=lifespan)
        self._of_any_length: dict[str, list[Route]] = {}
        shapes: list[tuple[Route, Shape]] = []
        for route in routes:
            first, count, last = shape(route.path)
            if ":path}" in route.path:
                self._of_any_length.setdefault(first, []).append(route)
            else:
                shapes.append((route, (first, count, None if last.endswith("}") else last)))
        self._of_shape = {
            one: [route for route, other in shapes if other[:2] == one[:2] and other[2] in (one[2], None)]
            for _, one in shapes
        }

    def candidates(self, path: str) -> list[Route]:
        """Return the routes that may take a path: all that do are among them."""
        first, count, last = shape(path)
        found = self._of_shape.get((first, count, last)) or self._of_shape.get((first, count, None), [])
        return [*found, *self._of_any_length.get(first, ())]

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for route in self.candidates(scope["path"]):
                match, found = route.matches(scope)
                if match is Match.FULL:
                    scope.update(found)
                    await route.handle(scope, receive, send)
                    return
        await super().app(scope, receive, send)

    async def elsewhere(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what no route takes: a redirect to the path with a slash at its end or without, if there is one."""
        path, other = scope["path"], with_or_without_slash(scope["path"])
        found = (route.matches({**scope, "path": other})[0] for route in self.candidates(other))
        if scope["type"] != "http" or all(match is Match.NONE for match in found):
            await self.not_found(scope, receive, send)
            return
        query = scope["query_string"].decode("latin-1")
        location = relative(path, other) + (f"?{query}" if query else "")
        await RedirectResponse(location)(scope, receive, send)


def with_or_without_slash(path: str) -> str:
    """Return a path without the slashes at its end; with one where it has none."""
    return path.rstrip("/") or "/" if path.endswith("/") else f"{path}/"


def relative(path: str, other: str) -> str:
    """Return the reference from a path to the one with or without a slash (RFC 3986 section 4.2)."""
    last = quote(path.rstrip("/").rpartition("/")[2], safe="")
    return f"./{last}/" if other.endswith("/") else "../" * (len(path) - len(other)) + last


def shape(path: str) -> tuple[str, int, str]:
    """Return a path's first part, how many parts it has, and the last one."""
    parts = path.split("/")
    return parts[1] if len(parts) > 1 else "", len(parts), parts[-1]
