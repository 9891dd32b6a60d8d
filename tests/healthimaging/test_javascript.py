"""AWS's SDK for JavaScript against a running gateway: all 18 operations, set up as docs/healthimaging.md says."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import openjpeg
import pydicom
import pytest

from gateway.healthimaging.model import service
from tests.access.signers import KEY
from tests.conftest import Server, serving
from tests.healthimaging.clients import boto3_client
from tests.healthimaging.conftest import SERIES, image_set, stow
from tests.samples import ct_series, sample

SCRIPT = Path(__file__).parent / "javascript.mjs"
PACKAGE = "@aws-sdk/client-medical-imaging"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that runs the script beside the SDK; AWS_SDK_JS names the folder that it was installed in."""
    executable = shutil.which("node")
    installed = Path(os.environ.get("AWS_SDK_JS", ".")).resolve() / "node_modules"
    if executable is None or not (installed / PACKAGE).is_dir():
        pytest.skip(f"node with {PACKAGE} is not here: tests/README.md says how to have it")
    folder = tmp_path_factory.mktemp("js")
    (folder / "node_modules").symlink_to(installed)
    shutil.copy(SCRIPT, folder)
    return [executable, str(folder / SCRIPT.name)]


def run(command: list[str], *arguments: str) -> dict[str, Any]:
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_script_sends_every_operation() -> None:
    """By its command, or by its paginator."""
    sent = re.findall(r'(?:send|refused)\("(\w+)"|paginate(\w+)\(', SCRIPT.read_text())

    assert {one or other for one, other in sent} == service().operations.keys()


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_every_operation_is_understood(node: list[str], tmp_path: Path, signed: bool) -> None:
    """What the SDK makes of each answer: types, pages, blobs, dates, and the classes of its exceptions.

    With access keys the gateway takes the SDK's signatures, and no others.
    """
    keys = tmp_path / "keys"
    keys.write_text(f"[js]\naws_access_key_id = {KEY.access_key_id}\naws_secret_access_key = {KEY.secret}\n")
    with serving(tmp_path / "data") as server:
        datastore_id, image_set_id = stored(server)

    with serving(tmp_path / "data", *(["--access-keys", str(keys)] if signed else [])) as server:
        seen = run(node, server.url, datastore_id, image_set_id)

    assert seen["metadata"] == ["application/json", "gzip", image_set_id]
    assert_is_ct(seen["frame"])
    assert seen["updated"] == ["2", "LOCKED", "UPDATING"]
    assert seen["after"] == ["2", "ACTIVE", True, True]
    assert seen["copied"] == "COPYING"
    assert [one[2] for one in seen["searched"]] == ["WÁNG^JS", "WÁNG^JS"]
    assert seen["searched"][0][:2] == [image_set_id, 2]
    assert seen["versions"] == [["2", "UPDATED"], ["1", "CREATED"]]
    assert seen["tags"] == {"Team": "CT & MR"}
    assert seen["datastore"] == ["js", "ACTIVE", True]
    assert seen["job"] == ["SUBMITTED", True, 1]
    assert (seen["deleted"], seen["gone"], seen["listed"]) == ("DELETING", "DELETING", [1, "string"])
    assert seen["refusals"] == [
        {"name": name, "status": status, "known": name}
        for name, status in [
            ("ResourceNotFoundException", 404),
            ("ValidationException", 400),
            ("ConflictException", 409),
        ]
    ]


def stored(server: Server) -> tuple[str, str]:
    """Return a data store and an image set of two CT instances in it."""
    boto = boto3_client(server.url)
    datastore_id = boto.list_datastores()["datastoreSummaries"][0]["datastoreId"]
    stow(server, datastore_id, ct_series(2))
    one = image_set(boto, datastore_id, SERIES)
    boto.close()
    return datastore_id, one.image_set_id


def assert_is_ct(frame: list[Any]) -> None:
    content_type, data, described = frame
    assert content_type == "image/jph"
    assert re.fullmatch("[0-9a-f]{32}", described["ID"])
    assert (openjpeg.decode(base64.b64decode(data)) == pydicom.dcmread(sample("CT_small.dcm")).pixel_array).all()
