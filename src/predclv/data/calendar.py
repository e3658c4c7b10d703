"""Periods of the calendar, weeks to years, as running numbers: in every engine, and back as dates."""

from __future__ import annotations

import datetime as dt
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.checks import check_option
from predclv.data.opportunities import last_days, last_whole_day, number_periods

__all__ = ["CALENDAR", "check_calendar", "last_whole_number", "number_of_day", "period_index", "with_number"]

#: Periods that cohorts are cut by; weeks start on Monday.
CALENDAR = ("week", "month", "quarter", "year")
_FREQUENCY = {"week": "W-SUN", "month": "M", "quarter": "Q-DEC", "year": "Y-DEC"}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
# Months from January of the year 0 to the first of those that are counted from 0.
_EPOCH = 1970 * 12


def check_calendar(period: object) -> str:
    """Return the name of a period of the calendar, or raise DataError."""
    return check_option("period", period, CALENDAR)


def with_number(frame: nw.LazyFrame[Any], day: nw.Expr, period: str) -> nw.LazyFrame[Any]:
    """Add `at`, the running number of the period that a day (its ordinal) falls in, as `number_periods` counts.

    Year and month follow from the day by whole numbers alone, in years that begin in March, so that every engine
    agrees.
    """
    if period == "week":
        return frame.with_columns(at=(day.cast(nw.Int64) - 1) // 7)
    if period == "day":
        return frame.with_columns(at=day.cast(nw.Int64))
    # Days since 1 March of the year 0, and within its 400 years.
    frame = frame.with_columns(march=day.cast(nw.Int64) + 305)
    frame = frame.with_columns(era=nw.col("march") // 146_097)
    frame = frame.with_columns(march=nw.col("march") - nw.col("era") * 146_097)
    of_era = nw.col("march")
    frame = frame.with_columns(yoe=(of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365)
    year = nw.col("yoe")
    frame = frame.with_columns(march=nw.col("march") - (year * 365 + year // 4 - year // 100))
    months = (nw.col("era") * 400 + nw.col("yoe")) * 12 + (nw.col("march") * 5 + 2) // 153 + 2
    size = _MONTHS[period]
    return frame.with_columns(at=months // size - _EPOCH // size).drop("march", "era", "yoe")


def number_of_day(day: dt.date, period: str) -> int:
    """Running number of the period that a date falls in."""
    numbers: Any = number_periods(np.array([day.toordinal()]), period)
    return int(numbers[0])


def last_whole_number(end: dt.date, period: str) -> int:
    """Running number of the last period that is over when observation ends."""
    return number_of_day(last_whole_day(end, period), period)


def period_index(numbers: NDArray[np.int64], period: str, name: str | None = None) -> pd.PeriodIndex:
    """Periods of pandas by their running number."""
    epoch = dt.date(1970, 1, 1).toordinal()
    days = (last_days(np.asarray(numbers, dtype=np.int64), period) - epoch).astype("datetime64[D]")
    return pd.PeriodIndex(pd.to_datetime(days), freq=_FREQUENCY[period], name=name)
