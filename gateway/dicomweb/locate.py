"""Which image sets a retrieve is about, and in which versions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from starlette.requests import Request

from gateway.dicom.json_model import BulkUri
from gateway.dicom.part10 import PixelElement
from gateway.dicomweb.preconditions import image_set_etag, study_etag
from gateway.dicomweb.responses import Validators
from gateway.dicomweb.targets import Target, address_of, bulk_uri_of, datastore_of, requested_version, single, target_of
from gateway.errors import Gone, NotFound
from gateway.metadata.image_set import ImageSetMetadata
from gateway.state import State
from gateway.store.contents import ImageSetFiles, Member
from gateway.store.protocol import Store


@dataclass(frozen=True, slots=True)
class Located:
    """A resource in one version. members: the primary image sets it lies in; one for a series or an instance.

    version: the one asked for, None for the latest. image_set_id: what `?imageSetId=` says, "" without it.
    """

    store: Store
    datastore_id: str
    target: Target
    version: int | None
    members: tuple[Member, ...]
    etag: str
    updated_at: datetime
    image_set_id: str = ""

    @property
    def validators(self) -> Validators:
        return Validators(self.etag, self.updated_at)

    async def metadata(self, member: Member) -> ImageSetMetadata:
        """Return the metadata of an image set; of an instance, with that instance only. Raises NotFound."""
        metadata = await self.store.metadata(self.datastore_id, member.image_set_id, member.version, self._wanted)
        await self.check(member, metadata.instances)
        return metadata

    async def pixel_elements(self, member: Member) -> Mapping[str, PixelElement]:
        """Return which pixel data the same instances have; those without are left out."""
        return await self.store.pixel_elements(self.datastore_id, member.image_set_id, member.version, self._wanted)

    async def files(self, member: Member) -> ImageSetFiles:
        """Return the files of an image set; of an instance, that of this instance only. Raises NotFound."""
        files = await self.store.files(self.datastore_id, member.image_set_id, member.version, self._wanted)
        await self.check(member, files.instances)
        return files

    def address(self, root: str, member: Member, below: str = "") -> Callable[[str], str]:
        """Return what makes the address of an instance in an image set, or of what is below it, as `bulk_uri` does."""
        series = Target(self.target.study, member.series_instance_uid)
        return address_of(root, series, below, self.version and member.version, self.image_set_id)

    def bulk_uri(self, root: str, member: Member, uid: str) -> BulkUri:
        """Return what makes the address of a bulk value of an instance in an image set, in the version located."""
        target = Target(self.target.study, member.series_instance_uid, uid)
        return bulk_uri_of(root, target, self.version and member.version, self.image_set_id)

    @property
    def _wanted(self) -> set[str] | None:
        return {self.target.instance} if self.target.instance else None

    async def check(self, member: Member, found: Collection[object]) -> None:
        """Return if the instance was found, or none is meant. Raises NotFound, Gone for one that was deleted."""
        if not self.target.instance or found:
            return
        if self.version is not None:
            raise NotFound("instance", self.target.instance)
        raise await absent(self.store, self.datastore_id, member.image_set_id, self.target.instance)


async def absent(store: Store, datastore_id: str, image_set_id: str, uid: str) -> NotFound:
    """Return what to raise for an instance that an image set does not have: Gone if a version before the latest does.

    Looked at are the versions after which there were fewer instances.
    """
    versions = await store.versions(datastore_id, image_set_id)
    for after, before in pairwise(versions):
        if after.instance_count < before.instance_count and await store.objects(
            datastore_id, image_set_id, before.version, [uid]
        ):
            return Gone("instance", uid)
    return NotFound("instance", uid)


async def absent_series(store: Store, datastore_id: str, target: Target) -> NotFound:
    """Return what to raise for a series that a study does not have: Gone if a version of the study has it."""
    history = await store.study_versions(datastore_id, target.study)
    had = {member.series_instance_uid for study in history for member in study.members if member.is_primary}
    return (Gone if target.series in had else NotFound)("series", target.series)


async def locate(request: Request[State]) -> Located:
    """Return the resource of the path in the version of `?version=`, and in the image set of `?imageSetId=`.

    Raises InvalidUid, InvalidQuery, NotFound, and Gone for what a later version has no more.
    """
    store, target, version = request.state["store"], target_of(request), requested_version(request)
    datastore_id = await datastore_of(request)
    image_set_id = single(request, "imageSetId")
    if image_set_id is not None:
        return await _in_image_set(store, datastore_id, target, image_set_id, version)
    if target.level == "Study":
        study = await store.study(datastore_id, target.study, version)
        if not study.primary:
            raise Gone("study", target.study)
        etag = study_etag(study.version)
        return Located(store, datastore_id, target, version, study.primary, etag, study.updated_at)
    if version is None:
        member = await _latest(store, datastore_id, target)
    else:
        member = await _member_at(store, datastore_id, target, version)
    if member.state == "DELETED":
        raise Gone("series", target.series)
    etag = image_set_etag(member.image_set_id, member.version)
    return Located(store, datastore_id, target, version, (member,), etag, member.updated_at)


async def _in_image_set(
    store: Store, datastore_id: str, target: Target, image_set_id: str, version: int | None
) -> Located:
    """Return what an image set has of a resource, a primary one or not: HealthImaging's way to those that are not.

    Raises NotFound for an image set of another study or series, Gone for a deleted version.
    """
    found = await store.image_set(datastore_id, image_set_id, version)
    if found.study_instance_uid != target.study or target.series not in ("", found.series_instance_uid):
        raise NotFound(f"image set {image_set_id} of", str(target))
    if found.state == "DELETED":
        raise Gone("image set", image_set_id)
    member = Member(
        image_set_id, found.version, found.series_instance_uid, found.is_primary, found.state, found.updated_at
    )
    etag = image_set_etag(image_set_id, found.version)
    return Located(store, datastore_id, target, version, (member,), etag, found.updated_at, image_set_id)


async def _latest(store: Store, datastore_id: str, target: Target) -> Member:
    """Return the primary image set of a series, one that is not deleted if there is one. Raises NotFound, Gone."""
    members = (await store.study(datastore_id, target.study)).members
    found = [member for member in members if member.is_primary and member.series_instance_uid == target.series]
    if not found:
        raise await absent_series(store, datastore_id, target)
    return next((member for member in found if member.state != "DELETED"), found[-1])


async def _member_at(store: Store, datastore_id: str, target: Target, version: int) -> Member:
    """Return a version of a series' image set, by the series' UID then or now: an edit may have changed it.

    Raises NotFound.
    """
    history = [study.members for study in await store.study_versions(datastore_id, target.study)]
    members = [member for members in history for member in members if member.is_primary]
    named = {member.image_set_id for member in members if member.series_instance_uid == target.series}
    if not named:
        raise NotFound("series", target.series)
    found = [member for member in members if member.image_set_id in named and member.version == version]
    if not found:
        raise NotFound("version", f"{version} of series {target.series}")
    # Where the UID has been in use by two image sets, the one that had it in that version is meant.
    return next((member for member in found if member.series_instance_uid == target.series), found[0])
