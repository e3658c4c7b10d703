"""The distribution of a customer's value: a mixture over the count of purchases, tabulated.

Spends are Gamma(p, rate nu), nu ~ Gamma(Q, gamma + x m), Q = q + p x (Fader & Hardie 2013). So with discounts
e_1, ..., e_k the value is (gamma + x m) Y / G: Y = sum_j g_j e_j, g_j ~ Gamma(p), G ~ Gamma(Q). Without discount Y is
Gamma(p k) and u = V / (gamma + x m) exactly BetaPrime(p k, Q). With discount, Y given k is taken as the gamma of the
same mean and variance,

    E Y = p E[sum e],    E Y^2 = p E[sum e^2] + p^2 E[(sum e)^2],

for each way in which the k purchases come about (`discounting`). Counts far out are taken in blocks, by the same rule.

Tables are over xi = 2 asinh(sqrt(u)), in which every such beta prime is about 1 / sqrt(Q) wide.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from predclv.kernels.special import incomplete_beta_fraction

__all__ = ["TAIL", "components", "count_blocks", "fill_tables"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Counts whose joint probability is below this are put together with the last block.
TAIL = 1e-5
# Densities below this are not added up: what is left out stays below 1e-9 of probability.
_NEGLIGIBLE = 1e-11
# Shapes from which on a component's density in xi, of order xi^(2 shape - 1) at 0, is smooth enough to integrate.
_SMOOTH = 1.5
_SINGLES = 32


def count_blocks(n_max: int, Q: float) -> IntArray:
    """First counts of the blocks that 1, ..., n_max are taken in, and the start of the next at the end.

    A block is as wide, relative to its count, as nu given the history (1 / sqrt(Q)), or a sixteenth where that is
    less: a block's own spread, which its variance holds anyway, is then lost in that of nu. Counts to 32 at least
    stand alone; for an infinite `Q` all do. The starts do not depend on `n_max`.
    """
    per_count = min(1 / math.sqrt(Q), 1 / 16)
    starts = [1]
    while starts[-1] <= n_max:
        starts.append(starts[-1] + (1 if starts[-1] <= _SINGLES else max(int(starts[-1] * per_count), 1)))
    return np.array(starts, dtype=np.int64)


@njit(cache=True, error_model="numpy")
def components(pmf, starts, moments, p, first_purchase):  # type: ignore[no-untyped-def]
    """Weights, shapes and scales of the gammas that make up Y, for one row.

    Parameters
    ----------
    pmf : (n_max + 1,) array
        Probabilities of the counts.
    starts : (n_blocks + 1,) int64 array
        From `count_blocks`; counts beyond `pmf` have no probability.
    moments : (4, n_parts, n_blocks) array
        `DiscountMoments` at the blocks' counts.
    p : float
    first_purchase : bool
        Whether one more purchase, undiscounted, comes before the counted ones.

    Returns
    -------
    weight, shape, scale : (n_components,) arrays
        Weights sum to 1 less the probability of no purchase at all.
    """
    n_parts, n_blocks = moments.shape[1], starts.shape[0] - 1
    weight, shape, scale = np.empty((3, n_parts * n_blocks + 1))
    n = 0
    left = 1.0 - pmf[0]
    if first_purchase:
        weight[0], shape[0], scale[0] = pmf[0], p, 1.0
        n = 1
    now = 1.0 if first_purchase else 0.0
    for block in range(n_blocks):
        mass = counts = squares = 0.0
        for k in range(starts[block], min(starts[block + 1], pmf.shape[0])):
            mass += pmf[k]
            counts += k * pmf[k]
            squares += k * k * pmf[k]
        if mass <= 0.0:
            continue
        counts, squares = counts / mass, squares / mass
        left -= mass
        # What is left is told from rounding by the tail alone; the last block takes it.
        last = left < TAIL or block == n_blocks - 1
        if last:
            mass += max(left, 0.0)
        for part in range(n_parts):
            share = moments[0, part, block]
            if share * mass < _NEGLIGIBLE:
                continue
            mean, mean_square, square_mean = moments[1:, part, block]
            first = p * (now + counts * mean)
            second = p * (now + counts * mean_square)
            second += p * p * (now * (1.0 + 2.0 * counts * mean) + squares * square_mean)
            weight[n] = share * mass
            shape[n] = first * first / (second - first * first)
            scale[n] = first / shape[n]
            n += 1
        if last:
            break
    return weight[:n], shape[:n], scale[:n]


@njit(cache=True, error_model="numpy")
def fill_tables(pmf, starts, moments, p, Q, first_purchase, step, out):  # type: ignore[no-untyped-def]
    """Tabulate P(V / (gamma + x m) > u) and its negative slope in xi = 2 asinh(sqrt(u)) at xi = 0, step, 2 step, ...

    Parameters
    ----------
    pmf : (n_rows, n_max + 1) array
    starts : (n_blocks + 1,) int64 array
    moments : (4, n_rows, n_parts, n_blocks) array
    p, Q : float
        Shape of a spend, and of nu given the history.
    step : float
    out : (n_rows, n_grid, 2) array
        Filled.

    Returns
    -------
    int
        Grid points beyond which all rows are 0; larger than n_grid where `out` was too short.
    """
    n_grid, used = out.shape[1], 2
    grid = np.empty((3, n_grid))
    for j in range(n_grid):
        sinh = np.sinh(0.5 * step * j)
        grid[0, j] = sinh * sinh
        grid[1, j] = 2.0 * np.log(sinh)
        grid[2, j] = np.sqrt(1.0 + sinh * sinh) / sinh
    for i in range(pmf.shape[0]):
        weight, shape, scale = components(pmf[i], starts, moments[:, i], p, first_purchase)
        density, rough, end = _mixture(weight, shape, scale, Q, step, grid)
        used = max(used, end)
        _accumulate(density, rough, weight.sum(), step, out[i])
    return used


@njit(cache=True, error_model="numpy")
def _mixture(weight, shape, scale, Q, step, grid):  # type: ignore[no-untyped-def]
    """Density in xi of the mixture of scale BetaPrime(shape, Q), and the first point beyond which it is nil.

    Components whose density is infinite or has a corner at 0, which no rule integrates well, are kept apart, as
    survival function and density.
    """
    n_grid = grid.shape[1]
    density, rough = np.zeros(n_grid), np.zeros((2, n_grid))
    end = 2
    for c in range(weight.shape[0]):
        s = shape[c]
        constant = np.log(weight[c]) + math.lgamma(s + Q) - math.lgamma(s) - math.lgamma(Q)
        inverse, log_scale = 1.0 / scale[c], np.log(scale[c])
        # Outwards from the mode of log u, where the terms fall on both sides.
        mode = int(2.0 * np.arcsinh(np.sqrt(scale[c] * s / Q)) / step) + 1
        for direction in (1, -1):
            j = mode if direction == 1 else min(mode, n_grid) - 1
            while 0 < j < n_grid:
                ratio = grid[0, j] * inverse
                power = np.exp(constant + s * (grid[1, j] - log_scale) - (s + Q) * np.log1p(ratio))
                term = power * grid[2, j]
                if s >= _SMOOTH:
                    density[j] += term
                else:
                    rough[0, j] += _beta_prime_exceedance(ratio, s, Q, weight[c], power)
                    rough[1, j] += term
                j += direction
                if term < _NEGLIGIBLE:
                    break
            if direction == 1:
                end = max(end, j + 1)
            elif s < _SMOOTH:
                rough[0, 1 : j + 1] += weight[c]
    return density, rough, end


@njit(cache=True, error_model="numpy")
def _beta_prime_exceedance(u, s, Q, weight, power):  # type: ignore[no-untyped-def]
    """Weight times P(BetaPrime(s, Q) > u); `power` is weight z^s (1-z)^Q / B(s, Q), z = u / (1 + u)."""
    z = u / (1.0 + u)
    if z < (s + 1.0) / (s + Q + 2.0):
        return weight - power / s * incomplete_beta_fraction(s, Q, z)
    return power / Q * incomplete_beta_fraction(Q, s, 1.0 / (1.0 + u))


@njit(cache=True, error_model="numpy")
def _accumulate(density, rough, mass, step, out):  # type: ignore[no-untyped-def]
    """Integrate from the right by the six-point rule that is exact for quintics; at 0 stands the whole mass."""
    n = density.shape[0]
    total = 0.0
    out[n - 1, 0] = rough[0, n - 1]
    out[n - 1, 1] = density[n - 1] + rough[1, n - 1]
    for j in range(n - 2, -1, -1):
        near = density[j] + density[j + 1]
        middle = (density[j - 1] if j > 0 else 0.0) + (density[j + 2] if j + 2 < n else 0.0)
        far = (density[j - 2] if j > 1 else 0.0) + (density[j + 3] if j + 3 < n else 0.0)
        total += step / 1440.0 * (802.0 * near - 93.0 * middle + 11.0 * far)
        out[j, 0] = min(max(total + rough[0, j], 0.0), mass)
        out[j, 1] = density[j] + rough[1, j]
    out[0, 0] = mass
