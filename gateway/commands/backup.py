"""`gateway backup`: a copy of a data folder, for people and as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from gateway.commands.terminal import plural
from gateway.store.backup import backup


def backup_folder(folder: Path, target: Path, previous: Path | None, *, as_json: bool) -> int:
    """Copy a data folder, print what was copied; return 0, or 1 where packs are missing. Raises as `backup` does."""
    done = backup(folder, target, previous)
    if as_json:
        print(json.dumps(asdict(done), indent=2))
    else:
        linked = f", {done.linked:,} of them linked" if done.linked else ""
        print(f"Copied the database and {plural(done.packs, 'pack')}{linked} to {target}.")
    for pack in done.missing:
        print(f"gateway: pack {pack} is not there: `gateway verify` says what else is damaged", file=sys.stderr)
    return 1 if done.missing else 0
