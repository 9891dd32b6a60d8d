"""Parts of image sets that were written or read lately, for who looks at an instance of theirs or edits it.

A part never changes, so nothing of it is ever forgotten but for want of room.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gateway.store.kept import Kept
from gateway.store.log.manifest import Manifest
from gateway.store.log.parts import Part, unpack_index

# Bytes of all parts kept, of a series of 500 CT instances some 300 KB; and of each instance's UID.
KEPT_BYTES = 8 * 1024 * 1024
_UID_BYTES = 200


class _KeptPart:
    """A part, and the instances in it, which are found out when they are first asked for."""

    __slots__ = ("_uids", "part")

    def __init__(self, part: Part) -> None:
        self.part = part
        self._uids: frozenset[str] | None = None

    @property
    def uids(self) -> frozenset[str]:
        if self._uids is None:
            self._uids = frozenset(unpack_index(self.part.index))
        return self._uids


def _weigh(kept: _KeptPart) -> int:
    return len(kept.part.body) + _UID_BYTES * kept.part.count


class KeptParts:
    """Parts by their image set and number."""

    def __init__(self) -> None:
        self._parts: Kept[tuple[str, int], _KeptPart] = Kept(KEPT_BYTES, _weigh)

    def put(self, image_set_id: str, parts: Mapping[int, Part]) -> None:
        """Keep parts of an image set, given by number."""
        for number, part in parts.items():
            self._parts.put((image_set_id, number), _KeptPart(part))

    def of_instances(self, image_set_id: str, manifest: Manifest, instances: Collection[str]) -> dict[int, Part] | None:
        """Return by slot the parts that instances of a version are in; None where one is in none of those kept."""
        wanted = set(instances)
        found: dict[int, Part] = {}
        for slot, part in enumerate(manifest):
            if not wanted:
                break
            kept = self._parts.peek((image_set_id, part.number))
            if kept is not None and not wanted.isdisjoint(kept.uids):
                found[slot] = kept.part
                wanted -= kept.uids
        return None if wanted else found
