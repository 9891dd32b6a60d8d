"""What the gateway can do, for a client to read: Retrieve Capabilities, PS3.18 section 8.9 and annex H.

The description is made of the routes themselves, so it has every path, and of the tables of media types.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.dicom.json_model import encode_json
from gateway.dicom.query_string import PARAMETERS
from gateway.dicomweb import media_types
from gateway.dicomweb.negotiation import DICOM, DICOM_JSON, DICOM_XML, JSON, MULTIPART, Offer, described, negotiate
from gateway.dicomweb.problems import Handler, endpoint
from gateway.dicomweb.targets import root_url
from gateway.state import State

WADL = "application/vnd.sun.wadl+xml"
_NAMESPACE = "http://wadl.dev.java.net/2009/02"
_OFFERS = (Offer(WADL), Offer("application/xml"), Offer("text/xml"), Offer(JSON), Offer(DICOM_JSON))

_VERSIONED = ("version",)
# PS3.18 Tables 9.1.2-1 and 9.1.2-2, those that are supported.
WADO_URI_PARAMETERS = (
    *("requestType", "studyUID", "seriesUID", "objectUID", "contentType", "transferSyntax"),
    *("frameNumber", "windowCenter", "windowWidth", "rows", "columns", "imageQuality", "annotation", "version"),
)
_STORE_TYPES = tuple(text for kind in (DICOM, DICOM_JSON, DICOM_XML) for text in (kind, f'{MULTIPART}; type="{kind}"'))


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction of PS3.18: its name, the bodies it reads, what it writes, its query parameters."""

    name: str
    reads: tuple[str, ...] = ()
    writes: tuple[Offer, ...] = ()
    parameters: tuple[str, ...] = ()


def _search(name: str) -> Transaction:
    return Transaction(name, (), media_types.SEARCH, ("{attribute}", *PARAMETERS))


def _rendered(name: str, *as_is: Offer) -> Transaction:
    parameters = ("window", "viewport", "quality", "annotation", "iccprofile", *_VERSIONED)
    return Transaction(name, (), (*media_types.RENDERED, *as_is), parameters)


def _thumbnail(name: str) -> Transaction:
    return Transaction(name, (), media_types.THUMBNAIL, ("viewport", "iccprofile", *_VERSIONED))


_STUDY, _SERIES = "/studies/{study}", "/studies/{study}/series/{series}"
_INSTANCE = f"{_SERIES}/instances/{{instance}}"
_STORE = Transaction("StoreInstances", _STORE_TYPES, media_types.STORE_RESPONSE)

# PS3.18 Tables 10.4.1-1, 10.5.1-1 and 10.6.1-1. Paths that are not here are edits, history and jobs: docs/editing.md.
TRANSACTIONS: dict[tuple[str, str], Transaction] = {
    ("POST", "/studies"): _STORE,
    ("POST", _STUDY): _STORE,
    ("GET", "/studies"): _search("SearchForStudies"),
    ("GET", "/series"): _search("SearchForSeries"),
    ("GET", "/instances"): _search("SearchForInstances"),
    ("GET", f"{_STUDY}/series"): _search("SearchForStudySeries"),
    ("GET", f"{_STUDY}/instances"): _search("SearchForStudyInstances"),
    ("GET", f"{_SERIES}/instances"): _search("SearchForStudySeriesInstances"),
    ("GET", _STUDY): Transaction("RetrieveStudy", (), media_types.INSTANCES, _VERSIONED),
    ("GET", _SERIES): Transaction("RetrieveSeries", (), media_types.INSTANCES, _VERSIONED),
    ("GET", _INSTANCE): Transaction("RetrieveInstance", (), media_types.INSTANCE, _VERSIONED),
    ("GET", f"{_STUDY}/metadata"): Transaction("RetrieveStudyMetadata", (), media_types.METADATA, _VERSIONED),
    ("GET", f"{_SERIES}/metadata"): Transaction("RetrieveSeriesMetadata", (), media_types.METADATA, _VERSIONED),
    ("GET", f"{_INSTANCE}/metadata"): Transaction(
        "RetrieveInstanceMetadata", (), media_types.INSTANCE_METADATA, _VERSIONED
    ),
    ("GET", f"{_STUDY}/bulkdata"): Transaction("RetrieveStudyBulkdata", (), media_types.ALL_BULK_DATA, _VERSIONED),
    ("GET", f"{_SERIES}/bulkdata"): Transaction("RetrieveSeriesBulkdata", (), media_types.ALL_BULK_DATA, _VERSIONED),
    ("GET", f"{_INSTANCE}/bulkdata"): Transaction(
        "RetrieveInstanceBulkdata", (), media_types.ALL_BULK_DATA, _VERSIONED
    ),
    ("GET", f"{_INSTANCE}/bulkdata/{{uri}}"): Transaction(
        "RetrieveBulkdata", (), (*media_types.BULK_DATA_OR_PIXELS, *media_types.DOCUMENT), _VERSIONED
    ),
    ("GET", f"{_INSTANCE}/frames/{{frames}}"): Transaction("RetrieveFrames", (), media_types.FRAMES, _VERSIONED),
    ("GET", "/wado"): Transaction("RetrieveByURI", (), (*media_types.THUMBNAIL, Offer(DICOM)), WADO_URI_PARAMETERS),
    ("GET", f"{_INSTANCE}/pixeldata"): Transaction("RetrieveInstancePixelData", (), media_types.FRAMES, _VERSIONED),
    ("GET", f"{_STUDY}/rendered"): _rendered("RetrieveRenderedStudy"),
    ("GET", f"{_SERIES}/rendered"): _rendered("RetrieveRenderedSeries"),
    ("GET", f"{_INSTANCE}/rendered"): _rendered("RetrieveRenderedInstance", *media_types.DOCUMENT, *media_types.VIDEO),
    ("GET", f"{_INSTANCE}/frames/{{frames}}/rendered"): _rendered("RetrieveRenderedFrames"),
    ("GET", f"{_STUDY}/thumbnail"): _thumbnail("RetrieveStudyThumbnail"),
    ("GET", f"{_SERIES}/thumbnail"): _thumbnail("RetrieveSeriesThumbnail"),
    ("GET", f"{_INSTANCE}/thumbnail"): _thumbnail("RetrieveInstanceThumbnail"),
    ("GET", f"{_INSTANCE}/frames/{{frames}}/thumbnail"): _thumbnail("RetrieveFrameThumbnail"),
}


def capabilities_route(described_routes: Sequence[Route]) -> Route:
    """Return the route of the root itself, which describes the others."""

    @endpoint
    async def retrieve_capabilities(request: Request[State]) -> Response:
        offer = negotiate(request, _OFFERS)[0].offer
        tree = resource_tree(described_routes)
        base = root_url(request) + "/"
        body = encode_json(as_json(tree, base)) if offer.name in (JSON, DICOM_JSON) else as_wadl(tree, base)
        return Response(body, headers={"Allow": "GET, HEAD, OPTIONS", "Vary": "Accept"}, media_type=offer.name)

    handler: Handler = retrieve_capabilities
    return Route("/", handler, methods=["GET", "OPTIONS"])


def resource_tree(found: Iterable[Route]) -> dict[str, dict[str, Transaction]]:
    """Return the transactions by path and method, paths ascending. Those of no table are named by their path."""
    tree: dict[str, dict[str, Transaction]] = {}
    for route in sorted(found, key=lambda route: route.path):
        for method in sorted((route.methods or {"GET"}) - {"HEAD"}):
            named = TRANSACTIONS.get((method, route.path)) or Transaction(_name(method, route.path))
            tree.setdefault(route.path, {})[method] = named
    return tree


def _name(method: str, path: str) -> str:
    """Return a name for what PS3.18 does not have: GET /studies/{study}/versions is GetStudiesVersions."""
    words = [word.title() for word in re.split(r"[^A-Za-z]+", re.sub(r"\{\w+\}", "", path)) if word]
    return method.title() + "".join(words)


def as_wadl(tree: dict[str, dict[str, Transaction]], base: str) -> bytes:
    """Return the description in the Web Application Description Language."""
    root = ElementTree.Element("application", xmlns=_NAMESPACE)
    resources = ElementTree.SubElement(root, "resources", base=base)
    for path, methods in tree.items():
        resource = ElementTree.SubElement(resources, "resource", path=path.lstrip("/"))
        for name in re.findall(r"\{(\w+)", path):
            ElementTree.SubElement(resource, "param", name=name, style="template", required="true")
        for method, transaction in methods.items():
            element = ElementTree.SubElement(resource, "method", name=method, id=f"{transaction.name}")
            request = ElementTree.SubElement(element, "request")
            for name in ("accept", *transaction.parameters):
                ElementTree.SubElement(request, "param", name=name, style="query")
            for kind in transaction.reads:
                ElementTree.SubElement(request, "representation", mediaType=kind)
            response = ElementTree.SubElement(element, "response")
            for offer in transaction.writes:
                ElementTree.SubElement(response, "representation", mediaType=described(offer))
    declaration = b'<?xml version="1.0" encoding="UTF-8"?>\n'
    return declaration + ElementTree.tostring(root)


def as_json(tree: dict[str, dict[str, Transaction]], base: str) -> dict[str, Any]:
    """Return the same as JSON: resources, their methods, what each reads and writes."""
    return {
        "base": base,
        "resources": [
            {
                "path": path.lstrip("/"),
                "methods": [
                    {
                        "method": method,
                        "id": transaction.name,
                        "query": ["accept", *transaction.parameters],
                        "reads": list(transaction.reads),
                        "writes": [described(offer) for offer in transaction.writes],
                    }
                    for method, transaction in methods.items()
                ],
            }
            for path, methods in tree.items()
        ],
    }
