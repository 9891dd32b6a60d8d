"""Carrying an edit of one study out: find what it is about, plan, and let the Store check, apply and append.

Without If-Match an edit is of whatever is current, so it starts again when somebody else was faster. With If-Match it
is of that version, and to be too late is its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias
from weakref import WeakKeyDictionary, WeakValueDictionary

from gateway.dicom.json_model import encode_json
from gateway.dicomweb.edits.answers import dry_run_json, edit_answer
from gateway.dicomweb.edits.edited import Edited, find_edited
from gateway.dicomweb.edits.plans import Plan
from gateway.dicomweb.edits.request import Options
from gateway.dicomweb.negotiation import JSON
from gateway.dicomweb.patient_headers import check_patient
from gateway.dicomweb.targets import Target
from gateway.dicomweb.versions import shown_tags, versions_since
from gateway.errors import ConstraintViolations, PreconditionFailed, VersionConflict
from gateway.store.edits import Answer, Edit, EditResult, Idempotency, ImageSetEdit
from gateway.store.protocol import Store

# Edits of one study that name no version queue here: each would only find that the one before it was faster. By store,
# for a lock belongs to one event loop, and so does a store.
_Queues: TypeAlias = WeakValueDictionary[tuple[str, str], asyncio.Lock]
_QUEUES: WeakKeyDictionary[Store, _Queues] = WeakKeyDictionary()

Find: TypeAlias = Callable[[Store, str, Target], Awaitable[Edited]]

# How often an edit starts again from a newer version before the client is told to.
ATTEMPTS = 10


async def carry_out(
    store: Store, datastore_id: str, target: Target, plan: Plan, options: Options, find: Find = find_edited
) -> Answer:
    """Return the answer to an edit; with an Idempotency-Key that was answered before, that answer.

    Raises NotFound, Gone, ConstraintViolations, PreconditionFailed, VersionConflict after ATTEMPTS, and what the plan
    raises; then nothing was changed.
    """
    if options.if_match is not None:
        return await _carry_out(store, datastore_id, target, plan, options, find)
    async with _queue(store, datastore_id, target.study):
        return await _carry_out(store, datastore_id, target, plan, options, find)


def _queue(store: Store, datastore_id: str, study: str) -> asyncio.Lock:
    queues = _QUEUES.get(store)
    if queues is None:
        queues = _QUEUES[store] = WeakValueDictionary()
    queue = queues.get((datastore_id, study))
    if queue is None:
        queue = queues[datastore_id, study] = asyncio.Lock()
    return queue


async def _carry_out(
    store: Store, datastore_id: str, target: Target, plan: Plan, options: Options, find: Find
) -> Answer:
    for attempt in range(1, ATTEMPTS + 1):
        answer = await remembered(store, datastore_id, options)
        if answer:
            return answer
        edited = await find(store, datastore_id, target)
        # Once more, after the versions were read: the same request may have been answered in between, and only an edit
        # made from versions older than that is refused by the Store.
        answer = await remembered(store, datastore_id, options)
        if answer:
            return answer
        await _check(edited, options)
        try:
            return await _edit(edited, await plan(edited), options)
        except VersionConflict:
            # With If-Match the next turn finds that it is stale.
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


async def check(store: Store, datastore_id: str, target: Target, plan: Plan, *, force: bool) -> None:
    """Return if an edit would be carried out now. Raises as `carry_out` does, and changes nothing."""
    edited = await find_edited(store, datastore_id, target)
    edits = await plan(edited)
    if edits:
        result = await edited.store.edit(Edit(datastore_id, tuple(edits), force=force, dry_run=True))
        violations = result.violations_with_force if force else result.violations
        if violations:
            raise ConstraintViolations(violations)


async def remembered(store: Store, datastore_id: str, options: Options) -> Answer | None:
    """Return the answer kept for the Idempotency-Key. Raises IdempotencyConflict."""
    return await store.remembered(datastore_id, options.key, options.digest) if options.key else None


async def _check(edited: Edited, options: Options) -> None:
    """Return if the edit is meant for what was found. Raises NotFound, PreconditionFailed."""
    if options.patient:
        source = edited.member or edited.study.primary[0]
        check_patient(options.patient, (await edited.metadata(source)).head, edited.target.study)
    tags = options.if_match
    if tags is not None and not tags.match(edited.etag):
        since = await versions_since(edited, tags)
        raise PreconditionFailed(str(edited.target), shown_tags(tags.strong), edited.version, edited.etag, since)


async def _edit(edited: Edited, edits: list[ImageSetEdit], options: Options) -> Answer:
    def answer(result: EditResult) -> Answer:
        return edit_answer(edited, result, options.force)

    if not edits:
        result = EditResult(edited.target.study, edited.study.version, changed=False, image_sets=())
    else:
        result = await edited.store.edit(
            Edit(
                datastore_id=edited.datastore_id,
                image_sets=tuple(edits),
                provenance=options.provenance,
                force=options.force,
                dry_run=options.dry_run,
                study_version=_study_version(edited, edits),
                idempotency=Idempotency(options.key, options.digest, answer) if options.key else None,
            )
        )
    if options.dry_run:
        body = encode_json(dry_run_json(edited, edits, result, options))
        return Answer(200, {"ETag": edited.etag, "Content-Type": JSON}, body)
    return answer(result)


def _study_version(edited: Edited, edits: list[ImageSetEdit]) -> int | None:
    """Return the study version an edit depends on.

    One of a whole study must not miss a series that came meanwhile. One of a series need not care, and a revert may be
    of image sets that are in another study now.
    """
    members = {member.image_set_id for member in edited.study.members}
    of_study = edited.member is None and all(edit.image_set_id in members for edit in edits)
    return edited.study.version if of_study else None
