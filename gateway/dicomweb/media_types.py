"""What each resource is written in, and what a store is read in: PS3.18 sections 8.7, 10.4.4, 10.5.4 and 10.6.4.

docs/conformance.md shows these tables, and a test compares the two.
"""

from __future__ import annotations

from gateway.dicomweb.negotiation import DICOM, DICOM_JSON, DICOM_XML, JSON, OCTETS, Offer
from gateway.pixels.rendering import RENDERED_MEDIA_TYPES
from gateway.pixels.transfer_syntaxes import TRANSFER_SYNTAXES

_JSON = (Offer(DICOM_JSON), Offer(JSON))
_XML_PARTS = Offer(DICOM_XML, multipart=True)

# Ours first: what a client gets that accepts anything. PS3.18 section 10.4.4: DICOM JSON is one array and never
# multipart, DICOM XML one part for each object; only what is one object may come without a multipart around it.
STORE_RESPONSE = (*_JSON, Offer(DICOM_XML))
SEARCH = (*_JSON, _XML_PARTS)
METADATA = (*_JSON, _XML_PARTS)
INSTANCE_METADATA = (*_JSON, _XML_PARTS, Offer(DICOM_XML))
INSTANCES = (Offer(DICOM, multipart=True),)
INSTANCE = (Offer(DICOM, multipart=True), Offer(DICOM))
BULK_DATA = (Offer(OCTETS), Offer(OCTETS, multipart=True))
ALL_BULK_DATA = (Offer(OCTETS, multipart=True),)
FRAMES = tuple(
    Offer(name, multipart=True)
    for name in dict.fromkeys(
        name
        for syntax in TRANSFER_SYNTAXES.values()
        if syntax.encodes and syntax.lossless
        for name in syntax.media_types
    )
)
# Pixel data by their BulkDataURI: one value where they are native, frames where they are encapsulated.
BULK_DATA_OR_PIXELS = tuple(dict.fromkeys((*BULK_DATA, *FRAMES)))
THUMBNAIL = tuple(map(Offer, RENDERED_MEDIA_TYPES))
# Of several images there is no single part (PS3.18 section 10.4.4).
RENDERED_PARTS = tuple(Offer(name, multipart=True) for name in RENDERED_MEDIA_TYPES)
RENDERED = (*THUMBNAIL, *RENDERED_PARTS)
# What is no picture is shown as it is (PS3.18 Table 8.7.4-1).
DOCUMENT = (Offer("application/pdf"),)
VIDEO = tuple(
    Offer(name)
    for name in dict.fromkeys(
        name for syntax in TRANSFER_SYNTAXES.values() if syntax.is_video for name in syntax.media_types
    )
)

WRITTEN: dict[str, tuple[Offer, ...]] = {
    "Store Instances Response": STORE_RESPONSE,
    "Search results": SEARCH,
    "Study, series": INSTANCES,
    "Instance": INSTANCE,
    "Metadata of a study or a series": METADATA,
    "Metadata of an instance": INSTANCE_METADATA,
    "A bulk data value": BULK_DATA,
    "All bulk data of a study, a series or an instance": ALL_BULK_DATA,
    "Frames, pixel data": FRAMES,
    "Rendered": RENDERED,
    "Rendered, of an encapsulated document": DOCUMENT,
    "Rendered, of a video": VIDEO,
    "Thumbnail": THUMBNAIL,
}
