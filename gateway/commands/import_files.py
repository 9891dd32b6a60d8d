"""`gateway import`: folders of DICOM files into a gateway, over STOW-RS.

Files go in batches. Where an answer says that part of a batch was refused, its files are sent again one by one, so
that the summary can name them: to store the same bytes twice changes nothing.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from gateway.client import DICOM_JSON, Client, Reply
from gateway.commands.terminal import ProgressBar, plural
from gateway.errors import Refused

BATCH_FILES = 50
BATCH_BYTES = 32 * 1024 * 1024
_PIECE = 1024 * 1024

# PS3.10 section 8.6 and PS3.3 F.3: the directory of a medium has no pixels and no place in an archive.
_DICOMDIR = b"1.2.840.10008.1.3.10\0"

# What no other file would fare better with: a redirect, a login, a right, the address, the disk.
_OF_THE_GATEWAY = {301, 302, 303, 307, 308, 401, 403, 404, 405, 502, 503, 504, 507}

NOT_A_FILE = "not a regular file"
UNREADABLE = "not readable"
NOT_DICOM = "not a DICOM file (PS3.10)"
DIRECTORY = "a DICOMDIR"
SEEN = "a link to a folder that was seen before"


@dataclass(slots=True)
class Summary:
    """What became of every path found. refused: path and reason, for files that are DICOM and were not stored."""

    stored: int = 0
    studies: set[str] = field(default_factory=set)
    warnings: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    unreadable: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every DICOM file there is was stored."""
        return not self.refused and not self.unreadable

    def skip(self, path: str, reason: str) -> None:
        self.skipped[reason] += 1
        if reason == UNREADABLE:
            self.unreadable.append(path)


def import_files(paths: Sequence[Path], client: Client, *, as_json: bool, quiet: bool = False) -> int:
    """Store every DICOM file below the paths; return 0 if all were stored, 1 if some were not.

    Raises Unreachable, and Refused where the gateway takes nothing at all: it knows not who asks, or has no room.
    """
    started = time.monotonic()
    summary = Summary()

    def tell() -> None:
        if as_json:
            print(json.dumps(report(summary)))
        else:
            print_summary(summary, time.monotonic() - started, sys.stdout)

    with told_at_the_end(tell, summary):
        files = list(find_files(paths, summary))
        with ProgressBar(len(files), "files", sys.stderr, hidden=quiet) as progress:
            for batch in batches(files, summary):
                store(client, batch, summary)
                progress.at(batch[-1].number + 1)
    return 0 if summary.complete else 1


# Finding
# -------


def find_files(paths: Sequence[Path], summary: Summary) -> Iterator[str]:
    """Yield the regular files below the paths, folders in order of their names; the rest is counted as skipped."""
    seen: set[tuple[int, int]] = set()
    pending = [os.fspath(path) for path in reversed(paths)]
    while pending:
        path = pending.pop()
        try:
            found = os.stat(path)
            if stat.S_ISDIR(found.st_mode):
                if (found.st_dev, found.st_ino) in seen:
                    summary.skip(path, SEEN)
                    continue
                seen.add((found.st_dev, found.st_ino))
                pending += sorted((entry.path for entry in os.scandir(path)), reverse=True)
            elif stat.S_ISREG(found.st_mode):
                yield path
            else:
                summary.skip(path, NOT_A_FILE)
        except OSError:
            summary.skip(path, UNREADABLE)


@dataclass(frozen=True, slots=True)
class Found:
    """A DICOM file. number: its place among all files found."""

    number: int
    path: str
    size: int


def batches(files: Sequence[str], summary: Summary) -> Iterator[list[Found]]:
    """Yield the DICOM files, as many at a time as one request is to hold; the rest is counted as skipped."""
    batch: list[Found] = []
    for number, path in enumerate(files):
        try:
            reason = reason_to_skip(path)
            size = os.path.getsize(path)
        except OSError:
            reason = UNREADABLE
        if reason:
            summary.skip(path, reason)
            continue
        if batch and (len(batch) == BATCH_FILES or sum(file.size for file in batch) + size > BATCH_BYTES):
            yield batch
            batch = []
        batch.append(Found(number, path, size))
    if batch:
        yield batch


def reason_to_skip(path: str) -> str | None:
    """Return why a file is not to be sent, None if it is. Raises OSError."""
    if os.path.basename(path).upper() == "DICOMDIR":
        return DIRECTORY
    with open_at_once(path) as file:
        start = file.read(512)
    if start[128:132] != b"DICM":
        return NOT_DICOM
    return DIRECTORY if _DICOMDIR in start else None


def open_at_once(path: str) -> BinaryIO:
    """Open a file to read, without waiting for a writer if it has turned into a FIFO since it was found."""
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))


# Storing
# -------


class UnreadableFile(Exception):
    """A file could be opened, and then not be read to its end."""


def store(client: Client, batch: Sequence[Found], summary: Summary) -> None:
    """Send a batch and count what became of it."""
    try:
        reply = send(client, batch)
    except UnreadableFile:
        if len(batch) == 1:
            summary.skip(batch[0].path, UNREADABLE)
            return
    except Refused as refused:
        if refused.status in _OF_THE_GATEWAY:
            raise
        if len(batch) == 1:
            summary.refused.append((batch[0].path, str(refused)))
            return
    else:
        answer = reply.json()
        if len(batch) == 1 or not failures(answer):
            count(answer, batch, summary)
            return
    for file in batch:
        store(client, [file], summary)


def send(client: Client, batch: Sequence[Found]) -> Reply:
    """Post a batch as multipart/related (PS3.18 section 8.6.1.2)."""
    boundary = secrets.token_hex(16)
    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        "Accept": DICOM_JSON,
    }
    return client.request("POST", "/studies", lambda: multipart(batch, boundary), headers=headers, expect=(409,))


def multipart(batch: Sequence[Found], boundary: str) -> Iterator[bytes]:
    """Yield a body of one part for each file, in pieces. Raises UnreadableFile."""
    for file in batch:
        yield f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        try:
            with open_at_once(file.path) as opened:
                while piece := opened.read(_PIECE):
                    yield piece
        except OSError as error:
            raise UnreadableFile from error
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


# PS3.18 Table I.1-1 and I.2-1: the Store Instances Response Module.
_REFERENCED, _FAILED, _OTHER_FAILURES = "00081199", "00081198", "0008119A"
_FAILURE_REASON, _WARNING_REASON, _RETRIEVE_URL = "00081197", "00081196", "00081190"


def failures(answer: Any) -> list[dict[str, Any]]:
    """Return the items of a Store Instances Response about what was not stored."""
    return items(answer, _FAILED) + items(answer, _OTHER_FAILURES)


def items(answer: Any, tag: str) -> list[dict[str, Any]]:
    """Return the items of a sequence of a Store Instances Response, which may come in an array."""
    dataset = answer[0] if isinstance(answer, list) and answer else answer
    return list((dataset or {}).get(tag, {}).get("Value", []))


def count(answer: Any, batch: Sequence[Found], summary: Summary) -> None:
    """Add a Store Instances Response to the summary; with failures it is about one file."""
    for item in items(answer, _REFERENCED):
        summary.stored += 1
        url = str(next(iter(item.get(_RETRIEVE_URL, {}).get("Value", [])), ""))
        if "/studies/" in url:
            summary.studies.add(url.partition("/studies/")[2].partition("/")[0])
        for code in item.get(_WARNING_REASON, {}).get("Value", []):
            summary.warnings[f"0x{int(code):04X}"] += 1
    for item in failures(answer):
        codes = item.get(_FAILURE_REASON, {}).get("Value", [])
        summary.refused.append((batch[0].path, f"failure reason {', '.join(f'0x{int(code):04X}' for code in codes)}"))


# Telling
# -------


@contextmanager
def told_at_the_end(tell: Callable[[], None], summary: Summary) -> Iterator[None]:
    """Tell what became of all files; where it ends before that, of those that were stored until then, if any."""
    try:
        yield
    except BaseException:
        if summary.stored:
            tell()
        raise
    tell()


def report(summary: Summary) -> dict[str, Any]:
    """Return the summary as JSON."""
    return {
        "stored": summary.stored,
        "studies": len(summary.studies),
        "warnings": dict(summary.warnings),
        "skipped": dict(summary.skipped),
        "unreadable": summary.unreadable,
        "refused": [{"path": path, "reason": reason} for path, reason in summary.refused],
    }


def print_summary(summary: Summary, seconds: float, out: TextIO) -> None:
    """Write the summary for people."""
    rate = f"{summary.stored / seconds:.0f} a second" if seconds else "at once"
    print(f"Stored {plural(summary.stored, 'instance')} of {plural(len(summary.studies), 'study')}, {rate}.", file=out)
    for code, number in sorted(summary.warnings.items()):
        print(f"  {number} with warning {code} (docs/conformance.md)", file=out)
    for reason, number in summary.skipped.most_common():
        print(f"Skipped {number}: {reason}.", file=out)
    for path in summary.unreadable:
        print(f"Not readable: {path}", file=out)
    for path, reason in summary.refused:
        print(f"Refused: {path}: {reason}", file=out)
