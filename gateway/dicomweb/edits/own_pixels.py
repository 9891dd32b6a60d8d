"""Pixel data in an edit: metadata that were retrieved come back with their address, and that changes nothing.

Any other address is refused, but for its host: the gateway may have another name where the edit is sent. Nothing is
ever fetched.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from gateway.dicom.dataset import BulkData, MergePatch, Tag
from gateway.dicom.dictionary import PIXEL_DATA
from gateway.dicom.part10 import NO_PIXELS, PixelElement
from gateway.dicomweb.edits.edited import Edited
from gateway.errors import Gone, InvalidDicomJson, NotFound
from gateway.store.contents import Member

_PIXEL_URL = re.compile(
    r"/studies/([0-9.]+)/series/([0-9.]+)/instances/([0-9.]+)/bulkdata/([0-9A-F]{8})(?:\?version=([0-9]{1,18}))?\Z"
)


def pixels_named(patch: MergePatch) -> set[Tag]:
    """Return the kinds of pixel data that a patch has by their address."""
    return {tag for tag in PIXEL_DATA & patch.keys() if (one := patch[tag]) and isinstance(one.binary, BulkData)}


@dataclass(slots=True)
class OwnPixels:
    """The pixel data of instances of an image set. uids: of which instances."""

    edited: Edited
    member: Member
    uids: Collection[str]
    found: Mapping[str, PixelElement] | None = field(default=None, init=False)

    async def left_out(self, patch: MergePatch, uid: str) -> MergePatch:
        """Return the patch of an instance without the pixel data that it leaves as they are.

        Raises InvalidDicomJson for the address of other pixels than it has.
        """
        named = pixels_named(patch)
        for tag in sorted(named):
            element = patch[tag]
            assert element and isinstance(element.binary, BulkData)
            if not await self._is_own(element.binary.uri, tag, uid):
                reason = "is not the address that the metadata of this instance have, and no edit changes its pixels"
                raise InvalidDicomJson(f"$.{tag}.BulkDataURI", reason)
        return {tag: element for tag, element in patch.items() if tag not in named}

    async def _is_own(self, uri: str, tag: Tag, uid: str) -> bool:
        match = _PIXEL_URL.search(uri)
        own = self.edited.study.study_instance_uid, self.member.series_instance_uid, uid, tag
        if match is None or match.groups()[:4] != own:
            return False
        if (await self._pixel_elements()).get(uid, NO_PIXELS).tag != tag:
            return False
        return match[5] is None or await self._same_file(uid, int(match[5]))

    async def _pixel_elements(self) -> Mapping[str, PixelElement]:
        if self.found is None:
            at = self.edited.datastore_id, self.member.image_set_id, self.member.version
            self.found = await self.edited.store.pixel_elements(*at, self.uids)
        return self.found

    async def _same_file(self, uid: str, version: int) -> bool:
        """Whether the pixels of an instance are those it had in a version: it may have been stored once more since."""
        if version == self.member.version:
            return True
        store, at = self.edited.store, (self.edited.datastore_id, self.member.image_set_id)
        try:
            then, now = [await store.objects(*at, one, {uid}) for one in (version, self.member.version)]
        except (NotFound, Gone):
            return False
        return uid in then and then[uid].sha256 == now[uid].sha256
