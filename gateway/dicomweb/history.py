"""What became of a study, a series or an instance, version by version: `versions` and `diff`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.dicom.json_model import encode_json
from gateway.dicomweb.edits.edited import Edited, find_reverted
from gateway.dicomweb.negotiation import JSON
from gateway.dicomweb.problems import endpoint
from gateway.dicomweb.targets import datastore_of, requested_version, root_url, target_of, version_number
from gateway.dicomweb.versions import VersionJson, history_of
from gateway.errors import InvalidQuery, NotFound
from gateway.metadata.diff import changes
from gateway.metadata.image_set import Change, ImageSetMetadata
from gateway.state import State
from gateway.store.contents import Member


@endpoint
async def get_versions(request: Request[State]) -> Response:
    """Answer the history, newest first: an array."""
    return _json(await _history(await _resource(request)))


@endpoint
async def get_version(request: Request[State]) -> Response:
    """Answer one version."""
    number = version_number(str(request.path_params["version"]))
    resource = await _resource(request)
    for version in await _history(resource):
        if version["version"] == number:
            return _json(version)
    raise NotFound("version", f"{number} of {resource.target}")


@endpoint
async def get_diff(request: Request[State]) -> Response:
    """Answer what differs between two versions, attribute by attribute."""
    from_, to = requested_version(request, "from"), requested_version(request, "to")
    if from_ is None or to is None:
        raise InvalidQuery("to" if from_ is not None else "from", "is needed: diff?from=1&to=2")
    resource = await _resource(request)
    found = await _diff(resource, from_, to)
    study = f"{root_url(request)}/studies/{resource.target.study}"
    return _json({"from": from_, "to": to, "changes": [change_json(change, study) for change in found]})


def change_json(change: Change, study: str) -> dict[str, Any]:
    """Return one change; before and after are DICOM JSON elements, null where the attribute is absent.

    study: the URL of the study, for the address of a value that is bulk data.
    """
    bulk_root = f"{study}/series/{change.series_instance_uid}/instances/{change.sop_instance_uid}/bulkdata/"
    return {
        "level": change.level,
        "tag": change.tag,
        "keyword": change.keyword,
        "vr": change.vr,
        "before": _with_addresses(change.before, bulk_root),
        "after": _with_addresses(change.after, bulk_root),
        "seriesInstanceUID": change.series_instance_uid,
        "sopInstanceUID": change.sop_instance_uid,
    }


def _with_addresses(element: Any, bulk_root: str) -> Any:
    """Return an element with the names of bulk data, in sequences too, as URLs."""
    if isinstance(element, Mapping):
        return {
            key: bulk_root + value if key == "BulkDataURI" else _with_addresses(value, bulk_root)
            for key, value in element.items()
        }
    return [_with_addresses(value, bulk_root) for value in element] if isinstance(element, list) else element


def _json(value: Any) -> Response:
    return Response(encode_json(value), media_type=JSON, headers={"Cache-Control": "private, no-cache"})


async def _resource(request: Request[State]) -> Edited:
    return await find_reverted(request.state["store"], await datastore_of(request), target_of(request))


# -- versions


async def _history(resource: Edited) -> list[VersionJson]:
    """Return the versions; of an instance those of its image set that changed what is retrieved of it."""
    versions = await history_of(resource)
    if not resource.target.instance:
        return versions
    touched: list[VersionJson] = []
    before: ImageSetMetadata | None = None
    for version in reversed(versions):
        now = await _instance_at(resource, version)
        if now != before:
            touched.append(version)
        before = now
    if not touched:
        raise NotFound("instance", resource.target.instance)
    return touched[::-1]


async def _instance_at(resource: Edited, version: VersionJson) -> ImageSetMetadata | None:
    """Return the instance and the head it shares in one version; None where it is not in it."""
    if version["state"] == "DELETED":
        return None
    assert resource.member is not None
    metadata = await resource.store.metadata(
        resource.datastore_id, resource.member.image_set_id, version["version"], {resource.target.instance}
    )
    return metadata if metadata.instances else None


# -- diff


async def _diff(resource: Edited, from_: int, to: int) -> list[Change]:
    """Return what differs, changes of Patient and Study level once though every image set has them."""
    then, now = await _members_at(resource, from_), await _members_at(resource, to)
    found: dict[tuple[object, ...], Change] = {}
    for image_set_id in dict.fromkeys([*then, *now]):
        for change in await _image_set_diff(resource, then.get(image_set_id), now.get(image_set_id)):
            found.setdefault(_identity(change), change)
    order = ("Patient", "Study", "Series", "Instance")
    return sorted(found.values(), key=lambda change: order.index(change.level))


async def _members_at(resource: Edited, version: int) -> dict[str, Member]:
    """Return the primary image sets a version consists of, by id. Raises NotFound."""
    if resource.member is None:
        study = await resource.store.study(resource.datastore_id, resource.target.study, version)
        return {member.image_set_id: member for member in study.primary}
    properties = await resource.store.image_set(resource.datastore_id, resource.member.image_set_id, version)
    return {} if properties.state == "DELETED" else {properties.image_set_id: properties.member}


async def _image_set_diff(resource: Edited, then: Member | None, now: Member | None) -> Sequence[Change]:
    if then is not None and now is not None and then.version == now.version:
        return ()
    before, after = await _metadata(resource, then), await _metadata(resource, now)
    # An image set that came or went did so with its instances; its head is not a change of anything.
    before = before or ImageSetMetadata(after.head, {}) if after else before
    after = after or ImageSetMetadata(before.head, {}) if before else after
    assert before is not None and after is not None
    return await asyncio.to_thread(changes, before, after)


async def _metadata(resource: Edited, member: Member | None) -> ImageSetMetadata | None:
    if member is None:
        return None
    instances = {resource.target.instance} if resource.target.instance else None
    return await resource.store.metadata(resource.datastore_id, member.image_set_id, member.version, instances)


def _identity(change: Change) -> tuple[object, ...]:
    """Return what makes two changes one: at Patient and Study level the attribute and its values."""
    return (
        change.level,
        change.tag or change.keyword,
        change.series_instance_uid,
        change.sop_instance_uid,
        encode_json([change.before, change.after]),
    )


def _resources() -> Iterable[str]:
    yield "/studies/{study}"
    yield "/studies/{study}/series/{series}"
    yield "/studies/{study}/series/{series}/instances/{instance}"


routes: list[Route] = [
    route
    for resource in _resources()
    for route in (
        Route(resource + "/versions", get_versions, methods=["GET"]),
        Route(resource + "/versions/{version}", get_version, methods=["GET"]),
        Route(resource + "/diff", get_diff, methods=["GET"]),
    )
]
