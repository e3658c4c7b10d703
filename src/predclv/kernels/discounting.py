"""Discounting: rates, and how far k future purchases are discounted, given that there are k.

Continuous time throughout: a purchase s after the as-of date is worth exp(-delta s). For the BG models with
every event a purchase (`bg_family.discounts` is of the others): given alive at T, lambda ~ Gamma(r + x, alpha + T),
p ~ Beta(a, b + n), and X = k purchases in (T, T + t] come about in one of two ways,

- stayed: exactly k events and no dropout; given lambda the k times are uniform on (0, t);
- left: dropout at the k-th, at time tau; tau / (alpha + T) is BetaPrime(k, r + x) cut at t, and the k - 1
  earlier times are uniform on (0, tau).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "NODES",
    "WEIGHTS",
    "DiscountMoments",
    "continuous_rate",
    "discount_moments",
    "fill_row",
    "leaving_edges",
    "leaving_quadrature",
    "mean_discount",
]

FloatArray = NDArray[np.float64]

_DAYS = {"hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 365.25 / 12, "quarter": 365.25 / 4, "year": 365.25}
NODES, WEIGHTS = np.polynomial.legendre.leggauss(10)
# Where the spread of the discount matters, the dropout time is split at these values of delta * tau.
_CUTS = (0.7, 1.75)


class DiscountMoments(NamedTuple):
    """Moments of k purchases' discounts e_1, ..., e_k given X = k, by how they came about.

    Each an (n_rows, n_parts, n_counts) array.

    Attributes
    ----------
    share : probability of the part given X = k; sums to one over the parts.
    mean : E[sum e / k]
    mean_square : E[sum e^2 / k]
    square_mean : E[(sum e / k)^2]
    """

    share: FloatArray
    mean: FloatArray
    mean_square: FloatArray
    square_mean: FloatArray


def continuous_rate(annual_rate: float, time_unit: str) -> float:
    """Continuous rate per time unit of an effective annual rate; a year is 365.25 days.

    Parameters
    ----------
    annual_rate : float
        0.10 is ten percent a year.
    time_unit : {"hour", "day", "week", "month", "quarter", "year"}
    """
    return math.log1p(annual_rate) * _DAYS[time_unit] / _DAYS["year"]


def discount_moments(
    x: FloatArray,
    T: FloatArray,
    horizon: float,
    delta: float,
    theta: FloatArray,
    counts: FloatArray,
    dropout_at_first: bool = False,
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
        r, alpha, a, b.
    counts : (n_counts,) array
        0 or >= 1; need not be whole, so that a block of counts can be represented by its middle.

    Returns
    -------
    DiscountMoments
        Part 0 is "stayed"; the others are "left", split by the time of leaving where the horizon is long.
    """
    edges = leaving_edges(horizon, delta)
    r, alpha, a, b = (float(value) for value in theta)
    moments = np.zeros((4, x.shape[0], edges.size, counts.shape[0]))
    for i in range(x.shape[0]):
        dropouts = x[i] + dropout_at_first
        fill_row(moments[:, i], counts, r + x[i], alpha + T[i], a, b + dropouts, edges, delta, NODES, WEIGHTS)
    return DiscountMoments(*moments)


def leaving_edges(horizon: float, delta: float) -> FloatArray:
    """Times that part those who left within the horizon, from 0 to the horizon."""
    cuts = [cut / delta for cut in _CUTS if cut / delta < horizon]
    return np.array([0.0, *cuts, horizon])


@njit(cache=True, error_model="numpy")
def mean_discount(y: float) -> float:
    """Mean of exp(-y u) over u uniform on (0, 1)."""
    return -math.expm1(-y) / y if y > 0.0 else 1.0


@njit(cache=True, error_model="numpy")
def fill_row(out, counts, shape, rate, a, b, edges, delta, nodes, weights):  # type: ignore[no-untyped-def]
    """Fill (4, n_parts, n_counts) for lambda ~ Gamma(shape, rate), p ~ Beta(a, b)."""
    part, log_tau, log_rate, log_weight, basis = leaving_quadrature(shape, rate, edges, delta, nodes, weights)
    n_parts, horizon = edges.shape[0], edges[-1]
    once, twice = mean_discount(delta * horizon), mean_discount(2.0 * delta * horizon)
    y_end = np.log1p(horizon / rate)
    sums = np.empty((n_parts, 7))
    log_terms = np.empty(part.shape[0])
    for c in range(counts.shape[0]):
        k = counts[c]
        if k == 0.0:
            out[0, 0, c] = 1.0
            out[1:, :, c] = 1.0
            continue
        # BetaPrime(k, shape) in y = log(1 + tau / rate), without its constant B(k, shape), which cancels.
        largest = -np.inf
        for i in range(part.shape[0]):
            log_terms[i] = (k - 1.0) * log_tau[i] - shape * log_rate[i] + log_weight[i]
            largest = max(largest, log_terms[i])
        sums[:] = 0.0
        for i in range(part.shape[0]):
            if log_terms[i] > largest - 40.0:
                term = np.exp(log_terms[i] - largest)
                sums[part[i], 0] += term
                for j in range(6):
                    sums[part[i], j + 1] += term * basis[i, j]
        # P(k events, no dropout) : P(dropout at the k-th) is (b + k - 1) NB_k : a P(N >= k).
        log_nb = k * np.log(-np.expm1(-y_end)) - shape * y_end - np.log(k) - largest
        stayed = (b + k - 1.0) / a * np.exp(log_nb)
        total = stayed + sums[1:, 0].sum()
        out[0, 0, c] = stayed / total
        out[1, 0, c] = once
        out[2, 0, c] = twice
        out[3, 0, c] = (twice + (k - 1.0) * once * once) / k
        for j in range(1, n_parts):
            mass = sums[j, 0]
            out[0, j, c] = mass / total
            if mass > 0.0:
                last, earlier, last2, earlier2, cross, earlier_pair = sums[j, 1:] / mass
                rest = k - 1.0
                out[1, j, c] = (last + rest * earlier) / k
                out[2, j, c] = (last2 + rest * earlier2) / k
                pairs = rest * (rest - 1.0) * earlier_pair
                out[3, j, c] = (last2 + 2.0 * rest * cross + rest * earlier2 + pairs) / (k * k)
            else:
                out[1:, j, c] = 1.0


@njit(cache=True, error_model="numpy")
def leaving_quadrature(shape, rate, edges, delta, nodes, weights):  # type: ignore[no-untyped-def]
    """Gauss-Legendre panels in y = log(1 + tau / rate), and what is averaged over tau at their nodes.

    Whatever k, the density in y has a standard deviation of about sqrt(min(y, 1) / shape) or more where it peaks at y,
    so panels of 1.5 of these resolve it.
    """
    starts, widths, parts = [0.0], [0.0], [0]
    for j in range(1, edges.shape[0]):
        y, end = np.log1p(edges[j - 1] / rate), np.log1p(edges[j] / rate)
        while y < end:
            width = min(0.5, 1.5 * np.sqrt((min(y, 1.0) + 1.0 / shape) / shape))
            # No sliver at the end.
            if y + 1.3 * width > end:
                width = end - y
            starts.append(y)
            widths.append(width)
            parts.append(j)
            y = end if width == end - y else y + width
    n = (len(starts) - 1) * nodes.shape[0]
    part = np.empty(n, dtype=np.int64)
    log_tau, log_rate, log_weight, basis = np.empty(n), np.empty(n), np.empty(n), np.empty((n, 6))
    i = 0
    for panel in range(1, len(starts)):
        for g in range(nodes.shape[0]):
            y = starts[panel] + 0.5 * widths[panel] * (nodes[g] + 1.0)
            tau = rate * np.expm1(y)
            last, earlier = np.exp(-delta * tau), mean_discount(delta * tau)
            part[i] = parts[panel]
            log_tau[i] = np.log(-np.expm1(-y))
            log_rate[i] = y
            log_weight[i] = np.log(0.5 * widths[panel] * weights[g])
            basis[i, 0] = last
            basis[i, 1] = earlier
            basis[i, 2] = last * last
            basis[i, 3] = mean_discount(2.0 * delta * tau)
            basis[i, 4] = last * earlier
            basis[i, 5] = earlier * earlier
            i += 1
    return part, log_tau, log_rate, log_weight, basis
