"""GetImageFrame: one frame, in the transfer syntax it is stored in."""

from __future__ import annotations

from gateway.healthimaging.context import Context, Input, Output
from gateway.pixels.image_frames import content_type


async def get_image_frame(context: Context, request: Input) -> Output:
    """Return a frame by the ID that the metadata has for it."""
    frame = await context.store.image_frame(
        request["datastoreId"], request["imageSetId"], request["imageFrameInformation"]["imageFrameId"]
    )
    return {"imageFrameBlob": frame.data, "contentType": content_type(frame.transfer_syntax_uid)}
