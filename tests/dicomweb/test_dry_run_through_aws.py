"""A dry run's documents, given to the real `aws medical-imaging`, make the edit that DICOMweb would have made."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from tests.conftest import Server
from tests.dicomweb.edits import INSTANCE_UID, MERGE_PATCH, SERIES_UID, STUDY, lo, pn, ui
from tests.dicomweb.wire import STOW, multipart
from tests.healthimaging.clients import through_cli_v1
from tests.samples import ct_series

PATCHES = [
    {"00100010": pn("DOE^JANE"), "00081030": None},
    {"0020000E": ui(SERIES_UID), "0008103E": lo("LUNG")},
    {
        "0020000E": ui(SERIES_UID),
        "00080018": ui(INSTANCE_UID),
        "00091004": {"vr": "SH", "Value": ["HiSpeed"]},
        "00200037": {"vr": "DS", "Value": [1, 0, 0, 0, 1, 0]},
        "00091027": None,
    },
]


def test_a_dry_run_is_what_the_aws_cli_takes(server: Server, tmp_path: Path) -> None:
    """`updateImageSetMetadataUpdates` in a file, as it is, is the option of that name; nothing is left to edit then."""
    with httpx.Client(base_url=server.url) as client:
        client.post("/dicomweb/studies", content=multipart(ct_series(1)), headers={"Content-Type": STOW})
        tried = client.patch(f"{STUDY}/metadata?dryRun=true&force=true", json=PATCHES, headers=MERGE_PATCH).json()
        [image_set] = tried["imageSets"]
        (tmp_path / "updates.json").write_text(json.dumps(image_set["updateImageSetMetadataUpdates"]))

        answer = through_cli_v1(server.endpoint)(
            f"aws medical-imaging update-image-set-metadata --datastore-id {tried['datastoreId']}"
            f" --image-set-id {image_set['imageSetId']} --latest-version-id {image_set['latestVersionId']}"
            " --update-image-set-metadata-updates file://updates.json --force",
            tmp_path,
        )

        after = client.patch(f"{STUDY}/metadata?force=true", json=PATCHES, headers=MERGE_PATCH).json()
    assert answer["latestVersionId"] == "2"
    assert (after["studyVersion"], after["changed"]) == (2, False)
