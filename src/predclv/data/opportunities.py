"""Opportunities to buy: the periods of the calendar after that of the first purchase, each used or not."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.data.checks import check_option
from predclv.data.durations import ABBREVIATIONS, SPAN, Horizon, parse_horizon
from predclv.errors import DataError

__all__ = [
    "OPPORTUNITIES",
    "check_opportunities",
    "last_days",
    "last_whole_day",
    "number_periods",
    "parse_opportunities",
    "whole_opportunities",
]

#: Periods of the calendar that can be opportunities; weeks start on Monday.
OPPORTUNITIES = ("year", "quarter", "month", "week", "day")

_MONTHS = {"year": 12, "quarter": 3, "month": 1}
_EPOCH = dt.date(1970, 1, 1).toordinal()


def check_opportunities(opportunities: object) -> str:
    """Return the name of a period of the calendar, or raise DataError."""
    return check_option("opportunities", opportunities, OPPORTUNITIES)


def number_periods(days: NDArray[np.int64], opportunities: str) -> NDArray[np.int64]:
    """Running number of the period that each day (a proleptic Gregorian ordinal) falls in."""
    if opportunities == "day":
        return np.asarray(days, dtype=np.int64)
    if opportunities == "week":
        return (np.asarray(days, dtype=np.int64) - 1) // 7
    months = (np.asarray(days, dtype=np.int64) - _EPOCH).astype("datetime64[D]").astype("datetime64[M]")
    return months.astype(np.int64) // _MONTHS[opportunities]


def last_days(numbers: NDArray[np.int64], opportunities: str) -> NDArray[np.int64]:
    """Last day (a proleptic Gregorian ordinal) of each period, by its running number."""
    numbers = np.asarray(numbers, dtype=np.int64)
    if opportunities == "day":
        return numbers
    if opportunities == "week":
        return 7 * numbers + 7
    following = ((numbers + 1) * _MONTHS[opportunities]).astype("datetime64[M]").astype("datetime64[D]")
    return following.astype(np.int64) + _EPOCH - 1


def last_whole_day(end: dt.date, opportunities: str) -> dt.date:
    """Last day of the last period that is over when observation ends; a date is that whole day, an instant none."""
    day = end.toordinal() - isinstance(end, dt.datetime)
    this, before = last_days(np.array([0, -1]) + _number(day, opportunities), opportunities)
    return dt.date.fromordinal(int(this if this == day else before))


def parse_opportunities(horizon: object, opportunities: str, observation_end: dt.date | None = None) -> Horizon:
    """Read a horizon as a whole number of opportunities.

    Parameters
    ----------
    horizon : str, Timedelta, date, number or Horizon
        As in `parse_horizon`. Years, quarters and months are told in one another, and so are weeks and days; an end
        date is the last day of an opportunity.
    opportunities : {"year", "quarter", "month", "week", "day"}
    observation_end : date, optional

    Returns
    -------
    Horizon
        Its length is whole, or infinite.

    Raises
    ------
    DataError
        It cannot be read, or cuts an opportunity.
    """
    months = _months(horizon)
    if months is not None and opportunities in _MONTHS:
        parsed = parse_horizon(months / _MONTHS[opportunities], opportunities, observation_end)
    else:
        parsed = parse_horizon(horizon, opportunities, observation_end)
    if not math.isfinite(parsed.length):
        return parsed
    if parsed.until is not None and observation_end is not None:
        days = [moment.toordinal() + 1 for moment in (observation_end, parsed.until)]
        if not isinstance(parsed.until, dt.datetime) and last_whole_day(parsed.until, opportunities) == parsed.until:
            first, last = (_number(day, opportunities) for day in days)
            return Horizon(float(last - first), parsed.label, parsed.end)
        raise DataError(
            f"horizon={horizon!r} ends within a {opportunities}, which is one opportunity to buy or none. Give "
            f"{str(last_whole_day(parsed.until, opportunities))!r}, the last day of one, or a number of "
            f"{opportunities}s."
        )
    whole = whole_opportunities(parsed.length)
    if whole is None:
        raise DataError(
            f"horizon={horizon!r} is {parsed.length:.6g} {opportunities}s, and opportunities come whole. Give "
            f"'{max(round(parsed.length), 1)} {opportunities}s', for instance."
        )
    return Horizon(whole, parsed.label, parsed.end)


def whole_opportunities(length: float) -> float | None:
    """Return a length as a whole number, where it is one but for rounding, else None."""
    nearest = float(round(length))
    return nearest if nearest >= 1 and abs(length - nearest) <= 1e-9 * nearest else None


def _months(horizon: object) -> float | None:
    """Months in "5 years", "2 quarters" or "6 months", by the calendar, whatever their days; None for all else."""
    if not isinstance(horizon, str) or not (span := SPAN.fullmatch(horizon)):
        return None
    per_unit = _MONTHS.get(ABBREVIATIONS.get(span[2].lower(), span[2].lower().removesuffix("s")))
    return None if per_unit is None else float(span[1]) * per_unit


def _number(day: int, opportunities: str) -> int:
    numbers: Any = number_periods(np.array([day]), opportunities)
    return int(numbers[0])
