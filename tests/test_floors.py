"""The house stands as docs/architecture.md draws it: imports go down, and the core is pure."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "gateway"
FILES = sorted(PACKAGE.rglob("*.py"))

# What a file may import of the gateway, by the folder or file it is; the first row that fits. Each may import its own
# folder. `settings` and `state` are values that the faces and the top share.
CORE = {"errors", "dicom", "metadata"}
# The Store and the values it speaks of.
STORE = {"store.protocol", "store.contents", "store.edits", "store.searches"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "dicom": {"errors"},
    "metadata": {"errors", "dicom"},
    "events": CORE,
    "settings": CORE,
    "store": CORE | {"pixels"},
    "request_body": {"errors"},
    "access": {"errors", "request_body"},
    "state": CORE | STORE | {"settings", "store.blobs.protocol", "store.log.import_log"},
    "pixels": {"errors", "dicom"},
    "dicomweb": CORE
    | STORE
    | {"pixels", "request_body", "settings", "state", "store.blobs.protocol", "store.kept", "store.blobs.receiving"},
    "healthimaging": CORE
    | STORE
    | {
        "events",
        "pixels",
        "request_body",
        "settings",
        "state",
        "store.blobs.protocol",
        "store.log.import_log",
        "store.objects.protocol",
        "store.blobs.receiving",
    },
}

# What a file may import of other people's; the standard library is taken from the interpreter, and what of it does
# I/O, or tells the time, or rolls dice, is refused in the core.
THIRD_PARTY: dict[str, set[str]] = {
    "errors": set(),
    "dicom": {"pydicom", "orjson"},
    "metadata": {"orjson"},
    "events": set(),
    "settings": set(),
    "store": {"aiosqlite", "orjson", "isal", "aiobotocore", "aiohttp", "botocore"},
    "state": set(),
    "request_body": {"starlette"},
    "access": {"starlette", "orjson"},
    "pixels": {"numpy", "imagecodecs", "PIL"},
    "dicomweb": {"starlette", "orjson", "isal"},
    "healthimaging": {"starlette", "orjson", "isal", "botocore"},
}
IMPURE = {
    "asyncio", "datetime.now", "glob", "http", "io", "multiprocessing", "os", "pathlib", "random", "secrets", "select",
    "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "urllib.request",
    "uuid",
}  # fmt: skip
CLOCKS_AND_FILES = {"open", "now", "utcnow", "today", "urandom", "uuid4", "input", "print"}


def module_of(path: Path) -> str:
    """Return a file's name below the package, dotted: dicom.levels, errors."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def floor_of(module: str) -> str:
    return module.partition(".")[0]


def imports_of(path: Path) -> Iterator[str]:
    """Yield every name a file imports, dotted, wherever in the file it does."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def is_within(name: str, modules: set[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def files_of(*floors: str) -> list[Path]:
    return [path for path in FILES if floor_of(module_of(path)) in floors]


@pytest.mark.parametrize("path", files_of(*MAY_IMPORT), ids=module_of)
def test_imports_only_go_down(path: Path) -> None:
    """A file imports its own floor and those below it, nothing beside it and nothing above."""
    floor = floor_of(module_of(path))
    allowed = {f"gateway.{name}" for name in MAY_IMPORT[floor] | {floor}}

    astray = {name for name in imports_of(path) if is_within(name, {"gateway"}) and not is_within(name, allowed)}

    assert astray == set()


@pytest.mark.parametrize("path", files_of(*THIRD_PARTY), ids=module_of)
def test_libraries_stay_on_their_floor(path: Path) -> None:
    """No web framework below the faces, no driver outside the store."""
    allowed = THIRD_PARTY[floor_of(module_of(path))] | {"gateway"} | set(sys.stdlib_module_names)

    assert {name for name in imports_of(path) if name.partition(".")[0] not in allowed} == set()


@pytest.mark.parametrize("path", files_of("dicom"), ids=module_of)
def test_dicom_takes_dictionaries_and_character_sets_from_pydicom(path: Path) -> None:
    """pydicom accepts what no record may hold, so nothing of it that reads or writes values is used."""
    taken = {name for name in imports_of(path) if is_within(name, {"pydicom"})}

    assert all(is_within(name, {"pydicom._dicom_dict", "pydicom.charset", "pydicom.datadict"}) for name in taken)


@pytest.mark.parametrize("path", files_of("errors", "dicom", "metadata", "events"), ids=module_of)
def test_core_is_pure(path: Path) -> None:
    """No async, I/O, clock or randomness: what time it is and what an id shall be are arguments."""
    tree = ast.parse(path.read_text())
    called = {
        node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
    }

    assert not [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor)]
    assert {name for name in imports_of(path) if is_within(name, IMPURE)} == set()
    assert called & CLOCKS_AND_FILES == set()


@pytest.mark.parametrize(
    ("driver", "files"),
    [
        ("aiosqlite", ["store.sqlite.connection"]),
        ("sqlite3", ["store.sqlite.connection", "store.sqlite.database", "store.sqlite.schema_steps"]),
        ("botocore", ["commands.aws_signature", "store.objects.s3"]),
    ],
)
def test_each_driver_has_its_files(driver: str, files: list[str]) -> None:
    """What a database or an object store throws is translated where it is called, and nowhere else."""
    assert [module_of(path) for path in FILES if is_within_any(path, driver)] == files


def is_within_any(path: Path, library: str) -> bool:
    return any(is_within(name, {library}) for name in imports_of(path))


@pytest.mark.parametrize("folder", sorted({path.parent for path in FILES} - {PACKAGE}), ids=module_of)
def test_each_file_is_on_the_contents_page_of_its_folder(folder: Path) -> None:
    """Who opens a folder finds in `__init__.py` what each file is for."""
    words = set(re.findall(r"\w+", (folder / "__init__.py").read_text()))

    assert {path.stem for path in folder.glob("*.py")} - words == {"__init__"}


def test_each_file_of_the_package_is_in_the_tree_of_architecture() -> None:
    """docs/architecture.md draws the package: its files, and its folders."""
    tree = (PACKAGE.parent / "docs" / "architecture.md").read_text().partition("## The tree")[2]
    here = {path.name if path.parent == PACKAGE else f"{path.parent.name}/" for path in FILES}

    assert {name for name in here if not re.search(rf"\b{name}", tree)} == set()


def test_no_file_is_called_after_nothing() -> None:
    """A module is named for what a reader looks for."""
    assert {path.stem for path in FILES} & {"utils", "helpers", "common", "misc", "manager", "base"} == set()
