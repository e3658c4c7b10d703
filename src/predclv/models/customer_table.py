"""The per-customer table, part by part of a summary: what a notebook's `predict` and a batch job both call."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.data.columns import histories
from predclv.data.rfm import RFMSummary
from predclv.forecast.bindings import TransactionBindings
from predclv.forecast.customers import (
    COUNT_COLUMNS,
    VALUE_COLUMNS,
    Customers,
    Thetas,
    count_columns,
    times_margin,
    value_columns,
    value_tables,
)
from predclv.forecast.pattern_values import row_value_quantiles
from predclv.forecast.value_tables import MOST_BYTES, ValueTables
from predclv.models.base import Model
from predclv.models.covariates.use import row_thetas
from predclv.models.estimates import CUSTOMER_DRAWS, Estimate, center_draws
from predclv.models.pair import Pair, PairPart

__all__ = ["Kept", "Request", "count_columns_of", "value_columns_of", "value_parts"]

FloatArray = NDArray[np.float64]

_OUTCOME = ("clv_low", "clv_high")


@dataclass(frozen=True)
class Request:
    """What is forecast.

    Attributes
    ----------
    horizon, delta : float
        Window, possibly infinite, and continuous discount rate, in the time unit of the fit.
    level : float
    estimate : "point", "draws" or None
    columns : collection of str
        Names from `COUNT_COLUMNS` and `VALUE_COLUMNS`; no others are worked out.
    """

    horizon: float
    delta: float
    level: float
    estimate: Estimate | None
    columns: Collection[str] = (*COUNT_COLUMNS, *VALUE_COLUMNS)


@dataclass(eq=False)
class _Part:
    """Parameters of one population, and the tables made for them.

    Attributes
    ----------
    models : tuple of Model
    counts, spend : Thetas
    tables : ValueTables
    n_uses : int
        How often it has been asked for.
    n_bytes : int
        What it took when it was last looked at.
    """

    models: tuple[Model, ...]
    counts: Thetas
    spend: Thetas
    tables: ValueTables
    n_uses: int = 0
    n_bytes: int = 0

    def weigh(self) -> int:
        """Look at what it takes, and say by how much that has grown."""
        now = self.tables.n_bytes + sum(theta.nbytes for one in (self.counts, self.spend) for theta in one.arrays)
        grown, self.n_bytes = now - self.n_bytes, now
        return grown


class Kept:
    """Parameters and tables of the parts, for the next customers; they speed up one request and change no result.

    Parameters
    ----------
    most_bytes : int
        Memory that they may take between calls.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._parts: dict[tuple[Hashable, ...], _Part] = {}
        self._latest: _Part | None = None
        self._total = 0

    @property
    def n_bytes(self) -> int:
        """Memory that they take."""
        return sum(part.tables.n_bytes for part in self._parts.values())

    def part(self, models: tuple[Model, ...], make: Callable[[], _Part]) -> _Part:
        """Return what was made for these models, or make it; what is used least gives way."""
        if self._latest is not None:
            self._total += self._latest.weigh()
        # The models stay referenced here, so that no other can be taken for one of them.
        key = tuple(model.identity for model in models)
        part = self._parts.pop(key, None) or make()
        self._total += part.weigh()
        part.n_uses += 1
        # Half of the room at least is the part's own.
        while self._total - part.n_bytes > self._most_bytes // 2:
            # Of equals the latest, since all come round again in their order.
            least = min(reversed(self._parts), key=lambda other: self._parts[other].n_uses)
            self._total -= self._parts.pop(least).n_bytes
        part.tables.most_bytes = self._most_bytes - (self._total - part.n_bytes)
        self._parts[key] = self._latest = part
        return part


def count_columns_of(
    bindings: TransactionBindings, thetas: Thetas, rfm: RFMSummary, request: Request
) -> dict[str, NDArray[Any]]:
    """Columns on purchases of the customers of one part, each (n_customers,)."""
    rows, inverse = histories(rfm)
    by_row = count_columns(
        bindings, thetas, rows.x, rows.t_x, rows.T, request.horizon, request.level, columns=request.columns
    )
    return {name: column[inverse] for name, column in by_row.items()}


def value_parts(
    pair: Pair, rfm: RFMSummary, customers: Customers, request: Request, kept: Kept | None = None
) -> Iterator[tuple[NDArray[np.int64], dict[str, NDArray[Any]]]]:
    """Rows, and columns on their purchases, spend and value: part by part, and some columns of all rows at the end.

    Where nearly every customer has parameters of their own, the outcome's interval is worked out for all at once.
    """
    if not (pair.goes_one_by_one and set(request.columns) & set(_OUTCOME)):
        for part in pair.parts(rfm):
            yield part.rows, value_columns_of(part, customers, request, kept)
        return
    rest = replace(request, columns=tuple(name for name in request.columns if name not in _OUTCOME))
    for part in pair.parts(rfm):
        yield part.rows, value_columns_of(part, customers, rest)
    ends = _outcomes(pair, rfm, customers, request)
    yield np.arange(len(rfm)), {name: ends[name] for name in _OUTCOME if name in request.columns}


def _outcomes(pair: Pair, rfm: RFMSummary, customers: Customers, request: Request) -> dict[str, FloatArray]:
    """Ends of the outcome's interval of each customer, with parameters of their own."""
    kernels, theta = row_thetas(pair.transactions, rfm, CUSTOMER_DRAWS)
    ends = row_value_quantiles(
        kernels,
        theta,
        pair.draws(CUSTOMER_DRAWS)[1],
        customers.x,
        customers.t_x,
        customers.T,
        customers.mean_spend,
        request.horizon,
        request.delta,
        np.array([(1 - request.level) / 2, (1 + request.level) / 2]),
    )
    return {name: times_margin(customers.margin, end) for name, end in zip(_OUTCOME, ends.T, strict=True)}


def value_columns_of(
    part: PairPart, customers: Customers, request: Request, kept: Kept | None = None
) -> dict[str, NDArray[Any]]:
    """Columns on purchases, spend and value of the customers of one part.

    Parameters
    ----------
    part : PairPart
    customers : Customers
        All of the summary that the part was taken from.
    request : Request
    kept : Kept, optional
        Of this request, where there will be more customers.
    """
    pair = part.pair
    bindings, horizon, delta = pair.transactions.bindings, request.horizon, request.delta

    def make() -> _Part:
        counts, spend = pair.thetas(request.estimate, n_center=center_draws(horizon))
        return _Part(tuple(pair), counts, spend, value_tables(bindings, counts, spend, horizon, delta))

    found = (kept or Kept()).part(tuple(pair), make)
    counts, spend, tables = found.counts, found.spend, found.tables
    columns = count_columns_of(bindings, counts, part.rfm, request)
    if not any(name in request.columns for name in VALUE_COLUMNS):
        return columns
    # Customers of one history together: their histories are worked out once.
    order = np.argsort(histories(part.rfm)[1], kind="stable")
    few = customers.take(part.rows[order])
    values = value_columns(
        bindings, counts, spend, few, horizon, delta, request.level, columns=request.columns, tables=tables
    )
    for name, column in values.items():
        columns[name] = np.empty_like(column)
        columns[name][order] = column
    return columns
