"""What every edit takes, beside its target and its own body: force, dry run, reasons, If-Match, Idempotency-Key.

Read strictly. An edit is the one request where a parameter that is overlooked changes a record: a misspelt `dryRun` is
no dry run, and of `force=true&force=false` nobody knows which was meant. So whatever is not known here is refused.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar, cast

from starlette.requests import Request

from gateway.dicom.dataset import Element
from gateway.dicom.values import value_problems
from gateway.dicomweb.negotiation import DICOM_JSON, JSON, read_media_type
from gateway.dicomweb.patient_headers import patient_wanted
from gateway.dicomweb.preconditions import EntityTags, if_match
from gateway.dicomweb.targets import single
from gateway.errors import (
    InvalidHeader,
    InvalidQuery,
    InvalidRequest,
    PreconditionRequired,
    TooLarge,
    UnsupportedMediaType,
)
from gateway.request_body import body_within
from gateway.state import State, require, who_asks
from gateway.store.contents import Provenance

Parsed = TypeVar("Parsed")

# A longer body is parsed on another thread: it takes longer than a thread's hop, and others wait.
PARSED_ON_LOOP = 32 * 1024

MERGE_PATCH = "application/merge-patch+json"
PATCH_TYPES = (MERGE_PATCH, DICOM_JSON, JSON)
DATASET_TYPES = (DICOM_JSON, JSON)

OPTIONS = ("force", "dryRun", "reason", "reasonForModification", "sourceOfPreviousValues")

# PS3.3 C.12.1.1.9: (0400,0565) has these two defined terms.
_ReasonForModification: TypeAlias = Literal["COERCE", "CORRECT"]
REASONS_FOR_MODIFICATION = ("COERCE", "CORRECT")
MAX_REASON = 1024

# Visible ASCII, as the IETF draft "The Idempotency-Key HTTP Header Field" has it: a quoted string; quotes may be left
# out, because most clients do.
_KEY = re.compile(r'"([\x20\x21\x23-\x5b\x5d-\x7e]{1,255})"|([\x21\x23-\x5b\x5d-\x7e]{1,255})')
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Options:
    """How an edit is to be made.

    patient: what the study's Patient level has to have. key and digest: the Idempotency-Key, and of what it came
    with; "" without one.
    """

    force: bool = False
    dry_run: bool = False
    provenance: Provenance = Provenance()
    if_match: EntityTags | None = None
    patient: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class EditRequest:
    """An edit as it was received."""

    options: Options
    body: bytes

    async def parsed(self, parse: Callable[[bytes], Parsed]) -> Parsed:
        """Return what `parse` makes of the body; raises what it raises."""
        return parse(self.body) if len(self.body) <= PARSED_ON_LOOP else await asyncio.to_thread(parse, self.body)


async def receive(request: Request[State], types: Collection[str] = (), known: Collection[str] = ()) -> EditRequest:
    """Return an edit's options and body.

    types: the media types a body may have; none, and the edit has no body. known: query parameters beyond OPTIONS.

    Raises UnsupportedMediaType, TooLarge, InvalidRequest for an empty body, and as `edit_options` does.
    """
    if types:
        check_media_type(request, types)
    most = request.state["settings"].max_json_body
    body = await body_within(request, most, TooLarge(f"the body is larger than {most} bytes (setting max_json_body)"))
    if types and not body:
        raise InvalidRequest("the body is empty: an edit says what to change")
    return EditRequest(edit_options(request, body, known), body)


def edit_options(request: Request[State], body: bytes, known: Collection[str] = ()) -> Options:
    """Return the options of an edit. Raises InvalidQuery, InvalidHeader, AccessDenied, PreconditionRequired."""
    _check_known(request, known)
    settings, key = request.state["settings"], _idempotency_key(request)
    options = Options(
        force=flag(request, "force"),
        dry_run=flag(request, "dryRun"),
        provenance=_provenance(request),
        if_match=if_match(request),
        patient=patient_wanted(request),
        key=key,
        digest=_digest(request, body) if key else "",
    )
    if options.force:
        require(request.scope, "force")
    if options.force and settings.force_needs_reason and not options.provenance.reason:
        raise InvalidQuery("reason", "is needed with force=true: this gateway keeps why a constraint was lifted")
    if settings.require_if_match and options.if_match is None:
        raise PreconditionRequired()
    return options


def check_media_type(request: Request[State], types: Collection[str]) -> None:
    """Return if the body has one of the media types and is UTF-8. Raises UnsupportedMediaType otherwise."""
    content_type = request.headers.get("Content-Type")
    if content_type in types:
        return
    if content_type is None:
        raise UnsupportedMediaType(f"the body has no Content-Type: {', '.join(types)} is read here")
    media_type = read_media_type(content_type)
    charset = media_type.parameter("charset") or "utf-8"
    if media_type.name not in types or charset.lower() not in ("utf-8", "utf8"):
        raise UnsupportedMediaType(f"{', '.join(types)} is read here, in UTF-8")


def flag(request: Request[State], name: str) -> bool:
    """Return a query parameter that is `true` or `false`, absent the latter. Raises InvalidQuery."""
    text = single(request, name)
    if text not in (None, "true", "false"):
        raise InvalidQuery(name, "is true or false")
    return text == "true"


def _check_known(request: Request[State], known: Collection[str]) -> None:
    for name in request.query_params if request.scope["query_string"] else ():
        if name not in OPTIONS and name not in known and name != "accept":
            shown = name if re.fullmatch(r"[A-Za-z]{1,32}", name) else "(unnamed)"
            raise InvalidQuery(shown, f"is not known here; an edit takes {', '.join([*OPTIONS, *known])}")


def _provenance(request: Request[State]) -> Provenance:
    reason_for_modification = single(request, "reasonForModification")
    if reason_for_modification not in (None, *REASONS_FOR_MODIFICATION):
        raise InvalidQuery("reasonForModification", f"is {' or '.join(REASONS_FOR_MODIFICATION)} (PS3.3 C.12.1.1.9)")
    source = single(request, "sourceOfPreviousValues")
    if source and value_problems(Element("LO", (source,))):
        raise InvalidQuery("sourceOfPreviousValues", "is a text of at most 64 characters, as (0400,0564) is")
    return Provenance(
        who=who_asks(request.scope),
        reason=_reason(request),
        reason_for_modification=cast("_ReasonForModification | None", reason_for_modification),
        source_of_previous_values=source or None,
    )


def _reason(request: Request[State]) -> str | None:
    reason = single(request, "reason")
    if reason and (len(reason) > MAX_REASON or _CONTROL.search(reason)):
        raise InvalidQuery("reason", f"is a text of at most {MAX_REASON} characters, without control characters")
    return reason or None


def _idempotency_key(request: Request[State]) -> str:
    """Return the key under which an answer is kept, apart from those that jobs make for themselves."""
    values = request.headers.getlist("Idempotency-Key")
    if not values:
        return ""
    match = _KEY.fullmatch(values[0].strip())
    if match is None or len(values) > 1:
        raise InvalidHeader("Idempotency-Key", "is one key of 1 to 255 visible characters, in quotes or without")
    return f"client {match[1] or match[2]}"


def _digest(request: Request[State], body: bytes) -> str:
    """Return the SHA-256 of method, path, query and body: what makes two requests the same."""
    head = "\n".join([request.method, request.url.path, request.url.query, ""])
    return hashlib.sha256(head.encode() + body).hexdigest()
