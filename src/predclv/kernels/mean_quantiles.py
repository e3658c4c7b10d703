"""Customers' expected values over parameter draws: quantiles and ranges, without a table of draws by customers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["expected_value_quantiles", "expected_value_reaches"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@njit(cache=True, error_model="numpy")
def expected_value_quantiles(
    purchases: Floats, run: Integers, x: Floats, m: Floats, theta: Floats, now: float, ranks: Integers
) -> Floats:
    """Order statistics, over draws, of expected discounted purchases times expected spend.

    Parameters
    ----------
    purchases : (n_draws, n_runs) array
        Expected discounted purchases of each history.
    run : (n_rows,) int64 array
        History of each row.
    x, m : (n_rows,) arrays
        Repeat purchases and their mean spend.
    theta : (n_draws, 3) array
        p, q, gamma; paired with `purchases` by row. Spend as in `gamma_gamma_compiled.expected_spend`.
    now : float
        Undiscounted purchases to add.
    ranks : (n_ranks,) int64 array
        Which values are wanted, from 0 for the smallest.

    Returns
    -------
    (n_rows, n_ranks) array
        NaN where some draw's value is no number: infinite spend times no purchases.
    """
    n_draws = theta.shape[0]
    out, values = np.empty((run.shape[0], ranks.shape[0])), np.empty(n_draws)
    for i in range(run.shape[0]):
        unknown = False
        for d in range(n_draws):
            values[d] = _expected_spend(x[i], m[i], theta[d]) * (purchases[d, run[i]] + now)
            unknown |= np.isnan(values[d])
        for j in range(ranks.shape[0]):
            out[i, j] = np.nan if unknown else _select(values, ranks[j])
    return out


@njit(cache=True, error_model="numpy")
def expected_value_reaches(
    purchases: Floats, run: Integers, x: Floats, m: Floats, theta: Floats, limits: Floats
) -> Floats:
    """Share of the draws in which the expected value is at least as large as each limit.

    Parameters
    ----------
    purchases, run, x, m, theta
        As in `expected_value_quantiles`.
    limits : (n_rows, n_limits) array

    Returns
    -------
    (n_rows, n_limits) array
    """
    n_draws = theta.shape[0]
    out = np.zeros(limits.shape)
    for i in range(run.shape[0]):
        for d in range(n_draws):
            value = _expected_spend(x[i], m[i], theta[d]) * purchases[d, run[i]]
            for j in range(limits.shape[1]):
                if value >= limits[i, j]:
                    out[i, j] += 1.0 / n_draws
    return out


@njit(cache=True, error_model="numpy")
def _expected_spend(x: float, m: float, theta: Floats) -> float:
    excess = theta[0] * x + theta[1] - 1.0
    return float(theta[0] * (theta[2] + x * m) / excess) if excess > 0.0 else np.inf


@njit(cache=True, error_model="numpy")
def _select(values: Floats, rank: int) -> float:
    """The value of a rank, by Hoare's method; reorders the values."""
    low, high = 0, len(values) - 1
    while low < high:
        pivot, i, j = values[(low + high) // 2], low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if rank <= j:
            high = j
        elif rank >= i:
            low = i
        else:
            break
    return float(values[rank])
