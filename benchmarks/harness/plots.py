"""Pictures of growth, on log axes, written whole."""

from __future__ import annotations

import os
import textwrap
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.cases import Case, growing
from harness.results import Summary

COLOURS = {"predclv": "#0b5394", "lifetimes": "#c0504d", "clvkit": "#e69f00", "pymc-marketing": "#6a3d9a"}
MARKERS = {"predclv": "o", "lifetimes": "s", "clvkit": "^", "pymc-marketing": "D"}


def draw_growth(cases: Sequence[Case], summaries: Mapping[str, Summary], folder: Path) -> list[tuple[str, str]]:
    """Draw CPU and memory by customers, and by draws; the file and caption of each picture there is."""
    drawn = [case for case in cases if case.key in summaries and summaries[case.key].status in ("ok", "over")]
    customers = growing(drawn)
    draws = [case for case in drawn if case.subject == "Growth" and case.draws]
    pictures = []
    for name, caption, label, some, size in (
        ("growth-cpu.png", "CPU seconds by number of customers", "CPU seconds", customers, "customers"),
        ("growth-memory.png", "Peak memory by number of customers", "MiB", customers, "customers"),
        ("growth-draws.png", "CPU seconds and peak memory by number of draws", "", draws, "draws"),
    ):
        if some:
            _draw(name, label, some, summaries, size, folder)
            pictures.append((name, caption))
    return pictures


def _draw(
    name: str, label: str, cases: Sequence[Case], summaries: Mapping[str, Summary], size: str, folder: Path
) -> None:
    from matplotlib.figure import Figure

    panels: dict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in cases:
        for shown in [label] if label else ["CPU seconds", "MiB"]:
            panels[case.what, shown].append(case)
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(4.1 * columns, 3.3 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, ((what, shown), some) in zip(axes, panels.items(), strict=False):
        _panel(ax, what, shown, some, summaries, size)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    target, part = folder / name, folder / f".{name}.part"
    # Without a date and a version, equal figures are equal files.
    figure.savefig(part, format="png", dpi=100, metadata={"Software": None})
    os.replace(part, target)


def _panel(ax: Any, what: str, shown: str, cases: Sequence[Case], summaries: Mapping[str, Summary], size: str) -> None:
    series: dict[str, list[tuple[int, float, bool]]] = defaultdict(list)
    for case in cases:
        one = summaries[case.key]
        over = one.status == "over"
        if not (over and shown == "MiB"):
            value = one.cpu if shown == "CPU seconds" else one.peak
            series[case.who].append((getattr(case, size), value, over))
    for who, points in series.items():
        known = sorted(point[:2] for point in points if not point[2])
        ax.plot(*zip(*known, strict=True), color=COLOURS[who], marker=MARKERS[who], ms=5, lw=1.5, label=who)
        for at, value, _ in (point for point in points if point[2]):
            ax.plot(at, value, color=COLOURS[who], marker=r"$\uparrow$", ms=11, ls="none")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_title(textwrap.fill(what, 40), fontsize=9, loc="left")
    ax.set_xlabel(size, fontsize=9)
    ax.set_ylabel(shown, fontsize=9)
    ax.tick_params(which="both", labelsize=8)
    ax.grid(alpha=0.25, which="major")
    ax.legend(fontsize=8, frameon=False)
