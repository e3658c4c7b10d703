"""Simulated totals of BG/BB: every customer's future once per parameter draw.

Exact, and cheap for the many who buy nothing: one uniform decides whether the customer buys within the horizon at all,
and the same number, rescaled, at which opportunity first. From there on p is Beta(A + 1, B + j - 1), theta is
Beta(gamma, D + j - 1), and both gaps and the rest of life are geometric.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels.bg_bb.forecast import opportunities_within, p_alive
from predclv.kernels.random_streams import gamma as draw_gamma
from predclv.kernels.random_streams import uniform
from predclv.kernels.simulated_totals import end_of_horizon, simulate_draws

__all__ = ["simulate_totals"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


def simulate_totals(
    x: Floats,
    t_x: Floats,
    T: Floats,
    mean_spend: Floats,
    margin: Floats,
    segment: Indices,
    n_segments: int,
    horizon: float,
    delta: float,
    theta: Floats,
    theta_spend: Floats,
    seed: int,
    first_purchase: bool = False,
    *,
    first_draw: int = 0,
) -> tuple[Floats, Floats]:
    """Simulate every customer's purchases and their discounted value within the horizon, once per draw.

    Parameters
    ----------
    x, t_x, T, mean_spend, margin : (n_rows,) arrays
    segment : (n_rows,) int64 array
        Segment of each customer, from 0 to n_segments - 1.
    horizon : float
        Opportunities ahead; may be infinite where `delta` > 0: cut where exp(-delta j) is 1e-5.
    delta : float
        Continuous rate an opportunity.
    theta : (n_draws, 4) array
        alpha, beta, gamma, delta.
    theta_spend : (n_draws, 3) or (n_draws, 0) array
        p, q, gamma of the spend, paired with `theta`; without columns, values are 0.
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
    # Of an infinite horizon the last opportunity counts whole.
    m = int(opportunities_within(math.ceil(end_of_horizon(horizon, delta)) if np.isinf(horizon) else horizon))
    about = n_segments, m, delta, theta, theta_spend, seed, first_purchase, first_draw
    return simulate_draws(_simulate_draw, p_alive, rows, *about)


@njit(cache=True, error_model="numpy")
def _simulate_draw(  # type: ignore[no-untyped-def]
    rows, alive, of_row, segment, n_segments, m, delta, theta, spend, first_purchase, state
):
    p, q, gamma = spend[0], spend[1], spend[2]
    purchases, value = np.zeros(n_segments), np.zeros(n_segments)
    x, T, mean_spend, margin = rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3]
    # Probability of a first purchase by each opportunity, given there at the next one.
    by = np.zeros(m + 1)
    silent = 0.0
    for i in range(rows.shape[0]):
        A, B, D = theta[0] + x[i], theta[1] + T[i] - x[i], theta[3] + T[i] + 1.0
        if i == 0 or of_row[i] != of_row[i - 1]:
            _fill_first(A, B, theta[2], D, by)
            silent = 1.0 - alive[of_row[i]] * by[m]
        u = uniform(state)
        if u < silent and not first_purchase:
            continue
        nu = draw_gamma(state, q + p * x[i]) / (gamma + x[i] * mean_spend[i]) if p > 0.0 else np.inf
        worth = draw_gamma(state, p) if first_purchase and p > 0.0 else 0.0
        if u >= silent:
            # (u - silent) / (1 - silent) is uniform: the first purchase's place among those within the horizon.
            j = np.searchsorted(by, (u - silent) / (1.0 - silent) * by[m], side="right")
            j = min(max(j, 1), m)
            buys = _draw_beta(state, A + 1.0, B + j - 1.0)
            leaves = _draw_beta(state, theta[2], D + j - 1.0)
            end = min(float(m), j + _draw_failures(state, leaves))
            while j <= end:
                purchases[segment[i]] += 1.0
                if p > 0.0:
                    worth += draw_gamma(state, p) * (np.exp(-delta * j) if delta > 0.0 else 1.0)
                gap = 1.0 + _draw_failures(state, buys)
                if j + gap > end:
                    break
                j += int(gap)
        value[segment[i]] += margin[i] * worth / nu
    return purchases, value


@njit(cache=True, error_model="numpy")
def _fill_first(A: float, B: float, gamma: float, D: float, by: Floats) -> None:
    """Cumulative probabilities of the first purchase, at the latest at each opportunity."""
    there, declined = 1.0, 1.0
    for j in range(1, len(by)):
        by[j] = by[j - 1] + there * declined * (A / (A + B + j - 1.0))
        declined *= (B + j - 1.0) / (A + B + j - 1.0)
        there *= (D + j - 1.0) / (gamma + D + j - 1.0)


@njit(cache=True, error_model="numpy")
def _draw_beta(state, a, b):  # type: ignore[no-untyped-def]
    # One of the shapes is at least 1 here, so that both gammas do not underflow together.
    first = draw_gamma(state, a)
    return first / (first + draw_gamma(state, b))


@njit(cache=True, error_model="numpy")
def _draw_failures(state, p):  # type: ignore[no-untyped-def]
    """Failures before a success of probability p: infinitely many for p = 0, none for p = 1."""
    u = uniform(state)
    if p <= 0.0:
        return np.inf
    return np.floor(np.log(u) / np.log1p(-p)) if p < 1.0 else 0.0
