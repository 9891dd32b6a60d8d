"""Which route a path takes, by its shape.

Starlette asks one route after the other, a microsecond each, and both faces have more than a hundred together. Nearly
all differ in their first part, in how many parts they have, or in the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Match, Route, Router
from starlette.types import Receive, Scope, Send

# First part, how many there are, last part: None for a parameter.
Shape = tuple[str, int, str | None]


class PathTable(Router):
    """Starlette's router, but it asks first the few routes that a path can be of, in their order.

    What none of them takes goes the long way, to another method's 405, a redirect or 404.
    """

    def __init__(
        self, routes: Sequence[Route], lifespan: Callable[[Starlette], AbstractAsyncContextManager[Any]]
    ) -> None:
        super().__init__(routes, lifespan=lifespan)
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


def shape(path: str) -> tuple[str, int, str]:
    """Return a path's first part, how many parts it has, and the last one."""
    parts = path.split("/")
    return parts[1] if len(parts) > 1 else "", len(parts), parts[-1]
