"""Gamma-Gamma spend, compiled: the likelihood with its derivatives, and expected spend over draws.

Same equations as `gamma_gamma`. Gamma functions depend on x alone, so they are evaluated once per
distinct x; a customer costs one logarithm and one division.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import gammaln, psi, zeta

__all__ = ["expected_spend", "log_likelihood_derivatives", "log_likelihood_values"]

FloatArray = NDArray[np.float64]

_SHARE_LARGE, _SHARE_SMALL, _D_GAMMA, _DP_GAMMA, _DQ_GAMMA, _DD_GAMMA, _LOG_RATIO = range(7)


def log_likelihood_derivatives(
    x: FloatArray, m: FloatArray, weight: FloatArray, theta: FloatArray
) -> tuple[float, FloatArray, FloatArray]:
    """Weighted log-likelihood with gradient and Hessian in (p, q, gamma).

    Parameters
    ----------
    x, m : (n_rows,) arrays
        Repeat purchases, >= 1, and their mean spend, > 0.
    weight : (n_rows,) array
        Customers the row stands for.
    theta : (3,) array
        p, q, gamma on the natural scale.

    Returns
    -------
    value : float
    gradient : (3,) array
    hessian : (3, 3) array
    """
    p, q, gamma = (float(value) for value in theta)
    sums = _row_sums(x, m, weight, p, q, gamma)
    counts, weights = _weights_by_count(x, weight)

    p_counts = p * counts
    value = weights @ (gammaln(p_counts + q) - gammaln(p_counts) - gammaln(q))
    value += p * sums[_SHARE_LARGE] + q * sums[_SHARE_SMALL]
    # log m = log(xm / gamma) + log gamma - log x, the first of which the rows have summed.
    value -= sums[_LOG_RATIO] + weights @ (np.log(gamma) - np.log(counts))

    # The trigamma function is zeta(2, .); scipy's `polygamma` would work out psi beside it.
    psi_sum, trigamma_sum = psi(p_counts + q), zeta(2.0, p_counts + q)
    gradient = np.array(
        [
            weights @ (counts * (psi_sum - psi(p_counts))) + sums[_SHARE_LARGE],
            weights @ (psi_sum - psi(q)) + sums[_SHARE_SMALL],
            sums[_D_GAMMA],
        ]
    )
    hessian = np.empty((3, 3))
    hessian[0, 0] = weights @ (counts**2 * (trigamma_sum - zeta(2.0, p_counts)))
    hessian[0, 1] = hessian[1, 0] = weights @ (counts * trigamma_sum)
    hessian[1, 1] = weights @ (trigamma_sum - zeta(2.0, q))
    hessian[0, 2] = hessian[2, 0] = sums[_DP_GAMMA]
    hessian[1, 2] = hessian[2, 1] = sums[_DQ_GAMMA]
    hessian[2, 2] = sums[_DD_GAMMA]
    return float(value), gradient, hessian


def log_likelihood_values(x: FloatArray, m: FloatArray, weight: FloatArray, theta: FloatArray) -> FloatArray:
    """Weighted log-likelihood at many thetas, (n_draws,).

    The customers' spend enters through the sums of log(gamma + xm) and of x times it alone. These are analytic in
    log gamma, their singularities pi away from the real line, so they are summed at Chebyshev nodes and interpolated.

    Parameters
    ----------
    x, m, weight : (n_rows,) arrays
        As in `log_likelihood_derivatives`.
    theta : (n_draws, 3) array
        p, q, gamma on the natural scale.
    """
    p, q, gamma = np.asarray(theta, dtype=np.float64).T
    log_gamma = np.log(gamma)
    total, log_total = x * m, np.log(x * m)
    # log(gamma + xm) less log gamma, and less log(xm): the shares' logarithms, each without loss at its end.
    at_nodes, nodes = _share_sums_at_nodes(total, x, weight, log_gamma.min(), log_gamma.max())
    small, large = _interpolate(nodes, at_nodes, log_gamma)

    counts, weights = _weights_by_count(x, weight)
    # weight . log m: m's density is that of xm / (gamma + xm), changed to m.
    value = np.full(len(p), -float(weight @ (log_total - np.log(x)))) - weights.sum() * gammaln(q)
    for count, at_count in zip(counts, weights, strict=True):
        value += at_count * (gammaln(p * count + q) - gammaln(p * count))
    return np.asarray(value - p * large - q * small)


def _share_sums_at_nodes(
    total: FloatArray, x: FloatArray, weight: FloatArray, low: float, high: float
) -> tuple[FloatArray, FloatArray]:
    """Sums of log1p(xm / gamma) and of x log1p(gamma / xm) at Chebyshev nodes of log gamma, (2, n_nodes), and these."""
    half = max(0.5 * (high - low), 1e-8)
    # Terms fall like rho^-n, rho the ellipse that touches the singularities: n of them reach 1e-16.
    rho = np.pi / half + np.hypot(np.pi / half, 1.0)
    n_nodes = int(np.ceil(37.0 / np.log(rho))) + 6
    angle = np.pi * (np.arange(n_nodes) + 0.5) / n_nodes
    nodes = 0.5 * (low + high) + half * np.cos(angle)
    return _share_sums(total, x, weight, np.exp(nodes)), nodes


def _interpolate(nodes: FloatArray, at_nodes: FloatArray, position: FloatArray) -> FloatArray:
    """Interpolate at Chebyshev nodes of the first kind, in barycentric form, (2, n_positions)."""
    n_nodes = len(nodes)
    barycentric = (-1.0) ** np.arange(n_nodes) * np.sin(np.pi * (np.arange(n_nodes) + 0.5) / n_nodes)
    distance = position[:, np.newaxis] - nodes
    # At a node itself the formula is 0 / 0; next to it, it is not.
    distance[distance == 0.0] = 1e-300
    share = barycentric / distance
    interpolated: FloatArray = (at_nodes @ share.T) / share.sum(axis=1)
    return interpolated


@njit(cache=True, error_model="numpy")
def _share_sums(total, x, weight, gamma):  # type: ignore[no-untyped-def]
    sums = np.zeros((2, gamma.shape[0]))
    for j in range(gamma.shape[0]):
        for i in range(total.shape[0]):
            sums[0, j] += weight[i] * np.log1p(total[i] / gamma[j])
            sums[1, j] += weight[i] * x[i] * np.log1p(gamma[j] / total[i])
    return sums


def _weights_by_count(x: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Distinct x and the weight on each; a table indexed by x where that is shorter than sorting."""
    if x.size and x.max() < 1e6 and np.all(x == np.floor(x)):
        by_index = np.bincount(x.astype(np.int64), weights=weight)
        present = np.flatnonzero(by_index)
        return present.astype(np.float64), by_index[present].astype(np.float64)
    counts, inverse = np.unique(x, return_inverse=True)
    return counts, np.bincount(inverse, weights=weight, minlength=counts.size).astype(np.float64)


@njit(cache=True, error_model="numpy")
def _row_sums(x, m, weight, p, q, gamma):  # type: ignore[no-untyped-def]
    sums = np.zeros(7)
    for i in range(x.shape[0]):
        w = weight[i]
        total = x[i] * m[i]
        inverse = 1.0 / (gamma + total)
        # xm / (gamma + xm) and gamma / (gamma + xm) in logs: log1p keeps the digits of the share near 1.
        log_ratio = np.log(total / gamma)
        if total > gamma:
            log_large = -np.log1p(gamma / total)
            log_small = log_large - log_ratio
        else:
            log_small = -np.log1p(total / gamma)
            log_large = log_small + log_ratio
        sums[_SHARE_LARGE] += w * x[i] * log_large
        sums[_SHARE_SMALL] += w * log_small
        sums[_D_GAMMA] += w * (q * total / gamma - p * x[i]) * inverse
        sums[_DP_GAMMA] -= w * x[i] * inverse
        sums[_DQ_GAMMA] += w * total * inverse / gamma
        sums[_DD_GAMMA] += w * (p * x[i] - q * total * (2.0 * gamma + total) / (gamma * gamma)) * inverse * inverse
        sums[_LOG_RATIO] += w * log_ratio
    return sums


@njit(cache=True, error_model="numpy")
def expected_spend(x, m, theta):  # type: ignore[no-untyped-def]
    """Expected spend per purchase, given each history, for every draw; Fader & Hardie (2013), eq. (5).

    Parameters
    ----------
    x, m : (n_rows,) arrays
        Repeat purchases and their mean spend; both 0 gives the population's mean.
    theta : (n_draws, 3) array
        p, q, gamma.

    Returns
    -------
    (n_draws, n_rows) array
        Infinite where ``p x + q <= 1``.
    """
    out = np.empty((theta.shape[0], x.shape[0]))
    for d in range(theta.shape[0]):
        p, q, gamma = theta[d, 0], theta[d, 1], theta[d, 2]
        for i in range(x.shape[0]):
            excess = p * x[i] + q - 1.0
            out[d, i] = p * (gamma + x[i] * m[i]) / excess if excess > 0.0 else np.inf
    return out
