"""Periods of cohorts around the as-of date: those to come, the one that it cuts, and those there were."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.data.calendar import number_of_day, period_index
from predclv.data.dates import instant
from predclv.data.opportunities import OPPORTUNITIES, last_days, last_whole_day, number_periods
from predclv.data.periods import parse_periods
from predclv.data.rfm import RFMSummary
from predclv.decisions.cohorts.shocks import PastPeriods
from predclv.decisions.cohorts.table import CohortTable
from predclv.errors import DataError

__all__ = ["add_observed", "bought_this_period", "future_periods", "past_periods"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def future_periods(rfm: RFMSummary, table: CohortTable, horizon: Any) -> tuple[IntArray, FloatArray, str]:
    """Numbers of the periods to come, the times of their ends from 0 on in the summary's unit, and a label."""
    period, end = table.settings["period"], rfm.observation_end
    assert end is not None
    parsed = parse_periods(horizon, period, end)
    following = number_of_day(last_whole_day(end, period), period) + 1
    if parsed.label.startswith("until") and parsed.end is not None:
        last = parsed.end
        if last_whole_day(last, period) != last:
            raise DataError(
                f"horizon={horizon!r} ends within a {period}. Give {str(last_whole_day(last, period))!r}, the last day "
                f"of one, or a number of {period}s."
            )
        n = number_of_day(last, period) - following + 1
    else:
        n = round(parsed.length) if np.isfinite(parsed.length) else 0
        if n < 1 or abs(parsed.length - n) > 0.01 * n:
            raise DataError(
                f"horizon={horizon!r} is no whole number of {period}s, which cohorts are followed by. Give "
                f"'{max(n, 1)} {period}s', for instance."
            )
    numbers = following + np.arange(n)
    days: Any = last_days(numbers, period)
    if rfm.opportunities is not None:
        return numbers, _in_opportunities(rfm, period, days), f"{n} {period}s"
    micro = np.array([instant(dt.date.fromordinal(int(day))) for day in days], dtype=np.int64) - instant(end)
    edges = np.r_[0.0, micro / 86_400_000_000 / rfm.days_per_unit]
    return numbers, edges, f"{n} {period}{'s' if n > 1 else ''}"


def _in_opportunities(rfm: RFMSummary, period: str, days: Any) -> FloatArray:
    unit = str(rfm.opportunities)
    if OPPORTUNITIES.index(unit) < OPPORTUNITIES.index(period) or (unit == "week" and period != "week"):
        raise DataError(
            f"The summary counts one opportunity a {unit}, so a {period} is no whole number of them. Make the table "
            f"with period={unit!r}."
        )
    assert rfm.observation_end is not None
    now = number_of_day(rfm.observation_end, unit)
    return np.asarray(np.r_[0.0, number_periods(days, unit) - now], dtype=np.float64)


def bought_this_period(rfm: RFMSummary, table: CohortTable, numbers: IntArray) -> NDArray[np.bool_]:
    """Who has bought in the period that the as-of date cuts, and is among its active customers already."""
    period, end = table.settings["period"], rfm.observation_end
    assert end is not None
    assert rfm.first_purchase is not None
    if rfm.opportunities is not None or number_of_day(end, period) < numbers[0]:
        return np.zeros(len(rfm), dtype=bool)
    epoch = dt.date(1970, 1, 1).toordinal()
    # Half a second, for recency in hours or weeks is rounded.
    since = np.round(rfm.recency * rfm.days_per_unit * 86_400 + 0.5) * 1_000_000
    last = rfm.first_purchase.astype("datetime64[us]") + since.astype("timedelta64[us]")
    days = last.astype("datetime64[D]").astype(np.int64) + epoch
    return np.asarray(number_periods(days, period) == numbers[0])


def past_periods(rfm: RFMSummary, table: CohortTable) -> PastPeriods:
    """Repeat purchases of the whole periods there were, and when these ended."""
    period, found, end = table.settings["period"], table.activity, rfm.observation_end
    assert end is not None
    first, last = (number_of_day(day, period) for day in (found.first_day, last_whole_day(found.end, period)))
    numbers = np.arange(first, max(last, first - 1) + 1)
    days: Any = last_days(np.r_[first - 1, numbers], period)
    if rfm.opportunities is not None:
        now = number_of_day(end, rfm.opportunities)
        before = (now - number_periods(days, rfm.opportunities)).astype(np.float64)
    else:
        ends = np.array([instant(dt.date.fromordinal(int(day))) for day in days], dtype=np.float64)
        before = (instant(end) - ends) / 86_400_000_000 / rfm.days_per_unit
    purchases = found.cells.groupby("at")["purchases"].sum().reindex(numbers, fill_value=0)
    firsts = found.cohorts.groupby("cohort")["customers"].sum().reindex(numbers, fill_value=0)
    return PastPeriods(before, (purchases - firsts).to_numpy(dtype=np.float64))


def add_observed(found: FloatArray, table: CohortTable, numbers: IntArray, has_money: bool, share: float | str) -> None:
    """Add to the first period what has been observed of it, where the as-of date cuts it."""
    cut = table.cells[~table.cells["is_whole"]]
    if cut.empty:
        return
    first = period_index(numbers[:1], table.settings["period"])[0]
    assert (cut["period"] == first).all()
    assert len(cut) == len(table.cohorts)
    found[:, :, 0, 0] += cut["active"].to_numpy()
    found[:, :, 0, 1] += cut["purchases"].to_numpy()
    if has_money and "revenue" in cut:
        found[:, :, 0, 2] += cut["revenue"].to_numpy()
        same = isinstance(share, str) or isinstance(table.settings["margin"], str)
        found[:, :, 0, 3] += (cut["margin"] if same else float(share) * cut["revenue"]).to_numpy()
