"""What an edit would do to each image set of a study: DICOMweb's targets turned into the store's `ImageSetEdit`s.

A plan is made from the versions that were edited, and made again if they have changed meanwhile. What a client sends
and the image set has already is left out of it, so that the update says what changes and no more.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from gateway.dicom.dataset import BulkData, Dataset, Element, MergePatch, Scalar, Tag
from gateway.dicom.dictionary import PIXEL_DATA, key_of
from gateway.dicom.levels import level_of
from gateway.dicomweb.edits.edited import Edited
from gateway.dicomweb.edits.own_pixels import OwnPixels, pixels_named
from gateway.dicomweb.targets import Target
from gateway.dicomweb.wado.transfer_syntax import AVAILABLE_TRANSFER_SYNTAX_UID
from gateway.errors import ConstraintViolations, InvalidDicomJson, Level, NotFound, Violation
from gateway.metadata.diff import same_element
from gateway.metadata.image_set import Delete, ImageSetMetadata, InstanceMetadata, MetadataUpdates, Revert
from gateway.metadata.mapping import UPDATE_SCHEMA_VERSION, LevelPatch, to_dataset, to_updates
from gateway.metadata.pixel_description import PIXEL_DESCRIPTION_TAGS
from gateway.store.contents import Member
from gateway.store.edits import ImageSetEdit

Plan: TypeAlias = Callable[[Edited], Awaitable[list[ImageSetEdit]]]

# A dataset that takes the place of another keeps these: a client does not see them as they are stored, or no edit may
# remove them.
_KEPT: frozenset[Tag] = PIXEL_DESCRIPTION_TAGS | {"00080005", "00080018", "0020000D", "0020000E"}

# Comparing more datasets than this with what is stored leaves the event loop: it takes longer than a thread's hop.
EDITS_ON_LOOP = 32

_BULK_URL = re.compile(
    r"/studies/([0-9.]+)/series/([0-9.]+)/instances/[0-9.]+/bulkdata/([0-9a-f]{32})(?:\?version=\d+)?\Z"
)


@dataclass(frozen=True, slots=True)
class LevelEdit:
    """A patch of one level, or with `whole` a dataset in place of what is there. The UIDs are those before the edit."""

    level: Level
    patch: MergePatch
    series: str = ""
    instance: str = ""
    whole: bool = False


# -- attributes


def edit_attributes(edits: Sequence[LevelEdit]) -> Plan:
    """Return the plan that sets and removes attributes.

    Raises NotFound for a series or an instance the study does not have, InvalidDicomJson for a BulkDataURI that is not
    one of the image set's own.
    """

    async def plan(edited: Edited) -> list[ImageSetEdit]:
        for series in dict.fromkeys(edit.series for edit in edits if edit.series):
            if series not in {member.series_instance_uid for member in edited.study.primary}:
                raise NotFound("series", series)
        return [await _edit_of(edited, member, mine) for member, mine in _by_image_set(edited, edits)]

    return plan


def _by_image_set(edited: Edited, edits: Sequence[LevelEdit]) -> Iterable[tuple[Member, list[LevelEdit]]]:
    """Yield the image sets touched, each with its edits: what is of Patient or Study level is for all of them."""
    for member in edited.study.primary:
        mine = [edit for edit in edits if edit.series in ("", member.series_instance_uid)]
        if mine:
            yield member, mine


async def _edit_of(edited: Edited, member: Member, edits: Sequence[LevelEdit]) -> ImageSetEdit:
    instances = {edit.instance for edit in edits if edit.instance}
    stored = await edited.metadata(member, instances)
    for uid in sorted(instances - stored.instances.keys()):
        raise NotFound("instance", uid)
    edits = [_without_computed(edit, stored.instances.get(edit.instance)) for edit in edits]
    if any(edit.instance and pixels_named(edit.patch) for edit in edits):
        pixels = OwnPixels(edited, member, instances)
        edits = [
            replace(edit, patch=await pixels.left_out(edit.patch, edit.instance)) if edit.instance else edit
            for edit in edits
        ]
    sent = [
        replace(edit, patch=await _with_own_bulk_data(edit.patch, edited, member))
        if any(element and _has_bulk_data(element) for element in edit.patch.values())
        else edit
        for edit in edits
    ]
    large = len(edits) > EDITS_ON_LOOP
    updates = await asyncio.to_thread(_updates, sent, stored) if large else _updates(sent, stored)
    return ImageSetEdit(member.image_set_id, member.version, updates)


def _without_computed(edit: LevelEdit, instance: InstanceMetadata | None) -> LevelEdit:
    """Return an edit without what metadata say of an instance that does not say it itself: they may be sent back."""
    computed = AVAILABLE_TRANSFER_SYNTAX_UID
    if computed not in edit.patch or instance is None or key_of(computed) in instance["DICOM"]:
        return edit
    return replace(edit, patch={tag: element for tag, element in edit.patch.items() if tag != computed})


def _updates(edits: Sequence[LevelEdit], stored: ImageSetMetadata) -> MetadataUpdates:
    """Return the update of one image set that the edits come to."""
    patches = [
        LevelPatch(edit.level, what_changes(edit, _stored_dataset(stored, edit)), edit.series, edit.instance)
        for edit in edits
    ]
    return to_updates(patches)


def what_changes(edit: LevelEdit, stored: Dataset) -> MergePatch:
    """Return the part of an edit that is not so already; with `whole`, the removal of what it leaves out as well.

    What is of another level than the edit stays in, for the constraints to refuse.
    """
    patch: MergePatch = {}
    if edit.whole:
        unnamed = stored.keys() - edit.patch.keys() - _KEPT
        patch |= {tag: None for tag in sorted(unnamed) if not tag.startswith("0002")}
    for tag, element in edit.patch.items():
        if tag in stored:
            same = element is not None and same_element(_by_number(element), _by_number(stored[tag]))
        else:
            # Pixel data are never in what is stored of a level, and an instance that has them keeps them.
            same = element is None and level_of(tag) == edit.level and tag not in PIXEL_DATA
        if not same:
            patch[tag] = element
    return dict(sorted(patch.items()))


def _by_number(element: Element) -> Element:
    """Return an element with its decimal and integer strings as the numbers they are, in sequences too.

    Most clients read 0.700000 as a number and send 0.7 back: the same value, and nobody's edit.
    """
    if element.items:
        return replace(
            element, items=tuple({tag: _by_number(found) for tag, found in item.items()} for item in element.items)
        )
    if element.vr in ("DS", "IS"):
        return replace(element, values=tuple(map(_number, element.values)))
    return element


def _number(text: Scalar) -> str:
    try:
        return repr(float(text))
    except ValueError:
        return str(text)


def _stored_dataset(stored: ImageSetMetadata, edit: LevelEdit) -> Dataset:
    """Return what is stored of what the edit may change: with `whole` the level, else the attributes it names."""
    level = stored.instances[edit.instance] if edit.level == "Instance" else stored.head.level(edit.level)
    if edit.whole:
        return to_dataset(level)
    named = {key: level["DICOM"][key] for key in map(key_of, edit.patch) if key in level["DICOM"]}
    return to_dataset({"DICOM": named, "DICOMVRs": level.get("DICOMVRs", {})})


def _has_bulk_data(element: Element) -> bool:
    return isinstance(element.binary, BulkData) or any(
        _has_bulk_data(found) for item in element.items for found in item.values()
    )


async def _with_own_bulk_data(patch: MergePatch, edited: Edited, member: Member) -> MergePatch:
    """Return the patch with the URLs of bulk data turned into their names in the image set.

    Nothing is ever fetched: a path is compared with those this gateway gives for the same series. Whatever host stands
    before it is left out: clients get metadata at one address and send them to another, and the name is the bytes'.
    """

    async def own(bulk: BulkData, tag: Tag) -> BulkData:
        match = _BULK_URL.search(bulk.uri)
        if match and match[1] == edited.study.study_instance_uid and match[2] == member.series_instance_uid:
            try:
                address = await edited.store.bulk_data(edited.datastore_id, member.image_set_id, match[3])
            except NotFound:
                pass
            else:
                return BulkData(match[3], address.length)
        raise InvalidDicomJson(
            f"$.{tag}.BulkDataURI", "is not the address of bulk data that the same series has here: send InlineBinary"
        )

    async def resolved(element: Element, tag: Tag) -> Element:
        if isinstance(element.binary, BulkData):
            return replace(element, binary=await own(element.binary, tag))
        if element.items:
            items = [{inner: await resolved(found, inner) for inner, found in item.items()} for item in element.items]
            return replace(element, items=tuple(items))
        return element

    return {tag: element and await resolved(element, tag) for tag, element in patch.items()}


# -- whole image sets


async def delete(edited: Edited) -> list[ImageSetEdit]:
    """Plan the deletion of the target: an image set's next version is deleted, or is without the instance.

    Image sets that DICOMweb does not see go with the study or series they are of.
    """
    target = edited.target
    if target.level == "Instance":
        assert edited.member is not None
        return [ImageSetEdit(edited.member.image_set_id, edited.member.version, _without_instance(target))]
    return [
        ImageSetEdit(member.image_set_id, member.version, Delete())
        for member in edited.study.members
        if member.state != "DELETED" and target.series in ("", member.series_instance_uid)
    ]


def _without_instance(target: Target) -> MetadataUpdates:
    study: dict[str, Any] = {"Series": {target.series: {"Instances": {target.instance: {}}}}}
    return MetadataUpdates(removable={"SchemaVersion": UPDATE_SCHEMA_VERSION, "Study": study})


def revert(to: int) -> Plan:
    """Return the plan that brings back version `to`, in the target's own numbers. Raises NotFound for no version."""

    async def plan(edited: Edited) -> list[ImageSetEdit]:
        if edited.target.level == "Instance":
            return [await _revert_instance(edited, to)]
        if edited.member is not None:
            properties = await edited.store.image_set(edited.datastore_id, edited.member.image_set_id, to)
            return _revert_image_set(edited.member, to, deleted=properties.state == "DELETED")
        return await _revert_study(edited, to)

    return plan


async def _revert_study(edited: Edited, to: int) -> list[ImageSetEdit]:
    """Return the edits that make a study what it was: image sets that came since go, and those that went come back."""
    wanted = await edited.store.study(edited.datastore_id, edited.target.study, to)
    then = {member.image_set_id: member for member in wanted.members}
    now = list(edited.study.members)
    for image_set_id in then.keys() - {member.image_set_id for member in now}:
        now.append((await edited.store.image_set(edited.datastore_id, image_set_id)).member)
    edits: list[ImageSetEdit] = []
    for member in now:
        was = then.get(member.image_set_id)
        if was is None:
            edits += _revert_image_set(member, 0, deleted=True)
        else:
            edits += _revert_image_set(member, was.version, deleted=was.state == "DELETED")
    return edits


def _revert_image_set(member: Member, to: int, *, deleted: bool) -> list[ImageSetEdit]:
    """Return the edit that makes an image set as it was in version `to`; none where it is so already."""
    if deleted:
        is_so = member.state == "DELETED"
        return [] if is_so else [ImageSetEdit(member.image_set_id, member.version, Delete())]
    if to == member.version:
        return []
    return [ImageSetEdit(member.image_set_id, member.version, Revert(to))]


async def _revert_instance(edited: Edited, to: int) -> ImageSetEdit:
    """Return the edit that gives an instance the attributes of its own level that it had; the constraints see it.

    Raises NotFound where one of the versions has no such instance, ConstraintViolations where its pixels were others:
    only a revert of the series brings those back.
    """
    target, member = edited.target, edited.member
    assert member is not None
    then = await edited.store.metadata(edited.datastore_id, member.image_set_id, to, {target.instance})
    now = await edited.metadata(member, {target.instance})
    for version, metadata in ((to, then), (member.version, now)):
        if target.instance not in metadata.instances:
            raise NotFound("instance", f"{target.instance} in version {version}")
    await _check_same_pixels(edited, member, to)
    patch: MergePatch = {**to_dataset(then.instances[target.instance])}
    edit = LevelEdit("Instance", patch, target.series, target.instance, whole=True)
    changes = what_changes(edit, to_dataset(now.instances[target.instance]))
    updates = to_updates([LevelPatch("Instance", changes, target.series, target.instance)])
    return ImageSetEdit(member.image_set_id, member.version, updates)


async def _check_same_pixels(edited: Edited, member: Member, to: int) -> None:
    digests = set()
    for version in (to, member.version):
        found = await edited.store.objects(edited.datastore_id, member.image_set_id, version, {edited.target.instance})
        digests.add(found[edited.target.instance].sha256)
    if len(digests) > 1:
        raise ConstraintViolations(
            [
                Violation(
                    rule="pixel-description",
                    level="Instance",
                    message=f"version {to} of the instance has other pixels: revert the series to bring them back",
                    force_lifts=False,
                    series_instance_uid=edited.target.series,
                    sop_instance_uid=edited.target.instance,
                )
            ]
        )
