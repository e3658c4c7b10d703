"""Predictive distribution of a customer's value, parameter uncertainty included; no Monte Carlo.

Given alive and in stage j, V / (gamma + x m) depends on (x, T) and the parameters alone, so with the i-th draw

    P(V > v) = mean over i of sum over j of P_i(alive, j | x, t_x, T) S_ij(v / (gamma_i + x m); x, T).

Most models have one stage; with k events to a purchase there are k. The survival functions S_ij are tabulated at nodes
of a lattice in log(1 + T / alpha) and interpolated between them. The lattice is the model's, not the data's: a row's
result does not depend on the other rows. Where ages are counted they are the nodes themselves.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from predclv.forecast.bindings import TransactionBindings
from predclv.forecast.value_tables import ValueTables, discount_moments, shares, stage_pmf
from predclv.kernels.value_distribution import TAIL, components, count_blocks

__all__ = ["REMAINING_SHARE", "finite_horizon", "value_cdf", "value_quantiles"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Share of the expected value that the distribution over an infinite horizon may leave out.
REMAINING_SHARE = 1e-3

_MOST_COUNTS = 1 << 17


def finite_horizon(horizon: float, delta: float) -> float:
    """Horizon that the distribution is computed for: finite as given, else where `REMAINING_SHARE` of value is left.

    Expected purchases of these models never speed up, so at most exp(-delta t) of the value lies beyond t.
    """
    return horizon if math.isfinite(horizon) else -math.log(REMAINING_SHARE) / delta


def value_quantiles(
    bindings: TransactionBindings,
    theta_transactions: FloatArray,
    theta_spend: FloatArray,
    x: FloatArray,
    t_x: FloatArray,
    T: FloatArray,
    mean_spend: FloatArray,
    horizon: float,
    delta: float,
    levels: ArrayLike,
    *,
    first_purchase: bool = False,
    tables: ValueTables | None = None,
) -> FloatArray:
    """Quantiles of discounted spend in (T, T + horizon], given each history.

    Parameters
    ----------
    bindings : TransactionBindings
    theta_transactions : (n_draws, n_parameters) array
    theta_spend : (n_draws, 3) array
        p, q, gamma; paired with `theta_transactions` by row.
    x, t_x, T, mean_spend : (n_rows,) arrays
    horizon : float
        In the time unit of `T`; infinite only with `delta` > 0, see `finite_horizon`.
    delta : float
        Continuous rate per time unit; 0 gives the distribution of revenue.
    levels : (n_levels,) array
        In (0, 1); up to 0.9999 the far tail of the counts plays no part.
    first_purchase : bool
        Add an undiscounted purchase at time 0 with the same customer's spend: a new customer, x = 0.
    tables : ValueTables, optional
        Of the same parameters, horizon, rate and first purchase, kept from an earlier call.

    Returns
    -------
    (n_rows, n_levels) array
        The smallest value whose distribution function reaches the level; 0 where that is already so at 0.

    Notes
    -----
    Customers are worked by x, so ten thousand rows at once cost less than ten thousand calls. A row's quantiles depend
    on that row alone, bit for bit.
    """
    x, t_x, T, mean_spend = (np.asarray(column, dtype=np.float64) for column in (x, t_x, T, mean_spend))
    levels = np.atleast_1d(np.asarray(levels, dtype=np.float64))
    if tables is None:
        until = finite_horizon(horizon, delta)
        tables = ValueTables(bindings, theta_transactions, theta_spend, until, delta, first_purchase)
    return tables.quantiles(x, t_x, T, mean_spend, levels)


def value_cdf(
    bindings: TransactionBindings,
    theta_transactions: FloatArray,
    theta_spend: FloatArray,
    x: FloatArray,
    t_x: FloatArray,
    T: FloatArray,
    mean_spend: FloatArray,
    horizon: float,
    delta: float,
    values: FloatArray,
    *,
    first_purchase: bool = False,
) -> FloatArray:
    """P(value <= values), evaluated directly: every count by itself, no table, no interpolation.

    Parameters
    ----------
    bindings, ..., delta, first_purchase
        As in `value_quantiles`.
    values : (n_rows, n_values) array

    Returns
    -------
    (n_rows, n_values) array
        Exact for `delta` 0; else exact but for the gamma that stands for the discounted sum of k spends.
    """
    from scipy.special import betainc

    theta, spend = np.atleast_2d(theta_transactions), np.atleast_2d(theta_spend)
    horizon = finite_horizon(horizon, delta)
    out = np.zeros(values.shape)
    for i in range(x.shape[0]):
        row = x[i : i + 1], T[i : i + 1]
        share = shares(bindings, x[i : i + 1], t_x[i : i + 1], T[i : i + 1], theta, first_purchase)[0]
        for d in range(theta.shape[0]):
            p, q, gamma = spend[d]
            u = np.maximum(values[i], 0.0) / (gamma + x[i] * mean_spend[i])
            exceeded = np.zeros_like(u)
            for stage, probability in enumerate(share[d]):
                pmf = _whole_pmf(bindings, row, horizon, theta[d], stage)
                blocks = count_blocks(pmf.shape[1] - 1, math.inf)
                moments = discount_moments(bindings, row, horizon, delta, theta[d], blocks, stage)
                weight, shape, scale = components(pmf[0], blocks, moments[:, 0], p, first_purchase)
                scaled = u[:, np.newaxis] / scale
                below = betainc(shape, q + p * x[i], scaled / (1 + scaled)) @ weight
                exceeded += probability * (weight.sum() - below)
            out[i] += np.where(values[i] >= 0, 1 - exceeded, 0.0)
    return np.asarray(out / theta.shape[0])


def _whole_pmf(
    bindings: TransactionBindings, rows: tuple[FloatArray, FloatArray], horizon: float, theta: FloatArray, stage: int
) -> FloatArray:
    """Probabilities of the counts up to where less than `TAIL` is left."""
    n_max = 32
    while True:
        pmf = stage_pmf(bindings, rows, horizon, theta, n_max, stage)
        if n_max >= _MOST_COUNTS or (1.0 - pmf.sum(axis=1)).max() < TAIL:
            return pmf
        n_max *= 2
