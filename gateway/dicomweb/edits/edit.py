"""Edits over DICOMweb: one road for all of them.

    receive   request.py        force, reason, If-Match, Idempotency-Key, the body
    parse     dicom/json_model  bytes to merge patches and datasets
    map       plans.py          ... to SchemaVersion 1.1 updates, image set by image set (metadata/mapping.py)
    locate    edited.py         which image sets, in which versions
    edit      carry_out.py      the Store checks, applies, appends: all of the study or nothing
    answer    answers.py        the new versions, or the documents of a dry run

docs/editing.md describes it from outside.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.dicom.dataset import MergePatch
from gateway.dicom.json_model import parse_dataset, parse_merge_patch, parse_merge_patches, to_json
from gateway.dicomweb.edits import plans
from gateway.dicomweb.edits.by_level import by_level
from gateway.dicomweb.edits.carry_out import Find, carry_out
from gateway.dicomweb.edits.edited import find_edited, find_reverted
from gateway.dicomweb.edits.plans import LevelEdit, Plan
from gateway.dicomweb.edits.request import DATASET_TYPES, PATCH_TYPES, Options, receive
from gateway.dicomweb.locate import locate
from gateway.dicomweb.negotiation import negotiate
from gateway.dicomweb.patient_headers import check_patient, patient_wanted
from gateway.dicomweb.problems import endpoint
from gateway.dicomweb.responses import JSON_OFFERS, dicom_json, not_modified
from gateway.dicomweb.targets import Target, bulk_uri_of, datastore_of, requested_version, root_url, target_of
from gateway.errors import InvalidQuery
from gateway.metadata.mapping import to_dataset
from gateway.state import State

# -- the endpoints


@endpoint
async def get_normalized(request: Request[State]) -> Response:
    """Answer the attributes of one level; those of the levels above and below it are left out."""
    offer = negotiate(request, JSON_OFFERS)[0].offer
    located = await locate(request)
    target, member = located.target, located.members[0]
    metadata = await located.store.metadata(
        located.datastore_id, member.image_set_id, member.version, {target.instance} - {""}
    )
    await located.check(member, metadata.instances)
    check_patient(patient_wanted(request), metadata.head, target.study)
    if unchanged := not_modified(request, located.validators):
        return unchanged
    level = metadata.instances[target.instance] if target.instance else metadata.head.level(target.level)
    shown = Target(target.study, member.series_instance_uid, target.instance)
    version = member.version if located.version else None
    body = to_json(to_dataset(level), bulk_uri_of(root_url(request), shown, version))
    return dicom_json([body], offer, headers=located.validators.headers)


@endpoint
async def patch_normalized(request: Request[State]) -> Response:
    """Set and remove attributes of one level, RFC 7396."""
    target = target_of(request)
    received = await receive(request, PATCH_TYPES)
    patch = await received.parsed(parse_merge_patch)
    edit = LevelEdit(target.level, patch, target.series, target.instance)
    return await answer(request, target, received.options, plans.edit_attributes([edit]))


@endpoint
async def put_normalized(request: Request[State]) -> Response:
    """Put a dataset in the place of one level's attributes."""
    target = target_of(request)
    received = await receive(request, DATASET_TYPES)
    dataset: MergePatch = {**await received.parsed(parse_dataset)}
    edit = LevelEdit(target.level, dataset, target.series, target.instance, whole=True)
    return await answer(request, target, received.options, plans.edit_attributes([edit]))


@endpoint
async def patch_metadata(request: Request[State]) -> Response:
    """Apply merge patches that each name their own study, series or instance, at several levels, as one edit."""
    target = target_of(request)
    received = await receive(request, PATCH_TYPES)
    patches = await received.parsed(parse_merge_patches)
    edits = by_level(patches, target)
    return await answer(request, target, received.options, plans.edit_attributes(edits))


@endpoint
async def delete(request: Request[State]) -> Response:
    """Make a version in which the study, series or instance is gone. Older versions stay, and revert brings it back."""
    received = await receive(request)
    return await answer(request, target_of(request), received.options, plans.delete)


@endpoint
async def revert(request: Request[State]) -> Response:
    """Make a version with the content of version `to`, also of what is deleted now."""
    received = await receive(request, known=("to",))
    to = requested_version(request, "to")
    if to is None:
        raise InvalidQuery("to", "is needed: the version to go back to")
    return await answer(request, target_of(request), received.options, plans.revert(to), find_reverted)


async def answer(
    request: Request[State], target: Target, options: Options, plan: Plan, find: Find = find_edited
) -> Response:
    """Carry an edit out and answer it."""
    store, datastore_id = request.state["store"], await datastore_of(request)
    done = await carry_out(store, datastore_id, target, plan, options, find)
    return Response(done.body, done.status, dict(done.headers))


_STUDY = "/studies/{study}"
_SERIES = _STUDY + "/series/{series}"
_INSTANCE = _SERIES + "/instances/{instance}"
_RESOURCES = (_STUDY, _SERIES, _INSTANCE)

routes: list[Route] = [
    route
    for resource in _RESOURCES
    for route in (
        Route(resource + "/normalizedmetadata", get_normalized, methods=["GET"]),
        Route(resource + "/normalizedmetadata", patch_normalized, methods=["PATCH"]),
        Route(resource + "/normalizedmetadata", put_normalized, methods=["PUT"]),
        Route(resource + "/metadata", patch_metadata, methods=["PATCH"]),
        Route(resource, delete, methods=["DELETE"]),
        Route(resource + "/revert", revert, methods=["POST"]),
    )
]
