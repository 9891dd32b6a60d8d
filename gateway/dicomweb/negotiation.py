"""Media types: reading Content-Type and Accept, and choosing what to answer with.

RFC 9110 section 12.5.1 and PS3.18 section 8.7. Clients send several ranges in one header, quote parameters or do not,
and repeat them; what one range cannot give the next one may.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from encodings import normalize_encoding
from encodings.aliases import aliases

from starlette.requests import Request

from gateway.errors import InvalidHeader, InvalidQuery, NotAcceptable
from gateway.state import State

DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
DICOM_XML = "application/dicom+xml"
JSON = "application/json"
OCTETS = "application/octet-stream"
MULTIPART = "multipart/related"

# More ranges than any client sends; the rest is not looked at.
MAX_RANGES = 64

# Of header fields as they came, what was read in them is kept: a client sends the same with each request.
KEPT_HEADERS = 64

# RFC 9110 sections 5.6.2 and 5.6.4. A parameter's value may hold a "/" without quotes, as type=application/dicom does:
# many clients leave the quotes out.
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_TYPE = re.compile(rf"\s*({_TOKEN}/{_TOKEN})\s*")
_PARAMETER = re.compile(rf';\s*(?:({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",;]+))\s*)?')
# Java's HttpURLConnection writes "*; q=.2", without a subtype and without the zero, wherever a program names nothing.
_QUALITY = re.compile(r"0(?:\.[0-9]{0,3})?|\.[0-9]{1,3}|1(?:\.0{0,3})?")
_BARE_WILDCARD = re.compile(r"^\s*\*\s*(?=;|$)")

# PS3.18 section 8.7.3: DICOM media types, in which a resource is data, and rendered ones, in which it is a picture or a
# page; inside multipart/related even image/jpeg is of the former.
_DICOM_TYPES = frozenset({DICOM, DICOM_JSON, DICOM_XML, MULTIPART})
_RENDERED_TYPES = re.compile(r"(?:image|video|text)/.+|application/pdf")

_CHARSETS = frozenset({*aliases, *aliases.values()})


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type or a media range: type/subtype in lower case, and its parameters in order, names in lower case."""

    name: str
    parameters: tuple[tuple[str, str], ...] = ()

    def parameter(self, name: str) -> str | None:
        """Return a parameter's first value; None where it has none."""
        return next((value for key, value in self.parameters if key == name), None)

    @property
    def transfer_syntaxes(self) -> tuple[str, ...]:
        """The transfer syntaxes named, which may be "*"; a range may name several."""
        return tuple(value for key, value in self.parameters if key == "transfer-syntax")

    @property
    def quality(self) -> float:
        """RFC 9110 section 12.4.2; 1 where it says nothing."""
        return float(self.parameter("q") or 1)

    @property
    def specificity(self) -> int:
        """How much a range says: more of what is in its parts than of a multipart, of a subtype than of a type."""
        return 3 - self.name.count("*") + (self.parameter("type") is not None)


@dataclass(frozen=True, slots=True)
class Offer:
    """A representation the gateway can write. multipart: in multipart/related, one part for each object."""

    name: str
    multipart: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """An offer a client accepts, and the transfer syntaxes it wants: "*" for any; none if it named none.

    rank: less is wanted more; of choices of one rank the client likes all as much (RFC 9110 section 12.5.1).
    """

    offer: Offer
    transfer_syntaxes: tuple[str, ...] = ()
    rank: tuple[float, ...] = field(default=(), compare=False)


@functools.lru_cache(maxsize=KEPT_HEADERS)
def read_media_type(text: str) -> MediaType:
    """Return a media type or range. Quoted and unquoted parameters are the same (PS3.18 section 8.7).

    Raises InvalidHeader, which names Content-Type.
    """
    match = _TYPE.match(text)
    at = match.end() if match else 0
    parameters: list[tuple[str, str]] = []
    while match and at < len(text):
        match = _PARAMETER.match(text, at)
        if match:
            at = match.end()
            if match[1]:
                value = re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3]
                parameters.append((match[1].lower(), value))
    name = _TYPE.match(text)
    if match is None or name is None:
        raise InvalidHeader("Content-Type", "not a media type")
    return MediaType(name[1].lower(), tuple(parameters))


def read_accept(text: str) -> tuple[list[MediaType], bool]:
    """Return the media ranges of an Accept value in order of preference, and whether all of it could be read."""
    ranges: list[MediaType] = []
    complete = True
    for element in _elements(text):
        try:
            one = read_media_type(_BARE_WILDCARD.sub("*/*", element, count=1))
        except InvalidHeader:
            complete = False
            continue
        if _QUALITY.fullmatch(one.parameter("q") or "1"):
            ranges.append(one)
        else:
            complete = False
    return sorted(ranges, key=_order), complete


def _order(one: MediaType) -> tuple[float, int]:
    return -one.quality, -one.specificity


def _elements(text: str) -> list[str]:
    """Return the first MAX_RANGES elements of a comma-separated list, empty ones left out (RFC 9110 section 5.6.1).

    Character by character: a pattern for quoted strings takes quadratic time on quotes that never close.
    """
    elements: list[str] = []
    start, quoted, escaped = 0, False, False
    for at, character in enumerate(text + ","):
        if character == "," and (not quoted or at == len(text)):
            elements.append(text[start:at])
            start = at + 1
            if len(elements) == MAX_RANGES:
                break
        quoted ^= character == '"' and not escaped
        escaped = quoted and character == "\\" and not escaped
    return [element for element in elements if element.strip()]


def acceptable(parameters: Sequence[str], headers: Sequence[str], offers: Sequence[Offer]) -> list[Choice]:
    """Return what a client accepts of the offers, best first: PS3.18 section 8.7.8.1.

    parameters: values of the query parameter `accept`, which come before the header's, whatever their quality.
    A client that says nothing accepts anything. Raises InvalidQuery for a parameter that cannot be read, NotAcceptable
    where nothing is left.
    """
    return list(_acceptable(tuple(parameters), tuple(headers), tuple(offers)))


@functools.lru_cache(maxsize=KEPT_HEADERS)
def _acceptable(parameters: tuple[str, ...], headers: tuple[str, ...], offers: tuple[Offer, ...]) -> tuple[Choice, ...]:
    named: list[MediaType] = []
    if parameters:
        # In a query string "+" is a space, so application/dicom+json arrives with one.
        named, complete = read_accept(re.sub(r"(?<=[a-z]) (?=[a-z])", "+", ",".join(parameters), flags=re.IGNORECASE))
        if not complete or not named:
            raise InvalidQuery("accept", "not a list of media types")
    ranges, complete = read_accept(",".join(headers))
    if not (named or ranges) and complete:
        return tuple(Choice(offer, ("*",)) for offer in offers)
    choices = [
        Choice(offer, one.transfer_syntaxes or (("*",) if "*" in one.name else ()), (at, *_order(one)))
        for at, asked in enumerate((named, ranges))
        for one in asked
        if one.quality > 0
        for offer in _matching(one, offers)
        if not _is_overruled(one, offer, asked)
    ]
    if not choices:
        raise NotAcceptable("written here: " + ", ".join(described(offer) for offer in offers))
    return tuple(dict.fromkeys(choices))


def negotiate(request: Request[State], offers: Sequence[Offer]) -> list[Choice]:
    """Return what a request accepts of the offers, best first.

    Raises like `acceptable`; for `charset`, InvalidQuery or NotAcceptable; with the setting `strict_accept`,
    NotAcceptable where the header is missing, InvalidHeader where it mixes DICOM with rendered media types.
    """
    headers, parameters = request.headers.getlist("accept"), list[str]()
    if request.scope["query_string"]:
        parameters = request.query_params.getlist("accept")
        _check_charset(request.query_params.getlist("charset"))
    if request.state["settings"].strict_accept:
        _check_strictly(parameters, headers)
    return acceptable(parameters, headers, offers)


def _check_strictly(parameters: Sequence[str], headers: Sequence[str]) -> None:
    """Hold a request to what PS3.18 section 8.7.5 says clients shall send, and many do not."""
    if not (parameters or headers):
        raise NotAcceptable("a request names what it accepts (PS3.18 section 8.7.5): send Accept")
    names = {one.name for one in read_accept(",".join(headers))[0]}
    if names & _DICOM_TYPES and any(map(_RENDERED_TYPES.fullmatch, names)):
        raise InvalidHeader("Accept", "mixes DICOM with rendered media types")


def _check_charset(values: Sequence[str]) -> None:
    """Raise InvalidQuery for a `charset` that names none, NotAcceptable for one without UTF-8: PS3.18 8.3.3.2.

    Text is written in UTF-8 and in nothing else.
    """
    names = [name.partition(";")[0].strip().lower() for value in values for name in value.split(",")]
    if not all(map(_is_charset, names)):
        raise InvalidQuery("charset", "not a list of character sets")
    if names and not {"utf-8", "utf8", "us-ascii", "*"}.intersection(names):
        raise NotAcceptable("text is written in UTF-8 here")


def _is_charset(name: str) -> bool:
    # A table, since codecs.lookup remembers every name that it was ever asked.
    return name == "*" or normalize_encoding(name) in _CHARSETS


def _is_overruled(one: MediaType, offer: Offer, asked: Sequence[MediaType]) -> bool:
    """Whether a more specific range, whose quality counts for an offer (RFC 9110 section 12.5.1), wants it less.

    One that names transfer syntaxes says nothing of the others.
    """
    return any(
        other.specificity > one.specificity
        and other.quality < one.quality
        and not other.transfer_syntaxes
        and _covers(other, offer)
        for other in asked
    )


def _matching(wanted: MediaType, offers: Iterable[Offer]) -> list[Offer]:
    """Return the offers a range covers, in the order of our preference."""
    return [offer for offer in offers if _covers(wanted, offer)]


def _covers(wanted: MediaType, offer: Offer) -> bool:
    name = MULTIPART if offer.multipart else offer.name
    kind = name.split("/")[0]
    if wanted.name not in (name, f"{kind}/*", "*/*"):
        return False
    inner = wanted.parameter("type")
    if not offer.multipart or inner is None:
        return True
    return inner.lower() in (offer.name, f"{offer.name.split('/')[0]}/*", "*/*")


def described(offer: Offer) -> str:
    """Return an offer as a media type is written."""
    return f'{MULTIPART}; type="{offer.name}"' if offer.multipart else offer.name
