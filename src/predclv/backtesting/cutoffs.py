"""Cut-offs and the ends of their horizons, checked against the log."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from predclv.backtesting.logs import PurchaseLog, first_instant_after
from predclv.data.durations import DAYS_PER_UNIT, Horizon, parse_horizon, parse_moment
from predclv.errors import DataError

__all__ = ["settle_cutoffs", "settle_horizons"]


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
    if isinstance(cutoffs, str):
        cutoffs = [cutoffs]
    dates = [parse_moment("cutoffs", cutoff) for cutoff in cutoffs]
    if not dates or None in dates:
        raise DataError("'cutoffs' is empty, or holds None: give dates, such as ['2024-06-30'].")
    for date in dates:
        if isinstance(date, dt.datetime) and date.tzinfo is not None:
            raise DataError(f"The cut-off {date} knows its time zone. Give it by the clock of the log, without a zone.")
    settled = sorted((date for date in dates if date is not None), key=first_instant_after)
    for earlier, later in pairwise(settled):
        if first_instant_after(earlier) == first_instant_after(later):
            raise DataError(f"The cut-off {later} is given twice.")
    return settled


def _count_back(log: PurchaseLog, horizons: Sequence[Any], n_cutoffs: int | None, step: Any) -> list[dt.date]:
    if isinstance(n_cutoffs, bool) or not isinstance(n_cutoffs, int | np.integer) or n_cutoffs < 1:
        raise DataError(f"'n_cutoffs' must be a whole number from 1 on. Got {n_cutoffs!r}.")
    unit = log.options["time_unit"]
    days = max(_days(parse_horizon(horizon, unit), unit, horizon) for horizon in horizons)
    apart = days if step is None else _days(parse_horizon(step, unit), unit, step)
    last = log.end.date() if isinstance(log.end, dt.datetime) else log.end
    back = [last - dt.timedelta(days=int(np.ceil(days + i * apart))) for i in range(int(n_cutoffs))]
    return back[::-1]


def _days(horizon: Horizon, unit: str, given: Any) -> float:
    if not np.isfinite(horizon.length):
        raise DataError(f"horizon={given!r} is infinite: nothing can be compared with it. Give a finite one.")
    return horizon.length * DAYS_PER_UNIT[unit]


def settle_horizons(log: PurchaseLog, cutoff: dt.date, horizons: Sequence[Any]) -> list[tuple[str, dt.date]]:
    """Labels of the horizons and their last moments, shortest first."""
    first = log.rows["date"].min()
    if first_instant_after(cutoff) <= first:
        raise DataError(f"The cut-off {cutoff} precedes the first purchase in the log, on {first:%Y-%m-%d}.")
    if first_instant_after(cutoff) >= first_instant_after(log.end):
        raise DataError(f"The cut-off {cutoff} leaves no outcome: the log ends on {log.end}.")
    unit = log.options["time_unit"]
    ends = []
    for given in horizons:
        horizon = parse_horizon(given, unit, cutoff)
        days = _days(horizon, unit, given)
        moment: dt.datetime = (first_instant_after(cutoff) + pd.Timedelta(seconds=round(days * 86_400))).to_pydatetime()
        whole = moment.time() == dt.time() or log.options["collapse"] in ("day", "week", "month")
        # Days are whole there: a year of 365.25 of them ends with the last whole one.
        end = (moment - dt.timedelta(days=1)).date() if whole else moment
        if first_instant_after(end) > first_instant_after(log.end):
            raise DataError(
                f"{horizon.label} from the cut-off {cutoff} end on {end}, and the log on {log.end}. Give an earlier "
                "cut-off or a shorter horizon; or observation_end, if the log is complete beyond its last row."
            )
        ends.append((horizon.label, end))
    ends.sort(key=lambda pair: first_instant_after(pair[1]))
    for one, other in pairwise(ends):
        if one[1] == other[1]:
            raise DataError(f"The horizons {one[0]!r} and {other[0]!r} end on the same day.")
    return ends
