"""The store against a plain dict: Hypothesis stores, edits, reverts and deletes, and every version has to agree."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.errors import Gone, VersionConflict
from gateway.metadata.image_set import Delete, MetadataUpdates, Revert
from gateway.store.versioned import open_store
from tests.store.edits import edit_of, instance, patient, without
from tests.store.received import sent, store_sent

Result = TypeVar("Result")

STUDY, SERIES = "1.7", "1.2.826.0.1.3680043.10.1.1"


@dataclass(frozen=True)
class Content:
    """What a version holds. instances: UID to InstanceNumber and the number it was sent with."""

    name: str
    instances: dict[str, tuple[str, int]] = field(default_factory=dict)
    deleted: bool = False


class StoreMachine(RuleBasedStateMachine):
    """One series at a time in one study; its image set is deleted and begun again now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.numbers = itertools.count(1)
        self.open()
        self.datastore_id = self.run(self.store.default_datastore()).datastore_id
        self.model: dict[str, list[Content]] = {}
        self.study_versions: list[dict[str, int]] = []
        self.current: str | None = None  # the image set that is not deleted

    def open(self) -> None:
        """Open the store, with ids that are the same in every run: Hypothesis repeats what it found."""
        self.store = self.run(open_store(self.folder, new_id=lambda: f"{next(self.numbers):032x}"))

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)

    def teardown(self) -> None:
        self.run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    # -- the model

    def append(self, image_set_id: str, content: Content) -> None:
        self.model.setdefault(image_set_id, []).append(content)
        self.study_versions.append({one: len(versions) for one, versions in self.model.items()})
        if content.deleted:
            self.current = None
        else:
            self.current = image_set_id

    def latest(self) -> tuple[str, int, Content]:
        assert self.current is not None
        versions = self.model[self.current]
        return self.current, len(versions), versions[-1]

    # -- rules

    @rule(number=st.integers(1, 6), sent_as=st.integers(1, 3))
    def store_one(self, number: int, sent_as: int) -> None:
        uid = f"1.2.{number}"
        one = sent(uid, SERIES, STUDY, InstanceNumber=str(sent_as))
        [outcome] = self.run(store_sent(self.store, self.datastore_id, [one]))
        assert outcome.error is None
        if self.current is None:
            assert outcome.image_set_id not in self.model
            self.append(outcome.image_set_id, Content("Doe^Jane", {uid: (str(sent_as), sent_as)}))
            return
        image_set_id, version, content = self.latest()
        assert outcome.image_set_id == image_set_id
        if content.instances.get(uid, ("", 0))[1] != sent_as:
            self.append(image_set_id, replace(content, instances={**content.instances, uid: (str(sent_as), sent_as)}))
            version += 1
        assert outcome.version == version

    def edit(self, change: MetadataUpdates | Revert | Delete, content: Content) -> None:
        image_set_id, version, before = self.latest()
        result = self.run(self.store.edit(edit_of(self.datastore_id, (image_set_id, version, change))))
        if content != before:
            self.append(image_set_id, content)
        assert (result.changed, result.image_sets[0].version) == (content != before, len(self.model[image_set_id]))
        assert result.study_version == len(self.study_versions)

    @precondition(lambda self: self.current)
    @rule(name=st.sampled_from(["Doe^Jane", "Roe", "Poe^山田"]))
    def edit_patient(self, name: str) -> None:
        self.edit(patient(PatientName=name), replace(self.latest()[2], name=name))

    @precondition(lambda self: self.current)
    @rule(data=st.data(), value=st.sampled_from(["1", "2", "77"]))
    def edit_instance(self, data: st.DataObject, value: str) -> None:
        content = self.latest()[2]
        uid = data.draw(st.sampled_from(sorted(content.instances)))
        after = {**content.instances, uid: (value, content.instances[uid][1])}
        self.edit(instance(uid, InstanceNumber=value), replace(content, instances=after))

    @precondition(lambda self: self.current)
    @rule(data=st.data())
    def remove_instance(self, data: st.DataObject) -> None:
        content = self.latest()[2]
        uid = data.draw(st.sampled_from(sorted(content.instances)))
        after = {other: one for other, one in content.instances.items() if other != uid}
        self.edit(without(uid), replace(content, instances=after, deleted=not after))

    @precondition(lambda self: self.current)
    @rule()
    def delete(self) -> None:
        self.edit(Delete(), replace(self.latest()[2], deleted=True))

    @precondition(lambda self: self.current)
    @rule(data=st.data())
    def revert(self, data: st.DataObject) -> None:
        image_set_id, _, _ = self.latest()
        there = [n for n, one in enumerate(self.model[image_set_id], 1) if not one.deleted]
        version = data.draw(st.sampled_from(there))
        self.edit(Revert(version), self.model[image_set_id][version - 1])

    @precondition(lambda self: self.model and not self.current)
    @rule(data=st.data())
    def bring_back(self, data: st.DataObject) -> None:
        image_set_id = data.draw(st.sampled_from(list(self.model)))
        versions = self.model[image_set_id]
        version = data.draw(st.sampled_from([n for n, one in enumerate(versions, 1) if not one.deleted]))
        self.run(self.store.edit(edit_of(self.datastore_id, (image_set_id, len(versions), Revert(version)))))
        self.append(image_set_id, versions[version - 1])

    @precondition(lambda self: self.current)
    @rule(stale=st.integers(0, 30))
    def edit_from_another_version(self, stale: int) -> None:
        image_set_id, version, _ = self.latest()
        if stale != version:
            with pytest.raises(VersionConflict):
                self.run(
                    self.store.edit(edit_of(self.datastore_id, (image_set_id, stale, patient(PatientName="never"))))
                )

    @rule()
    def reopen(self) -> None:
        self.run(self.store.close())
        self.open()

    # -- what has to hold

    @invariant()
    def every_version_is_what_it_was(self) -> None:
        self.run(self.check())

    async def check(self) -> None:
        for image_set_id, versions in self.model.items():
            history = await self.store.versions(self.datastore_id, image_set_id)
            assert [one.version for one in history] == list(range(len(versions), 0, -1))
            for version, content in enumerate(versions, 1):
                if content.deleted:
                    with pytest.raises(Gone):
                        await self.store.metadata(self.datastore_id, image_set_id, version)
                    continue
                found = await self.store.metadata(self.datastore_id, image_set_id, version)
                numbers = {uid: one["DICOM"]["InstanceNumber"] for uid, one in found.instances.items()}
                assert found.head.patient["DICOM"]["PatientName"] == content.name
                assert numbers == {uid: one[0] for uid, one in content.instances.items()}
        if self.study_versions:
            studies = await self.store.study_versions(self.datastore_id, STUDY)
            members = [{one.image_set_id: one.version for one in study.members} for study in reversed(studies)]
            assert members == self.study_versions
        feed = await self.store.changes(self.datastore_id, 0, 10_000)
        assert len(feed) == sum(map(len, self.model.values()))


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
