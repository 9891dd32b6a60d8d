"""HTTP to a gateway, for the commands and the demo: the standard library is enough.

A gateway is at an address, or on a Unix socket where it runs in this very process (commands/connect.py).
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote, urlencode, urlsplit

from gateway.errors import Refused, Unreachable

if TYPE_CHECKING:
    from gateway.commands.login import Login

DICOM_JSON = "application/dicom+json"

# Of pieces, what yields them: a body that is signed is read once for its hash, and once to be sent.
Body: TypeAlias = "bytes | Callable[[], Iterator[bytes]]"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer. headers: by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body, decoded. Raises Unreachable where it is no JSON: then no gateway answered."""
        try:
            return json.loads(self.body) if self.body else None
        except ValueError as error:
            raise Unreachable("what answered is no gateway: it does not speak JSON") from error


class Client:
    """A gateway's DICOMweb root, or any other root of paths, over one connection. Use as a context manager."""

    def __init__(self, root: str, *, unix_socket: Path | None = None, login: Login | None = None) -> None:
        scheme, host, port, path = address_of(root)
        self.root = root.rstrip("/")
        self._login = login
        self._logged_in = False
        self._origin = f"{scheme}://{urlsplit(root).netloc}"
        self._prefix = path.rstrip("/")
        self._connection: HTTPConnection
        if unix_socket is not None:
            self._connection = UnixConnection(unix_socket)
        elif scheme == "https":
            self._connection = HTTPSConnection(host, port, timeout=600)
        else:
            self._connection = HTTPConnection(host, port, timeout=600)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, path: str, **query: object) -> Any:
        """Return the JSON at a path below the root, None for 204."""
        return self.request("GET", path, query=query, headers={"Accept": f"{DICOM_JSON}, application/json"}).json()

    def request(
        self,
        method: str,
        path: str,
        body: Body = b"",
        *,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        expect: Iterable[int] = (),
    ) -> Reply:
        """Return the answer to a request below the root; 2xx and the statuses expected are answers.

        Pieces are sent in chunks. Raises Refused for any other status, Unreachable where nothing answers, and what
        yields the pieces raises.
        """
        target = self._prefix + path + (f"?{urlencode(query)}" if query else "")
        if callable(body):
            self._log_in()
        reply = self._send(method, target, body, headers or {})
        if self._login is not None and self._login.answers(self.root, reply):
            reply = self._send(method, target, body, headers or {})
        if 200 <= reply.status < 300 or reply.status in expect:
            return reply
        raise self._refused(reply)

    def _log_in(self) -> None:
        """Have the server say once whom it lets in, before it is sent a long body. Raises Refused.

        Who is refused in the middle of a body may not hear why: the server hangs up, and a proxy makes 502 of that.
        """
        if self._login is None or self._logged_in:
            return
        reply = self._send("GET", f"{self._prefix}/studies?limit=1", b"", {"Accept": DICOM_JSON})
        if not self._login.answers(self.root, reply) and self._login.refusal(self.root, reply):
            raise self._refused(reply)
        self._logged_in = True

    def _refused(self, reply: Reply) -> Refused:
        told = self._login.refusal(self.root, reply) if self._login is not None else None
        return Refused(reply.status, problem_of(reply) | ({"detail": told} if told else {}))

    def _send(self, method: str, target: str, body: Body, headers: Mapping[str, str]) -> Reply:
        """Return the answer to a request, whatever its status. Raises Unreachable."""
        who: Mapping[str, str] = {}
        if self._login is not None:
            who = self._login.headers(method, self._origin + target, body if callable(body) else lambda: [body])
        try:
            # A gateway that refuses a body early answers and hangs up: the answer is there to be read.
            with suppress(BrokenPipeError, ConnectionResetError):
                sent = body() if callable(body) else body or None
                self._connection.request(method, target, sent, {**headers, **who})
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, HTTPException) as error:
            self._connection.close()
            raise Unreachable(f"{self.root} does not answer ({error or type(error).__name__})") from error
        except BaseException:
            self._connection.close()
            raise
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, content)


class UnixConnection(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=600)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def address_of(root: str) -> tuple[str, str, int | None, str]:
    """Return scheme, host, port and path of a URL. Raises Unreachable for what is no HTTP address."""
    try:
        parts = urlsplit(root)
        if parts.scheme in ("http", "https") and parts.hostname:
            return parts.scheme, parts.hostname, parts.port, parts.path
    except ValueError:  # a port out of range, an IPv6 address without its bracket
        pass
    raise Unreachable(f"{root} is no address such as http://127.0.0.1:8080")


def problem_of(reply: Reply) -> dict[str, Any]:
    """Return the problem an answer holds (RFC 9457), an empty one for another body."""
    try:
        problem = json.loads(reply.body)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def path_of(study: str, series: str | None = None, instance: str | None = None) -> str:
    """Return the path of a study, series or instance below a DICOMweb root."""
    path = f"/studies/{quote(study, safe='')}"
    if series:
        path += f"/series/{quote(series, safe='')}"
    if instance:
        path += f"/instances/{quote(instance, safe='')}"
    return path
