"""An edit of several studies: answered with a job, or with `dryRun=true` with what it would do to each of them.

A patient (patients.py) and a filter (bulk_update.py) are two ways to say which studies.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from gateway.dicom.json_model import encode_json
from gateway.dicomweb.edits.carry_out import carry_out, check
from gateway.dicomweb.edits.jobs import StudyRequest, job_answer
from gateway.dicomweb.edits.request import Options
from gateway.dicomweb.negotiation import JSON
from gateway.dicomweb.targets import Target, datastore_of, root_url
from gateway.errors import IdempotencyConflict, PreconditionFailed
from gateway.state import State
from gateway.store.contents import StudyVersion
from gateway.store.edits import Job

Find: TypeAlias = Callable[[], Awaitable[list[StudyVersion]]]


async def edit_studies(
    request: Request[State], edit: StudyRequest, options: Options, find: Find, name: str
) -> Response:
    """Keep the edit as a job and answer 202; with dryRun=true, answer what it would do to each study.

    find: the studies as they are now, at least one. name: what they are together, in an error.
    Raises ConstraintViolations where the first study would be refused: what is wrong there is wrong everywhere.
    """
    store, datastore_id = request.state["store"], await datastore_of(request)
    kept = await store.job_kept_under(datastore_id, options.key) if options.key else None
    if kept is not None:
        return _accepted(request, kept, options.digest)
    found = await find()
    etag = etag_of_studies(found)
    if options.if_match is not None and not options.if_match.match(etag):
        raise PreconditionFailed(name, "what If-Match names", "another", etag)
    studies = [study.study_instance_uid for study in found]
    if options.dry_run:
        trial = Options(force=options.force, dry_run=True)
        answers = [await carry_out(store, datastore_id, Target(study), edit.plan, trial) for study in studies]
        body = {"dryRun": True, "count": len(studies), "studies": [json.loads(answer.body) for answer in answers]}
        return Response(encode_json(body), 200, {"ETag": etag}, JSON)
    await check(store, datastore_id, Target(studies[0]), edit.plan, force=options.force)
    if options.if_match is not None and not options.if_match.any:
        edit = replace(edit, versions={study.study_instance_uid: str(study.version) for study in found})
    job = await store.create_job(datastore_id, edit.to_json(), studies, options.key or None)
    return _accepted(request, job, options.digest)


def _accepted(request: Request[State], job: Job, digest: str) -> Response:
    """Return the answer to a job, started if it is not yet. Raises IdempotencyConflict for one of another request."""
    if job.request["digest"] != digest:
        raise IdempotencyConflict()
    request.state["jobs"].start(job)
    return job_answer(job, root_url(request), 202)


def etag_of_studies(found: Sequence[StudyVersion]) -> str:
    """Return the ETag of several studies: it changes when any of them does, or when one comes or goes."""
    versions = " ".join(f"{study.study_instance_uid}={study.version}" for study in found)
    return f'"{hashlib.sha256(versions.encode()).hexdigest()[:32]}"'
