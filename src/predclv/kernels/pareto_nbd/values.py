"""The Pareto/NBD log-likelihood alone, at many parameter vectors in one call: what importance sampling asks for.

The equation of `pareto_nbd.log_likelihood`, with the integral over (t_x, T) as the difference of two without an end
(`left_ever`), which are taken once a theta for each number of purchases and distinct time.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels.bg_family.values import exp_of_negative
from predclv.kernels.collapse import as_rows
from predclv.kernels.pareto_nbd.integrals import left_ever
from predclv.kernels.pareto_nbd.likelihood import Rows
from predclv.kernels.pareto_nbd.times import Indices, index_times

__all__ = ["fill_times", "log_likelihood_values", "pointwise_log_likelihood"]

Floats = npt.NDArray[np.float64]


def log_likelihood_values(rows: Rows, theta: npt.ArrayLike) -> Floats:
    """Weighted log-likelihood of all rows at each theta, (n_draws,).

    Parameters
    ----------
    rows : Rows
        From `pareto_nbd_likelihood.arrange`.
    theta : (n_draws, 4) array
        r, alpha, s, beta on the natural scale, > 0; `alpha` and `beta` in the time unit of the rows.
    """
    times, weight = rows
    draws = np.ascontiguousarray(theta, dtype=np.float64)
    out = np.empty(len(draws))
    by_row, by_time = np.empty(len(weight)), np.empty((3, len(times.time)))
    for d, (r, alpha, s, beta) in enumerate(draws):
        _fill_rows(*times, r, alpha, s, beta, by_time, by_row)
        out[d] = _weigh(by_row, weight)
    return out


def pointwise_log_likelihood(x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike, theta: npt.ArrayLike) -> Floats:
    """Log-likelihood of each history at each draw.

    Parameters
    ----------
    x, t_x, T : (n_rows,) arrays
        Repeat purchases; time of the last one; customer age.
    theta : (n_draws, 4) array
        r, alpha, s, beta on the natural scale, > 0; `alpha` and `beta` in the time unit of `T`.

    Returns
    -------
    (n_draws, n_rows) array

    References
    ----------
    Fader & Hardie (2005), as in `pareto_nbd`.
    """
    x, t_x, T = as_rows(x), as_rows(t_x), as_rows(T)
    order = np.lexsort((t_x, T, x))
    times = index_times(x[order], t_x[order], T[order])
    draws = np.ascontiguousarray(theta, dtype=np.float64)
    out = np.empty((len(draws), len(x)))
    by_row, by_time = np.empty(len(x)), np.empty((3, len(times.time)))
    for d, (r, alpha, s, beta) in enumerate(draws):
        _fill_rows(*times, r, alpha, s, beta, by_time, by_row)
        out[d, order] = by_row
    return out


@njit(cache=True, error_model="numpy")
def fill_times(
    x: Floats, starts: Indices, time: Floats, r: float, alpha: float, s: float, beta: float, by_time: Floats
) -> None:
    """Fill `left_ever`, log((alpha+y)/alpha) and log((beta+y)/beta) for each x and distinct time y, (3, n_places)."""
    for j in range(len(x)):
        m = r + x[j]
        for place in range(starts[j], starts[j + 1]):
            y = time[place]
            by_time[0, place] = left_ever(m, s, alpha + y, beta + y)
            by_time[1, place], by_time[2, place] = math.log1p(y / alpha), math.log1p(y / beta)


@njit(cache=True, error_model="numpy")
def _fill_rows(
    x: Floats,
    starts: Indices,
    time: Floats,
    row_starts: Indices,
    at_t: Indices,
    at_age: Indices,
    r: float,
    alpha: float,
    s: float,
    beta: float,
    by_time: Floats,
    out: Floats,
) -> None:
    fill_times(x, starts, time, r, alpha, s, beta, by_time)
    log_rate, purchases, log_alpha = 0.0, 0, math.log(alpha)
    for j in range(len(x)):
        while purchases < x[j]:
            log_rate += math.log(r + purchases)
            purchases += 1
        rows = slice(row_starts[j], row_starts[j + 1])
        _fill_sums(at_t[rows], at_age[rows], r + x[j], s, by_time, out[rows])
        _add_logs(at_t[rows], r + x[j], s, log_rate - x[j] * log_alpha, by_time, out[rows])


@njit(cache=True, error_model="numpy")
def _fill_sums(at_t: Indices, at_age: Indices, m: float, s: float, by_time: Floats, out: Floats) -> None:
    """Fill D / O(t_x): a function of its own, so that a compiler sees that it may take several rows at once."""
    for i in range(len(out)):
        t, T = at_t[i], at_age[i]
        ratio = exp_of_negative(m * (by_time[1, t] - by_time[1, T]) + s * (by_time[2, t] - by_time[2, T]))
        out[i] = by_time[0, t] + ratio * (1.0 - by_time[0, T])


@njit(cache=True, error_model="numpy")
def _add_logs(at_t: Indices, m: float, s: float, constant: float, by_time: Floats, out: Floats) -> None:
    for i in range(len(out)):
        out[i] = math.log(out[i]) + constant - m * by_time[1, at_t[i]] - s * by_time[2, at_t[i]]


@njit(cache=True, error_model="numpy")
def _weigh(values: Floats, weight: Floats) -> float:
    total = 0.0
    for i in range(len(values)):
        total += weight[i] * values[i]
    return total
