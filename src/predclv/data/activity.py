"""Purchases by customer and period, grouped in the engine that holds the log; out come sums by cohort and period."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from predclv.data.aggregate import place_returns, total_by_period, total_purchases
from predclv.data.births import NEVER, Births
from predclv.data.calendar import check_calendar, with_number
from predclv.data.constants import constant_columns
from predclv.data.dates import COLLAPSES, TICKS_PER_DAY, day_of
from predclv.data.frames import column_to_numpy
from predclv.data.gap_counts import count_gaps
from predclv.data.options import LogOptions
from predclv.data.quality import QualityNotes
from predclv.data.summarize import Observed, observe_log
from predclv.data.window import local_moment
from predclv.errors import DataError

__all__ = ["Activity", "read_activity"]

Frame = nw.LazyFrame[Any]
#: Keeps a frame that is needed more than once, and gives it back.
Keep = Callable[[Frame], Frame]
_ORDER = ("none", "hour", "day", "week", "month", "quarter", "year")
#: Sums over the customers of a cohort in a period, by what they are called in the engine and here.
_MONEY = ("revenue", "margin", "bought_revenue", "positive_revenue")
_SQUARES = ("revenue_squared", "bought_squared", "positive_squared")


@dataclass(frozen=True, eq=False, repr=False)
class Activity:
    """Who bought when: sums over customers by segment, cohort (period of the first purchase) and period.

    Attributes
    ----------
    period : {"week", "month", "quarter", "year"}
        Of the calendar.
    by : str or None
        Column of the segments; `segment` is "all" in the tables where there is none.
    cells : pandas.DataFrame
        segment, cohort, at (running numbers of the periods), active (customers with a purchase), purchases,
        purchases_squared and, with amounts, revenue (net of returns, which count on their own day), margin (where it
        is a column), repeat_revenue (without first purchases), bought_revenue (of the active alone),
        positive_revenue (of those of them who are above zero), revenue_squared, bought_squared, positive_squared,
        revenue_purchases (sums of squares and products over customers). A row where anyone did anything.
    cohorts : pandas.DataFrame
        segment, cohort, customers and, with amounts, first_revenue.
    pairs : pandas.DataFrame
        segment, at, and sums over the customers who bought in that period and had bought in the one before: retained
        and, with amounts, over all who had bought in the one before: later_revenue, kept_revenue (no more than
        before), their squares and products with the revenue before.
    repeats : pandas.DataFrame
        segment, at, customers who made their second purchase in that period.
    gaps : pandas.DataFrame
        segment, days, closed (times between purchases of so many days), still_open (customers whose last purchase is so
        many days ago).
    first_day, end : date
        Of the log, or of observation where that starts later, and the as-of date.
    has_amount : bool
    margin_column : str or None
    currency, collapse, returns : str or None
    quality : pandas.DataFrame
        What was dropped, merged, netted and set aside.
    """

    period: str
    by: str | None
    cells: pd.DataFrame
    cohorts: pd.DataFrame
    pairs: pd.DataFrame
    repeats: pd.DataFrame
    gaps: pd.DataFrame
    first_day: dt.date
    end: dt.date
    has_amount: bool
    margin_column: str | None
    currency: str | None
    collapse: str
    returns: str | None
    quality: pd.DataFrame

    def together(self) -> Activity:
        """The same of all segments together."""
        keys = {"cells": ["cohort", "at"], "cohorts": ["cohort"], "pairs": ["at"], "repeats": ["at"], "gaps": ["days"]}
        tables = {}
        for name, by in keys.items():
            table = getattr(self, name).drop(columns="segment").groupby(by, as_index=False).sum()
            table.insert(0, "segment", "all")
            tables[name] = table
        return replace(self, by=None, **tables)

    def __repr__(self) -> str:
        n, purchases = int(self.cohorts["customers"].sum()), int(self.cells["purchases"].sum())
        return (
            f"<Activity: {purchases:,} purchases of {n:,} customers by {self.period}, {self.first_day} to {self.end}, "
            f"{len(self.cells):,} cells>"
        )


def read_activity(
    log: Any,
    options: LogOptions,
    *,
    by: str | None = None,
    period: str = "month",
    margin: str | None = None,
    keep: Keep | None = None,
) -> Activity:
    """Group a log by cohort and period: see `predclv.decisions.activity`."""
    check_calendar(period)
    _check_collapse(options, period)
    columns = [name for name in (by, margin) if name is not None]
    options = replace(options, carry=list(dict.fromkeys(columns)))
    if margin is not None and options.amount is None:
        raise DataError("A margin is a share of money. Give the column of amounts: amount='...'.")
    notes = QualityNotes()
    seen = observe_log(log, options, notes)
    has_amount = seen.log.has_amount
    bought = seen.rows.filter(nw.col("amount") >= 0) if seen.has_returns else seen.rows
    purchases = total_by_period(bought, seen.options.collapse, has_amount)
    kept = keep or (lambda frame: frame)
    firsts = kept(_firsts(seen, purchases, period, by, margin, notes))
    events, lowered = _events(seen, bought, purchases, period, firsts, notes)
    joined = kept(events.join(firsts.drop("last"), on="customer", how="inner"))
    scale = 1.0 if options.minor_unit is None else float(options.minor_unit.size)
    cohorts = _cohorts(firsts, scale, has_amount)
    if cohorts.empty:
        raise DataError("No customer is left: all had bought or were acquired before observation starts.")
    cells = _cells(joined, scale, has_amount, margin is not None)
    if has_amount:
        cells = _without_firsts(cells, cohorts, lowered, scale)
    _note(notes, seen, cells, cohorts)
    _warn_of_spike(seen, firsts)
    ticks = TICKS_PER_DAY[seen.options.collapse]
    return Activity(
        period=period,
        by=by,
        cells=cells,
        cohorts=cohorts,
        pairs=_pairs(joined, scale, has_amount),
        repeats=_repeats(joined),
        gaps=count_gaps(purchases, firsts, seen.window.end_period, ticks),
        first_day=dt.date.fromordinal(_start_day(seen)),
        end=seen.window.end,
        has_amount=has_amount,
        margin_column=margin,
        currency=seen.log.currency,
        collapse=seen.options.collapse,
        returns=seen.options.returns if has_amount else None,
        quality=notes.to_pandas(),
    )


def _check_collapse(options: LogOptions, period: str) -> None:
    if _ORDER.index(options.collapse) > _ORDER.index(period):
        raise DataError(
            f"collapse={options.collapse!r} merges purchases over more than a {period}, by which they are to be "
            f"counted. Give a longer period, or one of {COLLAPSES[: COLLAPSES.index('week')]} as collapse."
        )


def _firsts(
    seen: Observed, purchases: Frame, period: str, by: str | None, margin: str | None, notes: QualityNotes
) -> Frame:
    """customer, cohort, first_day, last (tick), segment and, with amounts, first_amount; of customers known from
    their start.
    """
    has_amount, ticks = seen.log.has_amount, TICKS_PER_DAY[seen.options.collapse]
    totals = total_purchases(purchases, has_amount)
    has_day = "day" in totals.collect_schema().names()
    first_day = nw.col("day") if has_day else nw.col("first_period") // ticks
    frame = totals.with_columns(first_day=first_day.cast(nw.Int64), last=nw.col("last_period").cast(nw.Int64))
    frame = _known_from_start(seen, frame, notes)
    frame = with_number(frame, nw.col("first_day"), period)
    money = {"first_amount": nw.col("first_amount").cast(nw.Float64)} if has_amount else {}
    frame = frame.select("customer", "first_day", "last", cohort=nw.col("at"), **money)
    constants = constant_columns(seen, by, margin, frame, notes)
    if constants is None:
        return frame.with_columns(segment=nw.lit("all"))
    frame = frame.join(constants, on="customer", how="left")
    return frame if by is not None else frame.with_columns(segment=nw.lit("all"))


def _start_day(seen: Observed) -> int:
    """The day from which customers are followed, an ordinal."""
    start = local_moment("observation_start", seen.options.observation_start, seen.log)
    return seen.window.start_day if start is None else max(seen.window.start_day, start.toordinal())


def _known_from_start(seen: Observed, frame: Frame, notes: QualityNotes) -> Frame:
    """Leave out who bought before observation starts, or was acquired before it or the log, as a summary does."""
    start = local_moment("observation_start", seen.options.observation_start, seen.log)
    if start is not None and start.toordinal() > seen.window.end.toordinal():
        raise DataError(f"observation_start={str(start)!r} is later than the as-of date {seen.window.end}.")
    if start is None and seen.options.acquired is None:
        return frame
    start_day = seen.window.start_day if start is None else start.toordinal()
    total = _count(frame)
    if start is not None:
        frame = frame.filter(nw.col("first_day") >= start_day)
    if seen.options.acquired is not None:
        known = seen.window.rows.filter(~nw.col("acquired").is_null()).select("customer", born=day_of("acquired"))
        born = known.group_by("customer").agg(nw.col("born").min())
        frame = frame.join(born, on="customer", how="left")
        frame = frame.filter(nw.col("born").cast(nw.Int64).fill_null(_LATER) >= start_day).drop("born")
    left_out = total - _count(frame)
    notes.add("window", "customers not known from their start, left out", left_out, total, "customers")
    return frame


_LATER = int(NEVER)


def _count(frame: Frame) -> int:
    return int(frame.select(nw.len()).collect().item())


def _events(
    seen: Observed, bought: Frame, purchases: Frame, period: str, firsts: Frame, notes: QualityNotes
) -> tuple[Frame, pd.DataFrame]:
    """customer, at, n (purchases) and, with amounts, money, a row each; and what returns took off first purchases."""
    ticks = TICKS_PER_DAY[seen.options.collapse]
    has_amount = seen.log.has_amount
    has_day = "day" in purchases.collect_schema().names()
    dated = with_number(purchases, nw.col("day") if has_day else nw.col("period") // ticks, period)
    money = {"money": nw.col("amount").cast(nw.Float64)} if has_amount else {}
    events = dated.select("customer", "at", n=nw.col("purchases").cast(nw.Float64), **money)
    lowered = pd.DataFrame({"segment": [], "cohort": [], "at": [], "money": []})
    if seen.has_returns:
        placed = place_returns(seen.rows.filter(nw.col("amount") < 0), bought)
        placed = with_number(placed, nw.col("day"), period)
        _note_returns(placed, seen, notes)
        returned = placed.filter(nw.col("place") > 0)
        theirs = returned.select("customer", "at", n=0.0 * nw.col("place").cast(nw.Float64), **money)
        events = nw.concat([events, theirs], how="vertical")
        of_first = returned.filter(nw.col("place") == 1).select("customer", "at", **money)
        joined = of_first.join(firsts.select("customer", "segment", "cohort"), on="customer", how="inner")
        lowered = _collect(joined.group_by("segment", "cohort", "at").agg(nw.col("money").sum()))
    sums = [nw.col("n").sum()] + ([nw.col("money").sum()] if has_amount else [])
    return events.group_by("customer", "at").agg(*sums), lowered


def _note_returns(placed: Frame, seen: Observed, notes: QualityNotes) -> None:
    counts = _collect(placed.group_by("place").agg(n=nw.len()))
    n = dict(zip(counts["place"], counts["n"], strict=True))
    before = int(n.get(0, 0))
    notes.add("returns", "returns before any purchase, set aside", before, seen.window.n_returns, "rows")


def _cells(joined: Frame, scale: float, has_amount: bool, has_margin: bool) -> pd.DataFrame:
    n = nw.col("n")
    sums = {
        "active": (n > 0).cast(nw.Float64),
        "purchases": n,
        "purchases_squared": n * n,
    }
    if has_amount:
        y = nw.col("money")
        # Whole numbers of minor units are multiplied as floats, beyond which their products would run.
        sums |= {
            "revenue": y,
            "revenue_squared": y * y,
            "revenue_purchases": y * n,
            "bought_revenue": nw.when(n > 0).then(y).otherwise(0.0),
            "positive_revenue": nw.when((n > 0) & (y > 0)).then(y).otherwise(0.0),
            "bought_squared": nw.when(n > 0).then(y * y).otherwise(0.0),
            "positive_squared": nw.when((n > 0) & (y > 0)).then(y * y).otherwise(0.0),
        }
        if has_margin:
            sums["margin"] = y * nw.col("margin")
    keys = "segment", "cohort", "at"
    found = _collect(joined.with_columns(**sums).group_by(*keys).agg(*(nw.col(name).sum() for name in sums)))
    for name in ("active", "purchases", "purchases_squared"):
        found[name] = found[name].round().astype(np.int64)
    return _scaled(found, scale, (*_MONEY, "revenue_purchases"), _SQUARES)


def _cohorts(firsts: Frame, scale: float, has_amount: bool) -> pd.DataFrame:
    money = {"first_revenue": nw.col("first_amount").sum()} if has_amount else {}
    found = _collect(firsts.group_by("segment", "cohort").agg(customers=nw.len(), **money))
    found["customers"] = found["customers"].astype(np.int64)
    return _scaled(found, scale, ("first_revenue",), ())


def _without_firsts(cells: pd.DataFrame, cohorts: pd.DataFrame, lowered: pd.DataFrame, scale: float) -> pd.DataFrame:
    """Add repeat_revenue: revenue less the first purchases, and less what returns took off these."""
    keys = ["segment", "cohort", "at"]
    firsts = cohorts.assign(at=cohorts["cohort"])[[*keys, "first_revenue"]]
    lowered = _scaled(lowered, scale, ("money",), ())
    table = cells.merge(firsts, on=keys, how="left").merge(lowered, on=keys, how="left")
    off = table["first_revenue"].fillna(0.0) + table["money"].fillna(0.0)
    rest = table["revenue"] - off
    # What remains of equal sums added in another order is no money.
    rounding = 1e-12 * np.maximum(table["revenue"].abs(), off.abs())
    return cells.assign(repeat_revenue=rest.where(rest.abs() > rounding, 0.0))


def _pairs(joined: Frame, scale: float, has_amount: bool) -> pd.DataFrame:
    """Who bought in one period, beside what they did in the next."""
    money = ["money"] if has_amount else []
    before = joined.filter(nw.col("n") > 0).select(
        "customer", at=nw.col("at") + 1, **{f"{name}_before": nw.col(name) for name in money}
    )
    both = joined.select("customer", "segment", "at", "n", *money).join(before, on=["customer", "at"], how="inner")
    sums = {"retained": (nw.col("n") > 0).cast(nw.Float64)}
    if has_amount:
        y, x = nw.col("money"), nw.col("money_before")
        above = nw.when(x > 0).then(x).otherwise(0.0)
        positive = nw.when(y > 0).then(y).otherwise(0.0)
        kept = nw.when(positive < above).then(positive).otherwise(above)
        both = both.with_columns(kept=kept, above=above)
        k = nw.col("kept")
        sums |= {
            "later_revenue": y,
            "kept_revenue": k,
            "later_squared": y * y,
            "later_before": y * x,
            "kept_squared": k * k,
            "kept_before": k * nw.col("above"),
        }
    found = _collect(both.with_columns(**sums).group_by("segment", "at").agg(*(nw.col(name).sum() for name in sums)))
    found["retained"] = found["retained"].round().astype(np.int64)
    products = ("later_squared", "later_before", "kept_squared", "kept_before")
    return _scaled(found, scale, ("later_revenue", "kept_revenue"), products)


def _repeats(joined: Frame) -> pd.DataFrame:
    """Customers by the period of their second purchase."""
    n, later = nw.col("n"), nw.col("at") > nw.col("cohort")
    again = joined.filter((n > 0) & (later | (n > 1)))
    # A customer has one segment: its minimum is it.
    seconds = again.group_by("customer", "segment").agg(nw.col("at").min())
    found = _collect(seconds.group_by("segment", "at").agg(customers=nw.len()))
    found["customers"] = found["customers"].astype(np.int64)
    return found


def _scaled(table: pd.DataFrame, scale: float, money: tuple[str, ...], squares: tuple[str, ...]) -> pd.DataFrame:
    """Whole numbers of minor units as money."""
    if scale == 1.0:
        return table
    inverse = 1.0 / scale
    # Division by a whole number is rounded once; a product by 0.01 would be twice.
    by = round(inverse) if abs(inverse - round(inverse)) < 1e-9 else None
    for name in (*money, *squares):
        if name in table:
            power = 2 if name in squares else 1
            table[name] = table[name] / by**power if by else table[name] * scale**power
    return table


def _collect(frame: Frame) -> pd.DataFrame:
    found = frame.collect()
    table = pd.DataFrame({name: column_to_numpy(found[name]) for name in found.columns})
    for name in table:
        if name in ("cohort", "at", "days"):
            table[name] = table[name].astype(np.int64)
        elif name not in ("segment", "customer"):
            table[name] = table[name].astype(np.float64)
    keys = [name for name in ("segment", "cohort", "at", "days") if name in table]
    try:
        return table.sort_values(keys, ignore_index=True)
    except TypeError as error:
        raise DataError(f"The segments cannot be sorted: {error}. Make them one type.") from error


def _note(notes: QualityNotes, seen: Observed, cells: pd.DataFrame, cohorts: pd.DataFrame) -> None:
    n_rows = seen.window.n_rows - seen.window.n_returns
    purchases = int(cells["purchases"].sum())
    notes.add("collapse", "purchases counted", purchases, n_rows, "rows", f"collapse={seen.options.collapse!r}")
    customers = int(cohorts["customers"].sum())
    notes.add("customers", "customers", customers, customers, "customers")


def _warn_of_spike(seen: Observed, firsts: Frame) -> None:
    if seen.options.observation_start is not None or seen.options.acquired is not None:
        return
    born = firsts.group_by("first_day").agg(n=nw.len()).collect()
    days, n = (column_to_numpy(born[name]).astype(np.int64) for name in ("first_day", "n"))
    births = Births(seen.window.start_day, seen.window.end.toordinal())
    births.count(np.repeat(days, n))
    births.warn_of_spike()
