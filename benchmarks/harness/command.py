"""The command line that every script of benchmarks has, and `run.py` over all of them."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType

from harness.cases import FULL, LARGE, QUICK, Case
from harness.measure import MAKE, MEASURE, Row, in_this_process, measure_all, read_rows, write_rows
from harness.results import MISSED, OPEN, figure, judge, summarise


def parse(arguments: Sequence[str], about: str) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--quick", dest="set", action="store_const", const=QUICK, help="the shorter set")
    chosen.add_argument("--large", dest="set", action="store_const", const=LARGE, help="the full set and the largest")
    parser.add_argument(
        "--only", nargs="+", metavar="TEXT", help="cases whose names hold one of these; a $ ends a name"
    )
    parser.add_argument("--repeats", type=int, help="processes a case, instead of each case's own number")
    parser.add_argument("--rows", type=Path, help="file of rows (JSON lines) to write to")
    parser.add_argument("--resume", action="store_true", help="go on after the rows that the file holds")
    parser.add_argument("--note", default="", help="a sentence for the page, on how the run was made")
    parser.add_argument("--list", action="store_true", help="name the cases and stop")
    parser.set_defaults(set=FULL)
    return parser.parse_args(arguments)


def choose(cases: Sequence[Case], asked: argparse.Namespace) -> list[Case]:
    """Those of the set and names asked for."""
    sets = {FULL, LARGE} if asked.set == LARGE else {asked.set}
    chosen = [case for case in cases if sets & set(case.sets)]
    if asked.only:
        chosen = [case for case in chosen if any(text in f"{case.key}$" for text in asked.only)]
    # The shorter set is short because it runs each process once; brief tasks are repeated within theirs.
    repeats = asked.repeats or (1 if asked.set == QUICK else None)
    return [replace(case, repeats=repeats) if repeats else case for case in chosen]


def run(modules: Sequence[ModuleType], asked: argparse.Namespace) -> list[Row]:
    """Measure, print a line a row, and keep each row in the file at once; the rows, those from before among them."""
    known = read_rows(asked.rows) if asked.rows and asked.resume else []
    if asked.rows:
        asked.rows.parent.mkdir(parents=True, exist_ok=True)
        # A last line that was not written whole goes.
        write_rows(asked.rows, known)
    rows = list(known)
    for module in modules:
        cases = {case.key: case for case in choose(module.CASES, asked)}
        with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
            for row in measure_all(module, cases.values(), Path(folder), known):
                rows.append(row)
                print(line(cases[row.case], row), flush=True)
                if asked.rows:
                    with asked.rows.open("a") as file:
                        file.write(json.dumps(asdict(row)) + "\n")
    return rows


def line(case: Case, row: Row) -> str:
    """Write a measurement in a line."""
    name = f"{case.key} [{row.repeat + 1}/{case.repeats}]"
    if row.status != "ok":
        return f"{name}: {row.note}"
    found = [f"{key} {value if isinstance(value, str) else figure(value)}" for key, value in (row.found or {}).items()]
    return f"{name}: {figure(row.cpu)} s CPU, {figure(row.peak)} MiB{''.join(f', {text}' for text in found)}"


def print_targets(modules: Sequence[ModuleType], rows: Sequence[Row]) -> int:
    """Print the targets that these rows tell of; how many are missed."""
    summaries, missed = summarise(rows), 0
    for target in (target for module in modules for target in module.TARGETS):
        judged = judge(target, summaries)
        missed += judged.verdict == MISSED
        if judged.verdict != OPEN or target.of in summaries:
            print(f"{target.subject}: {target.figure}: {judged.measured}; wanted {target.wanted}: {judged.verdict}")
    return missed


def main(module: ModuleType) -> int:
    """Run a script alone; the number of its targets that were missed is the exit code."""
    arguments = sys.argv[1:]
    if arguments[:1] in ([MAKE], [MEASURE]):
        in_this_process(module, arguments)
        return 0
    asked = parse(arguments, module.__doc__ or "")
    if asked.list:
        print(*(case.key for case in choose(module.CASES, asked)), sep="\n")
        return 0
    return print_targets([module], run([module], asked))
