"""The work that is measured: what a user waits for, over HTTP. Each function returns its figures by their keys."""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench import limits
from tests.bench.client import JSON, Client, Refused
from tests.bench.figures import SIZES
from tests.bench.instances import IN_A_REQUEST, STORE_HEADERS, Study, store_bodies
from tests.bench.products import Product

Measured = dict[str, float]

_PATCH = {"Content-Type": "application/dicom+json", "Accept": "application/dicom+json"}
_DICOM = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything. sizes: of the studies edited. wait: for a steady pace, so many seconds at most."""

    rounds: int = 5
    stow_requests: int = 2
    stow_together: int = 100
    stow_singles: int = 100
    clients: int = 8
    study: int = 500
    sizes: tuple[int, ...] = SIZES
    edits: int = 100
    editors: int = 32
    searches: int = 100
    qido_sizes: tuple[int, ...] = (10**4,)
    qido_orthanc: int = 10**4
    versions: int = 1000
    kilobytes: tuple[int, ...] = (512, 40)
    wait: float = 20


QUICK = Scale(
    rounds=1,
    stow_requests=1,
    stow_together=4,
    stow_singles=3,
    clients=2,
    study=6,
    sizes=(1, 4),
    edits=4,
    editors=3,
    searches=3,
    qido_sizes=(200,),
    qido_orthanc=20,
    versions=20,
    wait=0,
)


@dataclass(slots=True)
class Run:
    """What the measurements of one run share: the scale, fresh numbers for studies, what is stored where."""

    scale: Scale
    folder: Path
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    studies: dict[tuple[str, int], Study] = field(default_factory=dict)
    document_size: int = 0

    def new_study(self, instances: int) -> Study:
        return Study(next(self.numbers), instances)


class Stopwatch:
    """Milliseconds of what is done within it."""

    def __enter__(self) -> Stopwatch:
        self._began = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        self.ms = (time.perf_counter() - self._began) * 1000


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that a share of the values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def at_once(works: Iterable[Callable[[], Awaitable[None]]]) -> float:
    """Return the seconds it takes until all are done, begun together."""
    with Stopwatch() as watch:
        await asyncio.gather(*(work() for work in works))
    return watch.ms / 1000


# -- storing


async def store_study(product: Product, study: Study, kilobytes: int = 40) -> None:
    async with Client(product.url) as client:
        for body in store_bodies(study, kilobytes, IN_A_REQUEST):
            await client.ask("POST", f"{product.root}/studies", body, STORE_HEADERS)


async def stow(product: Product, run: Run) -> Measured:
    """Store instances of two sizes, many a request and one a request, from one client and from several."""
    scale, found = run.scale, Measured()
    for kilobytes in scale.kilobytes:
        for together, requests, shown in ((scale.stow_together, scale.stow_requests, 100), (1, scale.stow_singles, 1)):
            for clients, of in ((1, 1), (scale.clients, 8)):
                each = max(1, requests // (2 if clients > 1 else 1))
                rate = await _stow_rate(product, run, kilobytes, together, each, clients)
                found[f"stow {kilobytes} KB, {shown} a request, {of} clients"] = rate
    return found


async def _stow_rate(product: Product, run: Run, kilobytes: int, together: int, requests: int, clients: int) -> float:
    """Return instances/s. Each client has a study of its own, as scanners do; making the bodies is not measured."""
    studies = [run.new_study(together * requests) for _ in range(clients)]
    bodies = [list(store_bodies(study, kilobytes, together)) for study in studies]
    limits.use_memory(run.folder, 256 + 2 * kilobytes * together * requests * clients // 1024)

    async def send(client: Client, mine: Sequence[bytes]) -> None:
        for body in mine:
            await client.ask("POST", f"{product.root}/studies", body, STORE_HEADERS)

    connections = [await Client(product.url).__aenter__() for _ in studies]
    pairs = list(zip(connections, bodies, strict=True))
    seconds = await at_once([partial(send, *pair) for pair in pairs])
    for connection in connections:
        await connection.__aexit__()
    return together * requests * clients / seconds


# -- one study, as a user sees it


async def study(product: Product, run: Run) -> Measured:
    """Store a study, retrieve it, rename its patient, and read it again."""
    there = run.new_study(run.scale.study)
    await store_study(product, there)
    async with Client(product.url, room=64 * 1024 * there.instances) as client:
        await _with_memory(client, run)
        found = {"retrieve received": await _retrieve(client, product, there.uid)}
        await _with_memory(client, run)
        name = f"Bench^After{there.number}"
        rename = _rename_here if product.name == "gateway" else _rename_orthanc
        with Stopwatch() as watch:
            uid, instance = await rename(client, product, there, name)
            await _wait_until_shown(client, product, uid, instance, name)
        found["edit visible"] = watch.ms
        with Stopwatch() as watch:
            await client.ask("GET", f"{product.root}/studies/{uid}/metadata", headers=JSON)
        found["metadata first"] = watch.ms
        path = f"{product.root}/studies/{uid}"
        found["metadata cached"] = statistics.median([await _timed(client, f"{path}/metadata") for _ in range(5)])
        if product.name == "gateway":
            found["metadata old"] = await _timed(client, f"{path}/metadata?version={there.complete_version}")
        found["retrieve edited"] = await _retrieve(client, product, uid)
        found |= await _frames(client, product, uid)
    return found


async def _with_memory(client: Client, run: Run) -> None:
    """Have memory at hand (limits.use_memory), and a connection that did not wait meanwhile."""
    limits.use_memory(run.folder, 512)
    await client.connect_anew()


async def _timed(client: Client, path: str) -> float:
    with Stopwatch() as watch:
        await client.ask("GET", path, headers=JSON)
    return watch.ms


async def _retrieve(client: Client, product: Product, uid: str) -> float:
    """Return MB/s."""
    with Stopwatch() as watch:
        reply = await client.ask("GET", f"{product.root}/studies/{uid}", headers=_DICOM)
    return reply.size / 2**20 / (watch.ms / 1000)


async def _rename_here(client: Client, product: Product, there: Study, name: str) -> tuple[str, str]:
    """Edit the study's PatientName; return its UID and the path of one of its instances."""
    await client.ask("PATCH", f"{product.root}/studies/{there.uid}/metadata", name_patch(there.uid, name), _PATCH)
    return there.uid, f"series/{there.series}/instances/{there.sop_instance(0)}"


def name_patch(study_instance_uid: str, name: str) -> bytes:
    """Return the edit of a study that gives its patient a name."""
    study = {"vr": "UI", "Value": [study_instance_uid]}
    return json.dumps([{"0020000D": study, "00100010": {"vr": "PN", "Value": [{"Alphabetic": name}]}}]).encode()


async def _rename_orthanc(client: Client, product: Product, there: Study, name: str) -> tuple[str, str]:
    """Rename with Orthanc's modification, which makes a study with new UIDs; return the same of that.

    With the UIDs kept, QIDO goes on showing the old name in 1.10.1, so that could not be measured to its end.
    """
    (resource,) = json.loads((await client.ask("POST", "/tools/lookup", there.uid.encode())).body)
    change = {"Replace": {"PatientName": name}, "KeepSource": False}
    made = await client.ask("POST", f"/studies/{resource['ID']}/modify", json.dumps(change).encode())
    shown = json.loads(await client.get(f"/studies/{json.loads(made.body)['ID']}"))
    uid: str = shown["MainDicomTags"]["StudyInstanceUID"]
    (first,) = json.loads(await client.get(f"{product.root}/studies/{uid}/instances?limit=1"))
    return uid, f"series/{_value(first, '0020000E')}/instances/{_value(first, '00080018')}"


async def _wait_until_shown(client: Client, product: Product, uid: str, instance: str, name: str) -> None:
    """Return when QIDO and WADO both show the name. Raises Refused after ten seconds."""
    for _ in range(1000):
        (match,) = json.loads(await client.get(f"{product.root}/studies?StudyInstanceUID={uid}"))
        (shown,) = json.loads(await client.get(f"{product.root}/studies/{uid}/{instance}/metadata"))
        if _value(match, "00100010") == _value(shown, "00100010") == {"Alphabetic": name}:
            return
        await asyncio.sleep(0.01)
    raise Refused("the new name is not shown")


def _value(dataset: dict[str, Any], tag: str) -> Any:
    return dataset[tag]["Value"][0]


async def _frames(client: Client, product: Product, uid: str) -> Measured:
    """Return how many frames a second come, one a request; nothing from a product that does not serve them."""
    matches = json.loads(await client.get(f"{product.root}/studies/{uid}/instances?limit=50"))
    paths = [
        f"{product.root}/studies/{uid}/series/{_value(one, '0020000E')}/instances/{_value(one, '00080018')}/frames/1"
        for one in matches
    ]
    headers = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'}
    try:
        await client.ask("GET", paths[0], headers=headers)
    except Refused:
        return {}
    with Stopwatch() as watch:
        for path in paths:
            await client.ask("GET", path, headers=headers)
    return {"frames": len(paths) / watch.ms * 1000}


# -- what only the gateway does


async def stored(product: Product, run: Run, size: int) -> Study:
    """Return the run's study of a size, stored when it is first asked for."""
    key = (product.name, size)
    if key not in run.studies:
        run.studies[key] = run.new_study(size)
        await store_study(product, run.studies[key])
    return run.studies[key]


async def _edit(client: Client, product: Product, study: Study, number: int) -> float:
    """Return the milliseconds until an edit of the patient's name is answered."""
    with Stopwatch() as watch:
        await _rename_here(client, product, study, f"Bench^Edit{number}")
    return watch.ms


async def edits(product: Product, run: Run) -> Measured:
    """Edit studies of several sizes, one after the other, and many studies at once."""
    found = Measured()
    async with Client(product.url) as client:
        for size in run.scale.sizes:
            study = await stored(product, run, size)
            await _with_memory(client, run)
            times = [await _edit(client, product, study, next(run.numbers)) for _ in range(run.scale.edits)]
            found[f"edit of {size}"] = statistics.median(times)
            if size == run.scale.study:
                found["edits, 1 client"] = len(times) / sum(times) * 1000
    return found | await _editors(product, run)


async def _editors(product: Product, run: Run) -> Measured:
    """Return what many clients get that each edit a study of their own."""
    if ("editors", 0) not in run.studies:
        for number in range(run.scale.editors):
            run.studies["editors", number] = run.new_study(20)
            await store_study(product, run.studies["editors", number])
    studies = [run.studies["editors", number] for number in range(run.scale.editors)]
    seconds, times = await _edit_at_once(product, studies, max(2, run.scale.edits // 2))
    return {"edits, 32 clients": len(times) / seconds, "edits, 32 clients, p99": quantile(times, 0.99)}


async def _edit_at_once(product: Product, studies: Sequence[Study], each: int) -> tuple[float, list[float]]:
    """Edit studies so often each, a client for each; return the seconds of all and the milliseconds of every edit."""
    times: list[float] = []

    async def edit_often(client: Client, study: Study) -> None:
        for number in range(each):
            times.append(await _edit(client, product, study, number))

    limits.use_memory(product.folder, 256)
    clients = [await Client(product.url).__aenter__() for _ in studies]
    pairs = list(zip(clients, studies, strict=True))
    seconds = await at_once([partial(edit_often, *pair) for pair in pairs])
    for client in clients:
        await client.__aexit__()
    return seconds, times


async def small_edits(product: Product, run: Run) -> Measured:
    """Edit one instance of the largest study, and revert studies; count what edits leave on the disk."""
    found = Measured()
    largest = run.scale.sizes[-1]
    study = await stored(product, run, largest)
    async with Client(product.url) as client:
        await _with_memory(client, run)
        before = product.database_bytes
        for _ in range(run.scale.edits):
            await _edit(client, product, study, next(run.numbers))
        found["bytes per edit"] = (product.database_bytes - before) / run.scale.edits
        before = product.database_bytes
        times = [await _edit_instance(client, product, study, number) for number in range(run.scale.edits)]
        found["edit of one instance"] = statistics.median(times)
        found["bytes per instance edit"] = (product.database_bytes - before) / run.scale.edits
        for size in (run.scale.sizes[0], largest):
            of_size = await stored(product, run, size)
            found[f"revert of {size}"] = statistics.median(
                [await _revert(client, product, of_size, next(run.numbers)) for _ in range(run.scale.edits // 2)]
            )
    return found


async def _edit_instance(client: Client, product: Product, study: Study, number: int) -> float:
    """Return the milliseconds of an edit of a private element, of another instance each time."""
    instance = study.sop_instance(number * 37 % study.instances)
    patch = {"00091004": {"vr": "SH", "Value": [f"BENCH{time.monotonic_ns() % 10**9}"]}}
    path = (
        f"{product.root}/studies/{study.uid}/series/{study.series}/instances/{instance}/normalizedmetadata?force=true"
    )
    with Stopwatch() as watch:
        await client.ask("PATCH", path, json.dumps(patch).encode(), _PATCH)
    return watch.ms


async def _revert(client: Client, product: Product, study: Study, number: int) -> float:
    """Return the milliseconds of a revert to the first complete version, after an edit that is not measured."""
    await _edit(client, product, study, number)
    with Stopwatch() as watch:
        await client.ask(
            "POST", f"{product.root}/studies/{study.uid}/revert?to={study.complete_version}", headers=_PATCH
        )
    return watch.ms


async def documents(product: Product, run: Run) -> Measured:
    """Get the metadata document of an image set: first after an edit, again, and in an old version."""
    study = await stored(product, run, run.scale.study)
    async with Client(product.url) as client:
        path = await _document_path(client, study)
        await _patiently(client, path)  # what is said of frames is made once, when it is first asked for
        first, again = [], []
        for _ in range(10):
            await _edit(client, product, study, next(run.numbers))
            first.append(await _timed_post(client, path))
            again += [await _timed_post(client, path) for _ in range(5)]
        first_old = study.complete_version
        old = [await _timed_post(client, f"{path}?version={number}") for number in range(first_old, first_old + 10)]
        run.document_size = (await client.ask("POST", path)).size
    return {
        "document first": 1000 / statistics.median(first),
        "document cached": 1000 / statistics.median(again),
        "document old": 1000 / statistics.median(old),
    }


async def _timed_post(client: Client, path: str) -> float:
    with Stopwatch() as watch:
        await client.ask("POST", path)
    return watch.ms


async def _document_path(client: Client, study: Study) -> str:
    (datastore,) = json.loads(await client.get("/datastore"))["datastoreSummaries"]
    root = f"/datastore/{datastore['datastoreId']}"
    value = {"values": [{"DICOMStudyInstanceUID": study.uid}], "operator": "EQUAL"}
    search = json.dumps({"filters": [value]}).encode()
    found = json.loads((await client.ask("POST", f"{root}/searchImageSets", search)).body)
    (image_set,) = found["imageSetsMetadataSummaries"]
    return f"{root}/imageSet/{image_set['imageSetId']}/getImageSetMetadata"


async def _patiently(client: Client, path: str) -> None:
    for attempt in range(20):
        try:
            await client.ask("POST", path)
        except Refused:
            if attempt == 19:
                raise
            await asyncio.sleep(1)
        else:
            return


async def memory(product: Product, run: Run) -> Measured:
    return {"resident memory": product.resident_megabytes}


async def versions(product: Product, run: Run) -> list[tuple[float, float]]:
    """Return how many versions a study has, and the median milliseconds of the edits that led there."""
    study = run.new_study(100)
    await store_study(product, study)
    step = max(1, run.scale.versions // 10)
    grown: list[tuple[float, float]] = []
    async with Client(product.url) as client:
        for reached in range(step, run.scale.versions + 1, step):
            times = [await _edit(client, product, study, next(run.numbers)) for _ in range(step)]
            grown.append((reached, statistics.median(times)))
    return grown


# -- the machine


async def machine(run: Run) -> Measured:
    """Measure the limits. The server of the constant is asked by the same client as the products."""
    scale, found = run.scale, Measured()
    limits.use_memory(run.folder, 512)
    for kilobytes in scale.kilobytes:
        for together, shown in ((scale.stow_together, 100), (1, 1)):
            count = max(scale.stow_together, scale.stow_singles)
            key = f"hash and write {kilobytes} KB, {shown} a file"
            found[key] = await asyncio.to_thread(limits.hash_and_write, run.folder, kilobytes, count, together)
    found["SQLite commits"] = await asyncio.to_thread(limits.commits, run.folder, max(20, scale.edits * 5))
    found["loopback"] = await asyncio.to_thread(limits.loopback, 16 if scale.rounds == 1 else 512)
    with (
        tempfile.TemporaryDirectory(dir=run.folder) as folder,
        limits.bare_server(Path(folder), run.document_size or 65536) as bare,
    ):
        async with Client(bare.url) as client:
            times = [await _timed(client, "/") for _ in range(max(10, scale.edits))]
        found |= await _bare(bare, run)
    found["constant document"] = 1000 / statistics.median(times)
    return found


async def _bare(bare: Product, run: Run) -> Measured:
    """Return what a server gets that does next to nothing for a store of one instance and for an edit."""
    scale, found = run.scale, Measured()
    for kilobytes in scale.kilobytes:
        for clients, of in ((1, 1), (scale.clients, 8)):
            each = max(1, scale.stow_singles // (2 if clients > 1 else 1))
            found[f"bare stow {kilobytes} KB, {of} clients"] = await _stow_rate(bare, run, kilobytes, 1, each, clients)
    for editors, shown in ((1, "1 client"), (scale.editors, "32 clients")):
        studies = [run.new_study(1) for _ in range(editors)]
        seconds, times = await _edit_at_once(bare, studies, max(2, scale.edits // (2 if editors > 1 else 1)))
        found[f"bare edits, {shown}"] = len(times) / seconds
    return found
