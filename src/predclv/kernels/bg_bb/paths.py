"""Lives of new BG/BB customers, simulated opportunity by opportunity or in one stroke."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["replicate_histories", "simulate_counts"]

Floats = npt.NDArray[np.float64]


@njit(cache=True, error_model="numpy")
def simulate_counts(generator: np.random.Generator, births: Floats, edges: Floats, theta: Floats) -> Floats:
    """Repeat purchases of all customers together in each period, one life of each customer a draw.

    Parameters
    ----------
    generator : numpy.random.Generator
    births : (n_customers,) array
        Time of the first purchase, in opportunities; those to buy again are one, two, ... later.
    edges : (n_periods + 1,) array
        Increasing; period j is (edges[j], edges[j + 1]].
    theta : (n_draws, 4) array
        alpha, beta, gamma, delta.

    Returns
    -------
    (n_draws, n_periods) array
    """
    counts = np.zeros((len(theta), len(edges) - 1))
    last = edges[-1] + 1e-9
    for draw in range(len(theta)):
        alpha, beta, gamma, delta = theta[draw]
        for birth in births:
            p, life = _draw_customer(generator, alpha, beta, gamma, delta)
            time, period, had = birth + 1.0, 0, 1.0
            while time <= last and had <= life:
                while time > edges[period + 1] + 1e-9:
                    period += 1
                if time > edges[0] + 1e-9 and generator.random() < p:
                    counts[draw, period] += 1.0
                time += 1.0
                had += 1.0
    return counts


@njit(cache=True, error_model="numpy")
def replicate_histories(generator: np.random.Generator, T: Floats, theta: Floats) -> tuple[Floats, Floats]:
    """Opportunities used, and the last one used, of one new customer for each number of opportunities.

    Parameters
    ----------
    generator : numpy.random.Generator
    T : (n_customers,) array
        Opportunities had.
    theta : (4,) array
        alpha, beta, gamma, delta.

    Returns
    -------
    x, t_x : (n_customers,) arrays
        `t_x` is 0 where `x` is.
    """
    alpha, beta, gamma, delta = theta
    x, t_x = np.zeros(len(T)), np.zeros(len(T))
    for i in range(len(T)):
        p, life = _draw_customer(generator, alpha, beta, gamma, delta)
        had = int(min(life, T[i]))
        if had == 0:
            continue
        x[i] = generator.binomial(had, p)
        if x[i] > 0.0:
            # Any set of x opportunities is as likely: the last is at `had` with probability x / had, and so on down.
            while generator.random() * had >= x[i]:
                had -= 1
            t_x[i] = had
    return x, t_x


@njit(cache=True, error_model="numpy")
def _draw_customer(
    generator: np.random.Generator, alpha: float, beta: float, gamma: float, delta: float
) -> tuple[float, float]:
    """Probability of buying, and how many opportunities the customer is there for, perhaps none or endlessly many."""
    p = generator.beta(alpha, beta)
    leaves = generator.beta(gamma, delta)
    if leaves <= 0.0:
        return p, np.inf
    if leaves >= 1.0:
        return p, 0.0
    return p, math.floor(-generator.standard_exponential() / math.log1p(-leaves))
