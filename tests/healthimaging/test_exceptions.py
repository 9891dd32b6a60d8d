"""Every exception that the service model declares of every operation, provoked by boto3 on a running gateway.

A pair of the model that nothing here provokes fails the first test: a later model's too.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from botocore.awsrequest import AWSPreparedRequest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from starlette.applications import Starlette

from gateway.app import create_app, opened_store, running
from gateway.healthimaging.model import service
from gateway.healthimaging.routes import routes
from gateway.metadata.image_set import Delete, MetadataUpdates
from gateway.settings import Settings
from gateway.store.edits import Edit, EditResult, ImageSetEdit
from gateway.store.versioned import VersionedStore
from tests.conftest import Server, serving
from tests.healthimaging.clients import CREDENTIALS, boto3_client
from tests.healthimaging.conftest import SERIES, ImageSet, image_set, stow
from tests.healthimaging.test_copying import copy
from tests.healthimaging.test_every_operation import FRAME, JOB, NOBODY, call, request
from tests.s3 import KEYS
from tests.samples import ct_series, instance

READER, MODALITY = "AKIDREADER", "AKIDMODALITY"

# Declared, and there is no such thing here.
NOTHING_LIKE_IT = {
    # Keys and authorizers are kept and not looked up, and a data store depends on nothing else.
    ("CreateDatastore", "ResourceNotFoundException"),
    # A read is of one consistent state, whatever is being written.
    ("GetImageSet", "ConflictException"),
    ("ListImageSetVersions", "ConflictException"),
    ("SearchImageSets", "ConflictException"),
    ("GetDICOMImportJob", "ConflictException"),
    ("ListDICOMImportJobs", "ConflictException"),
}

DECLARED = {(name, exception) for name, operation in service().operations.items() for exception in operation.exceptions}


# -- gateways that are in a state


@dataclass(frozen=True)
class Gateways:
    """plain: as it comes. keyed: with keys of some rights. throttled: at 1 % of AWS's rates. limited: AWS's quotas, and
    an S3 that never answers. broken: over a store that fails. busy: where nothing is ready, and others always win."""

    plain: str
    keyed: str
    throttled: str
    limited: str
    broken: str
    busy: str


@pytest.fixture(scope="module")
def gateways(session_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    folder = tmp_path_factory.mktemp("gateways")
    keys = folder / "keys"
    keys.write_text(
        "".join(
            f"[{key}]\naws_access_key_id = {key}\naws_secret_access_key = example\nrights = {rights}\n"
            for key, rights in ((READER, "read"), (MODALITY, "write"))
        )
    )
    with (
        silent_s3() as s3,
        serving(folder / "keyed", "--access-keys", str(keys)) as keyed,
        serving(folder / "throttled", "--throttle-percent", "1") as throttled,
        serving(
            folder / "limited",
            *("--max-datastores", "2", "--max-update-document", "10240", "--s3-endpoint-url", s3),
            **KEYS,
        ) as limited,
        in_a_thread(broken()) as broken_url,
        in_a_thread(busy(folder / "busy")) as busy_url,
    ):
        yield Gateways(session_server.url, keyed.url, throttled.url, limited.url, broken_url, busy_url)


@contextmanager
def silent_s3() -> Iterator[str]:
    """Yield the address of a socket that takes connections and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def in_a_thread(app: Starlette) -> Iterator[str]:
    """Serve an application on a loopback port, for clients that need a socket."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="on", log_config=None, ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def broken() -> Starlette:
    """Return the API over a store and a job runner that fail at whatever they are asked."""

    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise OSError("Doe^Jane")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        yield {"settings": Settings(), "store": Broken(), "imports": Broken(), "clock": None}

    return Starlette(routes=routes(), lifespan=lifespan)


def busy(folder: Path) -> Starlette:
    """Return a gateway that waits for no frames, and where somebody edits whatever is to be deleted just before."""
    settings = Settings(data=folder)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[Any]:
        async with opened_store(settings) as store, running(store, settings) as state:
            assert isinstance(store, VersionedStore)
            store._frames._patience = 0.0
            as_it_is = store.edit

            async def edit_after_another(edit: Edit) -> EditResult:
                [one] = edit.image_sets
                if isinstance(one.change, Delete):
                    name = {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": f"A{one.latest_version}"}}}
                    other = ImageSetEdit(one.image_set_id, one.latest_version, MetadataUpdates(name, None))
                    await as_it_is(Edit(edit.datastore_id, (other,)))
                return await as_it_is(edit)

            store.edit = edit_after_another  # type: ignore[method-assign]  # of this store alone
            yield state

    return Starlette(routes=create_app(settings).routes, lifespan=lifespan)


# -- what provokes an exception


def client_of(url: str, key: str = CREDENTIALS["aws_access_key_id"]) -> BaseClient:
    return boto3_client(url, aws_access_key_id=key)


def stored(url: str, *instances: bytes) -> ImageSet:
    """Return the image set that instances of a series make in a new data store of a gateway."""
    boto = client_of(url)
    datastore_id = boto.create_datastore()["datastoreId"]
    stow(url, datastore_id, instances or ct_series(1))
    return image_set(boto, datastore_id, SERIES)


def denied(gateways: Gateways, operation: str) -> None:
    """A modality reads, or who may only read writes."""
    reads = operation.startswith(("Get", "List", "Search"))
    call(client_of(gateways.keyed, MODALITY if reads else READER), operation, request(operation, NOBODY, NOBODY))


def throttled(gateways: Gateways, operation: str) -> None:
    """Again and again, by several at once: what one after the other asks, a busy machine may be too slow for."""
    boto = client_of(gateways.throttled)

    def ask(_: int) -> None:
        with suppress(boto.exceptions.ResourceNotFoundException):
            call(boto, operation, request(operation, NOBODY, NOBODY))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask, range(60)))


def failing(gateways: Gateways, operation: str) -> None:
    call(client_of(gateways.broken), operation, request(operation, NOBODY, NOBODY))


def invalid(gateways: Gateways, operation: str) -> None:
    """What breaks the model's patterns and ranges, which clients leave to the service."""
    broken = {"datastoreId": "short", "resourceArn": "arn:aws:s3:::bucket", "datastoreName": "?", "maxResults": 51}
    arguments = request(operation, NOBODY, NOBODY)
    member = next((name for name in broken if name in arguments), "maxResults")
    call(client_of(gateways.plain), operation, arguments | {member: broken[member]})


def nowhere(gateways: Gateways, operation: str) -> None:
    call(client_of(gateways.plain), operation, request(operation, NOBODY, NOBODY))


def other_request_of_a_token(gateways: Gateways) -> None:
    boto = client_of(gateways.plain)
    for name in ("one", "two"):
        boto.create_datastore(datastoreName=name, clientToken="other-request")


def full_datastore(gateways: Gateways) -> None:
    one = stored(gateways.busy)
    one.boto.delete_datastore(datastoreId=one.datastore_id)


def other_job_of_a_token(gateways: Gateways) -> None:
    boto = client_of(gateways.limited)
    datastore_id = boto.list_datastores()["datastoreSummaries"][0]["datastoreId"]
    for name in ("one", "two"):
        boto.start_dicom_import_job(datastoreId=datastore_id, jobName=name, clientToken="other-job", **JOB)


def stale_update(gateways: Gateways) -> None:
    stored(gateways.busy).send({"revertToVersionId": "1"}, "99")


def stale_copy(gateways: Gateways) -> None:
    copy(stored(gateways.busy), "99")


def deletion_that_always_loses(gateways: Gateways) -> None:
    one = stored(gateways.busy)
    one.boto.delete_image_set(**one.ids)


def unready_metadata(gateways: Gateways) -> None:
    stored(gateways.busy).document()


def unready_frame(gateways: Gateways) -> None:
    one = stored(gateways.busy)
    one.boto.get_image_frame(**one.ids, imageFrameInformation=FRAME)


def one_data_store_more(gateways: Gateways) -> None:
    boto = client_of(gateways.limited)
    for _ in range(3):
        boto.create_datastore()


def one_job_more(gateways: Gateways) -> None:
    boto = client_of(gateways.limited)
    datastore_id = boto.list_datastores()["datastoreSummaries"][0]["datastoreId"]
    for _ in range(101):
        boto.start_dicom_import_job(datastoreId=datastore_id, **JOB)


def large_update(gateways: Gateways) -> None:
    blob = {"DICOMUpdates": {"updatableAttributes": b" " * 10_241}}
    client_of(gateways.limited).update_image_set_metadata(
        **request("UpdateImageSetMetadata", NOBODY, NOBODY) | {"updateImageSetMetadataUpdates": blob}
    )


def large_copy(gateways: Gateways) -> None:
    copy(stored(gateways.plain, instance(NumberOfFrames=1001)))


def with_header(name: str, value: str, gateways: Gateways) -> dict[str, Any]:
    """A frame is asked for in a media type that it is not stored in, or by a body that says to be no JSON."""
    one = stored(gateways.plain)
    [series] = one.document()["Study"]["Series"].values()
    frame = next(iter(series["Instances"].values()))["ImageFrames"][0]["ID"]

    def add(request: AWSPreparedRequest, **_: Any) -> None:
        request.headers.pop(name, None)
        request.headers[name] = value

    one.boto.meta.events.register("before-send.medical-imaging.GetImageFrame", add)
    answer: dict[str, Any] = one.boto.get_image_frame(**one.ids, imageFrameInformation={"imageFrameId": frame})
    return answer


def malformed(gateways: Gateways) -> None:
    boto = client_of(gateways.plain)

    def cut(request: AWSPreparedRequest, **_: Any) -> None:
        request.body = b'{"imageFrameId": '
        request.headers["Content-Length"] = str(len(request.body))

    boto.meta.events.register("before-send.medical-imaging.GetImageFrame", cut)
    boto.get_image_frame(**request("GetImageFrame", NOBODY, NOBODY))


Provocation = Callable[[Gateways], object]

EVERYWHERE: dict[str, Callable[[Gateways, str], None]] = {
    "AccessDeniedException": denied,
    "ThrottlingException": throttled,
    "InternalServerException": failing,
    "ValidationException": invalid,
    "ResourceNotFoundException": nowhere,
}
SPECIAL: dict[tuple[str, str], Provocation] = {
    ("CreateDatastore", "ConflictException"): other_request_of_a_token,
    ("DeleteDatastore", "ConflictException"): full_datastore,
    ("StartDICOMImportJob", "ConflictException"): other_job_of_a_token,
    ("UpdateImageSetMetadata", "ConflictException"): stale_update,
    ("CopyImageSet", "ConflictException"): stale_copy,
    ("DeleteImageSet", "ConflictException"): deletion_that_always_loses,
    ("GetImageSetMetadata", "ConflictException"): unready_metadata,
    ("GetImageFrame", "ConflictException"): unready_frame,
    ("CreateDatastore", "ServiceQuotaExceededException"): one_data_store_more,
    ("StartDICOMImportJob", "ServiceQuotaExceededException"): one_job_more,
    ("UpdateImageSetMetadata", "ServiceQuotaExceededException"): large_update,
    ("CopyImageSet", "ServiceQuotaExceededException"): large_copy,
    ("GetImageFrame", "NotAcceptableException"): partial(with_header, "Accept", "image/png"),
    ("GetImageFrame", "BadRequestException"): malformed,
}


def of_operation(exception: str, operation: str) -> Provocation:
    return lambda gateways: EVERYWHERE[exception](gateways, operation)


PROVOKED: dict[tuple[str, str], Provocation] = SPECIAL | {
    (operation, exception): of_operation(exception, operation)
    for operation, exception in DECLARED - NOTHING_LIKE_IT
    if exception in EVERYWHERE
}


def test_every_declared_exception_is_provoked_or_named() -> None:
    """120 pairs of operation and exception; of the six left out it is known why."""
    assert PROVOKED.keys() | NOTHING_LIKE_IT == DECLARED
    assert not PROVOKED.keys() & NOTHING_LIKE_IT


@pytest.mark.parametrize(("operation", "exception"), sorted(PROVOKED))
def test_exception_is_the_one_that_is_declared(gateways: Gateways, operation: str, exception: str) -> None:
    """boto3 raises the class it made of the model, with its status, a message and a request id."""
    with pytest.raises(ClientError) as raised:
        PROVOKED[operation, exception](gateways)

    answer = raised.value.response
    assert raised.type.__name__ == answer["Error"]["Code"] == exception
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == service().exceptions[exception]
    assert answer["Error"]["Message"] and answer["ResponseMetadata"]["RequestId"]
    assert "Doe" not in str(answer)


def test_body_that_says_to_be_no_json_is_not_acceptable(gateways: Gateways) -> None:
    """The other half of what the model says of NotAcceptableException."""
    with pytest.raises(ClientError) as raised:
        with_header("Content-Type", "text/plain", gateways)

    assert raised.value.response["Error"]["Code"] == "NotAcceptableException"


@pytest.mark.parametrize(
    "accept", ["*/*", "image/*", "image/jph", "image/jphc", "application/octet-stream", "text/html, */*;q=0.1"]
)
def test_frame_is_given_to_who_accepts_it(gateways: Gateways, accept: str) -> None:
    """By its name, by the standard's, as bytes, or as anything: it comes as it is stored, a codestream of JPEG 2000."""
    answer = with_header("Accept", accept, gateways)

    assert answer["contentType"] == "image/jph"
    assert answer["imageFrameBlob"].read(4) == b"\xff\x4f\xff\x51"  # ISO/IEC 15444-1 A.4: SOC, SIZ
