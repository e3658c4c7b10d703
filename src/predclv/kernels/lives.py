"""Customers' lives told forwards, one by one: the independent truth that estimates and forecasts are tested on.

A customer buys at time 0 and then after every k-th event of a Poisson process; leaves at the end of a lifetime, and
also after any purchase (after the first one, where `dropout_at_first`) with some probability. BG/NBD and its family
have endless lifetimes, Pareto/NBD has no dropout at purchases. Amounts are gamma, independent of the times.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["simulate_histories", "simulate_log"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@njit(cache=True, error_model="numpy")
def _next_gap(generator: np.random.Generator, rate: float, k: int) -> float:
    # A rate of zero gives an infinite gap.
    return (generator.standard_exponential() if k == 1 else generator.standard_gamma(k)) / rate


@njit(cache=True, error_model="numpy")
def simulate_log(
    generator: np.random.Generator,
    length: FloatArray,
    rate: FloatArray,
    dropout: FloatArray,
    lifetime: FloatArray,
    spend_rate: FloatArray,
    spend_shape: float,
    k: int,
    dropout_at_first: bool,
) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
    """Simulate every purchase.

    Parameters
    ----------
    generator : numpy.random.Generator
    length : (n_customers,) array
        Time from the first purchase to the end of the simulation.
    rate, dropout, lifetime, spend_rate : (n_customers,) arrays
        Events per time; probability to leave at a purchase; time to live (may be infinite); rate of the gamma of
        amounts.
    spend_shape : float
        Shape of the gamma of amounts.
    k : int
        Events to a purchase.
    dropout_at_first : bool

    Returns
    -------
    customer, time, amount : (n_purchases,) arrays
        By customer, then time; time is since the customer's first purchase.
    left : (n_customers,) array
        Time of leaving, infinite for who is there at the end.
    """
    capacity = 4 * len(length) + 16
    customer, time, amount = np.empty(capacity, np.int64), np.empty(capacity), np.empty(capacity)
    left, n = np.full(len(length), np.inf), 0
    for i in range(len(length)):
        at = 0.0
        while True:
            if n == len(customer):
                grown = 2 * n
                customer, old_customer = np.empty(grown, np.int64), customer
                time, old_time = np.empty(grown), time
                amount, old_amount = np.empty(grown), amount
                customer[:n], time[:n], amount[:n] = old_customer, old_time, old_amount
            customer[n], time[n] = i, at
            amount[n] = generator.standard_gamma(spend_shape) / spend_rate[i]
            n += 1
            if (at > 0.0 or dropout_at_first) and generator.random() < dropout[i]:
                left[i] = at
                break
            at += _next_gap(generator, rate[i], k)
            if not at <= min(length[i], lifetime[i]):
                if lifetime[i] <= length[i]:
                    left[i] = lifetime[i]
                break
    return customer[:n], time[:n], amount[:n], left


@njit(cache=True, error_model="numpy")
def simulate_histories(
    generator: np.random.Generator,
    T: FloatArray,
    rate: FloatArray,
    dropout: FloatArray,
    lifetime: FloatArray,
    spend_rate: FloatArray,
    spend_shape: float,
    k: int,
    dropout_at_first: bool,
    horizons: FloatArray,
    delta: float,
) -> tuple[IntArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Simulate what a summary tells at age T, and what comes within some horizons after it.

    Parameters
    ----------
    T : (n_customers,) array
        Age.
    horizons : (n_horizons,) array
        Increasing, finite.
    delta : float
        Continuous discount rate per time.
    generator, rate, dropout, lifetime, spend_rate, spend_shape, k, dropout_at_first
        As in `simulate_log`.

    Returns
    -------
    x, t_x, spend : (n_customers,) arrays
        Repeat purchases to T, time of the last one, and their money.
    left : (n_customers,) array
        Time of leaving, infinite for who is there at the end.
    purchases, future_spend, value : (n_horizons, n_customers) arrays
        Within each horizon; `value` is discounted to T.
    log_itt : (n_customers,) array
        Sum of the logarithms of the times between the purchases to T.
    """
    n, n_horizons = len(T), len(horizons)
    x, t_x, spend, left = np.zeros(n, np.int64), np.zeros(n), np.zeros(n), np.full(n, np.inf)
    purchases, future_spend = np.zeros((n_horizons, n)), np.zeros((n_horizons, n))
    value, log_itt = np.zeros((n_horizons, n)), np.zeros(n)
    longest = horizons[-1] if n_horizons else 0.0
    for i in range(n):
        end = T[i] + longest
        at, gone = 0.0, dropout_at_first and generator.random() < dropout[i]
        while not gone:
            at += _next_gap(generator, rate[i], k)
            if not at <= min(end, lifetime[i]):
                break
            amount = generator.standard_gamma(spend_shape) / spend_rate[i]
            if at <= T[i]:
                x[i] += 1
                log_itt[i] += np.log(at - t_x[i])
                t_x[i] = at
                spend[i] += amount
            else:
                for h in range(n_horizons - 1, -1, -1):
                    if at - T[i] > horizons[h]:
                        break
                    purchases[h, i] += 1.0
                    future_spend[h, i] += amount
                    value[h, i] += amount * np.exp(-delta * (at - T[i]))
            gone = generator.random() < dropout[i]
        if gone:
            left[i] = at
        elif lifetime[i] <= end:
            left[i] = lifetime[i]
    return x, t_x, spend, left, purchases, future_spend, value, log_itt
