"""What an import job writes about its files: the manifest, and a line of JSON for each file (devguide,
"Understanding import jobs").

    {outputS3Uri}/{datastoreId}-DicomImport-{jobId}/
      job-output-manifest.json      counts, and the image sets
      SUCCESS/success.ndjson        each file that was imported, also one with a warning
      FAILURE/failure.ndjson        each that was not
      WARNING/warning.ndjson        each that was imported with a warning
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from gateway.store.contents import StoredInstance
from gateway.store.log.import_log import ImportFile, ImportJob

MANIFEST = "job-output-manifest.json"

# devguide, "HealthImaging Warning Codes": the code, its type, and what we say of it; the sentence of 45330 is the
# service's. The page has two more: for elements that were discarded, and none is, and for what has no code.
WARNINGS: Mapping[int, tuple[str, str]] = {
    45056: (
        "CoercionOfDataElements",
        "The file was imported with attributes that were made to agree with those of its image set.",
    ),
    45063: (
        "SopClassDataMismatch",
        "The file was imported but does not have what its SOP Class asks for: a Modality, pixel data where there are "
        "Rows, or the same SOP Class in its file meta information.",
    ),
    45312: (
        "TranscodingException",
        "The file was imported but its pixel data cannot be transcoded, may see issues when retrieving frames in "
        "another transfer syntax than the stored one.",
    ),
    45328: (
        "FramesExtractionFailure",
        "The file was imported but its frames cannot be told apart, may see issues when retrieving frames.",
    ),
    45329: (
        "FrameNumberMismatch",
        "The file was imported but its pixel data has fewer frames than Number of Frames, may see issues when "
        "retrieving certain frames.",
    ),
    45330: (
        "InvalidOffsetTable",
        "The file was imported but contains an invalid offset table, may see issues when retrieving certain frames.",
    ),
    45344: (
        "UnsupportedTransferSyntax",
        "The file was imported but its frames are served as they are stored, for their transfer syntax is unknown.",
    ),
    45570: (
        "InvalidUidFormat",
        "The file was imported but has a UID that is longer than 64 characters or has a leading zero.",
    ),
    45571: (
        "InvalidDicomValueLength",
        "The file was imported but has a value that is longer than HealthImaging takes.",
    ),
}


def job_folder(job: ImportJob) -> str:
    """Return the URI of the folder that a job writes to."""
    return f"{job.request['outputS3Uri'].rstrip('/')}/{folder_name(job)}/"


def folder_name(job: ImportJob) -> str:
    """Return the name of a job's folder."""
    return f"{job.datastore_id}-DicomImport-{job.job_id}"


def imported(stored: StoredInstance, warnings: Sequence[int] = ()) -> dict[str, Any]:
    """Return the outcome of a file that was imported, as it is kept. warnings: codes of what was seen in the file."""
    return {
        "imageSetId": stored.image_set_id,
        "imageSetVersion": stored.version,
        "isPrimary": stored.is_primary,
        "warnings": sorted(code for code in {*stored.warnings, *warnings} if code in WARNINGS),
    }


def failed(message: str, exception: str = "ValidationException") -> dict[str, Any]:
    """Return the outcome of a file that was not imported. InternalServerException: not because of what is in it."""
    return {"exception": {"exceptionType": exception, "message": message}}


def documents(job: ImportJob, files: Sequence[ImportFile]) -> Iterator[tuple[str, bytes]]:
    """Yield what a job writes, by its path in the job's folder; the manifest last, when the rest is there."""
    yield "SUCCESS/success.ndjson", _lines(map(_success, _imported(files)))
    yield "FAILURE/failure.ndjson", _lines(map(_failure, _failed(files)))
    yield "WARNING/warning.ndjson", _lines(map(_warning, (one for one in _imported(files) if one[1]["warnings"])))
    yield MANIFEST, orjson.dumps(manifest(job, files), option=orjson.OPT_INDENT_2)


def manifest(job: ImportJob, files: Sequence[ImportFile]) -> dict[str, Any]:
    """Return job-output-manifest.json."""
    folder = job_folder(job)
    exceptions = [outcome["exception"]["exceptionType"] for _, outcome in _failed(files)]
    image_sets = _image_sets(files)
    return {
        "jobSummary": {
            "jobId": job.job_id,
            "datastoreId": job.datastore_id,
            "inputS3Uri": job.request["inputS3Uri"],
            "outputS3Uri": folder,
            "successOutputS3Uri": f"{folder}SUCCESS/",
            "failureOutputS3Uri": f"{folder}FAILURE/",
            "warningsOutputS3Uri": f"{folder}WARNING/",
            "numberOfScannedFiles": len(files),
            "numberOfImportedFiles": len(files) - len(exceptions),
            "numberOfFilesWithCustomerError": len(exceptions) - exceptions.count("InternalServerException"),
            "numberOfFilesWithServerError": exceptions.count("InternalServerException"),
            "numberOfGeneratedImageSets": len(image_sets),
            "imageSetsSummary": image_sets,
        }
    }


def _image_sets(files: Sequence[ImportFile]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for _, outcome in _imported(files):
        image_set = found.setdefault(
            outcome["imageSetId"],
            {
                "imageSetId": outcome["imageSetId"],
                "imageSetVersion": outcome["imageSetVersion"],
                "isPrimary": outcome["isPrimary"],
                "numberOfMatchedSOPInstances": 0,
            },
        )
        image_set["numberOfMatchedSOPInstances"] += 1
    return list(found.values())


Told = tuple[str, Mapping[str, Any]]


def _imported(files: Sequence[ImportFile]) -> Iterator[Told]:
    return ((file.path, file.outcome) for file in files if file.outcome and "imageSetId" in file.outcome)


def _failed(files: Sequence[ImportFile]) -> Iterator[Told]:
    return ((file.path, file.outcome) for file in files if file.outcome and "exception" in file.outcome)


def _success(told: Told) -> dict[str, Any]:
    path, outcome = told
    return {"inputFile": path, "importResponse": {name: outcome[name] for name in ("imageSetId", "isPrimary")}}


def _failure(told: Told) -> dict[str, Any]:
    path, outcome = told
    return {"inputFile": path, "exception": outcome["exception"]}


def _warning(told: Told) -> dict[str, Any]:
    path, outcome = told
    response = {name: outcome[name] for name in ("imageSetId", "imageSetVersion", "isPrimary")}
    warnings = [
        {"warning_reason_code": code, "type": WARNINGS[code][0], "message": WARNINGS[code][1]}
        for code in outcome["warnings"]
    ]
    return {"inputFile": path, "importResponse": {**response, "warnings": warnings}}


def _lines(records: Iterator[dict[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(record) + b"\n" for record in records)
