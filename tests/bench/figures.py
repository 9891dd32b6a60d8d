"""What is measured: each figure with its unit, what it is held against, and the target it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Better = Literal["more", "less"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of the table.

    of_orthanc: how many times as good as Orthanc it is to be. against: the limit or the other figure it is divided by,
    and share what the quotient is to be at least, or for `less` at most. most: what the value itself is to be at most.
    bare: what a server that does next to nothing gets of the same requests.
    """

    key: str
    title: str
    unit: str
    better: Better = "more"
    of_orthanc: float | None = None
    against: str = ""
    share: float | None = None
    most: float | None = None
    bare: str = ""


def _stow() -> list[Figure]:
    return [
        Figure(
            f"stow {kilobytes} KB, {together} a request, {clients} clients",
            f"STOW of {kilobytes} KB instances, {together} a request, {clients} client{'s' * (clients > 1)}",
            "instances/s",
            of_orthanc=3,
            against=f"hash and write {kilobytes} KB, {together} a file",
            share=0.5 if kilobytes == 512 else None,
            bare=f"bare stow {kilobytes} KB, {clients} clients" if together == 1 else "",
        )
        for kilobytes in (512, 40)
        for together in (100, 1)
        for clients in (1, 8)
    ]


def _edits(sizes: tuple[int, ...]) -> list[Figure]:
    return [
        Figure(
            f"edit of {size}",
            f"PATCH PatientName of a study of {size}, answered",
            "ms",
            "less",
            against="edit of 1" if size > 1 else "",
            share=1.5 if size > 1 else None,
        )
        for size in sizes
    ]


SIZES = (1, 100, 500, 2000)
QIDO_KINDS = (
    "by UID",
    "by PatientID",
    "by name prefix",
    "by part of a name",
    "by date range and modality",
    "page of 100",
    # A larger archive has more studies of a name or a week, so that the three above find more the larger it is. These
    # ask for more letters and fewer days there.
    "by name prefix, as many found",
    "by part of a name, as many found",
    "by date range and modality, as many found",
)
QIDO_SIZES = (10**4, 10**5, 10**6)


def _qido() -> list[Figure]:
    smallest = QIDO_SIZES[0]
    return [
        Figure(
            f"QIDO {kind}, {size} studies, {quantile}",
            f"QIDO {kind}, {size:,} studies, {quantile}",
            "ms",
            "less",
            of_orthanc=3 if quantile == "median" else None,
            against=f"QIDO {kind}, {smallest} studies, p95" if quantile == "p95" and size > smallest else "",
            share=2 if quantile == "p95" and size > smallest else None,
        )
        for size in QIDO_SIZES
        for kind in QIDO_KINDS
        for quantile in ("median", "p95")
    ]


# The rows of the table, in its order.
FIGURES = [
    *_stow(),
    Figure(
        "edit visible", "PATCH PatientName of a study of 500, until QIDO and WADO show it", "ms", "less", of_orthanc=500
    ),
    Figure(
        "edits, 1 client",
        "the same, answered, one client",
        "edits/s",
        against="SQLite commits",
        share=0.5,
        bare="bare edits, 1 client",
    ),
    Figure(
        "edits, 32 clients",
        "the same, 32 clients, a study each",
        "edits/s",
        against="SQLite commits",
        share=1.2,
        bare="bare edits, 32 clients",
    ),
    Figure("edits, 32 clients, p99", "the slowest in a hundred of them", "ms", "less", most=10),
    *_edits(SIZES),
    Figure(
        "edit of one instance",
        "PATCH of a private element of one instance in 2,000",
        "ms",
        "less",
        against="edit of 1",
        share=3,
    ),
    Figure("revert of 1", "revert of a study of 1", "ms", "less", against="edit of 1", share=3),
    Figure("revert of 2000", "revert of a study of 2,000", "ms", "less", against="revert of 1", share=1.5),
    Figure(
        "document first",
        "GetImageSetMetadata of 500, first after an edit",
        "answers/s",
        against="constant document",
        share=0.2,
    ),
    Figure(
        "document cached",
        "GetImageSetMetadata of 500, again",
        "answers/s",
        against="constant document",
        share=0.5,
    ),
    Figure(
        "document old",
        "GetImageSetMetadata of 500, an old version",
        "answers/s",
        against="constant document",
        share=0.2,
    ),
    Figure(
        "metadata first",
        "/metadata of 500, first after an edit",
        "ms",
        "less",
        of_orthanc=5,
        against="metadata cached",
        share=10,
    ),
    Figure("metadata cached", "/metadata of 500, again", "ms", "less", of_orthanc=10),
    Figure("metadata old", "/metadata of 500, an old version", "ms", "less"),
    *_qido(),
    Figure(
        "retrieve received",
        "retrieve of a study of 500 (40 KB each), as received",
        "MB/s",
        of_orthanc=1,
        against="loopback",
        share=0.3,
    ),
    Figure(
        "retrieve edited",
        "retrieve of the study after an edit",
        "MB/s",
        of_orthanc=1,
        against="loopback",
        share=0.3,
    ),
    Figure("frames", "frames of a study, one a request", "frames/s", of_orthanc=1),
    Figure("resident memory", "resident memory after all of it", "MB", "less", of_orthanc=1),
    Figure("bytes per edit", "bytes on disk for an edit of a study of 2,000", "bytes", "less", most=4096),
    Figure(
        "bytes per instance edit", "bytes on disk for an edit of one instance in 2,000", "bytes", "less", most=20480
    ),
]

# Of which a figure is a share. The last are a server's that does next to nothing (bare_server.py).
LIMITS = {
    "hash and write 512 KB, 100 a file": "sha256, write, fdatasync: 512 KB, 100 a file",
    "hash and write 512 KB, 1 a file": "sha256, write, fdatasync: 512 KB, a file each",
    "hash and write 40 KB, 100 a file": "sha256, write, fdatasync: 40 KB, 100 a file",
    "hash and write 40 KB, 1 a file": "sha256, write, fdatasync: 40 KB, a file each",
    "SQLite commits": "SQLite transactions, synchronous=FULL, one after the other",
    "constant document": "Starlette answering a constant of the document's size",
    "loopback": "copy through a loopback socket",
    "bare stow 512 KB, 1 clients": "a bare server storing 512 KB, 1 a request, 1 client",
    "bare stow 512 KB, 8 clients": "a bare server storing 512 KB, 1 a request, 8 clients",
    "bare stow 40 KB, 1 clients": "a bare server storing 40 KB, 1 a request, 1 client",
    "bare stow 40 KB, 8 clients": "a bare server storing 40 KB, 1 a request, 8 clients",
    "bare edits, 1 client": "a bare server taking edits, one client",
    "bare edits, 32 clients": "a bare server taking edits, 32 clients",
}
LIMIT_UNITS = {
    "SQLite commits": "transactions/s",
    "constant document": "answers/s",
    "loopback": "MB/s",
    "bare edits, 1 client": "edits/s",
    "bare edits, 32 clients": "edits/s",
}
