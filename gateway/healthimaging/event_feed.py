"""The events of a data store as a feed: GET /datastore/{datastoreId}/events?after={cursor}&limit={changes}.

The service pushes its events to Amazon EventBridge. Here whoever wants them asks, and keeps the cursor of the last
answer. None is lost or reordered: they are made of the versions, and of changes of status, when they are asked for.
"""

from __future__ import annotations

import re
from uuid import uuid4

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import GatewayError, InvalidQuery
from gateway.events import (
    Account,
    ChangedImageSet,
    Event,
    datastore_events,
    image_set_events,
    import_job_events,
)
from gateway.healthimaging.faults import fault
from gateway.state import State, require
from gateway.store.contents import Datastore, Happening, ImageSetVersion
from gateway.store.log.import_log import ImportJob
from gateway.store.protocol import Store

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000

# A version's place in the log, and that of a change of status after it.
_CURSOR = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})", re.ASCII)
_START = "0.0"


async def get_events(request: Request[State]) -> Response:
    """Answer the events of the changes after a cursor, oldest first, and the cursor to go on from."""
    try:
        require(request.scope, "read")
        return await _answer(request)
    except GatewayError as error:
        return fault(error, str(uuid4()))


async def _answer(request: Request[State]) -> Response:
    store, settings = request.state["store"], request.state["settings"]
    datastore_id = str(request.path_params["datastoreId"])
    after = _cursor(request.query_params.get("after", _START))
    happened = await store.happenings(datastore_id, after, _limit(request.query_params.get("limit", "")))
    account = Account(settings.region, settings.account)
    events = [event for one in happened for event in await events_of(store, account, one)]
    cursor = happened[-1].cursor if happened else after
    body = orjson.dumps({"events": events, "cursor": f"{cursor[0]}.{cursor[1]}"})
    return Response(body, headers={"Cache-Control": "no-store"}, media_type="application/json")


async def events_of(store: Store, account: Account, happening: Happening) -> list[Event]:
    """Return the events of one change."""
    subject, at = happening.subject, happening.at
    if isinstance(subject, Datastore):
        return datastore_events(account, subject.datastore_id, subject.name or subject.datastore_id, subject.status, at)
    if isinstance(subject, ImportJob):
        return import_job_events(account, subject.datastore_id, subject.job_id, subject.status, subject.request, at)
    source = None
    if subject.copied_from is not None:
        image_set_id, version = subject.copied_from
        source = _changed(await store.image_set(subject.datastore_id, image_set_id, version))
    return image_set_events(account, _changed(subject), at, source)


def _changed(version: ImageSetVersion) -> ChangedImageSet:
    return ChangedImageSet(
        version.datastore_id, version.image_set_id, version.version, version.is_primary, version.workflow_status
    )


def _cursor(text: str) -> tuple[int, int]:
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise InvalidQuery("after", "is not a cursor that an answer gave")
    return int(match[1]), int(match[2])


def _limit(text: str) -> int:
    if not text:
        return DEFAULT_LIMIT
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MAX_LIMIT:
        raise InvalidQuery("limit", f"is not a whole number from 1 to {MAX_LIMIT}")
    return int(text)
