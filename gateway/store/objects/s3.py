"""S3 as a bucket, over aiobotocore: the client of botocore, which is here for the API's service model already.

Of the clients there are, this one takes every key S3 takes: the object stores that normalise keys as paths cannot list
a bucket with `a//b` in it. It finds credentials where every AWS tool does, asks S3 to check the bucket's owner, and
follows a bucket to its region. Nothing blocks, and nothing holds a thread: who waits for an S3 that does not answer can
be cancelled, and its connection is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from typing import Any

from gateway.errors import ObjectRefused, ObjectsFailed
from gateway.store.objects.protocol import PIECE, ObjectEntry

# A body that breaks off is asked for again from there so many times; botocore repeats only what has not begun.
_ATTEMPTS = 3
_TIMEOUT = 30

# More than all import jobs have open at once: whoever waits for a free one waits for another job's objects.
_CONNECTIONS = 64

# What S3 says of one object: the others of the bucket can be read all the same.
_OF_ONE_OBJECT = {"NoSuchKey", "404", "AccessDenied", "403", "InvalidObjectState", "PreconditionFailed", "412"}


class S3:
    """The S3 of an endpoint, to be entered before it is used, and in the event loop that uses it.

    The client is made when it is first needed: botocore takes a while to import.
    """

    def __init__(self, endpoint_url: str, region: str) -> None:
        """region: where neither environment nor profile names one. endpoint_url: of another S3 than AWS's, or ""."""
        self._endpoint_url = endpoint_url
        self._region = region
        self._made: Any = None
        self._making = asyncio.Lock()
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> S3:
        return self

    async def __aexit__(self, *error: object) -> None:
        """Close its connections, whoever uses them."""
        await self._opened.aclose()

    def bucket(self, name: str, owner: str | None = None) -> S3Objects:
        """Return a bucket. owner: the account that has to own it."""
        return S3Objects(self, name, {"ExpectedBucketOwner": owner} if owner else {})

    async def client(self) -> Any:
        """Return the client, which all buckets share."""
        async with self._making:
            if self._made is None:
                session, config = await asyncio.to_thread(self._configured)
                from botocore.handlers import add_expect_header

                client = session.create_client(
                    "s3",
                    region_name=session.get_config_variable("region") or self._region,
                    endpoint_url=self._endpoint_url or None,
                    config=config,
                )
                self._made = await self._opened.enter_async_context(client)
                # aiohttp waits for "100 Continue" as long as for an answer, and not every S3 says that.
                self._made.meta.events.unregister("before-call.s3", add_expect_header)
            return self._made

    def _configured(self) -> tuple[Any, Any]:
        """Return a session and how to use it. On a thread, for the imports take a third of a second."""
        from aiobotocore.config import AioConfig
        from aiobotocore.session import AioSession

        return AioSession(), AioConfig(
            connect_timeout=_TIMEOUT,
            read_timeout=_TIMEOUT,
            max_pool_connections=_CONNECTIONS,
            retries={"mode": "standard", "total_max_attempts": 5},
            # Another S3 than AWS's has no DNS name for each bucket.
            s3={"addressing_style": "path"} if self._endpoint_url else None,
            warm_up_loader_caches=True,  # so that the model of S3 is read on a thread too
        )


class S3Objects:
    """Objects in a bucket."""

    def __init__(self, s3: S3, bucket: str, owner: Mapping[str, str]) -> None:
        self._s3 = s3
        self._of_bucket = {"Bucket": bucket, **owner}

    async def entries(self, prefix: str) -> AsyncIterator[ObjectEntry]:
        position: dict[str, str] = {}
        while True:
            page = await self._call("list_objects_v2", Prefix=prefix, **position)
            for found in page.get("Contents", ()):
                if found["Size"] or not found["Key"].endswith("/"):
                    yield ObjectEntry(found["Key"], found["Size"])
            if not page.get("IsTruncated"):
                return
            position = {"ContinuationToken": page["NextContinuationToken"]}

    async def read(self, key: str) -> AsyncGenerator[bytes, None]:
        asked: dict[str, str] = {}
        done = 0
        for attempt in range(1, _ATTEMPTS + 1):
            answer = await self._call("get_object", Key=key, **asked)
            body = answer["Body"]
            try:
                while piece := await _next_piece(body):
                    done += len(piece)
                    yield piece
                return
            except ObjectsFailed:
                if attempt == _ATTEMPTS:
                    raise
                # The rest, of the same object: one that was replaced meanwhile is another file.
                asked = {"Range": f"bytes={done}-", "IfMatch": answer["ETag"]}
            finally:
                body.close()

    async def write(self, key: str, content: bytes) -> None:
        await self._call("put_object", Key=key, Body=content)

    async def _call(self, operation: str, **arguments: Any) -> Any:
        with _s3_errors(of_one="Key" in arguments):
            client = await self._s3.client()
            return await getattr(client, operation)(**self._of_bucket, **arguments)


async def _next_piece(body: Any) -> bytes:
    with _s3_errors():
        piece: bytes = await body.read(PIECE)
        return piece


@contextmanager
def _s3_errors(of_one: bool = False) -> Iterator[None]:
    """Translate what S3 says into our errors: its error code and nothing else, for the rest has keys in it."""
    try:
        yield
    except Exception as error:
        from aiohttp import ClientError as Disconnected
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, ClientError):
            code = str(error.response.get("Error", {}).get("Code", "")) or "unknown"
            if of_one and code in _OF_ONE_OBJECT:
                raise ObjectRefused(f"S3 refused the object: {code}") from error
            raise ObjectsFailed(f"S3 refused: {code}") from error
        if isinstance(error, BotoCoreError | Disconnected | TimeoutError):
            raise ObjectsFailed(f"S3 does not answer: {type(error).__name__}") from error
        raise
