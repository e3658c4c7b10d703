"""The command `monitor`: two snapshots with their models, alarms and drift, and what a batch job should do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

import predclv as pc
from predclv.cli import screen, steps
from predclv.cli.console import Session
from predclv.cli.tables import write_table
from predclv.data.checks import check_option
from predclv.data.units import read_units
from predclv.decisions.monitor import Monitoring, compare_snapshots
from predclv.decisions.monitor.verdict import say_few
from predclv.decisions.report.monitor import write_monitor_report
from predclv.errors import DataError
from predclv.files import replace_folder, write_text

__all__ = ["CHANGED", "Work", "show"]

#: Exit code where all is done, and what --fail-on asks for has been found.
CHANGED = 4

SUMMARY, _CUSTOMERS = "summary.parquet", "customers.parquet"


@dataclass(frozen=True)
class Work:
    """What is compared, and where to; as on the command line."""

    old: Path
    new: Path
    model: str | None
    new_model: str | None
    compare_models: bool
    out: Path
    force: bool
    report: bool
    fail_on: str

    def __post_init__(self) -> None:
        check_option("fail-on", self.fail_on, ("never", "refit", "alarms", "any"))
        if self.new_model is not None and not self.compare_models:
            raise DataError("--new-model is to be compared, and --no-compare-models forbids it. Leave one of them out.")
        steps.check_output(None, self.out, self.force, self.report)
        for source in (self.old, self.new):
            if not source.exists():
                raise DataError(f"'{source}' does not exist.")
            if source.is_dir() and source.resolve() == self.out.resolve():
                raise DataError(f"'{source}' is a snapshot. Give another folder for the results.")


def show(current: Session, what: Work, options: dict[str, Any], *, title: str | None) -> int:
    """Compare, write, and say what was found; return the exit code."""
    options = {**options, **{name: steps.number_or_text(options[name]) for name in ("horizon", "margin")}}
    with current.step("Reading the snapshots"):
        old_folder = what.model or _model_in(what.old)
        if old_folder is None:
            raise DataError(
                f"'{what.old}' holds no model. Give the folder of the one that was fitted on it as --model."
            )
        new_folder = (what.new_model or _model_in(what.new)) if what.compare_models else None
        model, new_model = pc.load(old_folder), None if new_folder is None else pc.load(new_folder)
        for one, name in ((model, old_folder), (new_model, new_folder)):
            if one is not None:
                steps.refuse_contracts(one, f"The model in '{name}'")
        old, new = _summary(what.old), _summary(what.new)
    with replace_folder(what.out, manifest=steps.MANIFEST, keep_others=what.force) as folder:
        with current.step("Comparing"):
            found = compare_snapshots(model, old, new, new_model, **options, customers_file=folder / _CUSTOMERS)
        with current.step("Writing the results"):
            names = _write(found, folder, current, title, what.report)
    failed = _failed(found, what.fail_on)
    current.show(*_screen(found))
    # Of a million alarms a program reads monitor.json, and nobody asked for them on the screen.
    told = found.to_dict() if current.as_json else {}
    current.finish(
        {"command": "monitor", **told, "out": what.out, "files": names, "failed_on": failed},
        f"\nWritten to {escape(str(what.out))}: {escape(', '.join(names))}",
        *([f"Exit code {CHANGED}, as --fail-on {what.fail_on} asks for: {' and '.join(failed)}"] if failed else []),
    )
    return CHANGED if failed else 0


def _model_in(source: Path) -> str | None:
    folder = source / "model"
    return str(folder) if source.is_dir() and folder.is_dir() else None


def _summary(source: Path) -> Path:
    """The file of a snapshot's summary."""
    path = source
    if source.is_dir() and (source / steps.MANIFEST).is_file():
        path = source / SUMMARY
        if not path.is_file():
            raise DataError(
                f"'{source}' holds no {SUMMARY}. Run `predclv run` anew, which writes it, or give the summary that "
                "`predclv summarize` wrote, with --model."
            )
    if not {"time_unit", "opportunities"} & set(read_units(path)):
        raise DataError(
            f"'{path}' is no snapshot: it does not say in which unit its times are. Give a folder that `predclv run` "
            "wrote, or a Parquet file that `predclv summarize` wrote."
        )
    return path


def _write(found: Monitoring, folder: Path, current: Session, title: str | None, report: bool) -> list[str]:
    """Write what is not yet in the folder; return the names in it."""
    found.write_json(folder / "monitor.json")
    for name in ("alarms", "set_aside"):
        write_table(getattr(found, name), folder / f"{name}.parquet")
    write_table(found.alarms, folder / "alarms.csv")
    write_table(found.evidence, folder / "evidence.csv")
    if report:
        write_monitor_report(folder / "report.html", found, title=title, warnings=current.messages)
    names = sorted([entry.name for entry in folder.iterdir()] + [steps.MANIFEST])
    content = {"made_by": f"predclv {pc.__version__}", "command": "monitor", "files": names}
    write_text(folder / steps.MANIFEST, json.dumps(content, indent=2) + "\n")
    return names


def _failed(found: Monitoring, fail_on: str) -> list[str]:
    """What the job is to fail on, in words; nothing where all is fine."""
    failed = []
    if fail_on in ("refit", "any") and found.verdict == "yes":
        failed.append("the model is to be fitted again")
    silent = found.evidence.set_index("check").loc["customers fallen silent"]
    if fail_on in ("alarms", "any") and silent["result"] == "refit" and silent["value"] > 1:
        failed.append("more customers fell silent than expected")
    return failed


def _screen(found: Monitoring) -> list[Any]:
    facts = found.facts
    told = f"{facts['compared']:,} customers compared over {facts['window']:.4g} {facts['time_unit']}s"
    counts = Table(box=None, pad_edge=False, header_style="dim")
    for position, heading in enumerate(("alarm", "tested", "rang", "if unchanged", "as forecast")):
        counts.add_column(heading, justify="right" if position else "left")
    for row in found.alarm_counts.to_dict("records"):
        expected = row["expected_by_forecast"]
        counts.add_row(
            row["kind"],
            f"{row['tested']:,}",
            f"{row['rang']:,}",
            say_few(row["expected_if_unchanged"]),
            say_few(expected) if expected == expected else "",
        )
    checks = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("check", "result", "finding"):
        checks.add_column(heading)
    for row in found.evidence.to_dict("records"):
        checks.add_row(row["check"], row["result"], escape(row["finding"]))
    first = found.alarms.head(5).to_dict("records")
    unit = f" {escape(str(facts['currency']))}" if facts["currency"] else ""
    unit = " purchases" if facts["value_in"] == "purchases" else unit
    lines = [
        f"  {escape(str(row['customer_id']))}: {row['kind']}, {row['purchases']} purchases where "
        f"{row['usual_purchases']:.1f} are usual, {screen.number(row['value_at_stake'])}{unit} at stake"
        for row in first
    ]
    return [
        told,
        "\n[bold]Alarms[/bold]",
        counts,
        *lines,
        f"\n[bold]Fit again? {found.verdict}[/bold]",
        checks,
    ]
