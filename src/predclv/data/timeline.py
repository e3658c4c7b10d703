"""Purchases, births and spend over calendar time: what tracking plots and the check for seasons need."""

from __future__ import annotations

import datetime as dt
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.aggregate import total_by_period
from predclv.data.checks import check_option
from predclv.data.dates import TICKS_PER_DAY, to_datetime64
from predclv.data.frames import column_to_numpy
from predclv.data.opportunities import last_days, number_periods
from predclv.data.options import LogOptions
from predclv.data.quality import QualityNotes
from predclv.data.summarize import settle_returns
from predclv.data.transactions import read_log
from predclv.data.window import end_with_opportunity, local_moment, observe
from predclv.errors import DataError

__all__ = ["purchase_timeline"]

IntArray = NDArray[np.int64]


def purchase_timeline(log: Any, *, by: str | None = None, **options: Any) -> pd.DataFrame:
    """Count purchases, first purchases and spend over time.

    Parameters
    ----------
    log : frame or path
        As in `RFMSummary.from_transactions`.
    by : {"day", "week", "month"}, optional
        By default weeks, which are seven days each from the first day on; months are calendar months. With
        `opportunities` it is left out: a row is an opportunity, purchases within it count once a customer, and the
        timeline ends with the last whole one.
    **options
        Those of `RFMSummary.from_transactions`. `observation_end` ends the timeline (left out: the last date in the
        log); with `observation_start`, it starts there and leaves out the customers who bought before.

    Returns
    -------
    pandas.DataFrame
        A row for each period from start to end, empty ones included: start (its first day), days (how many of its
        days are observed: the first and last month, and the last week, may be cut), purchases, births (first
        purchases), repeat_purchases and, with amounts, spend (returns count on their own day).

    Raises
    ------
    DataError
        The log is unfit (see `RFMSummary.from_transactions`).
    """
    settings, notes = LogOptions(**options), QualityNotes()
    by = _settle_by(by, settings.opportunities)
    source = read_log(log, settings, notes)
    if settings.opportunities is not None:
        settings = end_with_opportunity(source, settings, settings.opportunities, notes, end_matters=False)
    window = observe(source, settings, notes, end_matters=False)
    rows, has_returns = settle_returns(window, settings, notes)
    bought = rows.filter(nw.col("amount") >= 0) if has_returns else rows
    purchases = total_by_period(bought, settings.collapse, has_amount=False)
    firsts = bought.group_by("customer").agg(nw.col("day", "period").min())
    start = local_moment("observation_start", settings.observation_start, source)
    start_day = window.start_day
    if start is not None:
        start_day = start.toordinal()
        firsts = firsts.filter(nw.col("day") >= start_day)
        known = firsts.select("customer")
        purchases, rows = (frame.join(known, on="customer", how="semi") for frame in (purchases, rows))
    at = nw.col("period") // TICKS_PER_DAY[settings.collapse]
    daily = purchases.with_columns(at=at).group_by("at").agg(nw.col("purchases").sum()).collect()
    born = firsts.with_columns(at=at).group_by("at").agg(births=nw.len()).collect()
    edges = _edges(start_day, window.end.toordinal(), by, settings.opportunities is not None)
    table = pd.DataFrame({"start": to_datetime64(edges[:-1], 1), "days": np.diff(edges)})
    table["purchases"] = _bin(daily["at"], daily["purchases"], edges).astype(np.int64)
    table["births"] = _bin(born["at"], born["births"], edges).astype(np.int64)
    table["repeat_purchases"] = table["purchases"] - table["births"]
    if source.has_amount:
        money = rows.group_by("day").agg(nw.col("amount").sum()).collect()
        spend = _bin(money["day"], money["amount"], edges)
        table["spend"] = spend if settings.minor_unit is None else settings.minor_unit.to_money(spend)
    return table


def _settle_by(by: str | None, opportunities: str | None) -> str:
    if opportunities is None:
        return check_option("by", "week" if by is None else by, ("day", "week", "month"))
    if by not in (None, opportunities):
        raise DataError(f"by={by!r} and opportunities={opportunities!r}: a row is then an opportunity. Leave 'by' out.")
    return opportunities


def _edges(start: int, end: int, by: str, whole: bool) -> IntArray:
    """Ordinals of the first days of the periods, and of the day after the end; `whole` ones are the calendar's."""
    if whole:
        first, last = number_periods(np.array([start, end]), by)
        return last_days(np.arange(first - 1, last + 1), by) + 1
    if by == "month":
        first, last = dt.date.fromordinal(start), dt.date.fromordinal(end)
        months = range(first.year * 12 + first.month, last.year * 12 + last.month)
        inner = np.array([dt.date(m // 12, m % 12 + 1, 1).toordinal() for m in months], dtype=np.int64)
    else:
        step = 7 if by == "week" else 1
        inner = np.arange(start + step, end + 1, step)
    return np.concatenate([[start], inner, [end + 1]]).astype(np.int64)


def _bin(days: nw.Series[Any], values: nw.Series[Any], edges: IntArray) -> NDArray[np.float64]:
    at = np.searchsorted(edges, column_to_numpy(days), side="right") - 1
    # A period stands at its start, which may lie before the log's.
    inside = np.clip(at, 0, len(edges) - 2)
    weights = column_to_numpy(values).astype(np.float64)
    return np.bincount(inside, weights=weights, minlength=len(edges) - 1).astype(np.float64)
