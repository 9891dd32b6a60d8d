"""Which transfer syntax an instance is retrieved in: PS3.18 section 8.7.3.3.

What is stored is sent as it is wherever the client takes that. Otherwise it is transcoded, if that can be done without
loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import orjson
from starlette.requests import Request

from gateway.dicom.part10 import EXPLICIT_VR_LITTLE_ENDIAN
from gateway.dicomweb.negotiation import Choice, Offer
from gateway.errors import NotAcceptable
from gateway.metadata.fingerprint import transfer_syntax_in
from gateway.metadata.image_set import InstanceMetadata
from gateway.pixels.image_frames import KEPT_AS_THEY_ARE
from gateway.pixels.instance import MAX_INSTANCE_BYTES
from gateway.pixels.transfer_syntaxes import (
    HTJ2K_LOSSLESS_RPCL,
    JPEG_2000_LOSSLESS,
    TRANSFER_SYNTAXES,
    TransferSyntax,
    has_room,
    transfer_syntax,
)
from gateway.state import State

ANY = "*"


@dataclass(frozen=True, slots=True)
class Plan:
    """How a resource is sent. syntaxes: of each instance that is; left_out: how many cannot be sent as asked.

    named: whether the client named the transfer syntaxes it takes.
    """

    offer: Offer
    syntaxes: Mapping[str, str]
    left_out: int
    named: bool = False


# Which transfer syntaxes may be made of one that is stored.
Makes: TypeAlias = Callable[[str, TransferSyntax], bool]


def makes_all(uid: str, stored: TransferSyntax) -> bool:
    """Whether /dicomweb makes it: whatever can be made."""
    return True


async def makes_of(request: Request[State], choices: Sequence[Choice]) -> Makes:
    """Return what is made at the root a request came to. Raises NotFound.

    Below /datastore/{datastoreId} as HealthImaging's guide has it ("Getting a DICOM instance", Note): explicit VR
    little endian; what the data store keeps lossless images in, if this is one; JPEG 2000 of those. All else is 406.
    """
    datastore_id = request.path_params.get("datastoreId")
    if datastore_id is None:
        return makes_all
    lossless = {JPEG_2000_LOSSLESS}
    if any(HTJ2K_LOSSLESS_RPCL in choice.transfer_syntaxes for choice in choices):
        datastore = await request.state["store"].datastore(str(datastore_id))
        if datastore.properties.get("losslessStorageFormat", "HTJ2K") == "HTJ2K":
            lossless.add(HTJ2K_LOSSLESS_RPCL)

    def makes(uid: str, stored: TransferSyntax) -> bool:
        return uid == EXPLICIT_VR_LITTLE_ENDIAN or (uid in lossless and stored.uid not in KEPT_AS_THEY_ARE)

    return makes


def plan(choices: Sequence[Choice], instances: Mapping[str, InstanceMetadata], makes: Makes = makes_all) -> Plan:
    """Return the first choice that every instance can meet; else the one that most can. Raises NotAcceptable."""
    best: Plan | None = None
    for choice in choices:
        wanted = {uid: syntax_for(choice.transfer_syntaxes, instance, makes) for uid, instance in instances.items()}
        syntaxes = {uid: syntax for uid, syntax in wanted.items() if syntax}
        found = Plan(choice.offer, syntaxes, len(wanted) - len(syntaxes), named=bool(choice.transfer_syntaxes))
        if not found.left_out:
            return found
        if syntaxes and (best is None or found.left_out < best.left_out):
            best = found
    if best is None:
        stored = {stored_syntax(instance) for instance in instances.values()}
        written = ", ".join(
            syntax.uid
            for syntax in TRANSFER_SYNTAXES.values()
            if syntax.encodes and syntax.lossless and all(makes(syntax.uid, transfer_syntax(uid)) for uid in stored)
        )
        raise NotAcceptable(f"not in these transfer syntaxes: ask for *, the one that is stored, or one of {written}")
    return best


def plan_as_stored(choice: Choice, stored: Mapping[str, str]) -> Plan | None:
    """Return the plan that sends every instance as it is stored; None where a choice asks for something else.

    stored: the transfer syntax of each instance, "" where nothing says.
    """
    named = choice.transfer_syntaxes
    allowed = set(named) or {EXPLICIT_VR_LITTLE_ENDIAN}
    kept = all(stored.values()) and (ANY in allowed or allowed.issuperset(stored.values()))
    return Plan(choice.offer, stored, 0) if kept else None


def syntax_for(named: Sequence[str], instance: InstanceMetadata, makes: Makes = makes_all) -> str | None:
    """Return the transfer syntax to send an instance in; None where none of those named can be made of it.

    Where none is named, explicit VR little endian is meant, or what is stored if that is lossy: its pixels would not be
    what they seem (PS3.18 section 8.7.3.3.1). So it is for what cannot be decoded here: better that than nothing.
    """
    stored = stored_syntax(instance)
    if ANY in named or stored in named:
        return stored
    if named:
        return next((uid for uid in named if _can_be_made(uid, instance, makes)), None)
    if _can_be_made(EXPLICIT_VR_LITTLE_ENDIAN, instance, makes):
        return EXPLICIT_VR_LITTLE_ENDIAN if transfer_syntax(stored).lossless else stored
    return None if transfer_syntax(stored).decodes else stored


# PS3.4 C.6.1.1.5.2: what pixels can be had in without transcoding. Metadata say it of instances that have some: viewers
# know by it what is a video. No instance should have it itself.
AVAILABLE_TRANSFER_SYNTAX_UID = "00083002"
_AVAILABLE = "AvailableTransferSyntaxUID"


def syntax_to_say(instance: InstanceMetadata) -> str:
    """Return the transfer syntax that metadata say of an instance; "" where nothing says, or it says one itself."""
    return "" if _AVAILABLE in instance["DICOM"] else stored_syntax(instance)


def syntax_to_say_of(text: bytes) -> str:
    """Return the same, given the instance's JSON."""
    found = transfer_syntax_in(text)
    return syntax_to_say(orjson.loads(text)) if found is None or _AVAILABLE.encode() in text else found


def stored_syntax(instance: InstanceMetadata) -> str:
    """Return the transfer syntax an instance was received in; "" where nothing says."""
    return str(instance.get("StoredTransferSyntaxUID") or instance["DICOM"].get("TransferSyntaxUID") or "")


def _can_be_made(uid: str, instance: InstanceMetadata, makes: Makes) -> bool:
    """Whether an instance can be transcoded to a transfer syntax without loss, and fits into it."""
    target, stored = transfer_syntax(uid), transfer_syntax(stored_syntax(instance))
    if uid == stored.uid:
        return True
    if not makes(uid, stored):
        return False
    has_pixels = "Rows" in instance["DICOM"]
    if not (target.encodes and target.lossless) or (has_pixels and not stored.decodes):
        return False
    if uid != EXPLICIT_VR_LITTLE_ENDIAN and not (
        has_pixels and has_room(uid, _number(instance["DICOM"].get("BitsAllocated")))
    ):
        return False
    return _native_bytes(instance) <= MAX_INSTANCE_BYTES


_FACTORS = ("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames")


def _native_bytes(instance: InstanceMetadata) -> int:
    """Return the length of the pixels without compression, as the metadata describe them; 0 where they do not."""
    dicom = instance["DICOM"]
    if "Rows" not in dicom:
        return 0
    size = max(1, _number(dicom.get("BitsAllocated")) // 8)
    for keyword in _FACTORS:
        size *= max(1, _number(dicom.get(keyword)))
    return size


def _number(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0
