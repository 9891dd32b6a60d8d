"""Studies of which a viewer shows more than slices: a film, a document, a volume with what was found in it."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG4HP41,
    UID,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    RTStructureSetStorage,
    SegmentationStorage,
    VideoEndoscopicImageStorage,
)

from tests.e2e.movie import MP4
from tests.samples import instance

STUDY = "1.2.3.9"
# The volume: slices of SIZE by SIZE pixels of 1 mm, 3 mm apart, with a ball in the upper left quarter of those of BALL.
SIZE, SLICES, BALL = 64, 12, range(3, 9)
CENTRE, RADIUS = (20, 24), 8
GREEN = (0, 160, 60)

_rows, _columns = np.mgrid[:SIZE, :SIZE]
_DISC = (_columns - CENTRE[0]) ** 2 + (_rows - CENTRE[1]) ** 2 < RADIUS**2


def film() -> bytes:
    """Return an endoscopic video of 20 frames, as one fragment."""
    dataset = _object(VideoEndoscopicImageStorage, "ES", 1)
    dataset.file_meta.TransferSyntaxUID = MPEG4HP41
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "YBR_PARTIAL_420", 0
    dataset.Rows = dataset.Columns = 64
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.NumberOfFrames, dataset.CineRate, dataset.FrameTime = 20, 10, 100
    dataset.PixelData = encapsulate([MP4], has_bot=False)
    return _file(dataset)


def document() -> bytes:
    """Return a PDF of one page, all of it green, longer than what metadata have inline."""
    page = b"%g %g %g rg 0 0 300 300 re f" % tuple(value / 255 for value in GREEN)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R>>",
        b"<</Length %d>>stream\n%b\nendstream" % (len(page), page),
        b"<</Length 20000>>stream\n%b\nendstream" % (b"x" * 20000),
    ]
    pdf, places = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(pdf))
        pdf += b"%d 0 obj\n%b\nendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    pdf += b"xref\n0 6\n0000000000 65535 f \n%btrailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (
        table,
        len(pdf),
    )
    dataset = _object(EncapsulatedPDFStorage, "DOC", 1)
    dataset.EncapsulatedDocument, dataset.EncapsulatedDocumentLength = pdf + bytes(len(pdf) % 2), len(pdf)
    dataset.MIMETypeOfEncapsulatedDocument, dataset.DocumentTitle = "application/pdf", "Report"
    return _file(dataset)


def volume() -> list[bytes]:
    """Return the slices of a CT volume, grey with a white ball."""
    return [
        instance(
            study=STUDY,
            instance_number=number + 1,
            FrameOfReferenceUID=f"{STUDY}.99",
            ImagePositionPatient=[0, 0, 3 * number],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            PixelSpacing=[1, 1],
            SliceThickness=3,
            Rows=SIZE,
            Columns=SIZE,
            RescaleIntercept=0,
            WindowCenter=200,
            WindowWidth=400,
            PixelData=np.where(_DISC & (number in BALL), 380, 100).astype("<i2").tobytes(),
        )
        for number in range(SLICES)
    ]


def segmentation() -> bytes:
    """Return a binary segmentation of the volume: its ball."""
    dataset = _object(SegmentationStorage, "SEG", 2)
    dataset.FrameOfReferenceUID, dataset.ImageType = f"{STUDY}.99", ["DERIVED", "PRIMARY"]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = SIZE
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = dataset.PixelRepresentation = 0
    dataset.SegmentationType, dataset.ContentLabel = "BINARY", "BALL"
    dataset.SegmentSequence = [
        _item(
            SegmentNumber=1,
            SegmentLabel="Ball",
            SegmentAlgorithmType="MANUAL",
            SegmentedPropertyCategoryCodeSequence=[_code("49755003", "SCT", "Morphologically Abnormal Structure")],
            SegmentedPropertyTypeCodeSequence=[_code("4147007", "SCT", "Mass")],
        )
    ]
    dataset.ReferencedSeriesSequence = [
        _item(SeriesInstanceUID=f"{STUDY}.1", ReferencedInstanceSequence=_references(range(SLICES)))
    ]
    measures = _item(PixelSpacing=[1, 1], SliceThickness=3, SpacingBetweenSlices=3)
    orientation = _item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    dataset.SharedFunctionalGroupsSequence = [
        _item(PixelMeasuresSequence=[measures], PlaneOrientationSequence=[orientation])
    ]
    dataset.PerFrameFunctionalGroupsSequence = [
        _item(
            PlanePositionSequence=[_item(ImagePositionPatient=[0, 0, 3 * number])],
            SegmentIdentificationSequence=[_item(ReferencedSegmentNumber=1)],
            DerivationImageSequence=[_item(SourceImageSequence=_references([number]))],
        )
        for number in BALL
    ]
    dataset.NumberOfFrames = len(BALL)
    dataset.PixelData = np.packbits(np.stack([_DISC] * len(BALL)), bitorder="little").tobytes()
    dataset["PixelData"].VR = "OB"
    return _file(dataset)


def structures() -> bytes:
    """Return a structure set of the volume: the outline of its ball, in red."""
    dataset = _object(RTStructureSetStorage, "RTSTRUCT", 3)
    dataset.StructureSetLabel, dataset.FrameOfReferenceUID = "Plan", f"{STUDY}.99"
    series = _item(SeriesInstanceUID=f"{STUDY}.1", ContourImageSequence=_references(range(SLICES)))
    study = _item(ReferencedSOPInstanceUID=STUDY, RTReferencedSeriesSequence=[series])
    dataset.ReferencedFrameOfReferenceSequence = [
        _item(FrameOfReferenceUID=f"{STUDY}.99", RTReferencedStudySequence=[study])
    ]
    dataset.StructureSetROISequence = [_item(ROINumber=1, ROIName="Ball", ReferencedFrameOfReferenceUID=f"{STUDY}.99")]
    turns = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    outline = [(CENTRE[0] + RADIUS * np.cos(turn), CENTRE[1] + RADIUS * np.sin(turn)) for turn in turns]
    contours = [
        _item(
            ContourImageSequence=_references([number]),
            ContourGeometricType="CLOSED_PLANAR",
            NumberOfContourPoints=len(outline),
            ContourData=[f"{value:.2f}" for x, y in outline for value in (x, y, 3 * number)],
        )
        for number in BALL
    ]
    dataset.ROIContourSequence = [_item(ReferencedROINumber=1, ROIDisplayColor=[255, 0, 0], ContourSequence=contours)]
    dataset.RTROIObservationsSequence = [_item(ObservationNumber=1, ReferencedROINumber=1, RTROIInterpretedType="GTV")]
    return _file(dataset)


def _object(sop_class: UID, modality: str, series: int) -> Dataset:
    """Return an object of the volume's patient and study, without content."""
    whole = pydicom.dcmread(io.BytesIO(instance(study=STUDY)))
    dataset = whole.group_dataset(0x0010)
    for keyword in "StudyInstanceUID StudyDate StudyTime AccessionNumber StudyID StudyDescription".split():
        dataset[keyword] = whole[keyword]
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, f"{STUDY}.{series}.1"
    dataset.SeriesInstanceUID, dataset.SeriesNumber, dataset.InstanceNumber = f"{STUDY}.{series}", series, 1
    dataset.Modality, dataset.SeriesDescription = modality, f"A {modality}"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _references(slices: Sequence[int]) -> list[Dataset]:
    uids = [f"{STUDY}.1.{number + 1}" for number in slices]
    return [_item(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2", ReferencedSOPInstanceUID=uid) for uid in uids]


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    return _item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def _item(**attributes: object) -> Dataset:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def _file(dataset: Dataset) -> bytes:
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()
