"""Retrieve Capabilities: PS3.18 section 8.9. O1 is a line of a checklist."""

from __future__ import annotations

from xml.etree import ElementTree

import httpx
import pytest

from gateway.dicomweb.capabilities import TRANSACTIONS
from gateway.dicomweb.routes import below_root

WADL = "{http://wadl.dev.java.net/2009/02}"


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_the_root_describes_what_the_gateway_does(client: httpx.AsyncClient, method: str) -> None:
    """O1, N14: in the language of the standard, with every resource, method and media type."""
    response = await client.request(method, "/dicomweb/")

    assert (response.status_code, response.headers["content-type"]) == (200, "application/vnd.sun.wadl+xml")
    assert response.headers["allow"] == "GET, HEAD, OPTIONS"
    root = ElementTree.fromstring(response.content)
    [resources] = root.findall(f"{WADL}resources")
    assert resources.get("base") == "http://gateway.test/dicomweb/"
    [search] = root.findall(f".//{WADL}resource[@path='studies']/{WADL}method[@name='GET']")
    assert search.get("id") == "SearchForStudies"
    assert [one.get("name") for one in search.iter(f"{WADL}param")] == [
        "accept",
        "{attribute}",
        "fuzzymatching",
        "emptyvaluematching",
        "multiplevaluematching",
        "includefield",
        "limit",
        "offset",
    ]
    assert [one.get("mediaType") for one in search.iter(f"{WADL}representation")] == [
        "application/dicom+json",
        "application/json",
        'multipart/related; type="application/dicom+xml"',
    ]


async def test_the_description_comes_in_json(client: httpx.AsyncClient) -> None:
    """O1: the same, for programs of today, below each root."""
    [datastore] = (await client.get("/datastore", headers={"Accept": "application/json"})).json()["datastoreSummaries"]
    root = f"/datastore/{datastore['datastoreId']}/"

    response = await client.get(root, headers={"Accept": "application/json"})

    assert response.json()["base"] == f"http://gateway.test{root}"
    [studies] = [one for one in response.json()["resources"] if one["path"] == "studies"]
    [store] = [one for one in studies["methods"] if one["method"] == "POST"]
    assert store["id"] == "StoreInstances"
    assert 'multipart/related; type="application/dicom+json"' in store["reads"]


async def test_every_path_is_described(client: httpx.AsyncClient) -> None:
    """The description is made of the routes: what is served is in it, and nothing else."""
    described = (await client.get("/dicomweb/?accept=application/json")).json()["resources"]

    found = {(f"/{one['path']}", method["method"]) for one in described for method in one["methods"]}

    served = {(route.path, method) for route in below_root() for method in (route.methods or set()) - {"HEAD"}}
    assert found == served - {("/", "GET"), ("/", "OPTIONS")}
    assert {(path, method) for method, path in TRANSACTIONS} <= found


async def test_the_root_without_a_slash_is_the_root(client: httpx.AsyncClient) -> None:
    """A client's base address has none."""
    assert (await client.get("/dicomweb", follow_redirects=True)).status_code == 200
