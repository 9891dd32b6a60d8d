"""`gateway verify`: whether a data folder is sound, for people and as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

from gateway.commands.terminal import Palette, plural, printable
from gateway.store.verify import Level, Verified, verify


def verify_folder(folder: Path, level: Level, *, as_json: bool) -> int:
    """Print every damage in a data folder; return 0 where there is none, else 1. Raises as `verify` does."""
    found = asyncio.run(verify(folder, level))
    if as_json:
        print(json.dumps(asdict(found), indent=2))
    else:
        show(found, Palette(sys.stdout))
    return 1 if found.damage else 0


def show(found: Verified, colour: Palette) -> None:
    """Print a line for each damage, and then what was looked at."""
    for damage in found.damage:
        print(f"{colour('red', 'damaged')}  {printable(damage)}")
    read = [plural(found.image_sets, "image set"), plural(found.versions, "version")]
    read += [plural(found.instances, "stored instance"), f"{plural(found.bytes_read, 'byte')} of them read"]
    outcome = f"{len(found.damage):,} damaged" if found.damage else "sound"
    print(f"{', '.join(read)}: {outcome}")
    if found.unnamed:
        print(f"{plural(found.unnamed, 'pack')} that nothing refers to: a crash leaves such, and they do no harm")
