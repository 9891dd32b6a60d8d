"""Cross-origin requests, as browsers make them. N14 is a line of a checklist, T72 one of a list of threats."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from starlette.routing import Route

from gateway.app import create_app
from gateway.errors import InvalidSettings
from gateway.settings import Settings, load_settings
from gateway.store.protocol import Store
from tests.conftest import app_client
from tests.dicomweb.wire import stored
from tests.samples import instance

VIEWER, OTHER = "https://viewer.example", "http://localhost:3000"
STUDY = "1.2.3"

# What OHIF's preflight asks for a multipart retrieve with a token, and for an edit.
FIELDS = "accept,authorization,content-type,if-match"


@pytest.fixture
async def viewer(settings: Settings, store: Store) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway that knows two origins, and has one study."""
    async with app_client(create_app(replace(settings, cors_origins=f"{VIEWER} {OTHER}"), store)) as client:
        await stored(client, instance(study=STUDY))
        yield client


@pytest.mark.parametrize("path", ["/dicomweb/studies", f"/dicomweb/studies/{STUDY}/metadata", "/dicomweb/nothing"])
async def test_a_preflight_of_a_known_origin_is_answered(viewer: httpx.AsyncClient, path: str) -> None:
    """N14: 204 with the methods, and the header fields that were asked for, Authorization among them."""
    asked = {
        "Origin": VIEWER,
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": FIELDS,
        "Access-Control-Request-Private-Network": "true",
    }

    response = await viewer.options(path, headers=asked)

    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["access-control-allow-origin"] == VIEWER
    assert response.headers["access-control-allow-methods"] == "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
    assert response.headers["access-control-allow-headers"] == FIELDS
    assert response.headers["access-control-allow-private-network"] == "true"
    assert response.headers["vary"] == "Origin, Access-Control-Request-Headers"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/dicomweb/studies/{STUDY}/metadata", 200),
        ("/dicomweb/studies?PatientID=nobody", 204),
        ("/dicomweb/studies?limit=x", 400),
        ("/dicomweb/studies/1.9", 404),
        ("/nothing", 404),
        (f"/dicomweb/studies/{STUDY}?accept=text/html", 406),
    ],
)
async def test_every_answer_can_be_read_by_a_known_origin(viewer: httpx.AsyncClient, path: str, status: int) -> None:
    """N14: errors too: a browser hides an answer without these fields, and calls it a CORS failure."""
    response = await viewer.get(path, headers={"Origin": OTHER, "Accept": "application/json"})

    assert response.status_code == status
    assert response.headers["access-control-allow-origin"] == OTHER
    assert {"ETag", "Warning", "Content-Location", "Location", "Retry-After"} <= set(
        response.headers["access-control-expose-headers"].split(", ")
    )
    assert "Origin" in response.headers["vary"] and response.headers["cross-origin-resource-policy"] == "cross-origin"


async def test_a_fault_of_ours_can_be_read_too(settings: Settings, store: Store) -> None:
    """The 500 with its request id, which the operator will ask for."""
    app = create_app(replace(settings, cors_origins=VIEWER), store)

    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    [livez] = [route for route in app.router.routes if isinstance(route, Route) and route.path == "/livez"]
    livez.endpoint = livez.app = broken
    async with app_client(app) as client:
        response = await client.get("/livez", headers={"Origin": VIEWER})

    assert response.status_code == 500 and response.headers["access-control-allow-origin"] == VIEWER


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        f"{VIEWER}.evil.example",
        "http://viewer.example",
        f"{VIEWER}:8443",
        VIEWER.upper(),
    ],
)
async def test_an_origin_that_is_not_named_learns_nothing(viewer: httpx.AsyncClient, origin: str) -> None:
    """T72: no field allows it, neither in a preflight nor in an answer; and caches keep the two apart."""
    answer = await viewer.get("/dicomweb/studies", headers={"Origin": origin})
    preflight = await viewer.options(
        "/dicomweb/studies", headers={"Origin": origin, "Access-Control-Request-Method": "GET"}
    )

    assert not [name for name in {**answer.headers, **preflight.headers} if name.startswith("access-control")]
    assert "Origin" in answer.headers["vary"]


async def test_by_default_no_origin_is_known(client: httpx.AsyncClient) -> None:
    """The setting cors_origins is empty: what a browser shows is the gateway's own business alone."""
    response = await client.get("/dicomweb/studies", headers={"Origin": VIEWER})

    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/dicomweb/studies", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("/dicomweb/instances", {"GET", "HEAD", "OPTIONS"}),
        (f"/dicomweb/studies/{STUDY}/normalizedmetadata", {"GET", "HEAD", "PATCH", "PUT", "OPTIONS"}),
        ("/livez", {"GET", "HEAD", "OPTIONS"}),
    ],
)
async def test_options_names_the_methods(client: httpx.AsyncClient, path: str, methods: set[str]) -> None:
    """N14: 204 with Allow, whoever asks."""
    response = await client.options(path)

    assert (response.status_code, response.content) == (204, b"")
    assert set(response.headers["allow"].split(", ")) == methods


@pytest.mark.parametrize("text", ["*", "viewer.example", "https://viewer.example/", "https://Viewer.example", "null"])
def test_an_origin_has_to_be_one(text: str) -> None:
    """A star would let every page that anybody opens read the records; the rest no browser ever sends."""
    with pytest.raises(InvalidSettings, match="GATEWAY_CORS_ORIGINS must be origins"):
        load_settings({"GATEWAY_CORS_ORIGINS": text})
