"""Lives of new Pareto/NBD customers, simulated purchase by purchase."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["replicate_histories", "simulate_counts"]

FloatArray = NDArray[np.float64]


@njit(cache=True, error_model="numpy")
def simulate_counts(
    generator: np.random.Generator, births: FloatArray, edges: FloatArray, theta: FloatArray
) -> FloatArray:
    """Repeat purchases of all customers together in each period, one life of each customer a draw.

    The story of the model, told forwards: see `pareto_nbd`.

    Parameters
    ----------
    generator : numpy.random.Generator
    births : (n_customers,) array
        Time of the first purchase, at or after `edges[0]`.
    edges : (n_periods + 1,) array
        Increasing; period j is (edges[j], edges[j + 1]].
    theta : (n_draws, 4) array
        r, alpha, s, beta.

    Returns
    -------
    (n_draws, n_periods) array
    """
    counts = np.zeros((len(theta), len(edges) - 1))
    for draw in range(len(theta)):
        r, alpha, s, beta = theta[draw]
        for birth in births:
            rate, lifetime = _draw_customer(generator, r, alpha, s, beta)
            end, time, period = min(birth + lifetime, edges[-1]), birth, 0
            while True:
                # A rate of zero gives an infinite gap.
                time += generator.standard_exponential() / rate
                if not time <= end:
                    break
                while time > edges[period + 1]:
                    period += 1
                counts[draw, period] += 1.0
    return counts


@njit(cache=True, error_model="numpy")
def replicate_histories(
    generator: np.random.Generator, T: FloatArray, theta: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Repeat purchases and the time of the last one, of one new customer for each age.

    Parameters
    ----------
    generator : numpy.random.Generator
    T : (n_customers,) array
        Ages.
    theta : (4,) array
        r, alpha, s, beta.

    Returns
    -------
    x, t_x : (n_customers,) arrays
        `t_x` is 0 where `x` is; in continuous time, so no two purchases merge.
    """
    r, alpha, s, beta = theta
    x, t_x = np.zeros(len(T)), np.zeros(len(T))
    for i in range(len(T)):
        rate, lifetime = _draw_customer(generator, r, alpha, s, beta)
        end, time = min(lifetime, T[i]), 0.0
        while True:
            time += generator.standard_exponential() / rate
            if not time <= end:
                break
            x[i] += 1.0
            t_x[i] = time
    return x, t_x


@njit(cache=True, error_model="numpy")
def _draw_customer(
    generator: np.random.Generator, r: float, alpha: float, s: float, beta: float
) -> tuple[float, float]:
    """Purchase rate and lifetime; a rate of leaving that underflows to zero gives an endless life."""
    rate = generator.standard_gamma(r) / alpha
    lifetime = generator.standard_exponential() / (generator.standard_gamma(s) / beta)
    return rate, lifetime
