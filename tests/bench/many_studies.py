"""As many studies as searches are to be measured on: one received instance, appended under other names and dates.

What varies is made of a study's number, so every product gets the same and a search knows what it has to find.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

from gateway.metadata.image_set import Head, LevelMetadata
from gateway.metadata.organise import identify
from gateway.store.blobs.receiving import receive_part10, received_instance
from gateway.store.contents import Provenance, ReceivedInstance
from gateway.store.importing import Arrival, Placing, SharedLately
from gateway.store.log.appends import Append, NewVersion
from gateway.store.log.contents import CurrentStudy
from gateway.store.log.heads import pack_head, unpack_head
from gateway.store.sqlite.appending import append
from gateway.store.sqlite.connection import Connection
from gateway.store.sqlite.log import open_log
from gateway.store.study_rows import Occasion, image_set_columns, member_of, new_study_version
from gateway.store.versioned import open_store
from tests.bench.instances import Study, part10

_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnrs" for vowel in "aeio"]
_MODALITIES = ("CT", "MR", "US", "CR", "DX", "MG", "NM", "PT", "XA", "OT")
FIRST_DAY = date(2016, 1, 1)
_DAYS = 3650
_IN_A_TRANSACTION = 500


@dataclass(frozen=True, slots=True)
class Person:
    """What a study says, all of fixed length: UID, PatientID, PatientName, StudyDate, Modality."""

    uid: str
    patient_id: str
    name: str
    study_date: str
    modality: str


def person(number: int) -> Person:
    """Return what the study of a number says."""
    spread = number * 2654435761 % 2**32  # Knuth's multiplicative hash
    letters = [_SYLLABLES[spread // 40**place % 40] for place in range(5)]
    return Person(
        uid=f"{Study(number, 1).uid}",
        patient_id=f"BENCH{number // 2:011}",
        name=f"{''.join(letters[:3]).capitalize()}^{''.join(letters[3:]).capitalize()} ",
        study_date=f"{FIRST_DAY + timedelta(days=spread % _DAYS):%Y%m%d}",
        modality=_MODALITIES[spread // 7 % 10],
    )


def small_instance(number: int) -> bytes:
    """Return the study's one instance as a PS3.10 file, to be stored over HTTP."""
    said = person(number)
    data = part10(Study(number, 1), 1, 4)
    for old, new in (
        (b"Bench^Before", said.name.encode()),
        (b"BENCH%011d" % number, said.patient_id.encode()),
        (b"\x08\x00\x20\x00DA\x08\x0020040119", b"\x08\x00\x20\x00DA\x08\x00" + said.study_date.encode()),
        (b"\x08\x00\x60\x00CS\x02\x00CT", b"\x08\x00\x60\x00CS\x02\x00" + said.modality.encode()),
    ):
        if data.count(old) != 1:
            raise ValueError(f"{old!r} is {data.count(old)} times in the instance")
        data = data.replace(old, new)
    return data


async def fill(folder: Path, count: int) -> None:
    """Append studies 1 to `count` to the gateway's data folder, through the store's own append.

    The first is placed as any received instance; each of the rest is its version 1 under another head.
    """
    store = await open_store(folder)
    try:
        pack = await store.new_pack()
        received = await received_instance(await receive_part10(pack, _once(small_instance(1)), 4096), pack)
        await pack.commit()
    finally:
        await store.close()
    log = await open_log(folder / "gateway.db")
    try:
        (datastore,) = await log.datastores()
        appends = _appends(_placed(received), datastore.datastore_id, count)
        while batch := list(itertools.islice(appends, _IN_A_TRANSACTION)):
            await log.database.write(partial(_append_all, batch))
    finally:
        await log.close()


def _append_all(appends: Sequence[Append], connection: Connection) -> None:
    for one in appends:
        append(connection, one)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


_OCCASION = Occasion(datetime(2026, 1, 1, tzinfo=UTC), "store", Provenance(who="bench"))


def _placed(received: ReceivedInstance) -> NewVersion:
    identity = identify(received.dataset)
    placing = Placing(
        CurrentStudy(identity.study_instance_uid, 0, ()), {}, _OCCASION, lambda: uuid.uuid4().hex, SharedLately()
    )
    placing.place([Arrival(0, identity, received)])
    (draft,) = placing.drafts()
    return draft.finish(_OCCASION)


def _appends(first: NewVersion, datastore_id: str, count: int) -> Iterator[Append]:
    head = unpack_head(first.head)
    for number in range(1, count + 1):
        said = person(number)
        own = _head(head, said)
        version = first._replace(
            image_set_id=uuid.uuid4().hex,
            study_instance_uid=said.uid,
            series_instance_uid=own.series_instance_uid,
            head=pack_head(own),
            columns=image_set_columns(own),
        )
        study = new_study_version(said.uid, 0, [member_of(version)], _OCCASION, version.changed)
        yield Append(datastore_id, (study,), (version,), _OCCASION.at)


def _head(head: Head, said: Person) -> Head:
    patient = {"PatientID": said.patient_id, "PatientName": said.name.strip()}
    study = {"StudyInstanceUID": said.uid, "StudyDate": said.study_date}
    series = {"SeriesInstanceUID": f"{said.uid}.1", "Modality": said.modality}
    return Head(*map(_with, (head.patient, head.study, head.series), (patient, study, series)))


def _with(level: LevelMetadata, values: dict[str, str]) -> LevelMetadata:
    return {**level, "DICOM": {**level["DICOM"], **values}}
