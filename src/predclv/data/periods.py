"""Contract periods: months and other stretches that are renewed, counted by the calendar."""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.data.checks import check_option
from predclv.data.durations import Horizon, parse_horizon, parse_moment
from predclv.errors import DataError

__all__ = ["DAYS_PER_PERIOD", "PERIODS", "check_period", "count_renewals", "parse_periods", "renewal_date"]

IntArray = NDArray[np.int64]
Dates = NDArray[np.datetime64]

#: Days in a period on average.
DAYS_PER_PERIOD = {"day": 1.0, "week": 7.0, "month": 365.25 / 12, "quarter": 365.25 / 4, "year": 365.25}
PERIODS = tuple(DAYS_PER_PERIOD)

_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_DAYS = {"day": 1, "week": 7}
_SPAN = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*(day|week|month|quarter|year)s?\s*", re.IGNORECASE)


def check_period(period: object) -> str:
    """Return `period`, or raise DataError."""
    return check_option("period", period, PERIODS)


def renewal_date(start: Dates, number: IntArray, period: str) -> Dates:
    """Date of each contract's renewal of a number, (n,) days.

    Months are counted from the start: a contract of 31 January is renewed on 28 February and on 31 March.
    """
    if period in _DAYS:
        days: Dates = start + (number * _DAYS[period]).astype("timedelta64[D]")
        return days
    month = start.astype("datetime64[M]")
    day = (start - month.astype("datetime64[D]")).astype(np.int64)
    due = month + (number * _MONTHS[period]).astype("timedelta64[M]")
    last = ((due + 1).astype("datetime64[D]") - due.astype("datetime64[D]")).astype(np.int64) - 1
    dates: Dates = due.astype("datetime64[D]") + np.minimum(day, last).astype("timedelta64[D]")
    return dates


def count_renewals(start: Dates, day: Dates, period: str) -> IntArray:
    """Renewals of each contract that are due until a day, that day included; 0 where it precedes the start."""
    if period in _DAYS:
        passed = (day - start).astype(np.int64) // _DAYS[period]
    else:
        months = (day.astype("datetime64[M]") - start.astype("datetime64[M]")).astype(np.int64)
        passed = months // _MONTHS[period]
        passed = passed - (renewal_date(start, passed, period) > day)
    return np.maximum(passed, 0)


def parse_periods(horizon: Any, period: str, observation_end: dt.date | None = None) -> Horizon:
    """Read a horizon in periods.

    Parameters
    ----------
    horizon : str, Timedelta, date, number or Horizon
        "12 months", "1 year", an end date, `math.inf`, or a number of periods. Months, quarters and years hold each
        other exactly, as do weeks days; between the two kinds an average month (365.25 / 12 days) counts. Until an end
        date the months of the calendar count.
    period : {"day", "week", "month", "quarter", "year"}
    observation_end : date, optional
        The as-of date, which an end date needs.

    Returns
    -------
    Horizon
        Its `length` is in periods.

    Raises
    ------
    DataError
        Where it cannot be read, is not positive, or needs an as-of date that is not known.
    """
    if isinstance(horizon, Horizon):
        return horizon
    if isinstance(horizon, int | float | np.integer | np.floating) and not isinstance(horizon, bool):
        if not np.isfinite(horizon):
            return parse_horizon(horizon, "day", None)
        label = f"{float(horizon):g} {period}{'' if horizon == 1 else 's'}"
        return _positive(horizon, float(horizon), Horizon(float(horizon), label))
    if isinstance(horizon, str) and (span := _SPAN.fullmatch(horizon)):
        count, unit = float(span[1]), span[2].lower()
        label = f"{count:g} {unit}{'' if count == 1 else 's'}"
        return _positive(horizon, count, Horizon(count * _ratio(unit, period), label))
    parsed = parse_horizon(horizon, "day", observation_end)
    if not math.isfinite(parsed.length):
        return parsed
    if parsed.label.startswith("until") and period in _MONTHS:
        assert observation_end is not None
        moment = parse_moment("horizon", horizon)
        assert moment is not None
        return Horizon(_months_between(observation_end, moment) / _MONTHS[period], parsed.label, parsed.end)
    return Horizon(parsed.length / DAYS_PER_PERIOD[period], parsed.label, parsed.end)


def _ratio(unit: str, period: str) -> float:
    """Periods in one unit."""
    for exact in (_MONTHS, _DAYS):
        if unit in exact and period in exact:
            return exact[unit] / exact[period]
    return DAYS_PER_PERIOD[unit] / DAYS_PER_PERIOD[period]


def _positive(horizon: object, length: float, parsed: Horizon) -> Horizon:
    if not length > 0:
        raise DataError(f"horizon={horizon!r} must be longer than zero.")
    return parsed


def _months_between(start: dt.date, end: dt.date) -> float:
    """Months from the end of one day to the end of another: whole ones, and the days left over as a share of one."""
    first, last = (np.array([np.datetime64(f"{day:%Y-%m-%d}", "D")]) + 1 for day in (start, end))
    whole = count_renewals(first, last, "month")
    before, after = (renewal_date(first, whole + i, "month") for i in (0, 1))
    return float(whole[0] + (last - before)[0] / (after - before)[0])
