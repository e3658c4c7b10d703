"""Medians over repeats, and targets judged by them."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.cases import Target
from harness.measure import Row

MET, MISSED, OPEN = "met", "MISSED", "not measured"


@dataclass(frozen=True)
class Summary:
    """A case's repeats: medians of CPU seconds and MiB, with the extremes of the seconds."""

    status: str
    repeats: int
    cpu: float
    least: float
    most: float
    peak: float
    found: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    def value(self, name: str) -> float:
        """Return a figure by name: medians of cost, or what was found."""
        return float(getattr(self, name) if name in ("cpu", "peak") else self.found[name])


def summarise(rows: Iterable[Row]) -> dict[str, Summary]:
    """Summaries by case. What was found is a median too; words are those of the first repeat."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.case].append(row)
    return {case: _summarise(group) for case, group in groups.items()}


def _summarise(group: list[Row]) -> Summary:
    good = [row for row in group if row.status == "ok"]
    if not good:
        last = group[-1]
        return Summary(last.status, 0, last.cpu, last.cpu, last.cpu, math.nan, note=last.note)
    seconds = [row.cpu for row in good]
    found: dict[str, Any] = {}
    for name, first in (good[0].found or {}).items():
        values = [(row.found or {})[name] for row in good]
        found[name] = first if isinstance(first, str) else statistics.median(values)
    peak = statistics.median(row.peak for row in good)
    return Summary("ok", len(good), statistics.median(seconds), min(seconds), max(seconds), peak, found)


@dataclass(frozen=True)
class Judged:
    """A target beside what was measured: the figure in words, and whether it is met."""

    target: Target
    value: float
    measured: str
    verdict: str


def judge(target: Target, summaries: Mapping[str, Summary]) -> Judged:
    """Compare. Where a package was ended at its limit, the figure is a bound, and met if the bound alone meets it."""
    keys = [key for key in (target.of, target.per) if key]
    for key in keys:
        if key not in summaries:
            return Judged(target, math.nan, "not in this run", OPEN)
        status = summaries[key].status
        if status != "ok" and not (status == "over" and key == target.of and target.name == "cpu"):
            return Judged(target, math.nan, summaries[key].note, OPEN)
    value = summaries[target.of].value(target.name)
    if target.per:
        value /= summaries[target.per].value(target.name)
    if target.gap:
        value = abs(value - 1)
    bound = summaries[target.of].status == "over"
    enough = (target.least is None or value >= target.least) and (target.most is None or value <= target.most)
    if bound and not (enough and target.least is not None):
        verdict = OPEN if target.most is None else MISSED
    else:
        verdict = MET if enough else MISSED
    return Judged(target, value, f"{'more than ' if bound else ''}{figure(value)} {target.unit}".strip(), verdict)


def figure(value: float) -> str:
    """Write a number with about three digits."""
    if math.isnan(value):
        return "–"
    if value and abs(value) < 1e-3:
        return f"{value:.1e}"
    if abs(value) >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
