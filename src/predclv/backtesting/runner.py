"""Backtest: cut, fit, forecast, score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from predclv.backtesting.blocks import Block, make_blocks
from predclv.backtesting.plan import DEFAULT_METHODS, Forecasts, Plan, check_count, forecast_all, list_unmade, make_plan
from predclv.backtesting.predictions import Forecast
from predclv.backtesting.progress import ProgressLine
from predclv.backtesting.result import Backtest
from predclv.backtesting.scores import score_blocks
from predclv.backtesting.second_stage import COMBINATION, RECALIBRATED, Key
from predclv.backtesting.tables import decile_table, gains_table, pit_table, reliability_table
from predclv.backtesting.tasks import Run
from predclv.backtesting.totals import total_rows, track_table
from predclv.backtesting.vintages import Vintage
from predclv.errors import DataQualityWarning, warn
from predclv.inference.posterior import check_level

__all__ = ["backtest"]


def backtest(
    log: Any,
    *,
    customer_id: str = "customer_id",
    date: str = "date",
    amount: str | None = None,
    methods: Sequence[Any] | Mapping[str, Any] | str = DEFAULT_METHODS,
    cutoffs: Sequence[Any] | None = None,
    n_cutoffs: int | None = None,
    step: Any = None,
    horizons: Sequence[Any] | Any = ("26 weeks",),
    history: Literal["expanding", "sliding"] = "expanding",
    window: Any = None,
    refit: bool = True,
    reference: str | None = None,
    segments: Sequence[str] = (),
    recalibrate: Literal["pit", "conformal"] | None = None,
    combine: bool = False,
    n_bootstrap: int = 400,
    level: float = 0.9,
    n_jobs: int = 1,
    progressbar: bool | Callable[[int, int, str], None] = True,
    random_state: int = 0,
    **options: Any,
) -> Backtest:
    """Run methods at past dates, and score their forecasts against what customers then did.

    Parameters
    ----------
    log : frame or path
        As in `RFMSummary.from_transactions`; it is read into memory once.
    customer_id, date, amount : str
        Columns. Without `amount` purchases alone are forecast.
    methods : sequence, mapping of names, or one method
        Names (`predclv.backtesting.METHODS` lists them), unfitted models, a CLV, or objects of one's own with
        `fit(rfm, log)` and `predict(rfm, log, horizon)`: see `predclv.backtesting.Method`. A mapping gives names.
    cutoffs : sequence of dates, optional
        As-of dates to forecast from.
    n_cutoffs, step : int and horizon, optional
        In their place: so many cut-offs, the last as late as the longest horizon allows, `step` apart; by default that
        horizon, so that no outcome counts twice. Months are those of the calendar.
    horizons : horizon or sequence of them
        "26 weeks", "1 year", ...; finite. Forecasts are for the days that the log holds: a year has 365 or 366.
    history, window : {"expanding", "sliding"} and horizon
        Learn from all customers known, or from those who came within `window` before the cut-off. Forecast are all.
    refit : bool
        Fit anew at each cut-off; otherwise what was learnt at the first forecasts from the later ones.
    reference : str, optional
        The method that others are compared with; by default the first that ran at every cut-off.
    segments : sequence of str
        Columns about the customer to score by.
    recalibrate : {"pit", "conformal"}, optional
        Add to each method with a predictive distribution one called "<name>_recalibrated", adjusted by how its
        forecasts of earlier cut-offs held: see `predclv.backtesting.recalibration`. Only outcomes that had ended are
        used.
    combine : bool
        Add a method "combination": predictive distributions mixed by weights learnt at earlier cut-offs.
    n_bootstrap : int
        Resamples of customers behind the intervals of scores.
    level : float
        Probability of those intervals.
    n_jobs : int
        Processes; results do not depend on their number. -1 takes all cores.
    progressbar : bool or callable
        Say on a terminal how far it is; or a function of (done, total, what).
    random_state : int
        Seed of the methods known by name and of the bootstrap.
    **options
        Further ones of `RFMSummary.from_transactions`: time_unit, collapse, returns, observation_start, ...;
        `observation_end` is the date until which the log is complete, by default its last. With `opportunities`,
        cut-offs are last days of one, horizons, step and window whole numbers of them, and outcomes count opportunities
        used, for all methods alike.

    Returns
    -------
    Backtest

    Raises
    ------
    DataError
        Before any work: a cut-off outside the log, a horizon longer than what follows, too few customers, a method
        that needs amounts where there are none, an unknown name; recalibration or combination where no cut-off has an
        earlier one to learn from.
    ValueError, TypeError
        Before any work, too: a number out of range, or an argument of the wrong kind.
    FitError
        No method has run: the message holds the first error. A single one that fails is a row in `runs`.

    Warns
    -----
    DataQualityWarning
        What is odd of the log, said once, and what was asked for and did not come about; also in `settings`.

    Notes
    -----
    Customers with an empty holdout stay. Those who come after a cut-off are counted in `customers`: nobody forecasts
    them. What a method is given ends at the cut-off; `predclv.backtesting.find_leaks` tests it. A carried column or
    segment is taken for known at every cut-off: one computed from the whole log tells the future.

    With `opportunities`, methods are given the summary that counts them. Models of times, ours and those of other
    packages, read the counts as times at which purchases were merged by the period, a month or quarter being its mean
    number of weeks; they do not know that no opportunity can be used twice. The models of regular buyers are refused:
    counts tell no times between purchases.

    Intervals are of customers drawn anew, the same customers for all methods; a customer at several cut-offs is drawn
    with all of them. That all customers share the same few months, with their weather and campaigns, is not in them.

    Examples
    --------
    >>> result = pc.backtest(
    ...     log, amount="amount", methods=["bg_nbd", "naive", "zero"], cutoffs=["1997-09-30"], horizons=["39 weeks"]
    ... )
    >>> result.report("backtest.html")
    """
    check_level(level)
    check_count("n_bootstrap", n_bootstrap, 2)
    check_count("random_state", random_state, 0, 2**32 - 1)
    if n_jobs != -1:
        check_count("n_jobs", n_jobs, 1)
    if not (isinstance(progressbar, bool) or callable(progressbar)):
        raise TypeError(f"progressbar={progressbar!r} must be True, False or a function of (done, total, what).")
    plan = make_plan(
        log,
        customer_id=customer_id,
        date=date,
        amount=amount,
        methods=methods,
        cutoffs=cutoffs,
        n_cutoffs=n_cutoffs,
        step=step,
        horizons=horizons,
        history=history,
        window=window,
        refit=refit,
        reference=reference,
        segments=segments,
        recalibrate=recalibrate,
        combine=combine,
        random_state=random_state,
        **options,
    )
    progress = (ProgressLine() if progressbar else None) if isinstance(progressbar, bool) else progressbar
    found = forecast_all(plan, n_jobs=n_jobs, progress=progress)
    forecasts = found.made
    names = _names(plan, forecasts)
    blocks = _blocks(plan, forecasts, names)
    cohorts = {vintage.cutoff: vintage.cohort for vintage in plan.vintages}
    reference = _choose_reference(plan, found)
    unmade = list_unmade(plan, found)
    if not any(name == reference for _, _, name in forecasts):
        unmade = [*unmade, f"The reference {reference!r} did not run, so that nothing is compared with it."]
    for message in unmade:
        warn(message, DataQualityWarning)
    return Backtest(
        scores=score_blocks(
            blocks, cohorts, reference=reference, n_bootstrap=n_bootstrap, level=level, seed=random_state
        ),
        totals=_totals(plan, forecasts, names),
        runs=_run_table(plan, found.runs),
        tracks=_tracks(plan, forecasts, names),
        deciles=decile_table(blocks),
        pit=pit_table(blocks),
        gains=gains_table(blocks),
        reliability=reliability_table(blocks),
        recalibrations=found.recalibrations,
        weights=found.weights,
        customers=_customer_table(plan.vintages),
        settings=_settings(plan, names, reference, level, n_bootstrap, random_state, unmade),
        blocks=blocks,
        cohorts=cohorts,
    )


def _choose_reference(plan: Plan, found: Forecasts) -> str:
    """The reference that was asked for, or the first method that ran at every cut-off, or at any."""
    if plan.reference is not None:
        return plan.reference
    ran = [run.method for run in found.runs if run.status == "ok"]
    names = [candidate.name for candidate in plan.candidates]
    # Ties go to the first.
    return max(names, key=lambda name: (ran.count(name) == len(plan.vintages), name in ran))


def _settings(
    plan: Plan,
    names: list[str],
    reference: str,
    level: float,
    n_bootstrap: int,
    random_state: int,
    unmade: Sequence[str],
) -> dict[str, Any]:
    """What was asked, in plain types."""
    window = plan.history["window"]
    return {
        "methods": names,
        "cutoffs": [str(vintage.cutoff) for vintage in plan.vintages],
        "horizons": [outcome.horizon for outcome in plan.vintages[0].outcomes],
        "reference": reference,
        "history": plan.history["history"],
        "window": None if window is None else str(window),
        "refit": bool(plan.refit),
        "recalibrate": plan.recalibrate,
        "combine": bool(plan.combine),
        "level": float(level),
        "n_bootstrap": int(n_bootstrap),
        "random_state": int(random_state),
        "segments": plan.history["segments"],
        "time_unit": plan.log.options["time_unit"],
        "collapse": plan.log.options["collapse"],
        "opportunities": plan.log.opportunities,
        "currency": plan.log.options["currency"],
        "has_amounts": plan.log.has_amounts,
        "log_end": str(plan.log.end),
        "warnings": [*plan.messages, *unmade],
    }


def _names(plan: Plan, forecasts: Mapping[Key, Forecast]) -> list[str]:
    """Methods in the order given, each recalibrated one behind its own, the combination last."""
    made = {name for _, _, name in forecasts}
    names = []
    for candidate in plan.candidates:
        names.append(candidate.name)
        if candidate.name + RECALIBRATED in made:
            names.append(candidate.name + RECALIBRATED)
    return [*names, COMBINATION] if COMBINATION in made else names


def _blocks(plan: Plan, forecasts: Mapping[Key, Forecast], names: Sequence[str]) -> list[Block]:
    return [
        block
        for position, vintage in enumerate(plan.vintages)
        for horizon, outcome in enumerate(vintage.outcomes)
        for name in names
        if (position, horizon, name) in forecasts
        for block in make_blocks(forecasts[position, horizon, name], outcome, vintage.cutoff, name)
    ]


def _totals(plan: Plan, forecasts: Mapping[Key, Forecast], names: Sequence[str]) -> pd.DataFrame:
    rows = [
        row
        for position, vintage in enumerate(plan.vintages)
        for horizon, outcome in enumerate(vintage.outcomes)
        for name in names
        if (position, horizon, name) in forecasts
        for row in total_rows(forecasts[position, horizon, name], outcome, str(vintage.cutoff), name)
    ]
    return pd.DataFrame(rows).astype({"inside": "boolean"})


def _tracks(plan: Plan, forecasts: Mapping[Key, Forecast], names: Sequence[str]) -> pd.DataFrame:
    found = []
    for position, vintage in enumerate(plan.vintages):
        for name in names:
            by_horizon = [forecasts.get((position, horizon, name)) for horizon in range(len(vintage.outcomes))]
            present = [forecast for forecast in by_horizon if forecast is not None]
            if len(present) == len(by_horizon):
                found.append((position, name, present))
    return track_table(plan.vintages, found)


def _run_table(plan: Plan, runs: Sequence[Run]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "cutoff": [str(plan.vintages[run.vintage].cutoff) for run in runs],
            "method": [run.method for run in runs],
            "status": [run.status for run in runs],
            "error": [run.error for run in runs],
            "fit_cpu_seconds": [run.fit_cpu_seconds for run in runs],
            "predict_cpu_seconds": [run.predict_cpu_seconds for run in runs],
            "peak_memory_mb": [run.peak_memory_mb for run in runs],
            "notes": ["\n".join(run.notes) for run in runs],
        }
    )


def _customer_table(vintages: Sequence[Vintage]) -> pd.DataFrame:
    rows = [
        {
            "cutoff": str(vintage.cutoff),
            "horizon": outcome.horizon,
            "end": str(outcome.end),
            "customers": len(outcome.purchases),
            "buyers": int(np.count_nonzero(outcome.purchases)),
            "purchases": float(outcome.purchases.sum()),
            "spend": np.nan if outcome.spend is None else float(outcome.spend.sum()),
            "new_customers": outcome.new_customers,
            "new_purchases": outcome.new_purchases,
        }
        for vintage in vintages
        for outcome in vintage.outcomes
    ]
    return pd.DataFrame(rows)
