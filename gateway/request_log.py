"""One log line for each request, and an id that joins it to the answer.

A line names the route, not the path: paths and query strings carry names and identifiers of patients, and a log is
read by more people than a record is. For the same reason an unexpected error is logged as its class and the lines of
code it passed through, without its message, and the client learns the id only.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
import traceback

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.routing import Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger("gateway.requests")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestLog:
    """ASGI middleware: X-Request-Id in and out, one line a request, 500 for what nobody expected."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        request_id = request_id_of(sent.decode("latin-1"))
        started = time.perf_counter()
        status = 0

        async def tagged(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self.app(scope, receive, tagged)
        except ClientDisconnect:
            status = status or 499
        except Exception as error:
            logger.error("request %s failed: %s\n%s", request_id, type(error).__name__, code_path(error))
            if status:
                # The answer is under way: to cut the connection is the only honest end.
                raise RuntimeError(f"request {request_id} was cut off") from None
            await internal_error(request_id)(scope, receive, tagged)
        finally:
            if logger.isEnabledFor(logging.INFO):
                milliseconds = (time.perf_counter() - started) * 1000
                logger.info("%s %s %d %.1f ms %s", scope["method"], route_of(scope), status, milliseconds, request_id)


def request_id_of(header: str) -> str:
    """Return the client's own id where it is a plain word of at most 64 characters, else a new one."""
    return header if header and _REQUEST_ID.fullmatch(header) else secrets.token_hex(16)


def route_of(scope: Scope) -> str:
    """Return the path with the name of each path parameter in its value's place, `-` for what no route takes."""
    if isinstance(scope.get("endpoint", None), Router | None):  # a Router: a root was found, and nothing below it
        return "-"
    path = f"{scope['path']}/"
    for name, value in scope.get("path_params", {}).items():
        path = path.replace(f"/{value}/", f"/{{{name}}}/", 1)
    return path[:-1]


def code_path(error: BaseException) -> str:
    """Return where an error came from, its causes first, without any value."""
    cause = error.__cause__ or error.__context__
    before = f"{code_path(cause)}{type(cause).__name__}, then\n" if cause else ""
    return before + "".join(
        f"  {frame.filename}:{frame.lineno} {frame.name}\n" for frame in traceback.extract_tb(error.__traceback__)
    )


def internal_error(request_id: str) -> JSONResponse:
    """Return the answer to a request that met a fault of ours."""
    return JSONResponse(
        {
            "type": "about:blank",
            "title": "Internal Server Error",
            "status": 500,
            "detail": f"The gateway failed; its log has the cause under request id {request_id}.",
        },
        status_code=500,
        media_type="application/problem+json",
    )
