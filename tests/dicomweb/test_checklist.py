"""Every line of the DICOMweb checklist is a test: N negotiation, S store, Q search, W retrieve.

The lines are what PS3.18 asks of an origin server and where real clients and peers are known to break. A test names
those it proves in its docstring, "N8" or "Q7 to Q11"; here they are written out, so that none goes missing.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

LINES = {
    "N1": "accept as a parameter, then the header by quality, then the default",
    "N2": "a supported parameter with a bad value is 400",
    "N3": "quality values and wildcards",
    "N4": "case and quotes of parameters",
    "N5": "several media ranges are tried in turn",
    "N6": "transfer-syntax twice in one range",
    "N7": "no Accept at all, nothing acceptable, a mix of DICOM and rendered types",
    "N8": "no transfer-syntax, and the wildcard",
    "N9": "what would overflow a length when transcoded",
    "N10": "a single part of an instance only",
    "N11": "JSON is one array, XML one part for each object",
    "N12": "a single picture of one image only",
    "N13": "the Content-Type of a multipart and of its parts",
    "N14": "OPTIONS and CORS",
    "S1": "the two paths",
    "S2": "spellings of a multipart body of PS3.10 files",
    "S3": "metadata with bulk data",
    "S4": "pixel descriptions left out for compressed parts",
    "S5": "a single part",
    "S6": "chunked bodies",
    "S7": "statuses",
    "S8": "the response dataset",
    "S9": "a part that cannot be parsed",
    "S10": "another study than that of the path",
    "S11": "the same instance again",
    "S12": "Original Attributes Sequence of what was coerced",
    "S13": "the preamble",
    "S14": "the address behind a proxy",
    "Q1": "the six paths",
    "Q2": "the parameters every origin server supports",
    "Q3": "attribute IDs",
    "Q4": "what is not supported is ignored, with a warning",
    "Q5": "limit and offset",
    "Q6": "too many matches",
    "Q7": "wild cards",
    "Q8": "ranges",
    "Q9": "lists of UIDs",
    "Q10": "empty and multiple value matching",
    "Q11": "fuzzy matching",
    "Q12": "includefield",
    "Q13": "required matching keys",
    "Q14": "what is always returned",
    "Q15": "the JSON model",
    "Q16": "the time zone, and UTF-8",
    "Q17": "statuses",
    "W1": "resources and statuses",
    "W2": "metadata",
    "W3": "BulkDataURI",
    "W4": "ranges of bulk data",
    "W5": "frame numbers",
    "W6": "media types of frames",
    "W7": "rendered",
    "W8": "thumbnails",
    "W9": "what is not there",
    "W10": "validators",
    "W11": "edited values",
    "W12": "WADO-URI",
}

TESTS = Path(__file__).parents[1]


def named() -> dict[str, set[str]]:
    """Return by line the tests whose docstring names it, a range such as "N3 to N7" written out."""
    found: dict[str, set[str]] = {}
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                text = ast.get_docstring(node) or ""
                for letter, first, last in re.findall(r"\b([NSQW])(\d+)(?: to \1(\d+))?", text):
                    for number in range(int(first), int(last or first) + 1):
                        found.setdefault(f"{letter}{number}", set()).add(f"{path.stem}.{node.name}")
    return found


NAMED = named()


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_checklist_is_a_test(line: str) -> None:
    """Some test says that it proves the line."""
    assert NAMED.get(line), LINES[line]


def test_no_test_names_a_line_that_is_none() -> None:
    """A typing error would count for nothing."""
    assert NAMED.keys() <= LINES.keys()
