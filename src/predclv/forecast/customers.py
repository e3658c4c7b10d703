"""The per-customer table's columns, from plain arrays: what a notebook, a batch job and a backtest all call.

A row's result depends on the parameters, the options and that row alone, whatever other rows are in the call.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.forecast import purchases
from predclv.forecast.bindings import TransactionBindings
from predclv.forecast.lifetime_value import value_quantiles
from predclv.forecast.spend import mean_expected_spend
from predclv.kernels.gamma_gamma_compiled import expected_spend

__all__ = ["CHUNK", "Customers", "Thetas", "count_columns", "runs", "times_margin", "value_columns"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Customers worked at a time: bounds the memory, changes no result.
CHUNK = 16_384


@dataclass(frozen=True)
class Thetas:
    """Parameters of one model as a forecast uses them.

    Attributes
    ----------
    center : (1 or n_draws, n_parameters) array
        Where expectations are taken: the point, or all draws.
    draws : (n, n_parameters) array
        The few draws behind the interval of an outcome; two models' draws are paired by row.
    mean_draws : (n, n_parameters) array, optional
        More of them, for the interval of a mean, whose ends are quantiles over the draws themselves.
    """

    center: FloatArray
    draws: FloatArray
    mean_draws: FloatArray | None = None

    def for_means(self) -> FloatArray:
        """Draws behind the interval of a mean."""
        return self.draws if self.mean_draws is None else self.mean_draws


@dataclass(frozen=True)
class Customers:
    """What a forecast of value takes of customers: (n_customers,) arrays.

    Attributes
    ----------
    x, t_x, T, mean_spend : float arrays
        Repeat purchases, time of the last, age, mean spend of the repeat purchases.
    margin : float array
        Share of spend that is kept.
    segment : int64 array
        Code of the customer's segment, from 0.
    """

    x: FloatArray
    t_x: FloatArray
    T: FloatArray
    mean_spend: FloatArray
    margin: FloatArray
    segment: IntArray

    def take(self, which: IntArray | slice) -> Customers:
        """Some of the customers, in the order of `which`."""
        return Customers(*(getattr(self, field.name)[which] for field in fields(self)))

    def chunks(self) -> Iterator[Customers]:
        """Yield parts of `CHUNK` customers; one empty part where there are none."""
        for start in range(0, max(len(self.x), 1), CHUNK):
            yield self.take(slice(start, start + CHUNK))

    def histories(self) -> tuple[tuple[FloatArray, FloatArray, FloatArray], IntArray]:
        """(x, t_x, T) of each run of customers with one history, and the run of each customer."""
        first, run = runs(self.x, self.t_x, self.T)
        return (self.x[first], self.t_x[first], self.T[first]), run


def count_columns(
    bindings: TransactionBindings,
    thetas: Thetas,
    x: FloatArray,
    t_x: FloatArray,
    T: FloatArray,
    horizon: float,
    level: float,
) -> dict[str, NDArray[Any]]:
    """Columns on purchases, each (n_rows,).

    Over an infinite horizon the mean of the count need not exist: its three columns are NaN, and `p_purchase`
    equals `p_alive`, since whoever is alive buys again some day.
    """
    alive = bindings.mean_p_alive(x, t_x, T, thetas.center)
    if not np.isfinite(horizon):
        unknown = np.full(len(x), np.nan)
        return {
            "p_alive": alive,
            "p_purchase": alive.copy(),
            "expected_purchases": unknown,
            "purchases_low": unknown.copy(),
            "purchases_high": unknown.copy(),
        }
    ends = [(1 - level) / 2, (1 + level) / 2]
    low_high = purchases.purchase_quantiles(bindings, x, t_x, T, horizon, thetas.draws, ends)
    return {
        "p_alive": alive,
        "p_purchase": purchases.p_purchase(bindings, x, t_x, T, horizon, thetas.center),
        "expected_purchases": bindings.mean_expected_purchases(x, t_x, T, horizon, thetas.center),
        "purchases_low": low_high[:, 0],
        "purchases_high": low_high[:, 1],
    }


def value_columns(
    bindings: TransactionBindings,
    thetas: Thetas,
    spend: Thetas,
    customers: Customers,
    horizon: float,
    delta: float,
    level: float,
    *,
    first_purchase: bool = False,
) -> dict[str, FloatArray]:
    """Columns on spend and value, each (n_customers,).

    Parameters
    ----------
    customers : Customers
        Fastest where customers of one history stand together.
    horizon, delta : float
        Window, possibly infinite, and continuous discount rate, in one time unit.
    first_purchase : bool
        Add a purchase at time 0, for a customer about to be won.
    """
    chunks = [
        _value_chunk(bindings, thetas, spend, part, horizon, delta, level, first_purchase)
        for part in customers.chunks()
    ]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _value_chunk(
    bindings: TransactionBindings,
    thetas: Thetas,
    spend: Thetas,
    customers: Customers,
    horizon: float,
    delta: float,
    level: float,
    first_purchase: bool,
) -> dict[str, FloatArray]:
    x, mean_spend, margin = customers.x, customers.mean_spend, customers.margin
    rows, inverse = customers.histories()
    now = 1.0 if first_purchase else 0.0
    ends = [(1 - level) / 2, (1 + level) / 2]

    center = bindings.discounted_expected_purchases(*rows, horizon, delta, thetas.center)
    spend_at_center = mean_expected_spend(x, mean_spend, spend.center)
    by_draw = bindings.discounted_expected_purchases(*rows, horizon, delta, thetas.for_means())
    means = expected_spend(x, mean_spend, spend.for_means())
    means *= by_draw[:, inverse] + now
    # A draw with p x + q <= 1 has an infinite mean; interpolation between infinities would be NaN.
    mean_low, mean_high = np.quantile(means, ends, axis=0, method="inverted_cdf")

    # Customers of one history and one basket, one-time buyers above all, have one distribution.
    distinct, back = runs(customers.x, customers.t_x, customers.T, mean_spend)
    low_high = value_quantiles(
        bindings,
        thetas.draws,
        spend.draws,
        x[distinct],
        customers.t_x[distinct],
        customers.T[distinct],
        mean_spend[distinct],
        horizon,
        delta,
        ends,
        first_purchase=first_purchase,
    )[back]
    return {
        "expected_spend": spend_at_center,
        "expected_clv": times_margin(margin, (center.mean(axis=0)[inverse] + now) * spend_at_center),
        "clv_low": times_margin(margin, low_high[:, 0]),
        "clv_high": times_margin(margin, low_high[:, 1]),
        "expected_clv_low": times_margin(margin, mean_low),
        "expected_clv_high": times_margin(margin, mean_high),
    }


def times_margin(margin: FloatArray, spend: FloatArray) -> FloatArray:
    """Value of a spend, (n_customers,); without a margin nothing, even of an infinite mean."""
    return np.where(margin > 0, margin * np.where(margin > 0, spend, 0.0), 0.0)


def runs(*columns: FloatArray) -> tuple[IntArray, IntArray]:
    """First index of each run of equal rows, (n_runs,), and the run that each row belongs to, (n_rows,)."""
    if len(columns[0]) == 0:
        empty = np.zeros(0, dtype=np.int64)
        return empty, empty
    changes = np.zeros(len(columns[0]), dtype=bool)
    changes[0] = True
    for column in columns:
        changes[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(changes), np.cumsum(changes) - 1
