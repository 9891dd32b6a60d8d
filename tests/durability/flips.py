"""Flipped bytes: damage anywhere in a data folder is found by `gateway verify`, or it changed nothing.

A byte of a random file is changed, `verify` looks, the byte is put back. What `verify` does not report has to be where
nothing lies (a free page, the unused end of one): then every row and every stored byte still reads the same.

    python -m tests.durability.flips --flips 20000
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import random
import shutil
import sqlite3
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.store.blobs.protocol import Address
from gateway.store.log.import_log import ImportFile, ImportJob
from gateway.store.searches import ImageSetSearch
from gateway.store.verify import verify
from tests.durability.gateway_requests import Gateway, gateway_over, rename, small_instance, stow, study_path
from tests.samples import sample

# What is damaged: every file that holds something. The lock is empty, and the shared memory is made anew.
NO_DATA = {"lock", "gateway.db-shm"}


async def fill(folder: Path, crashed: Path) -> None:
    """Fill a folder with some of everything; `crashed` becomes a copy of it as a kill would leave it."""
    async with gateway_over(folder) as gateway:
        files = [sample(name).read_bytes() for name in ("CT_small.dcm", "MR_small_bigendian.dcm", "waveform_ecg.dcm")]
        assert (await stow(gateway.client, *files)).is_success
        await stow(gateway.client, *(small_instance(1, number) for number in range(1, 4)), small_instance(2))
        for number in range(6):
            assert (await rename(gateway.client, 1, f"Doe^Jane{number}", Idempotency_Key=f"key-{number}")).is_success
        await gateway.client.delete(study_path(2))
        await gateway.client.patch(
            "/dicomweb/patients/P1/normalizedmetadata",
            json={"00104000": {"vr": "LT", "Value": ["allergic"]}},
            headers={"Content-Type": "application/merge-patch+json"},
        )
        while await gateway.store.unfinished_jobs():
            await asyncio.sleep(0.01)
        await read_frames(gateway)
        await leave_an_import(gateway)
        shutil.copytree(folder, crashed)


async def read_frames(gateway: Gateway) -> None:
    """Ask for metadata and a frame over HealthImaging, so that what is made of pixels is kept."""
    datastore_id = (await gateway.store.default_datastore()).datastore_id
    found = await gateway.store.search_image_sets(datastore_id, ImageSetSearch(equal={"DICOMPatientId": "P1"}))
    path = f"/datastore/{datastore_id}/imageSet/{found[0].version.image_set_id}"
    document = (await gateway.client.post(f"{path}/getImageSetMetadata", json={})).json()
    [series] = document["Study"]["Series"].values()
    for instance in series["Instances"].values():
        frame = {"imageFrameId": instance["ImageFrames"][0]["ID"]}
        assert (await gateway.client.post(f"{path}/getImageFrame", json=frame)).status_code == 200
    await asyncio.sleep(0.5)  # those after the first are encoded ahead


async def leave_an_import(gateway: Gateway) -> None:
    """Leave an import job in the middle, with a file in a pack and one that was refused."""
    datastore_id = (await gateway.store.default_datastore()).datastore_id
    pack = await gateway.store.new_pack()
    content = small_instance(4)
    await pack.write(content)
    await pack.commit()
    job = ImportJob("1" * 32, datastore_id, "SUBMITTED", datetime.now(UTC), {"jobName": "nightly"})
    await gateway.store.imports.create(job, "one", 100)
    address, digest = Address(pack.name, 0, len(content)), hashlib.sha256(content).hexdigest()
    files = [ImportFile("1.dcm", address, digest, study_path(4)), ImportFile("2.dcm", outcome={"refused": True})]
    await gateway.store.imports.add_files(job.job_id, files)


def everything(folder: Path) -> dict[str, str]:
    """Return a digest of every table of the database, and of the stored bytes that rows name."""
    found: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as copy, closing(sqlite3.connect(_copied(folder, Path(copy)))) as connection:
        connection.row_factory = sqlite3.Row
        # How study_text lies in its tables is FTS5's own.
        tables = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'study_text%'"
        for table, sql in connection.execute(tables).fetchall():
            rows = sorted(map(repr, map(_as_read, connection.execute(f"SELECT * FROM {table}"))))
            found[table] = hashlib.sha256(repr((sql, rows)).encode()).hexdigest()
        found["study_text"] = texts_found(connection)
        stored = hashlib.sha256()
        for pack, offset, length in connection.execute(
            "SELECT lower(hex(pack)), offset, length FROM object"
            " UNION SELECT lower(hex(pack)), offset, length FROM bulk_data"
            " UNION SELECT lower(hex(pack)), offset, length FROM encoded_frame"
            " UNION SELECT lower(hex(pack)), offset, length FROM import_file WHERE pack IS NOT NULL"
        ):
            data = (folder / "blobs" / pack[:2] / pack[2:4] / pack).read_bytes()
            stored.update(data[offset : offset + length])
    return {**found, "packs": stored.hexdigest()}


def texts_found(connection: sqlite3.Connection) -> str:
    """Return which studies are found by which three letters: what FTS5's own tables are for."""
    connection.execute("CREATE VIRTUAL TABLE temp.terms USING fts5vocab(main, study_text, row)")
    terms = [term for (term,) in connection.execute("SELECT term FROM temp.terms")]
    by_term = {}
    for term in terms:
        quoted = '"' + term.replace('"', '""') + '"'
        found = connection.execute("SELECT rowid FROM study_text WHERE study_text MATCH ?", (quoted,))
        by_term[term] = [number for (number,) in found]
    return hashlib.sha256(repr(sorted(by_term.items())).encode()).hexdigest()


def _as_read(row: sqlite3.Row) -> list[Any]:
    """Return a row with the bodies of parts as whoever gets them reads them: deflate has bits that mean nothing."""
    values = dict(zip(row.keys(), row, strict=True))
    if "raw_length" in values:
        stream = zlib.decompressobj(-15)
        values["body"] = stream.decompress(values["body"] + b"\x03\x00"), stream.eof, stream.unused_data
    return list(values.values())


def _copied(folder: Path, copy: Path) -> Path:
    for path in folder.glob("gateway.db*"):
        if path.name not in NO_DATA:
            shutil.copy(path, copy)
    return copy / "gateway.db"


@contextmanager
def flipped(path: Path, offset: int, change: int) -> Iterator[None]:
    """Change a byte of a file, and put it back."""
    with path.open("r+b", buffering=0) as file:
        for _ in range(2):
            file.seek(offset)
            (value,) = file.read(1)
            file.seek(offset)
            file.write(bytes([value ^ change]))
            if _ == 0:
                yield


@dataclass(slots=True)
class Score:
    """found: reported. harmless: not reported, and nothing reads differently. missed: what should not be."""

    found: int = 0
    harmless: int = 0
    missed: list[str] = field(default_factory=list)


async def flip(folder: Path, flips: int, seed: int) -> Score:
    """Flip bytes one after the other, half of them in the database, the others in packs taken in turn."""
    score, chance, whole = Score(), random.Random(seed), everything(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in NO_DATA)
    kinds = [path for path in files if path.parent == folder], [path for path in files if path.parent != folder]
    for number in range(flips):
        kind = kinds[number % 2]
        path = kind[number // 2 % len(kind)]
        offset, change = chance.randrange(path.stat().st_size), 1 << chance.randrange(8)
        with flipped(path, offset, change):
            if (await verify(folder)).damage:
                score.found += 1
            elif different := {name for name, digest in everything(folder).items() if digest != whole[name]}:
                where = f"{path.relative_to(folder)} byte {offset} bit {change:#04x}"
                score.missed.append(f"{where}: {', '.join(sorted(different))} read differently")
            else:
                score.harmless += 1
    if (await verify(folder)).damage:
        score.missed.append("after the last flip was undone there was damage")
    return score


async def main() -> int:
    options = argparse.ArgumentParser(description="Flipped bytes.")
    options.add_argument("--flips", type=int, default=2000)
    options.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    given = options.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gateway-flips-") as temporary:
        closed, crashed = Path(temporary, "closed"), Path(temporary, "crashed")
        await fill(closed, crashed)
        scores = [await flip(folder, given.flips // 2, given.seed) for folder in (closed, crashed)]
    missed = [one for score in scores for one in score.missed]
    for one in missed:
        print(one)
    found, harmless = (sum(getattr(score, name) for score in scores) for name in ("found", "harmless"))
    print(
        f"{given.flips} flips, seed {given.seed}, {time.monotonic() - started:.0f} s: {found} found,"
        f" {harmless} where nothing lies, {len(missed)} missed"
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
