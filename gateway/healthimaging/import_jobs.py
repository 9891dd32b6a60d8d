"""Import jobs: start, get, list."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from gateway.errors import InvalidRequest
from gateway.healthimaging.context import Context, Input, Output
from gateway.healthimaging.import_report import job_folder
from gateway.healthimaging.pages import next_token, page_size, position
from gateway.store.log.import_log import ImportJob

# General reference, "HealthImaging endpoints and quotas".
LISTED = timedelta(days=90)

# Kept with a job: what it needs, and what it gives back.
_KEPT = (
    "jobName",
    "dataAccessRoleArn",
    "inputS3Uri",
    "outputS3Uri",
    "inputOwnerAccountId",
    "importConfiguration",
)


async def start_dicom_import_job(context: Context, request: Input) -> Output:
    """Start an import job; it is durable before this answers. The same clientToken gives the same job."""
    kept = {name: request[name] for name in _KEPT if name in request}
    _check_mappings(kept)
    job = await context.imports.submit(request["datastoreId"], kept, request["clientToken"], context.provenance.who)
    return {
        "datastoreId": job.datastore_id,
        "jobId": job.job_id,
        "jobStatus": job.status,
        "submittedAt": job.submitted_at,
    }


async def get_dicom_import_job(context: Context, request: Input) -> Output:
    """Return a job's properties. Its outputS3Uri is the folder that the job writes to, below the one it was given."""
    job = await context.store.imports.job(request["datastoreId"], request["jobId"])
    return {
        "jobProperties": {
            **_summary(job),
            "inputS3Uri": job.request["inputS3Uri"],
            "outputS3Uri": job_folder(job),
            "importConfiguration": job.request.get("importConfiguration"),
        }
    }


async def list_dicom_import_jobs(context: Context, request: Input) -> Output:
    """Return a page of the jobs of the last 90 days, newest first, of one status where one is asked for."""
    size = page_size(request)
    jobs = await context.store.imports.jobs(
        request["datastoreId"], context.clock() - LISTED, size + 1, request.get("jobStatus"), position(request)
    )
    page = jobs[:size]
    return {
        "jobSummaries": [_summary(job) for job in page],
        "nextToken": next_token(request, page[-1].job_id) if len(jobs) > size else None,
    }


def _summary(job: ImportJob) -> dict[str, Any]:
    return {
        "jobId": job.job_id,
        "jobName": job.request.get("jobName", job.job_id),
        "jobStatus": job.status,
        "datastoreId": job.datastore_id,
        "dataAccessRoleArn": job.request["dataAccessRoleArn"],
        "submittedAt": job.submitted_at,
        "endedAt": job.ended_at,
        "message": job.message,
    }


def _check_mappings(request: dict[str, Any]) -> None:
    """Raise InvalidRequest for a mapping that leads out of the input."""
    configuration = request.get("importConfiguration", {}).get("dicomJsonMetadataImportConfiguration", {})
    for number, mapping in enumerate(configuration.get("dicomMetadataMappings", ())):
        if ".." in mapping["metadataFilePath"].split("/") or mapping["metadataFilePath"].startswith("/"):
            raise InvalidRequest(
                f"importConfiguration.dicomJsonMetadataImportConfiguration.dicomMetadataMappings.{number}"
                ".metadataFilePath is not below inputS3Uri"
            )
