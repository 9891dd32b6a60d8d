"""The same merge patch on every study that a QIDO-RS filter finds: `POST /studies/$update`.

The filter is read more strictly than a search is: what a search ignores with a warning would here widen an edit. The
studies are those that match when the request comes; the job edits these and no others.
"""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.dicom.json_model import encode_json, parse_merge_patch
from gateway.dicom.matching import Query
from gateway.dicom.query_string import parse_query
from gateway.dicomweb.edits.by_level import NAMES
from gateway.dicomweb.edits.jobs import StudyRequest
from gateway.dicomweb.edits.request import OPTIONS, PATCH_TYPES, receive
from gateway.dicomweb.edits.several_studies import edit_studies
from gateway.dicomweb.negotiation import JSON
from gateway.dicomweb.problems import endpoint
from gateway.dicomweb.targets import datastore_of
from gateway.errors import InvalidDicomJson, InvalidHeader, InvalidQuery, NotFound
from gateway.state import State
from gateway.store.contents import StudyVersion

# A page of a search is no set of studies that anybody meant.
_NOT_OF_FILTER = ("limit", "offset", "includefield")


@endpoint
async def update_studies(request: Request[State]) -> Response:
    """Set and remove Patient and Study attributes in all studies that match."""
    query = filter_of(request)
    received = await receive(request, PATCH_TYPES, [name for name, _ in _filter(request)])
    if received.options.patient:
        raise InvalidHeader("DICOMPatientID", "names one patient's studies: here the filter says which")
    patch = await received.parsed(parse_merge_patch)
    for tag in NAMES:
        if tag in patch:
            raise InvalidDicomJson(f"$.{tag}", "cannot be the same in several studies")
    options = received.options
    edit = StudyRequest(
        method="PATCH",
        body=received.body.decode(),
        force=options.force,
        provenance=options.provenance,
        digest=options.digest,
        level="Study",
    )
    try:
        return await edit_studies(request, edit, options, lambda: _matching(request, query), "the studies")
    except NotFound:
        if not options.dry_run:
            raise
    return Response(encode_json({"dryRun": True, "count": 0, "studies": []}), media_type=JSON)


def filter_of(request: Request[State]) -> Query:
    """Return the search for the studies to edit.

    Raises InvalidQuery where nothing narrows it, and for all that a search would warn of.
    """
    parameters = _filter(request)
    for name, _ in parameters:
        if name in _NOT_OF_FILTER:
            raise InvalidQuery(name, "is of a search: an edit is of all the studies that match")
    query = parse_query("Study", {}, parameters)
    if query.warnings:
        raise InvalidQuery("filter", f"does not say which studies: {' '.join(query.warnings)}")
    if not query.conditions:
        raise InvalidQuery("filter", "is needed: an edit of every study there is has to be asked for study by study")
    return query


def _filter(request: Request[State]) -> list[tuple[str, str]]:
    given = request.query_params.multi_items()
    return [(name, value) for name, value in given if name not in OPTIONS and name != "accept"]


async def _matching(request: Request[State], query: Query) -> list[StudyVersion]:
    """Return the studies that match. Raises NotFound for none, InvalidQuery for more than one job may have."""
    store, datastore_id = request.state["store"], await datastore_of(request)
    most = request.state["settings"].max_update_studies
    page = await store.search(datastore_id, replace(query, limit=most))
    if page.remaining > 0:
        count = len(page.matches) + page.remaining
        raise InvalidQuery("filter", f"finds {count} studies, and one job has at most {most} (max_update_studies)")
    if not page.matches:
        raise NotFound("study", "that matches the filter")
    return [await store.study(datastore_id, match.study_instance_uid) for match in page.matches]


routes: list[Route] = [Route("/studies/$update", update_studies, methods=["POST"])]
