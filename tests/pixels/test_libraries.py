"""pixels/ is pure, and each of its libraries is known to one file."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "gateway" / "pixels"
FILES = sorted(PACKAGE.glob("*.py"))


def imports_of(path: Path) -> set[str]:
    """Return the modules a file imports, dotted."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    return plain | {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}


def importers_of(library: str) -> list[str]:
    return [path.stem for path in FILES if any(name.partition(".")[0] == library for name in imports_of(path))]


@pytest.mark.parametrize(("library", "file"), [("imagecodecs", "codecs"), ("PIL", "pictures")])
def test_each_library_has_one_file(library: str, file: str) -> None:
    """What a library throws is translated where it is called, and it can be exchanged there."""
    assert importers_of(library) == [file]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_pixels_know_only_what_is_below(path: Path) -> None:
    """dicom, metadata, errors, numpy: no web framework, no store, nothing that waits."""
    ours = {name for name in imports_of(path) if name.startswith("gateway.")}
    others = {name.partition(".")[0] for name in imports_of(path) - ours} - set(sys.stdlib_module_names)

    assert all(name.split(".")[1] in {"dicom", "metadata", "errors", "pixels"} for name in ours)
    assert others <= {"numpy", "imagecodecs", "PIL"}
    assert imports_of(path) & {"asyncio", "threading", "time", "os", "random", "socket", "tempfile", "pathlib"} == set()
