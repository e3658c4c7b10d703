"""Discounted purchases of a customer who is alive and never leaves: what could be had, were leaving prevented.

Given alive, the posterior of the rate of buying knows nothing of leaving, so each model's own gamma or beta serves.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, xlogy

__all__ = [
    "annuity",
    "discounted_opportunities",
    "discounted_purchases",
    "discounted_regular_purchases",
    "stage_weights",
]

FloatArray = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)
_NODES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2
# Times halve from the horizon down to where an exact line takes over, for the count bends soon after T.
_PANELS = 40


def annuity(horizon: float, delta: float) -> float:
    """Integral of exp(-delta s) over (0, horizon)."""
    if delta == 0:
        return float(horizon)
    return float(-np.expm1(-delta * horizon) / delta)


def discounted_purchases(
    x: FloatArray, t_x: FloatArray, T: FloatArray, horizon: float, delta: float, theta: FloatArray
) -> FloatArray:
    """Of Poisson buyers, (n_draws, n_rows): (r + x) / (alpha + T) times the annuity.

    Parameters
    ----------
    theta : (n_draws, n_parameters) array
        r and alpha first: given alive, lambda ~ Gamma(r + x, alpha + T) in every model of the NBD kind.
    """
    r, alpha = theta[:, :1], theta[:, 1:2]
    return (r + x) / (alpha + T) * annuity(horizon, delta)


def discounted_opportunities(
    x: FloatArray, t_x: FloatArray, T: FloatArray, horizon: float, delta: float, theta: FloatArray
) -> FloatArray:
    """Of BG/BB, (n_draws, n_rows): given alive, p ~ Beta(alpha + x, beta + T - x), at each opportunity ahead."""
    alpha, beta = theta[:, :1], theta[:, 1:2]
    ahead = horizon if delta == 0 else np.expm1(-delta * horizon) / np.expm1(-delta) * np.exp(-delta)
    return (alpha + x) / (alpha + beta + T) * ahead


def discounted_regular_purchases(
    x: FloatArray, t_x: FloatArray, T: FloatArray, horizon: float, delta: float, theta: FloatArray, k: int
) -> FloatArray:
    """Of buyers at every k-th event, (n_draws, n_rows).

    Expected purchases until s are E[floor((j + M) / k)], j the events since the last purchase and M those to come,
    negative binomial. With w = exp(2 pi i / k), n mod k = (k - 1) / 2 + sum_l w^(l n) / (w^(-l) - 1), and E[w^(l M)] is
    the generating function, so that no sum over counts is needed. Discounted by parts.
    """
    if k == 1:
        return discounted_purchases(x, t_x, T, horizon, delta, theta)
    # Beyond, less than 1e-13 of the value is left.
    end = horizon if np.isfinite(horizon) else 40.0 / delta
    r, alpha = theta[:, :1], theta[:, 1:2]
    weights = stage_weights(x, t_x, T, r, alpha, k)
    edges = np.r_[0.0, end * 2.0 ** np.arange(-_PANELS, 1)]
    total: FloatArray = np.exp(-delta * end) * _expected(weights, x, T, end, r, alpha, k)
    for low, high in pairwise(edges):
        for node, weight in zip(_NODES, _WEIGHTS, strict=True):
            s = low + (high - low) * node
            total += delta * weight * (high - low) * np.exp(-delta * s) * _expected(weights, x, T, s, r, alpha, k)
    return total


def stage_weights(
    x: FloatArray, t_x: FloatArray, T: FloatArray, r: FloatArray, alpha: FloatArray, k: int
) -> FloatArray:
    """Probability of each number of events since the last purchase, given alive, (k, n_draws, n_rows)."""
    stage = np.arange(k, dtype=np.float64)[:, np.newaxis, np.newaxis]
    shape = r + k * x + stage
    log_weight = xlogy(stage, T - t_x) - gammaln(stage + 1) + gammaln(shape) - shape * np.log(alpha + T)
    log_weight -= log_weight.max(axis=0)
    weight: FloatArray = np.exp(log_weight)
    return np.asarray(weight / weight.sum(axis=0))


def _expected(
    weights: FloatArray, x: FloatArray, T: FloatArray, s: float, r: FloatArray, alpha: FloatArray, k: int
) -> FloatArray:
    """Expected purchases until s, (n_draws, n_rows)."""
    z = s / (alpha + T + s)
    total = np.zeros(np.broadcast_shapes(r.shape, x.shape))
    for j in range(k):
        shape = r + k * x + j
        rest = np.full(total.shape, 0.5 * (k - 1))
        for turn in range(1, k):
            root = np.exp(2j * np.pi * turn / k)
            log_pgf = shape * (np.log1p(-z) - np.log(1.0 - z * root))
            rest = rest + (root**j * np.exp(log_pgf) / (1.0 / root - 1.0)).real
        total += weights[j] * (j + shape * s / (alpha + T) - rest) / k
    return total
