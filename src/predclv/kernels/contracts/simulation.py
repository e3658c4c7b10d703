"""Simulated renewals of running contracts: every customer's future once per parameter draw."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels.contracts.likelihood import log_drop
from predclv.kernels.random_streams import uniform

__all__ = ["annuity", "simulate_revenue", "simulate_totals"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

# An infinite horizon is cut where a payment is worth this share of its price.
_NEGLIGIBLE = 1e-5


def simulate_totals(
    tenure: Floats,
    n_renewals: Floats,
    next_renewal: Floats,
    worth: Floats,
    segment: Indices,
    n_segments: int,
    rate: float,
    theta: Floats,
    seed: int,
) -> tuple[Floats, Floats]:
    """Simulate every customer's renewals and their discounted value, once per draw.

    Parameters
    ----------
    tenure, n_renewals : (n_customers,) arrays
        Renewals made, and how many come up; 0 for ended contracts, may be infinite where `rate` > 0: then cut where
        exp(-rate t) is 1e-5.
    next_renewal : (n_customers,) array
        Periods to the next renewal.
    worth : (n_customers,) array
        What is kept of a payment.
    segment : (n_customers,) int64 array
        From 0 to n_segments - 1.
    rate : float
        Continuous discount rate per period.
    theta : (n_draws, 3) array
        alpha, beta, c.
    seed : int

    Returns
    -------
    renewals, value : (n_draws, n_segments) arrays

    Notes
    -----
    Totals do not depend on how the customers come. Every draw has its own random stream, keyed by seed and number.
    """
    most = n_renewals if rate == 0.0 else np.minimum(n_renewals, math.ceil(-math.log(_NEGLIGIBLE) / rate))
    order = np.lexsort((segment, worth, next_renewal, most, tenure))
    rows = np.column_stack((tenure, most, next_renewal, worth)).astype(np.float64)[order]
    codes = np.asarray(segment, dtype=np.int64)[order]
    renewals, value = np.zeros((len(theta), n_segments)), np.zeros((len(theta), n_segments))
    for d in range(len(theta)):
        counts = _simulate_draw(rows, theta[d], _state(seed, d))
        renewals[d] = np.bincount(codes, weights=counts, minlength=n_segments)
        paid = rows[:, 3] * np.exp(-rate * rows[:, 2]) * annuity(counts, rate)
        value[d] = np.bincount(codes, weights=paid, minlength=n_segments)
    return renewals, value


def simulate_revenue(tenure: Floats, weight: Floats, n_periods: int, theta: Floats, seed: int) -> tuple[Floats, Floats]:
    """Simulate who still runs after 0, 1, ..., n_periods renewals: customers, and the sum of their weights.

    Parameters
    ----------
    tenure, weight : (n_customers,) arrays
        Of running contracts.

    Returns
    -------
    customers, total : (n_draws, n_periods + 1) arrays
    """
    order = np.lexsort((weight, tenure))
    most = np.full(len(order), float(n_periods))
    rows = np.column_stack((tenure[order], most, most, weight[order])).astype(np.float64)
    customers, total = np.empty((len(theta), n_periods + 1)), np.empty((len(theta), n_periods + 1))
    for d in range(len(theta)):
        counts = _simulate_draw(rows, theta[d], _state(seed, d)).astype(np.int64)
        for out, weights in ((customers, None), (total, rows[:, 3])):
            out[d] = np.cumsum(np.bincount(counts, weights=weights, minlength=n_periods + 1)[::-1])[::-1]
    return customers, total


def annuity(n: Floats, rate: float) -> Floats:
    """Worth, when the first of them is due, of n payments of 1 a period apart."""
    return np.expm1(-rate * n) / math.expm1(-rate) if rate > 0.0 else n


def _state(seed: int, draw: int) -> npt.NDArray[np.uint64]:
    return np.random.SeedSequence([seed, draw]).generate_state(4, np.uint64).astype(np.uint64)


@njit(cache=True, error_model="numpy")
def _simulate_draw(rows: Floats, theta: Floats, state: npt.NDArray[np.uint64]) -> Floats:
    """Renewals of each customer."""
    counts, last = np.zeros(len(rows)), 0
    for i in range(len(rows)):
        last = max(last, int(rows[i, 0] + rows[i, 1]))
    # log S of all times that anyone comes to.
    log_share = np.zeros(last + 1)
    for k in range(last):
        log_share[k + 1] = log_share[k] - log_drop(float(k), 1.0, theta[0], theta[1], theta[2])
    for i in range(len(rows)):
        now, most = int(rows[i, 0]), int(rows[i, 1])
        if most == 0:
            continue
        # As many as there are j with P(at least j) > u: the shares fall.
        least = log_share[now] + math.log(uniform(state))
        low, high = 0, most
        while low < high:
            middle = (low + high) // 2
            if log_share[now + middle + 1] > least:
                low = middle + 1
            else:
                high = middle
        counts[i] = low
    return counts
