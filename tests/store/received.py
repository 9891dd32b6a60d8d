"""Instances for the tests of the store: small datasets with the attributes the store looks at, in real packs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.dicom.dataset import BulkData, Dataset, Element, in_tag_order
from gateway.dicom.dictionary import entry_named
from gateway.dicom.part10 import read_part10
from gateway.store.blobs.protocol import Address, Pack
from gateway.store.contents import Provenance, ReceivedInstance, StoredInstance
from gateway.store.protocol import Store

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"

STUDY = "1.2.826.0.1.3680043.10.1"
SERIES = "1.2.826.0.1.3680043.10.1.1"
INSTANCE = "1.2.826.0.1.3680043.10.1.1.1"


def dataset(instance: str = INSTANCE, series: str = SERIES, study: str = STUDY, **attributes: str) -> Dataset:
    """Return a CT instance's dataset; attributes by keyword, "" for one with zero length."""
    keywords = {
        "FileMetaInformationVersion": "",
        "MediaStorageSOPClassUID": CT_IMAGE_STORAGE,
        "MediaStorageSOPInstanceUID": instance,
        "TransferSyntaxUID": EXPLICIT_VR_LITTLE_ENDIAN,
        "SOPClassUID": CT_IMAGE_STORAGE,
        "SOPInstanceUID": instance,
        "StudyDate": "20040119",
        "StudyTime": "072730",
        "AccessionNumber": "A1",
        "Modality": "CT",
        "ReferringPhysicianName": "Curie^Marie",
        "PatientName": "Doe^Jane",
        "PatientID": "P1",
        "StudyInstanceUID": study,
        "SeriesInstanceUID": series,
        "StudyID": "S1",
        "SeriesNumber": "1",
        "InstanceNumber": "1",
        **attributes,
    }
    found: Dataset = {}
    for keyword, value in keywords.items():
        entry = entry_named(keyword)
        assert entry is not None, keyword
        binary = b"\0\1" if keyword == "FileMetaInformationVersion" else b""
        found[entry.tag] = Element(entry.vr, (value,) if value else (), binary=binary)
    return in_tag_order(found)


@dataclass(frozen=True)
class Sent:
    """What a client sends: a dataset, the bytes it came as, large binary values by their URI."""

    dataset: Dataset
    body: bytes = b""
    bulk: Mapping[str, bytes] | None = None


def sent(instance: str = INSTANCE, series: str = SERIES, study: str = STUDY, **attributes: str) -> Sent:
    """Return an instance to store. Its bytes stand for it: other attributes, other bytes."""
    found = dataset(instance, series, study, **attributes)
    return Sent(found, repr(sorted((tag, element.values) for tag, element in found.items())).encode())


def with_bulk(one: Sent, value: bytes) -> Sent:
    """Return the instance with a large private value."""
    uri = hashlib.sha256(value).hexdigest()[:32]
    private = {
        "00090010": Element("LO", ("ACME",)),
        "00091001": Element("OB", binary=BulkData(uri, len(value))),
    }
    return Sent(in_tag_order({**one.dataset, **private}), one.body + value, {uri: value})


async def received(store: Store, instances: Sequence[Sent]) -> list[ReceivedInstance]:
    """Write instances into a pack, commit it, and return them as the store takes them."""
    pack, written = await written_to_pack(store, instances)
    await pack.commit()
    return written


async def written_to_pack(store: Store, instances: Sequence[Sent]) -> tuple[Pack, list[ReceivedInstance]]:
    """Return a pack with instances, not committed, and the instances as the store takes them."""
    pack = await store.new_pack()
    addresses = []
    for one in instances:
        start = pack.size
        await pack.write(one.body)
        bulk = {}
        for uri, value in (one.bulk or {}).items():
            bulk[uri] = (pack.size, len(value))
            await pack.write(value)
        addresses.append(((start, len(one.body)), bulk))
    return pack, [
        ReceivedInstance(
            one.dataset,
            Address(pack.name, *place),
            hashlib.sha256(one.body).hexdigest(),
            {uri: Address(pack.name, *where) for uri, where in bulk.items()},
        )
        for one, (place, bulk) in zip(instances, addresses, strict=True)
    ]


async def store_sent(
    store: Store, datastore_id: str, instances: Sequence[Sent], who: str = "tester"
) -> list[StoredInstance]:
    """Store instances in one request."""
    pack, written = await written_to_pack(store, instances)
    return await store.store_instances(datastore_id, written, Provenance(who), pack)


def sent_file(body: bytes) -> Sent:
    """Return a real PS3.10 file to store."""
    part10 = read_part10(body)
    bulk = {
        uri: bytes(value) if isinstance(value, bytes) else body[value.offset : value.offset + value.length]
        for uri, value in part10.bulk.items()
    }
    return Sent(part10.dataset, body, bulk)
