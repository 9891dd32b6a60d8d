"""Which parts a version consists of, and how that lies in its row."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import orjson

from gateway.store.log.deflated import deflate, inflate

# A longer manifest, in bytes of JSON, is compressed.
PLAIN_MANIFEST = 256


@dataclass(frozen=True, slots=True)
class PartReference:
    """What a manifest says of the part in one slot. number 0: the slot is empty."""

    number: int
    count: int
    sop_classes: tuple[str, ...]
    timezone: str = ""


NO_PART = PartReference(0, 0, ())


class Manifest(tuple[PartReference, ...]):
    """A version's parts by slot. What is made of them is kept: most versions have the very manifest of the one before.

    `unpack_manifest` reads one.
    """

    @functools.cached_property
    def instance_count(self) -> int:
        """How many instances the version has."""
        return sum([part.count for part in self])

    @functools.cached_property
    def sop_classes(self) -> tuple[str, ...]:
        """The SOP Class UIDs of its instances, each once."""
        alike = dict.fromkeys([part.sop_classes for part in self])  # one and the same nearly always
        return tuple(dict.fromkeys(uid for uids in alike for uid in uids if uid))

    @functools.cached_property
    def timezone(self) -> str:
        """The TimezoneOffsetFromUTC of the first instance that has one, "" for none."""
        return next((part.timezone for part in self if part.timezone), "")

    @functools.cached_property
    def packed(self) -> bytes:
        """The manifest as a version row keeps it: JSON, SOP Class UIDs written once and then by their place.

        Compressed where it is long: every edit writes it again.
        """
        uids = list(dict.fromkeys(uid for part in self for uid in part.sop_classes))
        parts = [
            [
                part.number,
                part.count,
                [uids.index(uid) for uid in part.sop_classes],
                *([part.timezone] * bool(part.timezone)),
            ]
            for part in self
        ]
        text = orjson.dumps({"SOPClasses": uids, "Parts": parts})
        return text if len(text) <= PLAIN_MANIFEST else deflate(text)


def unpack_manifest(packed: bytes) -> Manifest:
    """Return the manifest that was packed."""
    # The first bit of a piece of a deflate stream is 0: it is not the last (RFC 1951 section 3.2.3). That of { is 1.
    manifest = orjson.loads(packed if packed.startswith(b"{") else inflate(packed))
    uids = manifest["SOPClasses"]
    return Manifest(
        [
            PartReference(number, count, tuple([uids[place] for place in places]), *timezone)
            for number, count, places, *timezone in manifest["Parts"]
        ]
    )
