"""Edits as PACS-style clients send them: DICOM JSON without pixel data, posted to /studies.

An attribute that is there is set, one that is left out stays. So a client can take a QIDO-RS result, change a value
and post it back: what QIDO computes is ignored, and what is as it was changes nothing. Each study is one edit, all of
it or nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateway.dicom.dataset import Dataset, MergePatch
from gateway.dicom.json_model import encode_json, to_json
from gateway.dicom.matching import Condition, Query
from gateway.dicom.query_string import FROM_INSTANCES
from gateway.dicomweb.edits import plans
from gateway.dicomweb.edits.by_level import SERIES_INSTANCE_UID, STUDY_INSTANCE_UID, agreed, split, target_named
from gateway.dicomweb.edits.carry_out import carry_out
from gateway.dicomweb.edits.edited import find_edited
from gateway.dicomweb.edits.plans import LevelEdit
from gateway.dicomweb.edits.request import Options, edit_options
from gateway.dicomweb.media_types import STORE_RESPONSE
from gateway.dicomweb.negotiation import JSON, negotiate
from gateway.dicomweb.problems import problem
from gateway.dicomweb.responses import warn
from gateway.dicomweb.stow.response import Failed, OtherStudy, Outcome, store_response, uid_of
from gateway.dicomweb.targets import Target, datastore_of, root_url
from gateway.dicomweb.wado.transfer_syntax import AVAILABLE_TRANSFER_SYNTAX_UID
from gateway.errors import (
    ConstraintViolations,
    GatewayError,
    IdempotencyConflict,
    InvalidDicomJson,
    InvalidHeader,
    NotFound,
    PreconditionFailed,
    StorageFailed,
)
from gateway.state import State
from gateway.store.contents import StoredInstance
from gateway.store.edits import Answer
from gateway.store.protocol import Store

# PS3.18 Tables 10.6.3-3 to -5 and PS3.4 C.6.1: what a QIDO-RS answer says and no instance has.
COMPUTED = frozenset(
    {
        "00080054",  # RetrieveAETitle
        "00080056",  # InstanceAvailability
        "00080061",  # ModalitiesInStudy
        "00080062",  # SOPClassesInStudy
        "00080201",  # TimezoneOffsetFromUTC
        "00081196",  # WarningReason
        "00081190",  # RetrieveURL
        AVAILABLE_TRANSFER_SYNTAX_UID,
        "00201200",  # NumberOfPatientRelatedStudies
        "00201202",  # NumberOfPatientRelatedSeries
        "00201204",  # NumberOfPatientRelatedInstances
        "00201206",  # NumberOfStudyRelatedSeries
        "00201208",  # NumberOfStudyRelatedInstances
        "00201209",  # NumberOfSeriesRelatedInstances
    }
)

# Servers and proxies take headers of some kilobytes. Whoever wants every violation asks with dryRun=true.
MAX_WARNINGS = 10
MAX_WARNING = 400


class NotStored(NotFound):
    """There is nothing there to edit, and metadata alone makes no instance."""


class NotAlone(GatewayError):
    """Another dataset of the same study was refused, and a study changes as a whole or not at all."""

    def __init__(self) -> None:
        super().__init__("another dataset of the same study was refused, so none of them was applied")


@dataclass(slots=True)
class _Posted:
    """One dataset of the body. path: where it stands. error: why it was not applied; answer: what it became."""

    path: str
    dataset: Dataset
    target: Target = Target("")
    sop_class_uid: str = ""
    error: GatewayError | None = None
    answer: Answer | None = None


async def stow_edit(
    request: Request[State], datasets: Sequence[Dataset], study: str | None, stored: Sequence[Outcome] = ()
) -> Response:
    """Return the Store Instances Response to datasets that edit what is stored: 200, 202 or 409.

    stored: what became of instances in the same body. With dryRun=true, the update documents. Raises what
    `edit_options` does, PreconditionFailed, IdempotencyConflict.
    """
    offer = negotiate(request, STORE_RESPONSE)[0].offer
    options = edit_options(request, encode_json([to_json(dataset) for dataset in datasets]))
    posted = [_read(f"$[{position}]", dataset, study or "") for position, dataset in enumerate(datasets)]
    by_study: dict[str, list[_Posted]] = {}
    for one in posted:
        if one.error is None:
            by_study.setdefault(one.target.study, []).append(one)
    if options.if_match is not None and len(by_study) > 1:
        raise InvalidHeader("If-Match", "names the version of one study, and the body is about several")
    store, datastore_id, root = request.state["store"], await datastore_of(request), root_url(request)
    for uid, group in by_study.items():
        of_study = replace(options, key=options.key and f"{options.key} {uid}")
        await _edit_study(store, datastore_id, Target(uid), group, of_study)
    if options.dry_run:
        return Response(encode_json(_dry_run_json(posted)), media_type=JSON)
    return warn(store_response([*stored, *map(_outcome, posted)], root, offer), root, _warnings(posted))


def _read(path: str, dataset: Dataset, study: str) -> _Posted:
    """Return a dataset with what it names; the study may be named by the path of the request instead."""
    if study and uid_of(dataset, STUDY_INSTANCE_UID) not in ("", study):
        return _Posted(path, dataset, error=OtherStudy())
    try:
        return _Posted(path, dataset, target_named({**dataset}, Target(study), path))
    except InvalidDicomJson as error:
        return _Posted(path, dataset, error=error)


async def _edit_study(
    store: Store, datastore_id: str, study: Target, posted: Sequence[_Posted], options: Options
) -> None:
    """Apply what was posted for one study as one edit, and note what became of each."""
    await _look_up(store, datastore_id, study, posted)
    known = [one for one in posted if one.error is None]
    if not known:
        return
    try:
        edits = agreed((one.path, edit) for one in known for edit in _edits(one))
        answer = await carry_out(store, datastore_id, study, plans.edit_attributes(edits), options)
    except (PreconditionFailed, IdempotencyConflict, StorageFailed):
        raise
    except ConstraintViolations as error:
        for one in known:
            one.error = _own_violations(one.target, error) or NotAlone()
    except GatewayError as error:
        for one in known:
            one.error = error
    else:
        for one in known:
            one.answer = answer


async def _look_up(store: Store, datastore_id: str, study: Target, posted: Sequence[_Posted]) -> None:
    """Note the SOP Class of the instances posted, and of what is not stored that it is not."""
    try:
        edited = await find_edited(store, datastore_id, study)
    except NotFound as error:
        for one in posted:
            one.error = NotStored(error.kind, error.name)
        return
    members = {member.series_instance_uid: member for member in edited.study.primary}
    for series in dict.fromkeys(one.target.series for one in posted if one.target.series):
        group = [one for one in posted if one.target.series == series]
        uids = {one.target.instance for one in group if one.target.instance}
        found = (await edited.metadata(members[series], uids)).instances if series in members else {}
        for one in group:
            if series not in members:
                one.error = NotStored("series", series)
            elif one.target.instance and one.target.instance not in found:
                one.error = NotStored("instance", one.target.instance)
            elif one.target.instance:
                one.sop_class_uid = str(found[one.target.instance]["DICOM"].get("SOPClassUID") or "")
            elif FROM_INSTANCES & one.dataset.keys():
                shown = await _shown_of_instances(store, datastore_id, one.target)
                one.dataset = {tag: element for tag, element in one.dataset.items() if shown.get(tag) != element}


async def _shown_of_instances(store: Store, datastore_id: str, series: Target) -> Dataset:
    """Return what a search shows of a series and HealthImaging keeps with its instances: posted back, it is no edit."""
    uids = {STUDY_INSTANCE_UID: series.study, SERIES_INSTANCE_UID: series.series}
    conditions = tuple(Condition((tag,), "UI", "uids", (uid,)) for tag, uid in uids.items())
    query = Query("Series", conditions, include=tuple((tag,) for tag in FROM_INSTANCES), wanted=FROM_INSTANCES)
    matches = (await store.search(datastore_id, query)).matches
    return {tag: element for match in matches for tag, element in match.dataset.items() if tag in FROM_INSTANCES}


def _edits(one: _Posted) -> list[LevelEdit]:
    patch: MergePatch = {tag: element for tag, element in one.dataset.items() if tag not in COMPUTED}
    return split(one.target, patch)


def _own_violations(target: Target, error: ConstraintViolations) -> ConstraintViolations | None:
    """Return the violations that are a dataset's own, or that every dataset of its study or series has."""
    own = [
        violation
        for violation in error.violations
        if violation.series_instance_uid in (None, target.series)
        and violation.sop_instance_uid in (None, target.instance)
    ]
    return ConstraintViolations(own) if own else None


def _outcome(one: _Posted) -> Outcome:
    """Return the outcome as the Store Instances Response has it; of a study or a series it has no SOP UIDs."""
    if one.error is not None:
        return Failed(one.error, one.dataset)
    return StoredInstance(
        sop_class_uid=one.sop_class_uid,
        sop_instance_uid=one.target.instance,
        study_instance_uid=one.target.study,
        series_instance_uid=one.target.series,
    )


def _warnings(posted: Sequence[_Posted]) -> list[str]:
    """Return why datasets were refused, as far as a header can hold it: the response has room for a code only."""
    texts = [str(one.error).replace('"', "'").encode("ascii", "replace").decode() for one in posted if one.error]
    shown = [text if len(text) <= MAX_WARNING else text[:MAX_WARNING] + " ..." for text in texts]
    return list(dict.fromkeys(shown))[:MAX_WARNINGS]


def _dry_run_json(posted: Sequence[_Posted]) -> dict[str, Any]:
    studies = {one.target.study: json.loads(one.answer.body) for one in posted if one.answer is not None}
    refused = [{"dataset": one.path, **problem(one.error)} for one in posted if one.error is not None]
    return {"dryRun": True, "studies": list(studies.values()), "refused": refused}
