"""Retrieve: PS3.18 section 10.4. Instances as PS3.10 with every edit in them; the paths of metadata and bulk data.

Every retrieve takes `?version=`, a version of the resource in the path: of the study, or of the image set that the
series or the instance lies in.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.dicomweb.locate import Located, locate
from gateway.dicomweb.media_types import INSTANCE, INSTANCES
from gateway.dicomweb.negotiation import DICOM, Choice, negotiate
from gateway.dicomweb.problems import endpoint
from gateway.dicomweb.responses import Part, multipart_response, not_modified, part_fields, pieces, warn
from gateway.dicomweb.streamed import Streamed
from gateway.dicomweb.targets import root_url
from gateway.dicomweb.wado.bulk_data import retrieve_all_bulk_data, retrieve_bulk_data
from gateway.dicomweb.wado.files import Writing
from gateway.dicomweb.wado.metadata import retrieve_metadata
from gateway.dicomweb.wado.transfer_syntax import Plan, makes_of, plan, plan_as_stored
from gateway.errors import InvalidPart10, NotAcceptable, TooLarge
from gateway.state import State
from gateway.store.contents import ImageSetFiles


@endpoint
async def retrieve(request: Request[State]) -> Response:
    """Answer a study, a series or an instance as PS3.10, the edits in it."""
    located = await locate(request)
    choices = negotiate(request, INSTANCE if located.target.instance else INSTANCES)
    if unchanged := not_modified(request, located.validators):
        return unchanged
    found = [await located.files(member) for member in located.members]
    planned = await _plan(request, choices, located, found)
    members = zip(located.members, found, strict=True)
    as_stored = not planned.named or not located.target.instance
    writing = [Writing(located, member, files, planned.syntaxes, as_stored) for member, files in members]
    try:
        if planned.offer.multipart:
            return await _multipart(request, writing, planned)
        _, syntax, chunks = await anext(writing[0].written())
    except (InvalidPart10, TooLarge) as error:
        raise NotAcceptable(str(error)) from error
    headers = located.validators.headers | {"Content-Type": _content_type(syntax)}
    headers["Content-Length"] = str(sum(map(len, chunks)))
    return Streamed(pieces(chunks), 200, headers)


async def _plan(
    request: Request[State], choices: Sequence[Choice], located: Located, found: Sequence[ImageSetFiles]
) -> Plan:
    """Return how the resource is sent. What is sent as it is stored needs no look at the metadata."""
    stored = {file.sop_instance_uid: file.transfer_syntax_uid for files in found for file in files.instances}
    if as_stored := plan_as_stored(choices[0], stored):
        return as_stored
    loaded = [await located.metadata(member) for member in located.members]
    instances = {uid: instance for metadata in loaded for uid, instance in metadata.instances.items()}
    return plan(choices, instances, await makes_of(request, choices))


async def _multipart(request: Request[State], writing: Sequence[Writing], planned: Plan) -> Response:
    root, headers = root_url(request), writing[0].located.validators.headers
    sizes = _known_sizes(writing, planned.syntaxes, root)
    response = await multipart_response(_parts(writing, root), DICOM, headers, sizes)
    if not planned.left_out:
        return response
    # 206: some instances cannot be had in any transfer syntax the client accepts.
    response.status_code = 206
    text = f"{planned.left_out} instances are not available in the transfer syntaxes that were asked for."
    return warn(response, root, [text])


async def _parts(writing: Sequence[Writing], root: str) -> AsyncIterator[Part]:
    for image_set in writing:
        address = image_set.located.address(root, image_set.member)
        async for uid, syntax, chunks in image_set.written():
            yield part_fields(_content_type(syntax), address(uid)), chunks


def _known_sizes(
    writing: Sequence[Writing], syntaxes: Mapping[str, str], root: str
) -> list[tuple[Mapping[str, str], int]] | None:
    """Return header fields and size of each part; None where a file has to be written to know how long it is."""
    sizes: list[tuple[Mapping[str, str], int]] = []
    for image_set in writing:
        address = image_set.located.address(root, image_set.member)
        for file in image_set.wanted:
            if not image_set.as_received(file):
                return None
            uid = file.sop_instance_uid
            sizes.append((part_fields(_content_type(syntaxes[uid]), address(uid)), file.stored.address.length))
    return sizes


def _content_type(syntax: str) -> str:
    return f"{DICOM}; transfer-syntax={syntax}" if syntax else DICOM


# PS3.18 Tables 10.4.1-1 and 10.4.1-4.
routes: list[Route] = [
    Route("/studies/{study}", retrieve),
    Route("/studies/{study}/series/{series}", retrieve),
    Route("/studies/{study}/series/{series}/instances/{instance}", retrieve),
    Route("/studies/{study}/metadata", retrieve_metadata),
    Route("/studies/{study}/series/{series}/metadata", retrieve_metadata),
    Route("/studies/{study}/series/{series}/instances/{instance}/metadata", retrieve_metadata),
    Route("/studies/{study}/bulkdata", retrieve_all_bulk_data),
    Route("/studies/{study}/series/{series}/bulkdata", retrieve_all_bulk_data),
    Route("/studies/{study}/series/{series}/instances/{instance}/bulkdata", retrieve_all_bulk_data),
    Route("/studies/{study}/series/{series}/instances/{instance}/bulkdata/{uri}", retrieve_bulk_data),
]
