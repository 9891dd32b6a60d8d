"""`gateway serve` in processes that are started often, killed and paused.

A process with everything imported forks each server, so that a start takes as long as opening the folder and not as
long as importing Python's modules.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.durability.disk import ROOT


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs. port: where it listens on loopback."""

    process_id: int
    port: int

    def send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.process_id, number)


class Servers:
    """Starts servers, one at a time. Use as a context manager."""

    def __enter__(self) -> Servers:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.durability.serving"],
            cwd=ROOT,
            env=clean,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._parent.stdin is not None
        self._parent.stdin.close()
        self._parent.kill()
        self._parent.wait()
        assert self._parent.stdout is not None
        self._parent.stdout.close()

    def start(self, folder: Path, port: int = 0) -> Running:
        """Start a server over a folder, and return when it listens. The one before has to be gone."""
        assert self._parent.stdin is not None
        print(json.dumps({"data": str(folder), "port": port}), file=self._parent.stdin, flush=True)
        process_id = int(self._line(r"pid (\d+)"))
        return Running(process_id, int(self._line(r"HealthImaging API  http://127\.0\.0\.1:(\d+)")))

    def wait(self) -> None:
        """Wait until the server is gone."""
        self._line(r"(gone)")

    @contextmanager
    def serving(self, folder: Path) -> Iterator[Running]:
        """Run a server, and stop it as an operator does."""
        running = self.start(folder)
        try:
            yield running
        finally:
            running.send(signal.SIGCONT)
            running.send(signal.SIGTERM)
            self.wait()

    def _line(self, pattern: str) -> str:
        assert self._parent.stdout is not None
        for line in self._parent.stdout:
            if found := re.search(pattern, line):
                return found[1]
            if line == "gone\n":
                raise AssertionError("the server ended before it listened")
        raise AssertionError("the process that starts servers ended")


def main() -> None:
    """Fork a server for each line of standard input, and say when it is gone."""
    from gateway.app import create_app
    from gateway.cli import main as gateway
    from gateway.commands import serve
    from gateway.settings import Settings

    create_app(Settings())  # loads what is loaded when it is first needed
    assert serve
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if not child:
            print(f"pid {os.getpid()}", flush=True)  # not by the parent, which may come to it after the server listens
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os.dup2(0, 2)
            arguments = ["serve", "--data", asked["data"], "--port", str(asked["port"]), "--log-level", "error"]
            os._exit(gateway(arguments))
        os.waitpid(child, 0)
        print("gone", flush=True)


if __name__ == "__main__":
    main()
