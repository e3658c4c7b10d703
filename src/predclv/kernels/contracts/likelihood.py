"""The likelihood of contracts, compiled: by renewal, for each of which there are so many who stayed and who left.

With D_k = log S(k) - log S(k+1), the log-likelihood is a sum over renewals k = 0, 1, ...,

    -stayed_k D_k + left_k log(1 - exp(-D_k)),

and a customer of tenure k has stayed k times. D_k is worked out as a whole, so that a chance of leaving of one in a
billion has all its digits.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels.gamma_differences import log_gamma_cross, psi_difference, trigamma, trigamma_difference

__all__ = [
    "count_by_renewal",
    "log_drop",
    "log_likelihood_derivatives",
    "log_likelihood_values",
    "pointwise_log_likelihood",
]

Floats = npt.NDArray[np.float64]


def count_by_renewal(tenure: Floats, lost: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Weight of those who stayed, and of those who left, at the 1st, 2nd, ... renewal.

    Parameters
    ----------
    tenure, lost, weight : (n_rows,) arrays
        Renewals made; 1 where the next one was declined; customers that share the row.

    Returns
    -------
    stayed, left : (n_renewals,) arrays
    """
    k = tenure.astype(np.int64)
    n = int(k.max(initial=0)) + 1
    made: Floats = np.bincount(k, weights=weight, minlength=n).astype(np.float64)
    left: Floats = np.bincount(k, weights=weight * lost, minlength=n).astype(np.float64)
    # Whoever made more than k renewals stayed at the (k + 1)-th.
    stayed = np.cumsum(made[::-1])[::-1] - made
    return stayed, left


@njit(cache=True, error_model="numpy")
def log_drop(k: float, steps: float, alpha: float, beta: float, c: float) -> float:
    """Difference log S(k) - log S(k + steps), for k, steps >= 0, whole or not."""
    if c == 1.0:
        if steps == 1.0:
            return math.log1p(alpha / (beta + k))
        power, d = k, steps
    elif k == 0.0:
        power, d = 0.0, steps**c
    else:
        power = k**c
        d = power * math.expm1(c * math.log1p(steps / k))
    drop: float = log_gamma_cross(beta + power, alpha, d)
    return drop


@njit(cache=True, error_model="numpy")
def log_likelihood_values(stayed: Floats, left: Floats, theta: Floats) -> Floats:
    """Log-likelihood at each of many thetas.

    Parameters
    ----------
    stayed, left : (n_renewals,) arrays
        Of `count_by_renewal`.
    theta : (n_draws, 3) array
        alpha, beta, c, each > 0.

    Returns
    -------
    (n_draws,) array
    """
    out = np.zeros(len(theta))
    for d in range(len(theta)):
        alpha, beta, c = theta[d]
        for k in range(len(stayed)):
            if stayed[k] == 0.0 and left[k] == 0.0:
                continue
            drop = log_drop(float(k), 1.0, alpha, beta, c)
            out[d] -= stayed[k] * drop
            if left[k] > 0.0:
                out[d] += left[k] * math.log(-math.expm1(-drop))
    return out


@njit(cache=True, error_model="numpy")
def log_likelihood_derivatives(stayed: Floats, left: Floats, theta: Floats) -> tuple[float, Floats, Floats]:
    """Log-likelihood with gradient and Hessian in (alpha, beta, c); arguments as in `log_likelihood_values`.

    Parameters
    ----------
    theta : (3,) array

    Returns
    -------
    value : float
    gradient : (3,) array
    hessian : (3, 3) array
    """
    alpha, beta, c = theta
    value, gradient, hessian = 0.0, np.zeros(3), np.zeros((3, 3))
    slope, curvature = np.zeros(3), np.zeros((3, 3))
    for k in range(len(stayed)):
        if stayed[k] == 0.0 and left[k] == 0.0:
            continue
        drop = log_drop(float(k), 1.0, alpha, beta, c)
        _fill_slopes(float(k), alpha, beta, c, slope, curvature)
        value -= stayed[k] * drop
        by_drop, twice = -stayed[k], 0.0
        if left[k] > 0.0:
            value += left[k] * math.log(-math.expm1(-drop))
            by_drop += left[k] / math.expm1(drop)
            twice = left[k] / (math.expm1(drop) * math.expm1(-drop))
        for i in range(3):
            gradient[i] += by_drop * slope[i]
            for j in range(3):
                hessian[i, j] += twice * (slope[i] * slope[j]) + by_drop * curvature[i, j]
    return value, gradient, hessian


@njit(cache=True, error_model="numpy")
def _fill_slopes(k: float, alpha: float, beta: float, c: float, slope: Floats, curvature: Floats) -> None:
    """Fill the first (3,) and second (3, 3) derivatives of `log_drop` for one step.

    It is L(z_(k+1)) - L(z_k) with L(z) = log Gamma(alpha + z) - log Gamma(z) and z_k = beta + k^c.
    """
    power = k**c
    d = power * math.expm1(c * math.log1p(1.0 / k)) if k > 0.0 else 1.0
    z, z_next = beta + power, beta + power + d
    # Derivatives of z_k and z_(k+1) in c.
    dz = power * math.log(k) if k > 0.0 else 0.0
    dz_next = (power + d) * math.log(k + 1.0)
    ddz = dz * math.log(k) if k > 0.0 else 0.0
    ddz_next = dz_next * math.log(k + 1.0)
    # L' and L'' at both.
    p, p_next = psi_difference(z, alpha), psi_difference(z_next, alpha)
    q, q_next = -trigamma_difference(z, alpha), -trigamma_difference(z_next, alpha)
    slope[0] = psi_difference(z + alpha, d)
    slope[1] = p_next - p
    slope[2] = p_next * dz_next - p * dz
    curvature[0, 0] = -trigamma_difference(z + alpha, d)
    curvature[0, 1] = curvature[0, 0]
    curvature[0, 2] = trigamma(z_next + alpha) * dz_next - trigamma(z + alpha) * dz
    curvature[1, 1] = q_next - q
    curvature[1, 2] = q_next * dz_next - q * dz
    curvature[2, 2] = q_next * dz_next**2 - q * dz**2 + p_next * ddz_next - p * ddz
    for i in range(3):
        for j in range(i):
            curvature[i, j] = curvature[j, i]


@njit(cache=True, error_model="numpy")
def pointwise_log_likelihood(tenure: Floats, lost: Floats, theta: Floats) -> Floats:
    """Log-likelihood of each row at each draw.

    Parameters
    ----------
    tenure, lost : (n_rows,) arrays
    theta : (n_draws, 3) array

    Returns
    -------
    (n_draws, n_rows) array
    """
    out = np.empty((len(theta), len(tenure)))
    longest = 0
    for i in range(len(tenure)):
        longest = max(longest, int(tenure[i]))
    for d in range(len(theta)):
        alpha, beta, c = theta[d]
        survival, drops = np.zeros(longest + 2), np.empty(longest + 1)
        for k in range(longest + 1):
            drops[k] = log_drop(float(k), 1.0, alpha, beta, c)
            survival[k + 1] = survival[k] - drops[k]
        for i in range(len(tenure)):
            k = int(tenure[i])
            out[d, i] = survival[k] + (math.log(-math.expm1(-drops[k])) if lost[i] > 0.0 else 0.0)
    return out
