"""Lets a request through to both faces only if an access key of the settings has signed it.

A body is part of what is signed, and may be gigabytes. One whose hash is declared, or whose chunks are signed, is
checked as it streams through; what is not as signed looks to the application like a client that hung up, so nothing
is stored. Without either, as the AWS SDKs send their small bodies, it is held until it is whole; only a STOW-RS body
streams even then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import uuid4

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.access.chunked_payload import ChunkedPayload
from gateway.access.sigv4 import (
    EMPTY_PAYLOAD,
    SERVICE,
    STREAMING_PAYLOAD,
    AccessKey,
    Claim,
    ExpiredSignature,
    IncompleteSignature,
    MissingSignature,
    SentRequest,
    SignatureRefused,
    UnknownAccessKey,
    WrongSignature,
    check_claim,
    declared_payload,
    key_of,
    read_claim,
    verify,
    without_signature,
)
from gateway.errors import TooLarge
from gateway.request_body import body_within

# Who watches the process has no key, and learns nothing of any record here.
OPEN = frozenset({"/livez", "/readyz"})

# Common Errors of the API reference, and the names the AWS clients know.
EXCEPTIONS: Mapping[type[Exception], tuple[str, int]] = {
    MissingSignature: ("MissingAuthenticationTokenException", 403),
    IncompleteSignature: ("IncompleteSignature", 403),
    UnknownAccessKey: ("UnrecognizedClientException", 403),
    WrongSignature: ("InvalidSignatureException", 403),
    ExpiredSignature: ("ExpiredTokenException", 403),
    TooLarge: ("RequestEntityTooLargeException", 413),
}

# The one resource that takes bodies too large to hold; PS3.18 section 10.5.
_STORE = re.compile(r".*/studies(?:/[^/]+)?")


@dataclass(frozen=True, slots=True)
class Signers:
    """Who may sign, and for which region. prefix: of the path clients see, where a proxy takes it away."""

    keys: Mapping[str, AccessKey]
    region: str
    prefix: str = ""


class SignedRequests:
    """ASGI middleware: a request without a valid signature is answered here, with 403."""

    def __init__(self, app: ASGIApp, signers: Signers, clock: Callable[[], datetime], held: int) -> None:
        """held: how many bytes of a body are held at most, where nothing declares its hash."""
        self.app = app
        self.signers = signers
        self.clock = clock
        self.held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self.app(scope, receive, send)
            return
        try:
            body = await self._admit(scope, receive)
        except (SignatureRefused, TooLarge) as error:
            await refusal(error)(scope, receive, send)
            return
        await self._carry_out(scope, body, send)

    async def _admit(self, scope: Scope, receive: Receive) -> Body:
        """Check all that can be checked before the body, and return the body. Raises SignatureRefused, TooLarge."""
        request = _sent(scope, self.signers.prefix)
        claim = read_claim(request)
        key = key_of(claim, self.signers.keys)
        check_claim(claim, region=self.signers.region, service=SERVICE, now=self.clock())
        declared = declared_payload(request)
        body = await self._body(scope, receive, request, claim, key, declared)
        scope["user"], scope["rights"] = key.who, key.rights
        scope["query_string"] = without_signature(scope["query_string"].decode("latin-1")).encode("latin-1")
        return body

    async def _body(
        self, scope: Scope, receive: Receive, request: SentRequest, claim: Claim, key: AccessKey, declared: str | None
    ) -> Body:
        if declared == STREAMING_PAYLOAD:
            verify(request, claim, key, STREAMING_PAYLOAD)
            _present_decoded(scope, request)
            return Body(receive, ChunkedBody(ChunkedPayload(claim, key)))
        if declared is not None:
            verify(request, claim, key, declared)
            return Body(receive, HashedBody(lambda digest: _compare(digest, declared)))
        if not _has_body(request):
            verify(request, claim, key, EMPTY_PAYLOAD)
            return Body(receive, HashedBody(lambda digest: _compare(digest, EMPTY_PAYLOAD)))
        if request.method == "POST" and _STORE.fullmatch(scope["path"]):
            return Body(receive, HashedBody(lambda digest: verify(request, claim, key, digest)))
        longer = TooLarge(f"The body is longer than {self.held} bytes, and nothing declares its hash")
        content = await body_within(Request(scope, receive), self.held, longer)
        verify(request, claim, key, sha256(content).hexdigest())
        return Body(_replay(content, receive), HashedBody(lambda digest: None))

    async def _carry_out(self, scope: Scope, body: Body, send: Send) -> None:
        """Run the application. What it answers to a body that turns out not to be as signed is not sent."""
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            if body.refused is None:
                begun = True
                await send(message)

        try:
            await self.app(scope, body.receive, answer)
        except ClientDisconnect:
            if body.refused is None:
                raise
        if body.refused is not None and not begun:
            await refusal(body.refused)(scope, body.receive, send)


class HashedBody:
    """A body that is passed on as it comes, and checked by its hash at its end."""

    def __init__(self, check: Callable[[str], None]) -> None:
        self._check = check
        self._hash = sha256()

    def take(self, data: bytes, last: bool) -> bytes:
        """Return what is to be passed on. Raises WrongSignature."""
        self._hash.update(data)
        if last:
            self._check(self._hash.hexdigest())
        return data


class ChunkedBody:
    """A body whose chunks are signed: only what is verified is passed on."""

    def __init__(self, payload: ChunkedPayload) -> None:
        self._payload = payload

    def take(self, data: bytes, last: bool) -> bytes:
        """Return what is to be passed on. Raises WrongSignature."""
        verified = self._payload.feed(data)
        if last and not self._payload.finished:
            raise WrongSignature("The body ends before its last chunk")
        return verified


class Body:
    """What the application receives of a request. refused: why the body is not what was signed."""

    def __init__(self, receive: Receive, checked: HashedBody | ChunkedBody) -> None:
        self._receive = receive
        self._checked = checked
        self._over = False
        self.refused: SignatureRefused | None = None

    async def receive(self) -> Message:
        """Receive a piece. The end of a body is passed on only if the body is as signed."""
        if self.refused is not None:
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] != "http.request" or self._over:
            return message
        self._over = not message.get("more_body", False)
        try:
            return {**message, "body": self._checked.take(message.get("body", b""), self._over)}
        except SignatureRefused as error:
            self.refused = error
            return {"type": "http.disconnect"}


def refusal(error: SignatureRefused | TooLarge) -> Response:
    """Return the answer to a request that is not let through, in the form of AWS's own."""
    name, status = EXCEPTIONS[type(error)]
    return Response(
        orjson.dumps({"message": str(error)}),
        status,
        {"Content-Type": "application/json", "x-amzn-ErrorType": name, "x-amzn-RequestId": str(uuid4())},
    )


def _sent(scope: Scope, prefix: str) -> SentRequest:
    return SentRequest(
        scope["method"],
        prefix + scope["raw_path"].decode("latin-1"),
        scope["query_string"].decode("latin-1"),
        [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]],
    )


def _has_body(request: SentRequest) -> bool:
    return request.header("transfer-encoding") is not None or request.header("content-length") not in (None, "0")


def _compare(digest: str, declared: str) -> None:
    if digest != declared:
        raise WrongSignature("The body does not have the SHA-256 that was signed")


def _replay(content: bytes, receive: Receive) -> Receive:
    """Return what receives a body that was received already, and then whatever comes after it."""
    waiting: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed


def _present_decoded(scope: Scope, request: SentRequest) -> None:
    """Take the encoding of the chunks out of the headers: the application gets the body as it is without it."""
    decoded = request.header("x-amz-decoded-content-length") or ""
    encodings = [name.strip() for name in (request.header("content-encoding") or "").split(",")]
    rest = ", ".join(name for name in encodings if name and name != "aws-chunked")
    changed = {b"content-encoding": rest.encode(), b"content-length": decoded.encode()}
    kept = [(name, value) for name, value in scope["headers"] if name.lower() not in changed]
    scope["headers"] = [*kept, *((name, value) for name, value in changed.items() if value)]
