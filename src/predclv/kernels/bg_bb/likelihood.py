"""The BG/BB log-likelihood with gradient and Hessian, and its values at many parameter vectors, compiled.

With (a)_n the rising factorial, a row's likelihood is

    (alpha)_x (beta)_{t_x-x} / (alpha+beta)_{t_x}  (delta)_{t_x} / (gamma+delta)_{t_x}  H_{t_x},

its purchases until the last one and the silence since (`rows`): products and sums of positive terms, whatever the
number of opportunities.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels.bg_bb.rows import Rows, arrange

__all__ = ["log_likelihood_derivatives", "log_likelihood_gradient", "log_likelihood_values", "pointwise_log_likelihood"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

# First and second derivatives of H in a row of the work table: itself, then a pair of parameters.
_N_WORK = 15


def log_likelihood_derivatives(rows: Rows, theta: npt.ArrayLike) -> tuple[float, Floats, Floats]:
    """Value, gradient and Hessian of the weighted log-likelihood.

    Parameters
    ----------
    rows : Rows
    theta : (4,) array
        alpha, beta, gamma, delta on the natural scale, > 0.

    Returns
    -------
    float, (4,) array, (4, 4) array
    """
    point = np.ascontiguousarray(theta, dtype=np.float64)
    value, gradient, hessian = _add_silences(*rows[:6], rows.weight, point)
    x = np.repeat(rows.x, np.diff(rows.row_starts))
    for counts, a, which, sign in _factorials(rows, x, point):
        terms = a + np.arange(len(counts))
        value += sign * float(counts @ np.log(terms))
        first, second = sign * float(counts @ (1.0 / terms)), -sign * float(counts @ terms**-2.0)
        gradient[which] += first
        hessian[np.ix_(which, which)] += second
    return value, gradient, hessian


def log_likelihood_gradient(rows: Rows, theta: npt.ArrayLike) -> tuple[float, Floats]:
    """Value and gradient of the weighted log-likelihood; arguments as in `log_likelihood_derivatives`."""
    value, gradient, _ = log_likelihood_derivatives(rows, theta)
    return value, gradient


def log_likelihood_values(rows: Rows, theta: npt.ArrayLike) -> Floats:
    """Weighted log-likelihood of all rows at each theta, (n_draws, 4) -> (n_draws,)."""
    draws = np.ascontiguousarray(theta, dtype=np.float64)
    by_row, out = np.empty(len(rows.weight)), np.empty(len(draws))
    for d, point in enumerate(draws):
        _fill_rows(*rows[:6], point, by_row)
        # No BLAS, whose sums go by how many threads there are.
        out[d] = np.sum(rows.weight * by_row)
    return out


def pointwise_log_likelihood(x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike, theta: npt.ArrayLike) -> Floats:
    """Log-likelihood of each history at each theta, (n_draws, 4) -> (n_draws, n_rows)."""
    rows = arrange(x, t_x, T)
    draws = np.ascontiguousarray(theta, dtype=np.float64)
    by_row, out = np.empty(len(rows.weight)), np.empty((len(draws), len(rows.weight)))
    for d, point in enumerate(draws):
        _fill_rows(*rows[:6], point, by_row)
        out[d, rows.order] = by_row
    return out


def _factorials(rows: Rows, x: Indices, theta: Floats) -> list[tuple[Floats, float, list[int], float]]:
    """What the rising factorials are: customers whose product reaches each factor, base, its parameters, and sign."""
    alpha, beta, gamma, delta = (float(value) for value in theta)
    bought, declined, had = (_reach(lengths, rows.weight) for lengths in (x, rows.t_x - x, rows.t_x))
    return [
        (bought, alpha, [0], 1.0),
        (declined, beta, [1], 1.0),
        (had, alpha + beta, [0, 1], -1.0),
        (had, delta, [3], 1.0),
        (had, gamma + delta, [2, 3], -1.0),
    ]


def _reach(lengths: Indices, weight: Floats) -> Floats:
    """Weight of the lengths above 0, 1, 2, ..."""
    counts = np.bincount(lengths, weights=weight)
    above: Floats = counts[::-1].cumsum()[::-1][1:]
    return above


@njit(cache=True, error_model="numpy")
def _fill_rows(
    x: Indices,
    row_starts: Indices,
    age_starts: Indices,
    ages: Indices,
    t_x: Indices,
    at: Indices,
    theta: Floats,
    out: Floats,
) -> None:
    """Fill the log-likelihood of each row."""
    alpha, beta, gamma, delta = theta
    longest = int(ages.max())
    log_a, log_b, log_t = np.zeros(longest + 2), np.zeros(longest + 2), np.zeros(longest + 2)
    gone = np.empty(longest + 1)
    per_opportunity = np.empty(longest + 1)
    for u in range(longest + 1):
        log_a[u + 1] = log_a[u] + math.log(alpha + u)
        log_b[u + 1] = log_b[u] + math.log(beta + u)
        log_t[u + 1] = log_t[u] + math.log((delta + u) / ((gamma + delta + u) * (alpha + beta + u)))
        gone[u] = gamma / (gamma + delta + u)
        per_opportunity[u] = (delta + u) / ((gamma + delta + u) * (alpha + beta + u))
    for g in range(len(x)):
        of_group = ages[age_starts[g] : age_starts[g + 1]]
        silent = np.ones(len(of_group))
        row, reached = row_starts[g + 1] - 1, 0
        for u in range(of_group[0], -1, -1):
            while reached < len(of_group) and of_group[reached] > u:
                reached += 1
            stay = (beta + u - x[g]) * per_opportunity[u]
            if reached:
                for j in range(reached):
                    silent[j] = gone[u] + stay * silent[j]
            while row >= row_starts[g] and t_x[row] == u:
                out[row] = log_a[x[g]] + log_b[u - x[g]] + log_t[u] + math.log(silent[at[row]])
                row -= 1
            if row < row_starts[g]:
                break


@njit(cache=True, error_model="numpy")
def _add_silences(
    x: Indices,
    row_starts: Indices,
    age_starts: Indices,
    ages: Indices,
    t_x: Indices,
    at: Indices,
    weight: Floats,
    theta: Floats,
) -> tuple[float, Floats, Floats]:
    """Sum of log H over rows with its derivatives."""
    alpha, beta, gamma, delta = theta
    value, gradient, hessian = 0.0, np.zeros(4), np.zeros((4, 4))
    own = np.empty(_N_WORK)
    for g in range(len(x)):
        of_group = ages[age_starts[g] : age_starts[g + 1]]
        work = np.zeros((_N_WORK, len(of_group)))
        work[0] = 1.0
        row, reached = row_starts[g + 1] - 1, 0
        for u in range(of_group[0], -1, -1):
            while reached < len(of_group) and of_group[reached] > u:
                reached += 1
            _step_down(work, reached, beta + u - x[g], alpha + beta + u, gamma, delta + u)
            while row >= row_starts[g] and t_x[row] == u:
                own[:] = work[:, at[row]]
                value += weight[row] * math.log(own[0])
                _add_row(own, weight[row], gradient, hessian)
                row -= 1
            if row < row_starts[g]:
                break
    for i in range(4):
        for j in range(i):
            hessian[i, j] = hessian[j, i]
    return value, gradient, hessian


@njit(cache=True, error_model="numpy")
def _add_row(own: Floats, weight: float, gradient: Floats, hessian: Floats) -> None:
    """Add the derivatives of log H, from those of H."""
    place = 5
    for i in range(4):
        first = own[1 + i] / own[0]
        gradient[i] += weight * first
        for j in range(i, 4):
            hessian[i, j] += weight * (own[place] / own[0] - first * own[1 + j] / own[0])
            place += 1


@njit(cache=True, error_model="numpy")
def _step_down(work: Floats, n: int, misses: float, s: float, gamma: float, d: float) -> None:
    """H = 1 - f (1 - k H') with its derivatives, for the first n ages.

    Order of the table: H; by alpha, beta, gamma, delta; then the pairs aa, ab, ag, ad, bb, bg, bd, gg, gd, dd.
    """
    r = gamma + d
    k, f = misses / s, d / r
    k_a, k_b = -k / s, (s - misses) / (s * s)
    k_aa, k_ab, k_bb = -2.0 * k_a / s, (2.0 * k - 1.0) / (s * s), -2.0 * k_b / s
    e = gamma / r
    f_g, f_d = -f / r, e / r
    f_gg, f_gd, f_dd = -2.0 * f_g / r, (f - e) / (r * r), -2.0 * f_d / r
    for j in range(n):
        h, h_a, h_b, h_g, h_d = work[0, j], work[1, j], work[2, j], work[3, j], work[4, j]
        y, y_a, y_b, y_g, y_d = k * h, k_a * h + k * h_a, k_b * h + k * h_b, k * h_g, k * h_d
        not_y = 1.0 - y
        work[0, j] = e + f * y
        work[1, j] = f * y_a
        work[2, j] = f * y_b
        work[3, j] = f * y_g - f_g * not_y
        work[4, j] = f * y_d - f_d * not_y
        work[5, j] = f * (k_aa * h + 2.0 * k_a * h_a + k * work[5, j])
        work[6, j] = f * (k_ab * h + k_a * h_b + k_b * h_a + k * work[6, j])
        work[7, j] = f_g * y_a + f * (k_a * h_g + k * work[7, j])
        work[8, j] = f_d * y_a + f * (k_a * h_d + k * work[8, j])
        work[9, j] = f * (k_bb * h + 2.0 * k_b * h_b + k * work[9, j])
        work[10, j] = f_g * y_b + f * (k_b * h_g + k * work[10, j])
        work[11, j] = f_d * y_b + f * (k_b * h_d + k * work[11, j])
        work[12, j] = 2.0 * f_g * y_g + f * k * work[12, j] - f_gg * not_y
        work[13, j] = f_g * y_d + f_d * y_g + f * k * work[13, j] - f_gd * not_y
        work[14, j] = 2.0 * f_d * y_d + f * k * work[14, j] - f_dd * not_y
