"""S3 as a bucket: the contract against a real server, and what only S3 does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gateway.errors import ObjectsFailed
from gateway.store.objects.protocol import Objects
from gateway.store.objects.s3 import S3, S3Objects
from tests.s3 import KEYS, S3Server, free_ports
from tests.store.objects_suite import ObjectsTests, content, listed


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's, as an operator gives them."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
async def client(s3: S3Server, credentials: None) -> AsyncIterator[S3]:
    """The gateway's client of the server."""
    async with S3(s3.url, "us-east-1") as client:
        yield client


class TestS3Objects(ObjectsTests):
    """The contract."""

    @pytest.fixture
    def objects(self, s3: S3Server, client: S3) -> Objects:
        self.s3, self.bucket = s3, s3.bucket()
        return client.bucket(self.bucket)

    @pytest.fixture
    def missing(self, client: S3) -> Objects:
        return client.bucket("no-such-bucket")

    async def put(self, objects: Objects, key: str, value: bytes) -> None:
        self.s3.put(self.bucket, key, value)


async def test_prefix_is_the_beginning_of_a_key(s3: S3Server, client: S3) -> None:
    """It ends where it ends, slash or not."""
    bucket = s3.bucket()
    for key in ("ct", "ct-old/1.dcm", "ct/1.dcm", "c"):
        s3.put(bucket, key, b"x")

    found = await listed(client.bucket(bucket), "ct")

    assert sorted(key for key, _ in found) == ["ct", "ct-old/1.dcm", "ct/1.dcm"]


async def test_marker_of_a_folder_is_no_object(s3: S3Server, client: S3) -> None:
    """The S3 console makes an empty object for a folder."""
    bucket = s3.bucket()
    s3.put(bucket, "in/", b"")
    s3.put(bucket, "in/1.dcm", b"x")

    assert await listed(client.bucket(bucket), "in/") == [("in/1.dcm", 1)]


async def test_listing_of_several_pages_is_whole(s3: S3Server, client: S3) -> None:
    """S3 lists a thousand keys at a time."""
    bucket = s3.bucket()
    keys = [f"in/{number:04}.dcm" for number in range(1001)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda key: s3.put(bucket, key, b""), keys))

    assert [key for key, _ in await listed(client.bucket(bucket), "in/")] == keys


async def test_access_keys_that_s3_does_not_know_fail(
    s3: S3Server, client: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence has S3's word for it."""
    bucket = s3.bucket()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")

    with pytest.raises(ObjectsFailed, match="S3 refused: SignatureDoesNotMatch"):
        await listed(client.bucket(bucket))


async def test_access_keys_of_a_profile_are_used(
    s3: S3Server, client: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where every AWS tool finds them."""
    bucket = s3.bucket()
    s3.put(bucket, "1.dcm", b"x")
    (tmp_path / "credentials").write_text(
        f"[imports]\naws_access_key_id = {KEYS['AWS_ACCESS_KEY_ID']}\n"
        f"aws_secret_access_key = {KEYS['AWS_SECRET_ACCESS_KEY']}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "imports")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    assert await content(client.bucket(bucket), "1.dcm") == b"x"


async def test_profile_that_is_not_there_fails(client: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an S3 that does not answer, at each attempt."""
    monkeypatch.setenv("AWS_PROFILE", "misspelt")

    for _ in range(2):
        with pytest.raises(ObjectsFailed, match="^S3 does not answer: ProfileNotFound$"):
            await listed(client.bucket("bucket"))


async def test_s3_that_does_not_answer_fails() -> None:
    """The sentence says what happened, and no address."""
    async with S3(f"http://127.0.0.1:{free_ports(1)[0]}", "us-east-1") as client:
        with pytest.raises(ObjectsFailed, match="^S3 does not answer: EndpointConnectionError$"):
            await listed(client.bucket("bucket"))


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

    def do_PUT(self) -> None:
        """Take it, and never say 100 Continue: this server speaks HTTP/1.0."""
        self.requests.append((self.path, dict(self.headers)))
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
async def breaking() -> AsyncIterator[S3Objects]:
    """A bucket on a server that hangs up, owned by an account."""
    Breaking.breaks, Breaking.requests = [], []
    with served(Breaking) as url:
        async with S3(url, "us-east-1") as client:
            yield client.bucket("bucket", "123456789012")


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Run a server, and yield its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


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


async def test_writing_waits_for_no_permission(breaking: S3Objects) -> None:
    """What a job writes is small, and an S3 that leaves out "100 Continue" would be waited for."""
    await breaking.write("out/success.ndjson", b"{}")

    [(path, headers)] = Breaking.requests
    assert path == "/bucket/out/success.ndjson"
    assert "Expect" not in headers


async def test_owner_of_the_bucket_is_checked_by_s3(breaking: S3Objects) -> None:
    """The account of inputOwnerAccountId goes with each request."""
    await content(breaking, "1.dcm")

    assert Breaking.requests[0][1]["x-amz-expected-bucket-owner"] == "123456789012"


@pytest.mark.parametrize("key", ["in//ct/1.dcm", "/1.dcm", "./1.dcm", "ct/../1.dcm", "ct/./1.dcm"])
async def test_keys_are_no_paths(breaking: S3Objects, key: str) -> None:
    """People's have empty steps in them, and steps that lead up in a path."""
    await content(breaking, key)

    assert Breaking.requests[0][0] == f"/bucket/{key}"


class Elsewhere(BaseHTTPRequestHandler):
    """A bucket in eu-west-1, which says so to who signs for another region."""

    regions: list[str] = []

    def do_GET(self) -> None:
        region = self.headers["Authorization"].split("/")[2]
        self.regions.append(region)
        body = b"x"
        if region != "eu-west-1":
            body = b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>"
        self.send_response(200 if region == "eu-west-1" else 400)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-amz-bucket-region", "eu-west-1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


async def test_bucket_in_another_region_is_found() -> None:
    """S3 says where it is, and the next request goes there at once."""
    Elsewhere.regions = []
    with served(Elsewhere) as url:
        async with S3(url, "us-east-1") as client:
            bucket = client.bucket("bucket")

            assert await content(bucket, "1.dcm") == b"x"
            assert await content(bucket, "2.dcm") == b"x"

    assert Elsewhere.regions == ["us-east-1", "eu-west-1", "eu-west-1"]


class Endless:
    """A server in this event loop: answers the first `answers` requests with a body without an end, others never."""

    def __init__(self, answers: int) -> None:
        self.answers = answers
        self.sent = 0
        self.asked = 0
        self.gone = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        with suppress(ConnectionError):
            if self.asked <= self.answers:
                writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\nETag: "etag"\r\n\r\n')
                while True:
                    writer.write(BODY)
                    self.sent += len(BODY)
                    await writer.drain()
            await reader.read()
        self.gone += 1
        writer.close()


@asynccontextmanager
async def serving_endless(answers: int) -> AsyncIterator[tuple[Endless, S3Objects]]:
    """Run that server, and yield it and its bucket."""
    endless = Endless(answers)
    async with (
        await asyncio.start_server(endless.serve, "127.0.0.1", 0) as server,
        S3(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "us-east-1") as client,
    ):
        yield endless, client.bucket("bucket")


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop turn until something is so."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def test_no_more_comes_than_is_read() -> None:
    """A body waits at the other end: what is in memory and in the sockets' buffers does not grow."""
    async with serving_endless(1) as (endless, objects):
        body = objects.read("1.dcm")
        await anext(body)
        before = -1
        while endless.sent != before:
            before = endless.sent
            await asyncio.sleep(0.2)
            assert endless.sent < 64 * 1024 * 1024
        await body.aclose()
        await until(lambda: endless.gone == 1)


async def test_waiting_for_an_s3_that_does_not_answer_holds_no_thread() -> None:
    """Forty wait, as many as four import jobs read at once; who gives up hangs up."""
    async with serving_endless(1) as (endless, objects):
        first = objects.read("1.dcm")
        await anext(first)
        threads = threading.active_count()
        waiting = [asyncio.ensure_future(content(objects, "1.dcm")) for _ in range(40)]
        await until(lambda: endless.asked == 41)

        assert threading.active_count() == threads
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting)
        await first.aclose()
        await until(lambda: endless.gone == 41)
