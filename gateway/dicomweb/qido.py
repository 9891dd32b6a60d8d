"""Search: PS3.18 section 10.6. The Store finds; this reads the query and writes the results."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.dicom.dataset import Dataset, Element, Tag, in_tag_order
from gateway.dicom.dictionary import entry_of
from gateway.dicom.json_model import BulkUri, JsonWriter, encode_json
from gateway.dicom.matching import Query, QueryLevel
from gateway.dicom.query_string import RETURNED, Returned, parse_query
from gateway.dicom.xml_write import to_xml
from gateway.dicomweb.media_types import SEARCH
from gateway.dicomweb.negotiation import DICOM_XML, Offer, negotiate
from gateway.dicomweb.problems import Handler, endpoint
from gateway.dicomweb.responses import Part, multipart_response, warn
from gateway.dicomweb.search_rules import with_its_fields, within_its_limits
from gateway.dicomweb.targets import Target, bulk_uri_of, datastore_of, root_url, target_of
from gateway.metadata.study_summary import StudySummary, summary_json
from gateway.state import State
from gateway.store.searches import Match

SPECIFIC_CHARACTER_SET = "00080005"
INSTANCE_AVAILABILITY = "00080056"
RETRIEVE_URL = "00081190"

# The most results of one request (PS3.18 section 8.3.4.4.1): an answer is made in memory, and no viewer shows more. The
# next ones are asked for with offset.
MAX_RESULTS = 10_000
# ... and of whole instances, which are a hundred times as large as what is always returned.
MAX_WHOLE_INSTANCES = 1_000

# To write more of them than these takes a thread: an edit that comes meanwhile is not to wait for them.
RESULTS_ON_LOOP = 50

# A client asks for the same attributes time and again.
KEPT_SELECTIONS = 64

# What the gateway says itself of every result: its JSON is UTF-8, and what it finds can be retrieved at once.
_OURS: Dataset = {
    SPECIFIC_CHARACTER_SET: Element("CS", ("ISO_IR 192",)),
    INSTANCE_AVAILABILITY: Element("CS", ("ONLINE",)),
}

_STUDY_UID = "0020000D"
_SERIES_UID = "0020000E"

# The levels a result describes, by the level searched and the UIDs in the path: what the path names already is
# described only by its UID (PS3.18 section 10.6.3.3).
_DESCRIBED: dict[QueryLevel, tuple[QueryLevel, ...]] = {
    "Study": ("Study",),
    "Series": ("Study", "Series"),
    "Instance": ("Study", "Series", "Instance"),
}

# What to return: None a whole attribute, else the attributes wanted of a sequence's items.
Selection = dict[Tag, "Selection | None"]


# What is always said of a study, as paths.
_OF_STUDIES = frozenset((one.tag,) for one in RETURNED["Study"])


def search_for(level: QueryLevel, path: str) -> Handler:
    """Return the endpoint of one search transaction: Studies, Series or Instances, at a path below a root."""

    @endpoint
    async def search(request: Request[State]) -> Response:
        offer = negotiate(request, SEARCH)[0].offer
        target = target_of(request)
        query = _asked(request, level, path, target)
        most = MAX_WHOLE_INSTANCES if query.include_all and level == "Instance" else MAX_RESULTS
        selection = selection_of(query, target)
        query = replace(
            query,
            limit=most if query.limit is None else min(query.limit, most),
            wanted=None if query.include_all else frozenset(selection),
            summaries=_summarised(query, offer),
        )
        page = await request.state["store"].search(await datastore_of(request), query)
        warnings = list(query.warnings)
        if page.remaining > 0:
            warnings.append(f"There are {page.remaining} additional results that can be requested")
        root = root_url(request)
        if page.summaries:
            return warn(_summaries(page.summaries, root, offer), root, warnings)
        if not page.matches:
            return warn(Response(status_code=204), root, warnings)
        empty = {} if query.include_all else {tag: Element(_vr(tag)) for tag in _always(selection, query.level)}

        def shown(match: Match) -> tuple[Dataset, BulkUri]:
            dataset = result(match, None if query.include_all else selection, empty, root)
            return dataset, bulk_uri_of(root, _target(match))

        return warn(await _written(page.matches, shown, offer), root, warnings)

    return search


def _asked(request: Request[State], level: QueryLevel, path: str, target: Target) -> Query:
    """Return what is searched for, by the rules of the root the request came to. Raises InvalidQuery."""
    parameters = request.query_params.multi_items()
    if "datastoreId" not in request.path_params:
        return parse_query(level, parents(target), parameters)
    return within_its_limits(parse_query(level, parents(target), with_its_fields(parameters)), path)


def _summarised(query: Query, offer: Offer) -> bool:
    """Whether the answer says of studies what is always said, and in JSON."""
    if query.level != "Study" or query.include_all or offer.name == DICOM_XML:
        return False
    return _OF_STUDIES.issuperset(query.include)


def _summaries(summaries: Sequence[StudySummary], root: str, offer: Offer) -> Response:
    studies = encode_json(f"{root}/studies/")[1:-1].decode()
    results = ",".join([summary_json(one, studies + one.study_instance_uid) for one in summaries])
    return Response(f"[{results}]".encode(), media_type=offer.name)


def parents(target: Target) -> dict[Tag, str]:
    """Return the UIDs in the path by tag: each is a condition (PS3.18 section 10.6.1.1)."""
    return {tag: uid for tag, uid in ((_STUDY_UID, target.study), (_SERIES_UID, target.series)) if uid}


def selection_of(query: Query, target: Target) -> Selection:
    """Return what a query returns: what its level and the levels not in the path always do, and what it asks for."""
    return _selection(query.level, _described(query.level, target), query.include)


@lru_cache(maxsize=KEPT_SELECTIONS)
def _selection(level: QueryLevel, described: tuple[QueryLevel, ...], include: tuple[tuple[Tag, ...], ...]) -> Selection:
    selection: Selection = {_STUDY_UID: None}
    if level != "Study":
        selection[_SERIES_UID] = None
    for tag in (returned.tag for above in described for returned in RETURNED[above]):
        selection[tag] = None
    for path in include:
        _select(selection, path)
    return selection


def _described(level: QueryLevel, target: Target) -> tuple[QueryLevel, ...]:
    named = {"Study": target.study, "Series": target.series, "Instance": ""}
    return tuple(one for one in _DESCRIBED[level] if not named[one])


def _select(selection: Selection, path: tuple[Tag, ...]) -> None:
    """Add a path to a selection; one that is selected as a whole stays so."""
    for tag in path[:-1]:
        inner = selection.setdefault(tag, {})
        if inner is None:
            return
        selection = inner
    selection[path[-1]] = None


def select(dataset: Dataset, selection: Selection) -> Dataset:
    """Return the attributes selected, and of sequences those selected of their items."""
    return {
        tag: element if inner is None else _select_items(element, inner)
        for tag, element in dataset.items()
        for inner in [selection.get(tag, _NOT_SELECTED)]
        if inner is not _NOT_SELECTED
    }


_NOT_SELECTED: Selection = {}


def _select_items(element: Element, selection: Selection) -> Element:
    return Element(element.vr, element.values, tuple(select(item, selection) for item in element.items))


async def _written(
    matches: Sequence[Match], shown: Callable[[Match], tuple[Dataset, BulkUri]], offer: Offer
) -> Response:
    """Return results as one array of JSON, or as one XML document each (PS3.18 section 10.6.4)."""
    if offer.name != DICOM_XML:
        few = len(matches) <= RESULTS_ON_LOOP
        body = _json_array(matches, shown) if few else await asyncio.to_thread(_json_array, matches, shown)
        return Response(body, media_type=offer.name)

    async def parts() -> AsyncIterator[Part]:
        for match in matches:
            yield {"Content-Type": DICOM_XML}, [to_xml(*shown(match))]

    return await multipart_response(parts(), DICOM_XML, {})


def _json_array(matches: Iterable[Match], shown: Callable[[Match], tuple[Dataset, BulkUri]]) -> bytes:
    writer, results = JsonWriter(), [shown(match) for match in matches]
    return b"[%b]" % b",".join(writer.write(dataset, bulk_uri) for dataset, bulk_uri in results)


def result(match: Match, selection: Selection | None, empty: Dataset, root: str) -> Dataset:
    """Return one result: what was selected, None for all. empty: what the standard asks for without a value, too."""
    found = {**match.dataset, **_OURS, RETRIEVE_URL: Element("UR", (f"{root}{_target(match).path}",))}
    return in_tag_order(found if selection is None else {**empty, **select(found, selection)})


def _target(match: Match) -> Target:
    return Target(match.study_instance_uid, match.series_instance_uid or "", match.sop_instance_uid or "")


def _always(selection: Selection, level: QueryLevel) -> list[Tag]:
    returned: list[Returned] = [one for above in _DESCRIBED[level] for one in RETURNED[above]]
    return [one.tag for one in returned if one.always and one.tag in selection]


def _vr(tag: Tag) -> str:
    entry = entry_of(tag)
    assert entry is not None  # the tables name standard attributes only
    return entry.vr


# PS3.18 Table 10.6.1-1.
_LEVELS: dict[str, QueryLevel] = {
    "/studies": "Study",
    "/series": "Series",
    "/instances": "Instance",
    "/studies/{study}/series": "Series",
    "/studies/{study}/instances": "Instance",
    "/studies/{study}/series/{series}/instances": "Instance",
}
routes: list[Route] = [Route(path, search_for(level, path)) for path, level in _LEVELS.items()]
