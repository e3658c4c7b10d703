"""The command `contracts backtest`: renewals forecast from past dates, scored against what then happened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

import predclv as pc
from predclv.backtesting import RenewalBacktest, backtest_renewals
from predclv.cli.console import Session
from predclv.cli.screen import number, percent, span
from predclv.cli.single_steps import keep_the_input
from predclv.cli.steps import given, number_or_text
from predclv.cli.tables import check_suffix, write_table
from predclv.errors import DataError

__all__ = ["show"]


def show(
    current: Session,
    log: str,
    data: dict[str, Any],
    what: dict[str, Any],
    scores: Path | None,
    forecasts: Path | None,
) -> None:
    """Run the backtest, write what is asked for, and show the scores."""
    files = [check_suffix(path) for path in (scores, forecasts) if path is not None]
    keep_the_input(log, files)
    if len({path.resolve() for path in files}) < len(files):
        raise DataError("Two results would go to one file. Give each a name of its own.")
    asked = {
        **what,
        "methods": [name.strip() for name in what["methods"].split(",") if name.strip()],
        "horizons": [number_or_text(horizon) for horizon in what["horizons"]],
    }
    with current.step("Forecasting from past dates"):
        result = backtest_renewals(log, **asked, **given(**data))
    for path, table in ((scores, result.scores), (forecasts, result.forecasts)):
        if path is not None:
            write_table(table.assign(horizon=table["horizon"].astype(str)), path)
    written = [f"Written: {', '.join(escape(str(path)) for path in files)}"] if files else []
    current.show(*_screen(result, what["level"]))
    summary = {"command": "contracts backtest", "version": pc.__version__}
    current.finish({**summary, "scores": result.scores.to_dict("records"), "files": files}, *written)


def _screen(result: RenewalBacktest, level: float) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for (cutoff, horizon), rows in result.scores.groupby(["cutoff", "horizon"], sort=False):
        first = rows.iloc[0]
        parts.append(
            f"\n[bold]From {cutoff}, {escape(str(horizon))}[/bold]: of {first['due']:,} renewals that came up for "
            f"{first['contracts']:,} contracts {first['actual']:,} were made"
        )
        table = Table(box=None, pad_edge=False, header_style="dim")
        for place, heading in enumerate(("method", "expected", f"{percent(level)} interval", "bias", "CRPS", "Brier")):
            table.add_column(heading, justify="right" if place else "left")
        for row in rows.to_dict("records"):
            known = row["low"] == row["low"]
            table.add_row(
                escape(str(row["method"])),
                number(row["expected"]),
                span(row["low"], row["high"]) if known else "-",
                f"{100 * row['bias']:+.1f} %",
                f"{row['crps']:.4f}",
                f"{row['brier']:.4f}",
            )
        parts.append(table)
    return parts
