"""Whether forecasts know what they cannot know: the future is altered, and they must not move."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from predclv.backtesting.blocks import QUANTILES
from predclv.backtesting.logs import first_instant_after
from predclv.backtesting.plan import Plan, forecast_all, make_plan
from predclv.backtesting.predictions import Forecast
from predclv.backtesting.second_stage import Key

__all__ = ["find_leaks"]


def find_leaks(log: Any, *, n_jobs: int = 1, **options: Any) -> pd.DataFrame:
    """Forecast twice from each cut-off, the second time from a log whose later rows were altered.

    What was bought after a cut-off goes to other customers, at other dates and prices. Forecasts from that cut-off may
    not change by a bit: neither the methods' nor what recalibration and combination make of them. A method that has
    the outcomes from elsewhere than its arguments cannot be found out this way.

    Parameters
    ----------
    log, n_jobs, **options
        As in `backtest`.

    Returns
    -------
    DataFrame
        A row a leak: cutoff, horizon, method, column, customers (how many forecasts changed), first_customer. Empty
        where nothing leaks.
    """
    plan = make_plan(log, **options)
    truth = forecast_all(plan, n_jobs=n_jobs).made
    rows = []
    for position, vintage in enumerate(plan.vintages):
        altered = plan.with_rows(_alter(plan.log.rows, vintage.cutoff), until=position)
        again = forecast_all(altered, n_jobs=n_jobs).made
        rows += [
            row
            for key, forecast in truth.items()
            if key[0] == position
            for row in _compare(plan, key, forecast, again.get(key))
        ]
    columns = ["cutoff", "horizon", "method", "column", "customers", "first_customer"]
    return pd.DataFrame(rows, columns=columns)


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


def _compare(plan: Plan, key: Key, one: Forecast, other: Forecast | None) -> Iterator[dict[str, Any]]:
    vintage = plan.vintages[key[0]]
    place = {"cutoff": str(vintage.cutoff), "horizon": vintage.outcomes[key[1]].horizon, "method": key[2]}
    numbers = _numbers(one)
    others = {} if other is None else _numbers(other)
    for column in sorted({*numbers, *others}):
        a, b = numbers.get(column), others.get(column)
        if a is None or b is None:
            yield {**place, "column": column, "customers": len(vintage.cohort.customer_id), "first_customer": None}
            continue
        changed = (a != b).any(axis=1)
        if changed.any():
            first = None if column.startswith("total") else vintage.cohort.customer_id[int(np.argmax(changed))]
            yield {**place, "column": column, "customers": int(changed.sum()), "first_customer": first}


def _numbers(forecast: Forecast) -> dict[str, Any]:
    """All that a forecast says, as arrays of two dimensions."""
    columns: dict[str, Any] = {
        "expected_purchases": forecast.expected_purchases,
        "p_purchase": forecast.p_purchase,
        "expected_spend": forecast.expected_spend,
        "expected_value": forecast.expected_value,
        "purchases": None if forecast.purchases is None else forecast.purchases.at_levels(QUANTILES),
        "value": None if forecast.value is None else forecast.value.at_levels(QUANTILES),
        **{f"total {name}": draws for name, draws in forecast.totals.items()},
    }
    return {name: np.reshape(column, (len(column), -1)) for name, column in columns.items() if column is not None}
