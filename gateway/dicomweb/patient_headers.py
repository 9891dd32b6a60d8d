"""DICOMPatientID, DICOMIssuerOfPatientID and DICOMPatientName: header fields that narrow a request to one patient.

Whoever edits by Study Instance UID alone edits whatever stands under it. A client that knows whose study it means can
say so, and a study of another patient is then not there: 404, as for any other name it does not have.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request

from gateway.errors import InvalidHeader, NotFound
from gateway.metadata.image_set import Head
from gateway.state import State

HEADERS = {
    "DICOMPatientID": "PatientID",
    "DICOMIssuerOfPatientID": "IssuerOfPatientID",
    "DICOMPatientName": "PatientName",
}


def patient_wanted(request: Request[State]) -> Mapping[str, str]:
    """Return the attributes the headers ask for, by keyword. Raises InvalidHeader for text that is not UTF-8."""
    wanted: dict[str, str] = {}
    if not any(name.startswith(b"dicom") for name, _ in request.headers.raw):
        return wanted
    for header, keyword in HEADERS.items():
        values = request.headers.getlist(header)
        if len(values) > 1:
            raise InvalidHeader(header, "is there more than once")
        if values:
            try:
                wanted[keyword] = values[0].encode("latin-1").decode("utf-8").strip(" ")
            except UnicodeError as error:
                raise InvalidHeader(header, "is not UTF-8") from error
    return wanted


def check_patient(wanted: Mapping[str, str], head: Head, study: str) -> None:
    """Return if the study is of the patient wanted. Raises NotFound, without a word on whose it is."""
    if not is_patient(wanted, head):
        raise NotFound("study", f"{study} of the patient in the DICOMPatient headers")


def is_patient(wanted: Mapping[str, str], head: Head) -> bool:
    """Whether Patient level has these values, padding aside; an absent one is as good as an empty one."""
    patient = head.patient["DICOM"]
    return all(str(patient.get(keyword) or "").strip(" ") == value for keyword, value in wanted.items())
