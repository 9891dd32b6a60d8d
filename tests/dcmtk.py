"""json2dcm and dcm2json of dcmtk 3.7.0 or later, which read and write the DICOM JSON Model.

Debian 12's dcmtk has no json2dcm. `tests/newer_dcmtk.sh FOLDER` fetches both; JSON2DCM names the first, and the other
one is beside it.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pydicom
import pytest

_JSON2DCM = os.environ.get("JSON2DCM") or shutil.which("json2dcm") or ""
DCM2JSON = str(Path(_JSON2DCM).with_name("dcm2json")) if _JSON2DCM else ""

needs_json2dcm = pytest.mark.skipif(
    not _JSON2DCM, reason="json2dcm is missing: tests/newer_dcmtk.sh FOLDER, then JSON2DCM=FOLDER/bin/json2dcm"
)


def json2dcm(document: bytes, *options: str) -> pydicom.Dataset:
    """Return the dataset that json2dcm makes of DICOM JSON, about which it has nothing to remark."""
    command = [_JSON2DCM, "--write-dataset", "--write-xfer-little", *options, "-", "-"]
    run = subprocess.run(command, input=document, capture_output=True, timeout=60)
    assert (run.returncode, run.stderr) == (0, b"")
    return pydicom.dcmread(io.BytesIO(run.stdout), force=True)


def dcm2json(path: Path, *options: str, program: str = DCM2JSON) -> bytes | None:
    """Return the DICOM JSON that dcm2json makes of a file; None for what it does not convert.

    Those are frames that are encapsulated and, without bulk data, all encapsulated pixels, and some character sets.
    """
    run = subprocess.run([program, "-q", "-fc", "-ee", *options, str(path)], capture_output=True, timeout=60)
    return None if run.returncode else run.stdout


def unlike(found: pydicom.Dataset, original: pydicom.Dataset) -> dict[str, tuple[Any, Any]]:
    """Return where two datasets are unlike, tag or path -> both values with their VR, None where there is none.

    Group lengths, which DICOM JSON has not, are left out.
    """
    left, right = _elements(found), _elements(original)
    return {path: (left.get(path), right.get(path)) for path in left | right if left.get(path) != right.get(path)}


def _elements(dataset: pydicom.Dataset, at: str = "") -> dict[str, Any]:
    """Return path -> VR and values of each element, those of items too."""
    found: dict[str, Any] = {}
    for element in dataset:
        path = f"{at}{element.tag:08X}"
        if element.VR == "SQ":
            found[path] = ("SQ", len(element.value))
            for number, item in enumerate(element.value):
                found |= _elements(item, f"{path}[{number}].")
        elif element.tag.element:
            found[path] = (element.VR, _values(element))
    return found


def _values(element: pydicom.DataElement) -> list[Any]:
    """Return values in the one form that padding leaves: the very digits of DS and IS, bytes of an even number."""
    if element.is_empty:
        return []
    if isinstance(element.value, bytes):
        return [element.value + bytes(len(element.value) % 2)]
    return [str(value).strip(" ") for value in (element.value if element.VM > 1 else [element.value])]
