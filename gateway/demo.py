"""`gateway demo`: one edit end to end, in one command, over a temporary folder.

A gateway is started on a free loopback port, and everything below goes over HTTP through the routes that clients use.
The study is a real one that comes with pydicom: seven CT instances in two series.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydicom.data

from gateway.client import DICOM_JSON, Client, Reply, path_of
from gateway.commands.connect import in_background
from gateway.commands.import_files import Found, send
from gateway.commands.serve import address_of, listen
from gateway.commands.terminal import Palette, plural
from gateway.commands.versions import show_diff, show_history
from gateway.errors import Refused
from gateway.settings import Settings

STUDY_FOLDER = Path(pydicom.data.__file__).parent / "test_files" / "dicomdirtests" / "98892001"

PATIENT_NAME, STUDY_INSTANCE_UID = "00100010", "0020000D"

# In the DICOM JSON Model (PS3.18 Annex F). Patient and study attributes in one edit: each finds its own level.
CORRECTION = {
    PATIENT_NAME: {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane", "Ideographic": "土井^ジェーン"}]},
    "00081030": {"vr": "LO", "Value": ["CT of the head"]},
}
PROTECTED = {"00200010": {"vr": "SH", "Value": ["2026-17"]}}


def demo() -> int:
    """Run the demo and return 0. Raises what the gateway refuses where the demo does not expect it to."""
    with (
        tempfile.TemporaryDirectory(prefix="gateway-demo-") as folder,
        listen("127.0.0.1", 0) as listener,
        in_background(Settings(data=Path(folder)), listener),
        Client(address_of(listener)) as server,
        Client(f"{address_of(listener)}/dicomweb") as dicomweb,
    ):
        Demo(server, dicomweb).run()
    return 0


class Demo:
    """The steps, in order. server: the HealthImaging API's root; dicomweb: the DICOMweb root."""

    def __init__(self, server: Client, dicomweb: Client) -> None:
        self.server = server
        self.dicomweb = dicomweb
        self.colour = Palette(sys.stdout)
        self.steps = 0
        self.study = self.etag = ""

    def run(self) -> None:
        print(f"A gateway listens on {self.server.root}, over an empty folder.")
        self.store()
        self.find()
        image_set = self.dry_run()
        self.correct()
        self.refuse_and_force()
        self.show_versions()
        self.revert()
        self.ask_healthimaging(image_set)
        print("\nDone. To start it on a folder of your own: gateway serve (docs/quick-start.md).")

    def store(self) -> None:
        files = sorted(path for path in STUDY_FOLDER.rglob("*") if path.is_file())
        self.step(f"Store a CT study, {len(files)} instances, with STOW-RS", "POST /studies")
        found = [Found(number, str(path), path.stat().st_size) for number, path in enumerate(files)]
        stored = send(self.dicomweb, found).json()["00081199"]["Value"]
        print(f"{plural(len(stored), 'instance')} stored.")

    def find(self) -> None:
        self.step("Find it with QIDO-RS", "GET /studies?PatientID=98890234")
        (study,) = self.dicomweb.get("/studies", PatientID="98890234")
        self.study = study[STUDY_INSTANCE_UID]["Value"][0]
        for tag, name in ((PATIENT_NAME, "PatientName"), (STUDY_INSTANCE_UID, "StudyInstanceUID")):
            print(f"{name}: {json.dumps(study[tag]['Value'][0], ensure_ascii=False)}")

    def dry_run(self) -> str:
        """Show what the correction would be; return the id of an image set it touches."""
        self.step("Ask what a correction would become", "PATCH …/metadata?dryRun=true", CORRECTION)
        dry_run = self.patch(CORRECTION, dryRun="true").json()
        touched = dry_run["imageSets"]
        print(f"It would touch {plural(len(touched), 'image set')}, each with this SchemaVersion 1.1 document:")
        print(json.dumps(touched[0]["updates"]["updatableAttributes"], indent=2, ensure_ascii=False))
        return str(touched[0]["imageSetId"])

    def correct(self) -> None:
        self.step("Make it", "PATCH …/metadata?reason=…")
        reply = self.patch(CORRECTION, reason="the name was misspelt")
        print(f"Version {reply.json()['version']} of the study, ETag {reply.headers['etag']}.")
        self.etag = reply.headers["etag"]

    def refuse_and_force(self) -> None:
        self.step("Change what HealthImaging protects", "PATCH …/metadata", PROTECTED)
        try:
            self.patch(PROTECTED)
        except Refused as refused:
            print(f"{self.colour('red', 'Refused')}, {refused.status}:")
            for violation in refused.problem["violations"]:
                lifts = "force lifts it" if violation["forceLifts"] else "force does not lift it"
                print(f"  {violation['rule']}: {violation['message']} ({lifts})")
        else:
            raise AssertionError("an edit of StudyID passed without force")
        self.step("Insist, from the version that was read", "PATCH …?force=true&reason=…, If-Match")
        reply = self.patch(PROTECTED, {"If-Match": self.etag}, force="true", reason="the order was renumbered")
        print(f"{self.colour('green', 'Accepted')}: version {reply.json()['version']}.")

    def show_versions(self) -> None:
        self.step("List the versions", "GET …/versions")
        show_history(self.dicomweb.get(f"{path_of(self.study)}/versions"), self.colour)
        self.step("Compare two", "GET …/diff?from=1&to=3")
        show_diff(self.dicomweb.get(f"{path_of(self.study)}/diff", **{"from": 1, "to": 3}), self.colour)

    def revert(self) -> None:
        self.step("Go back: a new version with the content of an old one", "POST …/revert?to=1")
        query = {"to": 1, "reason": "it was the other patient"}
        result = self.dicomweb.request("POST", f"{path_of(self.study)}/revert", query=query).json()
        same = self.dicomweb.get(f"{path_of(self.study)}/diff", **{"from": 1, "to": result["version"]})["changes"] == []
        print(f"Version {result['version']}, {'the same as' if same else 'NOT the same as'} version 1.")

    def ask_healthimaging(self, image_set: str) -> None:
        self.step("Read the same history through the HealthImaging API", "ListImageSetVersions")
        (datastore,) = self.server.get("/datastore")["datastoreSummaries"]
        path = f"/datastore/{datastore['datastoreId']}/imageSet/{image_set}/listImageSetVersions"
        versions = self.server.request("POST", path).json()["imageSetPropertiesList"]
        print(f"Image set {image_set}:")
        for version in versions:
            forced = " forced" if version.get("overrides", {}).get("forced") else ""
            print(
                f"  version {version['versionId']}  {version['ImageSetWorkflowStatus']}{self.colour('yellow', forced)}"
            )

    def patch(self, edit: Mapping[str, Any], headers: Mapping[str, str] | None = None, **query: str) -> Reply:
        """Send an edit of the study."""
        body = [{STUDY_INSTANCE_UID: {"vr": "UI", "Value": [self.study]}, **edit}]
        return self.dicomweb.request(
            "PATCH",
            f"{path_of(self.study)}/metadata",
            json.dumps(body).encode(),
            query=query,
            headers={"Content-Type": DICOM_JSON, **(headers or {})},
        )

    def step(self, title: str, request: str, body: object = None) -> None:
        """Announce a step: what it does, the request it makes, and its body."""
        self.steps += 1
        print(f"\n{self.colour('bold', f'{self.steps}. {title}')}  {self.colour('dim', request)}")
        if body is not None:
            print(self.colour("cyan", json.dumps(body, ensure_ascii=False)))
