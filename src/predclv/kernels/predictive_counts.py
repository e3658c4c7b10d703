"""Predictive distributions of counts in ragged rows: P(N <= 0), P(N <= 1), ... of each row, one after the other.

A row ends where nothing to speak of is left; beyond its end the distribution function is 1.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["count_bounds", "count_crps", "count_error_products", "count_means", "count_quantiles", "mix_counts"]


@njit(cache=True, error_model="numpy")
def count_bounds(cdf, start, row, actual):  # type: ignore[no-untyped-def]
    """P(N < actual) and P(N <= actual) of each customer.

    Parameters
    ----------
    cdf : (n_entries,) array
    start : (n_rows + 1,) int64 array
        Where rows begin and end.
    row : (n_customers,) int64 array
    actual : (n_customers,) array
        Whole numbers.

    Returns
    -------
    below, at : (n_customers,) arrays
    """
    below, at = np.zeros(row.shape[0]), np.ones(row.shape[0])
    for i in range(row.shape[0]):
        first, end = start[row[i]], start[row[i] + 1]
        place = first + np.int64(actual[i])
        if place < end:
            at[i] = cdf[place]
        if place > end:
            below[i] = 1.0
        elif place > first:
            below[i] = cdf[place - 1]
    return below, at


@njit(cache=True, error_model="numpy")
def count_crps(cdf, start, row, actual):  # type: ignore[no-untyped-def]
    """CRPS of each customer: the sum over n of (P(N <= n) - 1{actual <= n})^2, as `scoring_rules.crps_of_counts`."""
    out = np.zeros(row.shape[0])
    for i in range(row.shape[0]):
        first, end = start[row[i]], start[row[i] + 1]
        for n in range(end - first):
            gap = cdf[first + n] - (1.0 if actual[i] <= n else 0.0)
            out[i] += gap * gap
        out[i] += max(actual[i] - (end - first), 0.0)
    return out


@njit(cache=True, error_model="numpy")
def count_means(cdf, start):  # type: ignore[no-untyped-def]
    """Mean of each row, (n_rows,): the sum of P(N > n)."""
    out = np.zeros(start.shape[0] - 1)
    for i in range(out.shape[0]):
        for j in range(start[i], start[i + 1]):
            out[i] += 1.0 - cdf[j]
    return out


@njit(cache=True, error_model="numpy")
def count_quantiles(cdf, start, levels):  # type: ignore[no-untyped-def]
    """Smallest n whose distribution function reaches each level, (n_rows, n_levels)."""
    out = np.zeros((start.shape[0] - 1, levels.shape[0]))
    for i in range(out.shape[0]):
        first, end = start[i], start[i + 1]
        for j in range(levels.shape[0]):
            # The sum of probabilities reaches 1 only up to rounding.
            out[i, j] = min(np.searchsorted(cdf[first:end], levels[j] - 1e-12), end - first - 1)
    return out


@njit(cache=True, error_model="numpy")
def mix_counts(cdf, start, row, weight, out, out_start):  # type: ignore[no-untyped-def]
    """Add `weight` times one source's distribution functions to rows that are at least as long.

    Parameters
    ----------
    cdf, start
        The source.
    row : (n_out,) int64 array
        Row of the source for each row of the result.
    weight : float
    out : (n_out_entries,) array
        Changed in place.
    out_start : (n_out + 1,) int64 array
    """
    for i in range(row.shape[0]):
        first, length = start[row[i]], start[row[i] + 1] - start[row[i]]
        for n in range(out_start[i + 1] - out_start[i]):
            out[out_start[i] + n] += weight * (cdf[first + n] if n < length else 1.0)


@njit(cache=True, error_model="numpy")
def count_error_products(cdf_a, start_a, row_a, cdf_b, start_b, row_b, actual):  # type: ignore[no-untyped-def]
    """Sum over n of (F_a(n) - 1{actual <= n}) (F_b(n) - 1{actual <= n}) of each customer, (n_customers,).

    With a = b the CRPS; the CRPS of a mixture is the quadratic form of these in its weights.
    """
    out = np.zeros(row_a.shape[0])
    for i in range(row_a.shape[0]):
        first_a, first_b = start_a[row_a[i]], start_b[row_b[i]]
        length_a, length_b = start_a[row_a[i] + 1] - first_a, start_b[row_b[i] + 1] - first_b
        for n in range(max(length_a, length_b, np.int64(actual[i]))):
            reached = 1.0 if actual[i] <= n else 0.0
            a = cdf_a[first_a + n] if n < length_a else 1.0
            b = cdf_b[first_b + n] if n < length_b else 1.0
            out[i] += (a - reached) * (b - reached)
    return out
