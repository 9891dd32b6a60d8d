"""DICOMweb as tests send and read it: multipart bodies, DICOM JSON values, responses as a real parser sees them."""

from __future__ import annotations

import email.parser
import email.policy
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from email.message import Message
from typing import Any

import httpx
import pydicom

STOW = 'multipart/related; type="application/dicom"; boundary=BOUNDARY'


def multipart(parts: Sequence[bytes], content_type: str = "application/dicom", boundary: str = "BOUNDARY") -> bytes:
    """Return a multipart/related body."""
    head = f"--{boundary}\r\nContent-Type: {content_type}\r\n\r\n".encode()
    return b"".join(head + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()


async def stow(client: httpx.AsyncClient, *files: bytes, path: str = "/dicomweb/studies") -> httpx.Response:
    """Store PS3.10 files."""
    return await client.post(path, content=multipart(files), headers={"Content-Type": STOW})


async def stored(client: httpx.AsyncClient, *files: bytes) -> None:
    """Store PS3.10 files that nothing is wrong with."""
    response = await stow(client, *files)
    assert response.status_code == 200, response.text


async def patched(client: httpx.AsyncClient, path: str, patch: Mapping[str, Any]) -> None:
    """Edit the metadata of a level."""
    headers = {"Content-Type": "application/merge-patch+json"}
    response = await client.patch(f"{path}/normalizedmetadata?force=true", json=patch, headers=headers)
    assert response.status_code == 200, response.text


async def in_pieces(body: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    """Yield a body as a client sends it that does not know its length."""
    for at in range(0, len(body), size):
        yield body[at : at + size]


def parts(response: httpx.Response) -> list[tuple[str, bytes]]:
    """Return the parts of a multipart response, content type without quotes and bytes, as a mail parser reads them."""
    return [(str(part["Content-Type"]).replace('"', ""), _content(part)) for part in _messages(response)]


def locations(response: httpx.Response) -> list[str]:
    """Return the Content-Location of each part of a multipart response."""
    return [str(part["Content-Location"]) for part in _messages(response)]


def _messages(response: httpx.Response) -> list[Message]:
    head = f"Content-Type: {response.headers['content-type']}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + response.content)
    return list(message.iter_parts())


def _content(part: Message) -> bytes:
    found = part.get_payload(decode=True)
    assert isinstance(found, bytes)
    return found


def datasets(response: httpx.Response) -> list[pydicom.Dataset]:
    """Return the PS3.10 files of a multipart response, as pydicom reads them."""
    return [pydicom.dcmread(io.BytesIO(data)) for _, data in parts(response)]


def values(dataset: Mapping[str, Any], tag: str) -> list[Any]:
    """Return an attribute's values in DICOM JSON; none for an empty one."""
    found: list[Any] = dataset[tag].get("Value", [])
    return found


def value(dataset: Mapping[str, Any], tag: str) -> Any:
    """Return an attribute's only value in DICOM JSON."""
    [only] = values(dataset, tag)
    return only
