"""Old customers who only look new because the log starts late."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.dates import day_of
from predclv.data.frames import column_to_numpy
from predclv.errors import DataQualityWarning, warn

__all__ = ["NEVER", "Births", "acquired_days"]

IntArray = NDArray[np.int64]

#: Later than every day: where the day of acquisition is not known.
NEVER = np.iinfo(np.int64).max

_FIRST_DAYS = 7
_LATER_DAYS = 56


def acquired_days(rows: nw.LazyFrame[Any], customers: NDArray[Any]) -> IntArray:
    """Ordinal of each customer's earliest acquisition date, `NEVER` where it is unknown.

    Parameters
    ----------
    rows : LazyFrame
        customer, acquired (a date).
    customers : (n_customers,) array
        The order of the result.
    """
    known = rows.filter(~nw.col("acquired").is_null()).select("customer", born=day_of("acquired"))
    found = known.group_by("customer").agg(nw.col("born").min()).collect()
    days = np.full(len(customers), NEVER)
    position = pd.Index(customers).get_indexer(column_to_numpy(found["customer"]))
    # Customers who hold nothing but returns are not among `customers`.
    days[position[position >= 0]] = column_to_numpy(found["born"])[position >= 0]
    return days


@dataclass
class Births:
    """Counts first purchases in the log's first week and in the eight after it.

    Attributes
    ----------
    start_day, end_day : int
        Ordinals of the first and last day of the log.
    """

    start_day: int
    end_day: int
    total: int = 0
    early: int = 0
    later: int = 0

    @property
    def _later_days(self) -> int:
        return min(self.end_day - self.start_day + 1 - _FIRST_DAYS, _LATER_DAYS)

    def count(self, first_day: IntArray) -> None:
        """Add customers by the day of their first purchase."""
        age = first_day - self.start_day
        self.total += len(age)
        self.early += int((age < _FIRST_DAYS).sum())
        self.later += int(((age >= _FIRST_DAYS) & (age < _FIRST_DAYS + self._later_days)).sum())

    def warn_of_spike(self) -> None:
        """Warn where the first week holds far more first purchases than the weeks after it.

        The first week is compared with the average of the eight after it: more than twice as many, and by more than
        five standard deviations of a Poisson count.
        """
        if self._later_days < 2 * _FIRST_DAYS:
            return
        usual = self.later * _FIRST_DAYS / self._later_days
        if self.early > 2 * usual and self.early - usual > 5 * math.sqrt(usual + 1):
            warn(
                f"{self.early:,} of {self.total:,} customers have their first purchase in the first week of the log, "
                f"from {dt.date.fromordinal(self.start_day)}; in the weeks after it {usual:,.0f} a week have. "
                "Customers from before the log look new and bias the fit: give observation_start (a date some time "
                "into the log) or acquired (a column), or observation_start at the first day if they are new.",
                DataQualityWarning,
            )
