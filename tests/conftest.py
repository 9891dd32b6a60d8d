"""What many tests need: a store in an empty folder, a client of the whole application, a server in its own process."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import hypothesis
import pytest
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from gateway.app import create_app, opened_store
from gateway.settings import Settings
from gateway.store.data_folder import DATABASE
from gateway.store.protocol import Store
from gateway.store.sqlite.schema_steps import migrate
from tests.s3 import s3
from tests.samples import ct_series

__all__ = ["s3"]

# A law is no timed test: on a busy machine an example may take as long as it likes.
hypothesis.settings.register_profile("gateway", deadline=None)
hypothesis.settings.load_profile("gateway")


def pytest_xdist_auto_num_workers() -> int:
    """One more than processors: one always waits, for a server to start or for a slow client to be cut off."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return processors + 1


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The settings as they come, over an empty folder."""
    return Settings(data=tmp_path / "data")


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database that a new data folder gets, before anything is in it: to make one takes longer than most tests."""
    path = tmp_path_factory.mktemp("new") / DATABASE
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection)
    return path


@pytest.fixture
async def store(settings: Settings, new_database: Path) -> AsyncIterator[Store]:
    """A VersionedStore with one data store."""
    settings.data.mkdir()
    shutil.copy(new_database, settings.data)
    async with opened_store(settings) as store:
        yield store


@pytest.fixture
async def datastore_id(store: Store) -> str:
    """The data store that /dicomweb stands for."""
    return (await store.default_datastore()).datastore_id


@pytest.fixture
async def client(settings: Settings, store: Store) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the whole application, without a socket."""
    async with app_client(create_app(settings, store)) as client:
        yield client


@asynccontextmanager
async def app_client(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of an application, with its lifespan run and the lifespan's state in every request."""
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        transport = httpx.ASGITransport(app=with_state)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
            yield client


@dataclass(frozen=True)
class Server:
    """A `gateway serve` in its own process. url: its address; endpoint: the HealthImaging API's, the same."""

    url: str
    process: subprocess.Popen[str]

    @property
    def dicomweb(self) -> str:
        return f"{self.url}/dicomweb"

    @property
    def endpoint(self) -> str:
        return self.url


@contextmanager
def serving(data: Path, *options: str, **environment: str) -> Iterator[Server]:
    """Run `gateway serve` over a data folder on a free loopback port, and stop it with SIGTERM."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "serve", "--port", "0", "--data", str(data), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    with process:
        try:
            for line in process.stdout:
                if address := re.search(r"https?://[^/\s]+", line):
                    yield Server(address[0], process)
                    break
            else:
                raise AssertionError("gateway serve ended before it said where it listens")
        finally:
            process.terminate()
            process.stdout.read()


@pytest.fixture(scope="session")
def session_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that do not mind each other's studies."""
    with serving(tmp_path_factory.mktemp("served"), "--max-datastores", "100000") as server:
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of its own over an empty folder."""
    with serving(tmp_path / "served") as server:
        yield server


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine the tests run on."""
    for name in [name for name in os.environ if name.startswith("GATEWAY_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def no_logins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No access key, login or ~/.netrc of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "DICOMWEB_LOGIN", "PACS_LOGIN"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A folder with three CT instances, two of them below a folder of their own."""
    folder = tmp_path / "archive"
    (folder / "more").mkdir(parents=True)
    first, second, third = ct_series(3)
    (folder / "1.dcm").write_bytes(first)
    (folder / "more" / "2.dcm").write_bytes(second)
    (folder / "more" / "3").write_bytes(third)
    return folder
