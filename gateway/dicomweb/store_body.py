"""The body of a store as it arrives: never held, never longer than it may be."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request

from gateway.dicom.multipart import MultipartReader
from gateway.dicomweb.negotiation import MediaType
from gateway.errors import InvalidMultipart, InvalidRequest, TooLarge
from gateway.state import State


async def body_of(request: Request[State], limit: int) -> AsyncIterator[bytes]:
    """Yield the body as it arrives. Raises TooLarge as soon as it is known to be longer than limit."""
    refused = TooLarge(f"the body is larger than {limit} bytes, the most this gateway takes")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise refused
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise refused
        if chunk:
            yield chunk
    if not size:
        raise InvalidRequest("the body is empty")


def multipart_reader(request: Request[State], media_type: MediaType) -> MultipartReader:
    """Return the reader of a multipart body. Raises InvalidMultipart."""
    boundary = media_type.parameter("boundary")
    if boundary is None:
        raise InvalidMultipart("the Content-Type names no boundary")
    return MultipartReader(boundary, request.state["settings"].max_store_parts)
