"""Every error the gateway raises on purpose, as one tree.

    GatewayError
      InvalidRequest            the request is malformed
        InvalidDicomJson          ... DICOM JSON, with the JSON path
        InvalidDicomXml           ... DICOM XML, with the path to the attribute
        InvalidUpdate             ... a SchemaVersion 1.1 update
        InvalidDocument           ... an image set's metadata document
        InvalidPart10             ... a PS3.10 file
        InvalidMultipart          ... a multipart/related body
        InvalidQuery              ... a query string
        InvalidHeader             ... a header field
        InvalidUid                ... a unique identifier
      ConstraintViolations      the constraints forbid the edit; all of them at once
      NotFound                  no such data store, study, image set, instance, version, job
        Gone                      it was there, and a later version has it no more
        NoDataFolder              a folder is no data folder
      VersionConflict           the version named is not the current one
        PreconditionFailed        ... and it was named by If-Match
      PreconditionRequired      the edit names no version, and the settings ask for one
      IdempotencyConflict       the same Idempotency-Key came with another body
      NotEmpty                  a data store that still has image sets
      NotReady                  what was asked for is still being made
      AccessDenied              the access key lacks a right
      UnsupportedMediaType      no reader for this body
      NotAcceptable             no writer for these media types
      TooLarge                  more than a limit allows
      StorageFull               no room left to write
      StorageFailed             the disk or the database said no
      ObjectRefused             one object of a bucket or a folder cannot be read
      ObjectsFailed             a bucket or a folder does not answer, or refuses
      AlreadyServed             another gateway holds the data folder
      InvalidSettings           the gateway cannot run as it is configured
      AddressInUse              another program listens on the port
      Unreachable               no gateway answers at the address a command was given
      Refused                   a gateway answered a command with an error

Data are fields, the sentence is `str(error)`. HTTP appears only in the faces, which map these classes to their own
answers. No message quotes an attribute's value: it may be a patient's.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

Level = Literal["Patient", "Study", "Series", "Instance"]

# What an access key may do. force: lift constraints, beside writing.
Right = Literal["read", "write", "force"]
RIGHTS: tuple[Right, ...] = get_args(Right)


class GatewayError(Exception):
    """The root: whatever is raised below is safe to show to a client."""


class InvalidRequest(GatewayError):
    """What was sent is malformed; nothing was changed."""


class InvalidDicomJson(InvalidRequest):
    """Not the DICOM JSON Model (PS3.18 Annex F). `path` is a JSON path such as `$[0].00100010.Value[0]`."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class InvalidDicomXml(InvalidRequest):
    """Not the Native DICOM Model (PS3.19 A.1). `path` is tags and positions: `/00400275/Item[1]/00100010/Value[2]`."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class InvalidUpdate(InvalidRequest):
    """Not a MetadataUpdates document that HealthImaging would take."""


class InvalidDocument(InvalidRequest):
    """Not the metadata document of an image set. `path` is where, as `Study.Series`."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} {reason}")
        self.path = path
        self.reason = reason


class InvalidPart10(InvalidRequest):
    """Not a readable PS3.10 file. `offset` is the byte where reading stopped."""

    def __init__(self, reason: str, offset: int | None = None) -> None:
        super().__init__(reason if offset is None else f"{reason} (byte {offset})")
        self.reason = reason
        self.offset = offset


class InvalidMultipart(InvalidRequest):
    """Not a multipart/related body (RFC 2046, RFC 2387)."""


class InvalidQuery(InvalidRequest):
    """A query parameter the gateway supports has a value it cannot have. `parameter` is its name."""

    def __init__(self, parameter: str, reason: str) -> None:
        super().__init__(f"query parameter {parameter}: {reason}")
        self.parameter = parameter
        self.reason = reason


class InvalidHeader(InvalidRequest):
    """A header field has a value it cannot have. `header` is its name."""

    def __init__(self, header: str, reason: str) -> None:
        super().__init__(f"header {header}: {reason}")
        self.header = header
        self.reason = reason


class InvalidUid(InvalidRequest):
    """A unique identifier has another character than a digit or a dot, or the wrong length (PS3.5 section 9.1)."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not a UID: only digits and dots, 1 to 256 of them")
        self.name = name


@dataclass(frozen=True, slots=True)
class Violation:
    """One constraint that one attribute of an edit breaks (docs/constraints.md).

    rule: its name, part of the API. force_lifts: whether `force` would let the edit pass.
    tag and keyword are None where the rule is about a document, a series or an instance.
    """

    rule: str
    level: Level
    message: str
    force_lifts: bool
    tag: str | None = None
    keyword: str | None = None
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None


class ConstraintViolations(GatewayError):
    """The constraints forbid the edit. `violations` holds every one, in document order.

    A study's image sets share their Patient and Study attributes, so what several of them say is told once.
    """

    def __init__(self, violations: Sequence[Violation]) -> None:
        self.violations = tuple(dict.fromkeys(violations))
        super().__init__("; ".join(dict.fromkeys(violation.message for violation in self.violations)))


class NotFound(GatewayError):
    """There is no such thing. `kind` is the standard's word for it, `name` what it was looked up by."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"{kind} {name} does not exist")
        self.kind = kind
        self.name = name


class Gone(NotFound):
    """It was there; it was deleted since, moved or given another UID. Older versions can still be read."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(kind, name)
        since = "was deleted, moved or given another UID"
        self.args = (f"{kind} {name} {since}; its older versions can be read, and reverted to",)


class NoDataFolder(NotFound):
    """There is no data folder at a path. way_out: what else to name."""

    def __init__(self, folder: str, way_out: str = "") -> None:
        super().__init__("data folder", folder)
        if way_out:
            self.args = (f"{self}: {way_out}",)


class VersionConflict(GatewayError):
    """The version named is not the current one; nothing was changed."""

    def __init__(self, resource: str, expected: int | str, actual: int | str) -> None:
        super().__init__(f"{resource}: version {actual} is current, not {expected}")
        self.resource = resource
        self.expected = expected
        self.actual = actual


class PreconditionFailed(VersionConflict):
    """If-Match names a version that is not the current one (RFC 9110 section 13.1.1).

    current: the ETag to send instead. changes: the versions made since, as `GET …/versions` lists them.
    """

    def __init__(
        self, resource: str, expected: str, actual: int | str, current: str, changes: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        super().__init__(resource, expected, actual)
        self.current = current
        self.changes = tuple(changes)


class PreconditionRequired(GatewayError):
    """The settings ask for If-Match on every edit, and this one has none (RFC 6585 section 3)."""

    def __init__(self) -> None:
        super().__init__("this gateway takes edits only with If-Match: read the resource and send its ETag")


class IdempotencyConflict(GatewayError):
    """The Idempotency-Key was used before, with another request. `name`: what a face calls the key."""

    def __init__(self, name: str = "Idempotency-Key") -> None:
        super().__init__(f"this {name} was used for another request: take a new one")
        self.name = name


class NotEmpty(GatewayError):
    """A data store that has image sets cannot be deleted."""


class NotReady(GatewayError):
    """What was asked for is still being made. `resource` is of what."""

    def __init__(self, resource: str) -> None:
        super().__init__(f"{resource} is still processing: ask again")
        self.resource = resource


class AccessDenied(GatewayError):
    """The request is signed by an access key that lacks the right it needs."""

    def __init__(self, right: Right) -> None:
        super().__init__(f"this access key has no right to {right}")
        self.right = right


class UnsupportedMediaType(GatewayError):
    """No reader for this body. The sentence lists what is read here."""


class NotAcceptable(GatewayError):
    """No writer for the media types asked for. The sentence lists what is written here."""


class TooLarge(GatewayError):
    """More than a limit allows; the sentence names the limit."""


class StorageFull(GatewayError):
    """The disk has no room: nothing was written, reads go on."""


class StorageFailed(GatewayError):
    """The disk or the database refused; the cause is chained and goes to the log, not to the client."""


class ObjectRefused(GatewayError):
    """One object of a bucket, or file of a folder, cannot be read; others can. The sentence does not name it."""


class ObjectsFailed(GatewayError):
    """A bucket or a folder does not exist, does not answer, or refuses what every import needs of it."""


class AlreadyServed(GatewayError):
    """Another gateway process holds the data folder."""


class InvalidSettings(GatewayError):
    """The gateway cannot run as it is configured. `problems` holds a sentence for each setting that is wrong."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class AddressInUse(GatewayError):
    """Another program listens on the port, or the port is not ours to take."""


class Unreachable(GatewayError):
    """No gateway answers at the address that a command was given."""


class Refused(GatewayError):
    """A gateway answered a command with an error. `problem` is the answer's body (RFC 9457).

    To who does not sign it answers as AWS does, with a `message`.
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        told = problem.get("detail") or problem.get("title") or problem.get("message")
        super().__init__(str(told or f"the gateway answered {status}"))
        self.status = status
        self.problem = problem


def without_messages(error: BaseException | None) -> str:
    """Return the chain of causes as class names and lines of code, for a log: messages may quote a patient's values."""
    lines: list[str] = []
    while error is not None:
        lines.append(type(error).__name__)
        lines += [line.rstrip() for line in traceback.format_tb(error.__traceback__)]
        error = error.__cause__ or error.__context__
    return "\n".join(lines)
