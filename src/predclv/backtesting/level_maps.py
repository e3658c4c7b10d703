"""Maps of levels by group of customers: what vintages show, and the maps that follow from it.

A map is held at `KNOTS` and linear between them, so that means are linear in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

from predclv.backtesting.distributions import Counts, Distribution

__all__ = [
    "GROUPS",
    "KNOTS",
    "UNKNOWN",
    "Evidence",
    "blend_maps",
    "by_group",
    "group_of",
    "learn_factor",
    "learn_shape",
    "map_rows",
    "mean_weights",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Groups of customers by repeat purchases: miscalibration of new and of loyal customers differs.
GROUPS = ("0", "1", "2-3", "4+")
_EDGES = (1, 2, 4)
#: Knots of a map: even, and closer together where few outcomes are.
KNOTS: FloatArray = np.unique(np.concatenate([np.linspace(0, 1, 401), 1 - np.logspace(-4, -2, 20)]))

# Figures below were settled on the data of benchmarks/recalibration.py; its output is little changed by half or twice.
# A vintage counts half as much as the one after it: miscalibration drifts.
_HALVING = 0.5
# A group's map is drawn to that of all customers as if by so many of them, and that to the identity.
_CUSTOMERS_OF_ALL, _CUSTOMERS_CALIBRATED = 500.0, 200.0
#: One vintage cannot tell what will last of what it shows: half of it is taken over.
UNKNOWN = 0.5
# How firmly later vintages must speak to move that half: a squared bias of the total.
_FIRM = 0.05**2
# Of the log odds. Certain counts keep their mean under every map, so that a target may be out of reach.
_MOST_SHIFT = 8.0


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a vintage shows, by group: arrays are (n_groups, n_knots), `customers` (n_groups,).

    `pit` sums the customers' distribution functions of the PIT. `mean` is such that the total under maps g is the sum
    of mean * (1 - g): means are linear in a map that is linear between knots. `log_ratio` is log(actual / expected).
    """

    customers: FloatArray
    pit: FloatArray
    mean: FloatArray
    log_ratio: float

    @classmethod
    def of(cls, distribution: Distribution, actual: FloatArray, frequency: FloatArray) -> Evidence:
        """Read a vintage: what was forecast of its customers, what they did, and their repeat purchases until then."""
        group = group_of(frequency)
        below, at = distribution.bounds(actual)
        pit = np.stack([_sum_of_pits(below[group == g], at[group == g]) for g in range(len(GROUPS))])
        mean = mean_weights(distribution, group)
        customers = np.bincount(group, minlength=len(GROUPS)).astype(np.float64)
        return cls(customers, pit, mean, _log_ratio(actual, distribution.mean()))


def _log_ratio(actual: FloatArray, expected: FloatArray) -> float:
    """Log of the total over its forecast, drawn to 0 as far as chance among customers alone may have made it."""
    if actual.sum() <= 0 or expected.sum() <= 0:
        return 0.0
    found = float(np.log(actual.sum() / expected.sum()))
    chance = float(np.sum((actual - expected) ** 2) / actual.sum() ** 2)
    # James & Stein's estimator of a single mean, its positive part.
    return found * max(0.0, 1.0 - chance / found**2) if found else 0.0


def learn_shape(evidence: Sequence[Evidence], method: str) -> FloatArray:
    """What levels turned out to be, (n_groups, n_knots), in vintages given the oldest first.

    The distribution function of the PIT, for "conformal" that of abs(PIT - 1/2) about the middle. Groups are drawn to
    all customers, and these to the identity.
    """
    weight = _weights(len(evidence))
    customers = np.tensordot(weight, [one.customers for one in evidence], axes=1)
    pit = np.tensordot(weight, [one.pit for one in evidence], axes=1)
    pooled = (pit.sum(axis=0) + _CUSTOMERS_CALIBRATED * KNOTS) / (customers.sum() + _CUSTOMERS_CALIBRATED)
    shape = (pit + _CUSTOMERS_OF_ALL * pooled) / (customers[:, np.newaxis] + _CUSTOMERS_OF_ALL)
    shape[:, 0], shape[:, -1] = 0.0, 1.0
    if method == "conformal":
        return _symmetric(shape, sum(one.customers.sum() for one in evidence))
    return np.asarray(shape)


def learn_factor(evidence: Sequence[Evidence]) -> tuple[float, float]:
    """What the total is to be multiplied by, and how much of the totals' bias so far that is, in [0, 1]."""
    log_ratios = np.array([one.log_ratio for one in evidence])
    above, below = UNKNOWN * _FIRM, _FIRM
    for v in range(1, len(log_ratios)):
        so_far = float(_weights(v) @ log_ratios[:v])
        above, below = above + so_far * log_ratios[v], below + so_far**2
    persistence = float(np.clip(above / below, 0.0, 1.0))
    return float(np.exp(persistence * (_weights(len(log_ratios)) @ log_ratios))), persistence


def _weights(n: int) -> FloatArray:
    weight = _HALVING ** np.arange(n)[::-1].astype(np.float64)
    return np.asarray(weight / weight.sum())


def _symmetric(shape: FloatArray, n: float) -> FloatArray:
    """Map a central interval to the share of abs(PIT - 1/2) it held, times n / (n + 1) as in conformal prediction."""
    half = np.abs(KNOTS - 0.5)
    held = np.stack([np.interp(0.5 + half, KNOTS, own) - np.interp(0.5 - half, KNOTS, own) for own in shape])
    levels = 0.5 + np.sign(KNOTS - 0.5) * 0.5 * held * n / (n + 1)
    levels[:, 0], levels[:, -1] = 0.0, 1.0
    return np.asarray(levels)


def blend_maps(shape: FloatArray, share: float, factor: float | None, mean: FloatArray) -> FloatArray:
    """Maps with a share of the shape, (n_groups, n_knots).

    Parameters
    ----------
    shape : (n_groups, n_knots) array
    share : float
        In [0, 1].
    factor : float or None
        What the maps multiply the total by; None leaves it to follow.
    mean : (n_groups, n_knots) array
        `mean_weights` of the customers whose total it is.
    """
    plain = np.tile(KNOTS, (len(GROUPS), 1))
    if factor is not None:
        plain, shape = _aim(plain, mean, factor), _aim(shape, mean, factor)
    return (1 - share) * plain + share * shape


def _aim(levels: FloatArray, mean: FloatArray, factor: float) -> FloatArray:
    """Shift the odds of all levels alike until they multiply a total, as near as `_MOST_SHIFT` allows."""
    with np.errstate(divide="ignore"):
        log_odds = logit(levels)
    target = factor * float(np.sum(mean * (1 - KNOTS)))

    def excess(shift: float) -> float:
        return float(np.sum(mean * expit(shift - log_odds)) - target)

    if excess(-_MOST_SHIFT) >= 0:
        shift = -_MOST_SHIFT if excess(0.0) > 0 else 0.0
    elif excess(_MOST_SHIFT) <= 0:
        shift = _MOST_SHIFT
    else:
        shift = brentq(excess, -_MOST_SHIFT, _MOST_SHIFT, xtol=1e-10)
    return np.asarray(expit(log_odds - shift))


def group_of(frequency: FloatArray) -> IntArray:
    """Group of customers by their repeat purchases, (n_customers,): a position in `GROUPS`."""
    return np.digitize(frequency, _EDGES).astype(np.int64)


def _sum_of_pits(below: FloatArray, at: FloatArray) -> FloatArray:
    """Sum over customers of clip((u - below) / (at - below), 0, 1) at the knots u; a step where the two are equal."""
    out = np.zeros(len(KNOTS))
    for first in range(0, len(below), 2000):
        low, high = (part[first : first + 2000, np.newaxis] for part in (below, at))
        out += np.clip((KNOTS - low) / np.maximum(high - low, 1e-12), 0.0, 1.0).sum(axis=0)
    return out


def mean_weights(distribution: Distribution, group: IntArray) -> FloatArray:
    """Weights of 1 - g at the knots whose sum, under maps g, is the total of each group, (n_groups, n_knots)."""
    split, group_of_row = by_group(distribution, group)
    customers = np.bincount(split.row, minlength=len(group_of_row))
    if isinstance(split, Counts):
        lengths = np.diff(split.start)
        return _on_knots(split.cdf, np.repeat(customers, lengths), np.repeat(group_of_row, lengths))
    steps = np.diff(split.quantiles, axis=1, prepend=0.0) * customers[:, np.newaxis] / 2
    at = np.maximum(split.levels, split.nothing[:, np.newaxis])
    below = np.concatenate([split.nothing[:, np.newaxis], at[:, :-1]], axis=1)
    groups = np.broadcast_to(group_of_row[:, np.newaxis], at.shape).ravel()
    return _on_knots(at.ravel(), steps.ravel(), groups) + _on_knots(below.ravel(), steps.ravel(), groups)


def _on_knots(level: FloatArray, weight: FloatArray, group: IntArray) -> FloatArray:
    """Share the weight of each level between the knots about it."""
    n = len(KNOTS)
    place = np.clip(np.searchsorted(KNOTS, level, side="right") - 1, 0, n - 2)
    upper = (level - KNOTS[place]) / (KNOTS[place + 1] - KNOTS[place])
    key = group * n + place
    size = n * len(GROUPS)
    out = np.bincount(key, weight * (1 - upper), minlength=size) + np.bincount(key + 1, weight * upper, minlength=size)
    return np.asarray(out.reshape(len(GROUPS), n))


def by_group(distribution: Distribution, group: IntArray) -> tuple[Distribution, IntArray]:
    """Give customers of different groups different rows; the group of each row."""
    if len(group) != len(distribution):
        raise ValueError(f"The frequencies of {len(group):,} customers do not fit {len(distribution):,} distributions.")
    n = len(GROUPS)
    pairs, row = np.unique(distribution.row * n + group, return_inverse=True)
    return distribution.of_rows(pairs // n, row.astype(np.int64)), pairs % n


def map_rows(distribution: Distribution, group: IntArray, levels: FloatArray) -> Distribution:
    """Map the levels of rows, each by its group's map."""

    def mapped(level: FloatArray, groups: IntArray) -> FloatArray:
        out = np.empty(level.shape)
        for g in np.unique(groups):
            out[groups == g] = np.interp(level[groups == g], KNOTS, levels[g])
        return out

    if isinstance(distribution, Counts):
        cdf = mapped(distribution.cdf, np.repeat(group, np.diff(distribution.start)))
        cdf[distribution.start[1:] - 1] = 1.0
        return replace(distribution, cdf=cdf)
    own = np.broadcast_to(distribution.levels, distribution.quantiles.shape)
    return replace(distribution, nothing=mapped(distribution.nothing, group), levels=mapped(own, group))
