"""Cross-origin requests: which web pages' viewers may talk to the gateway (Fetch standard, section 3.3).

Starlette's own middleware leaves the headers out of answers to errors that come from outside it, and a browser then
reports a CORS failure in place of the error. This one is the outermost, and adds them to every answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

# What a page's script can read of an answer, beyond the few fields that it always can.
EXPOSED = (
    "Accept-Ranges, Allow, Content-Length, Content-Location, Content-Range, ETag, Last-Modified, Location, "
    "Retry-After, Warning, X-Request-Id"
)

# How long a browser remembers a preflight, in seconds: Chromium's most is two hours.
MAX_AGE = "7200"

_FIELD_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~, ]{0,1000}")


class CrossOrigin:
    """ASGI middleware: lets the pages of some origins read answers, and answers their preflights."""

    def __init__(self, app: ASGIApp, origins: Iterable[str]) -> None:
        self.app = app
        self.origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        origin = asked.get("origin", "")
        allowed = {"Access-Control-Allow-Origin": origin} if origin in self.origins else {}
        if allowed and scope["method"] == "OPTIONS" and "access-control-request-method" in asked:
            await Response(status_code=204, headers=allowed | _preflight(asked))(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.add_vary_header("Origin")
                if allowed:
                    # A page that isolates itself, for SharedArrayBuffer, can embed only what says so.
                    headers.update(
                        allowed
                        | {"Access-Control-Expose-Headers": EXPOSED, "Cross-Origin-Resource-Policy": "cross-origin"}
                    )
            await send(message)

        await self.app(scope, receive, with_headers)


def _preflight(asked: Headers) -> dict[str, str]:
    """Return what a preflight is answered with: any header field, since the origin is one that is trusted."""
    fields = asked.get("access-control-request-headers", "")
    answer = {
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Max-Age": MAX_AGE,
        "Vary": "Origin, Access-Control-Request-Headers",
    }
    if fields and _FIELD_NAMES.fullmatch(fields):
        answer["Access-Control-Allow-Headers"] = fields
    if asked.get("access-control-request-private-network") == "true":
        # A viewer on the internet and a gateway in the hospital: Chromium asks.
        answer["Access-Control-Allow-Private-Network"] = "true"
    return answer
