"""Discounted purchases that the BG family expects of a customer who is alive, compiled.

In the notation of `bg_family_alive`, a purchase s after T is worth exp(-delta s), and s = (alpha+T) tau:

    integral over tau in (0, t / (alpha+T)) of exp(-delta (alpha+T) tau) G'(tau) d tau,

where the rate G' of the expected purchases depends on x alone, not on T. It is tabulated for each x on fixed panels
of v = log(1 + mu tau), mu = max(m, 1), on which it is smooth at every scale: from 1 / m, where heavy buyers leave,
to any number of times the customer's age.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels.bg_family_alive import expected_if_alive
from predclv.kernels.special import LEGENDRE_BARYCENTRIC, LEGENDRE_NODES, LEGENDRE_WEIGHTS

__all__ = ["discounted_if_alive"]

Floats = npt.NDArray[np.float64]

_WIDTH = 0.5
# exp(-45) is 3e-20; a piece of the integral spans at most exp(-4).
_LONGEST, _LONGEST_PIECE = 45.0, 4.0


@njit(cache=True, error_model="numpy")
def discounted_if_alive(tau: Floats, discount: Floats, m: float, a: float, B: float, k: int, j: int) -> Floats:
    """Expected discounted purchases of those alive.

    For each tau = t / (alpha+T), which may be infinite, and discount = delta (alpha+T) > 0.
    """
    mu = max(m, 1.0)
    last = np.minimum(tau, _LONGEST / discount)
    n_panels = int(math.log1p(mu * np.max(last)) / _WIDTH) + 1
    v = np.empty(n_panels * len(LEGENDRE_NODES))
    for node in range(len(v)):
        v[node] = _WIDTH * (node // len(LEGENDRE_NODES) + LEGENDRE_NODES[node % len(LEGENDRE_NODES)])
    nodes = np.expm1(v) / mu
    # d tau = (1 + mu tau) / mu dv
    rates = expected_if_alive(nodes, m, a, B, k, j, True) * (1.0 / mu + nodes)
    total = np.empty(len(tau))
    for i in range(len(tau)):
        total[i] = _integrate(rates, nodes, last[i], discount[i], mu)
    return total


@njit(cache=True, error_model="numpy")
def _integrate(rates: Floats, nodes: Floats, last: float, discount: float, mu: float) -> float:
    """Integral from 0 to `last`, in pieces that end with a panel, or where the discount has fallen by exp(-4)."""
    n_nodes = len(LEGENDRE_NODES)
    total, v, panel, v_last = 0.0, 0.0, 0, math.log1p(mu * last)
    while v < v_last:
        start = _WIDTH * panel
        v_piece = math.log1p(math.expm1(v) + mu * _LONGEST_PIECE / discount)
        stop = min(start + _WIDTH, v_last, v_piece)
        piece = 0.0
        for node in range(n_nodes):
            if v == start and stop == start + _WIDTH:
                rate, at = rates[panel * n_nodes + node], nodes[panel * n_nodes + node]
            else:
                v_node = v + (stop - v) * LEGENDRE_NODES[node]
                rate = _interpolate(rates[panel * n_nodes : (panel + 1) * n_nodes], (v_node - start) / _WIDTH)
                at = math.expm1(v_node) / mu
            piece += LEGENDRE_WEIGHTS[node] * rate * math.exp(-discount * at)
        total += piece * (stop - v)
        panel += stop == start + _WIDTH
        v = stop
    return total


@njit(cache=True, error_model="numpy")
def _interpolate(values: Floats, share: float) -> float:
    """The polynomial through the values at the Legendre nodes of a panel, at a share of its width."""
    numerator = denominator = 0.0
    for node in range(len(LEGENDRE_NODES)):
        distance = share - LEGENDRE_NODES[node]
        if distance == 0.0:
            return float(values[node])
        numerator += LEGENDRE_BARYCENTRIC[node] / distance * values[node]
        denominator += LEGENDRE_BARYCENTRIC[node] / distance
    return numerator / denominator
