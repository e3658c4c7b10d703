"""Subscriptions as contract models take them: checked, with prices, whole customers and renewals that come up."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from predclv.data.durations import Horizon
from predclv.data.periods import DAYS_PER_PERIOD
from predclv.data.subscriptions import Subscriptions
from predclv.errors import DataError, see
from predclv.forecast.contracts import Contracts, renewals_due
from predclv.models.horizons import check_discount_rate

__all__ = [
    "continuous_rate",
    "contracts_of",
    "horizon_rate",
    "require_price",
    "require_subscriptions",
    "revenue_periods",
    "whole_weights",
]

FloatArray = NDArray[np.float64]

# Periods of recurring revenue that are shown: three years of an infinite horizon, and in all.
_YEARS_AHEAD = 3.0
_MOST_PERIODS = 400


def contracts_of(subs: Subscriptions, horizon: float, margin: FloatArray | None = None) -> Contracts:
    """Subscriptions as a forecast over so many periods takes them; without prices each is 0."""
    due = np.where(subs.ended, 0.0, renewals_due(subs.next_renewal, horizon))
    n = len(subs)
    return Contracts(
        subs.tenure.astype(np.float64),
        due,
        # Of ended contracts it says nothing, and may be missing.
        np.where(subs.ended, 1.0, subs.next_renewal),
        np.zeros(n) if subs.price is None else subs.price,
        np.ones(n) if margin is None else margin,
        np.zeros(n, dtype=np.int64),
    )


def require_subscriptions(subs: object) -> None:
    """Raise TypeError unless `subs` are Subscriptions."""
    if not isinstance(subs, Subscriptions):
        raise TypeError(
            f"Expected Subscriptions. Got {type(subs).__name__}; make them with Subscriptions.from_log(log, ...) or "
            "Subscriptions.from_cohorts(table, ...)." + see("contracts")
        )


def require_price(subs: Subscriptions) -> FloatArray:
    """Return the prices, or raise DataError where there are none."""
    if subs.price is None:
        raise DataError(
            "The subscriptions have no prices. Give price= to from_log (a column) or from_cohorts (a number)."
        )
    return subs.price


def whole_weights(subs: Subscriptions) -> NDArray[np.int64]:
    """Customers of each row, or DataError where they are no whole numbers."""
    broken = np.floor(subs.weight) != subs.weight
    if broken.any():
        raise DataError(
            f"{broken.sum():,} of {len(subs):,} rows stand for parts of customers (first: {subs.weight[broken][0]:g}), "
            "of whom no future can be simulated. Give from_cohorts size=, the customers at the start."
        )
    return subs.weight.astype(np.int64)


def continuous_rate(discount_rate: float, period: str) -> float:
    """Return the continuous rate per period of an effective annual one; ValueError where it is no share a year."""
    return math.log1p(check_discount_rate(discount_rate)) * DAYS_PER_PERIOD[period] / DAYS_PER_PERIOD["year"]


def horizon_rate(discount_rate: float, length: float, period: str) -> float:
    """Return the continuous rate a period for a horizon; ValueError where an infinite one is not discounted."""
    rate = continuous_rate(discount_rate, period)
    if rate == 0 and not math.isfinite(length):
        raise ValueError(
            "An infinite horizon needs a discount rate above 0: undiscounted value may have no finite mean."
        )
    return rate


def revenue_periods(horizon: Horizon, subs: Subscriptions) -> float | None:
    """Periods of recurring revenue to show for a horizon; None where none fits, nobody runs or there are no prices."""
    endless = not math.isfinite(horizon.length)
    length = _YEARS_AHEAD * DAYS_PER_PERIOD["year"] / subs.days_per_period if endless else horizon.length
    if length < 1 - 1e-9 or subs.price is None or bool(subs.ended.all()):
        return None
    return min(length, float(_MOST_PERIODS))
