"""How far k future purchases of a BG/BB customer are discounted, given that there are k.

Given that a customer is there for exactly j of the next opportunities and uses k of them, which ones is a matter of
chance: each set of k is as likely as another, whatever p was. Given k, the weight of j is that of being there so long
times the beta-binomial probability of k (`forecast`).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels.bg_bb.forecast import opportunities_within
from predclv.kernels.discounting import DiscountMoments

__all__ = ["discount_moments"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
# Where the spread of the discount matters, those who leave are split at these values of delta * j.
_CUTS = (0.7, 1.75)
_LARGE = 1e200


def discount_moments(
    x: Floats, T: Floats, horizon: float, delta: float, theta: Floats, counts: Floats
) -> DiscountMoments:
    """Moments of the discounts of `counts` purchases within the horizon, given as many and there at T + 1.

    Parameters
    ----------
    x, T : (n_rows,) arrays
    horizon : float
        Opportunities ahead, finite.
    delta : float
        Continuous rate an opportunity, > 0; the purchase at T + j is worth exp(-delta j).
    theta : (4,) array
        alpha, beta, gamma, delta of the model.
    counts : (n_counts,) array
        0 or >= 1; need not be whole, so that a block of counts can be represented by its middle.

    Returns
    -------
    DiscountMoments
        Part 0 is of those who are there to the end; the others left before, split by when where the horizon is long.
        A count beyond the opportunities has no share but that of part 0, all of them used.
    """
    m = int(opportunities_within(horizon))
    cuts = np.array([cut / delta for cut in _CUTS if cut / delta < m])
    part = 1 + np.searchsorted(cuts, np.arange(1, m + 1)).astype(np.int64)
    discounts = _tabulate(m, delta)
    counts = np.ascontiguousarray(counts, dtype=np.float64)
    point = np.ascontiguousarray(theta, dtype=np.float64)
    moments = np.zeros((4, len(x), len(cuts) + 2, len(counts)))
    for i in range(len(x)):
        _fill_row(moments[:, i], counts, float(x[i]), float(T[i]), point, part, discounts)
    return DiscountMoments(*moments)


def _tabulate(m: int, delta: float) -> Floats:
    """Mean discount of the first j opportunities, its square's mean, and that of two different ones, (3, m)."""
    j = np.arange(1, m + 1, dtype=np.float64)
    once, twice = (np.exp(-rate) * np.expm1(-rate * j) / np.expm1(-rate) / j for rate in (delta, 2.0 * delta))
    pair = np.ones(m)
    pair[1:] = (j * once**2 - twice)[1:] / (j - 1.0)[1:]
    table: Floats = np.stack([once, twice, pair])
    return table


@njit(cache=True, error_model="numpy")
def _fill_row(out: Floats, counts: Floats, x: float, T: float, theta: Floats, part: Indices, discounts: Floats) -> None:
    """Fill (4, n_parts, n_counts)."""
    alpha, beta, gamma, delta = theta
    A, B, D = alpha + x, beta + T - x, delta + T + 1.0
    m, n_parts = len(part), out.shape[1]
    there = np.ones(m + 1)
    for j in range(1, m):
        there[j + 1] = there[j] * ((D + j - 1.0) / (gamma + D + j - 1.0))
    sums = np.empty((n_parts, 4))
    for c in range(len(counts)):
        k = counts[c]
        first = math.ceil(k)
        if k == 0.0 or first > m:
            worth = 1.0 if k == 0.0 else discounts[0, m - 1]
            out[0, 0, c] = 1.0
            out[1, :, c], out[2, :, c] = worth, 1.0 if k == 0.0 else discounts[1, m - 1]
            out[3, :, c] = worth * worth
            continue
        sums[:] = 0.0
        term = 1.0
        for j in range(first, m + 1):
            weight = term * there[j] * (gamma / (gamma + D + j - 1.0) if j < m else 1.0)
            at = part[j - 1] if j < m else 0
            once, twice, pair = discounts[0, j - 1], discounts[1, j - 1], discounts[2, j - 1]
            sums[at, 0] += weight
            sums[at, 1] += weight * once
            sums[at, 2] += weight * twice
            sums[at, 3] += weight * pair
            # Of the beta-binomial of k, from j opportunities to j + 1.
            term *= (j + 1.0) / (j + 1.0 - k) * ((B + j - k) / (A + B + j))
            if term > _LARGE:
                term /= _LARGE
                sums /= _LARGE
        total = sums[:, 0].sum()
        for at in range(n_parts):
            mass = sums[at, 0]
            out[0, at, c] = mass / total
            if mass > 0.0:
                out[1, at, c], out[2, at, c] = sums[at, 1] / mass, sums[at, 2] / mass
                out[3, at, c] = (sums[at, 2] + (k - 1.0) * sums[at, 3]) / (k * mass)
            else:
                out[1:, at, c] = 1.0
