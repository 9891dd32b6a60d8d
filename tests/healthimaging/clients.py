"""The real clients of the HealthImaging API: boto3, and both generations of the AWS CLI in a process of their own.

Each takes an `aws medical-imaging` command line and gives the answer, or raises Refused with the exception's name.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import botocore
import pytest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.healthimaging.modelled import check_answer

CREDENTIALS = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "example", "region_name": "us-east-1"}

Client = Callable[[str, Path], dict[str, Any]]


@dataclass
class Refused(Exception):
    """The answer was an error."""

    name: str
    message: str


def boto3_client(endpoint: str, **credentials: str) -> BaseClient:
    """Return a boto3 client that sends everything to one address, once, and holds every answer against the model."""
    config = Config(inject_host_prefix=False, retries={"total_max_attempts": 1})
    verify = None if endpoint.startswith("https:") else False  # or it reads all certificates of the system
    client = _session().client(
        "medical-imaging", endpoint_url=endpoint, config=config, verify=verify, **CREDENTIALS | credentials
    )
    client.meta.events.register("before-parse.medical-imaging", check_answer)
    return client


@cache
def _session() -> boto3.session.Session:
    """One for all clients, which it gives the models that it has read: to read them takes a tenth of a second."""
    return boto3.session.Session()


def through_boto3(endpoint: str) -> Client:
    """Return a client that gives update-image-set-metadata's options to boto3."""
    parser = ArgumentParser()
    for option in ("datastore-id", "image-set-id", "latest-version-id", "update-image-set-metadata-updates"):
        parser.add_argument(f"--{option}", required=True)
    parser.add_argument("--cli-binary-format")
    parser.add_argument("--force", action="store_true")

    def run(command: str, folder: Path) -> dict[str, Any]:
        options = parser.parse_args(shlex.split(command)[3:])
        updates = options.update_image_set_metadata_updates
        updates = (folder / updates.removeprefix("file://")).read_text() if updates.startswith("file://") else updates
        client = boto3_client(endpoint)
        try:
            answer: dict[str, Any] = client.update_image_set_metadata(
                datastoreId=options.datastore_id,
                imageSetId=options.image_set_id,
                latestVersionId=options.latest_version_id,
                updateImageSetMetadataUpdates=json.loads(updates),
                **({"force": True} if options.force else {}),
            )
        except ClientError as error:
            raise Refused(error.response["Error"]["Code"], error.response["Error"]["Message"]) from error
        finally:
            client.close()
        del answer["ResponseMetadata"]
        return answer

    return run


def through_cli_v1(endpoint: str) -> Client:
    """Return a client that runs the AWS CLI v1 of PyPI as its users would, with settings in the environment.

    --cli-binary-format is dropped: v1 does not know it ("Unknown options") and always does what raw-in-base64-out asks
    of v2, so it sends the same request without it.
    """
    environment = {"AWS_ENDPOINT_URL_MEDICAL_IMAGING": endpoint, "AWS_DISABLE_HOST_PREFIX_INJECTION": "true"}
    executable = [sys.executable, "-m", "awscli"]

    def run(command: str, folder: Path) -> dict[str, Any]:
        arguments = shlex.split(command.replace("--cli-binary-format raw-in-base64-out", ""))
        return run_cli([*executable, *arguments[1:]], folder, environment, {"PYTHONWARNINGS": "ignore"})

    return run


def through_cli_v2(endpoint: str, folder: Path) -> Client:
    """Return a client that runs the AWS CLI v2 of the operating system, the command as it is printed.

    Debian 12's (2.9) is older than the service and than AWS_ENDPOINT_URL_… and AWS_DISABLE_HOST_PREFIX_INJECTION: it
    gets the service model by AWS_DATA_PATH, and userinfo in the endpoint takes the prefix `runtime-` to itself.
    """
    executable = cli_v2()
    if executable is None:
        pytest.skip("there is no AWS CLI v2 here (Debian: apt-get install awscli)")
    environment = {"AWS_DATA_PATH": str(unpacked_model(folder)), "AWS_DISABLE_HOST_PREFIX_INJECTION": "true"}
    options = ["--endpoint-url", endpoint.replace("://", "://x@"), "--no-cli-pager"]

    def run(command: str, folder: Path) -> dict[str, Any]:
        return run_cli([executable, *shlex.split(command)[1:], *options], folder, environment, {})

    return run


@cache
def cli_v2() -> str | None:
    """Return the path of an AWS CLI v2, None where there is none."""
    for candidate in filter(None, (shutil.which("aws"), "/usr/bin/aws", "/usr/local/bin/aws")):
        if Path(candidate).exists():
            version = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False).stdout
            if version.startswith("aws-cli/2"):
                return candidate
    return None


def unpacked_model(folder: Path) -> Path:
    """Return a data folder with botocore's HealthImaging model in plain JSON, as CLI v2.9 reads it."""
    source = Path(botocore.__file__).parent / "data" / "medical-imaging" / "2023-07-19"
    target = folder / "models" / "medical-imaging" / "2023-07-19"
    target.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        content = file.read_bytes()
        plain = gzip.decompress(content) if file.suffix == ".gz" else content
        (target / file.name.removesuffix(".gz")).write_bytes(plain)
    return folder / "models"


def run_cli(arguments: list[str], folder: Path, *environments: dict[str, str]) -> dict[str, Any]:
    """Run a CLI without any configuration of this machine's and return what it printed."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "AWS_ACCESS_KEY_ID": CREDENTIALS["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": CREDENTIALS["aws_secret_access_key"],
        "AWS_DEFAULT_REGION": CREDENTIALS["region_name"],
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
    }
    for more in environments:
        environment |= more
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        error = re.search(r"An error occurred \((\w+)\) when calling the \w+ operation(?: \(.*?\))?: (.*)", done.stderr)
        assert error, done.stderr
        raise Refused(error[1], error[2])
    return json.loads(done.stdout) if done.stdout.strip() else {}
