"""Retrieve bulk data: PS3.18 section 10.4.1.5. One binary value by its BulkDataURI, or all of a resource."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response

from gateway.dicom.dataset import BulkData, bulk_uris
from gateway.dicom.dictionary import PIXEL_DATA
from gateway.dicomweb.locate import Located, locate
from gateway.dicomweb.media_types import ALL_BULK_DATA, BULK_DATA
from gateway.dicomweb.negotiation import OCTETS, negotiate
from gateway.dicomweb.problems import endpoint
from gateway.dicomweb.responses import Part, Validators, begun, multipart_response, not_modified, one_part, part_fields
from gateway.dicomweb.targets import root_url
from gateway.dicomweb.wado.metadata import dataset_of
from gateway.dicomweb.wado.pixel_values import retrieve_pixel_value
from gateway.dicomweb.wado.ranges import ranged
from gateway.dicomweb.wado.shown_as_is import document_offers
from gateway.errors import NotFound
from gateway.state import State


@endpoint
async def retrieve_bulk_data(request: Request[State]) -> Response:
    """Answer one bulk value of an instance, whole or a range of its bytes (RFC 9110 section 14)."""
    uri = str(request.path_params["uri"])
    if uri in PIXEL_DATA:
        return await retrieve_pixel_value(request, uri)
    located = await locate(request)
    [member] = located.members
    dataset = dataset_of(await located.metadata(member), located.target.instance)
    if uri not in bulk_uris(dataset):
        raise NotFound("bulk data", uri)
    offer = negotiate(request, [*BULK_DATA, *document_offers(dataset, uri)])[0].offer
    # The bytes are what the uri is made of, so they never change.
    validators = Validators(f'"{uri}"', located.updated_at)
    if unchanged := not_modified(request, validators):
        return unchanged
    data = await located.store.read(await located.store.bulk_data(located.datastore_id, member.image_set_id, uri))
    if offer.multipart:
        location = located.bulk_uri(root_url(request), member, located.target.instance)(BulkData(uri))
        return await multipart_response(one_part(data, offer.name, location), offer.name, validators.headers)
    return ranged(request, data, validators.etag, validators.headers | {"Content-Type": offer.name})


@endpoint
async def retrieve_all_bulk_data(request: Request[State]) -> Response:
    """Answer every bulk value of a study, a series or an instance, each named by its BulkDataURI. Raises NotFound."""
    negotiate(request, ALL_BULK_DATA)
    located = await locate(request)
    if unchanged := not_modified(request, located.validators):
        return unchanged
    try:
        parts = await begun(_all_parts(located, root_url(request)))
    except StopAsyncIteration:
        raise NotFound("bulk data of", str(located.target)) from None
    return await multipart_response(parts, OCTETS, located.validators.headers)


async def _all_parts(located: Located, root: str) -> AsyncIterator[Part]:
    for member in located.members:
        metadata = await located.metadata(member)
        for uid in metadata.instances:
            address_of = located.bulk_uri(root, member, uid)
            for uri in dict.fromkeys(bulk_uris(dataset_of(metadata, uid))):
                address = await located.store.bulk_data(located.datastore_id, member.image_set_id, uri)
                yield part_fields(OCTETS, address_of(BulkData(uri))), [await located.store.read(address)]
