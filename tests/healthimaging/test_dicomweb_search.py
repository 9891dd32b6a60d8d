"""QIDO-RS below /datastore/{datastoreId} as HealthImaging limits and orders it, and below /dicomweb as PS3.18 has it.

devguide, "Searching DICOM data in HealthImaging".
"""

from __future__ import annotations

import warnings
from typing import Any

import httpx
import pytest

from gateway.dicomweb import qido, search_rules
from gateway.store.protocol import Store
from tests.dicomweb.wire import patched, stored, stow, value
from tests.samples import instance

A, B = "1.2.3.1", "1.2.3.2"
CREATOR = "GEMS_IDEN_01"


@pytest.fixture
async def filled(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A study of two series, numbered against their order of arrival; and one stored later, of an earlier date."""
    for series, number in (("1", "10"), ("2", "9")):
        for sop in ("2", "1", "10"):
            uids: dict[str, Any] = {"SeriesInstanceUID": f"{A}.{series}", "SOPInstanceUID": f"{A}.{series}.{sop}"}
            await stored(client, instance(study=A, SeriesNumber=number, InstanceNumber=sop, **uids))
    await stored(client, instance(study=B, StudyDate="19990101", SeriesNumber="1", InstanceNumber="5"))
    return client


@pytest.fixture
async def datastore(store: Store) -> str:
    """The root of the default data store by its id."""
    return f"/datastore/{(await store.default_datastore()).datastore_id}"


async def found(client: httpx.AsyncClient, url: str, tag: str) -> list[str]:
    return [value(one, tag) for one in (await client.get(url)).json()]


# -- limits


@pytest.mark.parametrize("path", search_rules.ORDERS)
@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=1000", 200),
        ("limit=1001", 400),
        ("offset=1000000", 204),
        ("offset=1000001", 400),
        ("limit=1000&offset=1000000", 204),
        ("&".join(f"includefield=0010{element:04X}" for element in range(50)), 200),
        ("&".join(f"includefield=0010{element:04X}" for element in range(51)), 400),
        ("includefield=" + ",".join(f"0010{element:04X}" for element in range(51)), 400),
        ("&".join(["includefield=PatientID"] * 51), 200),
        ("includefield=no%20attribute&includefield=NoSuchKeyword&includefield=1", 200),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_search_is_limited_as_the_guide_says(
    filled: httpx.AsyncClient, datastore: str, path: str, query: str, status: int
) -> None:
    """Each action refuses what is above a maximum, and takes what is at it; fields count once."""
    below = path.format(study=A, series=f"{A}.1")

    assert (await filled.get(f"{datastore}{below}?{query}")).status_code == status


@pytest.mark.parametrize("path", search_rules.ORDERS)
async def test_root_of_our_own_has_no_such_limits(filled: httpx.AsyncClient, path: str) -> None:
    """As PS3.18 has it: a larger limit is the largest one, and there may be any number of fields."""
    below = path.format(study=A, series=f"{A}.1")
    fields = "&".join(f"includefield=0010{element:04X}" for element in range(51))

    assert (await filled.get(f"/dicomweb{below}?limit=1001&{fields}")).status_code == 200
    assert (await filled.get(f"/dicomweb{below}?offset=1000001")).status_code == 204
    assert (await filled.get(f"/dicomweb{below}?includefield=no%20attribute")).status_code == 400


async def test_thousand_results_come_where_no_limit_is_asked(
    filled: httpx.AsyncClient, datastore: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default is the maximum, and a Warning says how many more there are."""
    assert search_rules.DEFAULT_LIMIT == 1000
    monkeypatch.setattr(search_rules, "DEFAULT_LIMIT", 2)

    answer = await filled.get(f"{datastore}/instances")

    assert len(answer.json()) == 2
    assert "There are 5 additional results" in answer.headers["warning"]
    assert len((await filled.get("/dicomweb/instances")).json()) == 7


# -- the fields


async def test_fields_that_are_none_are_left_out_in_silence(filled: httpx.AsyncClient, datastore: str) -> None:
    """And the others are there."""
    query = "includefield=PatientWeight&includefield=NoSuchKeyword&includefield=%22"

    answer = await filled.get(f"{datastore}/studies?{query}")

    assert value(answer.json()[0], "00101030") == 0
    assert "warning" not in answer.headers


async def test_all_goes_before_other_fields(filled: httpx.AsyncClient, datastore: str) -> None:
    """Beside a field it is all the same."""
    both, alone = [
        (await filled.get(f"{datastore}/studies?{query}")).json()
        for query in ("includefield=all&includefield=PatientID", "includefield=all")
    ]

    assert both == alone
    assert "00101030" in both[0]


@pytest.mark.parametrize(
    ("query", "private"),
    [
        ("includefield=00091001", []),
        (f"includefield=00091001&00090010={CREATOR}", ["00090010", "00091001"]),
        (f"includefield=00091001&00090011={CREATOR}", None),
        ("includefield=00091001&00090010=", ["00090010"]),
        (f"00090010={CREATOR}", ["00090010"]),
    ],
)
async def test_private_element_needs_its_creator(
    filled: httpx.AsyncClient, datastore: str, query: str, private: list[str] | None
) -> None:
    """As a match parameter; the creator alone brings itself and nothing of its block."""
    answer = await filled.get(f"{datastore}/studies/{B}/instances?{query}")

    assert answer.status_code == (204 if private is None else 200)
    results: list[dict[str, Any]] = answer.json() if private is not None else []
    assert [sorted(tag for tag in one if tag.startswith("0009")) for one in results] == ([private] * len(results))


async def test_private_element_comes_by_itself_below_our_root(filled: httpx.AsyncClient) -> None:
    """Whoever knows its tag may have it."""
    [one] = (await filled.get(f"/dicomweb/studies/{B}/instances?includefield=00091001")).json()

    assert one["00091001"]["Value"] == ["GE_GENESIS_FF"]


# -- the order


def test_every_search_has_an_order() -> None:
    """The table of the guide has a line for each path that can be searched."""
    assert search_rules.ORDERS.keys() == {route.path for route in qido.routes}


SERIES, INSTANCE = "0020000E", "00080018"


@pytest.mark.parametrize(
    ("path", "tag", "expected"),
    [
        ("/series", SERIES, [f"{B}.1", f"{A}.2", f"{A}.1"]),
        (f"/studies/{A}/series", SERIES, [f"{A}.2", f"{A}.1"]),
        (f"/studies/{A}/series/{A}.1/instances", INSTANCE, [f"{A}.1.1", f"{A}.1.2", f"{A}.1.10"]),
        (
            "/instances",
            INSTANCE,
            [*(f"{A}.{one}" for one in ("1.1", "2.1", "1.2", "2.2")), f"{B}.1.1", f"{A}.1.10", f"{A}.2.10"],
        ),
    ],
)
async def test_results_come_by_number(
    filled: httpx.AsyncClient, datastore: str, path: str, tag: str, expected: list[str]
) -> None:
    """Series by Series Number, instances by Instance Number, ascending, as numbers; in pages too."""
    assert await found(filled, f"{datastore}{path}", tag) == expected
    pages = [await found(filled, f"{datastore}{path}?limit=1&offset={n}", tag) for n in range(len(expected))]
    assert [one for page in pages for one in page] == expected


async def test_study_that_changed_last_comes_first(filled: httpx.AsyncClient, datastore: str) -> None:
    """Stored last, or edited last; below our own root the newest StudyDate."""
    before = await found(filled, f"{datastore}/studies", "0020000D")
    await patched(filled, f"/dicomweb/studies/{A}", {"00081030": {"vr": "LO", "Value": ["A"]}})

    assert before == [B, A]
    assert await found(filled, f"{datastore}/studies", "0020000D") == [A, B]
    assert await found(filled, "/dicomweb/studies", "0020000D") == [A, B]


async def test_instances_of_a_study_come_by_their_last_change(filled: httpx.AsyncClient, datastore: str) -> None:
    """That of their series: the one that was stored to last."""
    series = [value(one, SERIES) for one in (await filled.get(f"{datastore}/studies/{A}/instances")).json()]

    assert series == [f"{A}.2"] * 3 + [f"{A}.1"] * 3


# -- warnings


async def test_instances_are_found_by_warning_reason(filled: httpx.AsyncClient, datastore: str) -> None:
    """By a code or with wild cards; of those without a warning there is nothing to find."""
    with warnings.catch_warnings(action="ignore"):  # pydicom's, of what it is asked to write
        odd = instance(study=A, SeriesInstanceUID=f"{A}.1", SOPInstanceUID=f"{A}.1.03", SeriesNumber="10")
    assert (await stow(filled, odd)).status_code == 202
    url = f"{datastore}/studies/{A}/series/{A}.1/instances"

    for query in ("WarningReason=45570", "00081196=45570", "WarningReason=*", "WarningReason=455*"):
        [one] = (await filled.get(f"{url}?{query}")).json()
        assert (value(one, INSTANCE), one["00081196"]) == (f"{A}.1.03", {"vr": "US", "Value": [45570]})
    for query in ("WarningReason=45056", "WarningReason=450*"):
        assert (await filled.get(f"{url}?{query}")).status_code == 204
    [*sound, last] = (await filled.get(f"{url}?includefield=WarningReason")).json()
    assert [("00081196" in one) for one in (*sound, last)].count(True) == 1
    [retrieved] = (await filled.get(f"{datastore}/studies/{A}/series/{A}.1/instances/{A}.1.03/metadata")).json()
    assert "00081196" not in retrieved  # it is said of the instance, and not by it
