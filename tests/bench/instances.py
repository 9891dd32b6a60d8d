"""CT instances to store: pydicom's CT_small under new UIDs, with as many pixels as asked for.

A template is written once and its UIDs replaced in the bytes: the client shares the machine, so it has to cost little.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.samples import instance

BOUNDARY = "bench-7MA4YWxkTrZu0gW"
STORE_HEADERS = {
    "Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}',
    "Accept": "application/dicom+json",
}

IN_A_REQUEST = 100

# All UIDs have one length, so that they can be replaced in place.
_ROOT = "1.2.826.0.1.3680043.8.498"
_STUDY = f"{_ROOT}.7{0:011}"


@dataclass(frozen=True, slots=True)
class Study:
    """A study of one series. number: the run's own, from which the UIDs are made."""

    number: int
    instances: int

    @property
    def uid(self) -> str:
        return f"{_ROOT}.7{self.number:011}"

    @property
    def series(self) -> str:
        return f"{self.uid}.1"

    @property
    def complete_version(self) -> int:
        """The first version with all instances, when it was stored a hundred a request."""
        return -(-self.instances // IN_A_REQUEST)

    def sop_instance(self, number: int) -> str:
        return f"{self.series}.1{number:05}"


@functools.cache
def _template(rows: int, columns: int) -> bytes:
    pixels = os.urandom(rows * columns * 2)
    return instance(
        study=_STUDY,
        instance_number=100000,
        PatientName="Bench^Before",
        PatientID="BENCH00000000000",
        Rows=rows,
        Columns=columns,
        PixelData=pixels,
    )


def part10(study: Study, number: int, kilobytes: int) -> bytes:
    """Return an instance of a study as a PS3.10 file of about as many kilobytes."""
    template = _template(kilobytes * 1024 // 2 // 512, 512) if kilobytes >= 256 else _template(kilobytes * 4, 128)
    uid = study.uid.encode()
    sop = template.replace(f"{_STUDY}.1.100000".encode(), study.sop_instance(number).encode())
    return sop.replace(_STUDY.encode(), uid).replace(b"BENCH00000000000", b"BENCH%011d" % study.number)


def store_body(instances: Iterable[bytes]) -> bytes:
    """Return the body of a store request."""
    pieces: list[bytes] = []
    for part in instances:
        pieces += [f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode(), part, b"\r\n"]
    return b"".join([*pieces, f"--{BOUNDARY}--\r\n".encode()])


def store_bodies(study: Study, kilobytes: int, in_a_request: int) -> Iterator[bytes]:
    """Yield the bodies that store a study."""
    for first in range(0, study.instances, in_a_request):
        numbers: Sequence[int] = range(first, min(first + in_a_request, study.instances))
        yield store_body(part10(study, number, kilobytes) for number in numbers)
