"""The page of results: every target beside what was measured, then what other packages take, growth, and all rows."""

from __future__ import annotations

import datetime
import math
import os
import platform
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from harness.cases import OURS, Case, Recorded, Target, growing
from harness.results import MISSED, OPEN, Summary, figure, judge

PACKAGES = ("predclv", "lifetimes", "clvkit", "pymc-marketing", "pymc", "numpy", "scipy", "pandas", "numba", "duckdb")

INTRODUCTION = """# Results of the benchmarks

{command} on {machine}; {date}.

{versions}.

- Each measurement is a process of its own. **CPU** is the seconds of all its threads and of the processes it waited
  for, the median of the repeats named; **memory** is the most that the process held, imports and data included.
- Times are of the task alone, after a small one that reads compiled code, unless a line says "first", "program" or
  "from its start"; `predclv score`, `decide`, `monitor`, and queries from Parquet to Parquet are whole programs.
- A fit begins with a summary made anew, so that merging equal histories is part of it.
- Other work shared the machine. That leaves CPU seconds as they are but for caches and clock rates: ratios repeat to
  about a third, those of samplers to a factor of two.
- Simulated customers are BG/NBD's with Gamma-Gamma spend unless a line says otherwise; CDNOW is the log that comes with
  lifetimes.
"""

ABOUT_TARGETS = """\
A figure "held by" a test is not measured here: it is what was found when the test was written, and the test fails where
the target is not kept. One that is "told" came of the script named, on the day named, and was not run again here."""


def machine() -> str:
    """Cores, memory and processor, without names."""
    cores, memory, model = os.cpu_count() or 1, "", platform.machine()
    info = Path("/proc/meminfo")
    if info.is_file():
        memory = f", {int(info.read_text().split()[1]) / 2**20:.0f} GiB of memory"
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return f"{cores} cores ({model}){memory}, {platform.system()}"


def versions() -> str:
    """Of Python and the packages, those that are missing named."""
    told = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            told.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            told.append(f"**{name} is not installed**")
    return ", ".join(told)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Write a table of Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows), ""]


def write_page(
    cases: Sequence[Case],
    targets: Sequence[Target],
    held: Sequence[Recorded],
    long: Sequence[Recorded],
    summaries: Mapping[str, Summary],
    *,
    command: str,
    note: str = "",
    pictures: Sequence[tuple[str, str]] = (),
    date: datetime.date | None = None,
) -> str:
    """Return the page.

    Parameters
    ----------
    cases, targets
        Of all scripts, whether measured or not.
    held, long
        Figures held by tests, and those of long runs; of the latter only those whose case was not measured are told.
    summaries
        By key of case.
    command : str
        What made the rows.
    note : str
        A sentence on how the run was made.
    pictures
        File and caption of each.
    date : datetime.date, optional
        Default: today.
    """
    long = [one for one in long if one.case not in summaries]
    date = date or datetime.date.today()
    # No padding of the day, on any platform.
    said = f"{date.day} {date:%B %Y}"
    lines = [
        INTRODUCTION.format(command=f"`{command}`", machine=machine(), date=said, versions=versions()),
        *([f"{note}\n"] if note else []),
        *_targets(targets, held, long, summaries),
        *_missing(cases),
        *_accuracy(cases, summaries),
        *_peers(cases, summaries),
        *_growth(cases, summaries, pictures),
        *_rows(cases, summaries),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _targets(
    targets: Sequence[Target], held: Sequence[Recorded], long: Sequence[Recorded], summaries: Mapping[str, Summary]
) -> list[str]:
    judged = [judge(target, summaries) for target in targets]
    told = [one for one in judged if one.verdict != OPEN or not _recorded(one.target, long)]
    groups: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for one in told:
        verdict = f"**{MISSED}**" if one.verdict == MISSED else one.verdict
        groups[one.target.subject].append((one.target.figure, one.target.wanted, one.measured, verdict))
    for kept in (*long, *held):
        how = f"held by `{kept.test}`" if kept.test else f"told: `{kept.command}`, {kept.date}"
        short = f"**{MISSED}**, " if kept.short else ""
        groups[kept.subject].append((kept.figure, kept.wanted, kept.measured, short + how))
    lines = ["## Targets", "", ABOUT_TARGETS, ""]
    rows = [(subject, *row) for subject, group in groups.items() for row in group]
    lines += table(("subject", "figure", "wanted", "measured", "met?"), rows)
    short = [
        f"- **{one.target.subject}, {one.target.figure}**: {one.measured}, wanted {one.target.wanted}. "
        f"{one.target.why or 'No reason is known.'}"
        for one in told
        if one.verdict == MISSED
    ]
    short += [
        f"- **{one.subject}, {one.figure}**: {one.measured}, wanted {one.wanted}. {one.short}"
        for one in (*long, *held)
        if one.short
    ]
    lines += ["### What falls short", "", *(short or ["Nothing of the above."]), ""]
    unmeasured = [f"- {one.target.subject}, {one.target.figure}: {one.measured}" for one in told if one.verdict == OPEN]
    if unmeasured:
        lines += ["### What was not measured", "", *unmeasured, ""]
    return lines


def _recorded(target: Target, long: Sequence[Recorded]) -> bool:
    return any(one.case in (target.of, target.per) for one in long)


def _missing(cases: Sequence[Case]) -> list[str]:
    missing = sorted({case.who for case in cases if case.missing})
    if not missing:
        return []
    names = ", ".join(missing)
    return [f"**Not installed here, and therefore not compared: {names}** (`pip install 'predclv[all]'`).", ""]


def _accuracy(cases: Sequence[Case], summaries: Mapping[str, Summary]) -> list[str]:
    """Scores of the cases that have them."""
    names = {"bias": "total expected beside actual", "mae": "mean absolute error", "crps": "CRPS"}
    rows = []
    for case in cases:
        found = summaries[case.key].found if case.key in summaries else {}
        if "mae" in found:
            bias = f"{100 * float(found['bias']):+.1f} %".replace("-", "−")
            mae, crps = f"{float(found['mae']):.4f}", f"{float(found.get('crps', found['mae'])):.4f}"
            # Of a point the CRPS is the absolute error.
            rows.append((case.what.partition(":")[0], case.who, bias, mae, crps if crps != mae else "none: a point"))
    if not rows:
        return []
    about = (
        "CDNOW's 2,357 customers, 39 weeks to learn from and 39 to look at; each package by its own fit and forecast."
    )
    return ["## Accuracy beside other packages", "", about, "", *table(("model", "who", *names.values()), rows)]


def _peers(cases: Sequence[Case], summaries: Mapping[str, Summary]) -> list[str]:
    groups: dict[tuple[str, int | None, int | None], list[Case]] = defaultdict(list)
    for case in cases:
        if case.key in summaries:
            groups[case.what, case.customers, case.draws].append(case)
    rows = []
    for (what, customers, draws), group in groups.items():
        own = next((case for case in group if case.who == OURS), None)
        for case in group:
            if own is not None and case is not own:
                rows.append(
                    _ratio_row(what, _size(customers, draws), case.who, summaries[own.key], summaries[case.key])
                )
    lines = ["## Beside other packages", "", "Ratios are the other's over ours: above 1, ours takes less.", ""]
    head = ("task", "size", "ours, CPU s", "ours, MiB", "other", "its CPU s", "its MiB", "CPU", "memory")
    return [*lines, *table(head, rows)]


def _ratio_row(what: str, size: str, who: str, own: Summary, other: Summary) -> tuple[str, ...]:
    ours = (figure(own.cpu), figure(own.peak))
    if other.status == "over":
        return (what, size, *ours, who, f"> {figure(other.cpu)}", "–", f"> {figure(other.cpu / own.cpu)}", "–")
    if other.status != "ok" or own.status != "ok":
        return (what, size, *ours, who, other.note or own.note, "–", "–", "–")
    ratios = (figure(other.cpu / own.cpu), figure(other.peak / own.peak))
    return (what, size, *ours, who, figure(other.cpu), figure(other.peak), *ratios)


def _size(customers: int | None, draws: int | None) -> str:
    told = [f"{customers:,} customers"] if customers else []
    return ", ".join([*told, *([f"{draws:,} draws"] if draws else [])]) or "–"


def _growth(cases: Sequence[Case], summaries: Mapping[str, Summary], pictures: Sequence[tuple[str, str]]) -> list[str]:
    series: dict[tuple[str, str], dict[int, Summary]] = defaultdict(dict)
    for case in growing(cases):
        if case.customers and case.key in summaries:
            series[case.what, case.who][case.customers] = summaries[case.key]
    if not series:
        return []
    sizes = sorted({size for line in series.values() for size in line})
    rows = [(what, who, *(_cell(line.get(size)) for size in sizes)) for (what, who), line in series.items()]
    lines = ["## Growth", "", "CPU seconds / MiB by number of customers.", ""]
    lines += table(("task", "who", *(f"{size:,}" for size in sizes)), rows)
    for file, caption in pictures:
        lines += [f"![{caption}]({file})", ""]
    return lines


def _cell(summary: Summary | None) -> str:
    if summary is None:
        return ""
    if summary.status == "over":
        return f"> {figure(summary.cpu)}"
    return f"{figure(summary.cpu)} / {figure(summary.peak)}" if summary.status == "ok" else summary.note


def _rows(cases: Sequence[Case], summaries: Mapping[str, Summary]) -> list[str]:
    lines = ["## Every measurement", "", "Medians; in brackets the least and the most of the repeats.", ""]
    rows = []
    for case in cases:
        if case.key not in summaries:
            continue
        one = summaries[case.key]
        spread = f" ({figure(one.least)} to {figure(one.most)})" if one.repeats > 1 else ""
        cpu = f"{figure(one.cpu)}{spread}" if one.status == "ok" else one.note
        found = ", ".join(
            f"{name} {value if isinstance(value, str) else figure(value)}"
            for name, value in one.found.items()
            if isinstance(value, str) or not math.isnan(value)
        )
        size = _size(case.customers, case.draws)
        rows.append((f"`{case.key}`", case.what, size, case.who, str(one.repeats), cpu, figure(one.peak), found))
    head = ("case", "task", "size", "who", "repeats", "CPU s", "MiB", "found")
    return [*lines, *table(head, rows)]
