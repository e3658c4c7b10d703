"""Retention of contracts by period of the calendar: who ran at its start, and who of them did not at its end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.calendar import last_whole_number, number_of_day, period_index
from predclv.data.columns import segments
from predclv.data.opportunities import last_days, number_periods
from predclv.data.periods import renewal_date
from predclv.data.subscriptions import Subscriptions
from predclv.decisions.cohorts.shares import ratio_interval, share_interval
from predclv.decisions.cohorts.table import NOT_ENOUGH
from predclv.errors import DataError

__all__ = ["CONTRACT_DEFINITIONS", "contract_table"]

IntArray = NDArray[np.int64]

CONTRACT_DEFINITIONS: Mapping[str, str] = MappingProxyType(
    {
        "active_customers": "contracts that run at the period's end",
        "new_customers": "contracts that started in the period",
        "churn_rate": "of the contracts that ran when the period began, the share that has ended by its end (logo "
        "churn). A contract runs until its first renewal that was not made",
        "revenue_running": "what the contracts that run at the period's end pay a contract period",
        "net_revenue_retention": "of what the contracts running when the period began pay, the part of those still "
        "running at its end. A contract has one price here, so there is no expansion, and net and gross are the same",
        "gross_revenue_retention": "as net revenue retention: see there",
        "..._low, ..._high": "interval: of shares Wilson's, of ratios by their residuals over contracts (normal)",
    }
)


def contract_table(subs: Subscriptions, by: str | None, period: str, level: float, least: int) -> pd.DataFrame:
    """Rows of period (and segment): see `CONTRACT_DEFINITIONS`."""
    if subs.start is None or subs.observation_end is None:
        raise DataError(
            "The contracts do not say when they started, or as of when: make them by Subscriptions.from_log. Of a "
            "table of cohorts the survivors themselves are the retention."
        )
    names, codes = segments(subs, by) if by is not None else (["all"], np.zeros(len(subs), dtype=np.int64))  # type: ignore[arg-type]
    epoch = dt.date(1970, 1, 1).toordinal()
    start = subs.start.astype("datetime64[D]")
    over = renewal_date(start, subs.tenure + 1, subs.period)
    begun = start.astype(np.int64) + epoch
    # The first day on which it does not run any more.
    gone = np.where(subs.ended, over.astype(np.int64) + epoch, np.iinfo(np.int64).max)
    first = int(number_periods(begun[[np.argmin(begun)]], period)[0])
    last = last_whole_number(subs.observation_end, period)
    if last < first or last < number_of_day(dt.date.fromordinal(int(begun.min())), period):
        raise DataError(f"No {period} is over by {subs.observation_end}. Give a shorter period.")
    numbers = np.arange(first, last + 1)
    ends: Any = last_days(np.r_[first - 1, numbers], period)
    tables = []
    for code, name in enumerate(names):
        own = codes == code
        price = None if subs.price is None else subs.price[own]
        weight = subs.weight[own]
        table = _of_segment(begun[own], gone[own], weight, price, ends, level, least)
        table.insert(0, "period", period_index(numbers, period))
        if by is not None:
            table.insert(1, "segment", name)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _of_segment(
    begun: IntArray, gone: IntArray, weight: Any, price: Any, ends: Any, level: float, least: int
) -> pd.DataFrame:
    rows = []
    for before, end in pairwise(ends):
        # A contract runs on a day from its start on, until the day on which it was not renewed.
        ran, runs = (begun <= before) & (gone > before + 1), (begun <= end) & (gone > end + 1)
        kept = ran & runs
        row = {
            "active_customers": weight[runs].sum(),
            "new_customers": weight[(begun > before) & (begun <= end)].sum(),
            "base": weight[ran].sum(),
            "lost": weight[ran & ~runs].sum(),
        }
        if price is not None:
            paid = weight * price
            x, y = paid[ran].sum(), paid[kept].sum()
            xx, yy = (weight * price**2)[ran].sum(), (weight * price**2)[kept].sum()
            row |= {"revenue_running": paid[runs].sum(), "x": x, "y": y, "xx": xx, "yy": yy}
        rows.append(row)
    found = pd.DataFrame(rows)
    known = (found["base"] >= least).to_numpy()
    low, high = share_interval(found["lost"], found["base"], level)
    table = found[["active_customers", "new_customers"]].astype(np.int64)
    with np.errstate(divide="ignore", invalid="ignore"):
        churn = (found["lost"] / found["base"]).to_numpy()
    for column, values in (("churn_rate", churn), ("churn_rate_low", low), ("churn_rate_high", high)):
        table[column] = np.where(known, values, np.nan)
    if price is not None:
        table["revenue_running"] = found["revenue_running"]
        y, x, yy, xx = (found[name].to_numpy() for name in ("y", "x", "yy", "xx"))
        # Who stays pays what he paid: the products are the squares of those who stay.
        low, high = ratio_interval(y, x, yy, yy, xx, level)
        for name in ("net_revenue_retention", "gross_revenue_retention"):
            ratio = np.where(x > 0, y / np.where(x > 0, x, 1.0), np.nan)
            table[name] = np.where(known, ratio, np.nan)
            table[f"{name}_low"] = np.where(known, np.clip(low, 0.0, 1.0), np.nan)
            table[f"{name}_high"] = np.where(known, np.clip(high, 0.0, 1.0), np.nan)
    table["note"] = np.where(known, "", f"{NOT_ENOUGH}: fewer than {least} contracts")
    return table
