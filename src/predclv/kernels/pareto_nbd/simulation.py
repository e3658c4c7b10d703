"""Simulated totals of Pareto/NBD: every customer's future once per parameter draw.

Exact, and cheap for the many who buy nothing: one uniform decides whether the customer is alive and would make a
purchase within the horizon if nothing took them away, and the same number, rescaled, gives the time s of that purchase.
The lifetime is Lomax(s, beta + T), independent of purchases; where it is longer than that, lambda is
Gamma(r + x + 1, alpha + T + s) from there on.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from predclv.kernels.pareto_nbd.forecast import p_alive
from predclv.kernels.random_streams import gamma as draw_gamma
from predclv.kernels.random_streams import uniform
from predclv.kernels.simulated_totals import end_of_horizon, simulate_draws

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
    theta: FloatArray,
    theta_spend: FloatArray,
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
    theta : (n_draws, 4) array
        r, alpha, s, beta.
    theta_spend : (n_draws, 3) or (n_draws, 0) array
        p, q, gamma, paired with `theta`; without columns, values are 0.
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
    rows = x, t_x, T, mean_spend, margin, segment
    about = n_segments, end_of_horizon(horizon, delta), delta, theta, theta_spend, seed, first_purchase, first_draw
    return simulate_draws(_simulate_draw, p_alive, rows, *about)


@njit(cache=True, error_model="numpy")
def _simulate_draw(  # type: ignore[no-untyped-def]
    rows, alive, of_row, segment, n_segments, horizon, delta, theta, spend, first_purchase, state
):
    r, alpha, s_shape, beta = theta[0], theta[1], theta[2], theta[3]
    p, q, gamma = spend[0], spend[1], spend[2]
    purchases, value = np.zeros(n_segments), np.zeros(n_segments)
    x, T, mean_spend, margin = rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3]
    silent = some = 0.0
    for i in range(rows.shape[0]):
        shape, rate = r + x[i], alpha + T[i]
        if i == 0 or of_row[i] != of_row[i - 1]:
            some = -np.expm1(-shape * np.log1p(horizon / rate))
            silent = 1.0 - alive[of_row[i]] * some
        u = uniform(state)
        if u < silent and not first_purchase:
            continue
        nu = draw_gamma(state, q + p * x[i]) / (gamma + x[i] * mean_spend[i]) if p > 0.0 else np.inf
        worth = 0.0
        if first_purchase and p > 0.0:
            worth = draw_gamma(state, p)
        if u >= silent:
            # (u - silent) / (1 - silent) is uniform: the first purchase's place among those within the horizon.
            within = (u - silent) / (1.0 - silent) * some
            s = rate * np.expm1(-np.log1p(-within) / shape)
            lifetime = (beta + T[i]) * np.expm1(-np.log(uniform(state)) / s_shape)
            end = min(lifetime, horizon)
            if s <= end:
                intensity = draw_gamma(state, shape + 1.0) / (rate + s)
                while s <= end:
                    purchases[segment[i]] += 1.0
                    if p > 0.0:
                        worth += draw_gamma(state, p) * (np.exp(-delta * s) if delta > 0.0 else 1.0)
                    s -= np.log(uniform(state)) / intensity
        value[segment[i]] += margin[i] * worth / nu
    return purchases, value
