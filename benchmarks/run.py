"""All benchmarks: every case of every script in a process of its own, and the page that comes of them.

    python benchmarks/run.py              the full set: benchmarks/RESULTS.md with its pictures
    python benchmarks/run.py --quick      the shorter one, in minutes: benchmarks/results/QUICK.md
    python benchmarks/run.py --resume     go on where a run was interrupted
    python benchmarks/run.py --page       the page again, from the rows there are

Rows are kept in benchmarks/results/ as they come, a line of JSON each. The full set leaves out cases of `--large`,
which take hours and gigabytes; what they gave when last run is told with its date. With `--only`, measured rows replace
those of the same cases in the file, and the page is made of all. The exit code is 0: a target that is missed is named.
"""

from __future__ import annotations

import datetime
import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

from harness.cases import FULL, QUICK
from harness.command import choose, parse, print_targets, run
from harness.measure import read_rows, write_rows
from harness.page import write_page
from harness.plots import draw_growth
from harness.results import summarise

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
#: In the order of the page. Short ones first, so that an interrupted run has most of it.
SCRIPTS = (
    "import_time",
    "fit",
    "forecast",
    "posterior",
    "covariates",
    "contracts",
    "peers",
    "rfm_summary",
    "summarize",
    "fit_large",
    "score",
    "growth",
    "decide",
    "recalibration",
    "backtest",
)


def load_scripts() -> list[ModuleType]:
    """Import the scripts, which import nothing heavy before a case runs."""
    return [importlib.import_module(name) for name in SCRIPTS]


def write(path: Path, text: str) -> None:
    """Write a file whole."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    os.replace(part, path)


def main(arguments: list[str]) -> int:
    """Measure what is asked for, and make the page."""
    import held

    page_alone = "--page" in arguments
    asked = parse([argument for argument in arguments if argument != "--page"], __doc__ or "")
    modules = load_scripts()
    if asked.list:
        print(*(case.key for module in modules for case in choose(module.CASES, asked)), sep="\n")
        return 0
    RESULTS.mkdir(exist_ok=True)
    asked.rows = asked.rows or RESULTS / f"{QUICK if asked.set == QUICK else FULL}.jsonl"
    if asked.only and not page_alone:
        replaced = {case.key for module in modules for case in choose(module.CASES, asked)}
        if not asked.resume:
            write_rows(asked.rows, [row for row in read_rows(asked.rows) if row.case not in replaced])
        asked.resume = True
    rows = read_rows(asked.rows) if page_alone else run(modules, asked)
    cases, summaries = [case for module in modules for case in module.CASES], summarise(rows)
    folder = RESULTS if asked.set == QUICK else HERE
    text = write_page(
        cases if asked.set != QUICK else [case for case in cases if QUICK in case.sets],
        [target for module in modules for target in module.TARGETS if asked.set != QUICK or target.of in summaries],
        held.HELD if asked.set != QUICK else (),
        (*held.LONG, *held.EARLIER) if asked.set != QUICK else (),
        summaries,
        command="make bench-quick" if asked.set == QUICK else "make bench",
        note=asked.note,
        pictures=draw_growth(cases, summaries, folder),
        date=max((datetime.date.fromisoformat(row.date) for row in rows if row.date), default=None),
    )
    page = folder / ("QUICK.md" if asked.set == QUICK else "RESULTS.md")
    write(page, text)
    missed = print_targets(modules, rows)
    print(f"{page.relative_to(HERE.parent)}: {len(summaries)} cases, {missed} targets missed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
