"""One instance of each kind that hospitals have: real files where pydicom or pydicom-data has one, else made here."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Mapping

import pydicom
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian, RTStructureSetStorage

from tests.dicomweb.test_slides import slide, tiles
from tests.samples import sample

# Real files, each found by its SOP Class, Manufacturer, private elements or Specific Character Set.
REAL = {
    "CT": "693_UNCR.dcm",
    "CT of GE, 179 private elements": "CT_small.dcm",
    "MR": "MR_small.dcm",
    "ultrasound of Philips, 75 private elements, in sequences too": "OBXXXX1A.dcm",
    "enhanced MR, 10 frames": "emri_small.dcm",
    "enhanced CT, 2 frames": "eCT_Supplemental.dcm",
    "ultrasound cine, 30 frames": "examples_ybr_color.dcm",
    "RT plan": "rtplan.dcm",
    "RT dose, 15 frames": "rtdose.dcm",
    "SR": "test-SR.dcm",
    "SR with text": "reportsi.dcm",
    "SEG, 3 frames": "liver.dcm",
    "ECG": "waveform_ecg.dcm",
    "Arabic name": "chrArab.dcm",
    "Chinese name, GB18030": "chrX2.dcm",
    "Chinese name, UTF-8": "chrX1.dcm",
    "Greek name": "chrGreek.dcm",
    "Hebrew name": "chrHbrw.dcm",
    "Japanese name, ISO 2022": "chrH31.dcm",
    "Japanese name, JIS X 0201": "chrH32.dcm",
    "Korean name": "chrI2.dcm",
    "Russian name": "chrRuss.dcm",
}


def siemens() -> bytes:
    """Return an MR of Siemens with the private blocks that its scanners write: pydicom's own has nine elements left.

    Two CSA headers of 11 and 80 kB, the MR header's numbers and texts, a sequence of private items.
    """
    dataset = pydicom.dcmread(sample("examples_overlay.dcm"))
    csa = dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    for offset, vr, value in (
        (0x08, "CS", "IMAGE NUM 4"),
        (0x09, "LO", "20060315"),
        (0x10, "OB", b"SV10\4\3\2\1" + bytes(range(256)) * 43),
        (0x18, "CS", "MR"),
        (0x20, "OB", b"SV10\4\3\2\1" + bytes(range(255, -1, -1)) * 312),
    ):
        csa.add_new(offset, vr, value)
    header = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    for offset in range(0x10, 0x50):
        header.add_new(
            offset, *(("FD", [offset / 3, -1.5, 0.0]), ("IS", offset), ("SH", "Größe"), ("US", offset))[offset % 4]
        )
    item = pydicom.Dataset()
    item.private_block(0x0021, "SIEMENS MR SDS 01", create=True).add_new(0x01, "LO", "Schädel")
    dataset.private_block(0x0021, "SIEMENS MR SDR 01", create=True).add_new(0xFE, "SQ", Sequence([item, item]))
    return _written(dataset)


def structures() -> bytes:
    """Return an RT Structure Set of the RT plan's patient, of 2 regions with 20 contours of 200 points each."""
    dataset = pydicom.dcmread(sample("rtplan.dcm"))
    for tag in [element.tag for element in dataset if element.tag.group >= 0x3000]:
        del dataset[tag]
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID("1.2.777.777.77.7.7777.1")
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.Modality, dataset.StructureSetLabel, dataset.ApprovalStatus = "RTSTRUCT", "Plan", "UNAPPROVED"
    dataset.StructureSetROISequence = Sequence(
        _region(number, name) for number, name in enumerate(("PTV", "Myelon"), 1)
    )
    dataset.ROIContourSequence = Sequence(_contours(number) for number in (1, 2))
    return _written(dataset)


def _region(number: int, name: str) -> pydicom.Dataset:
    item = pydicom.Dataset()
    item.ROINumber, item.ROIName, item.ROIGenerationAlgorithm = number, name, "MANUAL"
    item.ReferencedFrameOfReferenceUID = "1.2.777.777.77.7.7777.2"
    return item


def _contours(number: int) -> pydicom.Dataset:
    item, slices = pydicom.Dataset(), []
    for height in range(20):
        contour = pydicom.Dataset()
        contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", 200
        contour.ContourData = [f"{value}.25" for point in range(200) for value in (point, -point * number, height)]
        slices.append(contour)
    item.ReferencedROINumber, item.ROIDisplayColor, item.ContourSequence = number, [255, 0, 0], Sequence(slices)
    return item


def _written(dataset: pydicom.Dataset) -> bytes:
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


# Neither package has a slide, a scanner's own Siemens file or an RT Structure Set.
MADE: Mapping[str, Callable[[], bytes]] = {
    "slide, 1200 tiles": lambda: slide(tiles(), "extended"),
    "MR of Siemens, 86 private elements, CSA headers": siemens,
    "RT structure set": structures,
}

KINDS = [*REAL, *MADE]


@functools.cache
def file_of(kind: str) -> bytes:
    """Return the PS3.10 file of a kind."""
    return MADE[kind]() if kind in MADE else sample(REAL[kind]).read_bytes()


def dataset_of(kind: str) -> pydicom.Dataset:
    """Return what pydicom reads of a kind's file."""
    return pydicom.dcmread(io.BytesIO(file_of(kind)))


WITH_PIXELS = [kind for kind in KINDS if "PixelData" in dataset_of(kind)]
