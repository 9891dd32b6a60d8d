"""The log names routes; what a patient is called, and what went wrong with whom, stays out of it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from gateway.request_log import RequestLog

from .conftest import app_client


async def show(request: Request[Any]) -> Response:
    return PlainTextResponse("shown")


async def fail(request: Request[Any]) -> Response:
    raise ValueError("Citizen^Jan has no birth date")


async def fail_late(request: Request[Any]) -> Response:
    async def body() -> AsyncIterator[bytes]:
        yield b"half"
        raise ValueError("Citizen^Jan has no birth date")

    return StreamingResponse(body())


@pytest.fixture
async def http(caplog: pytest.LogCaptureFixture) -> AsyncIterator[httpx.AsyncClient]:
    caplog.set_level(logging.INFO, "gateway")
    routes = [
        Route("/patients/{patient}/history/{version}", show),
        Route("/files/{rest:path}", show),
        Route("/fail/{patient}", fail),
        Route("/late", fail_late),
        Mount("/root", routes=[Route("/studies/{study}", show)]),
    ]
    async with app_client(Starlette(routes=routes, middleware=[Middleware(RequestLog)])) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/patients/Citizen/history/2?why=Citizen", "GET /patients/{patient}/history/{version} 200"),
        ("/files/a/Citizen/c", "GET /files/{rest} 200"),
        ("/root/studies/Citizen", "GET /root/studies/{study} 200"),
        ("/root/patients/Citizen", "GET - 404"),
        ("/Citizen", "GET - 404"),
    ],
)
async def test_line_has_the_route(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, path: str, line: str
) -> None:
    """Each value of a path is the parameter's name instead; a path that is nobody's is a dash."""
    await http.get(path, headers={"X-Request-Id": "trace-1"})

    (message,) = [record.getMessage() for record in caplog.records if record.name == "gateway.requests"]
    assert message.startswith(line) and message.endswith(" ms trace-1")
    assert "Citizen" not in caplog.text


async def test_unexpected_error_is_500_with_the_id_and_no_more(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The client gets the id to ask with; the log the class and the code it passed, and not the message."""
    answer = await http.get("/fail/Citizen", headers={"X-Request-Id": "trace-1"})

    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.json() == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "The gateway failed; its log has the cause under request id trace-1.",
    }
    assert "request trace-1 failed: ValueError" in caplog.text
    assert "test_request_log.py" in caplog.text
    assert "Citizen" not in caplog.text


async def test_error_after_the_answer_began_cuts_it_off(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Half an answer is not to be taken for a whole one: the server is told to hang up, and nobody what was in it."""
    with pytest.raises(RuntimeError, match="^request trace-1 was cut off$"):
        await http.get("/late", headers={"X-Request-Id": "trace-1"})

    assert "Citizen" not in caplog.text
