"""Storing received instances: study by study, each as one append.

The pack they lie in is made durable before any row says what lies in it. That of a large request is while its instances
are placed, on a thread of its own. A small one joins others, and its instances are placed within the transaction that
stores them: one crossing to the database's thread, and one fdatasync for all that are stored together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.errors import GatewayError, StorageFailed, StorageFull, TooLarge
from gateway.metadata.organise import identify
from gateway.store.blobs.protocol import Pack
from gateway.store.contents import Provenance, ReceivedInstance, StoredInstance
from gateway.store.drafts import Draft
from gateway.store.importing import Arrival, Placing, SharedLately, refused
from gateway.store.instance_files import Digested, digested_new
from gateway.store.kept import Kept
from gateway.store.log.appends import Append
from gateway.store.log.contents import CurrentStudy, Stored
from gateway.store.log.protocol import StudyChanged, VersionLog
from gateway.store.study_rows import Occasion, joined_summary, member_of, new_study_version

# How often an append is tried again because somebody else changed the study meanwhile. In one process that happens
# only where an image set moves into another study: the rest wait for each other.
TRIES = 8

# How many instances are placed within a transaction: each takes a fifth of a millisecond, and other writers wait.
PLACED_WITHIN = 16


# What became of instances, by their place in the request, and the drafts that change.
_Placed = tuple[dict[int, StoredInstance], list[Draft]]


@dataclass(frozen=True, slots=True)
class _Storing:
    """What a store request brings to one study. committed: the commit of the pack it lies in, if that is under way;
    joining: that pack instead, if it is small."""

    datastore_id: str
    study_instance_uid: str
    arrivals: Sequence[Arrival]
    occasion: Occasion
    committed: asyncio.Task[None] | None
    joining: Pack | None

    @property
    def arriving(self) -> dict[str, set[str]]:
        """SOP Instance UIDs by Series Instance UID."""
        found: dict[str, set[str]] = {}
        for arrival in self.arrivals:
            found.setdefault(arrival.identity.series_instance_uid, set()).add(arrival.identity.sop_instance_uid)
        return found


@dataclass(frozen=True, slots=True)
class Storer:
    """Carries store requests out. lock: of a study, by data store and Study Instance UID.

    digests: where it leaves what it knows of the files it stored, for whoever retrieves them next.
    """

    log: VersionLog
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    lock: Callable[[str, str], asyncio.Lock]
    lately: SharedLately
    digests: Kept[tuple[str, int], dict[str, Digested]]

    async def store_instances(
        self,
        datastore_id: str,
        received: Sequence[ReceivedInstance],
        provenance: Provenance,
        pack: Pack | None,
        most_metadata: int | None,
    ) -> list[StoredInstance]:
        """Return one outcome for each instance, in their order. Raises as Store.store_instances does."""
        if pack is None or (pack.is_small and len(received) <= PLACED_WITHIN):
            return await self._store_instances(datastore_id, received, provenance, most_metadata, joining=pack)
        committed = asyncio.create_task(pack.commit())
        try:
            outcomes = await self._store_instances(datastore_id, received, provenance, most_metadata, committed)
            await committed
        finally:
            await asyncio.wait([committed])
        return outcomes

    async def _store_instances(
        self,
        datastore_id: str,
        received: Sequence[ReceivedInstance],
        provenance: Provenance,
        most_metadata: int | None,
        committed: asyncio.Task[None] | None = None,
        joining: Pack | None = None,
    ) -> list[StoredInstance]:
        outcomes: dict[int, StoredInstance] = {}
        studies: dict[tuple[str, int], list[Arrival]] = {}
        times: dict[tuple[str, str], int] = {}
        for place, instance in enumerate(received):
            try:
                identity = identify(instance.dataset)
            except GatewayError as error:
                outcomes[place] = refused(error)
            else:
                # Of an instance that comes twice, the second is stored after the first, which stays readable.
                same = identity.study_instance_uid, identity.sop_instance_uid
                times[same] = times.get(same, -1) + 1
                study = identity.study_instance_uid, times[same]
                studies.setdefault(study, []).append(Arrival(place, identity, instance))
        for (study_instance_uid, _), arrivals in studies.items():
            try:
                occasion = Occasion(self.clock(), "store", provenance, most_metadata=most_metadata)
                storing = _Storing(datastore_id, study_instance_uid, arrivals, occasion, committed, joining)
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
        if storing.joining is not None:
            return await self._store_within(storing, storing.joining)
        study, stored = await self.log.study_for_store(
            storing.datastore_id, storing.study_instance_uid, storing.arriving
        )
        placing = Placing(study, stored, storing.occasion, self.new_id, self.lately)

        def place() -> tuple[_Placed, Append | None]:
            placed = placing.place(storing.arrivals), placing.drafts()
            return placed, _stored(storing.datastore_id, study, placed[1], storing.occasion)

        (outcomes, drafts), append = await asyncio.to_thread(place)
        if append is not None:
            if storing.committed is not None:
                await asyncio.shield(storing.committed)  # before any row says what lies in the pack
            await self.log.append(append)
        self._keep_digests(drafts)
        return outcomes

    async def _store_within(self, storing: _Storing, pack: Pack) -> dict[int, StoredInstance]:
        """Have the pack join others, and place and append within one transaction."""

        def place(study: CurrentStudy, stored: Stored) -> tuple[_Placed, Append | None]:
            joined = pack.join()
            placing = Placing(study, stored, storing.occasion, self.new_id, self.lately)
            placed = placing.place([arrival.moved(joined.moved) for arrival in storing.arrivals]), placing.drafts()
            append = _stored(storing.datastore_id, study, placed[1], storing.occasion)
            joined.sync()  # before any row says what lies in it; the disk has been at it since they joined
            return placed, append

        outcomes, drafts = await self.log.store(
            storing.datastore_id, storing.study_instance_uid, storing.arriving, place, before=pack.join
        )
        self._keep_digests(drafts)
        return outcomes

    def _keep_digests(self, drafts: Sequence[Draft]) -> None:
        """Keep what is known of the files in the drafts' new parts.

        Only once these are appended: their numbers are used again after an append that failed.
        """
        for draft in drafts:
            before: dict[str, Digested] = {}
            for number in draft.unpacked:
                before |= self.digests.peek((draft.image_set_id, number)) or {}
            for number, found in digested_new(draft, before).items():
                self.digests.put((draft.image_set_id, number), found)


def _stored(datastore_id: str, study: CurrentStudy, drafts: Sequence[Draft], occasion: Occasion) -> Append | None:
    """Return what a store request appends to a study; None where it changes nothing."""
    versions = {draft.image_set_id: draft.finish(occasion) for draft in drafts}
    if not versions:
        return None
    members = [member_of(image_set) for image_set in study.image_sets if image_set.image_set_id not in versions]
    members += [member_of(version) for version in versions.values()]
    summary = joined_summary([version.changed for version in versions.values()])
    new = new_study_version(study.study_instance_uid, study.version, members, occasion, summary)
    return Append(datastore_id, (new,), tuple(versions.values()), occasion.at, most_metadata=occasion.most_metadata)
