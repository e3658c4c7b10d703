"""What those who are yet to come are worth, and what winning them costs, by the period in which they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.decisions.cohorts.arrivals import ArrivalForecast
from predclv.decisions.cohorts.plan import Plan
from predclv.decisions.luck import Newcomers, luck_of_newcomers
from predclv.models.contracts.model import ContractModel
from predclv.value import CLV

__all__ = ["value_newcomers"]

FloatArray = NDArray[np.float64]

# Simulated newcomers in all, for each draw: their spread is wanted, and the mean is known.
_LIVES = 4_096
_FEWEST = 8


def value_newcomers(
    clv: CLV,
    plan: Plan,
    forecast: ArrivalForecast,
    segment: str | None,
    profiles: Mapping[str, Mapping[str, Any]] | None,
    price: float | None,
    cac: float | None,
    number: int,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Value of those who come in each period, (n_draws, n_periods), what is expected of it, and the cost of all.

    The expectation, (n_periods,), is at the estimate, as that of `CLV.new_customer`; the cost is (n_draws,).
    """
    of_covariates = None if profiles is None else profiles[str(segment)]
    path = clv.new_customer_path(
        plan.length,
        segment=segment if clv.transactions_.segments_ or _has_spend_segments(clv) else None,
        covariates=of_covariates,
        include_first=plan.include_first,
        price=price,
        discount_rate=plan.discount_rate,
        margin=plan.margin,
        n_times=max(4 * plan.n_periods, 48),
        n_draws=plan.n_draws,
    )
    times, periods, shares = plan.arrival_times()
    # The last row is what is expected.
    values = np.column_stack((np.r_[path.start_draws, path.start], np.vstack((path.draws, path.center))))
    grid = np.r_[0.0, path.times]
    is_whole = isinstance(clv.transactions_, ContractModel) or clv.transactions_.bindings.counts_opportunities
    found, spent = np.zeros((plan.n_draws, plan.n_periods)), np.zeros(plan.n_draws)
    expected = np.zeros(plan.n_periods)
    # Chance in what single customers do is that of who comes in the middle of the period.
    middle = np.array([times[periods == period].mean() for period in np.unique(periods)])
    who = Newcomers(clv, segment, of_covariates, price, plan.margin, plan.include_first, plan.rate, path)
    luck = luck_of_newcomers(who, plan.length - middle, max(_LIVES // len(middle), _FEWEST), number)
    for time, period, share in zip(times, periods, shares, strict=True):
        left, now = plan.length - time, np.exp(-plan.rate * time)
        mean = values[:, np.searchsorted(grid, left + 1e-9, side="right") - 1] if is_whole else _at(grid, values, left)
        n = forecast.draws[:, period] * share
        found[:, period] += now * n * mean[:-1]
        expected[period] += now * n.mean() * mean[-1]
        spent += now * n * (cac or 0.0)
    for i, period in enumerate(np.unique(periods)):
        n = forecast.draws[:, period] * shares[periods == period].sum()
        found[:, period] += np.exp(-plan.rate * middle[i]) * np.sqrt(n) * luck[:, i]
    return found, expected, spent


def _at(grid: FloatArray, values: FloatArray, time: float) -> FloatArray:
    """Values at a time between those of the grid, straight between them; (n_draws,)."""
    i = int(np.clip(np.searchsorted(grid, time), 1, len(grid) - 1))
    part = (time - grid[i - 1]) / (grid[i] - grid[i - 1])
    mean: FloatArray = values[:, i - 1] + part * (values[:, i] - values[:, i - 1])
    # An infinite mean is infinite at once.
    return np.where(np.isfinite(values[:, i]), mean, np.inf)


def _has_spend_segments(clv: CLV) -> bool:
    return bool(getattr(clv, "spend_", None) is not None and clv.spend_.segments_)
