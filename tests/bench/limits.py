"""What this machine can do, measured in the same run: no product could be faster."""

from __future__ import annotations

import hashlib
import mmap
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.bench.products import Product

# Those of gateway/store/sqlite/database.py that cost anything.
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=16384", "foreign_keys=ON")


def hash_and_write(folder: Path, kilobytes: int, instances: int, in_a_file: int) -> float:
    """Return instances/s of sha256 of each, written to a file for `in_a_file` of them, with fdatasync of each file."""
    data = os.urandom(kilobytes * 1024)
    began = time.perf_counter()
    for first in range(0, instances, in_a_file):
        path = folder / f"limit-{first}"
        with path.open("wb", buffering=0) as file:
            for _ in range(min(in_a_file, instances - first)):
                hashlib.sha256(data).digest()
                file.write(data)
            os.fdatasync(file.fileno())
    seconds = time.perf_counter() - began
    for first in range(0, instances, in_a_file):
        (folder / f"limit-{first}").unlink()
    return instances / seconds


def commits(folder: Path, count: int) -> float:
    """Return SQLite transactions/s, each durable: read a row of 1.7 KB, advance its number, insert the next."""
    path = folder / "limit.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        connection.execute("CREATE TABLE current (id INTEGER PRIMARY KEY, version INTEGER)")
        connection.execute("CREATE TABLE version (id INTEGER, version INTEGER, head BLOB, PRIMARY KEY (id, version))")
        connection.execute("INSERT INTO current VALUES (1, 1)")
        connection.execute("INSERT INTO version VALUES (1, 1, ?)", (os.urandom(1700),))
        began = time.perf_counter()
        for version in range(1, count + 1):
            connection.execute("BEGIN IMMEDIATE")
            (head,) = connection.execute("SELECT head FROM version WHERE id = 1 AND version = ?", (version,)).fetchone()
            connection.execute("UPDATE current SET version = ? WHERE id = 1 AND version = ?", (version + 1, version))
            connection.execute("INSERT INTO version VALUES (1, ?, ?)", (version + 1, head))
            connection.execute("COMMIT")
        seconds = time.perf_counter() - began
    for name in (path, path.with_name("limit.db-wal"), path.with_name("limit.db-shm")):
        name.unlink(missing_ok=True)
    return count / seconds


def loopback(megabytes: int) -> float:
    """Return MB/s of a copy from one thread to another through a loopback socket."""
    data = bytes(1 << 20)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def send() -> None:
            with listener.accept()[0] as connection:
                for _ in range(megabytes):
                    connection.sendall(data)

        sender = threading.Thread(target=send)
        sender.start()
        buffer = memoryview(bytearray(1 << 20))
        began = time.perf_counter()
        with socket.create_connection(listener.getsockname()) as connection:
            while connection.recv_into(buffer):
                pass
        seconds = time.perf_counter() - began
        sender.join()
    return megabytes / seconds


def use_memory(folder: Path, megabytes: int) -> float:
    """Fill so much memory with a file's bytes, give it back, and return the microseconds of a page.

    A virtual machine may have its memory from the host page by page, when one is first used, and lose what it left
    unused for some seconds. Such a page takes as long as 10 KB over HTTP, whoever asks for it: a measurement that comes
    right after this one is of the server and not of the host. The kernel takes what was freed last first.
    """
    data = os.urandom(1 << 20)
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        began = time.perf_counter()
        for _ in range(megabytes):
            file.write(data)
        seconds = time.perf_counter() - began
    return seconds / (megabytes * len(data) / mmap.PAGESIZE) * 1e6


@contextmanager
def bare_server(folder: Path, size: int) -> Iterator[Product]:
    """Run a server that does next to nothing (bare_server.py); its root answers a constant of `size` bytes."""
    command = [sys.executable, "-m", "tests.bench.bare_server", str(folder), str(size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield Product("bare", process.stdout.readline().strip(), "", process.pid, folder, "")
        finally:
            process.terminate()
