"""Discounted purchases that the BG family expects of a customer who is alive, compiled.

In the notation of `alive`, a purchase s after T is worth exp(-delta s), and s = (alpha+T) tau:

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

from predclv.kernels.bg_family.alive import expected_if_alive
from predclv.kernels.special import LEGENDRE_NODES, LEGENDRE_TO_CHEBYSHEV, LEGENDRE_WEIGHTS

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
    # Of each panel in which an integral ends, once there is one.
    polynomials, are_made = np.empty((n_panels, len(LEGENDRE_NODES))), np.zeros(n_panels, np.bool_)
    for i in range(len(tau)):
        total[i] = _integrate(rates, nodes, polynomials, are_made, last[i], discount[i], mu)
    return total


@njit(cache=True, error_model="numpy")
def _integrate(
    rates: Floats,
    nodes: Floats,
    polynomials: Floats,
    are_made: npt.NDArray[np.bool_],
    last: float,
    discount: float,
    mu: float,
) -> float:
    """Integral from 0 to `last`, in pieces that end with a panel, or where the discount has fallen by exp(-4)."""
    n_nodes = len(LEGENDRE_NODES)
    total, v, panel, v_last = 0.0, 0.0, 0, math.log1p(mu * last)
    in_one_piece = discount * last <= _LONGEST_PIECE
    while v < v_last:
        start = _WIDTH * panel
        stop = min(start + _WIDTH, v_last)
        if not in_one_piece:
            stop = min(stop, math.log1p(math.expm1(v) + mu * _LONGEST_PIECE / discount))
        piece = 0.0
        if v == start and stop == start + _WIDTH:
            for node in range(panel * n_nodes, (panel + 1) * n_nodes):
                weight = LEGENDRE_WEIGHTS[node - panel * n_nodes]
                piece += weight * rates[node] * math.exp(-discount * nodes[node])
        else:
            if not are_made[panel]:
                _fill_polynomial(polynomials[panel], rates[panel * n_nodes : (panel + 1) * n_nodes])
                are_made[panel] = True
            for node in range(n_nodes):
                v_node = v + (stop - v) * LEGENDRE_NODES[node]
                rate = _evaluate(polynomials[panel], (v_node - start) / _WIDTH)
                piece += LEGENDRE_WEIGHTS[node] * rate * math.exp(-discount * math.expm1(v_node) / mu)
        total += piece * (stop - v)
        panel += stop == start + _WIDTH
        v = stop
    return total


@njit(cache=True, error_model="numpy")
def _fill_polynomial(out: Floats, values: Floats) -> None:
    """Chebyshev coefficients, on a panel, of the polynomial through the values at its Legendre nodes."""
    for n in range(len(out)):
        out[n] = 0.0
        for node in range(len(values)):
            out[n] += LEGENDRE_TO_CHEBYSHEV[n, node] * values[node]


@njit(cache=True, error_model="numpy")
def _evaluate(coefficients: Floats, share: float) -> float:
    """The Chebyshev series at a share of the panel's width; Clenshaw (1955), without divisions."""
    t = 2.0 * share - 1.0
    value = before = 0.0
    for n in range(len(coefficients) - 1, 0, -1):
        value, before = coefficients[n] + 2.0 * t * value - before, value
    return float(coefficients[0] + t * value - before)
