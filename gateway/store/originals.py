"""Original Attributes Sequence (0400,0561) of the instances an edit touches, where the settings ask for it.

An attribute of Patient, Study or Series is an attribute of every instance, so with this setting an edit of one writes
into all of them.
"""

from __future__ import annotations

from gateway.dicom.dataset import Dataset
from gateway.metadata.apply import Applied
from gateway.metadata.image_set import Head, ImageSetMetadata, InstanceMetadata
from gateway.metadata.mapping import to_dataset
from gateway.metadata.original_attributes import (
    SYSTEM,
    add_original_attributes,
    original_attributes_item,
    prior_values,
)
from gateway.store.study_rows import Occasion


def record_originals(
    before: ImageSetMetadata, applied: Applied, occasion: Occasion
) -> dict[str, tuple[str, InstanceMetadata] | None]:
    """Return the instances as `Applied` has them, those that keep prior values added and with these in them.

    before: version N with all its instances.
    """
    above = prior_values(_dataset(before.head), _dataset(applied.head))
    recorded: dict[str, tuple[str, InstanceMetadata] | None] = {}
    for uid, instance in before.instances.items():
        edited = applied.instances.get(uid, (uid, instance))
        if edited is None:
            recorded[uid] = None
            continue
        now, metadata = edited
        own = {} if metadata is instance else prior_values(to_dataset(instance), to_dataset(metadata))
        if above or own:
            item = original_attributes_item(
                {**above, **own},
                when=occasion.at,
                system=SYSTEM,
                source=occasion.provenance.source_of_previous_values or "",
                reason=occasion.provenance.reason_for_modification or "CORRECT",
            )
            recorded[uid] = now, add_original_attributes(metadata, item)
    return recorded


def _dataset(head: Head) -> Dataset:
    return to_dataset(head.patient, head.study, head.series)
