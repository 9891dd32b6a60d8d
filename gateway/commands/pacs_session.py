"""The session of requests in which a PACS is searched and read, with a login that goes to that PACS only.

A redirect is followed; one to another server goes there without the login.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest, Response, Session

from gateway.client import Reply
from gateway.commands.login import Login
from gateway.errors import Refused

# Every header a login may have.
_OF_A_LOGIN = ("Authorization", "X-Amz-Content-SHA256", "X-Amz-Date", "X-Amz-Security-Token")


class PacsSession(Session):
    """A session that logs in at one root. Without a login it does what ~/.netrc says, as requests does."""

    def __init__(self, root: str, login: Login) -> None:
        super().__init__()
        self._root = root.rstrip("/")
        self._login = login

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

    def refused(self, response: Response) -> Refused:
        """Return the error for an answer that is none of 2xx."""
        status = response.status_code
        reply = Reply(status, {name.lower(): value for name, value in response.headers.items()}, response.content)
        if status in (401, 403) and not self._is_of_root(response.url):
            other = urlsplit(response.url)
            origin = f"{other.scheme}://{other.netloc.rpartition('@')[2]}"
            sentence = (
                f"{self._root} redirects to {origin}, which asks for a login ({status}): none is sent there, "
                "give its own address"
            )
        else:
            sentence = self._login.refusal(self._root, reply) or f"{self._root} answered {status}"
        return Refused(status, {"detail": sentence})

    def _is_of_root(self, url: str | None) -> bool:
        """Return whether an address is on the server of the root, or is the same one by https."""
        return not self.should_strip_auth(self._root, str(url))
