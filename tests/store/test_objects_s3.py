"""S3 as a bucket: the contract against a real server, and what only S3 does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from gateway.errors import ObjectsFailed
from gateway.store.objects import Objects
from gateway.store.objects_s3 import S3, S3Objects
from tests.s3 import KEYS, S3Server, free_ports
from tests.store.objects_suite import ObjectsTests, content, listed


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's, as an operator gives them."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


class TestS3Objects(ObjectsTests):
    """The contract."""

    @pytest.fixture
    def objects(self, s3: S3Server) -> Objects:
        self.s3, self.bucket = s3, s3.bucket()
        return S3(s3.url, "us-east-1").bucket(self.bucket)

    @pytest.fixture
    def missing(self, s3: S3Server) -> Objects:
        return S3(s3.url, "us-east-1").bucket("no-such-bucket")

    async def put(self, objects: Objects, key: str, value: bytes) -> None:
        self.s3.put(self.bucket, key, value)


async def test_prefix_is_the_beginning_of_a_key(s3: S3Server) -> None:
    """It ends where it ends, slash or not."""
    bucket = s3.bucket()
    for key in ("ct", "ct-old/1.dcm", "ct/1.dcm", "c"):
        s3.put(bucket, key, b"x")

    found = await listed(S3(s3.url, "us-east-1").bucket(bucket), "ct")

    assert sorted(key for key, _ in found) == ["ct", "ct-old/1.dcm", "ct/1.dcm"]


async def test_marker_of_a_folder_is_no_object(s3: S3Server) -> None:
    """The S3 console makes an empty object for a folder."""
    bucket = s3.bucket()
    s3.put(bucket, "in/", b"")
    s3.put(bucket, "in/1.dcm", b"x")

    assert await listed(S3(s3.url, "us-east-1").bucket(bucket), "in/") == [("in/1.dcm", 1)]


async def test_listing_of_several_pages_is_whole(s3: S3Server) -> None:
    """S3 lists a thousand keys at a time."""
    bucket = s3.bucket()
    keys = [f"in/{number:04}.dcm" for number in range(1001)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda key: s3.put(bucket, key, b""), keys))

    assert [key for key, _ in await listed(S3(s3.url, "us-east-1").bucket(bucket), "in/")] == keys


async def test_keys_that_s3_does_not_know_fail(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence has S3's word for it."""
    bucket = s3.bucket()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")

    with pytest.raises(ObjectsFailed, match="S3 refused: SignatureDoesNotMatch"):
        await listed(S3(s3.url, "us-east-1").bucket(bucket))


async def test_s3_that_does_not_answer_fails() -> None:
    """The sentence says what happened, and no address."""
    objects = S3(f"http://127.0.0.1:{free_ports(1)[0]}", "us-east-1").bucket("bucket")

    with pytest.raises(ObjectsFailed, match="^S3 does not answer: EndpointConnectionError$"):
        await listed(objects)


# -- what no server does on request

BODY = bytes(range(256)) * 8192


class Breaking(BaseHTTPRequestHandler):
    """Answers GET with as much as `breaks` says and hangs up, then with the range that is asked for."""

    breaks: list[int] = []
    requests: list[tuple[str, dict[str, str]]] = []

    def do_GET(self) -> None:
        ranged = self.headers["Range"]
        self.requests.append((self.path, dict(self.headers)))
        start = int(ranged.removeprefix("bytes=").rstrip("-")) if ranged else 0
        body = BODY[start:]
        self.send_response(206 if ranged else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"etag"')
        self.end_headers()
        self.wfile.write(body[: self.breaks.pop(0)] if self.breaks else body)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def breaking() -> Iterator[S3Objects]:
    """A bucket on a server that hangs up, owned by an account."""
    Breaking.breaks, Breaking.requests = [], []
    server = HTTPServer(("127.0.0.1", 0), Breaking)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield S3(f"http://127.0.0.1:{server.server_port}", "us-east-1").bucket("bucket", "123456789012")
    server.shutdown()
    thread.join()
    server.server_close()


async def test_rest_of_a_body_that_breaks_off_is_asked_for(breaking: S3Objects) -> None:
    """From where it broke off, and only if it is the same object."""
    Breaking.breaks = [1_500_000]

    assert await content(breaking, "1.dcm") == BODY
    _, again = Breaking.requests[1]
    assert again["If-Match"] == '"etag"'
    assert again["Range"].startswith("bytes=")


async def test_body_that_keeps_breaking_off_fails(breaking: S3Objects) -> None:
    """After three attempts."""
    Breaking.breaks = [10, 10, 10]

    with pytest.raises(ObjectsFailed, match="S3 does not answer"):
        await content(breaking, "1.dcm")
    assert len(Breaking.requests) == 3


async def test_owner_of_the_bucket_is_checked_by_s3(breaking: S3Objects) -> None:
    """The account of inputOwnerAccountId goes with each request."""
    await content(breaking, "1.dcm")

    assert Breaking.requests[0][1]["x-amz-expected-bucket-owner"] == "123456789012"


async def test_double_slash_in_a_key_is_kept(breaking: S3Objects) -> None:
    """S3's keys are no paths, and people's have empty steps in them."""
    await content(breaking, "in//ct/1.dcm")

    assert Breaking.requests[0][0] == "/bucket/in//ct/1.dcm"
