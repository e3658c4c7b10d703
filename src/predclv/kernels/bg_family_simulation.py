"""Simulated totals of the BG models with k = 1: every customer's future once per parameter draw.

Exact, and cheap for the many who buy nothing: one uniform decides whether there is a purchase at all, and the
same number, rescaled, gives its time. From then on lambda ~ Gamma(r + x + 1, alpha + T + s), and dropout after
the j-th purchase has probability a / (a + b + n + j - 1) by Polya's urn, so no p is drawn.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["simulate_totals"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# An infinite horizon is cut where a purchase is worth this share of its price.
_NEGLIGIBLE = 1e-5


def simulate_totals(
    x: FloatArray,
    t_x: FloatArray,
    T: FloatArray,
    mean_spend: FloatArray,
    margin: FloatArray,
    segment: IntArray,
    n_segments: int,
    horizon: float,
    delta: float,
    theta_transactions: FloatArray,
    theta_spend: FloatArray,
    dropout_at_first: bool,
    seed: int,
    first_purchase: bool = False,
    *,
    first_draw: int = 0,
) -> tuple[FloatArray, FloatArray]:
    """Simulate every customer's purchases and their discounted value in (T, T + horizon], once per draw.

    Parameters
    ----------
    x, t_x, T, mean_spend, margin : (n_rows,) arrays
    segment : (n_rows,) int64 array
        Segment of each customer, from 0 to n_segments - 1.
    horizon : float
        May be infinite where `delta` > 0: cut where exp(-delta t) is 1e-5.
    delta : float
        Continuous rate per time unit.
    theta_transactions : (n_draws, 4) array
        r, alpha, a, b.
    theta_spend : (n_draws, 3) or (n_draws, 0) array
        p, q, gamma, paired with `theta_transactions`; without columns, values are 0.
    dropout_at_first : bool
        Whether a customer can leave right after the first purchase (MBG/NBD).
    seed : int
    first_purchase : bool
        Add a purchase at time 0 to every value; it is not counted in the purchases.
    first_draw : int
        Number of the first draw: calls on parts of the draws give the rows of one call on all.

    Returns
    -------
    purchases, value : (n_draws, n_segments) arrays

    Notes
    -----
    Memory grows with draws times segments alone. Every draw has its own random stream, keyed by seed and number.
    """
    if not np.isfinite(horizon):
        horizon = -math.log(_NEGLIGIBLE) / delta
    n_draws = theta_transactions.shape[0]
    purchases, value = np.zeros((n_draws, n_segments)), np.zeros((n_draws, n_segments))
    # Customers of one history next to each other share its probabilities. The rest of the order makes the random
    # numbers those of the row's content, so that totals do not depend on how the customers came.
    order = np.lexsort((segment, margin, mean_spend, t_x, T, x))
    sorted_rows = np.column_stack((x, t_x, T, mean_spend, margin)).astype(np.float64)[order]
    codes = np.asarray(segment, dtype=np.int64)[order]
    no_spend = np.zeros(3)
    for d in range(n_draws):
        spend = theta_spend[d] if theta_spend.shape[1] else no_spend
        state = np.random.SeedSequence([seed, first_draw + d]).generate_state(4, np.uint64)
        purchases[d], value[d] = _simulate_draw(
            sorted_rows, codes, n_segments, horizon, delta, theta_transactions[d], spend, bool(dropout_at_first),
            bool(first_purchase), state,
        )  # fmt: skip
    return purchases, value


@njit(cache=True, error_model="numpy")
def _simulate_draw(  # type: ignore[no-untyped-def]
    rows, segment, n_segments, horizon, delta, theta, spend, at_first, first_purchase, state
):
    r, alpha, a, b = theta[0], theta[1], theta[2], theta[3]
    p, q, gamma = spend[0], spend[1], spend[2]
    purchases, value = np.zeros(n_segments), np.zeros(n_segments)
    x, t_x, T, mean_spend, margin = rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3], rows[:, 4]
    silent = log_none = 0.0
    for i in range(rows.shape[0]):
        shape, rate, dropouts = r + x[i], alpha + T[i], x[i] + (1.0 if at_first else 0.0)
        if i == 0 or x[i] != x[i - 1] or T[i] != T[i - 1] or t_x[i] != t_x[i - 1]:
            # Fader, Hardie & Lee (2008), P(alive): the odds of having left after the last purchase.
            odds = 0.0
            if dropouts > 0.0:
                odds = a / (b + dropouts - 1.0) * np.exp(shape * (np.log(rate) - np.log(alpha + t_x[i])))
            alive = 1.0 / (1.0 + odds)
            log_none = -shape * np.log1p(horizon / rate)
            silent = 1.0 - alive + alive * np.exp(log_none)
        u = _uniform(state)
        if u < silent and not first_purchase:
            continue
        nu = _gamma(state, q + p * x[i]) / (gamma + x[i] * mean_spend[i]) if p > 0.0 else np.inf
        worth = 0.0
        if first_purchase and p > 0.0:
            worth = _gamma(state, p)
        if u >= silent:
            # (u - silent) / (1 - silent) is uniform: the first purchase's place among those within the horizon.
            within = (u - silent) / (1.0 - silent) * -np.expm1(log_none)
            s = rate * np.expm1(-np.log1p(-within) / shape)
            intensity = _gamma(state, shape + 1.0) / (rate + s)
            n = 0
            while s <= horizon:
                n += 1
                if p > 0.0:
                    worth += _gamma(state, p) * (np.exp(-delta * s) if delta > 0.0 else 1.0)
                if _uniform(state) * (a + b + dropouts + n - 1.0) < a:
                    break
                s -= np.log(_uniform(state)) / intensity
            purchases[segment[i]] += n
        value[segment[i]] += margin[i] * worth / nu
    return purchases, value


@njit(cache=True, error_model="numpy", inline="always")
def _uniform(state):  # type: ignore[no-untyped-def]
    """Uniform on (0, 1), never an end; xoshiro256++ of Blackman & Vigna (2021)."""
    total = state[0] + state[3]
    result = ((total << np.uint64(23)) | (total >> np.uint64(41))) + state[0]
    shifted = state[1] << np.uint64(17)
    state[2] ^= state[0]
    state[3] ^= state[1]
    state[1] ^= state[2]
    state[0] ^= state[3]
    state[2] ^= shifted
    state[3] = (state[3] << np.uint64(45)) | (state[3] >> np.uint64(19))
    return (np.float64(result >> np.uint64(12)) + 0.5) * 2.0**-52


@njit(cache=True, error_model="numpy")
def _normal(state):  # type: ignore[no-untyped-def]
    """Marsaglia's polar method, one of the pair."""
    while True:
        u, v = 2.0 * _uniform(state) - 1.0, 2.0 * _uniform(state) - 1.0
        square = u * u + v * v
        if 0.0 < square < 1.0:
            return u * np.sqrt(-2.0 * np.log(square) / square)


@njit(cache=True, error_model="numpy")
def _gamma(state, shape):  # type: ignore[no-untyped-def]
    """Gamma(shape, 1); Marsaglia & Tsang (2000), with their power of a uniform for shapes below one."""
    boost = 1.0
    if shape < 1.0:
        boost = np.exp(np.log(_uniform(state)) / shape)
        shape += 1.0
    d = shape - 1.0 / 3.0
    c = 1.0 / np.sqrt(9.0 * d)
    while True:
        z = _normal(state)
        v = 1.0 + c * z
        if v <= 0.0:
            continue
        v = v * v * v
        u = _uniform(state)
        if u < 1.0 - 0.0331 * z * z * z * z or np.log(u) < 0.5 * z * z + d * (1.0 - v + np.log(v)):
            return d * v * boost
