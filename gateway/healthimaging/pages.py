"""Pages of a list and the tokens between them.

A token says where the next page starts and which request it belongs to: one for another search is refused rather than
answered with the wrong page.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

import orjson

from gateway.errors import InvalidRequest
from gateway.healthimaging.context import Input

# maxResults goes up to 50, and AWS's pages have so many where it is not given.
DEFAULT_PAGE = 50

_DIGEST = 12
_MOST_DIGITS = 18


def page_size(request: Input) -> int:
    """Return how many entries the page may have."""
    size: int = request.get("maxResults", DEFAULT_PAGE)
    return size


def next_token(request: Input, position: str) -> str:
    """Return the token of the page that starts at `position`, an operation's own word for a place in its list."""
    return urlsafe_b64encode(_digest(request) + position.encode("ascii")).decode("ascii")


def position(request: Input) -> str | None:
    """Return where the page asked for starts; None at the beginning. Raises InvalidRequest for a foreign token."""
    token: str | None = request.get("nextToken")
    if token is None:
        return None
    try:
        content = urlsafe_b64decode(token.encode("ascii"))
        digest, place = content[:_DIGEST], content[_DIGEST:].decode("ascii")
    except ValueError as error:
        raise InvalidRequest("nextToken is not one that this operation gave") from error
    if digest != _digest(request):
        raise InvalidRequest("nextToken is not one that this operation gave for this request")
    return place


def number_position(request: Input) -> int | None:
    """Return `position` where an operation's word for a place is a number."""
    place = position(request)
    if place is None:
        return None
    if not place.isdecimal() or len(place) > _MOST_DIGITS:
        raise InvalidRequest("nextToken is not one that this operation gave")
    return int(place)


def _digest(request: Input) -> bytes:
    """Return what tells requests apart, page size aside: a client may change that from page to page."""
    rest = {name: value for name, value in request.items() if name not in ("nextToken", "maxResults")}
    return sha256(orjson.dumps(rest, option=orjson.OPT_SORT_KEYS)).digest()[:_DIGEST]
