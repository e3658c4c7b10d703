"""The BG family's likelihood where customers differ in alpha, a and b by pattern of covariates, compiled.

Customers of one pattern share four parameters, and their rows go through the kernels of `likelihood`; where
everybody has a pattern of their own, a pattern is a row. r is the same for all.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels.bg_family.ages import add_alive, runs_of_age
from predclv.kernels.bg_family.likelihood import derivatives, log_odds_left
from predclv.kernels.bg_family.stages import stages
from predclv.kernels.bg_family.values import log_1_exp
from predclv.kernels.collapse import as_rows

__all__ = ["derivatives_by_pattern", "log_likelihood_of_rows"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


def derivatives_by_pattern(
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    weight: npt.ArrayLike,
    starts: Indices,
    theta: npt.ArrayLike,
    k: int = 1,
    dropout_at_first: bool = False,
) -> tuple[Floats, Floats, Floats]:
    """Weighted log-likelihood of each pattern's rows, with gradient and Hessian in its own r, alpha, a, b.

    Parameters
    ----------
    x, t_x, T, weight : (n_rows,) arrays
        As in `log_likelihood_derivatives`; rows of one pattern stand together, and are best sorted by (x, T).
    starts : (n_patterns + 1,) array
        First row of each pattern, and the end.
    theta : (n_patterns, 4) array
    k, dropout_at_first
        The member of the family: see `bg_family`.

    Returns
    -------
    value : (n_patterns,) array
    gradient : (n_patterns, 4) array
    hessian : (n_patterns, 4, 4) array
    """
    x, t_x, T, weight = as_rows(x), as_rows(t_x), as_rows(T), as_rows(weight)
    theta = np.ascontiguousarray(theta, dtype=np.float64)
    found: tuple[Floats, Floats, Floats] = _by_pattern(x, t_x, T, weight, starts, theta, k, int(dropout_at_first))
    return found


@njit(cache=True, error_model="numpy")
def _by_pattern(
    x: Floats, t_x: Floats, T: Floats, weight: Floats, starts: Indices, theta: Floats, k: int, first: int
) -> tuple[Floats, Floats, Floats]:
    n = len(theta)
    value, gradient, hessian = np.empty(n), np.empty((n, 4)), np.empty((n, 4, 4))
    for i in range(n):
        rows = slice(starts[i], starts[i + 1])
        r, alpha, a, b = theta[i]
        log_ratio = np.log((alpha + T[rows]) / (alpha + t_x[rows]))
        log_D = log_odds_left(x[rows], t_x[rows], T[rows], log_ratio, r, alpha, a, b, k, first)
        smaller = np.exp(-np.abs(log_D))
        log_1_D = np.maximum(log_D, 0.0) + np.log(1.0 + smaller)
        value[i], gradient[i], hessian[i] = derivatives(
            x[rows], t_x[rows], T[rows], weight[rows], log_ratio, log_D, smaller, log_1_D, r, alpha, a, b, k, first
        )
        run_x, run_age, run_weight = runs_of_age(x[rows], T[rows], weight[rows])
        log_T = np.log1p(run_age / alpha)
        value[i] += add_alive(gradient[i], hessian[i], k * run_x, run_age, run_weight, log_T, r, alpha)
    return value, gradient, hessian


def log_likelihood_of_rows(
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    pattern: Indices,
    theta: npt.ArrayLike,
    k: int = 1,
    dropout_at_first: bool = False,
) -> Floats:
    """Log-likelihood of each row, (n_rows,), at its pattern's parameters; without the constants of k > 1.

    Parameters
    ----------
    x, t_x, T : (n_rows,) arrays
    pattern : (n_rows,) array
        Row of `theta` that each row's parameters are in.
    theta : (n_patterns, 4) array
        r, alpha, a, b; r is that of the first pattern for all.
    k, dropout_at_first
        The member of the family: see `bg_family`.
    """
    theta = np.ascontiguousarray(theta, dtype=np.float64)
    x, t_x, T = as_rows(x), as_rows(t_x), as_rows(T)
    values: Floats = _of_rows(x, t_x, T, pattern, theta, k, int(dropout_at_first))
    return values


@njit(cache=True, error_model="numpy")
def _of_rows(x: Floats, t_x: Floats, T: Floats, pattern: Indices, theta: Floats, k: int, first: int) -> Floats:
    out = np.empty(len(x))
    if len(x) == 0:
        return out
    log_rate = _log_rising(theta[0, 0], k * int(x.max()))
    for i in range(len(x)):
        r, alpha, a, b = theta[pattern[i]]
        n, m = x[i] + first, r + k * x[i]
        log_stay = 0.0
        for j in range(int(n)):
            log_stay -= math.log1p(a / (b + j))
        log_T = math.log1p(T[i] / alpha)
        value = log_rate[k * int(x[i])] + log_stay - m * log_T - (m - r) * math.log(alpha)
        log_s = 0.0
        if k > 1:
            log_s = math.log(stages(m, T[i] - t_x[i], 1.0 / (alpha + T[i]), k)[0])
        if n > 0.0:
            log_D = math.log(a / (b + n - 1.0)) + m * (log_T - math.log1p(t_x[i] / alpha)) - log_s
            value += log_1_exp(log_D)
        out[i] = value + log_s
    return out


@njit(cache=True, error_model="numpy")
def _log_rising(r: float, most: int) -> Floats:
    """Log Gamma(r+n) / Gamma(r) for n up to `most`."""
    out = np.zeros(most + 1)
    for n in range(most):
        out[n + 1] = out[n] + math.log(r + n)
    return out
