"""Moving a study or a series: `POST …/move` with a dataset of the identifiers it is to have.

A move is an edit of UIDs, so the constraints on UIDs decide about it: it needs `force=true`. Into a study that is
there already a series or study comes as a part of that study: with that study's Patient and Study attributes, for the
series of a study agree in them. Where there is none, the attributes are its own and those the dataset names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.dicom.dataset import Dataset, Element, MergePatch
from gateway.dicom.json_model import parse_dataset
from gateway.dicom.levels import level_of
from gateway.dicom.values import value_problems
from gateway.dicomweb import plans
from gateway.dicomweb.carry_out import carry_out
from gateway.dicomweb.edit_request import DATASET_TYPES, receive
from gateway.dicomweb.edited import Edited
from gateway.dicomweb.level_edits import SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID
from gateway.dicomweb.plans import LevelEdit, Plan
from gateway.dicomweb.problems import endpoint
from gateway.dicomweb.targets import Target, datastore_of, root_url, target_of
from gateway.errors import InvalidDicomJson, Level, NotFound
from gateway.metadata.image_set import Head
from gateway.metadata.mapping import LevelPatch, to_dataset, to_updates
from gateway.state import State
from gateway.store.protocol import ImageSetEdit, Store

_UPPER: tuple[Level, ...] = ("Patient", "Study")


@endpoint
async def move(request: Request[State]) -> Response:
    """Give a study or series other identifiers, and with them another place."""
    target = target_of(request)
    received = await receive(request, DATASET_TYPES)
    dataset = await received.parsed(parse_dataset)
    check_identifiers(dataset, target)
    store, datastore_id = request.state["store"], await datastore_of(request)
    plan = plan_move(dataset, root_url(request))
    done = await carry_out(store, datastore_id, target, plan, received.options)
    return Response(done.body, done.status, dict(done.headers))


def check_identifiers(dataset: Dataset, target: Target) -> None:
    """Return if the dataset says where the target is to go. Raises InvalidDicomJson."""
    wanted = (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID) if target.series else (STUDY_INSTANCE_UID,)
    for tag, element in dataset.items():
        if tag in wanted and (len(element.values) != 1 or value_problems(element)):
            raise InvalidDicomJson(f"$.{tag}", "is not one UID as PS3.5 9.1 has it")
        if tag not in wanted and (tag in (SERIES_INSTANCE_UID, SOP_INSTANCE_UID) or level_of(tag) not in _UPPER):
            raise InvalidDicomJson(f"$.{tag}", f"is not where a {target.level.lower()} is: a move leaves it as it is")
    if not dataset:
        raise InvalidDicomJson("$", "names no identifier: a move says where to")
    if target.series and not dataset.keys() & set(wanted):
        raise InvalidDicomJson(f"$.{STUDY_INSTANCE_UID}", "is missing: it says which study the series goes to")


def plan_move(dataset: Dataset, root: str) -> Plan:
    """Return the plan that moves the target. root: as for `plans.edit_attributes`.

    Raises InvalidDicomJson for attributes of a study that has its own, and of the study a series stays in.
    """

    async def plan(edited: Edited) -> list[ImageSetEdit]:
        study = str(dataset[STUDY_INSTANCE_UID].values[0]) if STUDY_INSTANCE_UID in dataset else ""
        stays = study in ("", edited.study.study_instance_uid)
        joined = None if stays else await _head_of(edited.store, edited.datastore_id, study)
        if joined or (stays and edited.member):
            _check_no_attributes(dataset)
        upper = _joined(joined) if joined else _edits(dataset)
        series = edited.member.series_instance_uid if edited.member else ""
        edits = await plans.edit_attributes([*upper, *_series_edit(dataset, series)], root)(_narrowed(edited))
        return edits if stays or edited.member else [*edits, *_unseen(edited, dataset[STUDY_INSTANCE_UID])]

    return plan


async def _head_of(store: Store, datastore_id: str, study: str) -> Head | None:
    """Return Patient and Study of the study there is, None where there is none or it was deleted."""
    try:
        found = await store.study(datastore_id, study)
    except NotFound:
        return None
    if not found.primary:
        return None
    member = found.primary[0]
    return (await store.metadata(datastore_id, member.image_set_id, member.version, ())).head


def _check_no_attributes(dataset: Dataset) -> None:
    for tag in dataset:
        if tag not in (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID):
            raise InvalidDicomJson(f"$.{tag}", "is of the study it goes to, which has its own: edit that study")


def _joined(head: Head) -> list[LevelEdit]:
    """Return the edits that make Patient and Study those of another study, its UID included."""
    return [LevelEdit(level, {**to_dataset(head.level(level))}, whole=True) for level in _UPPER]


def _edits(dataset: Dataset) -> list[LevelEdit]:
    by_level: dict[Level, MergePatch] = {}
    for tag, element in dataset.items():
        if tag != SERIES_INSTANCE_UID:
            by_level.setdefault(level_of(tag), {})[tag] = element
    return [LevelEdit(level, by_level[level]) for level in _UPPER if level in by_level]


def _series_edit(dataset: Dataset, series: str) -> list[LevelEdit]:
    found = {tag: element for tag, element in dataset.items() if tag == SERIES_INSTANCE_UID}
    return [LevelEdit("Series", {**found}, series)] if found else []


def _narrowed(edited: Edited) -> Edited:
    """Return what is edited with the image sets that move and no other: of a series, its own."""
    if edited.member is None:
        return edited
    return replace(edited, study=replace(edited.study, members=(edited.member,)))


def _unseen(edited: Edited, study: Element) -> Sequence[ImageSetEdit]:
    """Return the edits of image sets that are not primary: they go with their study, and keep what sets them apart."""
    updates = to_updates([LevelPatch("Study", {STUDY_INSTANCE_UID: study})])
    return [
        ImageSetEdit(member.image_set_id, member.version, updates)
        for member in edited.study.members
        if not member.is_primary and member.state != "DELETED"
    ]


routes: list[Route] = [
    Route("/studies/{study}/move", move, methods=["POST"]),
    Route("/studies/{study}/series/{series}/move", move, methods=["POST"]),
]
