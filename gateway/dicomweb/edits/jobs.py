"""Edits over several studies: kept first, then carried out one study after the other, and taken up again after a crash.

Each study is an edit under an Idempotency-Key of its own, made of the job and the study. So a study whose edit was
committed and whose result was not kept is not edited twice: the next run finds the answer that was kept with the edit.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.dicom.json_model import encode_json, parse_dataset, parse_merge_patch
from gateway.dicomweb.edits import plans
from gateway.dicomweb.edits.by_level import split
from gateway.dicomweb.edits.carry_out import carry_out
from gateway.dicomweb.edits.plans import LevelEdit, Plan
from gateway.dicomweb.edits.request import Options
from gateway.dicomweb.negotiation import JSON
from gateway.dicomweb.preconditions import EntityTags
from gateway.dicomweb.problems import endpoint, problem
from gateway.dicomweb.targets import Target, datastore_of, root_url
from gateway.errors import GatewayError, StorageFailed, StorageFull
from gateway.settings import Settings
from gateway.state import State
from gateway.store.contents import Provenance
from gateway.store.edits import Job
from gateway.store.protocol import Store

logger = logging.getLogger("gateway.jobs")

Method = Literal["PATCH", "PUT", "DELETE"]

# Seconds until a job that found the disk full goes on.
PAUSE = 10.0


@dataclass(frozen=True, slots=True)
class StudyRequest:
    """What a job does to each of its studies, as it is kept.

    body: DICOM JSON, "" for DELETE. versions: those of If-Match, by Study Instance UID. digest: of the request, for the
    Idempotency-Key. level: of which the body is; a patch of Study level may have attributes of Patient level too.
    """

    method: Method
    body: str = ""
    force: bool = False
    provenance: Provenance = Provenance()
    versions: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""
    level: Literal["Patient", "Study"] = "Patient"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "versions": dict(self.versions)}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> StudyRequest:
        return cls(**{**kept, "provenance": Provenance(**kept["provenance"])})

    @property
    def plan(self) -> Plan:
        """What is done to one study. Raises InvalidDicomJson."""
        if self.method == "DELETE":
            return plans.delete
        if self.method == "PUT":
            edits = [LevelEdit("Patient", {**parse_dataset(self.body.encode())}, whole=True)]
        elif self.level == "Study":
            edits = split(Target("any"), parse_merge_patch(self.body.encode()))
        else:
            edits = [LevelEdit("Patient", parse_merge_patch(self.body.encode()))]
        return plans.edit_attributes(edits)

    def options(self, job: Job, study: str) -> Options:
        version = self.versions.get(study)
        return Options(
            force=self.force,
            provenance=self.provenance,
            if_match=EntityTags(strong=frozenset({version})) if version else None,
            key=f"job {job.job_id} {study}",
            digest=self.digest,
        )


class StudyJobs:
    """The JobRunner: one job at a time, one study at a time, in this process."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._waiting: asyncio.Queue[Job] = asyncio.Queue()
        self._taken: set[str] = set()
        self._worker: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def start(self, job: Job) -> None:
        """Take a job up, if it is not done and not taken up already."""
        if job.status in ("COMPLETED", "FAILED") or job.job_id in self._taken:
            return
        self._taken.add(job.job_id)
        self._waiting.put_nowait(job)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())

    async def resume(self) -> None:
        """Take up the jobs that a stop or a crash left unfinished."""
        for job in await self._store.unfinished_jobs():
            self.start(job)

    async def close(self) -> None:
        """Finish the study in hand and stop; the rest is taken up at the next start."""
        self._closing.set()
        if self._worker is not None:
            await self._worker

    async def _work(self) -> None:
        while not self._waiting.empty() and not self._closing.is_set():
            job = self._waiting.get_nowait()
            try:
                await self._carry_out_with_room(job)
            except GatewayError as error:
                # The disk, and not the job: it stays unfinished, and the next start takes it up.
                logger.error("job %s stopped: %s", job.job_id, type(error).__name__)
            finally:
                self._taken.discard(job.job_id)

    async def _carry_out_with_room(self, job: Job) -> None:
        """Carry a job out. While the disk is full it waits, and then goes on with the study that found it so."""
        while True:
            try:
                return await self._carry_out(job)
            except StorageFull:
                logger.error("job %s waits: the disk is full", job.job_id)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), PAUSE)
            job = await self._store.job(job.datastore_id, job.job_id)

    async def _carry_out(self, job: Job) -> None:
        request = StudyRequest.from_json(job.request)
        done = {result["studyInstanceUID"] for result in job.results}
        for study in job.studies:
            if self._closing.is_set():
                return
            if study not in done:
                result = await self._edit(job, request, study)
                await self._store.record_job(job.job_id, "IN_PROGRESS", {"studyInstanceUID": study, **result})
        await self._store.record_job(job.job_id, "COMPLETED")

    async def _edit(self, job: Job, request: StudyRequest, study: str) -> dict[str, Any]:
        """Return what became of one study: an HTTP status with the answer or the problem that goes with it.

        Raises StorageFull and StorageFailed: they say nothing of the edit.
        """
        try:
            answer = await carry_out(
                self._store, job.datastore_id, Target(study), request.plan, request.options(job, study)
            )
        except (StorageFull, StorageFailed):
            raise
        except GatewayError as error:
            found = problem(error)
            return {"status": found["status"], "problem": found}
        return {"status": answer.status, "answer": json.loads(answer.body)}


def job_answer(job: Job, root: str, status: int = 200) -> Response:
    """Return a job, with where it is to be asked for, and when again while it is not done."""
    headers = {"Location": f"{root}/jobs/{job.job_id}", "Cache-Control": "no-store"}
    if job.status in ("SUBMITTED", "IN_PROGRESS"):
        headers["Retry-After"] = "1"
    body = {
        "jobId": job.job_id,
        "status": job.status,
        "createdAt": job.created_at.isoformat(),
        "updatedAt": job.updated_at.isoformat(),
        "studies": len(job.studies),
        "done": len(job.results),
        "results": list(job.results),
    }
    return Response(encode_json(body), status, headers, JSON)


@endpoint
async def get_job(request: Request[State]) -> Response:
    """Answer a job, with a result for each study done."""
    store, datastore_id = request.state["store"], await datastore_of(request)
    return job_answer(await store.job(datastore_id, str(request.path_params["job"])), root_url(request))


routes: list[Route] = [Route("/jobs/{job}", get_job, methods=["GET"])]
