"""What SQLite's own integrity check does not look at: the database's header, and the write-ahead log.

A reader of a write-ahead log stops at the first frame whose checksum is wrong, because that is how a log ends which
lost power. So one damaged byte hides every commit after it, and nobody is told. Here the frames behind it are looked
at as well. www.sqlite.org/fileformat2.html has the formats, and the section numbers below.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

# Section 1.3, the database header: offset and value of what never changes here. 18, 19: write-ahead log; 21-23: payload
# fractions.
_HEADER = ((0, b"SQLite format 3\0"), (18, b"\2\2\0\x40\x20\x20"))
# 44: schema format 4; 52: no auto-vacuum; 56: UTF-8; 64: no incremental vacuum; 72: reserved. Of a database none of
# whose commits was copied out of the write-ahead log yet, these are in the log.
_HEADER_ONCE_COPIED = (
    (44, struct.pack(">I", 4)),
    (52, struct.pack(">II", 0, 1)),
    (64, struct.pack(">I", 0)),
    (72, bytes(20)),
)

# Section 4.1 and 4.2. The low bit of the magic says in which order words are summed.
_WAL_MAGIC = 0x377F0682
_WAL_VERSION = 3007000
_WAL_HEADER = struct.Struct(">8I")
_FRAME_HEADER = struct.Struct(">6I")

Sum = tuple[int, int]


def log_of(database: Path) -> Path:
    """Return where the write-ahead log of a database lies, if there is one (section 4)."""
    return database.with_name(f"{database.name}-wal")


def header_damage(database: Path) -> Iterator[str]:
    """Yield what is wrong with the header of a database file."""
    with database.open("rb") as file:
        header = file.read(100)
    in_log = any(page == 1 for page in _pages(_read_log(database)))
    for offset, value in _HEADER if in_log else _HEADER + _HEADER_ONCE_COPIED:
        if header[offset : offset + len(value)] != value:
            yield f"{database.name}: the header is damaged at byte {offset}"


def log_file_damage(database: Path) -> Iterator[str]:
    """Yield what is wrong with the write-ahead log of a database; of one that ends as a crash leaves it, nothing."""
    log, name = _read_log(database), log_of(database).name
    if not log:
        return
    if len(log) < _WAL_HEADER.size:
        yield f"{name}: cut off in its header"
        return
    magic, version, page_size, _, *salts, first, second = _WAL_HEADER.unpack_from(log)
    order = ">" if magic & 1 else "<"
    total = _sum(log[:24], (0, 0), order)
    if magic & ~1 != _WAL_MAGIC or version != _WAL_VERSION or total != (first, second):
        yield f"{name}: the header is damaged, so that nothing in it can be read"
        return
    frames = _frames(log, page_size)
    for number, offset in enumerate(frames, 1):
        _, _, *own_salts, first, second = _FRAME_HEADER.unpack_from(log, offset)
        body = log[offset + _FRAME_HEADER.size : offset + _FRAME_HEADER.size + page_size]
        total = _sum(body, _sum(log[offset : offset + 8], total, order), order)
        is_current, is_whole = own_salts == salts, total == (first, second)
        if is_current and is_whole:
            continue
        # Frames of an earlier log may follow, which have other salts.
        hidden = sum(list(_FRAME_HEADER.unpack_from(log, later)[2:4]) == salts for later in frames[number:])
        if is_current or is_whole or hidden:
            yield (
                f"{name}: frame {number} is damaged and hides {hidden} after it; a loss of power that cut off a commit "
                "nobody was told of looks the same, and is gone when the gateway has been started once"
            )
        return


def _read_log(database: Path) -> bytes:
    log = log_of(database)
    return log.read_bytes() if log.exists() else b""


def _frames(log: bytes, page_size: int) -> range:
    """Return where the frames of a log begin that are there as a whole."""
    size = _FRAME_HEADER.size + page_size
    return range(_WAL_HEADER.size, len(log) - size + 1, size)


def _pages(log: bytes) -> Iterator[int]:
    """Yield the numbers of the pages in a log's current frames."""
    if len(log) >= _WAL_HEADER.size:
        _, _, page_size, _, *salts, _, _ = _WAL_HEADER.unpack_from(log)
        for offset in _frames(log, page_size):
            page, _, *own_salts, _, _ = _FRAME_HEADER.unpack_from(log, offset)
            if own_salts == salts:
                yield page


def _sum(data: bytes, start: Sum, order: str) -> Sum:
    """Return the checksum of section 4.2, continued from another."""
    first, second = start
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
