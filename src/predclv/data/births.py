"""Old customers who only look new because the log starts late."""

from __future__ import annotations

import datetime as dt
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.dates import day_of
from predclv.data.frames import column_to_numpy
from predclv.errors import DataQualityWarning, warn

__all__ = ["acquired_days", "warn_of_spike"]

IntArray = NDArray[np.int64]

_FIRST_DAYS = 7
_LATER_DAYS = 56


def acquired_days(rows: nw.LazyFrame[Any], customers: NDArray[Any]) -> IntArray:
    """Ordinal of each customer's earliest acquisition date, the largest integer where it is unknown.

    Parameters
    ----------
    rows : LazyFrame
        customer, acquired (a date).
    customers : (n_customers,) array
        The order of the result.
    """
    known = rows.filter(~nw.col("acquired").is_null()).select("customer", born=day_of("acquired"))
    found = known.group_by("customer").agg(nw.col("born").min()).collect()
    days = np.full(len(customers), np.iinfo(np.int64).max)
    position = pd.Index(customers).get_indexer(column_to_numpy(found["customer"]))
    # Customers who hold nothing but returns are not among `customers`.
    days[position[position >= 0]] = column_to_numpy(found["born"])[position >= 0]
    return days


def warn_of_spike(first_day: IntArray, start_day: int, end_day: int) -> None:
    """Warn where the log's first week holds far more first purchases than the weeks after it.

    The first week is compared with the average of the eight after it: more than twice as many, and by more than
    five standard deviations of a Poisson count.
    """
    age = first_day - start_day
    later_days = min(end_day - start_day + 1 - _FIRST_DAYS, _LATER_DAYS)
    if later_days < 2 * _FIRST_DAYS:
        return
    early = int((age < _FIRST_DAYS).sum())
    usual = int(((age >= _FIRST_DAYS) & (age < _FIRST_DAYS + later_days)).sum()) * _FIRST_DAYS / later_days
    if early > 2 * usual and early - usual > 5 * np.sqrt(usual + 1):
        warn(
            f"{early:,} of {len(first_day):,} customers have their first purchase in the first week of the log, from "
            f"{dt.date.fromordinal(start_day)}; in the weeks after it {usual:,.0f} a week have. Customers from before "
            "the log look new and bias the fit: give observation_start (a date some time into the log) or acquired "
            "(a column), or observation_start at the first day if they are new.",
            DataQualityWarning,
        )
