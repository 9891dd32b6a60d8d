"""The examples that the AWS CLI carries for `aws medical-imaging`, read from the package as they are printed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import awscli

FOLDER = Path(awscli.__file__).parent / "examples" / "medical-imaging"

_BLOCK = re.compile(r"^(?P<before>[^\n]*)::\n\s*\n(?P<block>(?:(?: {2,}[^\n]*)?\n)+)", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """One example. command: in one line. files: what it reads, by name. output: as JSON, None where none is printed."""

    operation: str
    number: int
    command: str
    files: dict[str, str]
    output: dict[str, Any] | None

    def __str__(self) -> str:
        return f"{self.operation} {self.number}"


def examples() -> list[Example]:
    """Return every example of every operation."""
    return [example for file in sorted(FOLDER.glob("*.rst")) for example in _examples(file)]


def _examples(file: Path) -> Iterator[Example]:
    number = 0
    blocks = [(match["before"], dedent(match["block"]).strip()) for match in _BLOCK.finditer(file.read_text() + "\n")]
    for place, (_, block) in enumerate(blocks):
        if not block.startswith("aws medical-imaging"):
            continue
        number += 1
        files: dict[str, str] = {}
        output = None
        for before, text in blocks[place + 1 :]:
            if text.startswith("aws medical-imaging"):
                break
            if name := re.search(r"Contents of ``(.*?)``", before):
                files[name[1]] = text
            elif before.strip() == "Output":
                output = _parsed(text)
        yield Example(file.stem, number, block.replace("\\\n", " "), files, output)


def _parsed(text: str) -> dict[str, Any] | None:
    """Return printed JSON; None for the one example whose output lacks a comma."""
    try:
        found: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError:
        return None
    return found
