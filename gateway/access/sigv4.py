"""AWS Signature Version 4, verified: in the Authorization header, and in a presigned URL.

Pure: what was sent, the keys and the time come in, the key that signed comes out, or a refusal. What is not signed is
refused where it decides something: the host and every x-amz-… header have to be, and a body always is.

docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html. The oracle of the tests is
botocore's signer.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256
from urllib.parse import quote, unquote_to_bytes

from gateway.errors import RIGHTS, GatewayError

SERVICE = "medical-imaging"

# How far a client's clock may be from ours.
WINDOW = timedelta(minutes=5)

EMPTY_PAYLOAD = sha256(b"").hexdigest()

# x-amz-content-sha256 of a body whose chunks are signed one by one.
STREAMING_PAYLOAD = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"

ALGORITHM = "AWS4-HMAC-SHA256"
_TERMINATOR = "aws4_request"
_TIMESTAMP = "%Y%m%dT%H%M%SZ"
_LONGEST_EXPIRY = 604_800  # a week

_AUTHORIZATION = re.compile(
    rf"{ALGORITHM} Credential=([^,\s]+), ?SignedHeaders=([^,\s]+), ?Signature=([^,\s]+)", re.ASCII
)
_TIME = re.compile(r"[0-9]{8}T[0-9]{6}Z", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,6}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


class SignatureRefused(GatewayError):
    """The request is not signed by a key that is known here."""


class MissingSignature(SignatureRefused):
    """There is no signature at all."""

    def __init__(self) -> None:
        super().__init__("Missing Authentication Token")


class IncompleteSignature(SignatureRefused):
    """What is there is no signature of version 4, or leaves out what has to be signed."""


class UnknownAccessKey(SignatureRefused):
    """No such access key."""

    def __init__(self) -> None:
        super().__init__("The security token included in the request is invalid.")


class WrongSignature(SignatureRefused):
    """The signature is not that of this request, at this time, for this service in this region."""


class ExpiredSignature(SignatureRefused):
    """A presigned URL after its time."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A key, whose it is, and what it may do: the name goes into the history of what is edited with it."""

    access_key_id: str
    secret: str = field(repr=False)
    who: str
    rights: frozenset[str] = frozenset(RIGHTS)


@dataclass(frozen=True, slots=True)
class SentRequest:
    """A request as it was sent: path and query as on the request line, percent-encoded; header names in lower case."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]

    def header(self, name: str) -> str | None:
        """Return a header's values, joined; None where there is none."""
        values = [value for one, value in self.headers if one == name]
        return ",".join(" ".join(value.split()) for value in values) if values else None


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says of its signature. expires: of a presigned URL, after `at`.

    query: the parameters that are signed, percent-encoded as they came.
    """

    access_key_id: str
    date: str
    region: str
    service: str
    at: datetime
    timestamp: str
    signed_headers: tuple[str, ...]
    signature: str
    query: tuple[tuple[str, str], ...]
    expires: timedelta | None = None

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/{_TERMINATOR}"


def read_claim(request: SentRequest) -> Claim:
    """Return the claim of a request. Raises MissingSignature, IncompleteSignature."""
    authorization = request.header("authorization")
    pairs = _query_pairs(request.query)
    presigned = dict(pairs).keys() & {"X-Amz-Algorithm", "X-Amz-Signature"}
    if authorization is None and not presigned:
        raise MissingSignature
    if authorization is not None and presigned:
        raise IncompleteSignature("The request is signed in its header and in its query")
    claim = _claim_of_query(pairs) if authorization is None else _claim_of_header(request, authorization, pairs)
    _require_signed(request, claim)
    return claim


def verify(request: SentRequest, claim: Claim, key: AccessKey, payload_hash: str) -> None:
    """Return if the claim's signature is that of the request. Raises WrongSignature.

    payload_hash: SHA-256 of the body in lower-case hex, or STREAMING_PAYLOAD.
    """
    for query in dict.fromkeys((_canonical_query(claim.query), _canonical_query(_re_encoded(claim.query)))):
        canonical = "\n".join(
            [
                request.method.upper(),
                quote(request.path or "/", safe="/~"),  # percent-encoded once more, as every service but S3 has it
                query,
                *(f"{name}:{request.header(name) or ''}" for name in claim.signed_headers),
                "",
                ";".join(claim.signed_headers),
                payload_hash,
            ]
        )
        digest = sha256(canonical.encode("utf-8")).hexdigest()
        text = f"{ALGORITHM}\n{claim.timestamp}\n{claim.scope}\n{digest}"
        if same_signature(signature_of(claim, key, text), claim.signature):
            return
    raise WrongSignature(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
        "Key and signing method."
    )


def check_claim(claim: Claim, *, region: str, service: str, now: datetime) -> None:
    """Return if the claim is for this service in this region, and in time. Raises WrongSignature, ExpiredSignature."""
    if (claim.region, claim.service) != (region, service):
        raise WrongSignature(f"Credential should be scoped to region {region} and service {service}.")
    if claim.date != claim.timestamp[:8]:
        raise WrongSignature("Date in Credential scope does not match the date of the request")
    latest = claim.at + (WINDOW if claim.expires is None else claim.expires)
    if claim.at > now + WINDOW:
        raise WrongSignature(f"Signature not yet current: {claim.timestamp} is later than {now:{_TIMESTAMP}} + 5 min.")
    if now > latest and claim.expires is None:
        raise WrongSignature(f"Signature expired: {claim.timestamp} is earlier than {now:{_TIMESTAMP}} - 5 min.")
    if now > latest:
        raise ExpiredSignature(f"The presigned URL expired at {latest:{_TIMESTAMP}}")


def key_of(claim: Claim, keys: Mapping[str, AccessKey]) -> AccessKey:
    """Return the key a claim names. Raises UnknownAccessKey."""
    if claim.access_key_id not in keys:
        raise UnknownAccessKey
    return keys[claim.access_key_id]


def declared_payload(request: SentRequest) -> str | None:
    """Return what x-amz-content-sha256 says of the body; None where it is not there, as with most AWS SDKs.

    Raises WrongSignature for a body that would not be signed.
    """
    declared = request.header("x-amz-content-sha256")
    if declared is not None and declared != STREAMING_PAYLOAD and not _HASH.fullmatch(declared):
        raise WrongSignature(f"x-amz-content-sha256 has to be the SHA-256 of the body or {STREAMING_PAYLOAD}")
    return declared


def without_signature(query: str) -> str:
    """Return a query string without the parameters of a presigned URL."""
    kept = [part for part in query.split("&") if not part.partition("=")[0].lower().startswith("x-amz-")]
    return "&".join(kept)


# -- claims


def _claim_of_header(request: SentRequest, authorization: str, query: Sequence[tuple[str, str]]) -> Claim:
    match = _AUTHORIZATION.fullmatch(authorization)
    if match is None:
        raise IncompleteSignature(
            f"The Authorization header is not {ALGORITHM} with a Credential, SignedHeaders and a Signature"
        )
    timestamp = request.header("x-amz-date") or _from_http_date(request.header("date"))
    return _claim(match[1], timestamp, match[2], match[3], query)


def _claim_of_query(query: Sequence[tuple[str, str]]) -> Claim:
    sent = [(name, unquote_to_bytes(value).decode("latin-1")) for name, value in query if name.startswith("X-Amz-")]
    given = dict(sent)
    names = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
    if len(given) < len(sent) or any(f"X-Amz-{name}" not in given for name in names):
        raise IncompleteSignature(f"A presigned URL has each of X-Amz-{', X-Amz-'.join(names)} once")
    if "X-Amz-Security-Token" in given:
        raise UnknownAccessKey
    seconds = given["X-Amz-Expires"]
    if given["X-Amz-Algorithm"] != ALGORITHM or not _SECONDS.fullmatch(seconds) or int(seconds) > _LONGEST_EXPIRY:
        raise IncompleteSignature(f"X-Amz-Algorithm is {ALGORITHM}, X-Amz-Expires at most {_LONGEST_EXPIRY} seconds")
    signed = [(name, value) for name, value in query if name != "X-Amz-Signature"]
    return _claim(
        given["X-Amz-Credential"],
        given["X-Amz-Date"],
        given["X-Amz-SignedHeaders"],
        given["X-Amz-Signature"],
        signed,
        timedelta(seconds=int(seconds)),
    )


def _claim(
    credential: str,
    timestamp: str,
    signed_headers: str,
    signature: str,
    query: Sequence[tuple[str, str]],
    expires: timedelta | None = None,
) -> Claim:
    names = tuple(signed_headers.split(";"))
    parts = credential.split("/")
    if len(parts) != 5 or not parts[0] or parts[4] != _TERMINATOR:
        raise IncompleteSignature(f"Credential is not an access key id, date, region, service and {_TERMINATOR}")
    if not _TIME.fullmatch(timestamp):
        raise IncompleteSignature("The request has no X-Amz-Date of the form YYYYMMDDTHHMMSSZ")
    if list(names) != sorted(set(names)) or any(name != name.lower() for name in names):
        raise IncompleteSignature("SignedHeaders are names in lower case, sorted, each once")
    try:
        at = datetime.strptime(timestamp, _TIMESTAMP).replace(tzinfo=UTC)
    except ValueError as error:
        raise IncompleteSignature("X-Amz-Date is no time") from error
    return Claim(parts[0], parts[1], parts[2], parts[3], at, timestamp, names, signature, tuple(query), expires)


def _from_http_date(date: str | None) -> str:
    """Return a Date header as X-Amz-Date has it, "" where it is none."""
    try:
        return parsedate_to_datetime(date or "").astimezone(UTC).strftime(_TIMESTAMP)
    except (ValueError, OverflowError):
        return ""


def _require_signed(request: SentRequest, claim: Claim) -> None:
    """Raise IncompleteSignature where something that decides is not signed."""
    sent = {name for name, _ in request.headers}
    needed = {"host"} | {name for name in sent if name.startswith("x-amz-")}
    if claim.expires is None and "x-amz-date" not in sent:
        needed.add("date")
    missing = sorted(needed - {*claim.signed_headers})
    if missing:
        raise IncompleteSignature(f"SignedHeaders lacks {', '.join(missing)}")
    if "x-amz-security-token" in sent:
        raise UnknownAccessKey  # keys here are for good, and no token goes with them


# -- the canonical request, and what signs it


def _query_pairs(query: str) -> list[tuple[str, str]]:
    pairs = [part.partition("=") for part in query.split("&")] if query else []
    return [(name, value) for name, _, value in pairs]


def _re_encoded(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return parameters percent-encoded as the specification has it, for clients that send them less encoded."""
    return [(_re_encode(name), _re_encode(value)) for name, value in pairs]


def _re_encode(text: str) -> str:
    return quote(unquote_to_bytes(text), safe="-_.~")


def _canonical_query(pairs: Sequence[tuple[str, str]]) -> str:
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def signature_of(claim: Claim, key: AccessKey, text: str) -> str:
    """Return the signature of a text under a key, for the day, region and service of a claim."""
    signing_key = f"AWS4{key.secret}".encode()
    for part in (claim.date, claim.region, claim.service, _TERMINATOR):
        signing_key = hmac.digest(signing_key, part.encode(), "sha256")
    return hmac.digest(signing_key, text.encode(), "sha256").hex()


def same_signature(one: str, other: str) -> bool:
    """Return whether two signatures are the same, in a time that does not tell how much of them is."""
    return hmac.compare_digest(one.encode(), other.encode("utf-8", "surrogateescape"))
