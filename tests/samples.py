"""Real DICOM files for the tests: pydicom's own test data and the pydicom-data package. Nothing is downloaded.

SAMPLES are the files the gateway stores; REFUSED those pydicom reads and the gateway does not, with the reason.
"""

from __future__ import annotations

import io
from collections.abc import Hashable
from functools import lru_cache
from pathlib import Path

import data_store
import pydicom
from pydicom.uid import ExplicitVRLittleEndian

_BUNDLED = Path(pydicom.__file__).parent / "data"
_PACKAGED = Path(data_store.__file__).parent / "data"


def _part10_files(folder: Path) -> list[Path]:
    """Return the files with the PS3.10 prefix below a folder, in order of their names."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and _prefix(path) == b"DICM"]


def _prefix(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(132)[128:]


# Every file that pydicom.dcmread reads without force.
READ_BY_PYDICOM = _part10_files(_BUNDLED) + _part10_files(_PACKAGED)

REFUSED = {
    "meta_missing_tsyntax.dcm": "no Transfer Syntax UID",
    "MR_truncated.dcm": "Pixel Data says 8192 bytes and has fewer",
    "rtplan_truncated.dcm": "the last element is cut",
    "DICOMDIR-nooffset": "its Directory Record Sequence says more bytes than there are",
    "emri_small_jpeg_2k_lossless_too_short.dcm": "the last fragment of Pixel Data is cut",
}

SAMPLES = [path for path in READ_BY_PYDICOM if path.name not in REFUSED]


def sample_id(path: Path) -> str:
    """Return a test's id for a file: its name, and its folders where the name says nothing."""
    root = _BUNDLED if path.is_relative_to(_BUNDLED) else _PACKAGED
    parts = path.relative_to(root).parts
    return "/".join(part for part in parts if part not in {"test_files", "charset_files", "dicomdirtests"})


SAMPLE_IDS = [sample_id(path) for path in SAMPLES]


def sample(name: str) -> Path:
    """Return the path of a file by its name, "CT_small.dcm". Raises KeyError."""
    return _BY_NAME[name]


_BY_NAME = {path.name: path for path in READ_BY_PYDICOM}

# What is odd about a file, by the name a test would give it.
ODD = {
    "big endian": sample("MR_small_bigendian.dcm"),
    "deflated": sample("image_dfl.dcm"),
    "implicit": sample("MR_small_implicit.dcm"),
    "JPEG baseline": sample("SC_rgb_jpeg_dcmtk.dcm"),
    "JPEG extended": sample("JPGExtended.dcm"),
    "JPEG lossless": sample("SC_rgb_jpeg_gdcm.dcm"),
    "JPEG-LS lossless": sample("MR_small_jpeg_ls_lossless.dcm"),
    "JPEG-LS near-lossless": sample("JPEGLSNearLossless_16.dcm"),
    "JPEG 2000 lossless": sample("MR_small_jp2klossless.dcm"),
    "JPEG 2000": sample("JPEG2000.dcm"),
    "RLE": sample("MR_small_RLE.dcm"),
    "RLE, two frames": sample("SC_rgb_rle_2frame.dcm"),
    "Japanese, ISO 2022": sample("chrH31.dcm"),
    "Japanese, JIS X 0201": sample("chrH32.dcm"),
    "Korean, ISO 2022": sample("chrI2.dcm"),
    "Chinese, UTF-8": sample("chrX1.dcm"),
    "Chinese, GB18030": sample("chrX2.dcm"),
    "Arabic": sample("chrArab.dcm"),
    "Greek": sample("chrGreek.dcm"),
    "Hebrew": sample("chrHbrw.dcm"),
    "Russian": sample("chrRuss.dcm"),
    "French": sample("chrFren.dcm"),
    "German": sample("chrGerm.dcm"),
    "character set of an item": sample("chrSQEncoding.dcm"),
    "private elements": sample("CT_small.dcm"),
    "private elements, Siemens": sample("MR-SIEMENS-DICOM-WithOverlays.dcm"),
    "private sequence, implicit": sample("nested_priv_SQ.dcm"),
    "UN sequence": sample("UN_sequence.dcm"),
    "UN everywhere": sample("explicit_VR-UN.dcm"),
    "no group length": sample("no_meta_group_length.dcm"),
    "trailing padding": sample("MR_small_padded.dcm"),
    "SR": sample("test-SR.dcm"),
    "RT plan": sample("rtplan.dcm"),
    "RT dose": sample("rtdose.dcm"),
    "segmentation": sample("liver_1frame.dcm"),
    "ECG": sample("waveform_ecg.dcm"),
    "enhanced MR": sample("emri_small.dcm"),
    "enhanced CT": sample("eCT_Supplemental.dcm"),
    "ultrasound, multi-frame": sample("color3d_jpeg_baseline.dcm"),
    "palette": sample("fall.dcm"),
    "DICOMDIR": _BUNDLED / "test_files" / "dicomdirtests" / "DICOMDIR",
}

# A real study of seven CT instances in two series, of one patient, in explicit VR little endian.
_STUDY = _BUNDLED / "test_files" / "dicomdirtests" / "98892001"


def ct_study() -> list[bytes]:
    """Return the 7 CT instances of one real study, 2 in the first series and 5 in the second."""
    return [path.read_bytes() for path in sorted(_STUDY.rglob("*")) if path.is_file()]


def ct_series(count: int | None = None) -> list[bytes]:
    """Return a CT series as PS3.10 files: a real one of 5 instances, or `count` clones of CT_small."""
    if count is None:
        return [path.read_bytes() for path in sorted((_STUDY / "CT5N").iterdir())]
    return [instance(instance_number=number) for number in range(1, count + 1)]


def instance(
    *, study: str = "1.2.826.0.1.3680043.8.498.1", series: str = "", instance_number: int = 1, **changes: object
) -> bytes:
    """Return CT_small under other UIDs as a PS3.10 file; `changes` are more attributes by keyword, None removes.

    series defaults to the study's UID with ".1" after it; the SOP Instance UID is the series' with the number after it.
    """
    make = _kept_instance if all(isinstance(value, Hashable) for value in changes.values()) else _instance
    return make(study, series or f"{study}.1", instance_number, **changes)


def _instance(study: str, series: str, instance_number: int, **changes: object) -> bytes:
    dataset = pydicom.dcmread(sample("CT_small.dcm"))
    dataset.StudyInstanceUID = study
    dataset.SeriesInstanceUID = series
    dataset.SOPInstanceUID = f"{dataset.SeriesInstanceUID}.{instance_number}"
    dataset.InstanceNumber = instance_number
    for keyword, value in changes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


# Tests ask for the same few again and again, and pydicom takes ten milliseconds for each.
_kept_instance = lru_cache(maxsize=256, typed=True)(_instance)
