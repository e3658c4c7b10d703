"""Periods over which purchases are tracked: weeks and months of time, or opportunities."""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.durations import DAYS_PER_UNIT
from predclv.data.opportunities import last_days, last_whole_day, number_periods
from predclv.errors import DataError

__all__ = ["Periods", "periods_of_opportunities", "periods_of_time"]

FloatArray = NDArray[np.float64]

_DAY = np.timedelta64(1, "D")
_EPOCH = dt.date(1970, 1, 1).toordinal()


class Periods(NamedTuple):
    """Where the rows of a timeline lie.

    Attributes
    ----------
    starts : (n_periods + 1,) datetime64 array
        First days of the periods, and the day after the last.
    edges : (n_periods + 1,) array
        Their ends in the model's unit, after the one that everything starts from: period j is (edges[j], edges[j + 1]].
    position : (n_rows,) array
        Time of the purchases in each row of the timeline.
    row : (n_rows,) int array
        Period of each row.
    step : float
        Distance of the times at which purchases lie.
    """

    starts: NDArray[Any]
    edges: FloatArray
    position: FloatArray
    row: NDArray[np.int64]
    step: float


def periods_of_time(timeline: pd.DataFrame, as_of: dt.date, period: str, time_unit: str) -> Periods:
    """Weeks counted from the as-of date in both directions, or months cut at it, of a timeline of days.

    Raises
    ------
    DataError
        A row of the timeline is longer than a day.
    """
    if (timeline.get("days", pd.Series(1)) > 1).any():
        raise DataError("The timeline is not of days. Give purchase_timeline(log, by='day', ...).")
    unit = DAYS_PER_UNIT[time_unit]
    days, end = _days(timeline), np.datetime64(as_of, "D")
    # A log that ends before the as-of date says that nobody bought in between.
    starts = _period_starts(days[0], end, max(days[-1], end), period)
    # Time 0 is the first day; a day's purchases happen at its number, so a period (start, end] ends on its last day.
    edges = ((starts - starts[0]).astype(np.float64) - 1.0) / unit
    edges[0] = 0.0
    row = np.searchsorted(starts, days, side="right") - 1
    return Periods(starts, edges, (days - days[0]).astype(np.float64) / unit, row, 1.0 / unit)


def periods_of_opportunities(timeline: pd.DataFrame, as_of: dt.date, opportunities: str) -> Periods:
    """Opportunities themselves, of a timeline of them.

    Raises
    ------
    DataError
        The rows of the timeline are no opportunities, or the as-of date cuts one.
    """
    if last_whole_day(as_of, opportunities) != as_of:
        raise DataError(
            f"as_of={str(as_of)!r} cuts a {opportunities}, which is one opportunity. Give "
            f"{str(last_whole_day(as_of, opportunities))!r}, the last day of one."
        )
    days = _days(timeline)
    numbers = number_periods(days.astype(np.int64) + _EPOCH, opportunities)
    last = max(numbers[-1], number_periods(np.array([as_of.toordinal()]), opportunities)[0])
    starts = (last_days(np.arange(numbers[0] - 1, last + 1), opportunities) + 1 - _EPOCH).astype("datetime64[D]")
    if not np.array_equal(starts[: len(days)], days):
        raise DataError(
            f"The timeline is not of opportunities, one row a {opportunities} from its first day on. Give "
            f"purchase_timeline(log, opportunities={opportunities!r}, ...)."
        )
    row = np.arange(len(days))
    # Purchases of period j lie at j, and those of the first, where the first customers came, are in (-1, 0].
    return Periods(starts, np.arange(-1.0, len(starts) - 1.0), row.astype(np.float64), row, 1.0)


def _days(timeline: pd.DataFrame) -> NDArray[Any]:
    return timeline["start"].to_numpy().astype("datetime64[D]")


def _period_starts(first: np.datetime64, as_of: np.datetime64, last: np.datetime64, period: str) -> NDArray[Any]:
    """First days of the periods from `first` on, and the day after `last`; one starts on the day after `as_of`."""
    if period == "month":
        months = np.arange(first.astype("datetime64[M]"), last.astype("datetime64[M]") + 1)
        starts = months.astype("datetime64[D]")
    else:
        back, ahead = (int((as_of - first) / _DAY) // 7, max(int((last - as_of) / _DAY), 0) // 7)
        starts = as_of + _DAY + 7 * np.arange(-back, ahead + 1) * _DAY
    starts = np.append(starts, as_of + _DAY)
    inner = starts[(starts > first) & (starts <= last)]
    return np.unique(np.concatenate([[first], inner, [last + _DAY]]).astype("datetime64[D]"))
