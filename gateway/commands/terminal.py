"""What commands show on a terminal: colours, a progress bar, words in the right number."""

from __future__ import annotations

import os
import shutil
import time
from types import TracebackType
from typing import Literal, TextIO

Colour = Literal["bold", "dim", "red", "green", "yellow", "cyan"]

# ECMA-48 section 8.3.117, Select Graphic Rendition.
_SGR: dict[Colour, str] = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class Palette:
    """Colours text, where the stream is a terminal and NO_COLOR is not set (no-color.org)."""

    def __init__(self, stream: TextIO, *, always: bool = False) -> None:
        self._on = always or (stream.isatty() and not os.environ.get("NO_COLOR"))

    def __call__(self, colour: Colour, text: str) -> str:
        return f"\x1b[{_SGR[colour]}m{text}\x1b[0m" if self._on else text


class ProgressBar:
    """A bar that fills on a terminal, and nothing anywhere else. Use as a context manager."""

    def __init__(self, total: int, unit: str, stream: TextIO, *, hidden: bool = False) -> None:
        self._total = total
        self._unit = unit
        self._stream = stream
        self._shown = stream.isatty() and not hidden and total > 0
        self._started = time.monotonic()

    def __enter__(self) -> ProgressBar:
        self.at(0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._shown:
            if kind is None:
                self.at(self._total)
            self._stream.write("\n")

    def at(self, done: int) -> None:
        """Draw the bar with `done` of the total filled."""
        if not self._shown:
            return
        rate = done / max(time.monotonic() - self._started, 0.001)
        figures = f" {done:,}/{self._total:,} {self._unit}, {rate:,.0f}/s"
        width = max(10, min(50, shutil.get_terminal_size().columns - len(figures) - 4))
        filled = width * done // self._total
        self._stream.write(f"\r[{'█' * filled}{'░' * (width - filled)}]{figures}\x1b[K")
        self._stream.flush()


def printable(text: str) -> str:
    """Return a text with its control characters replaced: a terminal obeys those of ISO 2022 and of attackers alike."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def plural(number: int, noun: str) -> str:
    """Return a number and its noun: 1 study, 2 studies, 3 instances."""
    many = f"{noun[:-1]}ies" if noun.endswith("y") else noun if noun.endswith("s") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else many}"
