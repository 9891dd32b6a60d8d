"""Objects: what import jobs read from and write to. An S3 bucket, or a folder that stands for one.

Two implementations, s3 and folder; tests/store/objects_suite.py is the contract. Errors do not name an object: people
put patients' names into file names.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Protocol

# How many bytes of an object are in memory at once.
PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """An object in a listing. folder: the key of the folder it is in, as `/` divides keys; "" at the top."""

    key: str
    size: int

    @property
    def folder(self) -> str:
        return self.key.rpartition("/")[0]


class Objects(Protocol):
    """A bucket. All raise ObjectsFailed where it does not exist, does not answer, or refuses."""

    def entries(self, prefix: str) -> AsyncIterator[ObjectEntry]:
        """Yield what there is under a prefix, in any order; markers of folders are left out.

        In S3 every key that begins with the prefix, whether it ends at a slash or not. In a folder the prefix is a
        file, or a folder with everything below it; what is no regular file is yielded, and `read` refuses it.
        """

    def read(self, key: str) -> AsyncGenerator[bytes, None]:
        """Yield an object in pieces of at most PIECE bytes. Raises ObjectRefused where this one cannot be read."""

    async def write(self, key: str, content: bytes) -> None:
        """Write an object whole, in place of one that is there, durable before it returns."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a URI points: a bucket, and a prefix of keys in it."""

    objects: Objects
    prefix: str

    def key(self, path: str) -> str:
        """Return the key of a path below the prefix, which stands for a folder."""
        return f"{self.prefix.rstrip('/')}/{path}" if self.prefix.rstrip("/") else path


class Places(Protocol):
    """Finds the bucket of a URI."""

    def locate(self, uri: str, owner: str | None = None) -> Place:
        """Return the place of `s3://bucket/prefix` or `file:///folder/`. owner: the account that has to own the bucket.

        Nothing is asked of the bucket yet. Raises InvalidRequest for a folder that may not be used.
        """
