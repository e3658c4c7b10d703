"""The BG family's log-likelihood alone, at many parameter vectors in one call: what importance sampling asks for.

The equation of `likelihood` for k = 1, arranged for thousands of thetas over the same rows. Logarithms of
times and sums over x are taken once a theta for each distinct time and count; what is left for a row is
log(1 + D), with an exponential and a logarithm written as polynomials, so that a processor takes several at once.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels.collapse import as_rows

__all__ = ["ValueTables", "exp_of_negative", "log_1_exp", "log_1_plus", "log_likelihood_values", "tabulate"]

Floats = npt.NDArray[np.float64]
# Unsigned: numba then emits no code for negative indices, which would keep loops from being vectorised.
Indices = npt.NDArray[np.uint32]

_CHUNK = 1024
_1_LN2 = 1.0 / math.log(2.0)
# ln 2 in two parts, the first with 32 trailing zero bits: k times it is exact.
_LN2_HIGH = float.fromhex("0x1.62e42fee00000p-1")
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
_SMALLEST = -700.0
_POWERS_OF_HALF = 0.5 ** np.arange(1024.0)
# 1 / n!: the remainder on (-ln 2 / 2, ln 2 / 2) is 2e-16.
_EXP = tuple(1.0 / math.factorial(n) for n in range(13))
# 2 / (2 n + 1), of log(1 + e) = 2 artanh(e / (2 + e)): the remainder is 1e-16 at e = 1.
_ARTANH = tuple(2.0 / (2 * n + 1) for n in range(17))


class ValueTables(NamedTuple):
    """Collapsed rows with their distinct times and counts; rows without a chance to leave are only in the weights."""

    row_x: Indices
    row_t: Indices
    row_age: Indices
    row_weight: Floats
    x: Floats
    x_weight: Floats
    t_x: Floats
    T: Floats
    T_weight: Floats
    T_purchases: Floats
    first: int


def tabulate(
    x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike, weight: npt.ArrayLike, dropout_at_first: bool = False
) -> ValueTables:
    """Arrange rows for `log_likelihood_values`.

    Parameters
    ----------
    x, t_x, T, weight : (n_rows,) arrays
        Repeat purchases; time of the last one; customer age; customers that share the row.
    dropout_at_first : bool
        Whether a customer may leave right after the first purchase of all.
    """
    x, t_x, T, weight = as_rows(x), as_rows(t_x), as_rows(T), as_rows(weight)
    distinct_x, row_x = np.unique(x, return_inverse=True)
    distinct_T, row_age = np.unique(T, return_inverse=True)
    leaves = (x > 0) | dropout_at_first
    distinct_t, row_t = np.unique(t_x[leaves], return_inverse=True)
    return ValueTables(
        row_x[leaves].astype(np.uint32),
        row_t.astype(np.uint32),
        row_age[leaves].astype(np.uint32),
        as_rows(weight[leaves]),
        distinct_x,
        np.bincount(row_x, weight).astype(np.float64),
        distinct_t,
        distinct_T,
        np.bincount(row_age, weight).astype(np.float64),
        np.bincount(row_age, weight * x).astype(np.float64),
        int(dropout_at_first),
    )


def log_likelihood_values(tables: ValueTables, theta: npt.ArrayLike) -> Floats:
    """Weighted log-likelihood of all rows at each theta, (n_draws,).

    Parameters
    ----------
    tables : ValueTables
    theta : (n_draws, 4) array
        r, alpha, a, b on the natural scale, > 0; `alpha` in the time unit of the rows.
    """
    return _values(*tables, np.ascontiguousarray(theta, dtype=np.float64))  # type: ignore[no-any-return]


@njit(cache=True, error_model="numpy")
def _values(
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
    theta: Floats,
) -> Floats:
    out = np.empty(len(theta))
    log_odds, exponent = np.empty(len(x)), np.empty(len(x))
    log_t, log_T, terms = np.empty(len(t_x)), np.empty(len(T)), np.empty(_CHUNK)
    for d in range(len(theta)):
        r, alpha, a, b = theta[d]
        value = _sum_by_x(x, x_weight, first, r, a, b, log_odds, exponent)
        log_alpha = math.log(alpha)
        for j in range(len(T)):
            # log(alpha + T) - log alpha: nothing is lost where alpha is large.
            log_T[j] = math.log1p(T[j] / alpha)
            value -= T_weight[j] * r * log_T[j] + T_purchases[j] * (log_T[j] + log_alpha)
        for j in range(len(t_x)):
            log_t[j] = math.log1p(t_x[j] / alpha)
        out[d] = value + _sum_left(row_x, row_t, row_age, row_weight, log_odds, exponent, log_t, log_T, terms)
    return out


@njit(cache=True, error_model="numpy")
def _sum_by_x(
    x: Floats, weight: Floats, first: int, r: float, a: float, b: float, log_odds: Floats, exponent: Floats
) -> float:
    """Sum of log Gamma(r+x)/Gamma(r) + log B(a, b+n)/B(a, b); fills log(a / (b+n-1)) and r + x for each x."""
    value = log_rate = log_stay = 0.0
    purchases = chances = 0
    for j in range(len(x)):
        while purchases < x[j]:
            log_rate += math.log(r + purchases)
            purchases += 1
        while chances < x[j] + first:
            log_stay -= math.log1p(a / (b + chances))
            chances += 1
        value += weight[j] * (log_rate + log_stay)
        exponent[j] = r + x[j]
        log_odds[j] = math.log(a / (b + chances - 1)) if chances > 0 else 0.0
    return value


@njit(cache=True, error_model="numpy")
def _sum_left(
    row_x: Indices,
    row_t: Indices,
    row_age: Indices,
    row_weight: Floats,
    log_odds: Floats,
    exponent: Floats,
    log_t: Floats,
    log_T: Floats,
    terms: Floats,
) -> float:
    """Sum of weight log(1 + D) over the rows, a chunk that stays in the cache at a time."""
    total = 0.0
    for start in range(0, len(row_x), _CHUNK):
        n = min(_CHUNK, len(row_x) - start)
        for i in range(n):
            x = row_x[start + i]
            terms[i] = log_odds[x] + exponent[x] * (log_T[row_age[start + i]] - log_t[row_t[start + i]])
        for i in range(n):
            terms[i] = row_weight[start + i] * log_1_exp(terms[i])
        total += float(np.sum(terms[:n]))
    return total


@njit(cache=True, error_model="numpy", inline="always")
def log_1_exp(log_D: float) -> float:
    """log(1 + exp(log_D)) without a branch or a call."""
    larger = log_D if log_D > 0.0 else 0.0
    result: float = larger + log_1_plus(exp_of_negative(log_D - 2.0 * larger))
    return result


@njit(cache=True, error_model="numpy", inline="always")
def exp_of_negative(y: float) -> float:
    """exp(y) for y <= 0, and exp(-700) below that, without a branch or a call."""
    y = y if y > _SMALLEST else _SMALLEST
    k = math.floor(0.5 - y * _1_LN2)
    f = (y + k * _LN2_HIGH) + k * _LN2_LOW
    # Horner's scheme, written out: a loop here would keep the loop over rows from being vectorised.
    e = _EXP[11] + f * _EXP[12]
    e = _EXP[9] + f * (_EXP[10] + f * e)
    e = _EXP[7] + f * (_EXP[8] + f * e)
    e = _EXP[5] + f * (_EXP[6] + f * e)
    e = _EXP[3] + f * (_EXP[4] + f * e)
    result: float = (_EXP[0] + f * (_EXP[1] + f * (_EXP[2] + f * e))) * _POWERS_OF_HALF[np.uint32(k)]
    return result


@njit(cache=True, error_model="numpy", inline="always")
def log_1_plus(e: float) -> float:
    """log(1 + e) for e from 0 to 1, without a branch or a call."""
    s = e / (2.0 + e)
    z = s * s
    g = _ARTANH[14] + z * (_ARTANH[15] + z * _ARTANH[16])
    g = _ARTANH[12] + z * (_ARTANH[13] + z * g)
    g = _ARTANH[10] + z * (_ARTANH[11] + z * g)
    g = _ARTANH[8] + z * (_ARTANH[9] + z * g)
    g = _ARTANH[6] + z * (_ARTANH[7] + z * g)
    g = _ARTANH[4] + z * (_ARTANH[5] + z * g)
    g = _ARTANH[2] + z * (_ARTANH[3] + z * g)
    result: float = s * (_ARTANH[0] + z * (_ARTANH[1] + z * g))
    return result
