"""The Pareto/NBD log-likelihood and gradient, without the Hessian: what a sampler asks for at every step.

The equation and notation of `likelihood`, with the integrals of 1 and of phi alone. Nearly all steps from
one distinct time of an x to the next are short: four points hold them, and are taken for all steps at once, with
logarithms and exponentials that are polynomials, of which a processor takes several at once.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels.bg_family.values import exp_of_negative, log_1_plus
from predclv.kernels.pareto_nbd.likelihood import NODES_4, WEIGHTS_4, Rows, add_panels, is_short, phi_of
from predclv.kernels.pareto_nbd.times import Indices

__all__ = ["log_likelihood_gradient"]

Floats = npt.NDArray[np.float64]


def log_likelihood_gradient(rows: Rows, theta: npt.ArrayLike) -> tuple[float, Floats]:
    """Weighted log-likelihood with its gradient in (r, alpha, s, beta).

    Parameters
    ----------
    rows : Rows
        From `pareto_nbd_likelihood.arrange`.
    theta : (4,) array
        r, alpha, s, beta on the natural scale, > 0; `alpha` and `beta` in the time unit of the rows.

    Returns
    -------
    value : float
    gradient : (4,) array
    """
    r, alpha, s, beta = (float(value) for value in np.asarray(theta))
    times, weight = rows
    value, gradient = _gradient(*times, weight, r, alpha, s, beta)
    return float(value), gradient


@njit(cache=True, error_model="numpy")
def _gradient(
    x: Floats,
    starts: Indices,
    time: Floats,
    row_starts: Indices,
    at_t: Indices,
    at_age: Indices,
    weight: Floats,
    r: float,
    alpha: float,
    s: float,
    beta: float,
) -> tuple[float, Floats]:
    gradient = np.zeros(4)
    value = log_rate = psi = 0.0
    purchases, log_alpha = 0, math.log(alpha)
    # By distinct time y: log and reciprocal of (alpha+y) and of (beta+y); integrals from y to the last time of its x.
    of_time, tails = np.empty((4, len(time))), np.empty((5, len(time)))
    for i in range(len(time)):
        of_time[0, i], of_time[1, i] = math.log1p(time[i] / alpha), 1.0 / (alpha + time[i])
        of_time[2, i], of_time[3, i] = math.log1p(time[i] / beta), 1.0 / (beta + time[i])
    for j in range(len(x)):
        while purchases < x[j]:
            log_rate += math.log(r + purchases)
            psi += 1.0 / (r + purchases)
            purchases += 1
        places, rows = slice(starts[j], starts[j + 1]), slice(row_starts[j], row_starts[j + 1])
        _fill_tails(time[places], r + x[j], alpha, s, beta, tails[:, places])
        total = weight[rows].sum()
        value += total * (log_rate - x[j] * log_alpha)
        gradient[0] += total * psi
        value += _add_rows(
            at_t[rows], at_age[rows], weight[rows], time, of_time, tails, r, x[j], alpha, s, beta, gradient
        )
    return value, gradient


@njit(cache=True, error_model="numpy")
def _fill_tails(time: Floats, m: float, alpha: float, s: float, beta: float, tails: Floats) -> None:
    """Integrals of 1 and of phi over (time, last time) of each time, relative to it; (5, n_times)."""
    n = len(time) - 1
    steps, at_end = np.zeros((5, n)), np.zeros((5, n))
    gap = time[1:] - time[:-1]
    for node in range(4):
        _add_node(time, gap, NODES_4[node], WEIGHTS_4[node], m, alpha, s, beta, steps)
    _fill_ends(time, gap, m, alpha, s, beta, at_end)
    tails[:, n] = 0.0
    moments = np.empty(5)
    for i in range(n - 1, -1, -1):
        a, b = alpha + time[i], beta + time[i]
        if not is_short(gap[i], m, a, s, b):
            moments[:] = 0.0
            add_panels(gap[i], m, a, s, b, moments)
            steps[:, i] = moments
            phi = phi_of(gap[i], a, b)
            at_end[0, i] = math.exp(-m * phi[0] - s * phi[2])
            at_end[1, i], at_end[2, i], at_end[3, i], at_end[4, i] = phi
        factor, mass = at_end[0, i], tails[0, i + 1]
        tails[0, i] = steps[0, i] + factor * mass
        for k in range(1, 5):
            tails[k, i] = steps[k, i] + factor * (tails[k, i + 1] + at_end[k, i] * mass)


@njit(cache=True, error_model="numpy")
def _add_node(
    time: Floats,
    gap: Floats,
    node: float,
    weight: float,
    m: float,
    alpha: float,
    s: float,
    beta: float,
    out: Floats,
) -> None:
    """Add one point's share of the integrals over each step, right where steps are short."""
    for i in range(len(gap)):
        a, b, w = alpha + time[i], beta + time[i], gap[i] * node
        to_a, to_b = 1.0 / (a + w), 1.0 / (b + w)
        phi_a, phi_b = log_1_plus(w / a), log_1_plus(w / b)
        mass = gap[i] * weight * s * to_b * exp_of_negative(-m * phi_a - s * phi_b)
        out[0, i] += mass
        out[1, i] += mass * phi_a
        out[2, i] += mass * (w / a * to_a)
        out[3, i] += mass * phi_b
        out[4, i] += mass * (w / b * to_b)


@njit(cache=True, error_model="numpy")
def _fill_ends(
    time: Floats,
    gap: Floats,
    m: float,
    alpha: float,
    s: float,
    beta: float,
    out: Floats,
) -> None:
    """Fill how far the density falls over each step, and phi at its end, right where steps are short."""
    for i in range(len(gap)):
        a, b, w = alpha + time[i], beta + time[i], gap[i]
        phi_a, phi_b = log_1_plus(w / a), log_1_plus(w / b)
        out[0, i] = exp_of_negative(-m * phi_a - s * phi_b)
        out[1, i] = phi_a
        out[2, i] = w / a / (a + w)
        out[3, i] = phi_b
        out[4, i] = w / b / (b + w)


@njit(cache=True, error_model="numpy")
def _add_rows(
    at_t: Indices,
    at_age: Indices,
    weight: Floats,
    time: Floats,
    of_time: Floats,
    tails: Floats,
    r: float,
    x: float,
    alpha: float,
    s: float,
    beta: float,
    gradient: Floats,
) -> float:
    """Log-likelihood of the rows of one x but for what depends on x alone; its derivatives are added."""
    m, value = r + x, 0.0
    by_r = by_alpha = by_s = by_beta = 0.0
    for i in range(len(weight)):
        t, T = at_t[i], at_age[i]
        log_a, log_b = of_time[0, T] - of_time[0, t], of_time[2, T] - of_time[2, t]
        inverse_a, inverse_b = of_time[1, t] - of_time[1, T], of_time[3, t] - of_time[3, T]
        ratio = exp_of_negative(-m * log_a - s * log_b)
        beyond = tails[0, T]
        left = tails[0, t] - ratio * beyond
        left_log_a = tails[1, t] - ratio * (tails[1, T] + log_a * beyond)
        left_inverse_a = tails[2, t] - ratio * (tails[2, T] + inverse_a * beyond)
        left_log_b = tails[3, t] - ratio * (tails[3, T] + log_b * beyond)
        left_inverse_b = tails[4, t] - ratio * (tails[4, T] + inverse_b * beyond)
        share = 1.0 / (ratio + left)
        to_a, to_b = of_time[1, t], of_time[3, t]
        value += weight[i] * (math.log(ratio + left) - m * of_time[0, t] - s * of_time[2, t])
        by_r -= weight[i] * (share * (left_log_a + ratio * log_a) + of_time[0, t])
        slope = m * share * (left_inverse_a + ratio * inverse_a)
        by_alpha += weight[i] * (slope + (r / alpha * time[t] - x) * to_a)
        by_s += weight[i] * (share * (left / s - left_log_b - ratio * log_b) - of_time[2, t])
        slope = share * ((s + 1.0) * left_inverse_b - to_b * left + s * ratio * inverse_b)
        by_beta += weight[i] * (slope + s * time[t] * to_b / beta)
    gradient[0] += by_r
    gradient[1] += by_alpha
    gradient[2] += by_s
    gradient[3] += by_beta
    return value
