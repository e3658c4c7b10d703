"""Forecasts of a block of rows of contracts by one model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.batch.contract_rows import ContractRows
from predclv.data.subscriptions import Subscriptions
from predclv.forecast.contracts import count_columns, value_columns
from predclv.forecast.customers import COUNT_COLUMNS, VALUE_COLUMNS, Thetas
from predclv.models.contracts.inputs import contracts_of
from predclv.models.contracts.model import ContractModel
from predclv.models.customer_table import Request
from predclv.models.estimates import center_draws
from predclv.value import CLV

__all__ = ["ContractForecasts"]

IntArray = NDArray[np.int64]
Columns = dict[str, NDArray[Any]]


class ContractForecasts:
    """Forecasts of contracts that have been judged fit for it; what is kept from call to call changes no result.

    Parameters
    ----------
    model : CLV or ContractModel
    request : Request
        Its `delta` is the continuous discount rate a period.
    """

    def __init__(self, model: CLV | ContractModel, request: Request) -> None:
        self._request, self._with_value = request, isinstance(model, CLV)
        self._model: ContractModel = model.transactions_ if isinstance(model, CLV) else model
        self._thetas: dict[int, Thetas] = {}

    def columns(self, rows: ContractRows, which: IntArray, with_price: bool) -> Columns:
        """Columns of some rows, each (n_which,)."""
        ended = rows.ended[which]
        subs = Subscriptions(
            customer_id=np.arange(which.size),
            tenure=rows.tenure[which].astype(np.int64),
            ended=ended,
            lost=np.zeros(which.size, dtype=bool),
            weight=np.ones(which.size),
            next_renewal=rows.next_renewal[which],
            price=rows.price[which] if with_price else None,
            carried={name: column[which] for name, column in rows.segments.items()},
            period=self._model.fingerprint_.time_unit,
        )
        asked = self._request
        found: Columns = {"p_alive": np.where(ended, 0.0, 1.0)}
        for model, part, where in self._model.contract_parts(subs):
            contracts, thetas = contracts_of(part, asked.horizon, rows.margin[which][where]), self._of(model)
            made: Columns = {}
            if set(asked.columns) & set(COUNT_COLUMNS[1:]):
                made |= count_columns(thetas, contracts, asked.level, endless=bool(np.isinf(asked.horizon)))
            if set(asked.columns) & set(VALUE_COLUMNS):
                made |= value_columns(thetas, contracts, asked.delta, asked.level)
            for name, column in made.items():
                found.setdefault(name, np.empty(which.size, dtype=column.dtype))[where] = column
        return {name: found[name] for name in asked.columns}

    def _of(self, model: ContractModel) -> Thetas:
        """Parameters of a part; its model stays referenced by the whole, so that its identity is its own."""
        if id(model) not in self._thetas:
            n_center = center_draws(self._request.horizon) if self._with_value else None
            self._thetas[id(model)] = model.thetas(self._request.estimate, n_center=n_center)
        return self._thetas[id(model)]
