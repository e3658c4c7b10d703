"""Quadrature and special functions that the kernels share, compiled."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["LEGENDRE_NODES", "LEGENDRE_TO_CHEBYSHEV", "LEGENDRE_WEIGHTS", "incomplete_beta_fraction", "log_sinhc"]

#: Gauss-Legendre on (0, 1). Twelve points take exp(-c exp(y)) and its like to 1e-15 over one unit of y.
LEGENDRE_NODES, LEGENDRE_WEIGHTS = (values.copy() for values in np.polynomial.legendre.leggauss(12))
LEGENDRE_NODES = (LEGENDRE_NODES + 1) / 2
LEGENDRE_WEIGHTS = LEGENDRE_WEIGHTS / 2
#: From values at these nodes to the coefficients of Chebyshev polynomials in 2 share - 1.
LEGENDRE_TO_CHEBYSHEV = np.linalg.inv(np.polynomial.chebyshev.chebvander(2 * LEGENDRE_NODES - 1, 11))


@njit(cache=True, error_model="numpy")
def incomplete_beta_fraction(a: float, b: float, z: float) -> float:
    """I_z(a, b) divided by z^a (1-z)^b / (a B(a, b)), for z below about (a+1)/(a+b+2); DLMF 8.17.22.

    The continued fraction, forwards (Lentz), in O(sqrt(max(a, b))) steps.
    """
    tiny = 1e-300
    c, d = 1.0, 1.0 - (a + b) * z / (a + 1.0)
    d = 1.0 / (d if d != 0.0 else tiny)
    fraction = d
    for i in range(1, 100_000):
        for numerator in (
            i * (b - i) * z / ((a + 2.0 * i - 1.0) * (a + 2.0 * i)),
            -(a + i) * (a + b + i) * z / ((a + 2.0 * i) * (a + 2.0 * i + 1.0)),
        ):
            d = 1.0 + numerator * d
            c = 1.0 + numerator / c
            d = 1.0 / (d if d != 0.0 else tiny)
            c = c if c != 0.0 else tiny
            fraction *= c * d
        if abs(c * d - 1.0) < 2e-16:
            break
    return fraction


@njit(cache=True, error_model="numpy")
def log_sinhc(y: float) -> float:
    """Logarithm of sinh(y) / y, accurate as y goes to 0 and without overflow for large y >= 0."""
    if y < 0.3:
        square = y * y
        return square * (
            1 / 6 - square * (1 / 180 - square * (1 / 2835 - square * (1 / 37800 - square * (1 / 467775))))
        )
    return y + math.log(-math.expm1(-2.0 * y) / (2.0 * y))
