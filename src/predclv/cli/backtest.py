"""The command `backtest`: methods at past dates, scored against what customers then did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

import predclv as pc
from predclv.cli import steps
from predclv.cli.console import Session
from predclv.cli.screen import percent
from predclv.cli.tables import check_suffix, write_table
from predclv.errors import DataError
from predclv.files import check_replaceable

if TYPE_CHECKING:
    from predclv.backtesting import Backtest

__all__ = ["Outputs", "show"]

# Columns of the screen's table: metric, heading, digits, whether it is a share.
_COLUMNS = (
    ("crps", "CRPS", 4, False),
    ("bias", "bias", 1, True),
    ("spearman", "rank corr.", 3, False),
    ("capture_10", "top 10 %", 1, True),
    ("pit_coverage_90", "90 % holds", 1, True),
)


@dataclass(frozen=True)
class Outputs:
    """Files to write; None for those that are not asked for.

    Attributes
    ----------
    report : path of an HTML file
    scores, forecasts : paths of .csv or .parquet files
    out : path of a folder for all tables
    """

    report: Path | None = None
    scores: Path | None = None
    forecasts: Path | None = None
    out: Path | None = None

    @property
    def files(self) -> list[Path]:
        """All that is written."""
        return [path for path in (self.report, self.scores, self.forecasts, self.out) if path is not None]

    def check(self, log: str) -> None:
        """Raise now rather than after the work, where something cannot be written."""
        for table in (self.scores, self.forecasts):
            if table is not None:
                check_suffix(table)
        if self.report is not None:
            if self.report.suffix.lower() != ".html" or self.report.is_dir():
                raise DataError(f"'{self.report}' must be a file that ends in .html.")
            if find_spec("jinja2") is None:
                raise ImportError("The report needs jinja2: pip install 'predclv[report]', or leave --report out.")
        resolved = [path.resolve() for path in self.files]
        if Path(log).resolve() in resolved:
            raise DataError(f"'{log}' is the log itself. Give another name for the results.")
        if len(set(resolved)) < len(resolved):
            raise DataError("Two results would go to one file. Give each a name of its own.")
        if self.out is not None:
            check_replaceable(self.out, "backtest.json")
        for path in (self.report, self.scores, self.forecasts):
            if path is not None:
                # Only whether a folder may be made or written there: the file itself is replaced.
                check_replaceable(path.resolve().parent / ".predclv", None)

    def write(self, result: Backtest, title: str | None) -> None:
        """Write what is asked for, each file whole or not at all."""
        if self.report is not None:
            result.report(self.report, title=title)
        if self.scores is not None:
            write_table(result.scores, self.scores)
        if self.forecasts is not None:
            write_table(result.forecasts, self.forecasts)
        if self.out is not None:
            result.to_parquet(self.out)


def show(
    current: Session, log: str, data: dict[str, Any], what: dict[str, Any], outputs: Outputs, *, title: str | None
) -> None:
    """Run the methods, write what is asked for, and show the scores."""
    outputs.check(log)
    with current.progress() as progress:
        result = pc.backtest(log, **steps.given(**data), **steps.given(**what), progressbar=progress or False)
    with current.step("Writing the results"):
        outputs.write(result, title)
    for quantity in ("purchases", "value"):
        if (result.scores["quantity"] == quantity).any():
            for horizon in result.settings["horizons"]:
                current.show(*_scores(result, quantity, horizon))
    current.show(*_problems(result))
    written = ["\n[bold]Written[/bold]", *(escape(str(path)) for path in outputs.files)] if outputs.files else []
    current.finish(_summary(result, outputs), *written)


def read_methods(text: str) -> list[str]:
    """Names between commas; DataError where there is none."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise DataError(f"--methods names no method: {text!r}. Give names between commas, such as bg_nbd,naive,zero.")
    return names


def read_horizons(horizons: Sequence[str] | None) -> list[Any] | None:
    """Horizons, as numbers where they read as such."""
    return [steps.number_or_text(horizon) for horizon in horizons] if horizons else None


def _scores(result: Backtest, quantity: str, horizon: str) -> list[RenderableType]:
    """Show a row of scores for each method."""
    rows = result.scores
    rows = rows[(rows["quantity"] == quantity) & (rows["horizon"] == horizon) & (rows["by"] == "all")]
    rows = rows[rows["cutoff"] == "all"]
    found = {(row.method, row.metric): row for row in rows.itertuples()}
    columns = [column for column in _COLUMNS if column[0] in set(rows["metric"])]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("method", no_wrap=True, min_width=max(map(len, result.settings["methods"])))
    for _, heading, _, _ in columns:
        table.add_column(heading, justify="right")
    table.add_column("", no_wrap=True)
    for method in result.settings["methods"]:
        if (method, "crps") in found:
            cells = [_cell(found.get((method, metric)), digits, share) for metric, _, digits, share in columns]
            table.add_row(escape(method), *cells, str(found[method, "crps"].verdict))
    n = len(result.settings["cutoffs"])
    dates = f"{n} cut-off{'s' if n > 1 else ''}"
    reference = escape(result.settings["reference"])
    heading = f"\n[bold]{quantity.capitalize()} within {escape(horizon)}[/bold]"
    shown: list[RenderableType] = [f"{heading} ({dates}; CRPS, lower is better, against {reference})", table]
    if (result.settings["reference"], "pit_ks") not in found:
        shown.append(f"{reference} gives no odds: its CRPS is its absolute error, which forecasts of nothing beat.")
    return shown


def _cell(row: Any, digits: int, share: bool) -> str:
    if row is None or row.value != row.value:
        return "–"
    return f"{100 * row.value:+.{digits}f} %" if row.metric == "bias" else _plain(row.value, digits, share)


def _plain(value: float, digits: int, share: bool) -> str:
    return f"{100 * value:.{digits}f} %" if share else f"{value:,.{digits}f}"


def _problems(result: Backtest) -> list[RenderableType]:
    """Say which methods did not run, and why."""
    runs = result.runs[result.runs["status"] != "ok"]
    if runs.empty:
        return []
    lines = [escape(f"{r.method} at {r.cutoff}: {r.status}, {r.error}") for r in runs.itertuples()]
    return ["\n[bold]Did not run[/bold]", *lines]


def _summary(result: Backtest, outputs: Outputs) -> dict[str, Any]:
    """What a program wants to know."""
    overall = result.scores[(result.scores["cutoff"] == "all") & (result.scores["by"] == "all")]
    totals = result.totals[result.totals["level"] == 0.9]
    return {
        "command": "backtest",
        "version": pc.__version__,
        "settings": dict(result.settings),
        "interval_of_totals": percent(0.9),
        "scores": overall.drop(columns=["cutoff", "by", "group"]).to_dict("records"),
        "totals": totals.drop(columns="level").to_dict("records"),
        "runs": result.runs.to_dict("records"),
        "files": outputs.files,
    }
