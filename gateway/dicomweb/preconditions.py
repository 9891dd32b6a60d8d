"""ETags, and the condition an edit makes of one: If-Match, RFC 9110 section 13.1.1. responses.py has those of reads.

An ETag names a version: of the study, `"3"`; of the image set that a series or an instance lies in, `"3-0a1b2c3d"`,
where the second part keeps a series that was deleted and stored again from looking like the old one. Clients take it
as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.requests import Request

from gateway.errors import InvalidHeader
from gateway.state import State
from gateway.store.contents import Member, StudyVersion

# RFC 9110 section 8.8.3. A list of them has commas between, and a comma may stand in a tag as well.
_TAGS = re.compile(r'[ \t]*(?:(?P<weak>W/)?"(?P<opaque>[\x21\x23-\x7e\x80-\xff]*)")?[ \t]*(?:,|$)')

_NOT_TAGS = 'is neither * nor a list of entity tags such as "3" (RFC 9110 section 8.8.3)'


@dataclass(frozen=True, slots=True)
class EntityTags:
    """The value of If-Match. any: it is `*`. strong: its tags without those marked W/, which never match."""

    any: bool = False
    strong: frozenset[str] = frozenset()

    def match(self, etag: str) -> bool:
        """Whether one of them is this, by strong comparison (RFC 9110 section 8.8.3.2)."""
        return self.any or etag.strip('"') in self.strong


def study_etag(version: int) -> str:
    """Return the ETag of a version of a study."""
    return f'"{version}"'


def image_set_etag(image_set_id: str, version: int) -> str:
    """Return the ETag of a series or an instance, whose versions are those of its image set."""
    return f'"{version}-{image_set_id[:8]}"'


def etag_of(study: StudyVersion, member: Member | None) -> str:
    """Return the ETag of a study; with `member`, of the series or instance that lies in this image set."""
    return image_set_etag(member.image_set_id, member.version) if member else study_etag(study.version)


def if_match(request: Request[State]) -> EntityTags | None:
    """Return the entity tags of If-Match, None where it is absent. Raises InvalidHeader."""
    lines = request.headers.getlist("If-Match")
    if not lines:
        return None
    text = ", ".join(lines).strip(" \t")
    if text == "*":
        return EntityTags(any=True)
    tags: list[re.Match[str]] = []
    position = 0
    while position < len(text):
        match = _TAGS.match(text, position)
        if match is None:
            raise InvalidHeader("If-Match", _NOT_TAGS)
        if match["opaque"] is not None:
            tags.append(match)
        position = match.end()
    if not tags:
        raise InvalidHeader("If-Match", _NOT_TAGS)
    return EntityTags(strong=frozenset(match["opaque"] for match in tags if not match["weak"]))
