"""Placing received instances in image sets: which one each joins, and what becomes of it there.

HealthImaging's rules (devguide "understanding-image-sets"): instances of one series whose study and series keys agree
are one primary image set; what disagrees with it goes into a non-primary one, which DICOMweb does not see.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from gateway.dicom.dataset import Dataset
from gateway.dicom.levels import shared_attributes
from gateway.errors import GatewayError
from gateway.metadata.fingerprint import head_digest, instance_text, joined_fingerprint, text_digest
from gateway.metadata.image_set import Head, InstanceMetadata
from gateway.metadata.instance_mapper import InstanceMapper
from gateway.metadata.mapping import to_head
from gateway.metadata.organise import Coerced, GroupingKeys, Identity, coerce, grouping_keys, place
from gateway.metadata.original_attributes import SYSTEM
from gateway.store.blobs.protocol import Address
from gateway.store.contents import ChangeSummary, ReceivedInstance, StoredInstance, StoredObject
from gateway.store.drafts import Draft
from gateway.store.log.contents import CurrentImageSet, CurrentStudy
from gateway.store.log.heads import unpack_head
from gateway.store.study_rows import Occasion

# Warning Reasons (0008,1196). PS3.18 Table I.2-2: coercion of data elements. HealthImaging's own for a UID that breaks
# PS3.5 section 9.1. Ours for an instance that DICOMweb does not see; docs/conformance.md lists all three.
COERCED = 0xB000
IRREGULAR_UID = 45570
NOT_PRIMARY = 0xB020

# Of so many series it is kept what their instances share, some 10 KB each, and what the last one said itself, some 100
# KB, if its JSON is no longer than this many bytes.
SERIES_KEPT = 64
INSTANCE_KEPT = 32 * 1024

# PS3.5 section 9.1: at most 64 characters, components without leading zeros.
_REGULAR_UID = re.compile(r"(?=.{1,64}$)(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*")


@dataclass(frozen=True, slots=True)
class Arrival:
    """One received instance that could be identified, and its place in the request."""

    place: int
    identity: Identity
    received: ReceivedInstance

    def moved(self, moved: Callable[[Address], Address]) -> Arrival:
        """Return the arrival whose bytes lie elsewhere."""
        bulk = {uri: moved(address) for uri, address in self.received.bulk.items()}
        return replace(self, received=replace(self.received, address=moved(self.received.address), bulk=bulk))


@dataclass(frozen=True, slots=True)
class Shared:
    """What an instance says of Patient, Study and Series. Most instances of a series say the same and share this.

    mapper: of what each of them says itself.
    """

    attributes: Dataset
    head: Head
    keys: GroupingKeys
    digest: bytes
    mapper: InstanceMapper


class SharedLately:
    """What was shared last in each of some series, for several threads: what comes next mostly shares the same."""

    def __init__(self) -> None:
        self._shared: dict[str, Shared] = {}

    def of(self, series_instance_uid: str, dataset: Dataset) -> Shared:
        attributes = shared_attributes(dataset)
        shared = self._shared.get(series_instance_uid)
        if shared is None or shared.attributes != attributes:
            head = to_head(attributes)
            shared = Shared(attributes, head, grouping_keys(head), head_digest(head), InstanceMapper())
            if len(self._shared) >= SERIES_KEPT:
                self._shared.clear()
            self._shared[series_instance_uid] = shared
        return shared


@dataclass(slots=True)
class Target:
    """An image set that instances of a series can join: one there is, or one begun by this request."""

    head: Head
    keys: GroupingKeys
    is_primary: bool
    image_set_id: str
    current: CurrentImageSet | None
    stored: dict[str, StoredObject]  # of the received instances, those it has by now
    agrees: Shared | None = None  # of the last instance that needed no coercion
    draft: Draft | None = None
    touched: set[str] = field(default_factory=set)

    def has(self, arrival: Arrival) -> bool:
        """Whether these very bytes are what the image set has for the instance."""
        stored = self.stored.get(arrival.identity.sop_instance_uid)
        return stored is not None and stored.sha256 == arrival.received.sha256

    @property
    def version(self) -> int:
        """The version after this request."""
        if self.draft:
            return self.draft.version
        assert self.current is not None
        return self.current.properties.version


class _Placed(NamedTuple):
    """An instance that an image set has. original: its attributes that were coerced, as they came."""

    target: Target
    identity: Identity
    warnings: tuple[int, ...]
    original: Dataset

    @property
    def outcome(self) -> StoredInstance:
        target = self.target
        warnings = self.warnings if target.is_primary else (*self.warnings, NOT_PRIMARY)
        return StoredInstance(
            *self.identity, target.image_set_id, target.version, target.is_primary, warnings, self.original
        )


class Placing:
    """Places the instances of one study, one after the other, and drafts the versions that makes."""

    def __init__(
        self,
        study: CurrentStudy,
        stored: Mapping[str, Mapping[str, StoredObject]],
        occasion: Occasion,
        new_id: Callable[[], str],
        lately: SharedLately,
    ) -> None:
        """stored: the stored objects of received instances by image set id and SOP Instance UID."""
        self._occasion = occasion
        self._new_id = new_id
        self._study = study
        self._study_keys = self._keys_of_study(study)
        self._stored = stored
        self._series: dict[str, list[Target]] = {}
        self._lately = lately

    def place(self, arrivals: Iterable[Arrival]) -> dict[int, StoredInstance]:
        """Return what became of each instance, by its place in the request."""
        placed: dict[int, _Placed | StoredInstance] = {}
        for arrival in arrivals:
            try:
                placed[arrival.place] = self._place(arrival)
            except GatewayError as error:
                placed[arrival.place] = refused(error, arrival.identity)
        # What an image set became of the request is known once all of it is placed.
        return {place: one.outcome if isinstance(one, _Placed) else one for place, one in placed.items()}

    def drafts(self) -> list[Draft]:
        """Return the drafts of the image sets that change, those there were first."""
        targets = [target for series in self._series.values() for target in series if target.touched]
        targets.sort(key=lambda target: target.current is None)
        drafts = []
        for target in targets:
            assert target.draft is not None
            target.draft.changed = ChangeSummary(instances=len(target.touched))
            drafts.append(target.draft)
        return drafts

    def _place(self, arrival: Arrival) -> _Placed:
        series = self._targets_of(arrival.identity.series_instance_uid)
        for target in series:
            if target.has(arrival):
                return _Placed(target, arrival.identity, _warnings(arrival.identity, {}), {})
        shared = self._lately.of(arrival.identity.series_instance_uid, arrival.received.dataset)
        return self._put(self._target_for(series, shared), arrival, shared)

    def _target_for(self, series: list[Target], shared: Shared) -> Target:
        """Return the image set an instance joins, begun here if there is none yet."""
        target, is_primary = place(shared.keys, self._study_keys, series)
        if target is None:
            image_set_id = self._new_id()
            draft = Draft(image_set_id, shared.head, is_primary)
            target = Target(shared.head, shared.keys, is_primary, image_set_id, None, {}, shared, draft)
            series.append(target)
            if is_primary and self._study_keys is None:
                self._study_keys = shared.keys.study
        return target

    def _put(self, target: Target, arrival: Arrival, shared: Shared) -> _Placed:
        """Put an instance into the draft of an image set."""
        if target.draft is None:
            assert target.current is not None
            target.draft = Draft.of(target.current)
        uid, received = arrival.identity.sop_instance_uid, arrival.received
        metadata = shared.mapper.instance_metadata(received.dataset)
        text = instance_text(uid, metadata)
        if len(text) > INSTANCE_KEPT:
            shared.mapper.forget()
        digest = text_digest(text)
        fingerprint = joined_fingerprint(shared.digest, digest)
        coerced = self._coerced(target, received.dataset, shared, metadata)
        warnings = _warnings(arrival.identity, coerced.original)
        all_warnings = tuple(sorted({*received.warnings, *warnings}))
        stored = StoredObject(received.address, received.sha256, fingerprint, all_warnings, received.pixels)
        if coerced.instance is not metadata:
            text = digest = b""
        target.draft.put(uid, coerced.instance, stored, received.bulk, text, digest)
        target.stored[uid] = stored
        target.touched.add(uid)
        return _Placed(target, arrival.identity, warnings, coerced.original)

    def _coerced(self, target: Target, dataset: Dataset, shared: Shared, metadata: InstanceMetadata) -> Coerced:
        """Return an instance as its image set keeps it, given its metadata as it came."""
        if target.agrees is shared or target.head == shared.head:
            target.agrees = shared
            return Coerced(metadata, {})
        coerced = coerce(target.head, dataset, when=self._occasion.at, system=SYSTEM)
        if not coerced.original:
            target.agrees = shared
        return coerced

    def _targets_of(self, series_instance_uid: str) -> list[Target]:
        if series_instance_uid not in self._series:
            self._series[series_instance_uid] = [
                self._target(image_set)
                for image_set in self._study.image_sets
                if image_set.properties.series_instance_uid == series_instance_uid
                and image_set.properties.state != "DELETED"
            ]
        return self._series[series_instance_uid]

    def _target(self, image_set: CurrentImageSet) -> Target:
        head = unpack_head(image_set.head)
        stored = dict(self._stored.get(image_set.image_set_id, {}))
        primary = image_set.properties.is_primary
        return Target(head, grouping_keys(head), primary, image_set.image_set_id, image_set, stored)

    @staticmethod
    def _keys_of_study(study: CurrentStudy) -> tuple[str, ...] | None:
        """Return the study keys that primary image sets of the study have; None while there is none."""
        first = next((image_set for image_set in study.image_sets if image_set.visible), None)
        return grouping_keys(unpack_head(first.head)).study if first else None


def refused(error: GatewayError, identity: Identity | None = None) -> StoredInstance:
    """Return the outcome of an instance that was not stored."""
    return StoredInstance(*identity, error=error) if identity else StoredInstance(error=error)


def _warnings(identity: Identity, original: Dataset) -> tuple[int, ...]:
    """Return what an instance is stored with a warning for, as far as it does not depend on the image set's kind."""
    coerced = (COERCED,) if original else ()
    return coerced if all(_REGULAR_UID.fullmatch(uid) for uid in identity) else (*coerced, IRREGULAR_UID)
