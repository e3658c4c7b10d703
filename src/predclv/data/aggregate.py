"""From rows to purchases to customers, in the engine that holds the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.checks import count_of
from predclv.data.dates import TICKS_PER_DAY
from predclv.data.frames import column_to_numpy
from predclv.data.gaps import sum_log_gaps
from predclv.data.money import LARGEST
from predclv.errors import DataError

__all__ = [
    "CustomerTotals",
    "ReturnTotals",
    "beyond_numbers",
    "place_returns",
    "refuse_beyond",
    "subtract",
    "total_by_customer",
    "total_by_period",
    "total_purchases",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class ReturnTotals:
    """How many returns were set against which purchases, and the (negative) money of those that found none."""

    n_first: int = 0
    n_repeat: int = 0
    n_before: int = 0
    money_before: float = 0.0


@dataclass(frozen=True)
class CustomerTotals:
    """One item a customer, sorted by customer.

    Attributes
    ----------
    customer : array
    first_period, last_period : int arrays
        Ticks.
    first_day : int array
        Ordinal of the day of the first purchase.
    purchases : int array
        The first one included.
    first_spend, repeat_spend : float arrays or None
        Net of returns; `repeat_spend` may be negative.
    returns : ReturnTotals
    log_gaps : float array or None
        Sum of the logarithms of the ticks between purchases.
    """

    customer: NDArray[Any]
    first_period: IntArray
    last_period: IntArray
    first_day: IntArray
    purchases: IntArray
    first_spend: FloatArray | None
    repeat_spend: FloatArray | None
    returns: ReturnTotals
    log_gaps: FloatArray | None = None


def total_by_customer(
    rows: nw.LazyFrame[Any],
    collapse: str,
    *,
    has_amount: bool,
    has_returns: bool,
    has_gaps: bool = False,
    exact: bool = False,
) -> CustomerTotals:
    """Count purchases and sum money by customer.

    Parameters
    ----------
    rows : LazyFrame
        customer, period, day and, with `has_amount`, amount.
    collapse : str
        With "none" every row is a purchase, else every period with one.
    has_amount, has_returns : bool
        Whether there is money, and whether some of it is negative and to be netted.
    has_gaps : bool
        Whether times between purchases are asked for.
    exact : bool
        Whether amounts are whole numbers, of a minor unit.
    """
    bought = rows.filter(nw.col("amount") >= 0) if has_returns else rows
    with np.errstate(over="ignore"):  # pandas would warn of what is refused below
        purchases = total_by_period(bought, collapse, has_amount)
        found = total_purchases(purchases, has_amount).sort("customer").collect()
    totals = {name: column_to_numpy(found[name]) for name in found.columns}
    first_spend, repeat_spend, returns = None, None, ReturnTotals()
    if has_amount:
        first_spend, spend = totals["first_amount"].astype(np.float64), totals["amount"].astype(np.float64)
        if (beyond := beyond_numbers(spend, exact)).any():
            refuse_beyond(int(beyond.sum()), len(spend), totals["customer"][int(np.argmax(beyond))])
        repeat_spend = subtract(spend, first_spend, exact)
    if has_returns and first_spend is not None and repeat_spend is not None:
        returned = rows.filter(nw.col("amount") < 0)
        returns = _net(returned, bought, totals["customer"], first_spend, repeat_spend, exact)
    first_period = totals["first_period"].astype(np.int64)
    return CustomerTotals(
        totals["customer"],
        first_period,
        totals["last_period"].astype(np.int64),
        totals["day"].astype(np.int64) if "day" in totals else first_period // TICKS_PER_DAY[collapse],
        totals["purchases"].astype(np.int64),
        first_spend,
        repeat_spend,
        returns,
        sum_log_gaps(purchases, totals["purchases"].astype(np.int64)) if has_gaps else None,
    )


def total_by_period(bought: nw.LazyFrame[Any], collapse: str, has_amount: bool) -> nw.LazyFrame[Any]:
    """Group rows that are no returns into the periods of each customer.

    Returns
    -------
    LazyFrame
        customer, period, purchases (1, or with "none" how many at that instant); day, the first one, where periods
        are longer than a day; amount, where there is one.
    """
    totals = [nw.col("day").min()] if collapse in ("week", "month", "quarter", "year") else []
    if has_amount:
        totals.append(nw.col("amount").sum())
    if collapse == "none":
        return bought.group_by("customer", "period").agg(*totals, purchases=nw.len())
    keys = "customer", "period"
    periods = bought.group_by(*keys).agg(*totals) if totals else bought.select(*keys).unique()
    return periods.with_columns(purchases=nw.lit(1))


def total_purchases(purchases: nw.LazyFrame[Any], has_amount: bool) -> nw.LazyFrame[Any]:
    """customer, first_period, last_period, purchases; day, where there is one; and with money amount, first_amount."""
    has_day = "day" in purchases.collect_schema().names()
    if purchases.implementation is nw.Implementation.DUCKDB:
        return _total_in_duckdb(purchases, has_amount, has_day)
    totals = {
        "first_period": nw.col("period").min(),
        "last_period": nw.col("period").max(),
        "purchases": nw.col("purchases").sum(),
    }
    if has_day:
        totals["day"] = nw.col("day").min()
    if not has_amount:
        return purchases.group_by("customer").agg(**totals)
    customers = purchases.group_by("customer").agg(**totals, amount=nw.col("amount").sum())
    # Purchases at one instant, which only collapse="none" keeps apart, share the first amount evenly.
    first = purchases.select("customer", first_period="period", first_amount=nw.col("amount") / nw.col("purchases"))
    return customers.join(first, on=["customer", "first_period"], how="inner")


def _total_in_duckdb(purchases: nw.LazyFrame[Any], has_amount: bool, has_day: bool) -> nw.LazyFrame[Any]:
    # A join would make DuckDB group all rows twice; its arg_min does without.
    money = ", sum(amount)::DOUBLE AS amount, arg_min(amount / purchases, period) AS first_amount" if has_amount else ""
    day = ", min(day) AS day" if has_day else ""
    relation: Any = purchases.to_native()
    totals: nw.LazyFrame[Any] = nw.from_native(
        relation.aggregate(
            "customer, min(period) AS first_period, max(period) AS last_period, "
            f"sum(purchases)::BIGINT AS purchases{day}{money}",
            "customer",
        )
    )
    return totals


def beyond_numbers(spend: FloatArray, exact: bool) -> NDArray[np.bool_]:
    """Whose amounts sum to more than a number holds, or holds exactly."""
    return np.abs(spend) >= LARGEST if exact else ~np.isfinite(spend)


def refuse_beyond(count: int, total: int, first: object) -> None:
    """Raise DataError for customers whose spend is `beyond_numbers`."""
    raise DataError(
        f"Amounts sum to more than a number holds for {count_of(count, total, 'customers')} (first: customer {first}). "
        "Mend them, or give them in a larger unit."
    )


def subtract(total: FloatArray, first: FloatArray, exact: bool) -> FloatArray:
    """Return total − first, zero where the difference is no more than rounding."""
    rest = total - first
    if not exact:
        rest[np.abs(rest) <= 1e-12 * np.maximum(np.abs(total), np.abs(first))] = 0.0
    return rest


def _net(
    returned: nw.LazyFrame[Any],
    bought: nw.LazyFrame[Any],
    customers: NDArray[Any],
    first_spend: FloatArray,
    repeat_spend: FloatArray,
    exact: bool,
) -> ReturnTotals:
    """Set returns against the latest purchase in their period or before it, in place.

    Only whether that purchase is the first one matters to the totals: it is from the first purchase's period on, until
    the period of the second.
    """
    placed = place_returns(returned, bought)
    found: Any = placed.group_by("customer", "place").agg(nw.col("amount").sum(), n=nw.len())
    found = found.with_columns(nw.col("amount").cast(nw.Float64)).collect()
    customer, place, money, n = (column_to_numpy(found[name]) for name in ("customer", "place", "amount", "n"))
    position = pd.Index(customers).get_indexer(customer)
    for spend, where in ((first_spend, place == 1), (repeat_spend, place == 2)):
        at = position[where]
        spend[at] = subtract(spend[at], -money[where], exact)
    n_at = [int(n[place == where].sum()) for where in range(3)]
    return ReturnTotals(n_at[1], n_at[2], n_at[0], float(money[place == 0].sum()))


def place_returns(returned: nw.LazyFrame[Any], bought: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Add to each return its place: 0 before any purchase, 1 with the first one, 2 with a later one."""
    concerned = returned.select("customer").unique()
    theirs = bought.join(concerned, on="customer", how="semi")
    theirs = theirs.select("customer", nw.col("period").cast(nw.Int64))
    firsts = theirs.group_by("customer").agg(first_period=nw.col("period").min())
    later = theirs.join(firsts, on="customer", how="inner").filter(nw.col("period") > nw.col("first_period"))
    seconds = later.group_by("customer").agg(second_period=nw.col("period").min())
    placed = returned.join(firsts, on="customer", how="left").join(seconds, on="customer", how="left")
    # Null means there is no such purchase: later than every return.
    first, second = (nw.col(name).fill_null(_NEVER) for name in ("first_period", "second_period"))
    placed = placed.with_columns(
        place=(nw.col("period") >= first).cast(nw.Int64) + (nw.col("period") >= second).cast(nw.Int64)
    )
    return placed


_NEVER = 2**62
