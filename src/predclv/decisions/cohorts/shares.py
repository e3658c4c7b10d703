"""Intervals of shares, of their differences, and of ratios of sums over customers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

__all__ = ["difference_of_means", "difference_of_shares", "ratio_interval", "share_interval"]

FloatArray = NDArray[np.float64]


def share_interval(hits: ArrayLike, of: ArrayLike, level: float) -> tuple[FloatArray, FloatArray]:
    """Interval of a share; Wilson (1927), Journal of the American Statistical Association 22.

    Parameters
    ----------
    hits, of : (n,) arrays
        0 <= hits <= of; NaN where `of` is 0.
    level : float

    Returns
    -------
    low, high : (n,) arrays in [0, 1]
    """
    k, n = np.asarray(hits, dtype=np.float64), np.asarray(of, dtype=np.float64)
    z = ndtri((1 + level) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = k / n
        middle = (share + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    # At the ends the formula is 0 or 1, but for rounding.
    low = np.where(k == 0, 0.0, np.maximum(middle - half, 0.0))
    high = np.where(k == n, 1.0, np.minimum(middle + half, 1.0))
    return np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan)


def difference_of_shares(
    hits: ArrayLike, of: ArrayLike, other_hits: ArrayLike, other_of: ArrayLike, level: float
) -> tuple[FloatArray, FloatArray]:
    """Interval of share − other share, of independent groups; Newcombe (1998), Statistics in Medicine 17, method 10."""
    k, n, j, m = (np.asarray(part, dtype=np.float64) for part in (hits, of, other_hits, other_of))
    (low, high), (other_low, other_high) = share_interval(k, n, level), share_interval(j, m, level)
    with np.errstate(divide="ignore", invalid="ignore"):
        share, other = k / n, j / m
    difference = share - other
    return (
        difference - np.hypot(share - low, other_high - other),
        difference + np.hypot(high - share, other - other_low),
    )


def difference_of_means(first: tuple[Any, Any, Any], second: tuple[Any, Any, Any], level: float) -> tuple[Any, Any]:
    """Interval of mean − other mean, of independent groups: normal, with variances of their own.

    Parameters
    ----------
    first, second : (sums, sums of squares, counts)
        Of values over customers.
    level : float
    """
    middle, variance = 0.0, 0.0
    for sign, (total, squares, n) in ((1.0, first), (-1.0, second)):
        middle, variance = middle + sign * total / n, variance + _variance_of_mean(total, squares, n)
    half = ndtri((1 + level) / 2) * np.sqrt(variance)
    return middle - half, middle + half


def _variance_of_mean(total: Any, squares: Any, n: Any) -> Any:
    spread = np.maximum(squares - total * total / n, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(n > 1, spread / (n - 1) / n, np.nan)


def ratio_interval(y: Any, x: Any, yy: Any, xy: Any, xx: Any, level: float) -> tuple[FloatArray, FloatArray]:
    """Interval of a ratio of two sums over the same customers, who are a sample of those there might have been.

    The residuals y − ratio x have a normal sum; Cochran (1977), Sampling Techniques, chapter 6.

    Parameters
    ----------
    y, x : (n,) arrays
        Sums over customers.
    yy, xy, xx : (n,) arrays
        Sums of squares and products.
    level : float
    """
    y, x, yy, xy, xx = (np.asarray(part, dtype=np.float64) for part in (y, x, yy, xy, xx))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = y / x
        residual = np.maximum(yy - 2 * ratio * xy + ratio * ratio * xx, 0.0)
        half = ndtri((1 + level) / 2) * np.sqrt(residual) / np.abs(x)
    known = x > 0
    return np.where(known, ratio - half, np.nan), np.where(known, ratio + half, np.nan)
