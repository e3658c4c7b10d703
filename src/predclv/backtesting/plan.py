"""What a backtest is to do, checked before any work, and the forecasts of all of it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from predclv.backtesting.logs import PurchaseLog, read_purchases
from predclv.backtesting.methods import Candidate, settle_methods
from predclv.backtesting.predictions import Forecast
from predclv.backtesting.second_stage import (
    COMBINATION,
    RECALIBRATED,
    Derived,
    Key,
    derive_combination,
    derive_recalibrated,
    past_vintages,
)
from predclv.backtesting.tasks import Progress, Run, run_tasks
from predclv.backtesting.vintages import Vintage, plan_vintages
from predclv.data.checks import check_option
from predclv.errors import DataError, DataQualityWarning, FitError, warn

__all__ = ["DEFAULT_METHODS", "Forecasts", "Plan", "check_count", "forecast_all", "list_unmade", "make_plan"]

DEFAULT_METHODS = ("bg_nbd", "naive", "zero")


@dataclass(frozen=True)
class Plan:
    """What is to be done, all of it checked.

    Attributes
    ----------
    log : PurchaseLog
    vintages : list of Vintage
    horizons : list
        As given.
    candidates : list of Candidate
    reference : str or None
        As given.
    history : dict
        history, window and segments, as `plan_vintages` takes them.
    refit, recalibrate, combine
        As in `backtest`.
    messages : tuple of str
        What is odd of the log, or was left out of it.
    """

    log: PurchaseLog
    vintages: list[Vintage]
    horizons: list[Any]
    candidates: list[Candidate]
    reference: str | None
    history: dict[str, Any]
    refit: bool
    recalibrate: Literal["pit", "conformal"] | None
    combine: bool
    messages: tuple[str, ...]

    def with_rows(self, rows: pd.DataFrame, until: int) -> Plan:
        """Return the same plan for other rows, with the cut-offs up to position `until`."""
        log = replace(self.log, rows=rows)
        cutoffs = [vintage.cutoff for vintage in self.vintages[: until + 1]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataQualityWarning)  # said of the plan's own log
            vintages = plan_vintages(log, self.horizons, cutoffs=cutoffs, **self.history)
        return replace(self, log=log, vintages=vintages)


@dataclass(frozen=True)
class Forecasts:
    """All forecasts of a plan.

    Attributes
    ----------
    runs : list of Run
        Of the methods.
    made : dict
        By position of the cut-off, position of the horizon, and method, those made from others included.
    recalibrations, weights : DataFrame
        What was learnt at earlier cut-offs.
    """

    runs: list[Run]
    made: dict[Key, Forecast]
    recalibrations: pd.DataFrame = field(default_factory=pd.DataFrame)
    weights: pd.DataFrame = field(default_factory=pd.DataFrame)


def make_plan(
    log: Any,
    *,
    customer_id: str = "customer_id",
    date: str = "date",
    amount: str | None = None,
    methods: Any = DEFAULT_METHODS,
    cutoffs: Sequence[Any] | None = None,
    n_cutoffs: int | None = None,
    step: Any = None,
    horizons: Any = ("26 weeks",),
    history: Literal["expanding", "sliding"] = "expanding",
    window: Any = None,
    refit: bool = True,
    reference: str | None = None,
    segments: Sequence[str] = (),
    recalibrate: Literal["pit", "conformal"] | None = None,
    combine: bool = False,
    random_state: int = 0,
    **options: Any,
) -> Plan:
    """Check all that can be checked before any fit, and cut the log; arguments as in `backtest`."""
    candidates = settle_methods(methods, random_state)
    names = [candidate.name for candidate in candidates]
    runnable = [candidate.name for candidate in candidates if not candidate.skipped]
    if not runnable:
        raise DataError(f"No method can run here: {names[0]!r} {candidates[0].skipped}")
    if reference is not None and reference not in runnable:
        raise DataError(f"reference={reference!r} is no method that runs; those are {', '.join(map(repr, runnable))}.")
    if recalibrate is not None:
        check_option("recalibrate", recalibrate, ("pit", "conformal"))
    for name in names:
        if name == COMBINATION or name.endswith(RECALIBRATED):
            raise DataError(f"A method may not be called {name!r}: that name is for what is made from others.")
    segments = [segments] if isinstance(segments, str) else list(segments)
    gaps = [candidate.name for candidate in candidates if candidate.needs_log_itt]
    if gaps and options.get("opportunities") is not None:
        raise DataError(
            f"The method {gaps[0]!r} reads the times between purchases, and opportunities are only counted. Leave it "
            "out, or 'opportunities'."
        )
    if gaps:
        options["regularity"] = True
    purchases = read_purchases(log, segments=segments, customer_id=customer_id, date=date, amount=amount, **options)
    for candidate in candidates:
        if candidate.needs_amounts and not purchases.has_amounts:
            raise DataError(f"The method {candidate.name!r} needs amounts. Give amount='...', or leave it out.")
    lengths = [horizons] if isinstance(horizons, str) or np.ndim(horizons) == 0 else list(horizons)
    kept = {"history": history, "window": window, "segments": segments}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataQualityWarning)
        vintages = plan_vintages(purchases, lengths, cutoffs=cutoffs, n_cutoffs=n_cutoffs, step=step, **kept)
    # Every cut-off sees much of the same log: what is odd of it is said once.
    odd = list(dict.fromkeys(str(warning.message) for warning in caught if warning.category is DataQualityWarning))
    if recalibrate is not None or combine:
        odd += _unlearnable(vintages, recalibrate, combine)
    for message in odd:
        warn(message, DataQualityWarning)
    return Plan(
        purchases,
        vintages,
        lengths,
        candidates,
        reference,
        kept,
        refit,
        recalibrate,
        combine,
        (*_dropped(purchases), *odd),
    )


def check_count(name: str, value: object, least: int, most: float = math.inf) -> None:
    """Raise ValueError unless a value is a whole number within these bounds."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
        upper = "on" if math.isinf(most) else f"to {most:.0f}"
        raise ValueError(f"{name!r} must be a whole number from {least} {upper}. Got {value!r}.")


def _unlearnable(vintages: Sequence[Vintage], recalibrate: str | None, combine: bool) -> list[str]:
    """Say which horizons have nothing to recalibrate or combine by; DataError where none has."""
    asked = f"recalibrate={recalibrate!r}" if recalibrate is not None else f"combine={combine}"
    lacking = "at no cut-off had the outcome of an earlier one ended. Give earlier cut-offs, or shorter horizons."
    without = [
        outcome.horizon
        for horizon, outcome in enumerate(vintages[0].outcomes)
        if not any(past_vintages(vintages, position, horizon) for position in range(len(vintages)))
    ]
    if len(without) == len(vintages[0].outcomes):
        raise DataError(f"{asked} learns from earlier cut-offs, and {lacking}")
    return [f"{asked} does nothing for the horizon {name!r}: {lacking}" for name in without]


def _dropped(purchases: PurchaseLog) -> list[str]:
    rows = purchases.quality.query("step == 'check' and count > 0").to_dict("records")
    return [f"{row['count']:,} of {row['total']:,} {row['unit']}: {row['what']}." for row in rows]


def forecast_all(plan: Plan, *, n_jobs: int = 1, progress: Progress | None = None) -> Forecasts:
    """Fit and ask every method at every cut-off, then recalibrate and combine as planned.

    Raises
    ------
    FitError
        No method has run.
    """
    known = [vintage.known for vintage in plan.vintages]
    runs = run_tasks(plan.candidates, known, refit=plan.refit, n_jobs=n_jobs, progress=progress)
    if not any(run.status == "ok" for run in runs):
        failed = [run for run in runs if run.status == "failed"]
        raise FitError(
            f"No method has run: {len(failed)} of {len(runs)} failed (first: {failed[0].method}, {failed[0].error})."
        )
    forecasts: dict[Key, Forecast] = {
        (run.vintage, horizon, run.method): forecast for run in runs for horizon, forecast in enumerate(run.forecasts)
    }
    recalibrated = combined = Derived()
    if plan.recalibrate is not None:
        recalibrated = derive_recalibrated(plan.vintages, forecasts, plan.recalibrate)
    if plan.combine:
        combined = derive_combination(plan.vintages, forecasts, [candidate.name for candidate in plan.candidates])
    made = {**forecasts, **recalibrated.forecasts, **combined.forecasts}
    return Forecasts(runs, made, recalibrated.table, combined.table)


def list_unmade(plan: Plan, found: Forecasts) -> list[str]:
    """Say what was asked for and did not come about."""
    lacking = "with predictive distributions, at a cut-off and at an earlier one whose outcome had ended."
    said = []
    if plan.recalibrate is not None and found.recalibrations.empty:
        said.append(f"Nothing was recalibrated: that takes a method {lacking}")
    if plan.combine and found.weights.empty:
        said.append(f"Nothing was combined: that takes two methods {lacking}")
    return said
