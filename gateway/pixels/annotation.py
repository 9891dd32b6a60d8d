"""The lines that `annotation=patient,technique` burns into a rendered image (PS3.18 section 8.3.5.1.1)."""

from __future__ import annotations

from gateway.dicom.dataset import Dataset, Tag

# Tag and what is written before the value; a line for each, where there is a value.
_PATIENT: tuple[tuple[Tag, str], ...] = (
    ("00100010", ""),  # PatientName
    ("00100020", "ID "),
    ("00100030", "born "),
    ("00100040", "sex "),
)
_TECHNIQUE: tuple[tuple[Tag, str], ...] = (
    ("00080060", ""),  # Modality
    ("00080020", "study of "),
    ("00081030", ""),  # StudyDescription
    ("0008103E", ""),  # SeriesDescription
    ("00200011", "series "),
    ("00200013", "instance "),
    ("00180060", "kVp "),
    ("00181151", "mA "),
    ("00180050", "slice mm "),
)
_LONGEST = 64


def patient_lines(dataset: Dataset) -> list[str]:
    """Return who the patient is, a line for each attribute there is."""
    return _lines(dataset, _PATIENT)


def technique_lines(dataset: Dataset, number: int, count: int) -> list[str]:
    """Return how the image was made, a line for each attribute there is; of several frames, which one it is."""
    return _lines(dataset, _TECHNIQUE) + ([f"frame {number} of {count}"] if count > 1 else [])


def _lines(dataset: Dataset, attributes: tuple[tuple[Tag, str], ...]) -> list[str]:
    return [prefix + text for tag, prefix in attributes if (text := _text(dataset, tag))]


def _text(dataset: Dataset, tag: Tag) -> str:
    """Return the first value as one short line. Of a person's name the first component group, with spaces."""
    element = dataset.get(tag)
    if element is None or not element.values:
        return ""
    text = str(element.values[0])
    if element.vr == "PN":
        text = next(filter(None, text.split("=")), "").replace("^", " ")
    return " ".join(text.split())[:_LONGEST]
