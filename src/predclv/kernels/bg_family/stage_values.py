"""The log-likelihood of regular buyers alone, at many parameter vectors in one call: `values` for k > 1.

With E = 1{n>0} a / (b+n-1) ((alpha+T)/(alpha+t_x))^(r+kx) and s of `likelihood`, a row adds log(s + E) to
what depends on x or T alone. Logarithms of times are taken once a theta for each distinct time.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels.bg_family.values import Indices, log_1_exp
from predclv.kernels.collapse import as_rows

__all__ = ["StageTables", "log_likelihood_stage_values", "tabulate_stages"]

Floats = npt.NDArray[np.float64]

_CHUNK = 1024


class StageTables(NamedTuple):
    """Collapsed rows with their distinct times and counts."""

    row_x: Indices
    row_t: Indices
    row_age: Indices
    row_since: Floats
    row_weight: Floats
    x: Floats
    x_weight: Floats
    t_x: Floats
    T: Floats
    T_weight: Floats
    T_events: Floats
    k: int
    first: int


def tabulate_stages(
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    weight: npt.ArrayLike,
    k: int,
    dropout_at_first: bool = False,
) -> StageTables:
    """Arrange rows for `log_likelihood_stage_values`.

    Parameters
    ----------
    x, t_x, T, weight : (n_rows,) arrays
        Repeat purchases; time of the last one; customer age; customers that share the row.
    k : int
        Events to a purchase.
    dropout_at_first : bool
        Whether a customer may leave right after the first purchase of all.
    """
    x, t_x, T, weight = as_rows(x), as_rows(t_x), as_rows(T), as_rows(weight)
    (distinct_x, row_x), (distinct_t, row_t), (distinct_T, row_age) = (
        np.unique(column, return_inverse=True) for column in (x, t_x, T)
    )
    return StageTables(
        row_x.astype(np.uint32),
        row_t.astype(np.uint32),
        row_age.astype(np.uint32),
        T - t_x,
        weight,
        distinct_x,
        np.bincount(row_x, weight).astype(np.float64),
        distinct_t,
        distinct_T,
        np.bincount(row_age, weight).astype(np.float64),
        np.bincount(row_age, weight * k * x).astype(np.float64),
        k,
        int(dropout_at_first),
    )


def log_likelihood_stage_values(tables: StageTables, theta: npt.ArrayLike) -> Floats:
    """Weighted log-likelihood of all rows at each theta, (n_draws,), without the constants of k.

    Parameters
    ----------
    tables : StageTables
    theta : (n_draws, 4) array
        r, alpha, a, b on the natural scale, > 0; `alpha` in the time unit of the rows.
    """
    return _values(*tables, np.ascontiguousarray(theta, dtype=np.float64))  # type: ignore[no-any-return]


@njit(cache=True, error_model="numpy")
def _values(
    row_x: Indices,
    row_t: Indices,
    row_age: Indices,
    row_since: Floats,
    row_weight: Floats,
    x: Floats,
    x_weight: Floats,
    t_x: Floats,
    T: Floats,
    T_weight: Floats,
    T_events: Floats,
    k: int,
    first: int,
    theta: Floats,
) -> Floats:
    out = np.empty(len(theta))
    log_odds, exponent = np.empty(len(x)), np.empty(len(x))
    log_t, log_T, inverse_T = np.empty(len(t_x)), np.empty(len(T)), np.empty(len(T))
    s, log_E = np.empty(_CHUNK), np.empty(_CHUNK)
    for d in range(len(theta)):
        r, alpha, a, b = theta[d]
        value = _sum_by_x(x, x_weight, k, first, r, a, b, log_odds, exponent)
        log_alpha = math.log(alpha)
        for j in range(len(T)):
            # log(alpha + T) - log alpha: nothing is lost where alpha is large.
            log_T[j], inverse_T[j] = math.log1p(T[j] / alpha), 1.0 / (alpha + T[j])
            value -= T_weight[j] * r * log_T[j] + T_events[j] * (log_T[j] + log_alpha)
        for j in range(len(t_x)):
            log_t[j] = math.log1p(t_x[j] / alpha)
        for start in range(0, len(row_x), _CHUNK):
            n = min(_CHUNK, len(row_x) - start)
            for i in range(n):
                at_x, at_T, row = row_x[start + i], row_age[start + i], start + i
                m = exponent[at_x]
                s[i] = _sum_stages(m, row_since[row] * inverse_T[at_T], k)
                log_E[i] = log_odds[at_x] + m * (log_T[at_T] - log_t[row_t[row]])
            value += _sum_logs(row_weight[start : start + n], s, log_E)
        out[d] = value
    return out


@njit(cache=True, error_model="numpy")
def _sum_logs(weight: Floats, s: Floats, log_E: Floats) -> float:
    """Sum of weight log(s + E); a function of its own, so that a compiler sees that it may take several at once."""
    for i in range(len(weight)):
        s[i] = math.log(s[i])
    for i in range(len(weight)):
        log_E[i] = weight[i] * (s[i] + log_1_exp(log_E[i] - s[i]))
    return float(np.sum(log_E[: len(weight)]))


@njit(cache=True, error_model="numpy", inline="always")
def _sum_stages(m: float, u: float, k: int) -> float:
    """s, the sum over j < k of (m)_j / j! u^j, by Horner's scheme."""
    s = 1.0
    for j in range(k - 1, 0, -1):
        s = 1.0 + (m + (j - 1)) / j * u * s
    return s


@njit(cache=True, error_model="numpy")
def _sum_by_x(
    x: Floats, weight: Floats, k: int, first: int, r: float, a: float, b: float, log_odds: Floats, exponent: Floats
) -> float:
    """Sum of log Gamma(r+kx)/Gamma(r) + log B(a, b+n)/B(a, b); fills log(a / (b+n-1)) and r + k x for each x."""
    value = log_rate = log_stay = 0.0
    events = chances = 0
    for j in range(len(x)):
        while events < k * x[j]:
            log_rate += math.log(r + events)
            events += 1
        while chances < x[j] + first:
            log_stay -= math.log1p(a / (b + chances))
            chances += 1
        value += weight[j] * (log_rate + log_stay)
        exponent[j] = r + k * x[j]
        log_odds[j] = math.log(a / (b + chances - 1)) if chances > 0 else -np.inf
    return value
