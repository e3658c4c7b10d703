"""How far purchases of the CNBD-k models are discounted, given how many there are: `discounting` for k > 1.

Alive at T with j events since the last purchase, the i-th purchase is the n-th event, n = k i - j. Given that it
comes at s = tau, the one before comes at tau v, v ~ Beta(k (i-1) - j, k), whatever the rate: events up to the n-th are
as uniform points ordered. So with y = delta tau the sum of the first i discounts has a mean

    m_i(y) = exp(-y) + E m_{i-1}(y v),

the sum of their squares has mean m_i(2 y), and the square of their sum

    s_i(y) = exp(-2 y) + 2 exp(-y) E m_{i-1}(y v) + E s_{i-1}(y v).

None of it depends on parameters. X = i comes about in two ways, as for k = 1: the customer leaves at the i-th
purchase, tau / (alpha+T) being BetaPrime(n, m) cut at t, m = r + kx + j; or stays, with n + l events in all, l < k, the
n-th of them at t v, v ~ Beta(n, l+1).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.stats import poisson

from predclv.kernels.discounting import NODES, WEIGHTS, DiscountMoments, leaving_edges, leaving_quadrature

__all__ = ["stage_discount_moments"]

FloatArray = NDArray[np.float64]

# Moments are held for all counts up to the first number, and beyond it, where they are smooth in 1 / i, for these.
_EXACT = 64
_NODES_OF_COUNTS = np.array([*range(_EXACT + 1), 80, 100, 128, 180, 300, 600, np.inf])


def stage_discount_moments(
    x: FloatArray,
    T: FloatArray,
    horizon: float,
    delta: float,
    theta: FloatArray,
    counts: FloatArray,
    k: int,
    stage: int,
    dropout_at_first: bool = False,
) -> DiscountMoments:
    """Moments of the discounts of `counts` purchases in (T, T + horizon], given as many and alive in `stage` at T.

    Parameters
    ----------
    k, stage : int
        Events to a purchase, and how many of them have come since the last one.
    x, T, horizon, delta, theta, dropout_at_first
        As in `discounting.discount_moments`; rows may have parameters of their own, (n_rows, 4).
    counts : (n_counts,) array
        0 or >= 1; a half stands for its neighbours' mean.

    Returns
    -------
    DiscountMoments
        Part 0 is "stayed"; the others are "left", split by the time of leaving where the horizon is long.
    """
    edges = leaving_edges(horizon, delta)
    of_rows = np.broadcast_to(theta, (x.shape[0], 4))
    left, stayed = (_at_counts(table, _NODES_OF_COUNTS, counts, _EXACT) for table in _tables(k, stage, delta * horizon))
    moments = np.zeros((4, x.shape[0], edges.size, counts.shape[0]))
    for i in range(x.shape[0]):
        r, alpha, a, b = of_rows[i]
        gamma = r + k * x[i] + stage, alpha + T[i]
        beta = a, b + x[i] + dropout_at_first
        _fill_row(moments[:, i], counts, *gamma, *beta, k, stage, edges, delta, NODES, WEIGHTS, left, stayed)
    return DiscountMoments(*moments)


@lru_cache(maxsize=64)
def _tables(k: int, stage: int, end: float) -> tuple[FloatArray, FloatArray]:
    """The three moments where leaving, by y, and where staying until y = `end`, at the counts of `_NODES_OF_COUNTS`.

    Returns
    -------
    left : (n_nodes, 3, n_basis) array
        Chebyshev coefficients over 0 <= y <= `end` of m_i(y) / i, m_i(2y) / i and s_i(y) / i^2.
    stayed : (n_nodes, k, 3) array
        Their means over the n-th event's time, for n, n + 1, ... events.
    """
    n_marks = math.ceil(2 * end + 9 * math.sqrt(2 * end)) + 25
    n_basis = 12 + math.ceil(7 * math.sqrt(end))
    angle = math.pi * (np.arange(n_basis) + 0.5) / n_basis
    y = 0.5 * end * (1 + np.cos(angle))
    once, twice = _marks(y, n_marks), _marks(2 * y, n_marks)
    at_end = np.vstack([_marks(np.array([end]), n_marks), _marks(np.array([2 * end]), n_marks)])
    n_nodes = len(_NODES_OF_COUNTS)
    values, ends = np.empty((n_nodes, 3, n_basis)), np.empty((n_nodes, k, 3))
    _fill_moments(values[:-1], ends[:-1], _NODES_OF_COUNTS[:-1].astype(np.int64), k, stage, once, twice, at_end)
    # Countless purchases are spread evenly over (0, y).
    values[-1], ends[-1] = _even(y), _even(np.array([end]))[:, 0]
    transform = 2 / n_basis * np.cos(np.outer(np.arange(n_basis), angle))
    transform[0] /= 2
    return values @ transform.T, ends


def _even(y: FloatArray) -> FloatArray:
    """Moments of discounts at times spread evenly over (0, y), (3, n_y)."""
    mean, mean_square = (-np.expm1(-speed * y) / (speed * y) for speed in (1, 2))
    return np.stack([mean, mean_square, mean**2])


@njit(cache=True, error_model="numpy")
def _at_counts(table, nodes, counts, n_exact):  # type: ignore[no-untyped-def]
    """Rows of a table, by counts: as they stand, means of neighbours, or beyond `n_exact` by interpolation in 1 / i.

    Written out, because a matrix product's rounding would depend on how many counts are asked for.
    """
    out = np.zeros((counts.shape[0], table.shape[1], table.shape[2]))
    for c in range(counts.shape[0]):
        i = counts[c]
        if i <= nodes[n_exact]:
            low = math.floor(i)
            out[c] = 0.5 * (table[low] + table[math.ceil(i)])
            continue
        for node in range(n_exact, nodes.shape[0]):
            weight = 1.0
            for other in range(n_exact, nodes.shape[0]):
                if other != node:
                    weight *= (1.0 / i - 1.0 / nodes[other]) / (1.0 / nodes[node] - 1.0 / nodes[other])
            out[c] += weight * table[node]
    return out


def _marks(y: FloatArray, n: int) -> FloatArray:
    """exp(-y) y^d / d! for d < n, (n_y, n).

    Functions of y are held as sums of these, with coefficients that are never negative: the d-th is the mean given d
    marks of a Poisson process of rate 1 on (0, y), and discounting is survival to the first mark.
    """
    return np.asarray(poisson.pmf(np.arange(n), y[:, np.newaxis]))


@njit(cache=True, error_model="numpy")
def _fill_moments(values, ends, kept, k, stage, once, twice, at_end):  # type: ignore[no-untyped-def]
    """Go up from i = 1 by the recursions; fill in the moments at the counts that are `kept`."""
    n_marks = once.shape[1]
    mean, square = np.zeros(n_marks), np.zeros(n_marks)
    thinned = np.zeros((n_marks, n_marks))
    place = 0
    while place < kept.shape[0] and kept[place] < 1:
        values[place] = 1.0
        ends[place] = 1.0
        place += 1
    i = 0
    while place < kept.shape[0]:
        i += 1
        if i > 1:
            _fill_thinning(thinned, k * (i - 1.0) - stage, float(k))
            mean, square = _thin(thinned, mean), _thin(thinned, square)
            half = 2.0
            for d in range(n_marks):
                square[d] += half * mean[d]
                half *= 0.5
        mean[0] += 1.0
        square[0] += 1.0
        if i == kept[place]:
            for node in range(once.shape[0]):
                values[place, 0, node] = np.sum(once[node] * mean) / i
                values[place, 1, node] = np.sum(twice[node] * mean) / i
                values[place, 2, node] = np.sum(twice[node] * square) / (i * i)
            for more in range(k):
                _fill_thinning(thinned, float(k * i - stage), more + 1.0)
                thin_mean, thin_square = _thin(thinned, mean), _thin(thinned, square)
                ends[place, more, 0] = np.sum(at_end[0] * thin_mean) / i
                ends[place, more, 1] = np.sum(at_end[1] * thin_mean) / i
                ends[place, more, 2] = np.sum(at_end[1] * thin_square) / (i * i)
            place += 1


@njit(cache=True, error_model="numpy")
def _fill_thinning(thinned, n, more):  # type: ignore[no-untyped-def]
    """P(d of D marks on (0, y) lie on (0, y v)) for v ~ Beta(n, more): a beta-binomial, at [D, d], d <= D."""
    all_of_them = 1.0
    for D in range(thinned.shape[0]):
        probability = all_of_them
        for d in range(D, -1, -1):
            thinned[D, d] = probability
            probability *= d / (D - d + 1.0) * (more + D - d) / (n + d - 1.0)
        all_of_them *= (n + D) / (n + more + D)


@njit(cache=True, error_model="numpy")
def _thin(thinned, coefficients):  # type: ignore[no-untyped-def]
    out = np.zeros(coefficients.shape[0])
    for D in range(out.shape[0]):
        for d in range(D + 1):
            out[D] += thinned[D, d] * coefficients[d]
    return out


@njit(cache=True, error_model="numpy")
def _fill_row(  # type: ignore[no-untyped-def]
    out, counts, shape, rate, a, b, k, stage, edges, delta, nodes, weights, left, stayed
):
    """Fill (4, n_parts, n_counts) for lambda ~ Gamma(shape, rate), p ~ Beta(a, b)."""
    part, log_tau, log_rate, log_weight, basis = leaving_quadrature(shape, rate, edges, delta, nodes, weights)
    chebyshev = _chebyshev(basis[:, 0], delta * edges[-1], left.shape[2])
    sums = np.empty((edges.shape[0], left.shape[2]))
    log_terms = np.empty(part.shape[0])
    y_end = np.log1p(edges[-1] / rate)
    z = -np.expm1(-y_end)
    for c in range(counts.shape[0]):
        i = counts[c]
        if i == 0.0:
            out[0, 0, c] = 1.0
            out[1:, :, c] = 1.0
            continue
        n = k * i - stage
        # BetaPrime(n, shape) in y = log(1 + tau / rate), without its constant B(n, shape), which cancels.
        log_terms[:] = (n - 1.0) * log_tau - shape * log_rate + log_weight
        largest = log_terms.max()
        sums[:] = 0.0
        for node in range(part.shape[0]):
            if log_terms[node] > largest - 40.0:
                term, p = np.exp(log_terms[node] - largest), part[node]
                for degree in range(chebyshev.shape[1]):
                    sums[p, degree] += term * chebyshev[node, degree]
        # P(n, ..., n+k-1 events, no dropout) : P(dropout at the i-th) is (b + i - 1) sum NB : a P(N >= n).
        some = (b + i - 1.0) / a * np.exp(n * np.log(z) - shape * y_end - np.log(n) - largest)
        total_stayed = 0.0
        for more in range(k):
            out[1:, 0, c] += some * stayed[c, more]
            total_stayed += some
            some *= (shape + n + more) / (n + more + 1.0) * z
        total = total_stayed + sums[1:, 0].sum()
        out[0, 0, c] = total_stayed / total
        _divide(out[1:, 0, c], total_stayed)
        for p in range(1, edges.shape[0]):
            out[0, p, c] = sums[p, 0] / total
            for moment in range(3):
                out[moment + 1, p, c] = np.sum(left[c, moment] * sums[p])
            _divide(out[1:, p, c], sums[p, 0])


@njit(cache=True, error_model="numpy")
def _divide(sums, mass):  # type: ignore[no-untyped-def]
    """Means from sums, in place; 1 where there is nothing."""
    for moment in range(sums.shape[0]):
        sums[moment] = sums[moment] / mass if mass > 0.0 else 1.0


@njit(cache=True, error_model="numpy")
def _chebyshev(discount, end, n):  # type: ignore[no-untyped-def]
    """Chebyshev polynomials over (0, end) at y = -log(discount), (n_y, n)."""
    out = np.empty((discount.shape[0], n))
    for node in range(discount.shape[0]):
        u = -2.0 * np.log(discount[node]) / end - 1.0
        before, now = u, 1.0
        for c in range(n):
            out[node, c] = now
            before, now = now, 2.0 * u * now - before
    return out
