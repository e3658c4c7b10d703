"""Whole lives of new customers, simulated purchase by purchase and counted by period."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["simulate_counts"]

FloatArray = NDArray[np.float64]


@njit(cache=True, error_model="numpy")
def simulate_counts(
    generator: np.random.Generator,
    births: FloatArray,
    edges: FloatArray,
    theta: FloatArray,
    k: int,
    dropout_at_first: bool,
) -> FloatArray:
    """Repeat purchases of all customers together in each period, one life of each customer a draw.

    The story of the model, told forwards: see `bg_family`.

    Parameters
    ----------
    generator : numpy.random.Generator
    births : (n_customers,) array
        Time of the first purchase, at or after `edges[0]`.
    edges : (n_periods + 1,) array
        Increasing; period j is (edges[j], edges[j + 1]].
    theta : (n_draws, 4) array
        r, alpha, a, b.
    k : int
        Events of the Poisson process to a purchase.
    dropout_at_first : bool

    Returns
    -------
    (n_draws, n_periods) array
    """
    counts = np.zeros((len(theta), len(edges) - 1))
    for draw in range(len(theta)):
        r, alpha, a, b = theta[draw]
        for birth in births:
            rate = generator.standard_gamma(r) / alpha
            p = generator.beta(a, b)
            left = dropout_at_first and generator.random() < p
            time, period = birth, 0
            while not left:
                # A rate of zero gives an infinite gap.
                time += generator.standard_gamma(k) / rate
                if not time <= edges[-1]:
                    break
                while time > edges[period + 1]:
                    period += 1
                counts[draw, period] += 1.0
                left = generator.random() < p
    return counts
