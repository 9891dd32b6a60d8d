"""S3 as a bucket, over botocore, which is here for the API's service model already.

Of the clients there are, it alone takes every key S3 takes: the object stores that normalise keys as paths cannot list
a bucket with `a//b` in it. It finds credentials where every AWS tool does, asks S3 to check the bucket's owner, and
follows a bucket to its region. It blocks, so every call is made on a thread: one of its own, because an S3 that does
not answer keeps it for minutes, in which neither the rest of the gateway nor its end may wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from threading import Lock, Thread
from typing import Any

from gateway.errors import ObjectRefused, ObjectsFailed
from gateway.store.objects import PIECE, ObjectEntry

# A body that breaks off is asked for again from there so many times; botocore repeats only what has not begun.
_ATTEMPTS = 3
_TIMEOUT = 30

# What S3 says of one object: the others of the bucket can be read all the same.
_OF_ONE_OBJECT = {"NoSuchKey", "404", "AccessDenied", "403", "InvalidObjectState", "PreconditionFailed", "412"}


class S3:
    """The S3 of an endpoint. The client is made when it is first needed: botocore takes a while to import."""

    def __init__(self, endpoint_url: str, region: str) -> None:
        """region: where neither environment nor profile names one. endpoint_url: of another S3 than AWS's, or ""."""
        self._endpoint_url = endpoint_url
        self._region = region
        self._made: Any = None
        self._lock = Lock()

    def bucket(self, name: str, owner: str | None = None) -> S3Objects:
        """Return a bucket. owner: the account that has to own it."""
        return S3Objects(self, name, {"ExpectedBucketOwner": owner} if owner else {})

    def client(self) -> Any:
        """Return the client, which threads can share."""
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    def _make(self) -> Any:
        from botocore.config import Config
        from botocore.session import Session

        session = Session()
        return session.create_client(
            "s3",
            region_name=session.get_config_variable("region") or self._region,
            endpoint_url=self._endpoint_url or None,
            config=Config(
                connect_timeout=_TIMEOUT,
                read_timeout=_TIMEOUT,
                max_pool_connections=32,
                retries={"mode": "standard", "total_max_attempts": 5},
                # Another S3 than AWS's has no DNS name for each bucket.
                s3={"addressing_style": "path"} if self._endpoint_url else None,
            ),
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
                while piece := await self._in_thread(partial(body.read, PIECE)):
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
        return await self._in_thread(
            lambda: getattr(self._s3.client(), operation)(**self._of_bucket, **arguments), of_one="Key" in arguments
        )

    async def _in_thread(self, call: Callable[[], Any], of_one: bool = False) -> Any:
        def translated() -> Any:
            with _s3_errors(of_one):
                return call()

        return await _on_thread_of_its_own(translated)


async def _on_thread_of_its_own(call: Callable[[], Any]) -> Any:
    """Return what a call returns, made on a thread that nobody waits for if this is cancelled."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()

    def run() -> None:
        try:
            result, error = call(), None
        except Exception as raised:
            result, error = None, raised
        with suppress(RuntimeError):  # the loop is closed: the gateway has ended
            loop.call_soon_threadsafe(tell, result, error)

    def tell(result: Any, error: Exception | None) -> None:
        if answer.cancelled():
            return
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)

    Thread(target=run, name="s3", daemon=True).start()
    return await answer


@contextmanager
def _s3_errors(of_one: bool) -> Iterator[None]:
    """Translate what S3 says into our errors: its error code and nothing else, for the rest has keys in it."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "")) or "unknown"
        if of_one and code in _OF_ONE_OBJECT:
            raise ObjectRefused(f"S3 refused the object: {code}") from error
        raise ObjectsFailed(f"S3 refused: {code}") from error
    except BotoCoreError as error:
        raise ObjectsFailed(f"S3 does not answer: {type(error).__name__}") from error
