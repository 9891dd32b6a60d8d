"""Real files through the store: what comes out of the log is what the mapping put in."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from gateway.dicom.matching import Condition, Query
from gateway.errors import InvalidRequest
from gateway.metadata.document import to_document
from gateway.metadata.mapping import to_head, to_instance_metadata
from gateway.store.protocol import Store
from tests.samples import SAMPLE_IDS, SAMPLES, ct_series, ct_study
from tests.store.edits import edit_of, patient
from tests.store.received import sent_file, store_sent

# SOPClassUID, SOPInstanceUID, StudyInstanceUID, SeriesInstanceUID: what an instance cannot be stored without.
STORED_BY = ("00080016", "00080018", "0020000D", "0020000E")


@pytest.mark.parametrize("path", SAMPLES, ids=SAMPLE_IDS)
async def test_a_real_instance_comes_back_as_it_was_mapped(store: Store, datastore_id: str, path: Path) -> None:
    """Head, instance, the gzip document, bulk values and the file itself; without UIDs it is refused."""
    one = sent_file(path.read_bytes())

    [outcome] = await store_sent(store, datastore_id, [one])

    uids = [one.dataset[tag].values if tag in one.dataset else () for tag in STORED_BY]
    storable = all(len(values) == 1 and set(str(values[0])) <= set("0123456789.") for values in uids)
    assert (outcome.error is None) == storable
    if not storable:
        assert isinstance(outcome.error, InvalidRequest)
        return
    image_set = outcome.image_set_id
    found = await store.metadata(datastore_id, image_set)
    assert found.head == to_head(one.dataset)
    assert found.instances == {outcome.sop_instance_uid: to_instance_metadata(one.dataset)}
    document = json.loads(gzip.decompress(await store.metadata_gzip(datastore_id, image_set)))
    for series in document["Study"]["Series"].values():
        for instance in series["Instances"].values():
            for generated in ("StoredTransferSyntaxUID", "ChecksumType", "ImageFrames"):
                instance.pop(generated, None)  # tests/store/frames_suite.py
    assert document == to_document(datastore_id, image_set, found)
    [stored] = (await store.objects(datastore_id, image_set)).values()
    assert await store.read(stored.address) == one.body
    for uri, value in (one.bulk or {}).items():
        assert await store.read(await store.bulk_data(datastore_id, image_set, uri)) == value


async def test_a_real_series_is_one_image_set(store: Store, datastore_id: str) -> None:
    """The five instances of a CT series: found as one series, edited as one, each file still as it came."""
    files = ct_series()
    outcomes = await store_sent(store, datastore_id, [sent_file(body) for body in files])

    assert len({outcome.image_set_id for outcome in outcomes}) == 1
    image_set = outcomes[0].image_set_id
    [match] = (await store.search(datastore_id, Query("Series"))).matches
    assert match.dataset["00201209"].values == ("5",)

    await store.edit(edit_of(datastore_id, (image_set, 1, patient(PatientName="Roe"))))

    name = Condition(("00100010",), "PN", "single", ("roe",))
    assert len((await store.search(datastore_id, Query("Instance", (name,)))).matches) == 5
    objects = await store.objects(datastore_id, image_set)
    assert sorted([bytes(await store.read(stored.address)) for stored in objects.values()]) == sorted(files)


async def test_a_real_study_in_any_order_and_pieces(store: Store, datastore_id: str) -> None:
    """Two series sent one instance at a time, last first: two primary image sets, seven study versions."""
    for body in reversed(ct_study()):
        [outcome] = await store_sent(store, datastore_id, [sent_file(body)])
        assert (outcome.error, outcome.is_primary) == (None, True)

    [match] = (await store.search(datastore_id, Query("Study"))).matches
    assert [match.dataset[tag].values for tag in ("00201206", "00201208")] == [("2",), ("7",)]
    assert (await store.study(datastore_id, match.study_instance_uid)).version == 7
