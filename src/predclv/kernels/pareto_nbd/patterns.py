"""The Pareto/NBD likelihood where customers differ in alpha and beta by pattern of covariates, compiled.

As `bg_family.patterns`: the rows of a pattern go through the kernels of `likelihood` and of
`values`, with the pattern's own parameters. r and s are the same for all.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels.collapse import as_rows
from predclv.kernels.pareto_nbd.integrals import left_ever
from predclv.kernels.pareto_nbd.likelihood import N_MOMENTS, add_row, fill_tails
from predclv.kernels.pareto_nbd.times import DistinctTimes, Indices, index_times

__all__ = ["PatternRows", "arrange_by_pattern", "derivatives_by_pattern", "log_likelihood_of_rows"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
#: Times of each pattern and x, the pattern of each of those, the number of patterns, and weights.
PatternRows = tuple[DistinctTimes, Integers, int, Floats]


def arrange_by_pattern(
    x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike, weight: npt.ArrayLike, starts: Integers
) -> PatternRows:
    """Rows (n_rows,), sorted by pattern and then x, as `derivatives_by_pattern` takes them."""
    x, t_x, T = as_rows(x), as_rows(t_x), as_rows(T)
    pattern = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    changes = np.ones(len(x), dtype=bool)
    changes[1:] = (x[1:] != x[:-1]) | (pattern[1:] != pattern[:-1])
    times = index_times(np.cumsum(changes) - 1.0, t_x, T)
    return times._replace(x=as_rows(x[changes])), pattern[changes], len(starts) - 1, as_rows(weight)


def derivatives_by_pattern(rows: PatternRows, theta: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Weighted log-likelihood of each pattern's rows, with gradient and Hessian in its own r, alpha, s, beta.

    Parameters
    ----------
    rows : PatternRows
        From `arrange_by_pattern`.
    theta : (n_patterns, 4) array
        r is that of the first pattern for all.

    Returns
    -------
    value : (n_patterns,) array
    gradient : (n_patterns, 4) array
    hessian : (n_patterns, 4, 4) array
    """
    times, pattern, _, weight = rows
    theta = np.ascontiguousarray(theta, dtype=np.float64)
    longest = int(np.diff(times.starts.astype(np.int64)).max(initial=0))
    found: tuple[Floats, Floats, Floats] = _by_pattern(*times, weight, pattern, theta, longest)
    return found


@njit(cache=True, error_model="numpy")
def _by_pattern(
    x: Floats,
    starts: Indices,
    time: Floats,
    row_starts: Indices,
    at_t: Indices,
    at_age: Indices,
    weight: Floats,
    pattern: Integers,
    theta: Floats,
    longest: int,
) -> tuple[Floats, Floats, Floats]:
    n = len(theta)
    value, gradient, hessian = np.zeros(n), np.zeros((n, 4)), np.zeros((n, 4, 4))
    by_x, scratch = _rising(theta[0, 0], int(x.max())), np.empty((6, N_MOMENTS))
    tails = np.empty((longest, N_MOMENTS))
    for j in range(len(x)):
        i = pattern[j]
        r, alpha, s, beta = theta[i]
        first, stop = starts[j], starts[j + 1]
        fill_tails(time[first:stop], r + x[j], alpha, s, beta, tails[: stop - first])
        total = 0.0
        for row in range(row_starts[j], row_starts[j + 1]):
            t, T = at_t[row], at_age[row]
            total += weight[row]
            value[i] += weight[row] * add_row(
                tails[t - first],
                tails[T - first],
                time[t],
                time[T],
                r,
                x[j],
                alpha,
                s,
                beta,
                weight[row],
                gradient[i],
                hessian[i],
                scratch,
            )
        of_x = by_x[int(x[j])]
        value[i] += total * (of_x[0] - x[j] * math.log(alpha))
        gradient[i, 0] += total * of_x[1]
        hessian[i, 0, 0] += total * of_x[2]
    for i in range(n):
        for row in range(4):
            for column in range(row):
                hessian[i, row, column] = hessian[i, column, row]
    return value, gradient, hessian


def log_likelihood_of_rows(
    x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike, pattern: Integers, theta: npt.ArrayLike
) -> Floats:
    """Log-likelihood of each row, (n_rows,), at its pattern's parameters.

    Parameters
    ----------
    x, t_x, T : (n_rows,) arrays
    pattern : (n_rows,) array
        Row of `theta` that each row's parameters are in.
    theta : (n_patterns, 4) array
        r, alpha, s, beta; r is that of the first pattern for all.
    """
    theta = np.ascontiguousarray(theta, dtype=np.float64)
    values: Floats = _of_rows(as_rows(x), as_rows(t_x), as_rows(T), pattern, theta)
    return values


@njit(cache=True, error_model="numpy")
def _of_rows(x: Floats, t_x: Floats, T: Floats, pattern: Integers, theta: Floats) -> Floats:
    out = np.empty(len(x))
    if len(x) == 0:
        return out
    by_x = _rising(theta[0, 0], int(x.max()))
    for i in range(len(x)):
        r, alpha, s, beta = theta[pattern[i]]
        m = r + x[i]
        log_a, log_b = math.log1p(t_x[i] / alpha), math.log1p(t_x[i] / beta)
        since_a, since_b = math.log((alpha + T[i]) / (alpha + t_x[i])), math.log((beta + T[i]) / (beta + t_x[i]))
        total = 1.0
        if T[i] > t_x[i]:
            ratio = math.exp(-m * since_a - s * since_b)
            total = ratio + left_ever(m, s, alpha + t_x[i], beta + t_x[i])
            total -= ratio * left_ever(m, s, alpha + T[i], beta + T[i])
        out[i] = by_x[int(x[i]), 0] - x[i] * math.log(alpha) + math.log(total) - m * log_a - s * log_b
    return out


@njit(cache=True, error_model="numpy")
def _rising(r: float, most: int) -> Floats:
    """Log Gamma(r+n) / Gamma(r) and its two derivatives in r, for n up to `most`."""
    out = np.zeros((most + 1, 3))
    for n in range(most):
        out[n + 1, 0] = out[n, 0] + math.log(r + n)
        out[n + 1, 1] = out[n, 1] + 1.0 / (r + n)
        out[n + 1, 2] = out[n, 2] - 1.0 / (r + n) ** 2
    return out
