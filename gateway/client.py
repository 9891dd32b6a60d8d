"""HTTP to a gateway, for the commands and the demo: the standard library is enough.

A gateway is at an address, or on a Unix socket where it runs in this very process (commands/connect.py).
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, Protocol, TypeAlias
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from gateway.errors import Refused, Unreachable

DICOM_JSON = "application/dicom+json"

# Seconds to connect, and between two pieces of an answer: an edit of very many instances takes a while.
_CONNECT, _ANSWER = 20, 600

# Of pieces, what yields them: a body that is signed is read once for its hash, and once to be sent.
Body: TypeAlias = "bytes | Callable[[], Iterator[bytes]]"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer. root: of whom was asked, without a slash at its end; headers: by lower-case name."""

    root: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body, decoded. Raises Unreachable where it is no JSON: then no gateway answered."""
        try:
            return json.loads(self.body) if self.body else None
        except ValueError as error:
            raise Unreachable(f"{self.root} is no gateway: it does not speak JSON") from error


class Login(Protocol):
    """How a server is told who asks; commands/login.py says how a user says it."""

    def headers(self, method: str, url: str, body: Callable[[], Iterable[bytes]]) -> Mapping[str, str]:
        """Return what is to be added to the headers of a request."""

    def answers(self, reply: Reply) -> bool:
        """Return whether a request that was refused is to be sent again, with other headers."""

    def refusal(self, reply: Reply) -> str | None:
        """Return what to tell of an answer that refuses who asked; None of any other answer."""


class Client:
    """A gateway's DICOMweb root, or any other root of paths, over one connection. Use as a context manager."""

    def __init__(self, root: str, *, unix_socket: Path | None = None, login: Login | None = None) -> None:
        scheme, host, port, path = address_of(root)
        self.root = root.rstrip("/")
        self._login = login
        self._logged_in = False
        self._origin = origin_of(urlsplit(root))
        self._prefix = path.rstrip("/")
        self._connection: HTTPConnection
        if unix_socket is not None:
            self._connection = UnixConnection(unix_socket)
        elif scheme == "https":
            self._connection = HTTPSConnection(host, port, timeout=_CONNECT)
        else:
            self._connection = HTTPConnection(host, port, timeout=_CONNECT)

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
        if callable(body) and self._login is not None and not self._logged_in:
            self._log_in(self._login)
        reply = self._send(method, target, body, headers or {})
        if self._login is not None and self._login.answers(reply):
            reply = self._send(method, target, body, headers or {})
        if 200 <= reply.status < 300 or reply.status in expect:
            return reply
        raise self._refused(reply)

    def _log_in(self, login: Login) -> None:
        """Search, to hear before a long body is sent whether this is a DICOMweb root that lets us in.

        Who is refused in the middle of a body may not hear why: the server hangs up, and a proxy makes 502 of that.
        """
        search = ("GET", f"{self._prefix}/studies?limit=1", b"", {"Accept": DICOM_JSON})
        reply = self._send(*search)
        if login.answers(reply):
            reply = self._send(*search)
        if reply.status == 400:
            raise Unreachable(no_root(reply))
        if reply.status < 300:
            self._logged_in = True
        elif reply.status != 403 or login.refusal(reply):  # another 403 is of who may store, and not search
            raise self._refused(reply)

    def _refused(self, reply: Reply) -> Refused | Unreachable:
        problem = problem_of(reply)
        told = self._login.refusal(reply) if self._login is not None else None
        if told is not None:
            return Refused(reply.status, problem | {"detail": told})
        elsewhere = redirection(reply) or (no_root(reply) if reply.status in (404, 405) else None)
        return Unreachable(elsewhere) if elsewhere and "detail" not in problem else Refused(reply.status, problem)

    def _send(self, method: str, target: str, body: Body, headers: Mapping[str, str]) -> Reply:
        """Return the answer to a request, whatever its status. Raises Unreachable."""
        who: Mapping[str, str] = {}
        if self._login is not None:
            who = self._login.headers(method, self._origin + target, body if callable(body) else lambda: [body])
        try:
            self._connect()
            # A gateway that refuses a body early answers and hangs up: the answer is there to be read.
            with suppress(BrokenPipeError, ConnectionResetError):
                sent = body() if callable(body) else body or None
                self._connection.request(method, target, sent, {**headers, **who})
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, HTTPException) as error:
            self._connection.close()
            raise Unreachable(unreachable(self.root, error)) from error
        except BaseException:
            self._connection.close()
            raise
        named = {name.lower(): value for name, value in response.getheaders()}
        return Reply(self.root, response.status, named, content)

    def _connect(self) -> None:
        is_new = self._connection.sock is None
        if is_new:
            self._connection.connect()
            self._connection.sock.settimeout(_ANSWER)


class UnixConnection(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_ANSWER)
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


def unreachable(root: str, error: BaseException) -> str:
    """Return what to tell where no answer comes: what TLS or the network says of it, and the way out."""
    causes = [error]
    while cause := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(cause)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            ours = "SSL_CERT_FILE names the file of those that are"
            return f"the certificate of {root} is not trusted here ({cause.verify_message}): {ours}"
        if isinstance(cause, ssl.SSLError):
            return f"{root} speaks no TLS ({cause.reason}): without it the address begins with http://"
    told = next((cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror), None)
    if told is None and isinstance(error, HTTPException | TimeoutError):
        told = str(error)
    return f"{root} does not answer ({told or type(error).__name__})"


def redirection(reply: Reply) -> str | None:
    """Return what to tell of an answer that sends on to another server, where no command goes; None of another."""
    other = urlsplit(reply.headers.get("location", ""))
    if not 300 <= reply.status < 400 or not other.netloc:
        return None
    return f"{reply.root} redirects to {origin_of(other)}: give the address there"


def origin_of(parts: SplitResult) -> str:
    """Return scheme, host and port of an address, without a user and a password."""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def no_root(reply: Reply) -> str:
    """Return what to tell where an address has none of the paths of DICOMweb below it."""
    return f"{reply.root} is no DICOMweb root of a gateway ({reply.status}): its address alone, without a path, will do"


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
