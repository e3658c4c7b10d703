"""Statistics of rows that stand for several customers: those of the table with a row for each, without making it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["rank_correlation", "rank_p_value", "weighted_median"]

FloatArray = NDArray[np.float64]


def weighted_median(values: FloatArray, weight: FloatArray | None) -> float:
    """Median of `values`, each taken `weight` times (whole numbers); None means once."""
    if weight is None:
        return float(np.median(values))
    order = np.argsort(values, kind="stable")
    ends = np.cumsum(weight[order])
    total = ends[-1]
    middle = np.searchsorted(ends, [(total - 1) // 2, total // 2], side="right")
    return float(values[order[middle]].mean())


def rank_correlation(first: FloatArray, second: FloatArray, weight: FloatArray | None) -> float:
    """Spearman's rank correlation of pairs that count `weight` times, ties at their mean rank; neither is constant."""
    each = np.ones(len(first)) if weight is None else weight
    one, two = (_centered_ranks(values, each) for values in (first, second))
    return float(each @ (one * two) / np.sqrt((each @ one**2) * (each @ two**2)))


def rank_p_value(correlation: float, n: int) -> float:
    """Two-sided p-value of a rank correlation of n >= 3 pairs, by Student's t with n - 2 degrees of freedom."""
    from scipy.special import stdtr

    if abs(correlation) >= 1.0:
        return 0.0
    t = abs(correlation) * math.sqrt((n - 2) / ((1.0 - correlation) * (1.0 + correlation)))
    return float(2.0 * stdtr(n - 2, -t))


def _centered_ranks(values: FloatArray, weight: FloatArray) -> FloatArray:
    _, inverse = np.unique(values, return_inverse=True)
    count = np.bincount(inverse, weights=weight)
    rank = np.cumsum(count) - 0.5 * (count - 1.0)
    centered: FloatArray = (rank - 0.5 * (weight.sum() + 1.0))[inverse]
    return centered
