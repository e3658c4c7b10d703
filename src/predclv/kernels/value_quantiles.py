"""Quantiles of value, and chances to exceed one, from the tables of `value_distribution`, averaged over draws.

P(V > v) = mean over draws of p_alive S(v / (gamma + x m)), S a draw's survival function, is read off the tables, or
solved for v by Newton's method within a bracket: tens of nanoseconds a draw and step.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["read_exceedances", "solve_quantiles"]


@njit(cache=True, error_model="numpy")
def solve_quantiles(tables, used, node, lagrange, alive, scale, step, levels):  # type: ignore[no-untyped-def]
    """Quantiles of value, averaged over draws, for rows that share tables.

    Parameters
    ----------
    tables : (n_nodes, n_draws, n_grid, 2) array
        From `fill_tables`, all as long as the longest.
    used : (n_nodes,) int64 array
        Grid points of each node beyond which its tables are 0. A row looks no further than its own nodes' reach, so
        that its result does not depend on how long other tables are.
    node : (n_rows,) int64 array
        First of the tables between which a row is interpolated.
    lagrange : (n_rows, n_stencil) array
        Weights of these tables. Rows of one `node` and `lagrange` next to each other share the work.
    alive : (n_rows, n_draws) array
        Probability of being alive.
    scale : (n_rows, n_draws) array
        gamma + x m.
    step : float
    levels : (n_levels,) array
        In (0, 1).

    Returns
    -------
    (n_rows, n_levels) array
        The smallest value whose probability of not being exceeded reaches the level.
    """
    n_rows, n_draws, n_grid = alive.shape[0], alive.shape[1], 0
    out = np.zeros((n_rows, levels.shape[0]))
    table = np.empty((n_draws, tables.shape[2], 2))
    ratio = np.empty(n_draws)
    for i in range(n_rows):
        if i == 0 or node[i] != node[i - 1] or np.any(lagrange[i] != lagrange[i - 1]):
            n_grid = used[node[i] : node[i] + lagrange.shape[1]].max()
            _combine(tables, node[i], lagrange[i], n_grid, table)
        center = scale[i].mean()
        some = 0.0
        for d in range(n_draws):
            ratio[d] = np.sqrt(center / scale[i, d])
            some += alive[i, d] * table[d, 0, 0]
        for j in range(levels.shape[0]):
            exceed = (1.0 - levels[j]) * n_draws
            if some > exceed:
                sinh = np.sinh(0.5 * _solve(table, n_grid, ratio, alive[i], exceed, step))
                out[i, j] = center * sinh * sinh
    return out


@njit(cache=True, error_model="numpy")
def read_exceedances(tables, used, node, lagrange, alive, scale, step, values):  # type: ignore[no-untyped-def]
    """Probability that value exceeds each of some values, averaged over draws, for rows that share tables.

    Parameters
    ----------
    tables, used, node, lagrange, alive, scale, step
        As in `solve_quantiles`.
    values : (n_rows, n_values) array
        Above 0, finite.

    Returns
    -------
    (n_rows, n_values) array
    """
    n_draws, n_grid = alive.shape[1], 0
    out = np.zeros(values.shape)
    table = np.empty((n_draws, tables.shape[2], 2))
    ratio = np.empty(n_draws)
    for i in range(alive.shape[0]):
        if i == 0 or node[i] != node[i - 1] or np.any(lagrange[i] != lagrange[i - 1]):
            n_grid = used[node[i] : node[i] + lagrange.shape[1]].max()
            _combine(tables, node[i], lagrange[i], n_grid, table)
        center = scale[i].mean()
        for d in range(n_draws):
            ratio[d] = np.sqrt(center / scale[i, d])
        for j in range(values.shape[1]):
            xi = 2.0 * np.arcsinh(np.sqrt(values[i, j] / center))
            # Interpolation may pass the ends by its own error.
            out[i, j] = min(max(_exceedance(table, n_grid, ratio, alive[i], xi, step)[0] / n_draws, 0.0), 1.0)
    return out


@njit(cache=True, error_model="numpy")
def _combine(tables, node, lagrange, n_grid, out):  # type: ignore[no-untyped-def]
    out[:, :n_grid] = 0.0
    for j in range(lagrange.shape[0]):
        if lagrange[j] != 0.0:
            source = tables[node + j]
            for d in range(out.shape[0]):
                for g in range(n_grid):
                    out[d, g, 0] += lagrange[j] * source[d, g, 0]
                    out[d, g, 1] += lagrange[j] * source[d, g, 1]


@njit(cache=True, error_model="numpy")
def _solve(table, n_grid, ratio, alive, exceed, step):  # type: ignore[no-untyped-def]
    """Newton's method within a bracket, in the xi of a customer whose scale is the draws' mean."""
    n_draws = table.shape[0]
    # The first guess takes all draws to have the same scale.
    below, above = 0, n_grid - 1
    while above - below > 1:
        middle = (below + above) // 2
        total = 0.0
        for d in range(n_draws):
            total += alive[d] * table[d, middle, 0]
        if total > exceed:
            below = middle
        else:
            above = middle
    # A draw whose scale differs shifts the root by no more than the difference of the logs.
    low = max(step * below - 2.0 * np.log(ratio.max()), 0.0)
    high = step * above - 2.0 * np.log(ratio.min())
    xi = step * (below + 0.5)
    for _ in range(100):
        excess, slope = _exceedance(table, n_grid, ratio, alive, xi, step)
        excess -= exceed
        if excess > 0.0:
            low = xi
        else:
            high = xi
        new = xi + excess / slope if slope > 0.0 else low - 1.0
        if not low < new < high:
            new = 0.5 * (low + high)
        change = abs(new - xi)
        xi = new
        if change < 1e-9 * (1.0 + xi) or high - low < 1e-12:
            break
    return xi


@njit(cache=True, error_model="numpy")
def _exceedance(table, n_grid, ratio, alive, xi, step):  # type: ignore[no-untyped-def]
    """Sum over draws of P(V > v), and its negative slope in xi, by cubic Hermite interpolation."""
    sinh = np.sinh(0.5 * xi)
    outer = sinh / np.sqrt(1.0 + sinh * sinh)
    total = slope = 0.0
    last = n_grid - 2
    for d in range(ratio.shape[0]):
        own = sinh * ratio[d]
        cosh = np.sqrt(1.0 + own * own)
        place = 2.0 * np.log(own + cosh) / step
        j = int(place)
        if j > last:
            continue
        w = place - j
        drop = table[d, j, 0] - table[d, j + 1, 0]
        left, right = table[d, j, 1] * step, table[d, j + 1, 1] * step
        if j == 0 and drop > 0.0:
            # Down to 0 the distribution function goes like a power, with this value and slope at the first point.
            fallen = drop * w ** (right / drop)
            total += alive[d] * (table[d, 0, 0] - fallen)
            slope += alive[d] * fallen * right / (drop * w * step) * own / (cosh * outer)
            continue
        # Cubic in w with these ends and slopes.
        second, third = 3.0 * drop - 2.0 * left - right, left + right - 2.0 * drop
        total += alive[d] * (table[d, j, 0] - w * (left + w * (second + w * third)))
        slope += alive[d] * (left + w * (2.0 * second + 3.0 * w * third)) / step * own / (cosh * outer)
    return total, slope
