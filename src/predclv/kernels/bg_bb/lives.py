"""BG/BB customers' lives told opportunity by opportunity: the independent truth that forecasts are tested on.

A customer buys at opportunity 0. Before each later one they leave with some probability, and while there buy with
another. Amounts are gamma, independent of all that.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["simulate_histories", "simulate_log"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@njit(cache=True, error_model="numpy")
def simulate_log(
    generator: np.random.Generator,
    length: IntArray,
    buying: FloatArray,
    leaving: FloatArray,
    spend_rate: FloatArray,
    spend_shape: float,
) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Simulate every purchase.

    Parameters
    ----------
    generator : numpy.random.Generator
    length : (n_customers,) int array
        Opportunities after the first purchase.
    buying, leaving, spend_rate : (n_customers,) arrays
        Probabilities of using an opportunity, and of leaving before one; rate of the gamma of amounts.
    spend_shape : float
        Shape of the gamma of amounts.

    Returns
    -------
    customer, opportunity, amount : (n_purchases,) arrays
        By customer, then opportunity; the first purchase is at 0.
    left : (n_customers,) array
        The first opportunity that the customer was not there for; infinite for who is there at the end.
    """
    capacity = len(length) + int(length.sum())
    customer, opportunity, amount = np.empty(capacity, np.int64), np.empty(capacity, np.int64), np.empty(capacity)
    left, n = np.full(len(length), np.inf), 0
    for i in range(len(length)):
        for number in range(length[i] + 1):
            if number > 0:
                if generator.random() < leaving[i]:
                    left[i] = number
                    break
                if generator.random() >= buying[i]:
                    continue
            customer[n], opportunity[n] = i, number
            amount[n] = generator.standard_gamma(spend_shape) / spend_rate[i]
            n += 1
    return customer[:n], opportunity[:n], amount[:n], left


@njit(cache=True, error_model="numpy")
def simulate_histories(
    generator: np.random.Generator,
    T: FloatArray,
    buying: FloatArray,
    leaving: FloatArray,
    spend_rate: FloatArray,
    spend_shape: float,
    horizons: FloatArray,
    delta: float,
) -> tuple[IntArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Simulate what a summary tells after T opportunities, and what comes within some horizons after them.

    Parameters
    ----------
    T : (n_customers,) array
        Opportunities had, whole.
    horizons : (n_horizons,) array
        Opportunities ahead, whole and increasing.
    delta : float
        Continuous discount rate an opportunity.
    generator, buying, leaving, spend_rate, spend_shape
        As in `simulate_log`.

    Returns
    -------
    x, t_x, spend : (n_customers,) arrays
        Opportunities used, the last one used, and the money of these.
    left : (n_customers,) array
        As in `simulate_log`.
    purchases, future_spend, value : (n_horizons, n_customers) arrays
        Within each horizon; `value` is discounted, the purchase at T + j by exp(-delta j).
    """
    n, n_horizons = len(T), len(horizons)
    x, t_x, spend, left = np.zeros(n, np.int64), np.zeros(n), np.zeros(n), np.full(n, np.inf)
    purchases, future_spend = np.zeros((n_horizons, n)), np.zeros((n_horizons, n))
    value = np.zeros((n_horizons, n))
    longest = horizons[-1] if n_horizons else 0.0
    for i in range(n):
        for number in range(1, int(T[i] + longest) + 1):
            if generator.random() < leaving[i]:
                left[i] = number
                break
            if generator.random() >= buying[i]:
                continue
            amount = generator.standard_gamma(spend_shape) / spend_rate[i]
            if number <= T[i]:
                x[i] += 1
                t_x[i] = number
                spend[i] += amount
                continue
            ahead = number - T[i]
            for h in range(n_horizons - 1, -1, -1):
                if ahead > horizons[h]:
                    break
                purchases[h, i] += 1.0
                future_spend[h, i] += amount
                value[h, i] += amount * np.exp(-delta * ahead)
    return x, t_x, spend, left, purchases, future_spend, value
