"""Replicated histories of the BG family: what a summary would tell of other customers of the same ages."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["replicate_histories"]

FloatArray = NDArray[np.float64]


@njit(cache=True, error_model="numpy")
def replicate_histories(
    generator: np.random.Generator, T: FloatArray, theta: FloatArray, k: int, dropout_at_first: bool
) -> tuple[FloatArray, FloatArray]:
    """Repeat purchases and the time of the last one, of one new customer for each age.

    The story of the model, told forwards (see `bg_family`), without drawing anybody's dropout probability: of
    customers who have stayed n times so far, a share a / (a + b + n) leaves at the next (Polya's urn).

    Parameters
    ----------
    generator : numpy.random.Generator
    T : (n_customers,) array
        Ages.
    theta : (4,) array
        r, alpha, a, b.
    k : int
        Events of the Poisson process to a purchase.
    dropout_at_first : bool

    Returns
    -------
    x, t_x : (n_customers,) arrays
        `t_x` is 0 where `x` is; in continuous time, so no two purchases merge.
    """
    r, alpha, a, b = theta
    x, t_x = np.zeros(len(T)), np.zeros(len(T))
    for i in range(len(T)):
        rate = generator.standard_gamma(r) / alpha
        stayed = 0
        if dropout_at_first:
            if generator.random() * (a + b) < a:
                continue
            stayed = 1
        time = 0.0
        while True:
            # A rate of zero gives an infinite gap.
            time += (generator.standard_exponential() if k == 1 else generator.standard_gamma(k)) / rate
            if not time <= T[i]:
                break
            x[i] += 1.0
            t_x[i] = time
            if generator.random() * (a + b + stayed) < a:
                break
            stayed += 1
    return x, t_x
