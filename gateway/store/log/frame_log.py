"""What is kept of image frames: generated once from the stored bytes, and always to be had again from them.

It stands beside the versions and is no part of them. A part never changes, so one with its frames in it never does
either. tests/store/frames_suite.py is the contract.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from gateway.store.blobs.protocol import Address
from gateway.store.contents import StoredObject
from gateway.store.log.parts import Part

# What stands beside DICOM in an instance of the metadata document: StoredTransferSyntaxUID, ChecksumType, ImageFrames.
Generated: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class KeptFrame:
    """An image frame of an image set, and where it comes from. number: in the object, from 1.

    as_stored: whether it is served as it lies in the object. encoded: where it lies else, if it was encoded before.
    """

    image_frame_id: str
    object_number: int
    stored: StoredObject
    number: int
    transfer_syntax_uid: str
    as_stored: bool
    encoded: Address | None = None


@dataclass(frozen=True, slots=True)
class NewFrames:
    """What was generated for a stored object of an image set. frames: ID, number, of each."""

    generated: Generated
    transfer_syntax_uid: str
    as_stored: bool
    frames: Sequence[tuple[str, int]]


class FrameLog(Protocol):
    """All methods raise NotFound for an image set that does not exist, StorageFailed or StorageFull."""

    async def framed_parts(self, datastore_id: str, image_set_id: str, numbers: Collection[int]) -> dict[int, Part]:
        """Return those of the parts that are kept with their frames, by number."""

    async def generated(self, datastore_id: str, image_set_id: str, objects: Collection[int]) -> dict[int, Generated]:
        """Return what is kept of stored objects, by number."""

    async def keep(
        self, datastore_id: str, image_set_id: str, new: Mapping[int, NewFrames], framed: Mapping[int, Part]
    ) -> None:
        """Keep what was generated for objects and parts, by number. What is kept already stays as it is."""

    async def find(self, datastore_id: str, image_set_id: str, image_frame_id: str) -> KeptFrame | None:
        """Return an image frame, None where none is kept under the ID. Raises Gone for a deleted image set."""

    async def unencoded(
        self, datastore_id: str, image_set_id: str, after: tuple[int, int], limit: int
    ) -> list[KeptFrame]:
        """Return frames that were never encoded and have to be, after an object and a frame number, in that order."""

    async def keep_encoded(self, frames: Mapping[str, StoredObject], transfer_syntax_uid: str) -> None:
        """Keep where frames lie encoded, by ID."""
