"""What a disk holds after a loss of power: a journal of what was done to it, with what was not synced dropped or torn.

The journal is written by disk_layer.c. What a disk does with what it was not told to keep:

- a write is there, is not, or is there in sectors of 512 or 4,096 bytes;
- a file, a folder or a new name of one is there once the folder it is in was synced, and else perhaps;
- what an fsync that failed was about is there or not, and the kernel shows it all the same.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# -- the journal

_RECORD = struct.Struct("<IIIIQQQ")
CREATED, MADE, WRITTEN, TRUNCATED, SYNCED, SYNC_FAILED, RENAMED, UNLINKED, MARK = range(1, 10)


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the journal, as disk_layer.c writes it. inode: of the file or folder it is about."""

    what: int
    path: str = ""
    other: str = ""
    inode: int = 0
    offset: int = 0
    data: bytes = b""


def read_journal(path: Path) -> Iterator[Record]:
    """Yield the records of a journal. The last of a program that was killed may be cut off."""
    journal = path.read_bytes()
    at = 0
    while at + _RECORD.size <= len(journal):
        what, path_length, other_length, _, inode, offset, length = _RECORD.unpack_from(journal, at)
        at += _RECORD.size
        texts = journal[at : at + path_length + other_length].decode()
        at += path_length + other_length
        has_data = what in (WRITTEN, MARK)
        data = journal[at : at + length] if has_data else b""
        at += length if has_data else 0
        yield Record(what, texts[:path_length], texts[path_length:], inode, offset, data)


# -- the disk


@dataclass(slots=True)
class File:
    """A file: the bytes on the disk, and the writes since, in order, each with what is known of it.

    pending: the disk was not told to keep it yet. lost: the fsync after it failed; the kernel has it as written, and
    writes it out no more. kept: the disk has it, but something before it is lost.
    """

    content: bytearray = field(default_factory=bytearray)
    writes: list[tuple[Record, str]] = field(default_factory=list)

    def written(self, record: Record) -> None:
        self.writes.append((record, "pending"))

    def synced(self) -> None:
        self._settle("kept")
        if all(known == "kept" for _, known in self.writes):
            for record, _ in self.writes:
                apply(self.content, record)
            self.writes.clear()

    def sync_failed(self) -> None:
        self._settle("lost")

    def _settle(self, known: str) -> None:
        self.writes = [(record, known if was == "pending" else was) for record, was in self.writes]

    def everything(self) -> bytes:
        """Return what the program sees."""
        content = bytearray(self.content)
        for record, _ in self.writes:
            apply(content, record)
        return bytes(content)

    def left(self, chance: random.Random) -> bytes:
        """Return what is left of it: some of the writes not kept, one of them perhaps torn."""
        uncertain = [place for place, (_, known) in enumerate(self.writes) if known != "kept"]
        there = set(some(uncertain, chance))
        tears = chance.choice(sorted(there)) if there and chance.random() < 0.5 else None
        content = bytearray(self.content)
        for place, (record, known) in enumerate(self.writes):
            if known == "kept" or place in there:
                for piece in torn(record, chance) if place == tears else [record]:
                    apply(content, piece)
        return bytes(content)


@dataclass(slots=True)
class Folder:
    """A folder: the names on the disk, and the changes of names that it was not told to keep yet."""

    kept: dict[str, int] = field(default_factory=dict)
    pending: list[tuple[str, int | None]] = field(default_factory=list)

    def synced(self) -> None:
        for name, node in self.pending:
            change(self.kept, name, node)
        self.pending.clear()


def apply(content: bytearray, record: Record) -> None:
    """Do a write or a cut."""
    if record.what == TRUNCATED:
        del content[record.offset :]
        content.extend(bytes(record.offset - len(content)))
    else:
        content.extend(bytes(max(0, record.offset - len(content))))
        content[record.offset : record.offset + len(record.data)] = record.data


def change(names: dict[str, int], name: str, node: int | None) -> None:
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


class SimulatedDisk:
    """What a disk holds after some of a journal. Nodes are numbered here, because inodes are used again."""

    def __init__(self, root: Path) -> None:
        self.nodes: dict[int, File | Folder] = {0: Folder()}
        self.inodes: dict[int, int] = {root.stat().st_ino: 0}
        self.paths: dict[str, int] = {str(root): 0}  # as the program sees them

    def do(self, record: Record) -> None:
        """Take a record in."""
        if record.what in (CREATED, MADE):
            node = len(self.nodes)
            self.nodes[node] = File() if record.what == CREATED else Folder()
            self.inodes[record.inode] = self.paths[record.path] = node
            self._rename(record.path, node)
        elif record.what == RENAMED:
            node = self.paths[record.other] = self.paths.pop(record.path)
            # One change to the disk where both names are in one folder; here they never are, and each may come alone.
            self._rename(record.other, node)
            self._rename(record.path, None)
        elif record.what == UNLINKED:
            del self.paths[record.path]
            self._rename(record.path, None)
        elif record.what in (WRITTEN, TRUNCATED):
            self._file(record).written(record)
        elif record.what == SYNCED:
            self.nodes[self.inodes[record.inode]].synced()
        elif record.what == SYNC_FAILED:
            self._file(record).sync_failed()

    def _file(self, record: Record) -> File:
        file = self.nodes[self.inodes[record.inode]]
        assert isinstance(file, File)
        return file

    def _rename(self, path: str, node: int | None) -> None:
        folder, _, name = path.rpartition("/")
        parent = self.nodes[self.paths[folder]]
        assert isinstance(parent, Folder)
        parent.pending.append((name, node))

    def cut_power(self, chance: random.Random, target: Path) -> None:
        """Write what is left into a new folder."""
        self._write_folder(0, chance, target)

    def _write_folder(self, number: int, chance: random.Random, target: Path) -> None:
        folder = self.nodes[number]
        assert isinstance(folder, Folder)
        names = dict(folder.kept)
        for name, node in some(folder.pending, chance):
            change(names, name, node)
        target.mkdir()
        for name, node in names.items():
            found = self.nodes[node]
            if isinstance(found, Folder):
                self._write_folder(node, chance, target / name)
            else:
                (target / name).write_bytes(found.left(chance))

    def everything(self) -> dict[str, bytes]:
        """Return every file as the program sees it, by path."""
        files = {path: self.nodes[node] for path, node in self.paths.items()}
        return {path: file.everything() for path, file in files.items() if isinstance(file, File)}


def some(changes: list[Any], chance: random.Random) -> list[Any]:
    """Return some of what was not synced: all, none, the first few, or any."""
    if not changes:
        return []
    how = chance.randrange(4)
    if how == 0:
        return changes
    if how == 1:
        return []
    if how == 2:
        return changes[: chance.randrange(len(changes) + 1)]
    return [one for one in changes if chance.random() < 0.5]


def torn(record: Record, chance: random.Random) -> list[Record]:
    """Return the sectors of a write that reached the disk."""
    sector = chance.choice((512, 4096))
    pieces = []
    start = record.offset
    end = record.offset + len(record.data)
    while start < end:
        stop = min(end, start - start % sector + sector)
        if chance.random() < 0.5:
            data = record.data[start - record.offset : stop - record.offset]
            pieces.append(Record(WRITTEN, inode=record.inode, offset=start, data=data))
        start = stop
    return pieces
