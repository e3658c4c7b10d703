"""Chance in what single new customers bring, around what they bring on average."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.forecast import contracts as forecast_contracts
from predclv.forecast.contracts import Contracts
from predclv.forecast.lifetime_value import finite_horizon
from predclv.forecast.value_path import ValuePath
from predclv.models.contracts.value import ContractValue
from predclv.models.purchase_value import PurchaseValue
from predclv.value import CLV

__all__ = ["Newcomers", "luck_of_newcomers"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Newcomers:
    """New customers of one kind, and how their value is reckoned.

    Attributes
    ----------
    clv : CLV
        Fitted.
    segment, covariates, price, margin, include_first
        As in `CLV.new_customer_path`.
    rate : float
        Continuous discount rate in the models' time unit.
    path : ValuePath
        Of the mean newcomer, with these options.
    """

    clv: CLV
    segment: str | None
    covariates: Mapping[str, Any] | None
    price: float | None
    margin: float
    include_first: bool
    rate: float
    path: ValuePath


def luck_of_newcomers(who: Newcomers, left: FloatArray, n: int, number: int) -> FloatArray:
    """Deviation of a newcomer's value from its mean, (n_draws, n_times): of m together it is the root of m times that.

    Parameters
    ----------
    who : Newcomers
    left : (n_times,) array
        Time from each arrival to the horizon; of an endless one all but a thousandth of the value is followed.
    n : int
        Newcomers who are simulated for each draw of the path.
    number : int
        Of the segment, for the seed.

    Returns
    -------
    (n_draws, n_times) array
        One sum of independent newcomers' deviations over the root of their number; 0 where the mean is infinite.
    """
    seed = int(np.random.SeedSequence([int(who.clv.transactions_.random_state), 7, number]).generate_state(1)[0])
    left = np.array([finite_horizon(float(time), who.rate) for time in left])
    value = who.clv._valuation
    if isinstance(value, ContractValue):
        return _of_contracts(value, who, left, n, seed)
    assert isinstance(value, PurchaseValue)
    pair = value.pair.of_segment(who.segment if _has_segments(value) else None).of_covariates(who.covariates)
    bindings = value.pair.transactions.bindings
    theta, theta_spend = pair.draws(len(who.path.draws))
    zero, margin = np.zeros(n), np.full(n, who.margin)
    out = np.empty((len(theta), len(left)))
    for i, time in enumerate(left):
        if bindings.counts_opportunities:
            time = np.floor(time + 1e-9)
        rows = zero, zero, zero, zero, margin, np.zeros(n, dtype=np.int64), 1
        about = float(time), who.rate, theta, theta_spend, seed + i
        out[:, i] = bindings.simulate_totals(*rows, *about, first_purchase=who.include_first)[1][:, 0]
    return _centered(out, left, who.path, n, whole=bindings.counts_opportunities)


def _of_contracts(value: ContractValue, who: Newcomers, left: FloatArray, n: int, seed: int) -> FloatArray:
    model = value.of_segment(who.segment).model
    theta = model.full_theta(model.posterior_.draws_array(len(who.path.draws)))
    one = np.ones(n)
    price = float(who.price or 0.0)
    out = np.empty((len(theta), len(left)))
    for i, time in enumerate(left):
        due = forecast_contracts.renewals_due(one, float(time))
        contracts = Contracts(0 * one, due, one, price * one, who.margin * one, np.zeros(n, dtype=np.int64))
        total = forecast_contracts.simulate(contracts, who.rate, 1, theta, seed=seed + i).value[:, -1]
        out[:, i] = total + n * who.path.start_draws
    return _centered(out, left, who.path, n, whole=True)


def _centered(totals: FloatArray, left: FloatArray, path: ValuePath, n: int, *, whole: bool) -> FloatArray:
    grid, values = np.r_[0.0, path.times], np.column_stack((path.start_draws, path.draws))
    for i, time in enumerate(left):
        j = int(np.clip(np.searchsorted(grid, time + 1e-9, side="right"), 1, len(grid)))
        mean = values[:, j - 1]
        if j < len(grid) and not np.isfinite(grid[j]):
            # Past what is followed of an endless path: all of it.
            mean = values[:, j]
        elif not whole and j < len(grid):
            share = (time - grid[j - 1]) / (grid[j] - grid[j - 1])
            mean = mean + share * (values[:, j] - mean)
        with np.errstate(invalid="ignore"):
            luck = (totals[:, i] - n * mean) / np.sqrt(n)
        totals[:, i] = np.where(np.isfinite(mean), luck, 0.0)
    return totals


def _has_segments(value: PurchaseValue) -> bool:
    return bool(value.pair.transactions.segments_ or value.pair.spend.segments_)
