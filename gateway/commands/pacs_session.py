"""The session of requests in which a PACS is searched and read, with a login that goes to that PACS only.

A redirect is followed; one to another server goes there without the login.
"""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter

from gateway.client import Reply, origin_of, problem_of
from gateway.commands.login import Login
from gateway.commands.terminal import printable
from gateway.errors import Refused, Unreachable

# Every header a login may have.
_OF_A_LOGIN = ("Authorization", "X-Amz-Content-SHA256", "X-Amz-Date", "X-Amz-Security-Token")


class PacsSession(Session):
    """A session that logs in at one root. Without a login it does what ~/.netrc says, as requests does."""

    def __init__(self, root: str, login: Login) -> None:
        super().__init__()
        self._root = root.rstrip("/")
        self._login = login
        self.mount("https://", SystemTrust())

    def send(self, request: PreparedRequest, **options: Any) -> Response:
        """Send a request. requests sends here what a redirect makes of it too, with the headers it had before."""
        # dicomweb-client's has no port: no signature would be of it, and behind a redirect it names the wrong server.
        request.headers.pop("Host", None)
        if self._login.source:
            for name in _OF_A_LOGIN:
                request.headers.pop(name, None)
            if self._is_of_root(request.url):
                request.headers.update(self._login.headers(str(request.method), str(request.url), lambda: []))
        return super().send(request, **options)

    def refused(self, response: Response) -> Refused | Unreachable:
        """Return the error for an answer that is none of 2xx."""
        status = response.status_code
        headers = {name.lower(): value for name, value in response.headers.items()}
        reply = Reply(self._root, status, headers, response.content)
        if status in (401, 403) and not self._is_of_root(response.url):
            sentence = (
                f"{self._root} redirects to {origin_of(urlsplit(response.url))}, which asks for a login ({status}): "
                "none is sent there, give its own address"
            )
        elif status in (404, 405):
            return Unreachable(f"{self._root} is no DICOMweb root ({status}): many end in /dicomweb or /dicom-web")
        else:
            told = problem_of(reply).get("detail")
            sentence = f"{self._root} answered {status}" + (f": {printable(str(told))}" if told else "")
            sentence = self._login.refusal(reply) or sentence
        return Refused(status, {"detail": sentence})

    def _is_of_root(self, url: str | None) -> bool:
        """Return whether an address is on the server of the root, or is the same one by https."""
        return not self.should_strip_auth(self._root, str(url))


class SystemTrust(HTTPAdapter):
    """HTTPS that trusts whom the system trusts and SSL_CERT_FILE names, as the commands do with a gateway.

    requests alone trusts certifi's list, in which no hospital's own authority is.
    """

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options, ssl_context=ssl.create_default_context())
