"""NBD, the model in which nobody ever leaves: the likelihood, and forecasts in closed form.

A customer buys by a Poisson process with rate lambda ~ Gamma(r, alpha), for ever. Of the exact times of x purchases in
(0, T], as in the likelihoods of the models with dropout,

    L = Gamma(r+x)/Gamma(r) alpha^r / (alpha+T)^(r+x);

given the history, lambda ~ Gamma(r+x, alpha+T). It is the limit of BG/NBD as a goes to 0 and of Pareto/NBD as s does,
whose kernels hold there: counts and lives are theirs.

References
----------
Ehrenberg (1959), The Pattern of Consumer Purchases, Applied Statistics 8(1).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels.bg_family import NUMPY
from predclv.kernels.bg_family.counts import counts_of_rows
from predclv.kernels.collapse import as_rows
from predclv.kernels.discounting import DiscountMoments, mean_discount

__all__ = [
    "Tables",
    "as_pareto_nbd",
    "discount_moments",
    "discounted_expected_purchases",
    "log_likelihood",
    "log_likelihood_derivatives",
    "mean_expected_purchases",
    "purchase_pmf",
    "tabulate",
]

Floats = npt.NDArray[np.float64]


def log_likelihood(x: Any, t_x: Any, T: Any, r: Any, alpha: Any, *, xp: Any = NUMPY) -> Any:
    """Log-likelihood of each history, whatever `t_x` is.

    Parameters
    ----------
    x, t_x, T : (n_customers,) arrays
        Repeat purchases; time of the last one; customer age.
    r, alpha : float or (n_draws, 1) arrays
        `alpha` is in the time unit of `T`.
    xp : namespace
        The functions of `NUMPY`, or PyTensor's.

    Returns
    -------
    (n_customers,) or (n_draws, n_customers) array
    """
    # The ratio of rates by itself: with alpha large, r log alpha - r log(alpha+T) would lose digits.
    return xp.gammaln(r + x) - xp.gammaln(r) - r * xp.log(1 + T / alpha) - x * xp.log(alpha + T)


class Tables(NamedTuple):
    """All that the likelihood takes of weighted rows: how many have each x and each T, and purchases by T."""

    x: Floats
    x_weight: Floats
    T: Floats
    T_weight: Floats
    T_purchases: Floats


def tabulate(x: npt.ArrayLike, T: npt.ArrayLike, weight: npt.ArrayLike) -> Tables:
    """Arrange (n_rows,) rows for `log_likelihood_derivatives`."""
    x, T, weight = as_rows(x), as_rows(T), as_rows(weight)
    distinct_x, row_x = np.unique(x, return_inverse=True)
    distinct_T, row_T = np.unique(T, return_inverse=True)
    sums = np.bincount(row_x, weight), np.bincount(row_T, weight), np.bincount(row_T, weight * x)
    return Tables(distinct_x, as_rows(sums[0]), distinct_T, as_rows(sums[1]), as_rows(sums[2]))


def log_likelihood_derivatives(tables: Tables, theta: npt.ArrayLike) -> tuple[float, Floats, Floats]:
    """Weighted log-likelihood with gradient and Hessian in (r, alpha).

    Parameters
    ----------
    tables : Tables
        From `tabulate`.
    theta : (2,) array
        r, alpha on the natural scale, > 0; `alpha` in the time unit of the rows.

    Returns
    -------
    value : float
    gradient : (2,) array
    hessian : (2, 2) array
    """
    r, alpha = (float(value) for value in np.asarray(theta))
    value, *slopes = _derivatives(*tables, r, alpha)
    r_1, alpha_1, r_2, mixed, alpha_2 = slopes
    return value, np.array([r_1, alpha_1]), np.array([[r_2, mixed], [mixed, alpha_2]])


@njit(cache=True, error_model="numpy")
def _derivatives(
    x: Floats, x_weight: Floats, T: Floats, T_weight: Floats, T_purchases: Floats, r: float, alpha: float
) -> tuple[float, float, float, float, float, float]:
    """Value, and its derivatives in r, alpha, twice r, r and alpha, twice alpha."""
    value = r_1 = alpha_1 = r_2 = mixed = alpha_2 = 0.0
    log_rate = psi = trigamma = 0.0
    purchases = 0
    for j in range(len(x)):
        while purchases < x[j]:
            log_rate += math.log(r + purchases)
            psi += 1.0 / (r + purchases)
            trigamma -= 1.0 / (r + purchases) ** 2
            purchases += 1
        value += x_weight[j] * log_rate
        r_1 += x_weight[j] * psi
        r_2 += x_weight[j] * trigamma
    log_alpha = math.log(alpha)
    for j in range(len(T)):
        log_growth, inverse = math.log1p(T[j] / alpha), 1.0 / (alpha + T[j])
        slope = (T_weight[j] * r * (T[j] / alpha) - T_purchases[j]) * inverse
        value -= T_weight[j] * r * log_growth + T_purchases[j] * (log_growth + log_alpha)
        r_1 -= T_weight[j] * log_growth
        alpha_1 += slope
        mixed += T_weight[j] * (T[j] / alpha) * inverse
        alpha_2 -= (slope + T_weight[j] * r * (T[j] / alpha) / alpha) * inverse
    return value, r_1, alpha_1, r_2, mixed, alpha_2


def discounted_expected_purchases(
    x: npt.ArrayLike, T: npt.ArrayLike, horizon: npt.ArrayLike, delta: float, theta: npt.ArrayLike
) -> Floats:
    """Expected purchases in (T, T + horizon], each discounted by exp(-delta s), s after T, given the history.

    Parameters
    ----------
    x, T : (n_rows,) arrays
        Repeat purchases; customer age.
    horizon : float or (n_rows,) array
        Future window in the time unit of `T`, >= 0; it may be infinite, and so is the result then for `delta` 0.
    delta : float
        Continuous discount rate per time unit, >= 0.
    theta : (n_draws, 2) or (2,) array
        r, alpha; `alpha` in the time unit of `T`.

    Returns
    -------
    (n_draws, n_rows) array, >= 0
    """
    x, T, horizon = as_rows(x), as_rows(T), np.asarray(horizon, dtype=np.float64)
    r, alpha = _as_draws(theta).T[:, :, np.newaxis]
    time = -np.expm1(-delta * horizon) / delta if delta > 0 else horizon
    return np.asarray((r + x) / (alpha + T) * time)


def mean_expected_purchases(x: npt.ArrayLike, T: npt.ArrayLike, horizon: npt.ArrayLike, theta: npt.ArrayLike) -> Floats:
    """Mean of the expected purchases, not discounted, over the draws, (n_rows,)."""
    total, draws = np.zeros(len(as_rows(x))), _as_draws(theta)
    for draw in draws:
        total += discounted_expected_purchases(x, T, horizon, 0.0, draw)[0]
    return total / len(draws)


def purchase_pmf(
    x: npt.ArrayLike, T: npt.ArrayLike, horizon: npt.ArrayLike, theta: npt.ArrayLike, n_max: int
) -> Floats:
    """Probability of 0, 1, ..., n_max purchases in (T, T + horizon], given the history; mean over the draws.

    Arguments as for `discounted_expected_purchases`; a finite horizon.

    Returns
    -------
    (n_rows, n_max + 1) array; what a row lacks to 1 is the probability of more than `n_max`
    """
    x, T = as_rows(x), as_rows(T)
    horizon = np.broadcast_to(np.asarray(horizon, dtype=np.float64), x.shape)
    # Rows next to each other that differ in t_x alone share their counts.
    starts = np.ones(len(x), dtype=bool)
    starts[1:] = (np.diff(x) != 0) | (np.diff(T) != 0) | (horizon[1:] != horizon[:-1])
    x, T, horizon = x[starts], T[starts], horizon[starts]
    total = np.zeros((len(x), n_max + 1))
    draws = _as_draws(theta)
    for r, alpha in draws:
        # BG/NBD of customers who never leave: a = 0, b whatever.
        total += counts_of_rows(horizon / (alpha + T), r + x, 0.0, np.ones(len(x)), n_max, 1, 0)
    return np.asarray((total / len(draws))[np.cumsum(starts) - 1])


def discount_moments(horizon: float, delta: float, n_rows: int, counts: Floats) -> DiscountMoments:
    """Moments of the discounts of `counts` purchases in (T, T + horizon], given as many.

    Given lambda, and so without it, the times of k purchases are uniform on the horizon and independent.

    Parameters
    ----------
    horizon : float
        Finite, in the time unit of `T`.
    delta : float
        Continuous rate per time unit, > 0.
    n_rows : int
        All alike.
    counts : (n_counts,) array
        0 or >= 1; need not be whole.

    Returns
    -------
    DiscountMoments
        Of one part.
    """
    some = counts > 0
    once, twice = mean_discount(delta * horizon), mean_discount(2.0 * delta * horizon)
    k = np.where(some, counts, 1.0)
    moments = np.ones_like(k), once, twice, (twice + (k - 1.0) * once * once) / k
    shape = n_rows, 1, len(k)
    return DiscountMoments(*(np.broadcast_to(np.where(some, moment, 1.0), shape) for moment in moments))


def as_pareto_nbd(theta: npt.ArrayLike) -> Floats:
    """Pareto/NBD's (n_draws, 4) parameters of customers who never leave: s = 0, beta whatever."""
    draws = _as_draws(theta)
    return np.column_stack((draws, np.zeros(len(draws)), np.ones(len(draws))))


def _as_draws(theta: npt.ArrayLike) -> Floats:
    return np.ascontiguousarray(theta, dtype=np.float64).reshape(-1, 2)
