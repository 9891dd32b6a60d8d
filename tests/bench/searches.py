"""QIDO-RS searches of studies, with what they look for drawn anew each time."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from tests.bench.client import Client
from tests.bench.figures import QIDO_KINDS
from tests.bench.instances import STORE_HEADERS, store_body
from tests.bench.many_studies import FIRST_DAY, fill, person, small_instance
from tests.bench.products import Product
from tests.bench.work import Measured, Stopwatch, name_patch, quantile


@dataclass(frozen=True, slots=True)
class AsMany:
    """What finds as many among a number of studies: letters of a name, from its first and from its third, and days.

    Of the studies of `many_studies`, one to three share so many letters; 27 to 40 are of a modality in so many days.
    """

    letters: int
    inner_letters: int
    days: int


# By the least number of studies that each is for.
_AS_MANY = {0: AsMany(5, 6, 100), 10**5: AsMany(6, 7, 10), 10**6: AsMany(8, 8, 1)}


def as_many(studies: int) -> AsMany:
    """Return how to ask for as many among `studies` as among any other number of them, from 10,000 on."""
    return _AS_MANY[max(least for least in _AS_MANY if least <= studies)]


def query_of(kind: str, number: int, studies: int) -> str:
    """Return the query of a kind that finds the study of a number, among so many."""
    said, asked = person(number), as_many(studies)
    if kind == "by UID":
        return f"StudyInstanceUID={said.uid}"
    if kind == "by PatientID":
        return f"PatientID={said.patient_id}"
    if kind == "by name prefix":
        return f"PatientName={said.name[:5]}*&limit=100"
    if kind == "by part of a name":
        return f"PatientName=*{said.name[2:8]}*&limit=100"
    if kind == "by date range and modality":
        day = date.fromisoformat(said.study_date)
        return (
            f"StudyDate={said.study_date}-{day + timedelta(days=7):%Y%m%d}&ModalitiesInStudy={said.modality}&limit=100"
        )
    if kind == "by name prefix, as many found":
        return f"PatientName={said.name[: asked.letters]}*&limit=100"
    if kind == "by part of a name, as many found":
        return f"PatientName=*{said.name[2 : 2 + asked.inner_letters]}*&limit=100"
    if kind == "by date range and modality, as many found":
        first, last = days_around(said.study_date, asked.days)
        return f"StudyDate={first:%Y%m%d}-{last:%Y%m%d}&ModalitiesInStudy={said.modality}&limit=100"
    return "limit=100"


def days_around(study_date: str, days: int) -> tuple[date, date]:
    """Return the first and the last of so many days with a study's among them, as the days since FIRST_DAY fall."""
    day = date.fromisoformat(study_date)
    first = day - timedelta(days=(day - FIRST_DAY).days % days)
    return first, first + timedelta(days=days - 1)


async def search(product: Product, studies: int, count: int, seed: int) -> Measured:
    """Return the median and the 95th percentile of each kind of search, in milliseconds."""
    found, draw = Measured(), random.Random(seed)
    async with Client(product.url) as client:
        for kind in QIDO_KINDS:
            queries = [query_of(kind, draw.randint(1, studies), studies) for _ in range(count)]
            times = [await _timed(client, product, query) for query in queries]
            found[f"QIDO {kind}, {studies} studies, median"] = statistics.median(times)
            found[f"QIDO {kind}, {studies} studies, p95"] = quantile(times, 0.95)
    return found


async def _timed(client: Client, product: Product, query: str) -> float:
    """Return the milliseconds of a search. Raises ValueError where it finds nothing: each is made to find something."""
    with Stopwatch() as watch:
        body = await client.get(f"{product.root}/studies?{query}")
    if not body or body == b"[]":
        raise ValueError(f"{product.name} finds nothing for {query}")
    return watch.ms


async def fill_gateway(folder: Path, studies: int) -> None:
    """Fill the data folder of a gateway that does not run."""
    await fill(folder / "gateway", studies)


async def fill_over_http(product: Product, studies: int) -> None:
    """Store the same studies the way any client does."""
    async with Client(product.url) as client:
        for first in range(1, studies + 1, 100):
            numbers: Sequence[int] = range(first, min(first + 100, studies + 1))
            body = store_body(small_instance(number) for number in numbers)
            await client.ask("POST", f"{product.root}/studies", body, STORE_HEADERS)


async def edit_among(product: Product, studies: int, count: int) -> float:
    """Return the median milliseconds of an edit of one of many studies."""
    draw, times = random.Random(count), list[float]()
    headers = {"Content-Type": "application/dicom+json"}
    async with Client(product.url) as client:
        for number in range(count):
            uid = person(draw.randint(1, studies)).uid
            body = name_patch(uid, f"Bench^Edit{number}")
            with Stopwatch() as watch:
                await client.ask("PATCH", f"{product.root}/studies/{uid}/metadata", body, headers)
            times.append(watch.ms)
    return statistics.median(times)
