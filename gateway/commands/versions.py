"""`gateway history`, `diff` and `revert`: the versions of a study or series, for people and as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.client import Client, path_of
from gateway.commands.terminal import Palette, plural, printable
from gateway.errors import NotFound

# The widest a value of a diff is shown; --json has all of it.
_WIDEST = 100


def history(client: Client, study: str, series: str | None, *, as_json: bool) -> int:
    """Print the versions, newest first; return 0. Raises Refused."""
    versions = client.get(f"{path_of(study, series)}/versions")
    if as_json:
        print(json.dumps(versions, indent=2, ensure_ascii=False))
    else:
        show_history(versions, Palette(sys.stdout))
    return 0


def diff(
    client: Client, study: str, series: str | None, before: int | None, after: int | None, *, as_json: bool
) -> int:
    """Print what changed between two versions; return 0. Raises Refused, NotFound where there is but one version."""
    resource = path_of(study, series)
    if after is None:
        after = int(client.get(f"{resource}/versions")[0]["version"])
    if before is None:
        before = after - 1
    if before == 0:
        raise NotFound("version", "0, the one before the first,")
    found = client.get(f"{resource}/diff", **{"from": before, "to": after})
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        show_diff(found, Palette(sys.stdout))
    return 0


def revert(client: Client, study: str, series: str | None, query: Mapping[str, object], *, as_json: bool) -> int:
    """Make a version with the content of `query["to"]`, print which; return 0. Raises Refused."""
    # Of whatever is current, which is also what a gateway that takes no edit without If-Match is told.
    result = client.request("POST", f"{path_of(study, series)}/revert", query=query, headers={"If-Match": "*"}).json()
    if as_json:
        print(json.dumps(result, indent=2, ensure_ascii=False))
    elif result["changed"]:
        print(f"Version {result['version']} has the content of version {query['to']}.")
    else:
        print(f"Version {result['version']} has the content of version {query['to']} already: nothing was changed.")
    return 0


def show_history(versions: Sequence[Mapping[str, Any]], colour: Palette) -> None:
    """Print versions as a list, newest first as they come."""
    for version in versions:
        marks = colour("yellow", " forced") if version["forced"] else ""
        when = str(version["updatedAt"])[:19].replace("T", " ")
        number = colour("bold", f"version {version['version']}")
        print(f"{number}  {when}  {version['who']}  {version['action']}{marks}")
        if version["reason"]:
            print(f"    {version['reason']}")
        changed = what_changed(version["changed"])
        if changed:
            print(colour("dim", f"    {changed}"))


def what_changed(changed: Mapping[str, Any]) -> str:
    """Return a version's summary on a line: `Patient: PatientName; Instance: 00191010, in 3 instances`."""
    levels = [f"{level}: {', '.join(keys)}" for level, keys in changed["levels"].items() if keys]
    count = f", in {plural(changed['instances'], 'instance')}" if changed["instances"] else ""
    return "; ".join(levels) + count if levels else count.removeprefix(", in ")


def show_diff(found: Mapping[str, Any], colour: Palette) -> None:
    """Print the changes of a diff by level: what was in red, what is in green."""
    heading = ""
    for change in found["changes"]:
        where = " ".join(filter(None, [change["level"], change["sopInstanceUID"] or change["seriesInstanceUID"]]))
        if where != heading:
            print(colour("bold", where))
            heading = where
        name = " ".join(filter(None, [tag_of(change["tag"]), change["vr"], change["keyword"]]))
        print(colour("cyan", f"  {name}" if name else "  the instance"))
        if change["before"] is not None:
            print(colour("red", f"  - {value_of(change['before'])}"))
        if change["after"] is not None:
            print(colour("green", f"  + {value_of(change['after'])}"))
    if not found["changes"]:
        print(f"Versions {found['from']} and {found['to']} are the same.")


def tag_of(tag: str | None) -> str:
    """Return a tag as people write it: (0010,0010)."""
    return f"({tag[:4]},{tag[4:]})" if tag else ""


def value_of(element: Mapping[str, Any]) -> str:
    """Return the value of a DICOM JSON element on one line, cut where a line gets too long."""
    values = element.get("Value")
    if values is None:
        other = {key: value for key, value in element.items() if key != "vr"}
        text = json.dumps(other, ensure_ascii=False) if other else "(empty)"
    else:
        text = "\\".join(text_of(value) for value in values)
    text = printable(text)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def text_of(value: Any) -> str:
    """Return one value: a person name as A=I=P, an item as JSON."""
    if isinstance(value, dict) and value.keys() <= {"Alphabetic", "Ideographic", "Phonetic"}:
        groups = [str(value.get(group, "")) for group in ("Alphabetic", "Ideographic", "Phonetic")]
        return "=".join(groups).rstrip("=")
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)
