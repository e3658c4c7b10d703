"""How far whole periods were off what a model expects: good and bad months, which all cohorts share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predclv.data.rfm import RFMSummary
from predclv.forecast.tracking import expected_cumulative, simulated_periods
from predclv.models.estimates import choose_theta
from predclv.models.transactions import TransactionModel

__all__ = ["PastPeriods", "Shocks", "shock"]

FloatArray = NDArray[np.float64]

# Fewer periods, or fewer expected purchases in one, say nothing of how periods differ.
_FEWEST_PERIODS, _FEWEST_PURCHASES = 4, 20.0
# Parts with parameters of their own, each of which is simulated.
_MOST_PARTS = 64
_SIMULATIONS = 32


@dataclass(frozen=True)
class Shocks:
    """Spread of periods around what a model expects of them, beyond chance.

    Attributes
    ----------
    spread : float
        Standard deviation of the logarithm of observed over expected repeat purchases; 0 where chance explains it all.
    n_periods : int
        From how many past periods; 0 where it was not estimated.
    note : str
        In words.
    """

    spread: float
    n_periods: int
    note: str

    def draw(self, n: int, seed: int) -> FloatArray:
        """Factors on purchases, one a draw, (n,): the logarithm is Student's t times the spread."""
        if self.spread == 0.0:
            return np.ones(n)
        rng = np.random.default_rng([seed, 1])
        t = rng.standard_t(self.n_periods, n) if self.n_periods else rng.standard_normal(n)
        return np.asarray(np.exp(self.spread * t))


@dataclass
class PastPeriods:
    """What a model expects of past periods, added up over parts of the customers.

    Attributes
    ----------
    before_end : (n_periods + 1,) array
        Time from the ends of past periods to the as-of date, decreasing, in the unit of the summary; the first is the
        start of the first period.
    observed : (n_periods,) array
        Repeat purchases of all customers in each.
    """

    before_end: FloatArray
    observed: FloatArray

    def __post_init__(self) -> None:
        n = len(self.observed)
        self.expected, self.variance, self.n_parts = np.zeros(n), np.zeros(n), 0

    def add(self, model: TransactionModel, rfm: RFMSummary, seed: int) -> None:
        """Add the customers of a summary, one row each."""
        parts = model.parts(rfm)
        self.n_parts = max(self.n_parts, len(parts))
        if len(parts) > _MOST_PARTS or len(self.observed) < _FEWEST_PERIODS:
            return
        start = float(self.before_end[0])
        edges = start - self.before_end
        step = 1.0 if rfm.opportunities is not None else 1.0 / rfm.days_per_unit
        for number, (one, part, _) in enumerate(parts):
            # Who came before the first day that is known of the log came on it, but for rounding.
            births, customers = np.unique(np.maximum(start - part.T, 0.0), return_counts=True)
            theta = choose_theta(one.posterior_, "point")
            about = one.bindings, births, customers.astype(np.float64), edges
            self.expected += np.diff(expected_cumulative(*about, theta, step), axis=1)[0]
            many = np.repeat(theta, _SIMULATIONS, axis=0)
            self.variance += simulated_periods(*about, many, step, seed + number).var(axis=0, ddof=1)

    def shocks(self) -> Shocks:
        """Spread of what was observed around what is expected, beyond chance."""
        if self.n_parts > _MOST_PARTS:
            return Shocks(0.0, 0, f"not estimated: {self.n_parts:,} groups of customers have parameters of their own")
        return _spread(self.observed, self.expected, self.variance)


def _spread(observed: FloatArray, expected: FloatArray, variance: FloatArray) -> Shocks:
    known = (expected >= _FEWEST_PURCHASES) & (observed > 0)
    n = int(known.sum())
    if n < _FEWEST_PERIODS:
        return Shocks(0.0, 0, f"not estimated: only {n} past periods have purchases enough")
    ratio = np.log(observed[known] / expected[known])
    beyond = np.mean(ratio**2) - np.mean(variance[known] / expected[known] ** 2)
    spread = float(np.sqrt(max(beyond, 0.0)))
    return Shocks(spread, n, f"{spread:.1%}, from {n} past periods" if spread > 0 else f"none in {n} past periods")


def shock(draws: FloatArray, factors: Sequence[float] | FloatArray, customers: FloatArray) -> None:
    """Multiply purchases and money of each draw by its factor, in place; active customers as purchases would make them.

    Parameters
    ----------
    draws : (n_draws, n_cohorts, n_periods, 4) array
    factors : (n_draws,) array
    customers : (n_cohorts,) array
    """
    factor = np.asarray(factors, dtype=np.float64)[:, np.newaxis, np.newaxis]
    n = customers[np.newaxis, :, np.newaxis]
    # Whoever buys at random, and so much more often, is missed so much less.
    draws[..., 0] = n * -np.expm1(factor * np.log1p(-np.minimum(draws[..., 0] / n, 1.0 - 1e-9)))
    draws[..., 1:] *= factor[..., np.newaxis]
