"""Whether forecasts know what they cannot know: the future is altered, and they must not move."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from predclv.backtesting.blocks import QUANTILES
from predclv.backtesting.distributions import Distribution
from predclv.backtesting.logs import first_instant_after
from predclv.backtesting.plan import Plan, check_count, forecast_all, make_plan
from predclv.backtesting.predictions import Forecast
from predclv.backtesting.second_stage import Key
from predclv.errors import DataQualityWarning, warn

__all__ = ["find_leaks"]


def find_leaks(log: Any, *, n_jobs: int = 1, **options: Any) -> pd.DataFrame:
    """Forecast twice from each cut-off, the second time from a log whose later rows were altered.

    What was bought after a cut-off goes to other customers, at other dates and prices. Forecasts from that cut-off may
    not change by a bit: neither the methods' nor what recalibration and combination make of them. A method that has
    the outcomes from elsewhere than its arguments cannot be found out this way, nor one that uses a carried column
    which was computed from the whole log: carry what was known at each cut-off. A method whose forecasts differ from
    run to run is among the leaks, for nobody could tell.

    Parameters
    ----------
    log, n_jobs, **options
        As in `backtest`; what is about scores is not looked at.

    Returns
    -------
    DataFrame
        A row a leak: cutoff, horizon, method, column, customers (how many forecasts changed), first_customer. Empty
        where nothing leaks.

    Warns
    -----
    DataQualityWarning
        Methods that did not run, so that nothing is known of them.
    """
    if n_jobs != -1:
        check_count("n_jobs", n_jobs, 1)
    plan = make_plan(log, **{name: value for name, value in options.items() if name not in _OF_SCORES})
    first = forecast_all(plan, n_jobs=n_jobs)
    idle = dict.fromkeys(run.method for run in first.runs if run.status != "ok")
    if idle:
        warn(f"Nothing is known of leaks at cut-offs where these did not run: {', '.join(idle)}.", DataQualityWarning)
    truth, rows = first.made, []
    for position, vintage in enumerate(plan.vintages):
        altered = plan.with_rows(_alter(plan.log.rows, vintage.cutoff), until=position)
        again = forecast_all(altered, n_jobs=n_jobs).made
        keys = dict.fromkeys(key for key in (*truth, *again) if key[0] == position)
        rows += [row for key in keys for row in _compare(plan, key, truth.get(key), again.get(key))]
    columns = ["cutoff", "horizon", "method", "column", "customers", "first_customer"]
    return pd.DataFrame(rows, columns=columns)


_OF_SCORES = ("n_bootstrap", "level", "progressbar")


def _alter(rows: pd.DataFrame, cutoff: dt.date) -> pd.DataFrame:
    """Give what was bought after a date to other customers, at other dates (within the same future) and prices."""
    rng = np.random.default_rng(0)
    later = (rows["date"] >= first_instant_after(cutoff)).to_numpy()
    future = rows[later].copy()
    about_customers = [name for name in rows.columns if name not in ("date", "amount")]
    of_customer = rows[about_customers].drop_duplicates("customer_id").reset_index(drop=True)
    other = of_customer.iloc[rng.permutation(len(of_customer))].reset_index(drop=True)
    position = pd.Index(of_customer["customer_id"]).get_indexer(pd.Index(future["customer_id"]))
    for name in about_customers:
        future[name] = other[name].to_numpy()[position]
    future["date"] = rng.permutation(future["date"].to_numpy())
    if "amount" in future:
        future["amount"] = 1.7 * rng.permutation(future["amount"].to_numpy())
    return pd.concat([rows[~later], future], ignore_index=True)


def _compare(plan: Plan, key: Key, one: Forecast | None, other: Forecast | None) -> Iterator[dict[str, Any]]:
    vintage = plan.vintages[key[0]]
    place = {"cutoff": str(vintage.cutoff), "horizon": vintage.outcomes[key[1]].horizon, "method": key[2]}
    numbers, others = ({} if forecast is None else _numbers(forecast) for forecast in (one, other))
    n = len(vintage.cohort.customer_id)
    for column in sorted({*numbers, *others}):
        a, b = numbers.get(column), others.get(column)
        if a is None or b is None or a.shape != b.shape:
            yield {**place, "column": column, "customers": n, "first_customer": None}
            continue
        changed = (a != b).any(axis=1)
        if changed.any():
            of_all = column.startswith(_OF_ALL)
            first = None if of_all else vintage.cohort.customer_id[int(np.argmax(changed))]
            yield {**place, "column": column, "customers": n if of_all else int(changed.sum()), "first_customer": first}


_OF_ALL = ("total", "track")


def _numbers(forecast: Forecast) -> dict[str, Any]:
    """All that a forecast says, as arrays of two dimensions."""
    columns: dict[str, Any] = {
        "expected_purchases": forecast.expected_purchases,
        "p_purchase": forecast.p_purchase,
        "expected_spend": forecast.expected_spend,
        "expected_value": forecast.expected_value,
        "purchases": _law(forecast.purchases),
        "value": _law(forecast.value),
        "track": None if forecast.track is None else np.column_stack(forecast.track),
        **{f"total {name}": draws for name, draws in forecast.totals.items()},
    }
    return {name: np.reshape(column, (len(column), -1)) for name, column in columns.items() if column is not None}


def _law(distribution: Distribution | None) -> Any:
    """What changes when a distribution does: quantiles may stay, the score of an outcome of 0 holds all of it."""
    if distribution is None:
        return None
    return np.column_stack([distribution.at_levels(QUANTILES), distribution.crps(np.zeros(len(distribution)))])
