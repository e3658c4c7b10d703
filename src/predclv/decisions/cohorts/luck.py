"""Chance in what single new customers bring, around what they bring on average."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.decisions.cohorts.plan import Plan
from predclv.forecast import contracts as forecast_contracts
from predclv.forecast.contracts import Contracts
from predclv.forecast.value_path import ValuePath
from predclv.models.contract_value import ContractValue
from predclv.models.purchase_value import PurchaseValue
from predclv.value import CLV

__all__ = ["luck_of_newcomers"]

FloatArray = NDArray[np.float64]

# Simulated newcomers in all, for each draw: their spread is wanted, and the mean is known.
_LIVES = 4_096
_FEWEST = 8


def luck_of_newcomers(
    clv: CLV,
    left: FloatArray,
    segment: str | None,
    covariates: Mapping[str, Any] | None,
    path: ValuePath,
    plan: Plan,
    price: float | None,
    number: int,
) -> FloatArray:
    """Deviation of a newcomer's value from its mean, (n_draws, n_times): of n together it is the root of n times that.

    Parameters
    ----------
    left : (n_times,) array
        Time from each arrival to the horizon.
    path : ValuePath
        Of the mean newcomer.
    plan : Plan
    number : int
        Of the segment, for the seed.

    Returns
    -------
    (n_draws, n_times) array
        One sum of independent newcomers' deviations over the root of their number; 0 where the mean is infinite.
    """
    n = max(_LIVES // len(left), _FEWEST)
    seed = int(np.random.SeedSequence([int(clv.transactions_.random_state), 7, number]).generate_state(1)[0])
    value = clv._valuation
    if isinstance(value, ContractValue):
        return _of_contracts(value, left, segment, path, plan, float(price or 0.0), n, seed)
    assert isinstance(value, PurchaseValue)
    pair = value.pair.of_segment(segment if _has_segments(value) else None).of_covariates(covariates)
    bindings = value.pair.transactions.bindings
    theta, theta_spend = pair.draws(plan.n_draws)
    zero, margin = np.zeros(n), np.full(n, plan.margin)
    out = np.empty((plan.n_draws, len(left)))
    for i, time in enumerate(left):
        if bindings.counts_opportunities:
            time = np.floor(time + 1e-9)
        rows = zero, zero, zero, zero, margin, np.zeros(n, dtype=np.int64), 1
        about = float(time), plan.rate, theta, theta_spend, seed + i
        out[:, i] = bindings.simulate_totals(*rows, *about, first_purchase=plan.include_first)[1][:, 0]
    return _centered(out, left, path, n, whole=bindings.counts_opportunities)


def _of_contracts(
    value: ContractValue,
    left: FloatArray,
    segment: str | None,
    path: ValuePath,
    plan: Plan,
    price: float,
    n: int,
    seed: int,
) -> FloatArray:
    model = value.of_segment(segment).model
    theta = model.full_theta(model.posterior_.draws_array(plan.n_draws))
    one = np.ones(n)
    out = np.empty((plan.n_draws, len(left)))
    for i, time in enumerate(left):
        due = forecast_contracts.renewals_due(one, float(time))
        contracts = Contracts(0 * one, due, one, price * one, plan.margin * one, np.zeros(n, dtype=np.int64))
        total = forecast_contracts.simulate(contracts, plan.rate, 1, theta, seed=seed + i).value[:, -1]
        out[:, i] = total + n * path.start_draws
    return _centered(out, left, path, n, whole=True)


def _centered(totals: FloatArray, left: FloatArray, path: ValuePath, n: int, *, whole: bool) -> FloatArray:
    grid, values = np.r_[0.0, path.times], np.column_stack((path.start_draws, path.draws))
    for i, time in enumerate(left):
        j = int(np.clip(np.searchsorted(grid, time + 1e-9, side="right"), 1, len(grid)))
        mean = values[:, j - 1]
        if not whole and j < len(grid):
            share = (time - grid[j - 1]) / (grid[j] - grid[j - 1])
            mean = mean + share * (values[:, j] - mean)
        with np.errstate(invalid="ignore"):
            luck = (totals[:, i] - n * mean) / np.sqrt(n)
        totals[:, i] = np.where(np.isfinite(mean), luck, 0.0)
    return totals


def _has_segments(value: PurchaseValue) -> bool:
    return bool(value.pair.transactions.segments_ or value.pair.spend.segments_)
