"""The benchmark measures every figure it promises, and says the truth about targets. No test here asserts a time."""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import httpx
import pytest

from gateway.settings import Settings
from tests.bench import pace
from tests.bench.__main__ import ONLY, measure
from tests.bench.figures import FIGURES, LIMITS
from tests.bench.many_studies import person, small_instance
from tests.bench.pace import PACE, Pace
from tests.bench.page import DOCS, with_results, write_docs
from tests.bench.report import Results, bars_svg, growth_svg, lines, missed, number, table
from tests.bench.searches import as_many, days_around, fill_gateway, query_of
from tests.bench.work import QUICK
from tests.conftest import serving

# What a quick run does not reach: studies of these sizes, and as many of them.
_TOO_LARGE = ("QIDO", "edit of 100", "edit of 500", "edit of 2000", "revert of 2000", "edits, 1 client", "frames")


def _results(gateway: float, orthanc: float | None = None, limit: float | None = None) -> Results:
    results = Results({}, {}, {})
    results.add("gateway", {"stow 512 KB, 100 a request, 1 clients": gateway})
    if orthanc is not None:
        results.add("Orthanc", {"stow 512 KB, 100 a request, 1 clients": orthanc})
    if limit is not None:
        results.add("limits", {"hash and write 512 KB, 100 a file": limit})
    return results


async def test_a_quick_run_measures_every_figure_but_those_of_large_studies(tmp_path: Path) -> None:
    """A run of the gateway alone has a value of each figure and of each limit, a real server behind it."""
    results = await measure(QUICK, set(ONLY), tmp_path, with_orthanc=False)

    expected = {figure.key for figure in FIGURES if not figure.key.startswith(_TOO_LARGE)}
    assert expected <= results.rounds["gateway"].keys()
    assert results.rounds["limits"].keys() == LIMITS.keys()
    assert all(value > 0 for value in results.values("gateway", "edit visible"))
    assert results.growth.keys() == {"versions of a study", "instances of the study", "studies in the data store"}
    assert PACE in results.about
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("loops", "most", "waits"),
    [
        ([30.0, 31.0], 9, 0),
        ([30.0, 60.0, 50.0, 34.0], 9, 2),
        ([60.0, 30.0], 9, 0),
        ([30.0, 60.0], 0, 0),
    ],
    ids=["steady", "until_as_at_best", "the_first_is_the_best_so_far", "no_longer_than_it_may"],
)
async def test_a_measurement_waits_for_the_processor(
    monkeypatch: pytest.MonkeyPatch, loops: list[float], most: float, waits: int
) -> None:
    """It begins when a loop takes what it took at best, or when the time for that is over."""
    slept, coming = list[float](), iter(loops)

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(pace, "loop", lambda: next(coming))
    monkeypatch.setattr(asyncio, "sleep", sleep)
    held = Pace(most)

    await held.steady()
    await held.steady()

    assert (len(slept), held.loops) == (waits, loops)


async def test_studies_appended_in_bulk_are_found_as_those_that_were_stored(tmp_path: Path) -> None:
    """Each of them has its own UID, patient, date and modality, and can be edited."""
    await fill_gateway(tmp_path, 20)
    said = person(17)

    with serving(tmp_path / "gateway") as server:
        (found,) = httpx.get(f"{server.dicomweb}/studies", params={"StudyInstanceUID": said.uid}).json()
        named = httpx.get(f"{server.dicomweb}/studies", params={"PatientName": f"{said.name[:5]}*"}).json()

    assert found["00080020"]["Value"] == [said.study_date]
    assert found["00080061"]["Value"] == [said.modality]
    assert found["00100020"]["Value"] == ["BENCH00000000008"]
    assert said.uid in {match["0020000D"]["Value"][0] for match in named}


@pytest.mark.parametrize("studies", [10**4, 10**5], ids=str)
def test_as_many_are_found_among_more_studies(studies: int) -> None:
    """Of a name one to three, of a modality some 27: also where there are ten times as many studies."""
    people = [person(number) for number in range(1, studies + 1)]
    asked = as_many(studies)
    starts = Counter(said.name[: asked.letters] for said in people)
    inner = Counter(said.name[2 : 2 + asked.inner_letters] for said in people)
    days = Counter((days_around(said.study_date, asked.days), said.modality) for said in people)

    found = [sum(count * count for count in one.values()) / studies for one in (starts, inner, days)]

    assert [1 < found[0] < 3, 1 < found[1] < 3, 24 < found[2] < 31] == [True] * 3, found


@pytest.mark.parametrize(
    ("studies", "expected"),
    [
        (10**4, ("Raler", "lera^B", ("20190415", "20190723"))),
        (10**5, ("Ralera", "lera^Ba", ("20190624", "20190703"))),
        (10**6, ("Ralera^B", "lera^Bak", ("20190626", "20190626"))),
    ],
    ids=str,
)
def test_more_letters_and_fewer_days_are_asked_for_among_more_studies(
    studies: int, expected: tuple[str, str, tuple[str, str]]
) -> None:
    """Ralera^Bake, of 2019-06-26: one study, asked for among ten and a hundred times as many."""
    prefix, part, (first, last) = expected
    kinds = ("by name prefix", "by part of a name", "by date range and modality")

    queries = [query_of(f"{kind}, as many found", 1000, studies) for kind in kinds]

    assert queries == [
        f"PatientName={prefix}*&limit=100",
        f"PatientName=*{part}*&limit=100",
        f"StudyDate={first}-{last}&ModalitiesInStudy=CR&limit=100",
    ]


def test_instances_over_http_say_what_those_appended_in_bulk_say() -> None:
    """Two products that are filled in two ways are asked for the same."""
    data = small_instance(17)

    assert person(17).name.encode() in data
    assert person(17).study_date.encode() in data
    assert Settings().max_store_parts >= 100


@pytest.mark.parametrize(
    ("gateway", "orthanc", "limit", "expected"),
    [
        pytest.param(300.0, 100.0, 600.0, [], id="met"),
        pytest.param(299.0, 100.0, 500.0, ["≥ 3 × Orthanc"], id="too near to Orthanc"),
        pytest.param(300.0, 100.0, 601.0, ["≥ 0.5 ×"], id="too far from the limit"),
        pytest.param(300.0, None, None, [], id="nothing to hold it against"),
    ],
)
def test_a_target_that_is_missed_is_said(
    gateway: float, orthanc: float | None, limit: float | None, expected: list[str]
) -> None:
    """A figure at its target meets it; one short of it is told with what was measured."""
    told = missed(_results(gateway, orthanc, limit))

    assert len(told) == len(expected)
    assert all(target in sentence for target, sentence in zip(expected, told, strict=True))


def test_ratios_are_of_values_of_one_round() -> None:
    """What slows a round slows both products; the spread is that of the quotients."""
    results = Results({}, {}, {})
    for mine, theirs in ((10.0, 100.0), (20.0, 200.0), (30.0, 900.0)):
        results.add("gateway", {"edit visible": mine})
        results.add("Orthanc", {"edit visible": theirs})

    (line,) = lines(results)

    assert str(line.times) == "10.0 (10.0–30.0)"


@pytest.mark.parametrize(
    ("value", "shown"), [(0.123, "0.12"), (12.34, "12.3"), (123.4, "123"), (12345.6, "12,346")], ids=str
)
def test_numbers_are_shown_with_the_digits_that_count(value: float, shown: str) -> None:
    """Three of them: more would be noise."""
    assert number(value) == shown


def test_plots_are_svg() -> None:
    """Both plots are well-formed and have a mark for each value."""
    bars = ElementTree.fromstring(bars_svg(_results(300.0, 100.0)))
    grown = ElementTree.fromstring(growth_svg("versions", [(1, 0.5), (10, 0.6), (1000, 0.7)]))

    assert len(bars.findall("{*}rect")) == 2
    assert len(grown.findall("{*}circle")) == 3


def test_the_page_in_the_docs_takes_the_results_of_a_run(tmp_path: Path) -> None:
    """The table replaces the one there was, between its markers, and the prose stays."""
    before = (DOCS / "performance.md").read_text("utf-8")
    (tmp_path / "performance.md").write_text(before, "utf-8")
    results = _results(299.0, 100.0, 500.0)

    write_docs(results, None, tmp_path)

    page = (tmp_path / "performance.md").read_text("utf-8")
    assert table(results).strip() in page
    assert page.splitlines()[0] == before.splitlines()[0]
    assert with_results(page, results, None) == page
    assert (tmp_path / "performance" / "results.json").exists()


def test_figures_of_an_earlier_run_stand_beside_those_of_this_one() -> None:
    """What this run measured stays, what it did not comes from the earlier one, and the page says when that was."""
    now = Results({"when": "today"}, {"gateway": {"edits, 1 client": [2.0]}}, {"versions of a study": [(1, 1.0)]})
    earlier = Results(
        {"when": "yesterday", "rounds": "3"},
        {"gateway": {"edits, 1 client": [1.0], "frames": [9.0]}, "Orthanc": {"frames": [3.0]}},
        {"versions of a study": [(1, 5.0)], "studies in the data store": [(10, 4.0)]},
    )

    now.add_earlier(earlier)

    assert now.rounds == {"gateway": {"edits, 1 client": [2.0], "frames": [9.0]}, "Orthanc": {"frames": [3.0]}}
    assert now.growth == {"versions of a study": [(1, 1.0)], "studies in the data store": [(10, 4.0)]}
    assert now.about == {"when": "today", "the searches, measured in a run of their own": "when yesterday, rounds 3"}
