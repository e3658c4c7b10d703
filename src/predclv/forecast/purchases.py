"""How many purchases: expectations, probabilities and predictive intervals of counts.

Functions of (bindings, theta, rows). Given a point estimate as a theta of one row they answer at the
point; given draws they average over the parameters' uncertainty.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from predclv.errors import FitError
from predclv.forecast.bindings import TransactionBindings

__all__ = ["mean_discounted_purchases", "p_purchase", "purchase_distribution", "purchase_quantiles"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Entries of the largest table held at once: 16 MB of floats, of which some copies are made.
_TABLE = 2_000_000
_MOST_PURCHASES = 1_000_000


def p_purchase(
    bindings: TransactionBindings,
    x: FloatArray,
    t_x: FloatArray,
    T: FloatArray,
    horizon: float,
    theta: FloatArray,
) -> FloatArray:
    """Probability of at least one purchase in (T, T + horizon], (n_rows,)."""
    return 1.0 - bindings.purchase_pmf(x, t_x, T, horizon, theta, 0)[:, 0]


def mean_discounted_purchases(
    bindings: TransactionBindings,
    x: FloatArray,
    t_x: FloatArray,
    T: FloatArray,
    horizon: float,
    delta: float,
    theta: FloatArray,
) -> FloatArray:
    """Expected purchases in (T, T + horizon], discounted at `delta` a time unit, averaged over the draws: (n_rows,)."""
    total = np.zeros(len(x))
    n_draws = max(1, _TABLE // max(len(x), 1))
    for start in range(0, len(theta), n_draws):
        # One by one, so that how many draws are worked at a time changes no bit.
        for draw in bindings.discounted_expected_purchases(x, t_x, T, horizon, delta, theta[start : start + n_draws]):
            total += draw
    return total / len(theta)


def purchase_quantiles(
    bindings: TransactionBindings,
    x: FloatArray,
    t_x: FloatArray,
    T: FloatArray,
    horizon: float,
    theta: FloatArray,
    levels: Sequence[float],
) -> IntArray:
    """Predictive quantiles of the count: the smallest n whose CDF reaches the level, (n_rows, n_levels).

    The distribution is exact given the parameters and averaged over the draws in `theta`. Rows are worked
    in chunks, and a row's table grows until its distribution function has passed the highest level.

    Raises
    ------
    FitError
        A quantile lies beyond a million purchases.
    """
    quantiles = np.zeros((len(x), len(levels)), dtype=np.int64)
    open_rows = np.arange(len(x))
    n_max = 15
    while len(open_rows):
        if n_max > _MOST_PURCHASES:
            raise FitError(
                f"The {max(levels):.1%} quantile of purchases lies beyond {_MOST_PURCHASES:,} for {len(open_rows):,} "
                f"rows (first: frequency {x[open_rows[0]]:g}, T {T[open_rows[0]]:g}). Shorten the horizon."
            )
        unfinished = []
        chunk = max(1, _TABLE // (n_max + 1))
        for start in range(0, len(open_rows), chunk):
            rows = open_rows[start : start + chunk]
            cdf = np.cumsum(bindings.purchase_pmf(x[rows], t_x[rows], T[rows], horizon, theta, n_max), axis=1)
            # The sum of a pmf reaches 1 only up to rounding: a level within 1e-12 of it counts as reached.
            for column, level in enumerate(levels):
                quantiles[rows, column] = np.sum(cdf < level - 1e-12, axis=1)
            unfinished.append(rows[cdf[:, -1] < max(levels) - 1e-12])
        open_rows = np.concatenate(unfinished)
        n_max = 4 * (n_max + 1) - 1
    return quantiles


def purchase_distribution(
    bindings: TransactionBindings,
    x: FloatArray,
    t_x: FloatArray,
    T: FloatArray,
    horizon: float,
    theta: FloatArray,
    *,
    tail: float = 1e-6,
) -> tuple[FloatArray, IntArray]:
    """Probabilities of 0, 1, 2, ... purchases, row after row.

    Returns
    -------
    probability : (sum of lengths,) array
        For each row the probabilities up to the smallest count that leaves at most `tail` beyond it.
    length : (n_rows,) array
        How many of them each row has.
    """
    length = purchase_quantiles(bindings, x, t_x, T, horizon, theta, [1.0 - tail])[:, 0] + 1
    start = np.cumsum(length) - length
    probability = np.empty(int(length.sum()))
    # Rows of similar length together: a heavy buyer's table is not made for everyone.
    for rows in np.split(np.argsort(length, kind="stable"), _chunk_ends(np.sort(length))):
        widest = int(length[rows].max(initial=1))
        pmf = bindings.purchase_pmf(x[rows], t_x[rows], T[rows], horizon, theta, widest - 1)
        for row, probabilities in zip(rows, pmf, strict=True):
            probability[start[row] : start[row] + length[row]] = probabilities[: length[row]]
    return probability, length


def _chunk_ends(length: IntArray) -> list[int]:
    """Cut rows of rising lengths where a length doubles, or where a table would be too large."""
    ends, first = [], 0
    for i in range(1, len(length)):
        if length[i] > 2 * length[first] + 16 or (i - first + 1) * length[i] > _TABLE:
            ends.append(i)
            first = i
    return ends
