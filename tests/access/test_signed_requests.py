"""A gateway with access keys: real clients that sign are answered, all else is refused, whatever it asks for."""

from __future__ import annotations

import hmac
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.awsrequest import AWSRequest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError

from gateway.access.sigv4 import STREAMING_PAYLOAD
from gateway.app import create_app
from gateway.errors import InvalidSettings
from gateway.settings import Settings
from gateway.store.protocol import Store
from tests.access.signers import KEY, signed
from tests.conftest import Server, app_client, serving
from tests.healthimaging.clients import run_cli
from tests.samples import ct_series

STOW_TYPE = 'multipart/related; type="application/dicom"; boundary=part'


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A file with one key, alice's."""
    file = tmp_path / "keys"
    file.write_text(f"[{KEY.who}]\naws_access_key_id = {KEY.access_key_id}\naws_secret_access_key = {KEY.secret}\n")
    return file


@pytest.fixture
async def guarded(settings: Settings, store: Store, keys: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway with access keys."""
    async with app_client(create_app(replace(settings, access_keys=str(keys)), store)) as client:
        yield client


async def send(client: httpx.AsyncClient, request: AWSRequest, body: bytes = b"") -> httpx.Response:
    """Send a signed request, with this body whatever was signed."""
    return await client.request(request.method, request.url, headers=dict(request.headers), content=body)


def now_signed(method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None, **how: Any) -> Any:
    return signed(method, f"http://gateway.test{path}", body, headers, at=datetime.now(UTC), **how)


def stow_body() -> bytes:
    [instance] = ct_series(1)
    return b"--part\r\nContent-Type: application/dicom\r\n\r\n" + instance + b"\r\n--part--\r\n"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/datastore"),
        ("POST", "/datastore"),
        ("GET", "/datastore/{datastore}"),
        ("POST", "/datastore/{datastore}/searchImageSets"),
        ("GET", "/datastore/{datastore}/studies"),
        ("POST", "/datastore/{datastore}/studies"),
        ("GET", "/datastore/{datastore}/changefeed"),
        ("GET", "/dicomweb/studies"),
        ("DELETE", "/dicomweb/studies/1.2"),
        ("GET", "/no/such/path"),
    ],
)
async def test_unsigned_request_is_refused(
    guarded: httpx.AsyncClient, datastore_id: str, method: str, path: str
) -> None:
    """Both faces, both DICOMweb roots, reading and writing: 403, in AWS's form, and nothing else is told."""
    answer = await guarded.request(method, path.format(datastore=datastore_id))

    assert answer.status_code == 403
    assert answer.headers["x-amzn-ErrorType"] == "MissingAuthenticationTokenException"
    assert answer.json() == {"message": "Missing Authentication Token"}
    assert answer.headers["x-amzn-RequestId"]


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_health_checks_need_no_signature(guarded: httpx.AsyncClient, path: str) -> None:
    """Whoever restarts the process has no key."""
    assert (await guarded.get(path)).status_code == 200


@pytest.mark.parametrize("expires", [None, 60])
async def test_signed_search_is_answered(guarded: httpx.AsyncClient, datastore_id: str, expires: int | None) -> None:
    """Signed in a header or presigned; the parameters of a presigned URL are not taken for a query."""
    answer = await send(guarded, now_signed("GET", f"/datastore/{datastore_id}/studies?PatientID=P7", expires=expires))

    assert (answer.status_code, answer.content) in [(200, b"[]"), (204, b"")]


@pytest.mark.parametrize("declare", [True, False])
async def test_signed_store_is_stored_and_known_by_whom(
    guarded: httpx.AsyncClient, store: Store, datastore_id: str, declare: bool
) -> None:
    """With the hash of its body in a header, or only in its signature; the version says whose key it was."""
    body = stow_body()
    headers = {"Content-Type": STOW_TYPE} | ({"X-Amz-Content-SHA256": sha256(body).hexdigest()} if declare else {})

    answer = await send(guarded, now_signed("POST", f"/datastore/{datastore_id}/studies", body, headers), body)

    assert answer.status_code == 200, answer.text
    [version] = await store.changes(datastore_id, 0, 10)
    assert version.provenance.who == "alice"


@pytest.mark.parametrize("declare", [True, False])
async def test_store_whose_body_was_changed_stores_nothing(
    guarded: httpx.AsyncClient, store: Store, datastore_id: str, declare: bool
) -> None:
    """One byte of the pixels is another: it is known only at the end, and then nothing is stored."""
    body = stow_body()
    headers = {"Content-Type": STOW_TYPE} | ({"X-Amz-Content-SHA256": sha256(body).hexdigest()} if declare else {})
    request = now_signed("POST", f"/datastore/{datastore_id}/studies", body, headers)

    answer = await send(guarded, request, body[:-100] + bytes([body[-100] ^ 1]) + body[-99:])

    assert answer.status_code == 403
    assert answer.headers["x-amzn-ErrorType"] == "InvalidSignatureException"
    assert await store.changes(datastore_id, 0, 10) == []


async def test_store_signed_chunk_by_chunk_is_stored(
    guarded: httpx.AsyncClient, store: Store, datastore_id: str
) -> None:
    """AWS's own examples of StoreDICOM send STREAMING-AWS4-HMAC-SHA256-PAYLOAD; the body is read without it."""
    request, body = in_chunks(f"/datastore/{datastore_id}/studies", stow_body())

    answer = await send(guarded, request, body)

    assert answer.status_code == 200, answer.text
    assert len(await store.changes(datastore_id, 0, 10)) == 1


@pytest.mark.parametrize("spoil", [lambda body: body[:-5], lambda body: body.replace(b"CompressedS", b"Compresseds")])
async def test_chunked_store_that_was_changed_stores_nothing(
    guarded: httpx.AsyncClient, store: Store, datastore_id: str, spoil: Any
) -> None:
    """A body cut before its last chunk, or with another patient's name in it."""
    request, body = in_chunks(f"/datastore/{datastore_id}/studies", stow_body())

    answer = await send(guarded, request, spoil(body))

    assert answer.status_code == 403
    assert await store.changes(datastore_id, 0, 10) == []


def in_chunks(path: str, content: bytes) -> tuple[AWSRequest, bytes]:
    """Return a request signed chunk by chunk, and its body."""
    headers = {
        "Content-Type": STOW_TYPE,
        "Content-Encoding": "aws-chunked",
        "X-Amz-Content-SHA256": STREAMING_PAYLOAD,
        "X-Amz-Decoded-Content-Length": str(len(content)),
    }
    request = now_signed("POST", path, b"", headers)
    date, previous = request.headers["X-Amz-Date"], request.headers["Authorization"][-64:]
    key: bytes = b"AWS4" + KEY.secret.encode()
    scope = (date[:8], "us-east-1", "medical-imaging", "aws4_request")
    for part in scope:
        key = hmac.new(key, part.encode(), sha256).digest()
    body = b""
    for chunk in [*(content[at : at + 8192] for at in range(0, len(content), 8192)), b""]:
        text = "\n".join(
            ["AWS4-HMAC-SHA256-PAYLOAD", date, "/".join(scope), previous]
            + [sha256(b"").hexdigest(), sha256(chunk).hexdigest()]
        )
        previous = hmac.new(key, text.encode(), sha256).hexdigest()
        body += f"{len(chunk):x};chunk-signature={previous}\r\n".encode() + chunk + b"\r\n"
    return request, body


async def test_edit_whose_body_was_changed_is_not_made(
    guarded: httpx.AsyncClient, store: Store, datastore_id: str
) -> None:
    """A small body is held until it is known to be as signed."""
    path = f"/datastore/{datastore_id}/studies"
    await send(guarded, now_signed("POST", path, stow_body(), {"Content-Type": STOW_TYPE}), stow_body())
    [version] = await store.changes(datastore_id, 0, 10)
    body = b'{"00081030": {"vr": "LO", "Value": ["HEAD"]}}'
    path += f"/{version.study_instance_uid}/normalizedmetadata"
    request = now_signed("PATCH", path, body, {"Content-Type": "application/merge-patch+json"})

    refused = await send(guarded, request, body.replace(b"HEAD", b"FOOT"))
    accepted = await send(guarded, request, body)

    assert (refused.status_code, accepted.status_code) == (403, 200)
    assert len(await store.changes(datastore_id, 0, 10)) == 2


async def test_body_too_long_to_hold_is_refused(settings: Settings, store: Store, keys: Path) -> None:
    """Where nothing declares the hash of a body, it has to be held, and there is a limit to that."""
    app = create_app(replace(settings, access_keys=str(keys), max_json_body=1000), store)
    body = b" " * (2 * 1024 * 1024 + 1)

    async with app_client(app) as client:
        answer = await send(client, now_signed("POST", "/datastore", body), body)

    assert answer.status_code == 413
    assert answer.headers["x-amzn-ErrorType"] == "RequestEntityTooLargeException"


async def test_body_that_says_it_is_too_long_to_hold_is_refused_unread(guarded: httpx.AsyncClient) -> None:
    """T60: nobody who has no key makes the gateway read gigabytes."""

    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    request = now_signed("POST", "/datastore", b"{}")
    headers = {**dict(request.headers), "Content-Length": "4294967296"}
    answer = await guarded.request("POST", request.url, headers=headers, content=never())

    assert answer.status_code == 413
    assert answer.headers["x-amzn-ErrorType"] == "RequestEntityTooLargeException"


async def test_path_behind_a_proxy_is_signed_as_clients_see_it(settings: Settings, store: Store, keys: Path) -> None:
    """A proxy that takes /gateway off the path says so in public_base_url."""
    app = create_app(
        replace(settings, access_keys=str(keys), public_base_url="http://gateway.test/gateway", region="eu-west-1"),
        store,
    )
    request = now_signed("GET", "/gateway/datastore", region="eu-west-1")

    async with app_client(app) as client:
        answer = await client.get("http://gateway.test/datastore", headers=dict(request.headers))

    assert answer.status_code == 200


def test_gateway_does_not_start_without_its_keys(settings: Settings, tmp_path: Path) -> None:
    """A file that is not there is no reason to let everybody in."""
    with pytest.raises(InvalidSettings):
        create_app(replace(settings, access_keys=str(tmp_path / "nothing")))


# -- the clients as they are


@pytest.fixture
def guarded_server(tmp_path: Path, keys: Path) -> Iterator[Server]:
    with serving(tmp_path / "served", "--access-keys", str(keys)) as server:
        yield server


def client_of(server: Server, **credentials: str) -> BaseClient:
    config = Config(inject_host_prefix=False, retries={"total_max_attempts": 1})
    given = {"aws_access_key_id": KEY.access_key_id, "aws_secret_access_key": KEY.secret} | credentials
    session = boto3.session.Session(region_name="us-east-1")
    return session.client("medical-imaging", endpoint_url=server.endpoint, config=config, **given)


def test_boto3_is_answered_by_its_signature_alone(guarded_server: Server) -> None:
    """Percent-encoded ARNs, queries, bodies and empty bodies, all as boto3 signs them."""
    client = client_of(guarded_server)
    datastore_id = client.create_datastore(datastoreName="signed/name", tags={"a": "b c"})["datastoreId"]
    arn = client.get_datastore(datastoreId=datastore_id)["datastoreProperties"]["datastoreArn"]
    client.tag_resource(resourceArn=arn, tags={"Team": "CT & MR"})
    client.untag_resource(resourceArn=arn, tagKeys=["a"])

    assert client.list_tags_for_resource(resourceArn=arn)["tags"] == {"Team": "CT & MR"}
    assert client.search_image_sets(datastoreId=datastore_id)["imageSetsMetadataSummaries"] == []
    assert client.list_datastores(maxResults=1)["nextToken"]


@pytest.mark.parametrize(
    ("credentials", "code"),
    [
        ({"aws_access_key_id": "AKIDOTHER"}, "UnrecognizedClientException"),
        ({"aws_secret_access_key": "guess"}, "InvalidSignatureException"),
        ({"aws_session_token": "token"}, "UnrecognizedClientException"),
        ({"region_name": "eu-west-1"}, "InvalidSignatureException"),
    ],
    ids=["unknown key", "wrong secret", "session token", "other region"],
)
def test_boto3_raises_what_aws_would(guarded_server: Server, credentials: dict[str, str], code: str) -> None:
    """The code of the exception tells what is wrong with the credentials, and the status is 403."""
    with pytest.raises(ClientError) as refused:
        client_of(guarded_server, **credentials).list_datastores()

    assert refused.value.response["Error"]["Code"] == code
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_aws_cli_is_answered_with_the_file_of_the_gateway(guarded_server: Server, keys: Path, tmp_path: Path) -> None:
    """The file of access keys is a credentials file: its section is a profile of the CLI."""
    environment = {
        "AWS_ENDPOINT_URL_MEDICAL_IMAGING": guarded_server.endpoint,
        "AWS_SHARED_CREDENTIALS_FILE": str(keys),
        "PYTHONWARNINGS": "ignore",
    }
    command = [sys.executable, "-m", "awscli", "medical-imaging", "list-datastores", "--profile", "alice"]

    answer = run_cli(command, tmp_path, environment)

    assert [datastore["datastoreName"] for datastore in answer["datastoreSummaries"]] == ["default"]


def test_gateway_with_keys_listens_where_others_reach_it(tmp_path: Path, keys: Path) -> None:
    """What needs a flag without keys needs none with them."""
    with serving(tmp_path / "served", "--access-keys", str(keys), "--host", "0.0.0.0") as server:
        port = server.url.rpartition(":")[2]
        assert httpx.get(f"http://127.0.0.1:{port}/datastore").status_code == 403
