"""How good a probabilistic forecast was: calibration (PIT, coverage) and sharpness with it (CRPS).

Counts of purchases and values with many zeros are not continuous, so raw coverage of their intervals exceeds its
level even where the forecast is perfect. The randomized PIT does not: it is uniform exactly where the forecast holds.

References
----------
Czado, Gneiting & Held (2009), Predictive Model Assessment for Count Data, Biometrics 65(4).
Gneiting & Raftery (2007), Strictly Proper Scoring Rules, Prediction, and Estimation, JASA 102(477).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "count_pit",
    "coverage",
    "crps_of_cdf",
    "crps_of_counts",
    "crps_of_quantiles",
    "pit_below",
    "randomized_pit",
]

FloatArray = NDArray[np.float64]


def randomized_pit(below: FloatArray, at: FloatArray, uniform: FloatArray) -> FloatArray:
    """Probability integral transform of outcomes that may carry probability themselves.

    Parameters
    ----------
    below, at : (n_rows,) arrays
        Forecast probability of less than the outcome, and of the outcome or less; equal where it is continuous.
    uniform : (n_rows,) array
        Independent uniforms on (0, 1).

    Returns
    -------
    (n_rows,) array
        Uniform on (0, 1) where outcomes follow the forecast; Czado, Gneiting & Held (2009), eq. (1).
    """
    return below + uniform * (at - below)


def pit_below(below: FloatArray, at: FloatArray, level: float) -> FloatArray:
    """Chance that the randomized PIT is at most a level: what averaging over randomisations gives, without any.

    Parameters
    ----------
    below, at : (n_rows,) arrays
        As in `randomized_pit`.
    level : float
        In [0, 1]; at 0 the chance is 0.

    Returns
    -------
    (n_rows,) array
        Their mean is `level` where outcomes follow the forecast; Czado, Gneiting & Held (2009), eq. (2).
    """
    if level <= 0:
        return np.zeros(np.shape(at))
    width = at - below
    spread = width > 0
    share = (level - below) / np.where(spread, width, 1.0)
    return np.where(spread, np.clip(share, 0.0, 1.0), np.asarray(at <= level, dtype=np.float64))


def count_pit(pmf: FloatArray, actual: FloatArray, uniform: FloatArray) -> FloatArray:
    """`randomized_pit` of counts.

    Parameters
    ----------
    pmf : (n_rows, n_max + 1) array
        Forecast probabilities of 0, 1, ..., n_max.
    actual : (n_rows,) array
        Whole numbers from 0 to n_max.
    uniform : (n_rows,) array

    Returns
    -------
    (n_rows,) array
    """
    index = np.asarray(actual, dtype=np.int64)[:, np.newaxis]
    at = np.take_along_axis(np.cumsum(pmf, axis=1), index, axis=1)[:, 0]
    return randomized_pit(at - np.take_along_axis(pmf, index, axis=1)[:, 0], at, uniform)


def crps_of_counts(pmf: FloatArray, actual: FloatArray) -> FloatArray:
    """Continuous ranked probability score of forecast counts, the sum over n of (F(n) - 1{actual <= n})^2.

    Parameters
    ----------
    pmf : (n_rows, n_max + 1) array
        What a row lacks to 1 is taken to lie at n_max + 1.
    actual : (n_rows,) array
        Whole numbers from 0 to n_max.

    Returns
    -------
    (n_rows,) array, >= 0
        In purchases; the absolute error where the forecast is a single number.
    """
    cdf = np.cumsum(pmf, axis=1)
    reached = np.arange(pmf.shape[1]) >= np.asarray(actual)[:, np.newaxis]
    return np.asarray(((cdf - reached) ** 2).sum(axis=1))


def crps_of_quantiles(quantiles: FloatArray, levels: FloatArray, actual: FloatArray) -> FloatArray:
    """CRPS from quantiles: twice the mean pinball loss over levels; Gneiting & Raftery (2007), section 4.2.

    Parameters
    ----------
    quantiles : (n_rows, n_levels) or (1, n_levels) array
    levels : (n_levels,) array
        Spread evenly over (0, 1): (i + 1/2) / n_levels.
    actual : (n_rows,) array

    Returns
    -------
    (n_rows,) array, >= 0
        In the unit of the outcome. The tails beyond the outermost levels count as these do.
    """
    error = np.asarray(actual)[:, np.newaxis] - quantiles
    return np.asarray(2.0 * np.maximum(levels * error, (levels - 1.0) * error).mean(axis=1))


def crps_of_cdf(values: FloatArray, cdf: FloatArray, actual: FloatArray) -> FloatArray:
    """CRPS from a distribution function on a grid, linear between its points.

    Parameters
    ----------
    values : (n_values,) array
        Increasing.
    cdf : (n_rows, n_values) array
        Forecast probability of at most `values`; 0 before the first of them and 1 from the last on.
    actual : (n_rows,) array

    Returns
    -------
    (n_rows,) array, >= 0
        In the unit of `values`.
    """
    actual = np.asarray(actual, dtype=np.float64)
    low, high = values[:-1], values[1:]
    # Each stretch is cut at the outcome: F^2 is integrated before it, (1 - F)^2 after it.
    cut = np.clip(actual[:, np.newaxis], low, high)
    at_low, at_high = cdf[:, :-1], cdf[:, 1:]
    at_cut = at_low + (at_high - at_low) * (cut - low) / (high - low)
    before = (cut - low) * _mean_square(at_low, at_cut)
    after = (high - cut) * _mean_square(1.0 - at_cut, 1.0 - at_high)
    outside = np.maximum(values[0] - actual, 0.0) + np.maximum(actual - values[-1], 0.0)
    return np.asarray((before + after).sum(axis=1) + outside)


def coverage(low: FloatArray, high: FloatArray, actual: FloatArray) -> float:
    """Share of outcomes in [low, high], both ends counting; above the level where outcomes are discrete."""
    return float(np.mean((low <= actual) & (actual <= high)))


def _mean_square(start: FloatArray, end: FloatArray) -> FloatArray:
    """Mean of the square of what goes linearly from `start` to `end`."""
    return (start * start + start * end + end * end) / 3.0
