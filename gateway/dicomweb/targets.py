"""What a request is about: the data store, the resource in the path, the version asked for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from starlette.datastructures import URL
from starlette.requests import Request
from starlette.types import Scope

from gateway.dicom.json_model import BulkUri
from gateway.errors import InvalidQuery, InvalidUid, Level
from gateway.state import State

_UID = re.compile(r"[0-9.]{1,256}")
_UIDS = ("study", "series", "instance")
_DIGITS = re.compile(r"[0-9]{1,19}")
_THIS_MACHINE = frozenset((b"localhost", b"127.0.0.1", b"[::1]"))
_SAID_BY_PROXIES = frozenset(
    (b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip")
)


@dataclass(frozen=True, slots=True)
class Target:
    """A study, series or instance; the UIDs below its level are empty."""

    study: str
    series: str = ""
    instance: str = ""

    @property
    def level(self) -> Level:
        return "Instance" if self.instance else "Series" if self.series else "Study"

    @property
    def path(self) -> str:
        """Its path below a DICOMweb root."""
        path = f"/studies/{self.study}"
        if self.series:
            path += f"/series/{self.series}"
        if self.instance:
            path += f"/instances/{self.instance}"
        return path

    def __str__(self) -> str:
        """Its name in an error: level and UID."""
        return f"{self.level.lower()} {self.instance or self.series or self.study}"


def target_of(request: Request[State]) -> Target:
    """Return the resource of the path parameters `study`, `series` and `instance`. Raises InvalidUid."""
    in_path = request.path_params
    for name in _UIDS:
        if name in in_path and not _UID.fullmatch(in_path[name]):
            raise InvalidUid(f"the {name} in the path")
    return Target(*[in_path.get(name, "") for name in _UIDS])


async def datastore_of(request: Request[State]) -> str:
    """Return the id of the data store: the one in the path, or the one `/dicomweb` stands for. Raises NotFound."""
    in_path = request.path_params.get("datastoreId")
    if in_path is not None:
        return str(in_path)
    return (await request.state["store"].default_datastore()).datastore_id


def root_url(request: Request[State]) -> str:
    """Return the absolute address of the DICOMweb root the request came to, without a slash at the end."""
    base = request.state["settings"].public_base_url or _address_asked(request)
    in_path = request.path_params.get("datastoreId")
    return base.rstrip("/") + ("/dicomweb" if in_path is None else f"/datastore/{in_path}")


def _address_asked(request: Request[State]) -> str:
    scope = request.scope
    host = next((value for name, value in scope["headers"] if name == b"host"), None)
    if host in _THIS_MACHINE and _is_asked_directly(scope):
        host += b":%d" % scope["server"][1]
    return _address(scope["scheme"], scope.get("server"), host, scope.get("app_root_path", scope["root_path"]))


def _is_asked_directly(scope: Scope) -> bool:
    """Whether a program of this machine asks, and no proxy says that it is in between.

    dicomweb-client for Python leaves the port out of Host. Of a name that others know nobody can tell: its port 80 may
    be passed on to this one.
    """
    server = scope.get("server") or ("", None)
    here = server[0] in ("127.0.0.1", "::1") and server[1] is not None
    return here and all(name not in _SAID_BY_PROXIES for name, _ in scope["headers"])


@lru_cache(maxsize=256)
def _address(scheme: str, server: tuple[str, int] | None, host: bytes | None, path: str) -> str:
    """Return the address of the application as Starlette makes it out: nearly all requests come to the same."""
    headers = [] if host is None else [(b"host", host)]
    return str(URL(scope={"scheme": scheme, "server": server, "headers": headers, "path": path}))


def address_of(
    root: str, series: Target, below: str = "", version: int | None = None, image_set_id: str = ""
) -> Callable[[str], str]:
    """Return what makes the absolute address of an instance of a series, or of what is below the instance."""
    before, after = f"{root}{series.path}/instances/", below + _asked(version, image_set_id)
    return lambda uid: f"{before}{uid}{after}"


def bulk_uri_of(root: str, target: Target, version: int | None = None, image_set_id: str = "") -> BulkUri:
    """Return what makes the absolute address of a bulk value of an instance, in an image set if one is named."""
    query = _asked(version, image_set_id)
    return lambda bulk: f"{root}{target.path}/bulkdata/{bulk.uri}{query}"


def _asked(version: int | None, image_set_id: str) -> str:
    asked = [f"version={version}"] if version is not None else []
    asked += [f"imageSetId={image_set_id}"] if image_set_id else []
    return f"?{'&'.join(asked)}" if asked else ""


def requested_version(request: Request[State], name: str = "version") -> int | None:
    """Return the version that `?version=` names, None where it does not. Raises InvalidQuery."""
    text = single(request, name)
    return None if text is None else version_number(text, name)


def version_number(text: str, name: str = "version") -> int:
    """Return the version a text names: a whole number from 1. Raises InvalidQuery with the parameter's name."""
    return whole_number(text, name, 1, 2**63 - 1)


def whole_number(text: str, name: str, least: int, most: int) -> int:
    """Return the number in a query parameter's text. Raises InvalidQuery."""
    if not _DIGITS.fullmatch(text) or not least <= int(text) <= most:
        raise InvalidQuery(name, f"is not a whole number from {least} to {most}")
    return int(text)


def single(request: Request[State], name: str) -> str | None:
    """Return a query parameter, None where it is absent. Raises InvalidQuery where it comes twice."""
    if not request.scope["query_string"]:
        return None
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise InvalidQuery(name, "is there more than once")
    return values[0] if values else None
