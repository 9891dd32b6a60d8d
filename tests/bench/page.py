"""docs/performance.md: the parts between its markers are rewritten from a run, the rest is a person's."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.bench.report import Results, bars_svg, growth_svg, limits_table, missed, table

DOCS = Path(__file__).parents[2] / "docs"


def write_docs(results: Results, equal: Results | None, docs: Path = DOCS) -> None:
    """Put a run into docs/performance.md, and its values and plots into docs/performance/."""
    folder = docs / "performance"
    folder.mkdir(exist_ok=True)
    kept = {"results": results.to_json(), "equal_durability": equal.to_json() if equal else None}
    (folder / "results.json").write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    (folder / "against-orthanc.svg").write_text(bars_svg(results), "utf-8")
    for title, points in results.growth.items():
        if points:
            (folder / plot_name(title)).write_text(growth_svg(title, points), "utf-8")
    page = docs / "performance.md"
    page.write_text(with_results(page.read_text("utf-8"), results, equal), "utf-8")


def plot_name(title: str) -> str:
    return f"edits-by-{title.split()[0]}.svg"


def with_results(page: str, results: Results, equal: Results | None) -> str:
    """Return the page with the run's results between its markers."""
    sections = {
        "about": "".join(f"- {name}: {value}\n" for name, value in results.about.items()),
        "table": table(results),
        "limits": limits_table(results),
        "missed": "".join(f"- {sentence}\n" for sentence in missed(results)) or "None: every target is met.\n",
        "equal": table(equal) if equal else "Not measured in this run.\n",
        "plots": _plots(results),
    }
    for name, text in sections.items():
        page = _between(page, name, text)
    return page


def _plots(results: Results) -> str:
    shown = [("how many times as good as Orthanc", "against-orthanc.svg")]
    shown += [(f"an edit against {title}", plot_name(title)) for title, points in results.growth.items() if points]
    return "".join(f"![{alternative}](performance/{name})\n\n" for alternative, name in shown)


def _between(page: str, name: str, text: str) -> str:
    """Return the page with text between `<!-- name -->` and `<!-- end of name -->`."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    if begin not in page or end not in page:
        raise ValueError(f"the page has no {begin} … {end}")
    return re.sub(
        re.escape(begin) + ".*?" + re.escape(end), lambda _: f"{begin}\n\n{text.strip()}\n\n{end}", page, flags=re.S
    )
