"""How answers are written: datasets in JSON and XML, multipart bodies, validators of reads, Warning."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, TypeAlias, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from gateway.dicom.dataset import Dataset
from gateway.dicom.encoding import Buffer, let_go
from gateway.dicom.json_model import encode_json, to_json
from gateway.dicom.multipart import closing, part_head
from gateway.dicom.xml_write import to_xml
from gateway.dicomweb.negotiation import DICOM_JSON, DICOM_XML, JSON, MULTIPART, Offer
from gateway.dicomweb.streamed import Chunk, Streamed
from gateway.state import State

# A part of a multipart body: its header fields and its bytes.
Part: TypeAlias = tuple[Mapping[str, str], Sequence[Buffer]]

_Made = TypeVar("_Made")

# PS3.18 section 10.4.4: DICOM JSON is one array, never multipart. Some clients know it only as application/json.
JSON_OFFERS = (Offer(DICOM_JSON), Offer(JSON))

# As large as the transport takes at once: a view of a whole file would be copied into its buffer.
_CHUNK = 256 * 1024
_LET_GO = 16 * 1024 * 1024


# Records change and are private: a cache may keep them and must ask before it serves them (RFC 9111 section 5.2.2.4).
CACHE_CONTROL = "private, no-cache"


@dataclass(frozen=True, slots=True)
class Validators:
    """What a client can ask by whether it has the latest: a strong entity tag, and when the version was made."""

    etag: str
    modified: datetime

    @property
    def headers(self) -> dict[str, str]:
        modified = format_datetime(self.modified.astimezone(UTC), usegmt=True)
        return {"ETag": self.etag, "Last-Modified": modified, "Cache-Control": CACHE_CONTROL, "Vary": "Accept"}


def not_modified(request: Request[State], validators: Validators) -> Response | None:
    """Return 304 if the client has this version already, else None (RFC 9110 section 13.2.2)."""
    if_none_match = request.headers.get("if-none-match")
    if if_none_match is not None:
        # Weak comparison, RFC 9110 section 8.8.3.2: W/ says nothing here.
        known = if_none_match.strip() == "*" or validators.etag in re.findall(r'"[^"]*"', if_none_match)
    else:
        known = _not_since(request.headers.get("if-modified-since", ""), validators.modified)
    return Response(status_code=304, headers=validators.headers) if known else None


def _not_since(since: str, modified: datetime) -> bool:
    """Whether a version is no newer than an HTTP date, which counts seconds. What is no date asks nothing."""
    try:
        date = parsedate_to_datetime(since)
    except ValueError:
        return False
    return modified.replace(microsecond=0) <= (date if date.tzinfo else date.replace(tzinfo=UTC))


# -- DICOM JSON


def dicom_json(
    datasets: Sequence[Mapping[str, Any]] | Mapping[str, Any],
    offer: Offer = JSON_OFFERS[0],
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return datasets of the DICOM JSON Model, as `to_json` makes them."""
    return Response(encode_json(datasets), status, dict(headers or {}), offer.name)


def dataset_response(dataset: Dataset, offer: Offer, status: int) -> Response:
    """Return one dataset, in the JSON or the XML model."""
    body = to_xml(dataset) if offer.name == DICOM_XML else encode_json(to_json(dataset))
    return Response(body, status, media_type=offer.name)


def warn(response: Response, root: str, texts: Iterable[str]) -> Response:
    """Return the response with a Warning for each text, as PS3.18 section 8.3.4 writes them."""
    for text in texts:
        response.headers.append("Warning", f'299 {root}: "{text}"')
    return response


# -- multipart


def part_fields(media_type: str, location: str) -> dict[str, str]:
    """Return the header fields of a part. location: the address of the resource it is (PS3.18 Table 8.4.2-1)."""
    return {"Content-Type": media_type, "Content-Location": location}


def new_boundary() -> str:
    """Return a boundary that nobody can have put into the data."""
    return secrets.token_hex(16)


async def multipart_body(parts: AsyncIterator[Part], boundary: str) -> AsyncIterator[Chunk]:
    """Yield a multipart/related body of parts, each its header fields and its bytes.

    Small pieces are gathered, because each chunk that is sent costs as much as copying many of them.
    """
    gathered = _Gathered()
    first = True
    async for headers, chunks in parts:
        gathered.add(part_head(boundary, headers, first=first))
        first = False
        for chunk in chunks:
            if len(chunk) >= _CHUNK:
                yield gathered.rest()
                for piece in pieces([chunk]):
                    yield piece
            elif gathered.add(chunk):
                yield gathered.rest()
    gathered.add(closing(boundary))
    yield gathered.rest()


class _Gathered:
    """Small pieces to be sent together."""

    def __init__(self) -> None:
        self._pieces: list[Buffer] = []
        self._size = 0
        self._sent = 0

    def add(self, piece: Buffer) -> bool:
        """Take a piece; return whether it is time to send what there is."""
        self._pieces.append(piece)
        self._size += len(piece)
        return self._size >= _CHUNK

    def rest(self) -> bytes:
        """Return what was gathered. What was read of a mapped file for it is let go of now and then."""
        joined = b"".join(self._pieces)
        self._sent += self._size
        if self._sent >= _LET_GO:
            self._sent = 0
            for piece in self._pieces:
                if isinstance(piece, memoryview):
                    let_go(piece)
        self._pieces, self._size = [], 0
        return joined


async def multipart_response(
    parts: AsyncIterator[Part],
    media_type: str,
    headers: Mapping[str, str],
    sizes: Sequence[tuple[Mapping[str, str], int]] | None = None,
) -> Response:
    """Return multipart/related of these parts. The first ones are made at once, so that their errors have a status.

    sizes: header fields and size of every part, where they are known before the parts are made.
    """
    boundary = new_boundary()
    body = multipart_body(parts, boundary)
    headers = {**headers, "Content-Type": f'{MULTIPART}; type="{media_type}"; boundary={boundary}'}
    if sizes:
        heads = sum(len(part_head(boundary, fields, first=at == 0)) for at, (fields, _) in enumerate(sizes))
        length = heads + sum(size for _, size in sizes) + len(closing(boundary))
        if length <= _CHUNK:  # a stream would take two tasks more to send
            return Response(b"".join([chunk async for chunk in body]), 200, headers)
        headers["Content-Length"] = str(length)
    return Streamed(await begun(body), 200, headers)


async def one_part(data: Buffer, media_type: str, location: str) -> AsyncIterator[Part]:
    """Yield the only part of a multipart body."""
    yield part_fields(media_type, location), [data]


async def begun(made: AsyncIterator[_Made]) -> AsyncIterator[_Made]:
    """Return the same, the first of which is there already: raises what making it raised, StopAsyncIteration too."""
    first = await anext(made)

    async def rest() -> AsyncIterator[_Made]:
        yield first
        async for one in made:
            yield one

    return rest()


def pieces(chunks: Iterable[Buffer]) -> Iterator[Chunk]:
    """Yield the same bytes in chunks no larger than the transport takes at once.

    What was sent of a mapped file is let go of: memory does not grow with what is retrieved.
    """
    sent = 0
    for chunk in chunks:
        view = memoryview(chunk)
        for at in range(0, len(view), _CHUNK):
            yield view[at : at + _CHUNK]
            sent += _CHUNK
            if sent >= _LET_GO:
                let_go(view)
                sent = 0
