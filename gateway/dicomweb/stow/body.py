"""The body of a store as it arrives: never held, never empty, and how its parts are told apart."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request

from gateway.dicom.multipart import MultipartReader
from gateway.dicomweb.negotiation import MediaType
from gateway.errors import InvalidMultipart, InvalidRequest, TooLarge
from gateway.request_body import pieces_within
from gateway.state import State


async def body_of(request: Request[State], limit: int) -> AsyncIterator[bytes]:
    """Yield the body as it arrives. Raises TooLarge, and InvalidRequest for one that is empty."""
    refused = TooLarge(f"the body is larger than {limit} bytes, the most this gateway takes")
    empty = True
    async for piece in pieces_within(request, limit, refused):
        empty = False
        yield piece
    if empty:
        raise InvalidRequest("the body is empty")


def multipart_reader(request: Request[State], media_type: MediaType) -> MultipartReader:
    """Return the reader of a multipart body. Raises InvalidMultipart."""
    boundary = media_type.parameter("boundary")
    if boundary is None:
        raise InvalidMultipart("the Content-Type names no boundary")
    return MultipartReader(boundary, request.state["settings"].max_store_parts)
