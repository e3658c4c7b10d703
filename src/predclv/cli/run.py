"""The command `run`: everything, from a log to a folder of results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.markup import escape

from predclv.cli import screen, steps
from predclv.cli.console import Session
from predclv.cli.steps import Forecast
from predclv.errors import DataError

__all__ = ["Forecast", "show"]


def show(
    current: Session,
    log: str,
    data: dict[str, Any],
    what: Forecast,
    out: Path,
    *,
    models: steps.Models,
    force: bool,
    report: bool,
    title: str | None,
) -> None:
    """Summarise, fit, forecast, write, and show what was found."""
    steps.check_output(log, out, force, report)
    if models.covariates and report:
        raise DataError(
            "The report speaks of one population, and with covariates each customer has parameters of their own. Give "
            "--no-report."
        )
    unfitted = models.unfitted()
    steps.require_opportunities(models.transactions, data)
    regularity = unfitted.get_params()["transactions"].needs_log_itt
    with current.step("Reading the log"):
        rfm = steps.summarize(log, [*what.columns, *models.columns], **data, regularity=regularity)
        timeline = steps.read_timeline(log, **data) if report else None
    with current.step("Fitting the models"):
        clv = unfitted.fit(rfm)
    with current.step("Forecasting (half a minute longer the first time, to compile)"):
        results = steps.forecast(rfm, clv, what, timeline)
    with current.step("Writing the results"):
        names = steps.write_results(
            results, out, "run", force=force, report=report, title=title, messages=current.messages
        )
    current.show(
        screen.customers(rfm), *map(escape, steps.effects(clv)), *screen.value(results), *screen.top_customers(results)
    )
    current.finish(screen.summary("run", results, out, names), *screen.files(out, names))
