"""How far k future purchases of a Pareto/NBD customer are discounted, given that there are k.

Given a lifetime tau after T, cut at the horizon, the times of k purchases are uniform on (0, tau) and independent,
whatever lambda was. Given X = k, the density of the lifetime is its weight in `counts` times NB_k(tau).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels.discounting import DiscountMoments, mean_discount
from predclv.kernels.pareto_nbd.counts import lifetimes

__all__ = ["discount_moments", "fill_row", "lifetime_edges"]

Floats = npt.NDArray[np.float64]
# Where the spread of the discount matters, lifetimes are split at these values of delta * tau.
_CUTS = (0.7, 1.75)
# Terms below exp(-40) of the largest are left out.
_NEGLIGIBLE = 40.0


def discount_moments(
    x: Floats, T: Floats, horizon: float, delta: float, theta: Floats, counts: Floats
) -> DiscountMoments:
    """Moments of the discounts of `counts` purchases in (T, T + horizon], given as many and alive at T.

    Parameters
    ----------
    x, T : (n_rows,) arrays
    horizon : float
        Finite, in the time unit of `T`.
    delta : float
        Continuous rate per time unit, > 0.
    theta : (4,) array
        r, alpha, s, beta.
    counts : (n_counts,) array
        0 or >= 1; need not be whole, so that a block of counts can be represented by its middle.

    Returns
    -------
    DiscountMoments
        Part 0 is of those who live to the horizon; the others left before, split by when where the horizon is long.
    """
    edges = lifetime_edges(horizon, delta)
    r, alpha, s, beta = (float(value) for value in theta)
    counts = np.ascontiguousarray(counts, dtype=np.float64)
    moments = np.zeros((4, len(x), len(edges), len(counts)))
    for i in range(len(x)):
        fill_row(moments[:, i], counts, r + x[i], alpha + T[i], s, beta + T[i], edges, delta)
    return DiscountMoments(*moments)


def lifetime_edges(horizon: float, delta: float) -> Floats:
    """Times that part lifetimes within the horizon, from 0 to the horizon."""
    return np.array([0.0, *(cut / delta for cut in _CUTS if cut / delta < horizon), horizon])


@njit(cache=True, error_model="numpy")
def fill_row(out: Floats, counts: Floats, m: float, A: float, s: float, B: float, edges: Floats, delta: float) -> None:
    """Fill (4, n_parts, n_counts)."""
    tau, weight, part = lifetimes(m, A, s, B, edges, counts.max())
    n_parts = len(edges)
    log_z, log_weight, discounts = np.empty(len(tau)), np.empty(len(tau)), np.empty((len(tau), 3))
    for i in range(len(tau)):
        log_growth = math.log1p(tau[i] / A)
        log_z[i] = math.log(tau[i] / A) - log_growth
        log_weight[i] = math.log(weight[i]) - m * log_growth
        discounts[i, 0], discounts[i, 1] = mean_discount(delta * tau[i]), mean_discount(2.0 * delta * tau[i])
        discounts[i, 2] = discounts[i, 0] * discounts[i, 0]
    sums, log_terms = np.empty((n_parts, 4)), np.empty(len(tau))
    for c in range(len(counts)):
        k, largest = counts[c], -np.inf
        if k == 0.0:
            out[0, 0, c] = 1.0
            out[1:, :, c] = 1.0
            continue
        for i in range(len(tau)):
            log_terms[i] = log_weight[i] + k * log_z[i]
            largest = max(largest, log_terms[i])
        sums[:] = 0.0
        for i in range(len(tau)):
            if log_terms[i] > largest - _NEGLIGIBLE:
                term = math.exp(log_terms[i] - largest)
                sums[part[i], 0] += term
                for j in range(3):
                    sums[part[i], j + 1] += term * discounts[i, j]
        total = sums[:, 0].sum()
        for j in range(n_parts):
            mass = sums[j, 0]
            out[0, j, c] = mass / total
            if mass > 0.0:
                once, twice, both = sums[j, 1:] / mass
                out[1, j, c] = once
                out[2, j, c] = twice
                out[3, j, c] = (twice + (k - 1.0) * both) / k
            else:
                out[1:, j, c] = 1.0
