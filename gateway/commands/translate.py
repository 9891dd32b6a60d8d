"""`gateway translate`: a DICOM JSON edit as the update document of `aws medical-imaging`; no server needed."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import Iterator

from gateway.commands.terminal import Palette
from gateway.dicom.dataset import MergePatch
from gateway.dicom.json_model import encode_json, parse_merge_patch, parse_merge_patches
from gateway.dicom.levels import LEVELS, level_of
from gateway.dicomweb.edits.answers import AWS_DOCUMENT_LIMIT
from gateway.dicomweb.edits.by_level import NAMES, agreed, split, target_named
from gateway.dicomweb.edits.own_pixels import pixels_named
from gateway.dicomweb.edits.posted import COMPUTED
from gateway.dicomweb.targets import Target
from gateway.errors import InvalidDicomJson, InvalidDocument, InvalidUpdate, Violation
from gateway.metadata.constraints import violations
from gateway.metadata.document import read_document
from gateway.metadata.image_set import ImageSetMetadata, MetadataUpdates, Profile, UpdateDocument
from gateway.metadata.mapping import LevelPatch, to_updates
from gateway.metadata.targets import targets_of


def translate(edit: bytes, document: bytes | None, *, profile: Profile, primary: bool, force: bool) -> int:
    """Print the update an edit becomes; return 1 if `document`, its image set's metadata, shows it is forbidden.

    Raises InvalidDicomJson, InvalidUpdate, InvalidDocument.
    """
    study, updates = updates_of(edit)
    blobs = {name: encode_json(part).decode() for name, part in parts_of(updates)}
    print(json.dumps({"DICOMUpdates": blobs}, indent=2, ensure_ascii=False))
    colour = Palette(sys.stderr)
    for name, text in blobs.items():
        if (size := len(text.encode())) > AWS_DOCUMENT_LIMIT:
            print(colour("yellow", f"{name} has {size:,} bytes, and AWS takes {AWS_DOCUMENT_LIMIT:,}"), file=sys.stderr)
    if document is None:
        return 0
    metadata = metadata_of(document)
    if study and study != metadata.head.study_instance_uid:
        raise InvalidUpdate("the edit is of another study than the metadata")
    found = violations(metadata, targets_of(updates), profile=profile, primary=primary, force=force)
    for violation in found:
        print(colour("red", line_of(violation)), file=sys.stderr)
    return 1 if found else 0


def updates_of(edit: bytes) -> tuple[str, MetadataUpdates]:
    """Return the study an edit is of and its update; the edit is one patch or dataset, or an array of them.

    They are taken as STOW-RS takes them: what QIDO-RS computes is ignored, and the address of pixel data, which
    retrieved metadata have. The study is "" where they name none.

    Raises InvalidDicomJson, InvalidUpdate for an edit that is not of one image set.
    """
    patches = parse_merge_patches(edit) if edit.lstrip().startswith(b"[") else [parse_merge_patch(edit)]
    named = [(f"$[{position}]" if len(patches) > 1 else "$", patch) for position, patch in enumerate(patches)]
    targets = [(path, target_of(path, patch), patch) for path, patch in named]
    if len({target.study for _, target, _ in targets}) > 1 or len({t.series for _, t, _ in targets if t.series}) > 1:
        raise InvalidUpdate("an update is of one image set: take each study and series of the edit by itself")
    edits = agreed((path, level_edit) for path, target, patch in targets for level_edit in split(target, patch))
    updates = to_updates([LevelPatch(one.level, one.patch, one.series, one.instance) for one in edits])
    if updates.updatable is None and updates.removable is None:
        raise InvalidUpdate("the edit says what it is of, and changes nothing")
    return targets[0][1].study, updates


def target_of(path: str, patch: MergePatch) -> Target:
    """Return what a patch is of by the UIDs in it; without any it is of a study, whichever it is applied to.

    Raises InvalidDicomJson for UIDs that leave one out, and for an attribute of a level below the one named.
    """
    for tag in (COMPUTED & patch.keys()) | pixels_named(patch):
        del patch[tag]
    target = target_named(patch, Target(""), path) if patch.keys() & set(NAMES) else Target("")
    for tag in patch.keys() - set(NAMES):
        level = level_of(tag)
        if LEVELS.index(level) > LEVELS.index(target.level):
            raise InvalidDicomJson(f"{path}.{tag}", f"is of the {level.lower()}, and the edit does not name which")
    return target


def parts_of(updates: MetadataUpdates) -> Iterator[tuple[str, UpdateDocument]]:
    """Yield the members of MetadataUpdates' DICOMUpdates that there are, by the names AWS gives them."""
    if updates.updatable is not None:
        yield "updatableAttributes", updates.updatable
    if updates.removable is not None:
        yield "removableAttributes", updates.removable


def metadata_of(document: bytes) -> ImageSetMetadata:
    """Return the metadata in the answer of GetImageSetMetadata, compressed or not. Raises InvalidDocument."""
    try:
        text = gzip.decompress(document) if document.startswith(b"\x1f\x8b") else document
        return read_document(json.loads(text))
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidDocument("$", "is compressed and cut short or damaged") from error
    except (ValueError, AttributeError) as error:
        raise InvalidDocument("$", "is no JSON object") from error


def line_of(violation: Violation) -> str:
    """Return a violation for people."""
    remedy = " (force lifts this)" if violation.force_lifts else ""
    return f"{violation.rule}: {violation.message}{remedy}"
