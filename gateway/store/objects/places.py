"""Which bucket a URI means: S3's, or a folder of those an operator has opened to import jobs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote_to_bytes

from gateway.errors import InvalidRequest
from gateway.store.objects.folder import FolderObjects
from gateway.store.objects.protocol import Place
from gateway.store.objects.s3 import S3

_S3 = "s3://"
_FILE = "file://"


class StoragePlaces:
    """Places in S3, and in the folders given and below them."""

    def __init__(self, folders: Sequence[Path], s3: S3) -> None:
        self._folders = [Path(os.path.abspath(folder)) for folder in folders]
        self._s3 = s3

    def locate(self, uri: str, owner: str | None = None) -> Place:
        if uri.startswith(_S3):
            bucket, _, prefix = uri.removeprefix(_S3).partition("/")
            return Place(self._s3.bucket(bucket, owner), prefix)
        if uri.startswith(_FILE):
            return self._folder(uri.removeprefix(_FILE))
        raise InvalidRequest("a place is s3://bucket/prefix, or file:///folder/ where folders may be used")

    def _folder(self, path: str) -> Place:
        """Return the place of an absolute path, RFC 8089's escapes in it undone."""
        text = os.fsdecode(unquote_to_bytes(path))
        wanted = Path(text)
        if text.startswith("/") and "\0" not in text and ".." not in wanted.parts:
            for folder in self._folders:
                if wanted.is_relative_to(folder):
                    return Place(FolderObjects(folder), "/".join(wanted.relative_to(folder).parts))
        raise InvalidRequest("the folder is none that import jobs may use: the setting import_folders lists those")
