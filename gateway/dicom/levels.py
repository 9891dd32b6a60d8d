"""Which attribute belongs to which level.

HealthImaging normalises 140 elements of PS3.3's Patient, Study, Series, Equipment and Frame of Reference modules
(devguide "metadata-normalization"); all else is an attribute of the instance: every private element, the file meta
information, Specific Character Set.
"""

from __future__ import annotations

from gateway.dicom.dataset import Dataset, Tag
from gateway.errors import Level

LEVELS: tuple[Level, ...] = ("Patient", "Study", "Series", "Instance")

# docs.aws.amazon.com/healthimaging/latest/devguide/metadata-normalization.html, in its order.
NORMALISED: dict[Level, dict[str, tuple[Tag, ...]]] = {
    "Patient": {
        "Patient Module Elements": (
            "00100010",  # PatientName
            "00100020",  # PatientID
        ),
        "Issuer of Patient ID Macro Elements": (
            "00100021",  # IssuerOfPatientID
            "00100024",  # IssuerOfPatientIDQualifiersSequence
            "00100022",  # TypeOfPatientID
            "00100030",  # PatientBirthDate
            "00100033",  # PatientBirthDateInAlternativeCalendar
            "00100034",  # PatientDeathDateInAlternativeCalendar
            "00100035",  # PatientAlternativeCalendar
            "00100040",  # PatientSex
            "00101100",  # ReferencedPatientPhotoSequence
            "00100200",  # QualityControlSubject
            "00081120",  # ReferencedPatientSequence
            "00100032",  # PatientBirthTime
            "00101002",  # OtherPatientIDsSequence
            "00101001",  # OtherPatientNames
            "00102160",  # EthnicGroup
            "00104000",  # PatientComments
            "00102201",  # PatientSpeciesDescription
            "00102202",  # PatientSpeciesCodeSequence
            "00102292",  # PatientBreedDescription
            "00102293",  # PatientBreedCodeSequence
            "00102294",  # BreedRegistrationSequence
            "00100212",  # StrainDescription
            "00100213",  # StrainNomenclature
            "00100219",  # StrainCodeSequence
            "00100218",  # StrainAdditionalInformation
            "00100216",  # StrainStockSequence
            "00100221",  # GeneticModificationsSequence
            "00102297",  # ResponsiblePerson
            "00102298",  # ResponsiblePersonRole
            "00102299",  # ResponsibleOrganization
            "00120062",  # PatientIdentityRemoved
            "00120063",  # DeidentificationMethod
            "00120064",  # DeidentificationMethodCodeSequence
        ),
        "Patient Group Macro Elements": (
            "00100026",  # SourcePatientGroupIdentificationSequence
            "00100027",  # GroupOfPatientsIdentificationSequence
        ),
        "Clinical Trial Subject Module": (
            "00120010",  # ClinicalTrialSponsorName
            "00120020",  # ClinicalTrialProtocolID
            "00120021",  # ClinicalTrialProtocolName
            "00120030",  # ClinicalTrialSiteID
            "00120031",  # ClinicalTrialSiteName
            "00120040",  # ClinicalTrialSubjectID
            "00120042",  # ClinicalTrialSubjectReadingID
            "00120081",  # ClinicalTrialProtocolEthicsCommitteeName
            "00120082",  # ClinicalTrialProtocolEthicsCommitteeApprovalNumber
        ),
    },
    "Study": {
        "General Study Module": (
            "0020000D",  # StudyInstanceUID
            "00080020",  # StudyDate
            "00080030",  # StudyTime
            "00080090",  # ReferringPhysicianName
            "00080096",  # ReferringPhysicianIdentificationSequence
            "0008009C",  # ConsultingPhysicianName
            "0008009D",  # ConsultingPhysicianIdentificationSequence
            "00200010",  # StudyID
            "00080050",  # AccessionNumber
            "00080051",  # IssuerOfAccessionNumberSequence
            "00081030",  # StudyDescription
            "00081048",  # PhysiciansOfRecord
            "00081049",  # PhysiciansOfRecordIdentificationSequence
            "00081060",  # NameOfPhysiciansReadingStudy
            "00081062",  # PhysiciansReadingStudyIdentificationSequence
            "00321033",  # RequestingService
            "00321034",  # RequestingServiceCodeSequence
            "00081110",  # ReferencedStudySequence
            "00081032",  # ProcedureCodeSequence
            "00401012",  # ReasonForPerformedProcedureCodeSequence
        ),
        "Patient Study Module": (
            "00081080",  # AdmittingDiagnosesDescription
            "00081084",  # AdmittingDiagnosesCodeSequence
            "00101010",  # PatientAge
            "00101020",  # PatientSize
            "00101030",  # PatientWeight
            "00101022",  # PatientBodyMassIndex
            "00101023",  # MeasuredAPDimension
            "00101024",  # MeasuredLateralDimension
            "00101021",  # PatientSizeCodeSequence
            "00102000",  # MedicalAlerts
            "00102110",  # Allergies
            "001021A0",  # SmokingStatus
            "001021C0",  # PregnancyStatus
            "001021D0",  # LastMenstrualDate
            "00380500",  # PatientState
            "00102180",  # Occupation
            "001021B0",  # AdditionalPatientHistory
            "00380010",  # AdmissionID
            "00380014",  # IssuerOfAdmissionIDSequence
            "00321066",  # ReasonForVisit
            "00321067",  # ReasonForVisitCodeSequence
            "00380060",  # ServiceEpisodeID
            "00380064",  # IssuerOfServiceEpisodeIDSequence
            "00380062",  # ServiceEpisodeDescription
            "00102203",  # PatientSexNeutered
        ),
        "Clinical Trial Study Module": (
            "00120050",  # ClinicalTrialTimePointID
            "00120051",  # ClinicalTrialTimePointDescription
            "00120052",  # LongitudinalTemporalOffsetFromEvent
            "00120053",  # LongitudinalTemporalEventType
            "00120083",  # ConsentForClinicalTrialUseSequence
        ),
    },
    "Series": {
        "General Series Module": (
            "00080060",  # Modality
            "0020000E",  # SeriesInstanceUID
            "00200011",  # SeriesNumber
            "00200060",  # Laterality
            "00080021",  # SeriesDate
            "00080031",  # SeriesTime
            "00081050",  # PerformingPhysicianName
            "00081052",  # PerformingPhysicianIdentificationSequence
            "00181030",  # ProtocolName
            "0008103E",  # SeriesDescription
            "0008103F",  # SeriesDescriptionCodeSequence
            "00081070",  # OperatorsName
            "00081072",  # OperatorIdentificationSequence
            "00081111",  # ReferencedPerformedProcedureStepSequence
            "00081250",  # RelatedSeriesSequence
            "00180015",  # BodyPartExamined
            "00185100",  # PatientPosition
            "00280108",  # SmallestPixelValueInSeries
            "00280109",  # LargestPixelValueInSeries
            "00400275",  # RequestAttributesSequence
            "00102210",  # AnatomicalOrientationType
            "300A0700",  # TreatmentSessionUID
        ),
        "Clinical Trial Series Module": (
            "00120060",  # ClinicalTrialCoordinatingCenterName
            "00120071",  # ClinicalTrialSeriesID
            "00120072",  # ClinicalTrialSeriesDescription
        ),
        "General Equipment Module": (
            "00080070",  # Manufacturer
            "00080080",  # InstitutionName
            "00080081",  # InstitutionAddress
            "00081010",  # StationName
            "00081040",  # InstitutionalDepartmentName
            "00081041",  # InstitutionalDepartmentTypeCodeSequence
            "00081090",  # ManufacturerModelName
            "0018100B",  # ManufacturerDeviceClassUID
            "00181000",  # DeviceSerialNumber
            "00181020",  # SoftwareVersions
            "00181008",  # GantryID
            "0018100A",  # UDISequence
            "00181002",  # DeviceUID
            "00181050",  # SpatialResolution
            "00181200",  # DateOfLastCalibration
            "00181201",  # TimeOfLastCalibration
            "00280120",  # PixelPaddingValue
        ),
        "Frame of Reference Module": (
            "00200052",  # FrameOfReferenceUID
            "00201040",  # PositionReferenceIndicator
        ),
    },
}

_LEVEL_OF: dict[Tag, Level] = {
    tag: level for level, modules in NORMALISED.items() for tags in modules.values() for tag in tags
}

# What instances of a series share: the tags that are not of level Instance.
NORMALISED_TAGS = frozenset(_LEVEL_OF)


def level_of(tag: Tag) -> Level:
    """Return the one level an attribute belongs to."""
    return _LEVEL_OF.get(tag, "Instance")


def split_by_level(dataset: Dataset) -> dict[Level, Dataset]:
    """Return the dataset's attributes by level, all four levels present, each in the order it came in."""
    split: dict[Level, Dataset] = {level: {} for level in LEVELS}
    for tag, element in dataset.items():
        split[level_of(tag)][tag] = element
    return split


def shared_attributes(dataset: Dataset) -> Dataset:
    """Return the attributes of Patient, Study and Series level, tags ascending."""
    return {tag: dataset[tag] for tag in sorted(dataset.keys() & NORMALISED_TAGS)}
