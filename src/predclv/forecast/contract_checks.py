"""Cohorts of contracts beside replications of them: who is left, and who was lost when. Arrays in, arrays out.

A replication draws parameters from the posterior and lets every contract start anew; as many renewals come up for it as
have come up for the real one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predclv.kernels.contracts import forecast as kernel

__all__ = ["Groups", "Losses", "expected_losses", "observed_losses", "pool", "replicate_losses"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Data simulated with the seed of the model must not meet their own random numbers again.
_STREAM = 9
# Numbers held at a time, and drawn in all: some seconds of one core.
_MOST_AT_ONCE = 4_000_000
_MOST_DRAWN = 20_000_000
_FEWEST_DRAWS = 64


@dataclass(frozen=True)
class Groups:
    """Contracts that began in one cohort, and in one period of the calendar, and came to as many renewals.

    Attributes
    ----------
    cohort : (n_groups,) int array
        Code of the cohort, from 0, the oldest first.
    due : (n_groups,) int array
        Renewals that have come up since the start, for those who left too.
    start : (n_groups,) int array
        Period of the calendar in which they began, from 0.
    customers : (n_groups,) int array
    lost : (n_groups, n_renewals) int array
        Who left at the 1st, 2nd, ... renewal.
    """

    cohort: IntArray
    due: IntArray
    start: IntArray
    customers: IntArray
    lost: IntArray

    @property
    def n_renewals(self) -> int:
        """Most renewals that have come up."""
        return len(self.lost.T)

    @property
    def eligible(self) -> IntArray:
        """Contracts for which each renewal has come up, whether they lived to it or not, (n_cohorts, n_renewals)."""
        return self._by_cohort(self.customers[:, np.newaxis] * self.came)

    @property
    def came(self) -> NDArray[np.bool_]:
        """Whether each renewal has come up for a group, (n_groups, n_renewals)."""
        return self.due[:, np.newaxis] > np.arange(self.n_renewals)

    def _by_cohort(self, by_group: NDArray[np.generic]) -> IntArray:
        found = np.zeros((int(self.cohort[-1]) + 1, *by_group.shape[1:]), dtype=np.int64)
        np.add.at(found, self.cohort, by_group)
        return found


@dataclass(frozen=True)
class Losses:
    """Who is left and who was lost, of the data (n_draws is 1), of replications, or expected by draw.

    Attributes
    ----------
    survivors : (n_draws, n_cohorts, n_renewals) array
        Left after each renewal, of those for whom it has come up.
    by_renewal, by_cohort, by_calendar : (n_draws, n_renewals), (n_draws, n_cohorts), (n_draws, n_periods) arrays
        Lost.
    """

    survivors: FloatArray
    by_renewal: FloatArray
    by_cohort: FloatArray
    by_calendar: FloatArray


def observed_losses(groups: Groups) -> Losses:
    """Who was lost in the data."""
    return _losses(groups, groups.lost[np.newaxis].astype(np.float64))


def expected_losses(groups: Groups, theta: FloatArray) -> Losses:
    """Who is expected to be lost under each theta, (n_draws, 3), exact."""
    rates = kernel.retention_rates(groups.n_renewals, theta)
    left = np.cumprod(rates, axis=1)
    lost = np.column_stack((np.ones(len(theta)), left[:, :-1])) - left
    came: FloatArray = (groups.customers[:, np.newaxis] * groups.came).astype(np.float64)
    return _joined([_losses(groups, lost[part, np.newaxis] * came) for part in _chunks(len(theta), groups)])


def replicate_losses(groups: Groups, theta: FloatArray, seed: int) -> Losses:
    """One replication for each theta, (n_draws, 3); fewer, 64 at least, where all would take too long."""
    generator = np.random.default_rng([seed, _STREAM])
    theta = theta[: max(_MOST_DRAWN // max(int(groups.due.sum()), 1), _FEWEST_DRAWS)]
    rates = kernel.retention_rates(groups.n_renewals, theta)
    return _joined(
        [_losses(groups, _replicate(groups, rates[part], generator)) for part in _chunks(len(theta), groups)]
    )


def pool(expected: FloatArray, least: float = 5.0) -> IntArray:
    """Neighbouring bins taken together until each is expected to hold `least`: the code of each bin, (n_bins,)."""
    codes = np.zeros(len(expected), dtype=np.int64)
    total, code = 0.0, 0
    for i, number in enumerate(expected):
        codes[i] = code
        total += number
        if total >= least:
            total, code = 0.0, code + 1
    # What is left over at the end joins the bin before it.
    return np.minimum(codes, max(code - 1, 0))


def _replicate(groups: Groups, rates: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Contracts lost, (n_draws, n_groups, n_renewals)."""
    came = groups.came
    lost = np.zeros((len(rates), *came.shape))
    left = np.broadcast_to(groups.customers, (len(rates), len(groups.customers))).copy()
    for t in range(groups.n_renewals):
        of = came[:, t]
        gone = generator.binomial(left[:, of], 1.0 - rates[:, t, np.newaxis])
        left[:, of] -= gone
        lost[:, of, t] = gone
    return lost


def _losses(groups: Groups, lost: FloatArray) -> Losses:
    """Add up losses by group, (n_draws, n_groups, n_renewals)."""
    n_draws, n_groups, n_renewals = lost.shape
    n_cohorts = int(groups.cohort[-1]) + 1
    left = (groups.customers[:, np.newaxis] - np.cumsum(lost, axis=2)) * groups.came
    survivors = np.zeros((n_cohorts, n_draws, n_renewals))
    np.add.at(survivors, groups.cohort, left.swapaxes(0, 1))
    by_group = lost.sum(axis=2)
    by_cohort = np.zeros((n_cohorts, n_draws))
    np.add.at(by_cohort, groups.cohort, by_group.T)
    when = groups.start[:, np.newaxis] + np.arange(n_renewals)
    by_calendar = np.zeros((int(groups.start.max()) + n_renewals, n_draws))
    np.add.at(by_calendar, when.ravel(), lost.reshape(n_draws, n_groups * n_renewals).T)
    return Losses(survivors.swapaxes(0, 1), lost.sum(axis=1), by_cohort.T, by_calendar.T)


def _joined(parts: list[Losses]) -> Losses:
    return Losses(*(np.concatenate([getattr(part, name) for part in parts]) for name in Losses.__dataclass_fields__))


def _chunks(n_draws: int, groups: Groups) -> Iterator[slice]:
    size = max(_MOST_AT_ONCE // max(groups.lost.size, 1), 1)
    return (slice(i, i + size) for i in range(0, n_draws, size))
