"""Forecasts of a block of rows by one model, in parts whose parameters and tables take little memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.batch.rows import Rows
from predclv.data.rfm import RFMSummary
from predclv.forecast.customers import Customers
from predclv.models.covariates.columns import Covariates
from predclv.models.covariates.patterns import distinct_patterns
from predclv.models.customer_table import Kept, Request, count_columns_of, value_parts
from predclv.models.pair import Pair
from predclv.models.transactions import TransactionModel
from predclv.value import CLV

__all__ = ["RowForecasts"]

IntArray = NDArray[np.int64]
Columns = dict[str, NDArray[Any]]

# Patterns of covariates at a time, or customers where each is worked alone: each has some kilobytes of parameters.
_PATTERNS = 4096


class RowForecasts:
    """Forecasts of rows that have been judged fit for it; what is kept from call to call changes no result.

    Parameters
    ----------
    model : CLV or TransactionModel
    request : Request
    table_bytes : int
        Memory of what is kept.
    """

    def __init__(self, model: CLV | TransactionModel, request: Request, table_bytes: int) -> None:
        self._request, self._kept = request, Kept(table_bytes)
        self._pair = Pair(model.transactions_, model.spend_) if isinstance(model, CLV) else None
        self._transactions: TransactionModel = model.transactions_ if isinstance(model, CLV) else model
        self._covariates: Covariates | None = getattr(self._transactions, "covariates_", None)

    @property
    def n_bytes(self) -> int:
        """Memory of the tables that are kept."""
        return self._kept.n_bytes

    def columns(self, rows: Rows, which: IntArray, with_spend: bool) -> Columns:
        """Columns of some rows, each (n_which,); FitError where one of them has no answer."""
        rfm = RFMSummary(
            np.arange(which.size),
            rows.frequency[which].astype(np.int64),
            rows.recency[which],
            rows.T[which],
            rows.mean_spend[which] if with_spend else None,
            carried={name: column[which] for name, column in {**rows.segments, **rows.covariates}.items()},
            time_unit=self._transactions.fingerprint_.time_unit,
        )
        margin = rows.margin[which]
        found: Columns = {}
        for group in self._groups(rfm):
            some = rfm if len(group) == len(rfm) else rfm.pick(group)
            for where, columns in self._parts(some, margin[group]):
                for name, column in columns.items():
                    found.setdefault(name, np.empty(which.size, dtype=column.dtype))[group[where]] = column
        return found

    def _groups(self, rfm: RFMSummary) -> Iterator[IntArray]:
        """Rows to work together, in their order: all, but of covariates only so many patterns."""
        everybody = np.arange(len(rfm))
        if self._covariates is None:
            yield everybody
            return
        _, pattern = distinct_patterns(*self._covariates.design(rfm))
        order = np.argsort(pattern, kind="stable")
        one_by_one = self._pair is not None and self._pair.goes_one_by_one
        number = everybody if one_by_one else pattern[order]
        for group in np.split(order, np.flatnonzero(np.diff(number // _PATTERNS)) + 1):
            yield np.sort(group)

    def _parts(self, rfm: RFMSummary, margin: NDArray[np.float64]) -> Iterator[tuple[IntArray, Columns]]:
        """Columns of each part of a summary, and its rows."""
        if self._pair is None:
            for model, part, where in self._transactions.parts(rfm):
                yield where, count_columns_of(model.bindings, model.thetas(self._request.estimate), part, self._request)
            return
        spend = np.zeros(len(rfm)) if rfm.monetary_value is None else rfm.monetary_value
        segment = np.zeros(len(rfm), dtype=np.int64)
        customers = Customers(rfm.frequency.astype(np.float64), rfm.recency, rfm.T, spend, margin, segment)
        yield from value_parts(self._pair, rfm, customers, self._request, self._kept)
