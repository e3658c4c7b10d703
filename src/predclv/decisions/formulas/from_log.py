"""The formulas in use, with their factors counted from a purchase log: by segment, by customer, or of all."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from predclv.data.checks import count_of
from predclv.data.columns import check_margin
from predclv.data.durations import parse_moment
from predclv.data.spending import Spending, read_spending
from predclv.decisions.formulas.plain import FormulaValue, purchase_formula, retention_formula, subtract_cost
from predclv.errors import DataError
from predclv.inference.posterior import check_number
from predclv.models.horizons import check_discount_rate

__all__ = ["five_step_formula", "historical_value", "retention_formula_of_log"]

_DAYS_PER_YEAR = 365.25


def historical_value(
    log: Any, *, by: str | None = None, margin: float = 1.0, cost_to_serve: float = 0.0, **options: Any
) -> FormulaValue:
    """What customers have brought so far: the sum of their gross profit.

    Parameters
    ----------
    log : frame or path
        As in `RFMSummary.from_transactions`, with amounts.
    by : str, optional
        A column that says something of each customer, or the column of customer ids, for one row each; by default one
        row for all.
    margin : float
        Share of the revenue that is kept.
    cost_to_serve : float
        Money that each customer has cost until now, beside what the margin holds.
    **options
        Those of `RFMSummary.from_transactions`.

    Returns
    -------
    FormulaValue
        `steps` holds customers, purchases, revenue (net of returns), gross_profit, cost_to_serve (both of all customers
        of the row), total, and value, the mean of a customer.

    Raises
    ------
    DataError
        The log is unfit, has no amounts or no such column.
    """
    found = _read(log, by, options)
    steps = _totals(found.customers)
    steps["gross_profit"] = check_margin(margin) * steps["revenue"]
    steps["cost_to_serve"] = _cost(cost_to_serve) * steps["customers"]
    notes = subtract_cost(steps)
    steps = steps.rename(columns={"value": "total"})
    steps["value"] = steps["total"] / steps["customers"]
    assumptions = (
        "it is the past: of what is to come it says nothing",
        f"whoever came late has had less time, until {found.end}, to bring as much",
    )
    return FormulaValue("sum of gross profit so far", steps, assumptions, notes)


def five_step_formula(
    log: Any,
    *,
    by: str | None = None,
    since: Any = None,
    years: float | Mapping[Any, float] | None = None,
    margin: float = 1.0,
    cost_to_serve: float = 0.0,
    **options: Any,
) -> FormulaValue:
    """Average purchase, purchase frequency, customer value, lifespan, lifetime value: the spreadsheet's five steps.

    1. average purchase: revenue over purchases; 2. frequency: purchases over customers who bought, a year; 3. value a
    year: the product; 4. lifespan: the mean time from a customer's first to the last purchase; 5. the product of both.

    Parameters
    ----------
    log, by, margin, **options
        As in `historical_value`.
    since : date, optional
        Steps 1 to 3 count from this day on; by default the last year of the log, or all of a shorter one.
    years : float or mapping by segment, optional
        The lifespan, where it is known better than from the log.
    cost_to_serve : float
        Money that a customer costs over the lifespan.

    Returns
    -------
    FormulaValue
        `steps` holds customers, purchases and revenue since then, and the factors of `purchase_formula`.

    Raises
    ------
    DataError
        The log is unfit, or nobody bought in the time that is counted.
    """
    found = _read(log, by, options)
    start = _year_before(found) if since is None else _start(since, found)
    recent = _read(log, by, options, after=start - dt.timedelta(days=1))
    steps = _totals(recent.customers[recent.customers["purchases"] > 0])
    length = (found.last_day - start).days + 1
    life = (found.customers["last_day"] - found.customers["first_day"]).dt.days / _DAYS_PER_YEAR
    lifespan = life.groupby(found.customers["group"]).mean().dropna()
    lost = lifespan.index.difference(steps.index)
    used = lifespan.loc[steps.index] if years is None else _years_of(years, steps.index)
    result = purchase_formula(
        steps["revenue"].clip(lower=0) / steps["purchases"],
        steps["purchases"] / steps["customers"] * (_DAYS_PER_YEAR / length),
        used,
        margin=check_margin(margin),
        cost_to_serve=_cost(cost_to_serve),
    )
    factors = result.steps[["average_purchase", "purchases_per_year", "years", "margin", "cost_to_serve", "value"]]
    factors.insert(2, "value_per_year", factors["average_purchase"] * factors["purchases_per_year"])
    notes = [f"steps 1 to 3 are of the {length} days from {start} on", *result.notes]
    if years is None:
        notes.append(f"the lifespan is what a log of {found.days} days shows of it, and a single purchase has none")
    below = steps["revenue"] < 0
    if below.any():
        notes.append(f"returns exceed purchases in {count_of(int(below.sum()), len(steps), 'rows')}: they spend 0")
    if len(lost):
        notes.append(f"{count_of(len(lost), len(lifespan), 'rows')} did not buy since then and are not there")
    return FormulaValue(
        "average purchase × purchases a year = value a year; value a year × years of life",
        steps.join(factors),
        (*result.assumptions, *([] if years is not None else [_WHOLE_LIFE])),
        tuple(notes),
    )


_WHOLE_LIFE = "the time from the first purchase to the last one so far is the whole life"


def retention_formula_of_log(
    log: Any, *, by: str | None = None, discount_rate: float = 0.10, margin: float = 1.0, **options: Any
) -> FormulaValue:
    """Profit × retention / (1 + discount − retention), with both factors counted in two periods of the log.

    Who bought in the earlier period is retained if he bought in the later one too; profit is what the retained brought
    in the later one, each. Periods are years, or halves of a log that is shorter than two years.

    Parameters
    ----------
    log, by, margin, **options
        As in `historical_value`; `by` is no customer's own column here.
    discount_rate : float
        Effective, a year.

    Returns
    -------
    FormulaValue
        `steps` holds customers (of the earlier period), retained, their revenue and purchases_per_customer in the
        later one, period_days, and the columns of `retention_formula`, all of one period.

    Raises
    ------
    DataError
        The log is unfit or shorter than two days, or nobody bought in its earlier period.
    """
    check_discount_rate(discount_rate)
    found = _read(log, by, options)
    if by is not None and by == options.get("customer_id", "customer_id"):
        raise DataError("A single customer has no share of those who stay. Give a column of segments, or none.")
    length = min(365, found.days // 2)
    if length < 1:
        raise DataError(f"The log has {found.days} days: too few to be cut in two periods.")
    middle = found.last_day - dt.timedelta(days=length)
    # An odd day of a short log belongs to its first half.
    start = middle - dt.timedelta(days=length if length == 365 else length + found.days % 2)
    later = _read(log, by, options, after=middle).customers
    earlier = _read(log, by, {**options, "observation_end": middle, "after_end": "set_aside"}, after=start).customers
    base = earlier[earlier["purchases"] > 0]
    if base.empty:
        raise DataError(f"Nobody bought from {start + dt.timedelta(days=1)} to {middle}. Is the log complete?")
    stayed = later[later["purchases"] > 0].reindex(base.index)
    table = base[["group"]].assign(
        stayed=stayed["purchases"].notna(), bought=stayed["purchases"].fillna(0), spent=stayed["amount"].fillna(0.0)
    )
    groups = table.groupby("group", sort=True).agg(
        customers=("stayed", "size"), retained=("stayed", "sum"), purchases=("bought", "sum"), revenue=("spent", "sum")
    )
    of_retained = groups["retained"].clip(lower=1)
    profit = check_margin(margin) * groups["revenue"] / of_retained
    groups["purchases_per_customer"] = groups.pop("purchases") / of_retained
    groups["period_days"] = length
    period = length / _DAYS_PER_YEAR
    result = retention_formula(profit, groups["retained"] / groups["customers"], (1.0 + discount_rate) ** period - 1.0)
    notes = (
        f"a period is {length} days; who bought until {middle} is asked for in the {length} days after",
        *result.notes,
    )
    return FormulaValue(
        result.formula, groups.join(result.steps.rename_axis("group")), (*result.assumptions, _LAPSE), notes
    )


_LAPSE = "whoever does not buy in a period has left, and whoever has left does not come back"


def _read(log: Any, by: str | None, options: Mapping[str, Any], after: dt.date | None = None) -> Spending:
    if options.get("amount") is None:
        raise DataError("A value is a matter of money. Give the column of amounts: amount='...'.")
    return read_spending(log, by=by, after=after, **options)


def _totals(customers: pd.DataFrame) -> pd.DataFrame:
    groups = customers.groupby("group", sort=True)
    return groups.agg(customers=("purchases", "size"), purchases=("purchases", "sum"), revenue=("amount", "sum"))


def _year_before(found: Spending) -> dt.date:
    """First day of the year that ends with the log, or of the log where it is shorter."""
    return max(found.first_day, found.last_day - dt.timedelta(days=364))


def _start(since: Any, found: Spending) -> dt.date:
    start = parse_moment("since", since)
    assert start is not None
    day = start.date() if isinstance(start, dt.datetime) else start
    if not found.first_day <= day <= found.last_day:
        raise DataError(f"since={str(since)!r} is outside the log, {found.first_day} to {found.last_day}.")
    return day


def _years_of(years: float | Mapping[Any, float], index: pd.Index) -> Any:
    if not isinstance(years, Mapping | pd.Series):
        return years
    given = pd.Series(years)
    lacking = index.difference(given.index)
    if len(lacking):
        raise DataError(f"'years' lacks {count_of(len(lacking), len(index), 'rows')} (first: {lacking[0]!r}).")
    return given.loc[index]


def _cost(cost: float) -> float:
    value = check_number("cost_to_serve", cost)
    if not 0 <= value < np.inf:
        raise ValueError(f"'cost_to_serve' must be a finite amount of at least 0. Got {cost!r}.")
    return value
