"""The Pareto/NBD likelihood, compiled: its value, gradient and Hessian over collapsed histories.

The equation of `pareto_nbd.log_likelihood`. With O(y) = (alpha+y)^-m (beta+y)^-s the log of

    D / O(t_x) = O(T) / O(t_x) + int_{t_x}^T s / (beta+u) O(u) / O(t_x) du

is that of a sum of positive terms l: its gradient is the mean of grad log l over the terms, its Hessian the mean of
grad log l grad log l' + grad^2 log l, less the gradient's square. In all of these u enters through

    phi = log((alpha+u)/(alpha+t_x)), 1/(alpha+t_x) - 1/(alpha+u), log((beta+u)/(beta+t_x)), 1/(beta+t_x) - 1/(beta+u)

alone, so that the integrals of 1, of phi and of products of two phis are enough. They are taken from each distinct time
of an x to the last one, from the end backwards: a step between neighbours is short, and a change of the time that phi
is counted from adds positive terms only. A row's integrals are the difference of two of them.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels.collapse import as_rows
from predclv.kernels.pareto_nbd.integrals import panel_width
from predclv.kernels.pareto_nbd.times import DistinctTimes, Indices, index_times
from predclv.kernels.special import LEGENDRE_NODES, LEGENDRE_WEIGHTS

__all__ = [
    "NODES_4",
    "N_MOMENTS",
    "WEIGHTS_4",
    "Rows",
    "add_panels",
    "add_row",
    "arrange",
    "fill_tails",
    "is_short",
    "log_likelihood_derivatives",
    "phi_of",
]

Floats = npt.NDArray[np.float64]
Rows = tuple[DistinctTimes, Floats]

# Places of 1, phi, and the products of phi in an array of moments.
_PAIRS = np.array([[5, 6, 7, 8], [6, 9, 10, 11], [7, 10, 12, 13], [8, 11, 13, 14]])
N_MOMENTS = 15
# Panels this short, in e-foldings and a few more, are held to 1e-15 by four and by eight points in u itself.
_SHORT, _MEDIUM = 0.3, 3.0
NODES_4, WEIGHTS_4 = ((v + s) / 2 for v, s in zip(np.polynomial.legendre.leggauss(4), (1.0, 0.0), strict=True))
_NODES_8, _WEIGHTS_8 = ((v + s) / 2 for v, s in zip(np.polynomial.legendre.leggauss(8), (1.0, 0.0), strict=True))
_NEGLIGIBLE = 1e-17


def arrange(x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike, weight: npt.ArrayLike) -> Rows:
    """Rows (n_rows,), in any order, as `log_likelihood_derivatives` takes them; fast when sorted by (x, T)."""
    x, t_x, T, weight = as_rows(x), as_rows(t_x), as_rows(T), as_rows(weight)
    if np.any(x[1:] < x[:-1]):
        order = np.lexsort((t_x, T, x))
        x, t_x, T, weight = x[order], t_x[order], T[order], as_rows(weight[order])
    return index_times(x, t_x, T), weight


def log_likelihood_derivatives(rows: Rows, theta: npt.ArrayLike) -> tuple[float, Floats, Floats]:
    """Weighted log-likelihood with gradient and Hessian in (r, alpha, s, beta).

    Parameters
    ----------
    rows : Rows
        From `arrange`.
    theta : (4,) array
        r, alpha, s, beta on the natural scale, > 0; `alpha` and `beta` in the time unit of the rows.

    Returns
    -------
    value : float
    gradient : (4,) array
    hessian : (4, 4) array
    """
    r, alpha, s, beta = (float(value) for value in np.asarray(theta))
    times, weight = rows
    value, gradient, hessian = _derivatives(*times, weight, r, alpha, s, beta)
    return float(value), gradient, hessian


@njit(cache=True, error_model="numpy")
def _derivatives(
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
) -> tuple[float, Floats, Floats]:
    gradient, hessian, scratch = np.zeros(4), np.zeros((4, 4)), np.empty((6, N_MOMENTS))
    value = log_rate = psi = trigamma = 0.0
    purchases, log_alpha = 0, math.log(alpha)
    tails = np.empty((len(time), N_MOMENTS))
    for j in range(len(x)):
        while purchases < x[j]:
            log_rate += math.log(r + purchases)
            psi += 1.0 / (r + purchases)
            trigamma -= 1.0 / (r + purchases) ** 2
            purchases += 1
        first, stop = starts[j], starts[j + 1]
        fill_tails(time[first:stop], r + x[j], alpha, s, beta, tails[first:stop])
        total = 0.0
        for i in range(row_starts[j], row_starts[j + 1]):
            t, T = at_t[i], at_age[i]
            total += weight[i]
            value += weight[i] * add_row(
                tails[t], tails[T], time[t], time[T], r, x[j], alpha, s, beta, weight[i], gradient, hessian, scratch
            )
        value += total * (log_rate - x[j] * log_alpha)
        gradient[0] += total * psi
        hessian[0, 0] += total * trigamma
    for i in range(4):
        for j in range(i):
            hessian[i, j] = hessian[j, i]
    return value, gradient, hessian


@njit(cache=True, error_model="numpy")
def fill_tails(time: Floats, m: float, alpha: float, s: float, beta: float, tails: Floats) -> None:
    """Moments over (time, last time) of each time, relative to it; (n_times, 15)."""
    tails[-1] = 0.0
    for i in range(len(time) - 2, -1, -1):
        a, b, gap = alpha + time[i], beta + time[i], time[i + 1] - time[i]
        phi = phi_of(gap, a, b)
        tails[i] = tails[i + 1]
        _shift(tails[i], phi, math.exp(-m * phi[0] - s * phi[2]))
        add_panels(gap, m, a, s, b, tails[i])


@njit(cache=True, error_model="numpy", inline="always")
def phi_of(w: float, a: float, b: float) -> tuple[float, float, float, float]:
    """How far logarithms and reciprocals of alpha+u and beta+u get from a and b in a time w."""
    return math.log1p(w / a), w / (a * (a + w)), math.log1p(w / b), w / (b * (b + w))


@njit(cache=True, error_model="numpy", inline="always")
def _shift(moments: Floats, phi: tuple[float, float, float, float], factor: float) -> None:
    """Count phi from an earlier time, `phi` apart, at which the density is 1 / factor times as large."""
    for i in range(4):
        for j in range(i, 4):
            moments[_PAIRS[i, j]] += phi[i] * moments[1 + j] + phi[j] * moments[1 + i] + phi[i] * phi[j] * moments[0]
    for i in range(4):
        moments[1 + i] += phi[i] * moments[0]
    moments *= factor


@njit(cache=True, error_model="numpy", inline="always")
def is_short(end: float, m: float, a: float, s: float, b: float) -> bool:
    """Whether four points hold the moments over (0, end)."""
    return (m + s + 8.0) * end <= _SHORT * min(a, b)


@njit(cache=True, error_model="numpy")
def add_panels(end: float, m: float, a: float, s: float, b: float, moments: Floats) -> None:
    """Add the moments over (0, end): all 15, or those of 1 and phi, 5."""
    decay, kappa = m + s + 8.0, min(a, b)
    if is_short(end, m, a, s, b):
        for node in range(4):
            _add_node(end * NODES_4[node], end * WEIGHTS_4[node], m, a, s, b, moments)
    elif (decay + 8.0) * end <= _MEDIUM * kappa:
        for node in range(8):
            _add_node(end * _NODES_8[node], end * _WEIGHTS_8[node], m, a, s, b, moments)
    else:
        w = 0.0
        while w < end:
            kappa = min(a, b) + w
            whole, before = math.log1p((end - w) / kappa), moments[0]
            width = min(panel_width(m, s, a + w, b + w), whole)
            for node in range(len(LEGENDRE_NODES)):
                step = kappa * math.expm1(width * LEGENDRE_NODES[node])
                _add_node(w + step, width * LEGENDRE_WEIGHTS[node] * (kappa + step), m, a, s, b, moments)
            if width == whole or moments[0] - before <= _NEGLIGIBLE * moments[0]:
                break
            w += kappa * math.expm1(width)


@njit(cache=True, error_model="numpy", inline="always")
def _add_node(w: float, weight: float, m: float, a: float, s: float, b: float, moments: Floats) -> None:
    phi = phi_of(w, a, b)
    mass = weight * s / (b + w) * math.exp(-m * phi[0] - s * phi[2])
    moments[0] += mass
    for i in range(4):
        moments[1 + i] += mass * phi[i]
    if len(moments) == N_MOMENTS:
        for i in range(4):
            for j in range(i, 4):
                moments[_PAIRS[i, j]] += mass * phi[i] * phi[j]


@njit(cache=True, error_model="numpy")
def add_row(
    tail_t: Floats,
    tail_T: Floats,
    t: float,
    T: float,
    r: float,
    x: float,
    alpha: float,
    s: float,
    beta: float,
    weight: float,
    gradient: Floats,
    hessian: Floats,
    scratch: Floats,
) -> float:
    """Log-likelihood of a row but for what depends on x alone; its derivatives are added, times the weight."""
    a, b, m = alpha + t, beta + t, r + x
    phi = phi_of(T - t, a, b)
    ratio = math.exp(-m * phi[0] - s * phi[2])  # O(T) / O(t_x)
    left, slope = scratch[0], scratch[1]
    left[:] = tail_T
    _shift(left, phi, ratio)
    for i in range(N_MOMENTS):
        left[i] = tail_t[i] - left[i]
    total = ratio + left[0]
    for i in range(N_MOMENTS):
        left[i] /= total
    alive = ratio / total
    inverse_a, inverse_b = 1.0 / a, 1.0 / b

    # The gradient of log l is constant + factor phi where the customer left at u, alive_factor phi(T) where alive.
    constant, factor, alive_slope = scratch[2], scratch[3], scratch[4]
    constant[0], constant[1], constant[2], constant[3] = 0.0, 0.0, 1.0 / s, -inverse_b
    factor[0], factor[1], factor[2], factor[3] = -1.0, m, -1.0, s + 1.0
    alive_slope[0], alive_slope[1], alive_slope[2], alive_slope[3] = -phi[0], m * phi[1], -phi[2], s * phi[3]
    for i in range(4):
        slope[i] = constant[i] * left[0] + factor[i] * left[1 + i] + alive * alive_slope[i]
    for i in range(4):
        for j in range(i, 4):
            square = constant[i] * (constant[j] * left[0] + factor[j] * left[1 + j])
            square += factor[i] * (constant[j] * left[1 + i] + factor[j] * left[_PAIRS[i, j]])
            hessian[i, j] += weight * (square + alive * alive_slope[i] * alive_slope[j] - slope[i] * slope[j])
    # The means of the second derivatives of log l, and those of log O(t_x).
    mean_1, mean_3 = left[2] + alive * phi[1], left[4] + alive * phi[3]
    mean_11 = left[_PAIRS[1, 1]] + alive * phi[1] * phi[1]
    curve_b = inverse_b * (inverse_b * left[0] - 2.0 * left[4]) + left[_PAIRS[3, 3]]
    curve_b -= s * (2.0 * inverse_b * mean_3 - left[_PAIRS[3, 3]] - alive * phi[3] * phi[3])
    hessian[0, 1] += weight * (mean_1 + t * inverse_a / alpha)
    hessian[1, 1] -= weight * m * (2.0 * inverse_a * mean_1 - mean_11)
    hessian[1, 1] += weight * inverse_a * inverse_a * (x - r * t * (alpha + a) / (alpha * alpha))
    hessian[2, 2] -= weight * left[0] / (s * s)
    hessian[2, 3] += weight * (mean_3 + t * inverse_b / beta)
    hessian[3, 3] += weight * (curve_b - s * t * (beta + b) * (inverse_b / beta) ** 2)

    log_a, log_b = math.log1p(t / alpha), math.log1p(t / beta)
    gradient[0] += weight * (slope[0] - log_a)
    gradient[1] += weight * (slope[1] + (r / alpha * t - x) * inverse_a)
    gradient[2] += weight * (slope[2] - log_b)
    gradient[3] += weight * (slope[3] + s * t * inverse_b / beta)
    return math.log(total) - m * log_a - s * log_b
