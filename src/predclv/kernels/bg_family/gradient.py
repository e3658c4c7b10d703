"""The BG family's log-likelihood and gradient, without the Hessian: what a sampler asks for at every step.

The equation of `likelihood` for k = 1 on the tables of `values`: logarithms and reciprocals of
times are taken once for each distinct time, sums over x once for each x. A row then costs one exponential and one
logarithm, both polynomials, of which a processor takes several at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels.bg_family.likelihood import log_likelihood_derivatives
from predclv.kernels.bg_family.values import Indices, ValueTables, exp_of_negative, log_1_plus, tabulate

__all__ = ["bind_gradient", "log_likelihood_gradient"]

Floats = npt.NDArray[np.float64]

_CHUNK = 256


def bind_gradient(
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    weight: npt.ArrayLike,
    k: int = 1,
    dropout_at_first: bool = False,
) -> Callable[[Floats], tuple[float, Floats]]:
    """Bind weighted rows; the result maps theta (4,) to the log-likelihood and its gradient (4,).

    Parameters
    ----------
    x, t_x, T, weight, k, dropout_at_first
        As in `log_likelihood_derivatives`, which is called where k > 1.
    """
    if k > 1:
        return partial(_without_hessian, x, t_x, T, weight, k, dropout_at_first)
    return partial(log_likelihood_gradient, tabulate(x, t_x, T, weight, dropout_at_first))


def log_likelihood_gradient(tables: ValueTables, theta: Floats) -> tuple[float, Floats]:
    """Weighted log-likelihood of all rows with its gradient in (r, alpha, a, b).

    Parameters
    ----------
    tables : ValueTables
        From `tabulate`.
    theta : (4,) array
        r, alpha, a, b on the natural scale, > 0; `alpha` in the time unit of the rows.

    Returns
    -------
    value : float
    gradient : (4,) array
    """
    r, alpha, a, b = theta
    result: tuple[float, Floats] = _gradient(*tables, r, alpha, a, b)
    return result


def _without_hessian(
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    weight: npt.ArrayLike,
    k: int,
    dropout_at_first: bool,
    theta: Floats,
) -> tuple[float, Floats]:
    return log_likelihood_derivatives(x, t_x, T, weight, theta, k, dropout_at_first)[:2]


@njit(cache=True, error_model="numpy")
def _gradient(
    row_x: Indices,
    row_t: Indices,
    row_age: Indices,
    row_weight: Floats,
    x: Floats,
    x_weight: Floats,
    t_x: Floats,
    T: Floats,
    T_weight: Floats,
    T_purchases: Floats,
    first: int,
    r: float,
    alpha: float,
    a: float,
    b: float,
) -> tuple[float, Floats]:
    gradient = np.zeros(4)
    # For each x: log(a / (b+n-1)), r + x, 1 / (b+n-1); for each time: log(1 + time / alpha), 1 / (alpha + time).
    by_x, by_t, by_T = np.empty((3, len(x))), np.empty((2, len(t_x))), np.empty((2, len(T)))
    value = _add_by_x(x, x_weight, first, r, a, b, by_x, gradient)
    for j in range(len(t_x)):
        by_t[0, j], by_t[1, j] = math.log1p(t_x[j] / alpha), 1.0 / (alpha + t_x[j])
    log_alpha, share = math.log(alpha), r / alpha
    for j in range(len(T)):
        log_T, inverse_T = math.log1p(T[j] / alpha), 1.0 / (alpha + T[j])
        by_T[0, j], by_T[1, j] = log_T, inverse_T
        value -= T_weight[j] * r * log_T + T_purchases[j] * (log_T + log_alpha)
        gradient[0] -= T_weight[j] * log_T
        gradient[1] += (T_weight[j] * share * T[j] - T_purchases[j]) * inverse_T
    sums = _sum_left(row_x, row_t, row_age, row_weight, by_x, by_t, by_T)
    gradient[0] += sums[2]
    gradient[1] += sums[3]
    gradient[2] += sums[1] / a
    gradient[3] -= sums[4]
    return value + sums[0], gradient


@njit(cache=True, error_model="numpy")
def _add_by_x(
    x: Floats, weight: Floats, first: int, r: float, a: float, b: float, by_x: Floats, gradient: Floats
) -> float:
    """Sum of log Gamma(r+x)/Gamma(r) + log B(a, b+n)/B(a, b), with its derivatives added; fills `by_x`."""
    value = log_rate = psi = log_stay = stay_a = stay_b = 0.0
    purchases = chances = 0
    for j in range(len(x)):
        while purchases < x[j]:
            log_rate += math.log(r + purchases)
            psi += 1.0 / (r + purchases)
            purchases += 1
        while chances < x[j] + first:
            stay, both = 1.0 / (b + chances), 1.0 / (a + b + chances)
            log_stay -= math.log1p(a * stay)
            stay_a -= both
            stay_b += a * stay * both
            chances += 1
        value += weight[j] * (log_rate + log_stay)
        gradient[0] += weight[j] * psi
        gradient[2] += weight[j] * stay_a
        gradient[3] += weight[j] * stay_b
        by_x[1, j] = r + x[j]
        by_x[2, j] = 1.0 / (b + (max(chances, 1) - 1))
        by_x[0, j] = math.log(a * by_x[2, j])
    return value


@njit(cache=True, error_model="numpy")
def _sum_left(
    row_x: Indices, row_t: Indices, row_age: Indices, row_weight: Floats, by_x: Floats, by_t: Floats, by_T: Floats
) -> Floats:
    """Sums over the rows of log(1 + D), and with w = D / (1 + D) of w times 1 and times the slopes of log D.

    These are in r, in alpha, and in b with the sign turned. A chunk of rows stays in the cache. Each place in it has
    sums of its own, and each loop a function of its own: so a compiler sees that it may take several rows at once.
    """
    sums, log_D, factors = np.zeros((5, _CHUNK)), np.empty(_CHUNK), np.ones((4, _CHUNK))
    for start in range(0, len(row_x), _CHUNK):
        stop = min(start + _CHUNK, len(row_x))
        _fill_chunk(row_x[start:stop], row_t[start:stop], row_age[start:stop], by_x, by_t, by_T, log_D, factors)
        _add_values(row_weight[start:stop], log_D, sums[0])
        for j in range(4):
            _add_products(log_D[: stop - start], factors[j], sums[j + 1])
    totals: Floats = sums.sum(axis=1)
    return totals


@njit(cache=True, error_model="numpy")
def _fill_chunk(
    row_x: Indices,
    row_t: Indices,
    row_age: Indices,
    by_x: Floats,
    by_t: Floats,
    by_T: Floats,
    log_D: Floats,
    factors: Floats,
) -> None:
    for i in range(len(row_x)):
        x, t, age = row_x[i], row_t[i], row_age[i]
        log_ratio = by_T[0, age] - by_t[0, t]
        log_D[i] = by_x[0, x] + by_x[1, x] * log_ratio
        factors[1, i] = log_ratio
        factors[2, i] = by_x[1, x] * (by_T[1, age] - by_t[1, t])
        factors[3, i] = by_x[2, x]


@njit(cache=True, error_model="numpy")
def _add_values(weight: Floats, log_D: Floats, sums: Floats) -> None:
    """Add weight log(1 + D), and put weight D / (1 + D) in the place of log D."""
    for i in range(len(weight)):
        larger = log_D[i] if log_D[i] > 0.0 else 0.0
        smaller = exp_of_negative(log_D[i] - 2.0 * larger)  # of D and 1 / D
        sums[i] += weight[i] * (larger + log_1_plus(smaller))
        log_D[i] = weight[i] * (1.0 if log_D[i] > 0.0 else smaller) / (1.0 + smaller)


@njit(cache=True, error_model="numpy")
def _add_products(w: Floats, factor: Floats, sums: Floats) -> None:
    for i in range(len(w)):
        sums[i] += w[i] * factor[i]
