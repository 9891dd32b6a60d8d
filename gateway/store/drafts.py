"""The next version of an image set while it is being made.

A draft unpacks only the parts it touches; those it leaves alone go into the new version's manifest by their number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.metadata.image_set import Head, InstanceMetadata
from gateway.store.blobs.protocol import Address
from gateway.store.contents import ChangeSummary, ImageSetState, StoredObject
from gateway.store.log.appends import NewVersion
from gateway.store.log.contents import CurrentImageSet
from gateway.store.log.heads import pack_head, unpack_head
from gateway.store.log.manifest import NO_PART, Manifest, PartReference
from gateway.store.log.parts import Part, PlacedInstance, pack_part, pack_parts, reference, unpack_part
from gateway.store.study_rows import Occasion, image_set_columns


class Draft:
    """The next version of one image set. `current` is the version it is made from, None for a new image set."""

    def __init__(self, image_set_id: str, head: Head, is_primary: bool, current: CurrentImageSet | None = None) -> None:
        self.image_set_id = image_set_id
        self.head = head
        self.is_primary = is_primary
        self.current = current
        self.state: ImageSetState = "ACTIVE"
        self.changed = ChangeSummary()
        self._manifest: list[PartReference] = list(current.manifest) if current else []
        self._next_part = current.next_part if current else 1
        self._next_object = current.next_object if current else 1
        self._slots: dict[int, dict[str, PlacedInstance]] = {}  # the slots unpacked, by SOP Instance UID
        self._touched: set[int] = set()
        self._added: dict[str, PlacedInstance] = {}  # instances that have no slot yet
        self._new_slots: list[tuple[str, int]] = []
        self.objects: dict[int, StoredObject] = {}  # the new ones, by number
        self.packed: dict[int, Sequence[PlacedInstance]] = {}  # what is in the new parts, once the draft is finished
        self._bulk: dict[str, Address] = {}

    @classmethod
    def of(cls, current: CurrentImageSet) -> Draft:
        """Return a draft of the version after the current one, equal to it so far."""
        return cls(current.image_set_id, unpack_head(current.head), current.properties.is_primary, current)

    @property
    def version(self) -> int:
        return self.current.properties.version + 1 if self.current else 1

    @property
    def unpacked(self) -> list[int]:
        """The numbers of the parts that it took instances from, as far as it looked at them."""
        return [self.current.manifest[slot].number for slot in self._slots] if self.current else []

    # -- instances

    def instance(self, sop_instance_uid: str) -> PlacedInstance | None:
        """Return an instance of the draft, if its part was read with the current version."""
        if sop_instance_uid in self._added:
            return self._added[sop_instance_uid]
        slot = self._slot_of(sop_instance_uid)
        return None if slot is None else self._unpacked(slot)[sop_instance_uid]

    def put(
        self,
        sop_instance_uid: str,
        metadata: InstanceMetadata,
        stored: StoredObject,
        bulk: Mapping[str, Address],
        text: bytes = b"",
        digest: bytes = b"",
    ) -> None:
        """Set an instance that came in: in place of the one with its UID, or after the last.

        text, digest: its metadata as JSON and a digest of that, if they were made already (fingerprint.py).
        """
        number = self._next_object
        self._next_object += 1
        self.objects[number] = stored
        self._bulk.update(bulk)
        placed = PlacedInstance(sop_instance_uid, number, metadata, text, digest)
        slot = self._slot_of(sop_instance_uid)
        if slot is None:
            self._added[sop_instance_uid] = placed
        else:
            self._unpacked(slot)[sop_instance_uid] = placed
            self._touched.add(slot)

    def edit(self, sop_instance_uid: str, new_uid: str, metadata: InstanceMetadata) -> None:
        """Set the metadata of an instance the draft has, and its UID. It stays where it is."""
        slot = self._slot_of(sop_instance_uid)
        assert slot is not None
        self._slots[slot] = {
            (new_uid if uid == sop_instance_uid else uid): (
                PlacedInstance(new_uid, placed.object_number, metadata) if uid == sop_instance_uid else placed
            )
            for uid, placed in self._unpacked(slot).items()
        }
        self._touched.add(slot)
        if new_uid != sop_instance_uid:
            self._new_slots.append((new_uid, slot))

    def remove(self, sop_instance_uid: str) -> None:
        """Take an instance out. The draft is deleted with its last one."""
        slot = self._slot_of(sop_instance_uid)
        assert slot is not None
        del self._unpacked(slot)[sop_instance_uid]
        self._touched.add(slot)

    def become(self, head: Head, manifest: Manifest) -> None:
        """Take the content of another version."""
        self.head = head
        self._manifest = list(manifest)

    def _slot_of(self, sop_instance_uid: str) -> int | None:
        read = self.current.parts if self.current else {}
        for slot in {**read, **self._slots}:
            if sop_instance_uid in self._unpacked(slot):
                return slot
        return None

    def _unpacked(self, slot: int) -> dict[str, PlacedInstance]:
        if slot not in self._slots:
            assert self.current is not None
            self._slots[slot] = {one.sop_instance_uid: one for one in unpack_part(self.current.parts[slot])}
        return self._slots[slot]

    # -- the version

    def finish(self, occasion: Occasion) -> NewVersion:
        """Return the version to append. Call it once."""
        parts = self._pack()
        before = self.current.manifest if self.current else Manifest()
        manifest = before if list(before) == self._manifest else Manifest(self._manifest)
        if not manifest.instance_count:
            self.state = "DELETED"
        return NewVersion(
            image_set_id=self.image_set_id,
            version=self.version,
            study_instance_uid=self.head.study_instance_uid,
            series_instance_uid=self.head.series_instance_uid,
            created_at=self.current.properties.created_at if self.current else occasion.at,
            updated_at=occasion.at,
            state=self.state,
            workflow_status="DELETED" if self.state == "DELETED" else "UPDATED" if self.current else "CREATED",
            is_primary=self.is_primary,
            action=occasion.action,
            provenance=occasion.provenance,
            forced=occasion.forced,
            changed=self.changed,
            head=pack_head(self.head),
            manifest=manifest,
            columns=image_set_columns(self.head),
            next_part=self._next_part,
            next_object=self._next_object,
            parts=parts,
            slots=tuple(self._new_slots),
            objects=self.objects,
            bulk=self._bulk,
        )

    def _pack(self) -> dict[int, Part]:
        """Pack the slots touched and the instances added; return the new parts by number."""
        parts: dict[int, Part] = {}
        last = len(self._manifest) - 1
        added = list(self._added.values())
        together = list(self._unpacked(last).values()) if added and self._has_room(last) else []
        if together:
            self._touched.discard(last)
        for slot in sorted(self._touched):
            placed = list(self._slots[slot].values())
            self._set(parts, slot, pack_part(placed) if placed else None, placed)
        slot = last if together else last + 1
        rest = [*together, *added]
        for part in pack_parts(rest):
            placed, rest = rest[: part.count], rest[part.count :]
            self._new_slots += [(one.sop_instance_uid, slot) for one in placed if one.sop_instance_uid in self._added]
            self._set(parts, slot, part, placed)
            slot += 1
        return parts

    def _has_room(self, slot: int) -> bool:
        """Whether the next instance goes into this slot, the last one."""
        part = self.current.parts.get(slot) if self.current else None
        return part is not None and not part.full and bool(self._unpacked(slot))

    def _set(self, parts: dict[int, Part], slot: int, part: Part | None, placed: Sequence[PlacedInstance]) -> None:
        if slot == len(self._manifest):
            self._manifest.append(NO_PART)
        if part is None:
            self._manifest[slot] = NO_PART
        else:
            parts[self._next_part] = part
            self.packed[self._next_part] = placed
            self._manifest[slot] = reference(self._next_part, part)
            self._next_part += 1
