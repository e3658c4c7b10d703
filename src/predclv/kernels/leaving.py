"""Purchases and survival if leaving were rarer by one factor from T on: each departure is prevented with 1 - factor.

Of Poisson buyers who leave at the rate lambda p (after a purchase) or mu (at any moment), the chance to be there after
s is exp(-factor lambda p s): time runs slower for leaving alone. So purchases within h, discounted at delta, are those
of the model as it is within factor h, discounted at delta / factor, divided by factor. Regular buyers and opportunities
have no such identity: there, what a customer of one p does is integrated over p, by Gauss-Jacobi nodes, to 1e-10 within
finite horizons and 1e-4 without end.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from predclv.kernels.staying import stage_weights

__all__ = [
    "alive_at_opportunities",
    "alive_of_regular_buyers",
    "beta_nodes",
    "purchases_at_opportunities",
    "purchases_in_slower_time",
    "purchases_of_regular_buyers",
]

FloatArray = NDArray[np.float64]

# Exact for polynomials up to degree 63: that many opportunities ahead.
_NODES = 32
# Regular buyers are costly: fewer nodes, and times that halve from the horizon down, for counts bend soon after T.
_REGULAR_NODES = 20
_TIMES, _TIME_WEIGHTS = np.polynomial.legendre.leggauss(6)
_TIMES, _TIME_WEIGHTS = (_TIMES + 1) / 2, _TIME_WEIGHTS / 2
_PANELS = 5


def purchases_in_slower_time(
    discounted: Callable[[float, float], FloatArray], horizon: float, delta: float, factor: float
) -> FloatArray:
    """Discounted purchases of Poisson buyers, from the kernel of the model as it is, of horizon and delta."""
    return discounted(factor * horizon, delta / factor) / factor


def beta_nodes(a: FloatArray, b: FloatArray, n_nodes: int) -> tuple[FloatArray, FloatArray]:
    """Gauss nodes and weights of Beta(a, b), two (n_nodes, ...) arrays: Golub & Welsch (1969), all at once."""
    # Jacobi's weight on (-1, 1) is (1 - t)^(b - 1) (1 + t)^(a - 1).
    u, v = b - 1.0, a - 1.0
    n = np.arange(n_nodes, dtype=np.float64).reshape(-1, *[1] * a.ndim)
    m = 2.0 * n + u + v
    with np.errstate(invalid="ignore", divide="ignore"):
        diagonal = np.where(n == 0, (v - u) / (u + v + 2.0), (v * v - u * u) / (m * (m + 2.0)))
        square = 4.0 * n * (n + u) * (n + v) * (n + u + v) / (m * m * (m * m - 1.0))
        first = 4.0 * (1.0 + u) * (1.0 + v) / ((2.0 + u + v) ** 2 * (3.0 + u + v))
    # The general line is 0 / 0 at n = 1 where a + b = 1, and at n = 0 where a = b.
    square[1] = first[0] if first.shape[0] == 1 else first
    matrix = np.zeros((*a.shape, n_nodes, n_nodes))
    at = np.arange(n_nodes)
    matrix[..., at, at] = np.moveaxis(diagonal, 0, -1)
    matrix[..., at[1:], at[:-1]] = np.sqrt(np.moveaxis(square[1:], 0, -1))
    nodes, vectors = np.linalg.eigh(matrix)
    p = (1.0 + np.moveaxis(nodes, -1, 0)) / 2.0
    return np.clip(p, 0.0, 1.0), np.moveaxis(vectors[..., 0, :] ** 2, -1, 0)


def alive_of_regular_buyers(
    x: FloatArray,
    t_x: FloatArray,
    T: FloatArray,
    ahead: float,
    theta: FloatArray,
    k: int,
    at_first: bool,
    factor: float,
) -> FloatArray:
    """P(alive at T + ahead | alive at T) of buyers at every k-th event, (n_draws, n_rows)."""
    stages = stage_weights(x, t_x, T, theta[:, :1], theta[:, 1:2], k)

    def there(log_stay: FloatArray) -> FloatArray:
        return 1.0 - _ever_left(stages, x, T, ahead, theta, k, log_stay)

    return _over_p(there, x, theta, at_first, factor)


def purchases_of_regular_buyers(
    x: FloatArray,
    t_x: FloatArray,
    T: FloatArray,
    horizon: float,
    delta: float,
    theta: FloatArray,
    k: int,
    at_first: bool,
    factor: float,
) -> FloatArray:
    """Discounted purchases of buyers at every k-th event, given alive at T, (n_draws, n_rows).

    Of a customer who stays after each purchase with q, E[1 + q + ... + q^(N - 1)] = (1 - E[q^N]) / (1 - q) until s;
    discounted by parts.
    """
    # Beyond, less than 1e-13 of the value is left.
    end = horizon if np.isfinite(horizon) else 40.0 / delta
    stages = stage_weights(x, t_x, T, theta[:, :1], theta[:, 1:2], k)
    panels = _PANELS if np.isfinite(horizon) else 3 * _PANELS
    edges = np.r_[0.0, end * 2.0 ** np.arange(-panels, 1)]

    def bought(log_stay: FloatArray) -> FloatArray:
        total: FloatArray = np.exp(-delta * end) * _ever_left(stages, x, T, end, theta, k, log_stay)
        if delta > 0:
            for low, high in pairwise(edges):
                for node, weight in zip(_TIMES, _TIME_WEIGHTS, strict=True):
                    s = low + (high - low) * node
                    bend = delta * weight * (high - low) * np.exp(-delta * s)
                    total += bend * _ever_left(stages, x, T, s, theta, k, log_stay)
        return np.asarray(total / -np.expm1(log_stay))

    return _over_p(bought, x, theta, at_first, factor)


def _over_p(
    of_one: Callable[[FloatArray], FloatArray], x: FloatArray, theta: FloatArray, at_first: bool, factor: float
) -> FloatArray:
    """Mean over p, given alive, of what a customer does who stays with 1 - factor p (its log), (n_draws, n_rows)."""
    counts, of = np.unique(x + at_first, return_inverse=True)
    a, b = theta[:, 2:3], theta[:, 3:4]
    p, weight = beta_nodes(np.broadcast_to(a, (len(theta), len(counts))), b + counts, _REGULAR_NODES)
    total = np.zeros((len(theta), len(x)))
    for node, share in zip(p[:, :, of], weight[:, :, of], strict=True):
        # Away from 0, where the sum of a geometric series is 0 / 0: off by less than 1e-9 of the purchases ahead.
        total += share * of_one(np.log1p(-np.clip(factor * node, 1e-9, 1.0 - 1e-15)))
    return total


def _ever_left(
    stages: FloatArray, x: FloatArray, T: FloatArray, s: float, theta: FloatArray, k: int, log_stay: FloatArray
) -> FloatArray:
    """1 - E[q^N], N the purchases until s given alive and never leaving, q = exp(log_stay); (n_draws, n_rows).

    N = floor((j + M) / k), j the events since the last purchase and M those to come, negative binomial. With w =
    exp(2 pi i / k) and z = q^(1/k) w^l, q^N = sum_l z^(j + M) (1 - 1/q) / (1 - 1/z) / k: generating functions of M.
    The first of them, near 1 where hardly anybody leaves, is taken by its difference from 1.
    """
    r, alpha = theta[:, :1], theta[:, 1:2]
    odds = s / (alpha + T)
    part = log_stay / k
    log_share = 0.5 * (part - log_stay) + np.log(np.sinh(0.5 * log_stay) / (k * np.sinh(0.5 * part)))
    log_ratio = -np.log1p(-odds * np.expm1(part))
    left = np.zeros(log_stay.shape)
    for j in range(k):
        left -= stages[j] * np.expm1(log_share + j * part + (r + k * x + j) * log_ratio)
    for turn in range(1, k):
        z = np.exp(part + 2j * np.pi * turn / k)
        share = -np.expm1(-log_stay) / (1.0 - 1.0 / z) / k
        log_root_ratio = -np.log1p(odds * (1.0 - z))
        for j in range(k):
            left -= (stages[j] * share * z**j * np.exp((r + k * x + j) * log_root_ratio)).real
    return left


def alive_at_opportunities(T: FloatArray, ahead: float, theta: FloatArray, factor: float) -> FloatArray:
    """P(there at T + ahead | there at T) of BG/BB, (n_draws, n_rows)."""
    theta_nodes, weight = _leaving_nodes(T, theta)
    return np.asarray((weight * (1.0 - factor * theta_nodes) ** ahead).sum(axis=0))


def purchases_at_opportunities(
    x: FloatArray, T: FloatArray, horizon: float, delta: float, theta: FloatArray, factor: float
) -> FloatArray:
    """Discounted purchases of BG/BB, given there at opportunity T, (n_draws, n_rows).

    At opportunity T + i: (alpha + x) / (alpha + beta + T) E[(1 - factor theta)^i], theta ~ Beta(gamma, delta + T).
    """
    alpha, beta = theta[:, :1], theta[:, 1:2]
    theta_nodes, weight = _leaving_nodes(T, theta)
    ratio = np.exp(-delta) * np.minimum(1.0 - factor * theta_nodes, 1.0 - 1e-12)
    series = ratio * -np.expm1(horizon * np.log(ratio)) / (1.0 - ratio)
    return np.asarray((alpha + x) / (alpha + beta + T) * (weight * series).sum(axis=0))


def _leaving_nodes(T: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    gamma, delta = theta[:, 2:3], theta[:, 3:4]
    ages, of = np.unique(T, return_inverse=True)
    nodes, weight = beta_nodes(np.broadcast_to(gamma, (len(theta), len(ages))), delta + ages, _NODES)
    return nodes[:, :, of], weight[:, :, of]
