"""Does the model say what the customers did? Counts, groups, spend and time, each against its own band."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.forecast.bindings import TransactionBindings
from predclv.forecast.customers import Customers, Thetas
from predclv.forecast.portfolio import simulate_totals
from predclv.forecast.replicates import distinct_ages, frequency_labels, simulate_frequencies, with_rest
from predclv.kernels.gamma_gamma.replicates import cumulative_probability

__all__ = [
    "Drift",
    "drift",
    "frequency_table",
    "group_table",
    "group_totals",
    "interval",
    "slope",
    "spend_shares",
    "spread",
    "unevenness",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Any spend will do where only purchases are counted.
_NO_SPEND = (6.0, 4.0, 15.0)


def frequency_table(
    bindings: TransactionBindings,
    thetas: Thetas,
    frequency: IntArray,
    T: FloatArray,
    *,
    n_max: int = 7,
    level: float = 0.9,
    seed: int = 0,
) -> pd.DataFrame:
    """Customers with 0, 1, ..., n_max or more repeat purchases: how many there are and how many the model expects.

    Returns
    -------
    DataFrame
        repeat_purchases ("0", ..., "7+"), actual, expected, low, high: the band holds the parameters' uncertainty and
        which customers one happens to have. The model was fitted to these very customers, so the band is generous.
    """
    ages, weight = distinct_ages(T)
    zero = np.zeros(len(ages))
    at_center = bindings.purchase_pmf(zero, zero, zero, ages, thetas.center, n_max - 1)
    low, high = interval(simulate_frequencies(bindings, thetas.draws, T, n_max, seed), level)
    return pd.DataFrame(
        {
            "repeat_purchases": frequency_labels(n_max),
            "actual": np.bincount(np.minimum(frequency, n_max), minlength=n_max + 1),
            "expected": weight @ with_rest(at_center),
            "low": low,
            "high": high,
        }
    )


def group_totals(
    bindings: TransactionBindings,
    theta: FloatArray,
    rows: tuple[FloatArray, FloatArray, FloatArray],
    horizon: float,
    groups: IntArray,
    n_groups: int,
    *,
    seed: int = 0,
) -> FloatArray:
    """Simulate the purchases that groups of customers make in the holdout, given their histories.

    Parameters
    ----------
    theta : (n_draws, n_parameters) array
        All draws: a mean over customers depends on the parameters more than on any one customer's luck.
    rows : (x, t_x, T), (n_customers,) arrays
    horizon : float
    groups : (n_customers,) array
        Codes from 0 to n_groups - 1, known at T.

    Returns
    -------
    (n_draws, n_groups) array
    """
    zero = np.zeros(len(groups))
    customers = Customers(*rows, mean_spend=zero, margin=zero, segment=groups)
    spend = np.tile(np.array(_NO_SPEND), (len(theta), 1))
    return simulate_totals(bindings, theta, spend, customers, n_groups, horizon, 0.0, seed=seed).purchases[:, :n_groups]


def group_table(
    expected: FloatArray,
    actual: FloatArray,
    groups: IntArray,
    labels: list[str],
    totals: FloatArray,
    *,
    level: float = 0.9,
) -> pd.DataFrame:
    """Mean purchases by group of customers in the holdout: forecast from their histories, and made.

    Parameters
    ----------
    expected, actual : (n_customers,) arrays
        Purchases in (T, T + horizon].
    groups : (n_customers,) array
        Codes from 0 to len(labels) - 1.
    totals : (n_draws, n_groups) array
        Of `group_totals`.

    Returns
    -------
    DataFrame
        group, customers, actual, expected, low, high: means for each customer; the band is the predictive interval of
        the group's mean: parameters and chance.
    """
    n = len(labels)
    members = np.bincount(groups, minlength=n)
    size = np.maximum(members, 1)
    low, high = interval(totals, level) / size
    return pd.DataFrame(
        {
            "group": labels,
            "customers": members,
            "actual": np.bincount(groups, weights=actual, minlength=n) / size,
            "expected": np.bincount(groups, weights=expected, minlength=n) / size,
            "low": low,
            "high": high,
        }
    )


def spend_shares(edges: FloatArray, frequency: FloatArray, theta: FloatArray) -> FloatArray:
    """Share of the customers whose mean spend lies in each bin under the Gamma-Gamma model, given their frequencies.

    A mean of many purchases varies less than one purchase, so each customer's own number counts.

    Parameters
    ----------
    edges : (n_bins + 1,) array
        Increasing, >= 0; the last may be infinite.
    frequency : (n_customers,) array, >= 1
    theta : (n_draws, 3) array
        p, q, gamma; averaged over.

    Returns
    -------
    (n_bins,) array
    """
    counts, weight = np.unique(frequency, return_counts=True)
    below = np.mean([cumulative_probability(edges[:, np.newaxis], counts, one) @ weight for one in theta], axis=0)
    return np.asarray(np.diff(below) / weight.sum())


@dataclass(frozen=True)
class Drift:
    """How actual over expected purchases changes with time.

    Attributes
    ----------
    slope : float
        Change of the ratio for each time unit; 0.01 is one percentage point.
    low, high : float
        Slopes that chance gives where the model is right.
    """

    slope: float
    low: float
    high: float

    @property
    def is_notable(self) -> bool:
        """Whether chance does not explain the slope."""
        return not self.low <= self.slope <= self.high


def drift(time: FloatArray, actual: FloatArray, simulated: FloatArray, level: float = 0.9) -> Drift:
    """Slope of actual over expected purchases in time, weighted by what was expected.

    Parameters
    ----------
    time, actual : (n_periods,) arrays
    simulated : (n_draws, n_periods) array
        Purchases of the same periods under the model; their mean is what is expected.
    """
    expected = simulated.mean(axis=0)
    low, high = interval(slope(time, simulated, expected), level)
    return Drift(float(slope(time, actual, expected)), float(low), float(high))


def slope(time: FloatArray, counts: FloatArray, expected: FloatArray) -> FloatArray:
    """Slope of counts over expected purchases in time, weighted by what is expected; over the last axis of `counts`."""
    centered = time - np.average(time, weights=expected)
    return np.asarray((counts - expected) @ centered / np.sum(expected * centered**2))


def unevenness(actual: FloatArray, simulated: FloatArray, season: IntArray | None = None) -> float:
    """How often chance alone makes periods as uneven as they are: a p-value.

    Level and straight trend are no unevenness: what is left of the deviations beside a line counts, squared.

    Parameters
    ----------
    actual : (n_periods,) array
    simulated : (n_draws, n_periods) array
        Of the model; their mean, which must be positive, is what is expected.
    season : (n_periods,) array of int, optional
        Code of each period's season, from 0. Then products of the deviations of like periods in different years
        count instead of squares: what comes again adds up, and what came once, however large, does not.

    Returns
    -------
    float
        Share of the simulations that are at least as uneven.
    """
    expected = simulated.mean(axis=0)
    chance = spread(simulated, expected, season)
    return float((1 + np.sum(chance >= spread(actual, expected, season))) / (1 + len(chance)))


def spread(counts: FloatArray, expected: FloatArray, season: IntArray | None = None) -> FloatArray:
    """Squared deviations beside level and straight trend, over the last axis of `counts`; see `unevenness`."""
    root = np.sqrt(expected)
    line = np.linalg.qr(np.column_stack([root, root * np.arange(len(expected))]))[0]
    deviation = (counts - expected) / root
    beside = deviation - (deviation @ line) @ line.T
    squares = np.sum(beside**2, axis=-1)
    if season is None:
        return np.asarray(squares)
    member = np.eye(int(season.max()) + 1)[season]
    # (a + b)^2 - a^2 - b^2 = 2 a b
    return np.asarray(np.sum((beside @ member) ** 2, axis=-1) - squares)


def interval(simulated: FloatArray | IntArray, level: float) -> FloatArray:
    """Equal-tailed interval over the draws, (2, ...)."""
    return np.asarray(np.quantile(simulated, [(1 - level) / 2, (1 + level) / 2], axis=0, method="inverted_cdf"))
