"""Forecasts of customers whose law is known, beside what they did."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np

from predclv.backtesting.blocks import Block, Cohort, Outcome, make_blocks
from predclv.backtesting.distributions import Counts
from predclv.backtesting.predictions import Forecast

CUTOFFS = (dt.date(1997, 6, 30), dt.date(1997, 9, 30), dt.date(1997, 12, 31))


def rates(n: int, seed: int) -> np.ndarray:
    """Purchases that customers make on average."""
    return np.random.default_rng([seed, 0]).gamma(0.5, 2.0, n) + 0.02


def outcome(rate: np.ndarray, seed: int, horizon: str = "26 weeks", cutoff: dt.date = CUTOFFS[0]) -> Outcome:
    """Poisson purchases at these rates, of about 30 each."""
    rng = np.random.default_rng([seed, 1])
    purchases = rng.poisson(rate).astype(float)
    return Outcome(horizon, 26.0, cutoff, purchases, purchases * rng.gamma(5.0, 6.0, len(rate)), 0, 0)


def poisson(mean: np.ndarray) -> Forecast:
    """Poisson counts of this mean."""
    return Forecast(np.asarray(mean, dtype=float), Counts.poisson(mean))


def point(mean: np.ndarray) -> Forecast:
    """A number for each customer."""
    return Forecast(np.asarray(mean, dtype=float))


def count_block(
    actual: Sequence[float], forecast: Forecast, method: str = "ours", cutoff: dt.date = CUTOFFS[0]
) -> Block:
    """Block of a horizon's purchases."""
    happened = Outcome("26 weeks", 26.0, cutoff, np.asarray(actual, dtype=float), None, 0, 0)
    return next(make_blocks(forecast, happened, cutoff, method))


def cohort(cluster: np.ndarray, codes: np.ndarray | None = None, labels: Sequence[str] = ()) -> Cohort:
    """Customers with these numbers, in groups called "frequency" where there are any."""
    groups = {} if codes is None else {"frequency": (list(labels), codes)}
    return Cohort(cluster, cluster, groups)
