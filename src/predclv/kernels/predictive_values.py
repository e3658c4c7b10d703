"""Predictive distributions of value: a probability of nothing, then a distribution function linear between quantiles.

Row i has the points (0, nothing[i]), (quantiles[i, g], levels[g]) for those levels above nothing[i], and ends at its
last quantile, where it is taken to reach 1. `levels` has one row for all, or one for each.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["mix_values", "value_at_levels", "value_bounds", "value_crps", "value_error_products", "value_means"]


@njit(cache=True, error_model="numpy")
def _cdf(nothing, levels, quantiles, value):  # type: ignore[no-untyped-def]
    """P(V <= value) of one row; below the last quantile only."""
    if value < 0.0:
        return 0.0
    last = quantiles.shape[0] - 1
    if value >= quantiles[last]:
        return 1.0
    g = np.searchsorted(quantiles, value, side="right")
    high_value, high = quantiles[g], max(levels[g], nothing)
    low_value, low = (quantiles[g - 1], levels[g - 1]) if g > 0 else (0.0, nothing)
    low = max(low, nothing)
    if high_value <= low_value:
        return low
    return low + (high - low) * (value - low_value) / (high_value - low_value)


@njit(cache=True, error_model="numpy")
def _cdf_before(nothing, levels, quantiles, value):  # type: ignore[no-untyped-def]
    """P(V < value) of one row, for a value above 0; 1 beyond the last quantile only."""
    g = np.searchsorted(quantiles, value)
    if g < quantiles.shape[0] and quantiles[g] == value:
        return max(levels[g], nothing)
    return _cdf(nothing, levels, quantiles, value)


@njit(cache=True, error_model="numpy")
def value_bounds(nothing, levels, quantiles, row, actual):  # type: ignore[no-untyped-def]
    """P(V < actual) and P(V <= actual) of each customer.

    They differ at 0, where quantiles are equal, and beyond the last one.

    Parameters
    ----------
    nothing : (n_rows,) array
        P(V = 0).
    levels : (1 or n_rows, n_levels) array
        Increasing.
    quantiles : (n_rows, n_levels) array
        0 where the level is not above `nothing`.
    row : (n_customers,) int64 array
    actual : (n_customers,) array, >= 0
    """
    below, at = np.empty(row.shape[0]), np.empty(row.shape[0])
    last = quantiles.shape[1] - 1
    for i in range(row.shape[0]):
        r = row[i]
        level = levels[r if levels.shape[0] > 1 else 0]
        if actual[i] <= 0.0:
            below[i], at[i] = 0.0, nothing[r]
        elif actual[i] >= quantiles[r, last]:
            # Somewhere in what the quantiles leave over.
            below[i], at[i] = max(level[last], nothing[r]), 1.0
        else:
            below[i] = _cdf_before(nothing[r], level, quantiles[r], actual[i])
            at[i] = _cdf(nothing[r], level, quantiles[r], actual[i])
    return below, at


@njit(cache=True, error_model="numpy")
def value_crps(nothing, levels, quantiles, row, actual):  # type: ignore[no-untyped-def]
    """CRPS of each customer, (n_customers,): the integral of (F - 1{actual <= v})^2, exact for the broken line."""
    return value_error_products(nothing, levels, quantiles, row, nothing, levels, quantiles, row, actual)


@njit(cache=True, error_model="numpy")
def value_error_products(  # type: ignore[no-untyped-def]
    nothing_a, levels_a, quantiles_a, row_a, nothing_b, levels_b, quantiles_b, row_b, actual
):
    """Integral of (F_a(v) - 1{actual <= v}) (F_b(v) - 1{actual <= v}) of each customer, (n_customers,)."""
    out = np.zeros(row_a.shape[0])
    n_a, n_b = quantiles_a.shape[1], quantiles_b.shape[1]
    for i in range(row_a.shape[0]):
        a, b = row_a[i], row_b[i]
        level_a = levels_a[a if levels_a.shape[0] > 1 else 0]
        level_b = levels_b[b if levels_b.shape[0] > 1 else 0]
        y = max(actual[i], 0.0)
        i_a = i_b = 0
        start, seen = 0.0, y <= 0.0
        f_a, f_b = nothing_a[a], nothing_b[b]
        while True:
            while i_a < n_a and quantiles_a[a, i_a] <= start:
                # Equal quantiles are a step, the last one a step to 1.
                i_a += 1
                f_a = max(level_a[i_a - 1], nothing_a[a]) if i_a < n_a else 1.0
            while i_b < n_b and quantiles_b[b, i_b] <= start:
                # Equal quantiles are a step, the last one a step to 1.
                i_b += 1
                f_b = max(level_b[i_b - 1], nothing_b[b]) if i_b < n_b else 1.0
            end = np.inf
            if i_a < n_a:
                end = quantiles_a[a, i_a]
            if i_b < n_b:
                end = min(end, quantiles_b[b, i_b])
            if not seen:
                end = min(end, y)
            if end == np.inf:
                break
            # Both are linear up to `end`; at a last quantile the limit from the left is its level.
            g_a = _rise(f_a, start, end, nothing_a[a], level_a, quantiles_a[a], i_a)
            g_b = _rise(f_b, start, end, nothing_b[b], level_b, quantiles_b[b], i_b)
            reached = 1.0 if seen else 0.0
            s_a, s_b, e_a, e_b = f_a - reached, f_b - reached, g_a - reached, g_b - reached
            # Simpson's rule is exact for the product of two lines.
            out[i] += (end - start) * (s_a * s_b + (s_a + e_a) * (s_b + e_b) + e_a * e_b) / 6.0
            start = end
            seen = seen or end >= y
            f_a, f_b = g_a, g_b
    return out


@njit(cache=True, error_model="numpy")
def _rise(now, start, end, nothing, levels, quantiles, g):  # type: ignore[no-untyped-def]
    """Distribution function at `end`, from the left, when it is `now` at `start` and quantile g is next."""
    if g >= quantiles.shape[0]:
        return 1.0
    target = max(levels[g], nothing)
    if end >= quantiles[g]:
        return target
    return now + (target - now) * (end - start) / (quantiles[g] - start)


@njit(cache=True, error_model="numpy")
def value_means(nothing, levels, quantiles):  # type: ignore[no-untyped-def]
    """Mean of each row's broken line, (n_rows,): the integral of 1 - F; what lies beyond it is left out."""
    out = np.zeros(quantiles.shape[0])
    for r in range(quantiles.shape[0]):
        level = levels[r if levels.shape[0] > 1 else 0]
        value, below = 0.0, nothing[r]
        for g in range(quantiles.shape[1]):
            at = max(level[g], nothing[r])
            out[r] += (quantiles[r, g] - value) * (1.0 - 0.5 * (below + at))
            value, below = quantiles[r, g], at
    return out


@njit(cache=True, error_model="numpy")
def value_at_levels(nothing, levels, quantiles, wanted):  # type: ignore[no-untyped-def]
    """Value at which each row's distribution function reaches the wanted levels, (n_rows, n_wanted)."""
    out = np.zeros((quantiles.shape[0], wanted.shape[0]))
    last = quantiles.shape[1] - 1
    for r in range(quantiles.shape[0]):
        level = levels[r if levels.shape[0] > 1 else 0]
        for j in range(wanted.shape[0]):
            if wanted[j] <= nothing[r]:
                continue
            g = min(np.searchsorted(level, wanted[j]), last)
            low_value, low = 0.0, nothing[r]
            if g > 0 and level[g - 1] > nothing[r]:
                low_value, low = quantiles[r, g - 1], level[g - 1]
            high = level[g]
            share = min((wanted[j] - low) / (high - low), 1.0) if high > low else 1.0
            out[r, j] = low_value + share * (quantiles[r, g] - low_value)
    return out


@njit(cache=True, error_model="numpy")
def mix_values(nothing, levels, quantiles, row, weights, grid, wanted):  # type: ignore[no-untyped-def]
    """Quantiles of mixtures of sources with one number of levels each.

    Parameters
    ----------
    nothing : (n_sources, n_rows) array
        Rows of the sources as they were given, padded.
    levels, quantiles : (n_sources, n_rows, n_levels) arrays
    row : (n_sources, n_out) int64 array
        Row of each source for each row of the result.
    weights : (n_sources,) array
    grid : (n_sources * n_levels,) array
        Room to work in.
    wanted : (n_wanted,) array

    Returns
    -------
    nothing : (n_out,) array
    quantiles : (n_out, n_wanted) array
    """
    n_sources, n_out, n_levels = row.shape[0], row.shape[1], levels.shape[2]
    out_nothing, out = np.zeros(n_out), np.zeros((n_out, wanted.shape[0]))
    before, cdf = np.empty(grid.shape[0]), np.empty(grid.shape[0])
    for i in range(n_out):
        for s in range(n_sources):
            out_nothing[i] += weights[s] * nothing[s, row[s, i]]
            grid[s * n_levels : (s + 1) * n_levels] = quantiles[s, row[s, i]]
        grid.sort()
        for j in range(grid.shape[0]):
            before[j] = cdf[j] = 0.0
            for s in range(n_sources):
                r = row[s, i]
                before[j] += weights[s] * _cdf_before(nothing[s, r], levels[s, r], quantiles[s, r], grid[j])
                cdf[j] += weights[s] * _cdf(nothing[s, r], levels[s, r], quantiles[s, r], grid[j])
        g = 0
        for j in range(wanted.shape[0]):
            if wanted[j] <= out_nothing[i]:
                continue
            while g < grid.shape[0] - 1 and cdf[g] < wanted[j]:
                g += 1
            if grid[g] <= 0.0:
                continue
            low_value, low = (grid[g - 1], cdf[g - 1]) if g > 0 else (0.0, out_nothing[i])
            # Where a source steps, the level may lie within the step.
            share = min((wanted[j] - low) / (before[g] - low), 1.0) if before[g] > low else 1.0
            out[i, j] = low_value + share * (grid[g] - low_value)
    return out_nothing, out
