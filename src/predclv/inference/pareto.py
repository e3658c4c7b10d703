"""Pareto-smoothed importance weights, and k-hat, which says whether they can be trusted.

References
----------
Vehtari, Simpson, Gelman, Yao & Gabry (2024), Pareto smoothed importance sampling, JMLR 25(72).
Zhang & Stephens (2009), A new and efficient estimation method for the generalized Pareto distribution,
Technometrics 51(3).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["fit_generalized_pareto", "smooth_weights"]

FloatArray = NDArray[np.float64]

_FEWEST_IN_TAIL = 5


def smooth_weights(log_weights: FloatArray, r_eff: float = 1.0) -> tuple[FloatArray, float]:
    """Replace the largest weights by quantiles of a generalized Pareto fitted to them.

    Parameters
    ----------
    log_weights : (n,) array
        Unnormalized logarithms of target over proposal; -inf is a weight of zero.
    r_eff : float
        Effective sample size of the draws over n: the smaller, the more of them make the tail.

    Returns
    -------
    log_weights : (n,) array
        Smoothed, and normalized to weights that add up to one.
    k_hat : float
        Shape of the tail: below 0.5 the weights' variance is finite; infinite where the tail is too short to tell, and
        minus infinity where all weights are equal, so that there is none.
    """
    smoothed = log_weights - log_weights.max()
    n = len(smoothed)
    if not smoothed.any():
        return np.full(n, -np.log(n)), -np.inf
    n_tail = int(np.ceil(min(0.2 * n, 3.0 * np.sqrt(n / r_eff))))
    threshold = max(np.partition(smoothed, n - n_tail - 1)[n - n_tail - 1], np.log(np.finfo(np.float64).tiny))
    tail = np.flatnonzero(smoothed > threshold)
    tail = tail[np.argsort(smoothed[tail], kind="stable")]
    k_hat = np.inf
    if len(tail) >= _FEWEST_IN_TAIL:
        base = np.exp(threshold)
        k_hat, scale = fit_generalized_pareto(np.exp(smoothed[tail]) - base)
        middle = (np.arange(len(tail)) + 0.5) / len(tail)
        # No smoothed weight exceeds the largest raw one, which is 1 here.
        smoothed[tail] = np.minimum(np.log(base + _quantile(middle, k_hat, scale)), 0.0)
    normalized: FloatArray = smoothed - np.log(np.exp(smoothed).sum())
    return normalized, float(k_hat)


def fit_generalized_pareto(excess: FloatArray) -> tuple[float, float]:
    """Shape k and scale of positive `excess` (n,), in ascending order; Zhang & Stephens (2009).

    The shape is drawn towards 0.5 as by ten observations, which steadies it in short tails (Vehtari et al., app. C).
    """
    n = len(excess)
    n_grid = 30 + int(np.sqrt(n))
    quartile = excess[int(n / 4 + 0.5) - 1]
    theta = 1.0 / excess[-1] + (1.0 - np.sqrt(n_grid / (np.arange(1, n_grid + 1) - 0.5))) / (3.0 * quartile)
    shape = np.log1p(-theta[:, np.newaxis] * excess).mean(axis=1)
    profile = n * (np.log(-theta / shape) - shape - 1.0)
    weight = np.exp(profile - profile.max())
    best = float(theta @ weight / weight.sum())
    k = float(np.log1p(-best * excess).mean())
    return (n * k + 10 * 0.5) / (n + 10), -k / best


def _quantile(probability: FloatArray, k: float, scale: float) -> FloatArray:
    """Quantiles of the generalized Pareto."""
    tail = -np.log1p(-probability)
    return scale * tail if abs(k) < 1e-12 else scale * np.expm1(k * tail) / k
