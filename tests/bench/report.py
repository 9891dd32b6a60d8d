"""The results as JSON for keeping, a table for reading, and plots."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from tests.bench.figures import FIGURES, LIMIT_UNITS, LIMITS, Figure
from tests.bench.pace import PACE


@dataclass(slots=True)
class Results:
    """What a run measured. rounds: by product ("limits" for the machine) and key, one value a round.

    growth: by what grows, points of (how much of it, milliseconds of an edit).
    """

    about: dict[str, str]
    rounds: dict[str, dict[str, list[float]]]
    growth: dict[str, list[tuple[float, float]]]

    def add(self, product: str, measured: Mapping[str, float]) -> None:
        for key, value in measured.items():
            self.rounds.setdefault(product, {}).setdefault(key, []).append(value)

    def add_earlier(self, earlier: Results) -> None:
        """Take over what this run did not measure. A ratio is made of one run's values: a group is measured whole."""
        for product, figures in earlier.rounds.items():
            own = self.rounds.setdefault(product, {})
            own.update({key: values for key, values in figures.items() if key not in own})
        for title, points in earlier.growth.items():
            self.growth.setdefault(title, points)
        self.about["the searches, measured in a run of their own"] = ", ".join(
            f"{name} {text}"
            for name, text in earlier.about.items()
            if name.startswith(("when", "rounds", "load", PACE))
        )

    def values(self, product: str, key: str) -> list[float]:
        return self.rounds.get(product, {}).get(key, [])

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several rounds with the least and the most."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{number(self.median)} ({number(self.least)}–{number(self.most)})"


def spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values))


def number(value: float) -> str:
    """Return a number as the table shows it: three digits that count."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratios(of: Sequence[float], to: Sequence[float]) -> Spread | None:
    """Return the quotients, round by round: what disturbs one round disturbs both. None where one is missing."""
    pairs = [one / other for one, other in zip(of, to, strict=False) if other]
    return spread(pairs) if pairs else None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table. times: as good as Orthanc; share: of what it is held against; bare: of a bare server's."""

    figure: Figure
    gateway: Spread
    orthanc: Spread | None
    times: Spread | None
    share: Spread | None
    bare: Spread | None

    @property
    def verdicts(self) -> list[tuple[str, bool]]:
        """Return each target of the figure that could be judged, and whether it is met."""
        figure, found = self.figure, list[tuple[str, bool]]()
        if figure.of_orthanc is not None and self.times:
            found.append((f"≥ {figure.of_orthanc:g} × Orthanc", self.times.median >= figure.of_orthanc))
        if figure.share is not None and self.share:
            more = figure.better == "more"
            met = self.share.median >= figure.share if more else self.share.median <= figure.share
            found.append((f"{'≥' if more else '≤'} {figure.share:g} × {figure.against}", met))
        if figure.most is not None:
            found.append((f"≤ {figure.most:g} {figure.unit}", self.gateway.median <= figure.most))
        return found


def lines(results: Results) -> list[Line]:
    """Return the lines of the figures that were measured."""
    found: list[Line] = []
    for figure in FIGURES:
        mine, theirs = results.values("gateway", figure.key), results.values("Orthanc", figure.key)
        if not mine:
            continue
        against = results.values("limits", figure.against) or results.values("gateway", figure.against)
        pair = (mine, theirs) if figure.better == "more" else (theirs, mine)
        orthanc = spread(theirs) if theirs else None
        bare = ratios(mine, results.values("limits", figure.bare))
        found.append(Line(figure, spread(mine), orthanc, ratios(*pair), ratios(mine, against), bare))
    return found


_HEADER = """\
| work | unit | gateway | Orthanc | times as good as Orthanc | against | share of it | of a bare server | target |
|---|---|---|---|---|---|---|---|---|
"""


def table(results: Results) -> str:
    """Return the table in Markdown: medians, with the least and the most of the rounds in brackets."""
    return _HEADER + "".join(f"| {' | '.join(_cells(line))} |\n" for line in lines(results))


def _cells(line: Line) -> list[str]:
    figure = line.figure
    verdicts = "; ".join(f"{target}: {'met' if met else '**not met**'}" for target, met in line.verdicts)
    return [
        figure.title,
        figure.unit,
        str(line.gateway),
        str(line.orthanc or "–"),
        str(line.times or "–"),
        LIMITS.get(figure.against, figure.against) or "–",
        str(line.share or "–") if figure.against else "–",
        str(line.bare or "–"),
        verdicts or "–",
    ]


def limits_table(results: Results) -> str:
    """Return what the machine can do, in Markdown."""
    rows = [
        f"| {title} | {spread(values)} | {LIMIT_UNITS.get(key, 'instances/s')} |\n"
        for key, title in LIMITS.items()
        if (values := results.values("limits", key))
    ]
    return "| the machine's own limit | measured | unit |\n|---|---|---|\n" + "".join(rows)


def missed(results: Results) -> list[str]:
    """Return the targets that are not met, a sentence each."""
    return [
        f"{line.figure.title}: {target}, measured {_measured(line, target)}"
        for line in lines(results)
        for target, met in line.verdicts
        if not met
    ]


def _measured(line: Line, target: str) -> str:
    if "Orthanc" in target:
        return f"{line.times} times"
    return str(line.share) if " × " in target else f"{line.gateway} {line.figure.unit}"


# -- plots

_WIDTH, _HEIGHT, _LEFT, _TOP, _BAR = 880, 260, 450, 34, 22


def bars_svg(results: Results) -> str:
    """Return a plot of how many times as good as Orthanc each figure is, on a logarithmic scale."""
    shown = [(line.figure.title, line.times) for line in lines(results) if line.times]
    if not shown:
        return _svg(_WIDTH, _TOP * 2, [_text(_WIDTH / 2, _TOP, "Orthanc was not measured", "middle")])
    most = max(10.0, *(times.most for _, times in shown))
    least = min(0.1, *(times.least for _, times in shown))

    def across(value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - 70) * _log(value / least) / _log(most / least)

    pieces = [_text(_LEFT, 18, "times as good as Orthanc, logarithmic; the line is 1", "start")]
    for place, (title, times) in enumerate(shown):
        y = _TOP + place * _BAR
        left, right = sorted((across(1), across(times.median)))
        colour = "#2a7f62" if times.median >= 1 else "#b5473c"
        pieces += [
            _text(_LEFT - 8, y + 14, title, "end"),
            f'<rect x="{left:.1f}" y="{y + 3}" width="{max(1, right - left):.1f}" height="14" fill="{colour}"/>',
            _line(across(times.least), y + 10, across(times.most), y + 10),
            _text(max(right, across(times.most)) + 5, y + 14, number(times.median), "start"),
        ]
    bottom = _TOP + len(shown) * _BAR
    return _svg(_WIDTH, bottom + 10, [*pieces, _line(across(1), _TOP, across(1), bottom)])


def growth_svg(title: str, points: Sequence[tuple[float, float]]) -> str:
    """Return a plot of the milliseconds of an edit against what grows, which is drawn logarithmically."""
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    most = max(y for _, y in points) * 1.25
    left, right, top, bottom = 60, _WIDTH - 30, 40, _HEIGHT - 40

    def place(x: float, y: float) -> tuple[float, float]:
        along = _log(x / first) / _log(last / first) if last > first else 0.5
        return left + (right - left) * along, bottom - (bottom - top) * y / most

    places = [place(*point) for point in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    pieces = [
        _text(left, 20, f"milliseconds of an edit against {title}", "start"),
        _line(left, bottom, right, bottom),
        _line(left, top, left, bottom),
        f'<polyline points="{path}" fill="none" stroke="#2a7f62" stroke-width="2"/>',
    ]
    for (x, y), (much, ms) in zip(places, points, strict=True):
        pieces += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#2a7f62"/>',
            _text(x, y - 8, number(ms), "middle"),
            _text(x, bottom + 16, f"{much:,.0f}", "middle"),
        ]
    return _svg(_WIDTH, _HEIGHT, pieces)


def _log(value: float) -> float:
    return math.log10(value)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#444"/>'


def _svg(width: float, height: float, pieces: Sequence[str]) -> str:
    style = 'font-family="sans-serif" font-size="11" fill="#222"'
    body = "\n".join(pieces)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" {style}>\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )
