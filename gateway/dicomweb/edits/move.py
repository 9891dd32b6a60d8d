"""Moving a study, a series or an instance: `POST …/move` with a dataset of the identifiers it is to have.

A move is an edit of UIDs, so the constraints on UIDs decide about it: it needs `force=true`. Into a study that is
there already it comes as a part of that study: with that study's Patient and Study attributes, for the series of a
study agree in them. Where there is none, the attributes are its own and those the dataset names. Either is decided by
the version that the other study has; if that changes meanwhile, it is decided again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.dicom.dataset import Dataset, Element, MergePatch, Tag
from gateway.dicom.json_model import parse_dataset
from gateway.dicom.levels import level_of
from gateway.dicom.values import value_problems
from gateway.dicomweb.edits import plans
from gateway.dicomweb.edits.by_level import SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID
from gateway.dicomweb.edits.carry_out import carry_out
from gateway.dicomweb.edits.edited import Edited
from gateway.dicomweb.edits.plans import LevelEdit, Plan
from gateway.dicomweb.edits.request import DATASET_TYPES, receive
from gateway.dicomweb.problems import endpoint
from gateway.dicomweb.targets import Target, datastore_of, target_of
from gateway.errors import Gone, InvalidDicomJson, Level, NotFound
from gateway.metadata.image_set import Head
from gateway.metadata.mapping import LevelPatch, to_dataset, to_head, to_updates
from gateway.state import State
from gateway.store.contents import Member, StudyVersion
from gateway.store.edits import Destination, ImageSetEdit, Move
from gateway.store.protocol import Store

_UPPER: tuple[Level, ...] = ("Patient", "Study")


@endpoint
async def move(request: Request[State]) -> Response:
    """Give a study, series or instance other identifiers, and with them another place."""
    target = target_of(request)
    received = await receive(request, DATASET_TYPES)
    dataset = await received.parsed(parse_dataset)
    check_identifiers(dataset, target)
    store, datastore_id = request.state["store"], await datastore_of(request)
    plan = (plan_instance_move if target.instance else plan_move)(dataset)
    done = await carry_out(store, datastore_id, target, plan, received.options)
    return Response(done.body, done.status, dict(done.headers))


# What says where a study, a series or an instance is.
_PLACE: dict[Level, tuple[Tag, ...]] = {
    "Study": (STUDY_INSTANCE_UID,),
    "Series": (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID),
    "Instance": (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID),
}


def check_identifiers(dataset: Dataset, target: Target) -> None:
    """Return if the dataset says where the target is to go. Raises InvalidDicomJson."""
    wanted = _PLACE[target.level]
    for tag, element in dataset.items():
        if tag in wanted and (len(element.values) != 1 or value_problems(element)):
            raise InvalidDicomJson(f"$.{tag}", "is not one UID as PS3.5 9.1 has it")
        if tag not in wanted and (tag in _PLACE["Instance"] or level_of(tag) not in _UPPER):
            raise InvalidDicomJson(f"$.{tag}", f"is not where a {target.level.lower()} is: a move leaves it as it is")
    if not dataset:
        raise InvalidDicomJson("$", "names no identifier: a move says where to")
    if target.series and not dataset.keys() & set(wanted[:2]):
        missing = STUDY_INSTANCE_UID if target.level == "Series" else SERIES_INSTANCE_UID
        raise InvalidDicomJson(f"$.{missing}", f"is missing: it says where the {target.level.lower()} goes to")


def plan_move(dataset: Dataset) -> Plan:
    """Return the plan that moves the target.

    Raises InvalidDicomJson for attributes of a study that has its own, and of the study a series stays in.
    """

    async def plan(edited: Edited) -> list[ImageSetEdit]:
        study = _uid(dataset, STUDY_INSTANCE_UID, edited.study.study_instance_uid)
        stays = study == edited.study.study_instance_uid
        joined = None if stays else await _joined_study(edited.store, edited.datastore_id, study)
        head = await _head_of(edited, joined.primary[0]) if joined and joined.primary else None
        if head or (stays and edited.member):
            _check_no_attributes(dataset)
        upper = _joined(head) if head else _edits(dataset)
        series = edited.member.series_instance_uid if edited.member else ""
        edits = await plans.edit_attributes([*upper, *_series_edit(dataset, series)])(_narrowed(edited))
        if stays:
            return edits
        unseen = [] if edited.member else _unseen(edited, dataset[STUDY_INSTANCE_UID])
        return [replace(edit, joins=(study, joined.version if joined else 0)) for edit in [*edits, *unseen]]

    return plan


def plan_instance_move(dataset: Dataset) -> Plan:
    """Return the plan that moves an instance, into a series there is or into a new one.

    Raises InvalidDicomJson for attributes of a study that has its own.
    """

    async def plan(edited: Edited) -> list[ImageSetEdit]:
        assert edited.member is not None
        target = edited.target
        study = _uid(dataset, STUDY_INSTANCE_UID, target.study)
        series = _uid(dataset, SERIES_INSTANCE_UID, target.series)
        instance = _uid(dataset, SOP_INSTANCE_UID, target.instance)
        stays = study == target.study
        if stays:
            _check_no_attributes(dataset)
        if stays and series == target.series:
            patch: MergePatch = {tag: dataset[tag] for tag in dataset if tag == SOP_INSTANCE_UID}
            edit = LevelEdit("Instance", patch, target.series, target.instance)
            return await plans.edit_attributes([edit])(edited) if patch else []
        joined = edited.study if stays else await _joined_study(edited.store, edited.datastore_id, study)
        member = next((one for one in joined.primary if one.series_instance_uid == series), None) if joined else None
        if joined and joined.primary:
            _check_no_attributes(dataset)
        head = await _head_of(edited, member) if member else await _new_head(edited, joined, dataset, series)
        to = Destination(member.image_set_id, member.version) if member else None
        move = Move(target.instance, instance, head, to)
        joins = (study, joined.version if joined else 0)
        return [ImageSetEdit(edited.member.image_set_id, edited.member.version, move, joins)]

    return plan


def _uid(dataset: Dataset, tag: Tag, otherwise: str) -> str:
    return str(dataset[tag].values[0]) if tag in dataset else otherwise


async def _joined_study(store: Store, datastore_id: str, study: str) -> StudyVersion | None:
    """Return the study with a UID as it is now, deleted or not; None where there never was one."""
    try:
        return await store.study(datastore_id, study)
    except Gone:
        return (await store.study_versions(datastore_id, study))[0]
    except NotFound:
        return None


async def _head_of(edited: Edited, member: Member) -> Head:
    """Return Patient, Study and Series of an image set, of another study as well."""
    return (await edited.metadata(member)).head


async def _new_head(edited: Edited, joined: StudyVersion | None, dataset: Dataset, series: str) -> Head:
    """Return the head of a new series: its study's, or what the instance had with what the dataset names in place."""
    assert edited.member is not None
    own = await _head_of(edited, edited.member)
    renamed = to_dataset(own.series) | {SERIES_INSTANCE_UID: Element("UI", (series,))}
    if joined and joined.primary:
        above = await _head_of(edited, joined.primary[0])
        return replace(above, series=to_head(renamed).series)
    return to_head({**to_dataset(own.patient, own.study), **dataset, **renamed})


def _check_no_attributes(dataset: Dataset) -> None:
    for tag in dataset:
        if tag not in _PLACE["Instance"]:
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
    return replace(edited, study=edited.study._replace(members=(edited.member,)))


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
    Route("/studies/{study}/series/{series}/instances/{instance}/move", move, methods=["POST"]),
]
