"""The BG family's log-likelihood of each history at each draw, compiled: what leave-one-out validation asks for."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.special import gammaln

from predclv.kernels import bg_family
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
    Fader, Hardie & Lee (2005), Marketing Science 24(2), eq. (6), as in `bg_family_likelihood`.
    """
    x, t_x, T = as_rows(x), as_rows(t_x), as_rows(T)
    theta = np.ascontiguousarray(theta, dtype=np.float64)
    if k > 1:
        out = np.empty((len(theta), len(x)))
        for d, draw in enumerate(theta):
            out[d] = bg_family.log_likelihood(x, t_x, T, *draw, k=k, dropout_at_first=dropout_at_first)
        return out + x * float(gammaln(k))
    distinct_x, row_x = np.unique(x, return_inverse=True)
    return _by_row(x, t_x, T, distinct_x, row_x.astype(np.int64), int(dropout_at_first), theta)  # type: ignore[no-any-return]


@njit(cache=True, error_model="numpy")
def _by_row(x: Floats, t_x: Floats, T: Floats, distinct_x: Floats, row_x: Indices, first: int, theta: Floats) -> Floats:
    out = np.empty((len(theta), len(x)))
    by_x, log_odds = np.empty(len(distinct_x)), np.empty(len(distinct_x))
    for d in range(len(theta)):
        r, alpha, a, b = theta[d]
        _fill_by_x(distinct_x, first, r, a, b, by_x, log_odds)
        log_alpha = math.log(alpha)
        for i in range(len(x)):
            # log(alpha + t) - log alpha: nothing is lost where alpha is large.
            log_T, log_t = math.log1p(T[i] / alpha), math.log1p(t_x[i] / alpha)
            log_D = log_odds[row_x[i]] + (r + x[i]) * (log_T - log_t)
            log_1_D = max(log_D, 0.0) + math.log1p(math.exp(-abs(log_D)))
            out[d, i] = by_x[row_x[i]] - r * log_T - x[i] * (log_T + log_alpha) + log_1_D
    return out


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
        log_odds[j] = math.log(a / (b + chances - 1)) if chances > 0 else -np.inf
