"""A patient: the same attributes in several studies, which may be many, so an edit of them is a job.

A patient is a PatientID; the DICOMPatient headers tell two apart who have the same one. With one study it is a job as
well: a client learns one way to wait, and not when to use it.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.dicom.json_model import parse_dataset, parse_merge_patch, to_json
from gateway.dicomweb.edits.jobs import Method, StudyRequest
from gateway.dicomweb.edits.request import DATASET_TYPES, PATCH_TYPES, EditRequest, receive
from gateway.dicomweb.edits.several_studies import edit_studies, etag_of_studies
from gateway.dicomweb.negotiation import negotiate
from gateway.dicomweb.patient_headers import is_patient, patient_wanted
from gateway.dicomweb.problems import endpoint
from gateway.dicomweb.responses import JSON_OFFERS, Validators, dicom_json, not_modified
from gateway.dicomweb.targets import datastore_of
from gateway.errors import NotFound
from gateway.metadata.image_set import Head
from gateway.metadata.mapping import to_dataset
from gateway.state import State
from gateway.store.contents import StudyVersion
from gateway.store.protocol import Store


@endpoint
async def get_normalized(request: Request[State]) -> Response:
    """Answer the Patient level of the patient's oldest study."""
    offer = negotiate(request, JSON_OFFERS)[0].offer
    store, datastore_id = request.state["store"], await datastore_of(request)
    found = await _studies(request, store, datastore_id)
    validators = Validators(etag_of_studies([study for study, _ in found]), max(study.updated_at for study, _ in found))
    if unchanged := not_modified(request, validators):
        return unchanged
    dataset = to_dataset(found[0][1].patient)
    return dicom_json([to_json(dataset)], offer, headers=validators.headers)


@endpoint
async def patch_normalized(request: Request[State]) -> Response:
    """Set and remove Patient attributes in all the patient's studies."""
    received = await receive(request, PATCH_TYPES)
    await received.parsed(parse_merge_patch)
    return await _answer(request, "PATCH", received)


@endpoint
async def put_normalized(request: Request[State]) -> Response:
    """Put a dataset in the place of the Patient level of all the patient's studies."""
    received = await receive(request, DATASET_TYPES)
    await received.parsed(parse_dataset)
    return await _answer(request, "PUT", received)


@endpoint
async def delete(request: Request[State]) -> Response:
    """Delete all the patient's studies, each as a version that can be reverted."""
    return await _answer(request, "DELETE", await receive(request))


async def _answer(request: Request[State], method: Method, received: EditRequest) -> Response:
    """Keep the edit of all the patient's studies as a job and answer 202, or answer the dry run."""
    options = received.options
    edit = StudyRequest(
        method=method,
        body=received.body.decode(),
        force=options.force,
        provenance=options.provenance,
        digest=options.digest,
    )

    async def find() -> list[StudyVersion]:
        found = await _studies(request, request.state["store"], await datastore_of(request))
        return [study for study, _ in found]

    return await edit_studies(request, edit, options, find, "the patient")


async def _studies(request: Request[State], store: Store, datastore_id: str) -> list[tuple[StudyVersion, Head]]:
    """Return the patient's studies, oldest first, with what each says of the patient. Raises NotFound.

    No error repeats the PatientID.
    """
    nobody = NotFound("patient", "with that PatientID")
    wanted = patient_wanted(request)
    try:
        uids = await store.studies_of_patient(datastore_id, str(request.path_params["patientID"]))
    except NotFound:
        raise nobody from None
    found = []
    for uid in uids:
        study = await store.study(datastore_id, uid)
        member = study.primary[0]
        head = (await store.metadata(datastore_id, member.image_set_id, member.version, ())).head
        if is_patient(wanted, head):
            found.append((study, head))
    if not found:
        raise nobody
    return found


# A PatientID may have a slash in it.
_PATIENT = "/patients/{patientID:path}"

routes: list[Route] = [
    Route(_PATIENT + "/normalizedmetadata", get_normalized, methods=["GET"]),
    Route(_PATIENT + "/normalizedmetadata", patch_normalized, methods=["PATCH"]),
    Route(_PATIENT + "/normalizedmetadata", put_normalized, methods=["PUT"]),
    Route(_PATIENT, delete, methods=["DELETE"]),
]
