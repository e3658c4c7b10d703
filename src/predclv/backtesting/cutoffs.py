"""Cut-offs and the ends of their horizons, checked against the log."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from predclv.backtesting.logs import PurchaseLog, first_instant_after
from predclv.backtesting.opportunities import (
    count_opportunities,
    opportunity_ends,
    opportunity_of,
    require_whole,
)
from predclv.data.dates import end_tick
from predclv.data.durations import DAYS_PER_UNIT, Horizon, parse_horizon, parse_moment
from predclv.data.opportunities import last_whole_day
from predclv.data.rfm import RFMSummary
from predclv.errors import DataError

__all__ = ["WHOLE_DAYS", "settle_cutoffs", "settle_horizons", "window_length"]

#: Ways to collapse that know days and nothing finer.
WHOLE_DAYS = ("day", "week", "month")

_MONTHS = re.compile(r"(\d+) months?")


def settle_cutoffs(
    log: PurchaseLog, horizons: Sequence[Any], cutoffs: Sequence[Any] | None, n_cutoffs: int | None, step: Any
) -> list[dt.date]:
    """Return the cut-offs asked for, earliest first: dates, or counted back from the end of the log."""
    if (cutoffs is None) == (n_cutoffs is None):
        raise DataError("Give either cutoffs=['2024-06-30', ...] or n_cutoffs=3 (with step='13 weeks').")
    if cutoffs is None:
        return _count_back(log, horizons, n_cutoffs, step)
    if step is not None:
        raise DataError("'step' goes with n_cutoffs; cut-offs are given.")
    if isinstance(cutoffs, str | dt.date | np.datetime64):
        cutoffs = [cutoffs]
    dates = [parse_moment("cutoffs", cutoff) for cutoff in cutoffs]
    if not dates or None in dates:
        raise DataError("'cutoffs' is empty, or holds None: give dates, such as ['2024-06-30'].")
    for date in dates:
        if isinstance(date, dt.datetime) and date.tzinfo is not None:
            raise DataError(f"The cut-off {date} knows its time zone. Give it by the clock of the log, without a zone.")
    settled = sorted((date for date in dates if date is not None), key=first_instant_after)
    if log.opportunities is not None:
        for date in settled:
            require_whole(date, log.opportunities)
    for earlier, later in pairwise(settled):
        if first_instant_after(earlier) == first_instant_after(later):
            raise DataError(f"The cut-off {later} is given twice.")
    return settled


def _count_back(log: PurchaseLog, horizons: Sequence[Any], n_cutoffs: int | None, step: Any) -> list[dt.date]:
    first, last = log.rows["date"].min().date(), _last_whole_day(log.end)
    if isinstance(n_cutoffs, bool) or not isinstance(n_cutoffs, int | np.integer) or n_cutoffs < 1:
        raise DataError(f"'n_cutoffs' must be a whole number from 1 on. Got {n_cutoffs!r}.")
    if n_cutoffs > (last - first).days:
        raise DataError(f"n_cutoffs={n_cutoffs} is more than the log has days, from {first} to {last}.")
    if log.opportunities is not None:
        return _count_opportunities_back(first, last, log.opportunities, horizons, int(n_cutoffs), step)
    unit, whole = log.options["time_unit"], log.options["collapse"] in WHOLE_DAYS
    # A year of 365.25 days ends with the last whole one where days are whole.
    latest = [_before(last, horizon, unit, option="horizon", down=whole) for horizon in horizons]
    longest = int(np.argmin([day.toordinal() for day in latest]))
    apart, down = (horizons[longest], whole) if step is None else (step, False)
    option = "horizon" if step is None else "step"
    back = [_before(latest[longest], apart, unit, i, option=option, down=down) for i in range(int(n_cutoffs))]
    if len(set(back)) < len(back):
        raise DataError(f"{option}={apart!r} is shorter than a day, so that cut-offs coincide. Give whole days.")
    return back[::-1]


def _count_opportunities_back(
    first: dt.date, last: dt.date, opportunities: str, horizons: Sequence[Any], n_cutoffs: int, step: Any
) -> list[dt.date]:
    def count(option: str, given: Any) -> int:
        n, label = count_opportunities(option, given, opportunities, first)
        if label.startswith("until"):
            raise DataError(
                f"{option}={given!r} is a date, from which n_cutoffs cannot be counted. Give cutoffs=[...]."
            )
        return n

    longest = max(count("horizon", given) for given in horizons)
    apart = longest if step is None else count("step", step)
    latest = opportunity_of(last_whole_day(last, opportunities), opportunities) - longest
    try:
        return opportunity_ends(latest - apart * np.arange(n_cutoffs)[::-1], opportunities)
    except ValueError:
        raise DataError(f"n_cutoffs={n_cutoffs} of them lie outside the calendar.") from None


def _last_whole_day(end: dt.date) -> dt.date:
    # What is complete until an instant has its last whole day before.
    return end.date() - dt.timedelta(days=1) if isinstance(end, dt.datetime) else end


def _before(day: dt.date, given: Any, unit: str, times: int = 1, *, option: str, down: bool = False) -> dt.date:
    """Whole day that lies so many times a length before another; months are those of the calendar."""
    length = _parse(option, given, unit, day)
    if length.label.startswith("until"):
        raise DataError(f"{option}={given!r} is a date, from which n_cutoffs cannot be counted. Give cutoffs=[...].")
    days = round(_days(length, unit, given) * 86_400) / 86_400
    try:
        if months := _MONTHS.fullmatch(length.label):
            return (pd.Timestamp(day) - pd.DateOffset(months=int(months[1]) * times)).date()
        return day - dt.timedelta(days=math.floor(days) * times if down else math.ceil(days * times))
    except (OverflowError, ValueError, NotImplementedError):
        raise DataError(f"{times} times {option}={given!r} before {day} lies outside the calendar.") from None


def _parse(option: str, given: Any, unit: str, at: dt.date) -> Horizon:
    try:
        return parse_horizon(given, unit, at)
    except DataError as error:
        raise DataError(str(error).replace("horizon=", f"{option}=", 1)) from None
    except NotImplementedError:
        # What pandas says of a date that Python's calendar does not have.
        raise DataError(f"{option}={given!r} reaches beyond the calendar.") from None


def _days(horizon: Horizon, unit: str, given: Any) -> float:
    if not np.isfinite(horizon.length):
        raise DataError(f"horizon={given!r} is infinite: nothing can be compared with it. Give a finite one.")
    return horizon.length * DAYS_PER_UNIT[unit]


def window_length(window: Any, rfm: RFMSummary, cutoff: dt.date) -> float:
    """Length of the window before a cut-off, in the time unit; months are those of the calendar before it."""
    if rfm.opportunities is not None:
        return float(count_opportunities("window", window, rfm.opportunities)[0])
    unit = rfm.time_unit
    length = _parse("window", window, unit, cutoff)
    if months := _MONTHS.fullmatch(length.label):
        end = pd.Timestamp(cutoff)
        return float((end - (end - pd.DateOffset(months=int(months[1])))) / pd.Timedelta(days=DAYS_PER_UNIT[unit]))
    return length.length


def settle_horizons(log: PurchaseLog, cutoff: dt.date, horizons: Sequence[Any]) -> list[tuple[str, dt.date]]:
    """Labels of the horizons and their last moments, shortest first."""
    first = log.rows["date"].min()
    if first_instant_after(cutoff) <= first:
        raise DataError(f"The cut-off {cutoff} precedes the first purchase in the log, on {first:%Y-%m-%d}.")
    if first_instant_after(cutoff) >= first_instant_after(log.end):
        raise DataError(f"The cut-off {cutoff} leaves no outcome: the log ends on {log.end}.")
    collapse = log.options["collapse"]
    ends = []
    for given in horizons:
        label, end = _horizon_end(log, cutoff, given)
        if end_tick(end, collapse) <= end_tick(cutoff, collapse):
            raise DataError(
                f"The horizon {label!r} from the cut-off {cutoff} is over before the next period of "
                f"collapse={collapse!r} begins: no purchase can count. Give a longer one, or a finer collapse."
            )
        if first_instant_after(end) > first_instant_after(log.end):
            raise DataError(
                f"{label} from the cut-off {cutoff} end on {end}, and the log on {log.end}. Give an earlier "
                "cut-off or a shorter horizon; or observation_end, if the log is complete beyond its last row."
            )
        ends.append((label, end))
    ends.sort(key=lambda pair: first_instant_after(pair[1]))
    for one, other in pairwise(ends):
        if one[1] == other[1]:
            raise DataError(f"The horizons {one[0]!r} and {other[0]!r} end on the same day.")
    return ends


def _horizon_end(log: PurchaseLog, cutoff: dt.date, given: Any) -> tuple[str, dt.date]:
    """A horizon as a reader would say it, and its last moment."""
    if log.opportunities is not None:
        n, label = count_opportunities("horizon", given, log.opportunities, cutoff)
        return label, opportunity_ends([opportunity_of(cutoff, log.opportunities) + n], log.opportunities)[0]
    unit = log.options["time_unit"]
    horizon = _parse("horizon", given, unit, cutoff)
    return horizon.label, _end(cutoff, _days(horizon, unit, given), log.options["collapse"])


def _end(cutoff: dt.date, days: float, collapse: str) -> dt.date:
    """Last moment of a horizon: a date is that whole day."""
    seconds = round(days * 86_400)
    if collapse in WHOLE_DAYS:
        # Days are whole there: a year of 365.25 of them ends with the last whole one.
        day = cutoff.date() if isinstance(cutoff, dt.datetime) else cutoff
        return day + dt.timedelta(days=seconds // 86_400)
    start = cutoff if isinstance(cutoff, dt.datetime) else first_instant_after(cutoff).to_pydatetime()
    moment: dt.datetime = start + dt.timedelta(seconds=seconds)
    return (moment - dt.timedelta(days=1)).date() if moment.time() == dt.time() else moment
