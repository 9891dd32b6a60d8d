"""What is stored and retrieved is streamed: memory stays what it was, whatever the size. S6 is a line of a checklist.

300 MB here; the same was measured with 2 GiB. Of memory, what of a mapped file was looked at counts too.
"""

from __future__ import annotations

import http.client
import io
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest

from tests.conftest import Server
from tests.samples import instance

MEGABYTE = 2**20
SIZE = 300 * MEGABYTE
# What a gateway may grow by, in MiB: windows of 16 MiB at several places, and what the allocator keeps.
GROWTH = 100

STATUS = Path("/proc/self/status")
pytestmark = pytest.mark.skipif(not STATUS.exists(), reason="no /proc, which tells the memory of a process")


def resident(server: Server) -> int:
    """Return the resident memory of a server in MiB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) // 1024


@contextmanager
def growth(server: Server) -> Iterator[Callable[[], int]]:
    """Watch a server; what is yielded returns by how much its memory was larger than before, at most."""
    before, largest, done = resident(server), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            largest[0] = max(largest[0], resident(server))

    watcher = threading.Thread(target=watch)
    watcher.start()
    yield lambda: largest[0] - before
    done.set()
    watcher.join()


def large_file(tag: int) -> tuple[bytes, bytes]:
    """Return what comes before and after SIZE bytes of a binary attribute of CT_small."""
    dataset = pydicom.dcmread(io.BytesIO(instance(study="1.2.3")))
    dataset.add_new(tag, "OB", b"\0\0")
    file = io.BytesIO()
    dataset.save_as(file)
    data = file.getvalue()
    group, element = tag >> 16, tag & 0xFFFF
    start = data.index(group.to_bytes(2, "little") + element.to_bytes(2, "little") + b"OB\0\0") + 8
    return data[:start] + SIZE.to_bytes(4, "little"), data[start + 6 :]


def megabytes() -> Iterator[bytes]:
    for number in range(SIZE // MEGABYTE):
        yield bytes([number % 256]) * MEGABYTE


def stored(server: Server, content_type: str, *pieces: bytes | Callable[[], Iterator[bytes]]) -> bytes:
    """Post a body in chunks; return the answer's."""

    def body() -> Iterator[bytes]:
        for piece in pieces:
            yield from [piece] if isinstance(piece, bytes) else piece()

    connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
    headers = {"Content-Type": content_type}
    connection.request("POST", "/dicomweb/studies", body=body(), headers=headers, encode_chunked=True)
    response = connection.getresponse()
    answer = response.read()
    assert response.status == 200, answer
    connection.close()
    return answer


def retrieved(server: Server, path: str) -> int:
    """Return how many bytes an answer has."""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
    connection.request("GET", path)
    response = connection.getresponse()
    assert response.status == 200
    size = 0
    while piece := response.read(MEGABYTE):
        size += len(piece)
    connection.close()
    return size


@pytest.mark.parametrize("tag", [0x7FE00010, 0x00420011], ids=["Pixel Data", "Encapsulated Document"])
def test_a_large_instance_is_stored_and_retrieved_without_being_held(server: Server, tag: int) -> None:
    """S6: in a body of unknown length, whichever its large value is."""
    head, tail = large_file(tag)

    with growth(server) as while_storing:
        stored(server, "application/dicom", head, megabytes, tail)
    with growth(server) as while_retrieving:
        size = retrieved(server, "/dicomweb/studies/1.2.3")

    assert size > SIZE
    assert while_storing() < GROWTH and while_retrieving() < GROWTH


def test_large_bulk_data_beside_their_metadata_are_not_held(server: Server) -> None:
    """S3, S6: the part is written to disk, and from there into the PS3.10 file."""
    metadata = (
        b'[{"00080016":{"vr":"UI","Value":["1.2.840.10008.5.1.4.1.1.104.1"]},"00080018":{"vr":"UI","Value":["1.2.3.1.1"]},'
        b'"0020000D":{"vr":"UI","Value":["1.2.3"]},"0020000E":{"vr":"UI","Value":["1.2.3.1"]},'
        b'"00420011":{"vr":"OB","BulkDataURI":"document"}}]'
    )
    first = b"--b\r\nContent-Type: application/dicom+json\r\n\r\n" + metadata
    second = b"\r\n--b\r\nContent-Type: application/pdf\r\nContent-Location: document\r\n\r\n"

    with growth(server) as while_storing:
        content_type = 'multipart/related; type="application/dicom+json"; boundary=b'
        stored(server, content_type, first, second, megabytes, b"\r\n--b--")

    assert while_storing() < GROWTH
    assert retrieved(server, "/dicomweb/studies/1.2.3") > SIZE
