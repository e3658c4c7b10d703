"""Totals over customers, with intervals from joint draws.

A total's interval is not the sum of its customers' interval ends: the customers' luck averages out, and the
parameters' uncertainty, which all of them share, does not. So every posterior draw gets one simulation of
every customer, and the totals' quantiles are taken over draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.forecast.bindings import TransactionBindings
from predclv.forecast.customers import Customers, Thetas, times_margin
from predclv.forecast.purchases import p_purchase
from predclv.forecast.spend import mean_expected_spend
from predclv.kernels.gamma_gamma.compiled import expected_spend

__all__ = [
    "COLUMNS",
    "Sums",
    "Totals",
    "add",
    "expected_sums",
    "expected_totals",
    "intervals",
    "number_of_draws",
    "share",
    "share_intervals",
    "simulate_totals",
]

COLUMNS = (
    "segment",
    "customers",
    "expected_buyers",
    "expected_purchases",
    "purchases_low",
    "purchases_high",
    "expected_clv",
    "clv_low",
    "clv_high",
    "expected_clv_low",
    "expected_clv_high",
    "share_of_value",
    "share_low",
    "share_high",
    "share_beyond_3_years",
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Customer-draws a portfolio is worth: some ten seconds of one core.
_BUDGET = 200_000_000
_FEWEST, _MOST = 256, 1024
# Customers times draws whose means are worked out at a time.
_BLOCK = 16_384
# Totals held: 80 MB of floats for purchases and as much for value.
_TOTALS = 10_000_000
# Simulations of a part at a draw: some ten seconds.
_CALLS = 500_000


@dataclass(frozen=True)
class Totals:
    """Simulated totals, a row a draw, a column a segment; the last column is all customers together."""

    purchases: FloatArray
    value: FloatArray


def number_of_draws(n_customers: int, n_segments: int = 1, n_parts: int = 1) -> int:
    """How many draws a portfolio of this size gets: 1,024, never below 256.

    Fewer from 200,000 customers on, for the time, and from 10,000 segments on, for the memory: every draw holds
    two totals a segment. Fewer from 500 parts on, customers with parameters of their own, each of which costs a call a
    draw.
    """
    affordable = min(_BUDGET // max(n_customers, 1), _TOTALS // max(n_segments, 1), _CALLS // max(n_parts, 1))
    return int(np.clip(affordable, _FEWEST, _MOST))


def simulate_totals(
    bindings: TransactionBindings,
    theta: FloatArray,
    theta_spend: FloatArray,
    customers: Customers,
    n_segments: int,
    horizon: float,
    delta: float,
    *,
    seed: int,
) -> Totals:
    """Simulate every customer once per draw and add up by segment.

    Parameters
    ----------
    theta, theta_spend : (n_draws, ...) arrays
        Joint draws, paired by row.

    Returns
    -------
    Totals
        (n_draws, n_segments + 1) arrays; memory does not grow with customers times draws.
    """
    purchases, value = bindings.simulate_totals(
        customers.x,
        customers.t_x,
        customers.T,
        customers.mean_spend,
        customers.margin,
        customers.segment,
        n_segments,
        horizon,
        delta,
        theta,
        theta_spend,
        seed,
        first_purchase=False,
    )
    return Totals(_with_sum(purchases), _with_sum(value))


def intervals(totals: Totals, level: float, *, finite: bool) -> dict[str, FloatArray]:
    """Equal-tailed intervals of the totals over the draws; counts are NaN over an infinite horizon."""
    ends = [(1 - level) / 2, (1 + level) / 2]
    purchases = np.quantile(totals.purchases, ends, axis=0, method="inverted_cdf")
    value = np.quantile(totals.value, ends, axis=0, method="inverted_cdf")
    if not finite:
        purchases = np.full_like(purchases, np.nan)
    return {
        "purchases_low": purchases[0],
        "purchases_high": purchases[1],
        "clv_low": value[0],
        "clv_high": value[1],
    }


def share_intervals(totals: Sequence[Totals], level: float) -> FloatArray:
    """Equal-tailed intervals of the segments' shares of all value, (2, n_segments + 1).

    A draw's share is of that draw's total, so that what moves all segments alike moves no share. Draws in which nobody
    brings anything have no shares; NaN where all are such.
    """
    value = add(totals).value
    some = value[:, -1] > 0
    if not some.any():
        return np.full((2, value.shape[1]), np.nan)
    shares = value[some] / value[some, -1:]
    return np.asarray(np.quantile(shares, [(1 - level) / 2, (1 + level) / 2], axis=0, method="inverted_cdf"))


def add(totals: Sequence[Totals]) -> Totals:
    """Totals of several sets of customers together, whose draws belong together row by row."""
    purchases: FloatArray = np.sum([part.purchases for part in totals], axis=0)
    value: FloatArray = np.sum([part.value for part in totals], axis=0)
    return Totals(purchases, value)


@dataclass(frozen=True)
class Sums:
    """Expectations of one set of customers, to be added up before intervals are taken.

    Attributes
    ----------
    columns : dict of name to (n_segments,) array
    means : (n_draws, n_segments) array
        Expected value by draw.
    """

    columns: dict[str, FloatArray]
    means: FloatArray


def expected_sums(
    bindings: TransactionBindings,
    counts: Thetas,
    spend: Thetas,
    customers: Customers,
    n_segments: int,
    horizon: float,
    delta: float,
    *,
    long_run: float,
) -> Sums:
    """Expectations by segment, for `expected_totals`; customers as in `value_columns`.

    `long_run` is the time from which on value counts as late.
    """
    names = ("customers", "expected_buyers", "expected_purchases", "expected_clv", "early_clv")
    sums = dict.fromkeys(names, np.zeros(n_segments))
    draws, spend_draws = counts.for_means(), spend.for_means()
    means = np.zeros((len(draws), n_segments))
    for part in customers.chunks():
        rows, inverse = part.histories()
        worth = times_margin(part.margin, mean_expected_spend(part.x, part.mean_spend, spend.center))
        by_row = _expected_by_row(bindings, counts.center, *rows, horizon, delta, long_run)
        columns = {name: column[inverse] for name, column in by_row.items()}
        columns["expected_clv"] *= worth
        columns["early_clv"] *= worth
        for name, column in columns.items():
            sums[name] = sums[name] + _by_segment(column, part.segment, n_segments)
        # Many customers by the draw, few by many draws: a part of one customer costs one call.
        block = max(_BLOCK // max(len(part.x), 1), 1)
        for start in range(0, len(means), block):
            some = slice(start, start + block)
            discounted = bindings.discounted_expected_purchases(*rows, horizon, delta, draws[some])
            spends = expected_spend(part.x, part.mean_spend, spend_draws[some])
            for mean, by_row, spend_of_draw in zip(means[some], discounted, spends, strict=True):
                spent = times_margin(part.margin, by_row[inverse] * spend_of_draw)
                mean += _by_segment(spent, part.segment, n_segments)
    if horizon <= long_run:
        # Nothing lies beyond: there is no share to tell.
        sums["early_clv"] = np.full(n_segments, np.nan)
    return Sums(sums, means)


def expected_totals(sums: Sequence[Sums], level: float) -> dict[str, NDArray[Any]]:
    """Expectations by segment and in all, (n_segments + 1,) each.

    Returns
    -------
    dict
        customers, expected_buyers, expected_purchases, expected_clv, expected_clv_low, expected_clv_high (the
        mean's interval), and share_beyond_3_years: the part of the expected value later than that, NaN where the
        horizon is no longer.
    """
    added = {name: sum(part.columns[name] for part in sums) for name in sums[0].columns}
    means: FloatArray = np.sum([part.means for part in sums], axis=0)
    totals = {name: np.append(column, np.sum(column)) for name, column in added.items()}
    ends = np.quantile(_with_sum(means), [(1 - level) / 2, (1 + level) / 2], axis=0, method="inverted_cdf")
    early = totals.pop("early_clv")
    late = 1.0 - share(early, totals["expected_clv"])
    return {
        **totals,
        "customers": totals["customers"].astype(np.int64),
        "expected_clv_low": ends[0],
        "expected_clv_high": ends[1],
        "share_beyond_3_years": late,
    }


def share(part: FloatArray, whole: FloatArray | float) -> FloatArray:
    """`part` over `whole`; NaN where there is nothing to share, or infinitely much."""
    known = np.isfinite(whole) & (np.asarray(whole) > 0)
    return np.where(known, part / np.where(known, whole, 1.0), np.nan)


def _by_segment(column: FloatArray, segment: IntArray, n_segments: int) -> FloatArray:
    return np.bincount(segment, weights=column, minlength=n_segments).astype(np.float64, copy=False)


def _expected_by_row(
    bindings: TransactionBindings,
    theta: FloatArray,
    x: FloatArray,
    t_x: FloatArray,
    T: FloatArray,
    horizon: float,
    delta: float,
    long_run: float,
) -> dict[str, FloatArray]:
    discounted = bindings.discounted_expected_purchases(x, t_x, T, horizon, delta, theta).mean(axis=0)
    early = discounted
    if horizon > long_run:
        early = bindings.discounted_expected_purchases(x, t_x, T, long_run, delta, theta).mean(axis=0)
    if np.isfinite(horizon):
        buyers = p_purchase(bindings, x, t_x, T, horizon, theta)
        purchases = bindings.mean_expected_purchases(x, t_x, T, horizon, theta)
    else:
        buyers = bindings.p_ever(x, t_x, T, theta)
        purchases = np.full(len(x), np.nan)
    return {
        "customers": np.ones(len(x)),
        "expected_buyers": buyers,
        "expected_purchases": purchases,
        "expected_clv": discounted,
        "early_clv": early,
    }


def _with_sum(by_segment: FloatArray) -> FloatArray:
    return np.column_stack([by_segment, by_segment.sum(axis=1)])
