"""The command `run`: everything, from a log to a folder of results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from predclv.cli import screen, steps
from predclv.cli.console import Session
from predclv.cli.steps import Forecast

__all__ = ["Forecast", "show"]


def show(
    current: Session,
    log: str,
    data: dict[str, Any],
    what: Forecast,
    out: Path,
    *,
    transactions: str,
    method: str,
    force: bool,
    report: bool,
    title: str | None,
) -> None:
    """Summarise, fit, forecast, write, and show what was found."""
    steps.check_output(log, out, force, report)
    models = steps.unfitted(method, transactions=transactions)
    steps.require_opportunities(transactions, data)
    regularity = models.get_params()["transactions"].needs_log_itt
    with current.step("Reading the log"):
        rfm = steps.summarize(log, what.columns, **data, regularity=regularity)
        # Seasons and trends are of times, of which opportunities know nothing.
        timeline = steps.read_timeline(log, **data) if report and rfm.opportunities is None else None
    with current.step("Fitting the models"):
        clv = models.fit(rfm)
    with current.step("Forecasting (half a minute longer the first time, to compile)"):
        results = steps.forecast(rfm, clv, what, timeline)
    with current.step("Writing the results"):
        names = steps.write_results(
            results, out, "run", force=force, report=report, title=title, messages=current.messages
        )
    current.show(screen.customers(rfm), *screen.value(results), *screen.top_customers(results))
    current.finish(screen.summary("run", results, out, names), *screen.files(out, names))
