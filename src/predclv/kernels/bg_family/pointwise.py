"""The BG family's log-likelihood of each history at each draw, compiled: what leave-one-out validation asks for."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.special import gammaln

from predclv.kernels import bg_family
from predclv.kernels.bg_family.values import log_1_exp
from predclv.kernels.collapse import as_rows

__all__ = ["pointwise_log_likelihood"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


def pointwise_log_likelihood(
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    theta: npt.ArrayLike,
    k: int = 1,
    dropout_at_first: bool = False,
) -> Floats:
    """Log-likelihood of each history at each draw, without the constants of k > 1.

    These, `(k - 1) sum log itt - x log Gamma(k)`, are left out as in `log_likelihood_derivatives`: weighted by the
    customers that share a row, the rows sum to its value.

    Parameters
    ----------
    x, t_x, T : (n_rows,) arrays
        Repeat purchases; time of the last one; customer age.
    theta : (n_draws, 4) array
        r, alpha, a, b on the natural scale, > 0; `alpha` in the time unit of `T`.
    k : int
        Events to a purchase; above 1 the literal kernel is evaluated, draw by draw.
    dropout_at_first : bool
        Whether a customer may leave right after the first purchase of all.

    Returns
    -------
    (n_draws, n_rows) array

    References
    ----------
    Fader, Hardie & Lee (2005), Marketing Science 24(2), eq. (6), as in `likelihood`.
    """
    x, t_x, T = as_rows(x), as_rows(t_x), as_rows(T)
    theta = np.ascontiguousarray(theta, dtype=np.float64)
    if k > 1:
        out = np.empty((len(theta), len(x)))
        for d, draw in enumerate(theta):
            out[d] = bg_family.log_likelihood(x, t_x, T, *draw, k=k, dropout_at_first=dropout_at_first)
        return out + x * float(gammaln(k))
    (distinct_x, row_x), (distinct_t, row_t), (distinct_T, row_age) = (
        np.unique(column, return_inverse=True) for column in (x, t_x, T)
    )
    rows = x, row_x.astype(np.int64), row_t.astype(np.int64), row_age.astype(np.int64)
    result: Floats = _by_row(*rows, distinct_x, distinct_t, distinct_T, int(dropout_at_first), theta)
    return result


@njit(cache=True, error_model="numpy")
def _by_row(
    x: Floats,
    row_x: Indices,
    row_t: Indices,
    row_age: Indices,
    distinct_x: Floats,
    distinct_t: Floats,
    distinct_T: Floats,
    first: int,
    theta: Floats,
) -> Floats:
    out = np.empty((len(theta), len(x)))
    by_x, log_odds, log_D = np.empty(len(distinct_x)), np.empty(len(distinct_x)), np.empty(len(x))
    for d in range(len(theta)):
        r, alpha, a, b = theta[d]
        _fill_by_x(distinct_x, first, r, a, b, by_x, log_odds)
        # log(alpha + time) - log alpha: nothing is lost where alpha is large.
        log_t, log_T, log_alpha = np.log1p(distinct_t / alpha), np.log1p(distinct_T / alpha), math.log(alpha)
        for i in range(len(x)):
            at_T = log_T[row_age[i]]
            log_D[i] = log_odds[row_x[i]] + (r + x[i]) * (at_T - log_t[row_t[i]])
            out[d, i] = by_x[row_x[i]] - r * at_T - x[i] * (at_T + log_alpha)
        _add_log_1_exp(log_D, out[d])
    return out


@njit(cache=True, error_model="numpy")
def _add_log_1_exp(log_D: Floats, out: Floats) -> None:
    """A function of its own, so that a compiler sees that it may take several rows at once."""
    for i in range(len(out)):
        out[i] += log_1_exp(log_D[i])


@njit(cache=True, error_model="numpy")
def _fill_by_x(x: Floats, first: int, r: float, a: float, b: float, by_x: Floats, log_odds: Floats) -> None:
    """Fill log Gamma(r+x)/Gamma(r) + log B(a, b+n)/B(a, b) and log(a / (b+n-1)), -inf for n = 0, for each sorted x."""
    log_rate = log_stay = 0.0
    purchases = chances = 0
    for j in range(len(x)):
        while purchases < x[j]:
            log_rate += math.log(r + purchases)
            purchases += 1
        while chances < x[j] + first:
            log_stay -= math.log1p(a / (b + chances))
            chances += 1
        by_x[j] = log_rate + log_stay
        log_odds[j] = math.log(a / (b + (chances - 1))) if chances > 0 else -np.inf
