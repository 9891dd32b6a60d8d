"""WADO-URI: PS3.18 chapter 9. One instance by a query string, answered by the resources of chapter 10."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.dicomweb.negotiation import DICOM, read_accept
from gateway.dicomweb.problems import endpoint
from gateway.dicomweb.targets import single
from gateway.dicomweb.wado.rendered import rendered
from gateway.dicomweb.wado.retrieving import retrieve
from gateway.errors import InvalidQuery, NotAcceptable
from gateway.state import State

# PS3.18 Table 9.1.2-1, all required, and the path parameter that means the same.
_UIDS = {"studyUID": "study", "seriesUID": "series", "objectUID": "instance"}

# Refused rather than ignored: a client that asks to anonymize must not get names.
_REFUSED = ("anonymize", "region", "presentationUID", "presentationSeriesUID")

# Parameters with the same meaning under another name in chapter 10.
_RENAMED = {"imageQuality": "quality", "annotation": "annotation", "version": "version"}

_LARGEST_SIDE = "8192"


@endpoint
async def retrieve_by_uri(request: Request[State]) -> Response:
    """Answer an instance as PS3.10, or a frame of it as a picture."""
    if single(request, "requestType") != "WADO":
        raise InvalidQuery("requestType", "is WADO, and required")
    for name in _REFUSED:
        if single(request, name) is not None:
            raise InvalidQuery(name, "is not supported here")
    wanted = single(request, "contentType")
    if [one.name for one in read_accept(wanted or "")[0][:1]] == [DICOM]:
        return await _as_dicom(request)
    try:
        return await rendered(_translated(request, wanted or "image/jpeg", _rendering(request)))
    except NotAcceptable:
        # PS3.18 section 9.1.2.2.2: without contentType, what is no image comes as it is.
        if wanted is None and single(request, "frameNumber") is None:
            return await _as_dicom(request)
        raise


async def _as_dicom(request: Request[State]) -> Response:
    syntax = single(request, "transferSyntax")
    accepted = f"{DICOM}; transfer-syntax={syntax}" if syntax else DICOM
    for name in ("frameNumber", "windowCenter", "windowWidth", "rows", "columns", "imageQuality"):
        if single(request, name) is not None:
            raise InvalidQuery(name, "is not for application/dicom (PS3.18 section 9.4)")
    return await retrieve(_translated(request, accepted, {}))


def _rendering(request: Request[State]) -> dict[str, str]:
    """Return the parameters of chapter 10 that those of chapter 9 stand for. Raises InvalidQuery."""
    found = {name: text for old, name in _RENAMED.items() if (text := single(request, old)) is not None}
    center, width = single(request, "windowCenter"), single(request, "windowWidth")
    if (center is None) != (width is None):
        raise InvalidQuery("windowCenter", "windowCenter and windowWidth come together")
    if center is not None:
        found["window"] = f"{center},{width},linear"
    rows, columns = single(request, "rows"), single(request, "columns")
    if rows is not None or columns is not None:
        found["viewport"] = f"{columns or _LARGEST_SIDE},{rows or _LARGEST_SIDE}"
    return found


def _translated(request: Request[State], accepted: str, parameters: dict[str, str]) -> Request[State]:
    """Return the request of chapter 10 that asks for the same. Raises InvalidQuery for a UID that is missing."""
    path = dict(request.path_params)
    for name, parameter in _UIDS.items():
        uid = single(request, name)
        if uid is None:
            raise InvalidQuery(name, "is required")
        path[parameter] = uid
    frame, version = single(request, "frameNumber"), single(request, "version")
    if frame is not None:
        path["frames"] = frame
    query = parameters | ({"version": version} if version is not None else {})
    headers = [(name, value) for name, value in request.scope["headers"] if name != b"accept"]
    headers.append((b"accept", accepted.encode("latin-1", "replace")))
    query_string = urlencode(query).encode()
    return Request({**request.scope, "path_params": path, "query_string": query_string, "headers": headers})


routes: list[Route] = [Route("/wado", retrieve_by_uri)]
