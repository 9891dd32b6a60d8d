"""GetImageFrame: one frame, in the transfer syntax it is stored in."""

from __future__ import annotations

import re

from gateway.errors import NotAcceptable
from gateway.healthimaging.context import Context, Input, Output
from gateway.pixels.image_frames import content_type
from gateway.pixels.transfer_syntaxes import OCTET_STREAM, transfer_syntax

# Of a request; what is left out is JSON too.
_JSON = re.compile(r"(?:application/(?:x-amz-)?json[-.0-9]*\s*(?:;.*)?)?", re.IGNORECASE)
_REFUSED = re.compile(r";\s*q\s*=\s*0(?:\.0*)?\s*(?:;|$)", re.IGNORECASE)


async def get_image_frame(context: Context, request: Input) -> Output:
    """Return a frame by the ID that the metadata has for it. Raises NotAcceptable: nothing is transcoded."""
    if not _JSON.fullmatch(context.headers.get("content-type", "")):
        raise NotAcceptable("the request has another Content-Type than application/json")
    frame = await context.store.image_frame(
        request["datastoreId"], request["imageSetId"], request["imageFrameInformation"]["imageFrameId"]
    )
    media_type = content_type(frame.transfer_syntax_uid)
    names = {media_type, *transfer_syntax(frame.transfer_syntax_uid).media_types, OCTET_STREAM}
    if not accepts(context.headers.get("accept", ""), names):
        raise NotAcceptable(f"the frame is stored as {media_type}, which Accept leaves out")
    return {"imageFrameBlob": frame.data, "contentType": media_type}


def accepts(accept: str, names: set[str]) -> bool:
    """Return whether an Accept header leaves one of these media types; one that says nothing leaves all."""
    ranges = [one.partition(";")[0].strip().lower() for one in accept.split(",") if not _REFUSED.search(one)]
    covering = {"*/*", *names, *(f"{name.partition('/')[0]}/*" for name in names)}
    return not accept.strip() or any(one in covering for one in ranges)
