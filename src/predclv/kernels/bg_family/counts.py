"""How many purchases the BG family gives a customer who is alive, compiled.

In the notation of `alive`: with F = floor((j+M) / k) and M ~ NB(m, z),

    P(X = i) = q_i P(F = i) + 1{i>0} q_{i-1} a / (a+B+i-1) P(F >= i),

the customer either staying throughout or leaving at the i-th purchase. P(F >= i) is summed from the far end, which
begins with an incomplete beta function, so that nothing cancels.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels.special import incomplete_beta_fraction

__all__ = ["counts_if_alive", "counts_of_rows"]

Floats = npt.NDArray[np.float64]

_LARGEST_EXPONENT = 600.0


@njit(cache=True, error_model="numpy")
def counts_if_alive(tau: float, m: float, a: float, B: float, n_max: int, k: int, j: int) -> Floats:
    """P(X = i) for i = 0, ..., n_max, given alive, in a horizon of tau = t / (alpha+T)."""
    events, beyond = _negative_binomial(tau, m, k * (n_max + 1) - j)
    probability, stay, at_least = np.zeros(n_max + 1), np.ones(n_max + 2), beyond
    for i in range(n_max + 1):
        stay[i + 1] = stay[i] * (B + i) / (a + B + i)
    for i in range(n_max, -1, -1):
        exactly = np.sum(events[max(k * i - j, 0) : k * (i + 1) - j])
        at_least += exactly
        probability[i] = stay[i] * exactly
        if i > 0:
            probability[i] += stay[i - 1] * a / (a + B + (i - 1)) * at_least
    return probability


@njit(cache=True, error_model="numpy")
def counts_of_rows(tau: Floats, m: Floats, a: float, B: Floats, n_max: int, k: int, j: int) -> Floats:
    """`counts_if_alive` for rows of their own tau, m and B: (n_rows, n_max + 1)."""
    out = np.empty((len(tau), n_max + 1))
    for i in range(len(tau)):
        out[i] = counts_if_alive(tau[i], m[i], a, B[i], n_max, k, j)
    return out


@njit(cache=True, error_model="numpy")
def _negative_binomial(tau: float, m: float, n: int) -> tuple[Floats, float]:
    """P(M = 0), ..., P(M = n-1), and P(M >= n)."""
    events = np.zeros(n)
    if tau == np.inf:
        return events, 1.0
    z = tau / (1.0 + tau)
    # What a small first probability lacks is kept as an exponent and given back as the probabilities grow.
    lacking = m * math.log1p(tau)
    given = min(lacking, _LARGEST_EXPONENT)
    probability, lacking = math.exp(-given), lacking - given
    for M in range(n):
        if lacking > 0.0 and probability > 1.0:
            given = min(lacking, _LARGEST_EXPONENT)
            probability, lacking = probability * math.exp(-given), lacking - given
        events[M] = probability if lacking == 0.0 else probability * math.exp(-lacking)
        probability *= (m + M) / (M + 1) * z
    if z < (n + 1) / (n + m + 2):
        return events, probability * math.exp(-lacking) * incomplete_beta_fraction(float(n), m, z)
    return events, 1.0 - np.sum(events)
