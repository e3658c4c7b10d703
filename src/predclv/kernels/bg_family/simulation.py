"""Simulated totals of the BG family: every customer's future once per parameter draw.

Exact, and cheap for the many who buy nothing: one uniform decides whether there is a purchase at all, and the
same number, rescaled, gives its stage and, for k = 1, its time s. From then on lambda ~ Gamma(r + k (x + 1),
alpha + T + s), and dropout after the i-th purchase has probability a / (a + b + n + i - 1) by Polya's urn, so no p
is drawn.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from predclv.kernels.bg_family.next import fill_buyers, next_purchase
from predclv.kernels.random_streams import gamma, uniform
from predclv.kernels.simulated_totals import end_of_horizon

__all__ = ["simulate_totals"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


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
    k: int = 1,
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
    k : int
        Events of the Poisson process to a purchase.

    Returns
    -------
    purchases, value : (n_draws, n_segments) arrays

    Notes
    -----
    Memory grows with draws times segments alone. Every draw has its own random stream, keyed by seed and number.
    """
    horizon = end_of_horizon(horizon, delta)
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
            sorted_rows, codes, n_segments, horizon, delta, theta_transactions[d], spend, int(k),
            bool(dropout_at_first), bool(first_purchase), state,
        )  # fmt: skip
    return purchases, value


@njit(cache=True, error_model="numpy")
def _simulate_draw(  # type: ignore[no-untyped-def]
    rows, segment, n_segments, horizon, delta, theta, spend, k, at_first, first_purchase, state
):
    r, alpha, a, b = theta[0], theta[1], theta[2], theta[3]
    p, q, rate_of_nu = spend[0], spend[1], spend[2]
    purchases, value, buyers = np.zeros(n_segments), np.zeros(n_segments), np.zeros(k)
    x, t_x, T, mean_spend, margin = rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3], rows[:, 4]
    silent = 1.0
    for i in range(rows.shape[0]):
        dropouts = x[i] + (1.0 if at_first else 0.0)
        if i == 0 or x[i] != x[i - 1] or T[i] != T[i - 1] or t_x[i] != t_x[i - 1]:
            silent = fill_buyers(buyers, x[i], t_x[i], T[i], horizon, theta, k, dropouts)
        u = uniform(state)
        if u < silent and not first_purchase:
            continue
        nu = gamma(state, q + p * x[i]) / (rate_of_nu + x[i] * mean_spend[i]) if p > 0.0 else np.inf
        worth = 0.0
        if first_purchase and p > 0.0:
            worth = gamma(state, p)
        if u >= silent:
            # (u - silent) / (1 - silent) is uniform: the place of the next purchase among those within the horizon.
            s = next_purchase(state, (u - silent) / (1.0 - silent), buyers, x[i], T[i], horizon, theta, k)
            intensity = gamma(state, r + k * (x[i] + 1.0)) / (alpha + T[i] + s)
            n = 0
            while s <= horizon:
                n += 1
                if p > 0.0:
                    worth += gamma(state, p) * (np.exp(-delta * s) if delta > 0.0 else 1.0)
                if uniform(state) * (a + b + dropouts + n - 1.0) < a:
                    break
                s += (-np.log(uniform(state)) if k == 1 else gamma(state, float(k))) / intensity
            purchases[segment[i]] += n
        value[segment[i]] += margin[i] * worth / nu
    return purchases, value
