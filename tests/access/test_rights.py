"""What a key may do by its rights, on both faces: every path is asked for with the right it needs, and without."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from starlette.routing import Route

from gateway.app import create_app
from gateway.dicomweb import routes as dicomweb
from gateway.dicomweb.wado import uri as wado_uri
from gateway.healthimaging.model import service
from gateway.healthimaging.operations import READING
from gateway.settings import Settings
from gateway.store.protocol import Store
from tests.access.signers import KEY, signed
from tests.conftest import app_client
from tests.samples import instance

STUDY = "1.2.826.0.1.3680043.8.498.1"
RIGHTS = {"reader": "read", "modality": "write", "editor": "read write", "admin": "read write force"}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A file with a key of each kind; the id is the name, the secret is the same."""
    file = tmp_path / "keys"
    file.write_text(
        "".join(
            f"[{who}]\naws_access_key_id = {who}\naws_secret_access_key = {KEY.secret}\nrights = {rights}\n"
            for who, rights in RIGHTS.items()
        )
    )
    return file


@pytest.fixture
async def guarded(settings: Settings, store: Store, keys: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway with those keys."""
    async with app_client(create_app(replace(settings, access_keys=str(keys)), store)) as client:
        yield client


async def ask(
    client: httpx.AsyncClient, who: str, method: str, path: str, body: bytes = b"", content_type: str = ""
) -> httpx.Response:
    """Send a request signed by a key."""
    headers = {"Content-Type": content_type} if content_type else {}
    url, key = f"http://gateway.test{path}", replace(KEY, access_key_id=who)
    request = signed(method, url, body, headers, at=datetime.now(UTC), key=key)
    return await client.request(method, request.url, headers=dict(request.headers), content=body)


def paths(routes: list[Route]) -> Iterator[tuple[str, str]]:
    """Yield method and path of every DICOMweb route, with a UID in each parameter's place."""
    for route in routes:
        for method in sorted(route.methods or ()):
            filled = route.path.replace("{datastoreId}", "0" * 32)
            while "{" in filled:
                before, _, after = filled.partition("{")
                filled = f"{before}1.2.3{after.partition('}')[2]}"
            yield method, filled


DICOMWEB = sorted(set(paths([*dicomweb.routes(dicomweb.DEFAULT_ROOT, dicomweb.ROOT), *wado_uri.routes])))


def test_walk_finds_reads_and_writes_under_both_roots() -> None:
    """Or the next test shows nothing."""
    assert len(DICOMWEB) > 100
    assert {method for method, _ in DICOMWEB} >= {"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"}


async def test_every_path_of_dicomweb_asks_for_its_right(guarded: httpx.AsyncClient) -> None:
    """To look is to read, and every other method writes: 403 and a problem, whatever else is wrong with the request."""
    for method, path in DICOMWEB:
        reads = method in ("GET", "HEAD", "OPTIONS")

        refused = await ask(guarded, "modality" if reads else "reader", method, path)
        allowed = await ask(guarded, "reader" if reads else "modality", method, path)

        assert (refused.status_code, allowed.status_code == 403) == (403, False), (method, path)
        assert refused.headers["content-type"] == "application/problem+json"
        if method != "HEAD":
            right = "read" if reads else "write"
            assert refused.json()["type"] == "urn:dicomweb-gateway:problem:access-denied"
            assert refused.json()["detail"] == f"this access key has no right to {right}"


@pytest.mark.parametrize("name", sorted(service().operations))
async def test_every_operation_asks_for_its_right(guarded: httpx.AsyncClient, name: str) -> None:
    """AccessDeniedException before anything is said of the request."""
    operation = service().operations[name]
    path = "/".join("0" * 32 if part.startswith("{") else part for part in operation.path.split("/"))
    reads = name in READING

    refused = await ask(guarded, "modality" if reads else "reader", operation.method, path)
    allowed = await ask(guarded, "reader" if reads else "modality", operation.method, path)

    assert (refused.status_code, refused.headers["x-amzn-ErrorType"]) == (403, "AccessDeniedException")
    assert refused.json() == {"message": f"this access key has no right to {'read' if reads else 'write'}"}
    assert allowed.headers.get("x-amzn-ErrorType") != "AccessDeniedException"


def test_operations_that_read_are_those_that_get_list_and_search() -> None:
    """By AWS's own naming."""
    assert sorted(READING) == sorted(
        name for name in service().operations if name.startswith(("Get", "List", "Search"))
    )


async def test_events_are_read(guarded: httpx.AsyncClient, datastore_id: str) -> None:
    """A key that only stores is not told what others did."""
    path = f"/datastore/{datastore_id}/events"

    assert (await ask(guarded, "modality", "GET", path)).headers["x-amzn-ErrorType"] == "AccessDeniedException"
    assert (await ask(guarded, "reader", "GET", path)).status_code == 200


async def test_force_is_a_right_of_its_own(guarded: httpx.AsyncClient, store: Store, datastore_id: str) -> None:
    """An editor edits, and does not lift constraints; over either face."""
    stored = await ask(guarded, "modality", "POST", "/dicomweb/studies", instance(), "application/dicom")
    [version] = await store.changes(datastore_id, 0, 10)
    patch = f"/dicomweb/studies/{STUDY}/normalizedmetadata?force=true"
    update = f"/datastore/{datastore_id}/imageSet/{version.image_set_id}/updateImageSetMetadata?latestVersion=1"
    copy = f"/datastore/{datastore_id}/imageSet/{version.image_set_id}/copyImageSet?force=true"
    requests = [
        ("PATCH", patch, b'{"00200010": {"vr": "SH", "Value": ["7"]}}', "application/merge-patch+json"),
        ("POST", f"{update}&force=true", b'{"revertToVersionId": "1"}', "application/json"),
        ("POST", copy, b'{"sourceImageSet": {"latestVersionId": "1"}}', "application/json"),
    ]

    refused = [await ask(guarded, "editor", *request) for request in requests]
    plain = await ask(guarded, "editor", "POST", update, b'{"revertToVersionId": "1"}', "application/json")
    forced = await ask(guarded, "admin", *requests[0])

    assert stored.status_code == plain.status_code == forced.status_code == 200
    assert [answer.status_code for answer in refused] == [403, 403, 403]
    assert len(await store.changes(datastore_id, 0, 10)) == 2
    assert (await store.changes(datastore_id, 0, 10))[-1].provenance.who == "admin"
