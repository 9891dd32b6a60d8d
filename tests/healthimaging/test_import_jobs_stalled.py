"""Import jobs from an S3 that lists its objects and then says nothing: nobody else waits for it, a stop neither."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.client import BaseClient

from tests.conftest import serving
from tests.healthimaging.clients import boto3_client
from tests.healthimaging.conftest import stow
from tests.healthimaging.imports import ROLE
from tests.healthimaging.test_import_jobs import wait
from tests.s3 import KEYS
from tests.samples import ct_series, instance

OBJECTS = ct_series(12)


class StalledS3(ThreadingHTTPServer):
    """An S3 with a bucket of 12 instances, which gives none until it is `awake`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.awake = threading.Event()
        self.asked = 0
        self.url = f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: StalledS3

    def do_GET(self) -> None:
        if "list-type" in self.path:
            contents = "".join(
                f"<Contents><Key>in/{number}</Key><Size>{len(one)}</Size></Contents>"
                for number, one in enumerate(OBJECTS)
            )
            self.answer(f"<ListBucketResult>{contents}</ListBucketResult>".encode())
            return
        self.server.asked += 1
        self.server.awake.wait()
        self.answer(OBJECTS[int(self.path.rpartition("/")[2].partition("?")[0])])

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(b"")

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def stalled() -> Iterator[StalledS3]:
    with StalledS3() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.awake.set()
        server.shutdown()
        thread.join()


def start(boto: BaseClient, stalled: StalledS3, count: int) -> tuple[str, list[str]]:
    """Start jobs, and return the data store and the jobs when the first of them wait for objects."""
    datastore_id = boto.list_datastores()["datastoreSummaries"][0]["datastoreId"]
    uris = {"inputS3Uri": "s3://input/in/", "outputS3Uri": "s3://output/out/"}
    jobs = [
        boto.start_dicom_import_job(datastoreId=datastore_id, dataAccessRoleArn=ROLE, **uris)["jobId"]
        for _ in range(count)
    ]
    deadline = time.monotonic() + 20
    while stalled.asked < 9 * min(count, 4) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert stalled.asked == 9 * min(count, 4)
    return datastore_id, jobs


def test_nobody_else_waits_for_an_s3_that_does_not_answer(stalled: StalledS3, tmp_path: Path) -> None:
    """Four jobs wait for nine objects each; meanwhile instances are stored, found and read."""
    with serving(tmp_path / "data", "--s3-endpoint-url", stalled.url, **KEYS) as server:
        boto = boto3_client(server.endpoint)
        datastore_id, _ = start(boto, stalled, 4)
        began = time.monotonic()

        stow(server, datastore_id, [instance(study="1.2.3")])
        found = httpx.get(f"{server.dicomweb}/studies/1.2.3/metadata", timeout=10)

        assert (found.status_code, len(found.json())) == (200, 1)
        assert time.monotonic() - began < 5
        boto.close()


def test_stop_does_not_wait_for_an_s3_that_does_not_answer(stalled: StalledS3, tmp_path: Path) -> None:
    """SIGTERM ends the gateway in seconds, and the next start carries the job out."""

    def served() -> Any:
        return serving(tmp_path / "data", "--s3-endpoint-url", stalled.url, **KEYS)

    with served() as server:
        boto = boto3_client(server.endpoint)
        datastore_id, [job_id] = start(boto, stalled, 1)
        boto.close()
        began = time.monotonic()
        server.process.terminate()
        assert server.process.wait(30) == 0
    assert time.monotonic() - began < 15
    stalled.awake.set()

    with served() as server:
        boto = boto3_client(server.endpoint)
        done = wait(boto, datastore_id, job_id)
        found = httpx.get(f"{server.dicomweb}/instances").json()
        boto.close()

    assert (done["jobStatus"], len(found)) == ("COMPLETED", len(OBJECTS))
