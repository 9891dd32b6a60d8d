"""Looking for damage in a data folder that no gateway serves: what `gateway verify` does.

Nothing is repaired and nothing is written. SQLite finds a damaged tree, checksums find a damaged value, and a stored
instance has its SHA-256. tests/durability/flips.py flips bytes all over a folder and holds this to finding them.
"""

from __future__ import annotations

import asyncio
import hashlib
import mmap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Literal, TypeVar

from gateway.errors import GatewayError
from gateway.store.data_folder import DATABASE, FolderLock, require_data_folder
from gateway.store.sqlite import log_damage, search_damage
from gateway.store.sqlite.connection import Connection
from gateway.store.sqlite.database import open_to_look_at
from gateway.store.sqlite.file_format import header_damage, log_file_damage

Level = Literal["exists", "size", "checksum"]
Subject = TypeVar("Subject")

# What is known of bytes in a pack: the SHA-256 of a stored instance, or the first half of it, which names a bulk value.
_PIECES = """
SELECT lower(hex(pack)), offset, length, lower(hex(sha256)) FROM object
UNION SELECT lower(hex(pack)), offset, length, uri FROM bulk_data
UNION SELECT lower(hex(pack)), offset, length, lower(hex(sha256)) FROM encoded_frame
UNION SELECT lower(hex(pack)), offset, length, lower(hex(sha256)) FROM import_file WHERE pack IS NOT NULL
ORDER BY 1, 2
"""
Piece = tuple[str, int, int, str]

_COUNTS = "SELECT (SELECT COUNT(*) FROM image_set), (SELECT COUNT(*) FROM version), (SELECT COUNT(*) FROM object)"

_CHECKS = (
    log_damage.structure,
    log_damage.rows,
    log_damage.change_feed,
    log_damage.image_sets,
    log_damage.studies,
    search_damage.search_tables,
    search_damage.texts,
    search_damage.text_index,
)


@dataclass(slots=True)
class Verified:
    """What was looked at, and every damage found, as a sentence. unnamed: packs that no row names; they do no harm."""

    image_sets: int = 0
    versions: int = 0
    instances: int = 0
    packs: int = 0
    unnamed: int = 0
    bytes_read: int = 0
    damage: list[str] = field(default_factory=list)


async def verify(folder: Path, level: Level = "checksum") -> Verified:
    """Look for damage in a data folder. The log is looked at as a whole; `level` is about the packs.

    exists: every pack named is there. size: it has all its bytes. checksum: they are the ones that came.
    Raises NoDataFolder, AlreadyServed while a gateway has it.
    """
    require_data_folder(folder)
    lock = FolderLock(folder)
    try:
        found = Verified()
        pieces = await _verify_log(folder, found)
        await asyncio.to_thread(_verify_packs, folder / "blobs", pieces, level, found)
        return found
    finally:
        lock.release()


def _damage(check: Callable[[Subject], Iterator[str]], subject: Subject) -> list[str]:
    """Return what a check finds. That it cannot even read what it looks at is the last of it, whatever it met."""
    found: list[str] = []
    try:
        found.extend(check(subject))
    except Exception as error:
        found.append(f"{check.__name__.replace('_', ' ')}: cannot be read to the end ({type(error).__name__})")
    return found


async def _verify_log(folder: Path, found: Verified) -> list[Piece]:
    """Note what is wrong with the log; return what it says of the packs."""
    found.damage += _damage(header_damage, folder / DATABASE)
    found.damage += _damage(log_file_damage, folder / DATABASE)

    def look(connection: Connection) -> list[Piece]:
        for check in _CHECKS:
            found.damage += _damage(check, connection)
        found.image_sets, found.versions, found.instances = connection.execute(_COUNTS).fetchone()
        return connection.execute(_PIECES).fetchall()

    try:
        database = await open_to_look_at(folder / DATABASE)
        try:
            return await database.run(look)
        finally:
            await database.close()
    except GatewayError:
        found.damage.append("gateway.db: cannot be read")
        return []


# -- packs


def _verify_packs(blobs: Path, pieces: Iterable[Piece], level: Level, found: Verified) -> None:
    """Note what is wrong with the packs that the log names, and how many it does not."""
    named: set[Path] = set()
    for pack, within in groupby(pieces, key=lambda piece: piece[0]):
        path = blobs / pack[:2] / pack[2:4] / pack
        named.add(path)
        found.packs += 1
        try:
            problems = _pack_damage(path, list(within), level, found)
        except Exception as error:  # the disk's, or that of an address that is none
            problems = [f"cannot be read ({type(error).__name__})"]
        found.damage += [f"pack {pack}: {problem}" for problem in problems]
    found.unnamed = sum(path not in named for path in blobs.glob("??/??/*"))


def _pack_damage(path: Path, pieces: Sequence[Piece], level: Level, found: Verified) -> list[str]:
    """Return what is wrong with a pack. Raises whatever it meets."""
    size = path.stat().st_size
    if level == "exists":
        return []
    if any(offset < 0 or length < 0 or offset + length > size for _, offset, length, _ in pieces):
        return ["shorter than the log says"]
    if level == "size" or not size:
        return []
    problems = []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        for _, offset, length, known in pieces:
            with memoryview(mapped) as view, view[offset : offset + length] as piece:
                digest = hashlib.sha256(piece).hexdigest()
            found.bytes_read += length
            if len(known) < 32 or not digest.startswith(known):
                problems.append(f"{length} bytes at {offset} are not those that came")
    return problems
