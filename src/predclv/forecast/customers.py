"""The per-customer table's columns, from plain arrays: what a notebook, a batch job and a backtest all call.

A row's result depends on the parameters, the options and that row alone, whatever other rows are in the call.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.forecast import purchases
from predclv.forecast.bindings import TransactionBindings
from predclv.forecast.lifetime_value import finite_horizon
from predclv.forecast.spend import mean_expected_spend
from predclv.forecast.value_tables import MOST_BYTES, ValueTables
from predclv.kernels.mean_quantiles import expected_value_quantiles

__all__ = [
    "CHUNK",
    "COUNT_COLUMNS",
    "VALUE_COLUMNS",
    "Customers",
    "Thetas",
    "count_columns",
    "runs",
    "times_margin",
    "value_columns",
    "value_tables",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: What `count_columns` and `value_columns` give, in the order of the per-customer table.
COUNT_COLUMNS = ("p_alive", "p_purchase", "expected_purchases", "purchases_low", "purchases_high")
VALUE_COLUMNS = ("expected_spend", "expected_clv", "clv_low", "clv_high", "expected_clv_low", "expected_clv_high")

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

    @property
    def arrays(self) -> list[FloatArray]:
        """All of them."""
        return [self.center, self.draws, *([] if self.mean_draws is None else [self.mean_draws])]

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
    *,
    columns: Collection[str] = COUNT_COLUMNS,
) -> dict[str, NDArray[Any]]:
    """Columns on purchases, each (n_rows,); of `COUNT_COLUMNS` those in `columns`, and no others are worked out.

    Over an infinite horizon the mean of the count need not exist: its three columns are NaN, and `p_purchase` is the
    probability of another purchase some day.
    """
    finite, history = math.isfinite(horizon), (x, t_x, T)
    found: dict[str, NDArray[Any]] = {}
    if "p_alive" in columns:
        found["p_alive"] = bindings.mean_p_alive(*history, thetas.center)
    if not finite:
        if "p_purchase" in columns:
            found["p_purchase"] = bindings.p_ever(*history, thetas.center)
        unknown = ("expected_purchases", "purchases_low", "purchases_high")
        found |= {name: np.full(len(x), np.nan) for name in unknown}
        return {name: found[name] for name in COUNT_COLUMNS if name in columns}
    if "p_purchase" in columns:
        found["p_purchase"] = purchases.p_purchase(bindings, *history, horizon, thetas.center)
    if "expected_purchases" in columns:
        found["expected_purchases"] = bindings.mean_expected_purchases(*history, horizon, thetas.center)
    if "purchases_low" in columns or "purchases_high" in columns:
        low_high = purchases.purchase_quantiles(bindings, *history, horizon, thetas.draws, _ends(level))
        found |= {"purchases_low": low_high[:, 0], "purchases_high": low_high[:, 1]}
    return {name: found[name] for name in COUNT_COLUMNS if name in columns}


def value_tables(
    bindings: TransactionBindings,
    thetas: Thetas,
    spend: Thetas,
    horizon: float,
    delta: float,
    *,
    first_purchase: bool = False,
    most_bytes: int = MOST_BYTES,
) -> ValueTables:
    """Make what `value_columns` may keep from call to call; the arguments are those of the calls."""
    until = finite_horizon(horizon, delta)
    return ValueTables(bindings, thetas.draws, spend.draws, until, delta, first_purchase, most_bytes)


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
    columns: Collection[str] = VALUE_COLUMNS,
    tables: ValueTables | None = None,
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
    columns : collection of str
        Which of `VALUE_COLUMNS` are wanted; no others are worked out.
    tables : ValueTables, optional
        From `value_tables`, for more calls than one; they change no result.
    """
    if tables is None:
        tables = value_tables(bindings, thetas, spend, horizon, delta, first_purchase=first_purchase)
    now = 1.0 if first_purchase else 0.0
    chunks = []
    for part in customers.chunks():
        found = _mean_columns(bindings, thetas, spend, part, horizon, delta, level, now, columns)
        if "clv_low" in columns or "clv_high" in columns:
            # Customers of one history and one basket, one-time buyers above all, have one distribution.
            distinct, back = runs(part.x, part.t_x, part.T, part.mean_spend)
            levels = np.array(_ends(level))
            low_high = tables.quantiles(
                part.x[distinct], part.t_x[distinct], part.T[distinct], part.mean_spend[distinct], levels
            )[back]
            found["clv_low"] = times_margin(part.margin, low_high[:, 0])
            found["clv_high"] = times_margin(part.margin, low_high[:, 1])
        chunks.append(found)
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in VALUE_COLUMNS if name in columns}


def _mean_columns(
    bindings: TransactionBindings,
    thetas: Thetas,
    spend: Thetas,
    customers: Customers,
    horizon: float,
    delta: float,
    level: float,
    now: float,
    columns: Collection[str],
) -> dict[str, FloatArray]:
    """Expected spend and value, and the interval of the latter."""
    x, mean_spend, margin = customers.x, customers.mean_spend, customers.margin
    rows, inverse = customers.histories()
    found: dict[str, FloatArray] = {}
    if "expected_spend" in columns or "expected_clv" in columns:
        found["expected_spend"] = mean_expected_spend(x, mean_spend, spend.center)
    if "expected_clv" in columns:
        center = purchases.mean_discounted_purchases(bindings, *rows, horizon, delta, thetas.center)
        found["expected_clv"] = times_margin(margin, (center[inverse] + now) * found["expected_spend"])
    if "expected_clv_low" in columns or "expected_clv_high" in columns:
        # A draw with p x + q <= 1 has an infinite mean; interpolation between infinities would be NaN.
        theta = np.ascontiguousarray(spend.for_means())
        by_draw = bindings.discounted_expected_purchases(*rows, horizon, delta, thetas.for_means())
        ranks = np.array([_rank(end, len(theta)) for end in _ends(level)])
        # Of one history and one basket, one distribution.
        distinct, back = runs(x, customers.t_x, customers.T, mean_spend)
        few = inverse[distinct], x[distinct], mean_spend[distinct]
        low_high = expected_value_quantiles(by_draw, *few, theta, now, ranks)[back]
        found["expected_clv_low"] = times_margin(margin, low_high[:, 0])
        found["expected_clv_high"] = times_margin(margin, low_high[:, 1])
    return found


def _ends(level: float) -> list[float]:
    return [(1 - level) / 2, (1 + level) / 2]


def _rank(level: float, n: int) -> int:
    """Place, in order, of the smallest of n values whose share of values not above it reaches the level."""
    return max(math.ceil(n * level - 1), 0)


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
