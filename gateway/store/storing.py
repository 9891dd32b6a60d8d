"""Storing received instances: study by study, each as one append.

The pack they lie in is made durable while they are placed, and before any row says what lies in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.errors import GatewayError, StorageFailed, StorageFull, TooLarge
from gateway.metadata.organise import identify
from gateway.store.blobs import Pack
from gateway.store.importing import Arrival, Placing, refused
from gateway.store.log import Append, CurrentStudy, StudyChanged, VersionLog
from gateway.store.protocol import Provenance, ReceivedInstance, StoredInstance
from gateway.store.study_rows import Occasion, joined_summary, member_of, new_study_version

# How often an append is tried again because somebody else changed the study meanwhile. In one process that happens
# only where an image set moves into another study: the rest wait for each other.
TRIES = 8

# One instance in a file of so many bytes is placed on the event loop: it takes less than a thread's hop.
PLACED_ON_LOOP = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Storing:
    """What a store request brings to one study. committed: the commit of the pack it lies in, if that is under way."""

    datastore_id: str
    study_instance_uid: str
    arrivals: Sequence[Arrival]
    occasion: Occasion
    committed: asyncio.Task[None] | None


@dataclass(frozen=True, slots=True)
class Storer:
    """Carries store requests out. lock: of a study, by data store and Study Instance UID."""

    log: VersionLog
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    lock: Callable[[str, str], asyncio.Lock]

    async def store_instances(
        self,
        datastore_id: str,
        received: Sequence[ReceivedInstance],
        provenance: Provenance,
        pack: Pack | None,
        most_metadata: int | None,
    ) -> list[StoredInstance]:
        """Return one outcome for each instance, in their order. Raises as Store.store_instances does."""
        if pack is None:
            return await self._store_instances(datastore_id, received, provenance, None, most_metadata)
        committed = asyncio.create_task(pack.commit())
        try:
            outcomes = await self._store_instances(datastore_id, received, provenance, committed, most_metadata)
            await committed
        finally:
            await asyncio.wait([committed])
        return outcomes

    async def _store_instances(
        self,
        datastore_id: str,
        received: Sequence[ReceivedInstance],
        provenance: Provenance,
        committed: asyncio.Task[None] | None,
        most_metadata: int | None,
    ) -> list[StoredInstance]:
        outcomes: dict[int, StoredInstance] = {}
        studies: dict[str, list[Arrival]] = {}
        for place, instance in enumerate(received):
            try:
                identity = identify(instance.dataset)
            except GatewayError as error:
                outcomes[place] = refused(error)
            else:
                studies.setdefault(identity.study_instance_uid, []).append(Arrival(place, identity, instance))
        for study_instance_uid, arrivals in studies.items():
            try:
                occasion = Occasion(self.clock(), "store", provenance, most_metadata=most_metadata)
                storing = _Storing(datastore_id, study_instance_uid, arrivals, occasion, committed)
                outcomes.update(await self._store_study(storing))
            except TooLarge as error:
                outcomes.update({arrival.place: refused(error, arrival.identity) for arrival in arrivals})
            except (StorageFull, StorageFailed, StudyChanged) as error:
                if not any(outcome.error is None for outcome in outcomes.values()):
                    raise
                # Other studies of the request are stored, and the client has to hear of them.
                outcomes.update({arrival.place: refused(error, arrival.identity) for arrival in arrivals})
        return [outcomes[place] for place in range(len(received))]

    async def _store_study(self, storing: _Storing) -> dict[int, StoredInstance]:
        async with self.lock(storing.datastore_id, storing.study_instance_uid):
            for _ in range(TRIES):
                try:
                    return await self._try_to_store(storing)
                except StudyChanged as error:
                    conflict = error
            raise conflict

    async def _try_to_store(self, storing: _Storing) -> dict[int, StoredInstance]:
        arriving: dict[str, set[str]] = {}
        for arrival in storing.arrivals:
            arriving.setdefault(arrival.identity.series_instance_uid, set()).add(arrival.identity.sop_instance_uid)
        study, stored = await self.log.study_for_store(storing.datastore_id, storing.study_instance_uid, arriving)
        placing = Placing(study, stored, storing.occasion, self.new_id)

        def place() -> tuple[dict[int, StoredInstance], Append | None]:
            outcomes = placing.place(storing.arrivals)
            return outcomes, _stored(storing.datastore_id, study, placing, storing.occasion)

        small = len(storing.arrivals) == 1 and storing.arrivals[0].received.address.length <= PLACED_ON_LOOP
        outcomes, append = place() if small else await asyncio.to_thread(place)
        if append is not None:
            if storing.committed is not None:
                await asyncio.shield(storing.committed)  # before any row says what lies in the pack
            await self.log.append(append)
        return outcomes


def _stored(datastore_id: str, study: CurrentStudy, placing: Placing, occasion: Occasion) -> Append | None:
    """Return what a store request appends to a study; None where it changes nothing."""
    versions = {draft.image_set_id: draft.finish(occasion) for draft in placing.drafts()}
    if not versions:
        return None
    members = [member_of(image_set) for image_set in study.image_sets if image_set.image_set_id not in versions]
    members += [member_of(version) for version in versions.values()]
    summary = joined_summary([version.changed for version in versions.values()])
    new = new_study_version(study.study_instance_uid, study.version, members, occasion, summary)
    return Append(datastore_id, (new,), tuple(versions.values()), occasion.at, most_metadata=occasion.most_metadata)
